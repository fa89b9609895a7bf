//! Starts the three threads, waits for their end, and tells how it came.

use super::counts::Fate;
use super::{NewestFrame, Part, Progress, Pulse, Relief, Report, Shutdown, Status, Taken, Times};
use crate::config::When;
use crate::field::{Interval, Seen};
use crate::memory::seal_this_thread;
use crate::record::fault::{self, Cause};
use crate::sink::{Interest, Signal, Viewer};
use crate::source::{Frame, FrameSource, Next};
use crate::task::TaskError;
use crate::task::anomaly::{Inspector, Look};
use crate::task::super_resolution::{Enlarger, spot, whole};
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
    /// Of the normal frames that are judged every so many-th is kept; 0: none.
    pub normal_every: u64,
    /// Ends after this many frames from the source.
    pub frames: Option<u64>,
    /// Lines that follow the verdicts.
    pub signals: Vec<Box<dyn Signal>>,
    /// Who looks on.
    pub viewer: Option<Arc<dyn Viewer>>,
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

enum Message {
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

struct Capture<'a> {
    slot: &'a NewestFrame,
    progress: &'a Progress,
    pulse: &'a Pulse,
    relief: &'a Relief,
    shutdown: &'a Shutdown,
    live: bool,
}

impl Capture<'_> {
    /// Takes up to `frames` frames, of the size `smaller` while the board needs relief.
    fn run(
        &mut self,
        source: &mut dyn FrameSource,
        smaller: Option<(usize, usize)>,
        frames: Option<u64>,
        failures: &SyncSender<Message>,
    ) {
        seal_this_thread();
        // What waited while models were loaded is old by now.
        source.pass_time();
        let (mut given, mut is_small) = (0, false);
        while !self.shutdown.is_asked() && frames.is_none_or(|frames| given < frames) {
            self.pulse.beat(Part::Capture);
            if smaller.is_some() && self.relief.smaller() != is_small {
                is_small = !is_small;
                source.resize(smaller.filter(|_| is_small));
            }
            let mut frame = self.slot.spare();
            match source.next(&mut frame) {
                Next::Frame => {
                    given += 1;
                    self.put(frame);
                }
                Next::Failed { name, reason } => {
                    given += 1;
                    self.slot.give_back(frame);
                    self.progress.frame(Fate::Failed);
                    // The writer is gone only where the run is ending in disorder.
                    let _ = failures.send(Message::Failed { name, reason });
                }
                Next::FailedAgain => {
                    given += 1;
                    self.slot.give_back(frame);
                    self.progress.frame(Fate::Failed);
                    fault::failed_again(Cause::Frame);
                }
                Next::NotYet => self.slot.give_back(frame),
                Next::Ended => {
                    self.slot.give_back(frame);
                    self.slot.mark_ended();
                    return;
                }
            }
            self.progress.source(source.condition());
        }
    }

    fn put(&self, frame: Frame) {
        if !self.live {
            if let Some(kept) = self.put_patiently(frame) {
                self.leave_out(kept);
            }
        } else if self.relief.leaves_out(Instant::now()) {
            self.leave_out(frame);
        } else if self.slot.put_newest(frame) {
            self.progress.frame(Fate::DroppedStale);
        }
    }

    fn leave_out(&self, frame: Frame) {
        self.slot.give_back(frame);
        self.progress.frame(Fate::DroppedStale);
    }

    /// Waits for the slot, and longer where the board needs a rest; gives the frame back where a stop comes first.
    fn put_patiently(&self, mut frame: Frame) -> Option<Frame> {
        loop {
            let rest = self.relief.rest(Instant::now());
            if rest.is_zero() {
                self.relief.gives();
                frame = self.slot.put_when_empty(frame).err()?;
            } else {
                std::thread::sleep(rest.min(BEAT));
                // Nobody was late for this frame.
                frame.captured = Instant::now();
            }
            self.pulse.beat(Part::Capture);
            if self.shutdown.is_asked() {
                return Some(frame);
            }
        }
    }
}

struct Inspection<'a> {
    inspector: &'a mut Inspector,
    smaller: Option<&'a mut Smaller>,
    enlarger: Option<&'a mut Enlarger>,
    when: When,
    spot: usize,
    enlarging_limit: Option<Duration>,
    skip_similar: f64,
    normal_every: u64,
    live: bool,
    by_trigger: bool,
    signals: Vec<Box<dyn Signal>>,
    viewer: Option<Arc<dyn Viewer>>,
    relief: &'a Relief,
    /// Who judged the frame before; `None` where nobody could.
    judged: Option<Judge>,
    /// The frame that counted last as one that shows something else than the one before.
    last: Option<Look>,
    /// Whether the frame before counted as defect.
    last_defect: bool,
    /// Normal frames that were judged since one was kept.
    normals: u64,
}

