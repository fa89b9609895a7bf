//! Starts the three threads, waits for their end, and tells how it came.

use super::capture::Capture;
use super::inspection::Inspection;
use super::{NewestFrame, Part, Progress, Pulse, Relief, Report, Shutdown, Status};
use crate::config::When;
use crate::field::Interval;
use crate::record::fault::Cause;
use crate::sink::{Signal, VerdictObserver};
use crate::source::FrameSource;
use crate::task::anomaly::Inspector;
use crate::task::super_resolution::Enlarger;
use crate::times::BEAT;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Verdicts that may wait for the writer.
pub const QUEUE: usize = 4;
/// The stack of each thread.
pub const STACK: usize = 1 << 20;
/// Threads that the pipeline starts.
pub const THREADS: usize = 3;

/// How often the status is reported.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// A line under inspection: a source, what judges its frames, and what enlarges the spot.
pub struct Pipeline {
    /// Where frames come from.
    pub source: Box<dyn FrameSource>,
    /// What judges them.
    pub inspector: Inspector,
    /// What enlarges, and when.
    pub enlarger: Option<Enlarger>,
    /// When to enlarge.
    pub when: When,
    /// Side of the enlarged square, in pixels.
    pub spot: usize,
    /// How long enlarging may take for a frame; longer is told.
    pub enlarging_limit: Option<Duration>,
    /// Frames that differ by less than this, in grey levels, get the verdict of the one before; 0: none does.
    pub skip_similar: f64,
    /// Of the normal frames that are judged every so many-th is kept; 0: none.
    pub normal_every: u64,
    /// Ends after this many frames from the source.
    pub frames: Option<u64>,
    /// Lines that follow the verdicts.
    pub signals: Vec<Box<dyn Signal>>,
    /// Who looks on.
    pub viewer: Option<Arc<dyn VerdictObserver>>,
    /// What is left out while the board is too hot.
    pub relief: Arc<Relief>,
    /// What frames may become then.
    pub smaller: Option<Smaller>,
}

/// Frames of another size, and what judges them: a bundle that was taught with that size.
pub struct Smaller {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// What judges frames of that size.
    pub inspector: Inspector,
}

/// What is done with each verdict, on the writer thread.
pub trait Reporter: Send {
    /// A frame was judged.
    fn verdict(&mut self, report: &Report);
    /// A frame could not be had or judged, or the model failed.
    fn failed(&mut self, name: &str, cause: Cause, reason: &str);
    /// After each of these, and ten times a second where there is none.
    fn tick(&mut self) {}
}

/// What looks after a run, on the thread that started it.
pub trait Overseer {
    /// Every ten seconds, and once when all is done; `interval` is what happened since the last time.
    fn status(&mut self, status: &Status, interval: &Interval);

    /// Many times a second. `alive` says whether every thread has got on since it was last true. To end the run, ask
    /// `shutdown`.
    fn look(&mut self, status: &Status, alive: bool, shutdown: &Shutdown);
}

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// The final counts.
    pub status: Status,
    /// Why: the source ended, a stop was asked for, or a thread failed.
    pub reason: &'static str,
    /// Whether a thread panicked: a fault of this program.
    pub faulty: bool,
}

/// What the writer is told.
pub(super) enum Message {
    Verdict(Box<Report>),
    NotJudged { report: Box<Report>, cause: Cause, reason: String },
    Failed { name: String, reason: String },
}

