//! Starts the three threads, waits for their end, and tells how it came.

use super::counts::Fate;
use super::{NewestFrame, Part, Progress, Pulse, Report, Shutdown, Status, Taken};
use crate::config::When;
use crate::memory::seal_this_thread;
use crate::sink::Signal;
use crate::source::{Frame, FrameSource, Next};
use crate::task::TaskError;
use crate::task::anomaly::Inspector;
use crate::task::super_resolution::{Enlarger, spot, whole};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
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
/// How late an alarm may end where no frame comes.
const TICK: Duration = Duration::from_millis(10);

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
    /// Ends after this many frames from the source.
    pub frames: Option<u64>,
    /// Lines that follow the verdicts.
    pub signals: Vec<Box<dyn Signal>>,
}

/// What is done with each verdict, on the writer thread.
pub trait Reporter: Send {
    /// A frame was judged.
    fn verdict(&mut self, report: &Report);
    /// A frame could not be had or judged.
    fn failed(&mut self, name: &str, reason: &str);
}

/// What looks after a run, on the thread that started it.
pub trait Overseer {
    /// Every ten seconds; `fps` are frames captured a second since the last time.
    fn status(&mut self, status: &Status, fps: f64);

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

enum Message {
    Verdict(Box<Report>),
    NotJudged { report: Box<Report>, reason: String },
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
        let Pipeline { when, spot, enlarging_limit, skip_similar, frames, signals, .. } = self;
        let (live, frame_size) = (source.is_live(), source.frame_size());
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
            let (slot, progress, pulse) = (&slot, &progress, &pulse);
            let capture = thread(scope, "capture", move || {
                let _close = CloseAtEnd(slot);
                capture(source.as_mut(), slot, progress, pulse, shutdown, frames, &failures);
            })?;
            let inspection = thread(scope, "inspection", move || {
                // If inspection ends early the capture thread must not wait for an empty slot for ever.
                let _stop = StopAtEnd(shutdown);
                let enlarger = enlarger.as_mut();
                let inspector = &mut inspector;
                let mut inspection =
                    Inspection { inspector, enlarger, when, spot, enlarging_limit, skip_similar, live, signals };
                inspection.run(slot, progress, pulse, &used, &to_writer);
            })?;
            let writer = thread(scope, "writer", move || write(reporter, &messages, &give_back))?;
            let mut last = (Instant::now(), 0);
            let mut watch = pulse.watch();
            let threads: [&ScopedJoinHandle<()>; 3] = [&capture, &inspection, &writer];
            while !threads.iter().all(|thread| thread.is_finished()) {
                std::thread::park_timeout(Duration::from_millis(20));
                let alive = watch.all_beat(|part| match part {
                    Part::Capture => capture.is_finished(),
                    Part::Inspection => inspection.is_finished(),
                });
                overseer.look(&progress.status(), alive, shutdown);
                if last.0.elapsed() >= STATUS_EVERY {
                    let status = progress.status();
                    let fps = (status.counts.captured - last.1) as f64 / last.0.elapsed().as_secs_f64();
                    overseer.status(&status, fps);
                    last = (Instant::now(), status.counts.captured);
                }
            }
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

fn capture(
    source: &mut dyn FrameSource,
    slot: &NewestFrame,
    progress: &Progress,
    pulse: &Pulse,
    shutdown: &Shutdown,
    frames: Option<u64>,
    failures: &SyncSender<Message>,
) {
    seal_this_thread();
    let live = source.is_live();
    // What waited while models were loaded is old by now.
    source.pass_time();
    let mut given = 0;
    while !shutdown.is_asked() && frames.is_none_or(|frames| given < frames) {
        pulse.beat(Part::Capture);
        let mut frame = slot.spare();
        match source.next(&mut frame) {
            Next::Frame => {
                given += 1;
                if live {
                    if slot.put_newest(frame) {
                        progress.frame(Fate::DroppedStale);
                    }
                } else if let Some(kept) = put_patiently(slot, frame, pulse, shutdown) {
                    slot.give_back(kept);
                    progress.frame(Fate::DroppedStale);
                }
            }
            Next::Failed { name, reason } => {
                given += 1;
                slot.give_back(frame);
                progress.frame(Fate::Failed);
                // The writer is gone only where the run is ending in disorder.
                let _ = failures.send(Message::Failed { name, reason });
            }
            Next::FailedAgain => {
                given += 1;
                slot.give_back(frame);
                progress.frame(Fate::Failed);
            }
            Next::NotYet => slot.give_back(frame),
            Next::Ended => {
                slot.give_back(frame);
                slot.mark_ended();
                return;
            }
        }
        progress.source(source.condition());
    }
}

/// Waits for the slot; gives the frame back where a stop comes first.
fn put_patiently(slot: &NewestFrame, mut frame: Frame, pulse: &Pulse, shutdown: &Shutdown) -> Option<Frame> {
    while let Err(back) = slot.put_when_empty(frame) {
        pulse.beat(Part::Capture);
        if shutdown.is_asked() {
            return Some(back);
        }
        frame = back;
    }
    None
}

struct Inspection<'a> {
    inspector: &'a mut Inspector,
    enlarger: Option<&'a mut Enlarger>,
    when: When,
    spot: usize,
    enlarging_limit: Option<Duration>,
    skip_similar: f64,
    live: bool,
    signals: Vec<Box<dyn Signal>>,
}

impl Inspection<'_> {
    fn run(
        &mut self,
        slot: &NewestFrame,
        progress: &Progress,
        pulse: &Pulse,
        used: &Receiver<Box<Report>>,
        to_writer: &SyncSender<Message>,
    ) {
        seal_this_thread();
        let mut judged = false;
        let mut free = Instant::now();
        loop {
            pulse.beat(Part::Inspection);
            let frame = match slot.take(TICK) {
                Taken::Frame(frame) => frame,
                Taken::Nothing => {
                    let now = Instant::now();
                    self.signals.iter_mut().for_each(|signal| signal.tick(now));
                    continue;
                }
                Taken::Closed => return,
            };
            let Ok(mut report) = used.recv() else { return };
            // A source without a pace of its own runs ahead of inspection; its waiting is not inspection's time.
            let begun = if self.live { frame.captured } else { frame.captured.max(free) };
            let result = self.judge(&frame, judged, &mut report);
            if result.is_ok() {
                // At once: everything else may take its time.
                let (defect, now) = (report.verdict.defect, Instant::now());
                self.signals.iter_mut().for_each(|signal| signal.verdict(defect, now));
            }
            report.name.clear();
            report.name.push_str(&frame.name);
            report.wall = frame.wall;
            report.latency = begun.elapsed();
            let message = match result {
                Ok(fate) => {
                    judged = true;
                    progress.verdict(report.verdict.score, report.verdict.defect, report.latency);
                    progress.frame(fate);
                    self.enlarge(&frame, &mut report, progress);
                    Message::Verdict(report)
                }
                Err(error) => {
                    judged = false;
                    progress.frame(Fate::Failed);
                    Message::NotJudged { report, reason: error.to_string() }
                }
            };
            slot.give_back(frame);
            if to_writer.send(message).is_err() {
                return;
            }
            free = Instant::now();
        }
    }