/// Which inspector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    Usual,
    OfSmaller,
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
        let mut free = Instant::now();
        loop {
            pulse.beat(Part::Inspection);
            let mut frame = match slot.take(TICK) {
                Taken::Frame(frame) => frame,
                Taken::Nothing => {
                    let now = Instant::now();
                    self.signals.iter_mut().for_each(|signal| signal.tick(now));
                    continue;
                }
                Taken::Closed => return,
            };
            let Ok(mut report) = used.recv() else { return };
            let taken = Instant::now();
            // A source without a pace of its own runs ahead of inspection; its waiting is not inspection's time.
            let begun = if self.live { frame.captured } else { frame.captured.max(free) };
            let result = self.judge(&frame, &mut report);
            let judge = taken.elapsed();
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
                    let times = Times { verdict: report.latency, wait: taken.saturating_duration_since(begun), judge };
                    let seen = self.seen(report.verdict.score);
                    progress.verdict(&seen, report.verdict.defect, times);
                    report.similar = fate == Fate::SkippedSimilar;
                    report.interest = self.interest(report.verdict.defect, report.similar, seen.is_other);
                    progress.frame(fate);
                    fault::well(Cause::Frame);
                    fault::well(Cause::Bundle);
                    self.enlarge(&frame, &mut report, progress);
                    if let Some(viewer) = &self.viewer {
                        viewer.show(&mut frame.picture, &report.verdict, report.latency);
                    }
                    Message::Verdict(report)
                }
                Err(error) => {
                    self.judged = None;
                    progress.frame(Fate::Failed);
                    let cause = match error {
                        TaskError::Picture(_) | TaskError::TooSmall { .. } => Cause::Frame,
                        TaskError::Bundle(_) | TaskError::Engine(_) => Cause::Bundle,
                    };
                    Message::NotJudged { report, cause, reason: error.to_string() }
                }
            };
            slot.give_back(frame);
            if to_writer.send(message).is_err() {
                return;
            }
            free = Instant::now();
            self.relief.inspected(taken, free);
        }
    }

    fn judge(&mut self, frame: &Frame, report: &mut Report) -> Result<Fate, TaskError> {
        let picture = &frame.picture;
        let size = (picture.width(), picture.height());
        let smaller = self.smaller.as_mut().filter(|smaller| smaller.size == size);
        let judge = if smaller.is_some() { Judge::OfSmaller } else { Judge::Usual };
        let inspector = smaller.map_or(&mut *self.inspector, |smaller| &mut smaller.inspector);
        inspector.prepare(picture)?;
        report.bundle = Arc::clone(inspector.bundle());
        let comparable = self.judged.replace(judge) == Some(judge);
        if comparable && self.skip_similar > 0.0 && inspector.change() < self.skip_similar {
            inspector.repeat(size, &mut report.verdict);
            return Ok(Fate::SkippedSimilar);
        }
        inspector.judge(size, &mut report.verdict)?;
        Ok(Fate::Inspected)
    }

    /// What is known of the frame that was judged.
    fn seen(&mut self, score: f64) -> Seen {
        let mut seen = Seen { score, look: None, is_other: false };
        // What another bundle says of smaller frames cannot be held against this one's baseline.
        if self.judged == Some(Judge::Usual) {
            let look = self.inspector.look();
            seen.look = Some((look.brightness, look.sharpness));
            // A part that triggers is another part, even if it looks the same.
            seen.is_other = self.by_trigger || self.last.as_ref().is_none_or(|last| look.differs_from(last));
            if seen.is_other {
                self.last = Some(*look);
            }
        }
        seen
    }

    /// Whether the frame is to be kept, and how much it interests. What stands still before the lens looks like the frame
    /// before; smaller frames are not compared.
    fn interest(&mut self, defect: bool, similar: bool, is_other: bool) -> Option<Interest> {
        let same = self.last_defect && !is_other && self.judged == Some(Judge::Usual);
        self.last_defect = defect;
        if defect {
            return Some(if same { Interest::Again } else { Interest::Defect });
        }
        if similar || self.normal_every == 0 {
            return None;
        }
        self.normals += 1;
        (self.normals >= self.normal_every).then(|| {
            self.normals = 0;
            Interest::Normal
        })
    }

    fn enlarge(&mut self, frame: &Frame, report: &mut Report, progress: &Progress) {
        let picture = &frame.picture;
        report.without_spot();
        if report.interest.is_some() {
            report.frame.reshape(picture.layout(), picture.width(), picture.height());
            report.frame.data_mut().copy_from_slice(picture.data());
        }
        let area = match self.when {
            When::Anomaly if report.verdict.defect => spot(report.verdict.peak, self.spot, picture),
            When::Always if report.verdict.defect || !self.relief.only_defects() => whole(picture),
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