impl Pipeline {
    /// Runs until the source ends or a stop is asked for. Every frame taken from the source has found its fate, and
    /// every verdict has reached `reporter`, when this returns; `overseer` looks after it meanwhile.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn run(
        self,
        shutdown: &Shutdown,
        reporter: &mut dyn Reporter,
        overseer: &mut dyn Overseer,
    ) -> std::io::Result<Ending> {
        let Pipeline { mut source, mut inspector, mut enlarger, .. } = self;
        let Pipeline { when, spot, enlarging_limit, skip_similar, normal_every, frames, .. } = self;
        let Pipeline { signals, viewer, relief, mut smaller, .. } = self;
        let small = smaller.as_ref().map(|smaller| smaller.size);
        let (live, by_trigger, frame_size) = (source.is_live(), source.is_triggered(), source.frame_size());
        let slot = NewestFrame::new(frame_size);
        let progress = Progress::default();
        let pulse = Pulse::default();
        let (to_writer, messages) = sync_channel(QUEUE);
        let (give_back, used) = sync_channel(QUEUE + 1);
        for _ in 0..=QUEUE {
            let mut report = Box::<Report>::default();
            if let Some(size) = frame_size {
                let scale = enlarger.as_ref().map(|enlarger| enlarger.scale());
                report.make_room(size, scale.map(|scale| (spot, scale)).filter(|_| when == When::Anomaly));
                inspector.repeat(size, &mut report.verdict);
            }
            // The channel was made to hold exactly these.
            let _ = give_back.try_send(report);
        }
        let failures = to_writer.clone();
        let faulty = std::thread::scope(|scope| {
            // Each thread owns its ends of the queues, so that they close when it ends, in order or not.
            let (slot, progress, pulse, relief) = (&slot, &progress, &pulse, &*relief);
            let capture = thread(scope, "capture", move || {
                let _close = CloseAtEnd(slot);
                let mut capture = Capture { slot, progress, pulse, relief, shutdown, live };
                capture.run(source.as_mut(), small, frames, &failures);
            })?;
            let inspection = thread(scope, "inspection", move || {
                // If inspection ends early the capture thread must not wait for an empty slot for ever.
                let _stop = StopAtEnd(shutdown);
                let enlarger = enlarger.as_mut();
                let inspector = &mut inspector;
                let smaller = smaller.as_mut();
                let mut inspection = Inspection {
                    inspector,
                    smaller,
                    enlarger,
                    when,
                    spot,
                    enlarging_limit,
                    skip_similar,
                    normal_every,
                    live,
                    by_trigger,
                    signals,
                    viewer,
                    relief,
                    judged: None,
                    last: None,
                    last_defect: false,
                    normals: 0,
                };
                inspection.run(slot, progress, pulse, &used, &to_writer);
            })?;
            let writer = thread(scope, "writer", move || write(reporter, &messages, &give_back, progress))?;
            let mut last = Instant::now();
            let mut stretch = Stretch { interval: Interval::new(), captured: 0 };
            let mut watch = pulse.watch();
            let threads: [&ScopedJoinHandle<()>; 3] = [&capture, &inspection, &writer];
            while !threads.iter().all(|thread| thread.is_finished()) {
                std::thread::park_timeout(Duration::from_millis(20));
                let alive = watch.all_beat(|part| match part {
                    Part::Capture => capture.is_finished(),
                    Part::Inspection => inspection.is_finished(),
                });
                overseer.look(&progress.status(), alive, shutdown);
                if last.elapsed() >= STATUS_EVERY {
                    stretch.tell(progress, &mut last, overseer);
                }
            }
            stretch.tell(progress, &mut last, overseer);
            let ends = [capture.join(), inspection.join(), writer.join()];
            std::io::Result::Ok(ends.iter().any(Result::is_err))
        })?;
        let status = progress.status();
        let reason = match (faulty, frames) {
            (true, _) => "a thread failed",
            (false, Some(frames)) if status.counts.captured >= frames => "frame limit",
            (false, _) if slot.source_ended() => "source ended",
            (false, _) => "stop asked for",
        };
        Ok(Ending { status, reason, faulty })
    }
}

/// The time from one status to the next.
struct Stretch {
    interval: Box<Interval>,
    /// Frames captured before it.
    captured: u64,
}

impl Stretch {
    /// Ends it, tells what happened in it, and begins the next.
    fn tell(&mut self, progress: &Progress, begun: &mut Instant, overseer: &mut dyn Overseer) {
        self.interval.clear();
        progress.take(&mut self.interval);
        let status = progress.status();
        self.interval.seconds = begun.elapsed().as_secs_f64();
        self.interval.captured = status.counts.captured - self.captured;
        overseer.status(&status, &self.interval);
        (*begun, self.captured) = (Instant::now(), status.counts.captured);
    }
}

/// Closes the slot even where the capture thread panics: inspection would wait for ever.
struct CloseAtEnd<'a>(&'a NewestFrame);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct StopAtEnd<'a>(&'a Shutdown);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.ask();
    }
}

fn thread<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    name: &str,
    work: impl FnOnce() + Send + 'scope,
) -> std::io::Result<ScopedJoinHandle<'scope, ()>> {
    Builder::new().name(name.into()).stack_size(STACK).spawn_scoped(scope, work)
}

fn write(
    reporter: &mut dyn Reporter,
    messages: &Receiver<Message>,
    give_back: &SyncSender<Box<Report>>,
    progress: &Progress,
) {
    loop {
        match messages.recv_timeout(BEAT) {
            Ok(Message::Verdict(report)) => {
                let begun = Instant::now();
                reporter.verdict(&report);
                progress.wrote(begun.elapsed());
                // Inspection may be gone already; its reports then end here.
                let _ = give_back.try_send(report);
            }
            Ok(Message::NotJudged { report, cause, reason }) => {
                reporter.failed(&report.name, cause, &reason);
                let _ = give_back.try_send(report);
            }
            Ok(Message::Failed { name, reason }) => reporter.failed(&name, Cause::Frame, &reason),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        reporter.tick();
    }
}