    fn judge(&mut self, frame: &Frame, judged: bool, report: &mut Report) -> Result<Fate, TaskError> {
        let picture = &frame.picture;
        self.inspector.prepare(picture)?;
        let size = (picture.width(), picture.height());
        if judged && self.skip_similar > 0.0 && self.inspector.change() < self.skip_similar {
            self.inspector.repeat(size, &mut report.verdict);
            return Ok(Fate::SkippedSimilar);
        }
        self.inspector.judge(size, &mut report.verdict)?;
        Ok(Fate::Inspected)
    }

    fn enlarge(&mut self, frame: &Frame, report: &mut Report, progress: &Progress) {
        let picture = &frame.picture;
        report.without_spot();
        if report.verdict.defect {
            report.frame.reshape(picture.layout(), picture.width(), picture.height());
            report.frame.data_mut().copy_from_slice(picture.data());
        }
        let area = match self.when {
            When::Anomaly if report.verdict.defect => spot(report.verdict.peak, self.spot, picture),
            When::Always => whole(picture),
            _ => return,
        };
        let Some(enlarger) = &mut self.enlarger else { return };
        let (mut small, mut large) = report.spot_buffers();
        picture.crop_into(area, &mut small);
        let started = Instant::now();
        match enlarger.enlarge_area(picture, area, &mut large) {
            Ok(()) => {
                let time = started.elapsed();
                report.late = self.enlarging_limit.is_some_and(|limit| time > limit).then_some(time);
                progress.enlarged(time, report.late.is_some());
                report.spot = Some((small, large));
            }
            Err(error) => report.spot_failure = Some(error.to_string()),
        }
    }
}

fn write(reporter: &mut dyn Reporter, messages: &Receiver<Message>, give_back: &SyncSender<Box<Report>>) {
    while let Ok(message) = messages.recv() {
        match message {
            Message::Verdict(report) => {
                reporter.verdict(&report);
                // Inspection may be gone already; its reports then end here.
                let _ = give_back.try_send(report);
            }
            Message::NotJudged { report, reason } => {
                reporter.failed(&report.name, &reason);
                let _ = give_back.try_send(report);
            }
            Message::Failed { name, reason } => reporter.failed(&name, &reason),
        }
    }
}
