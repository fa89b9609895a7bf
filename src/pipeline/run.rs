//! Starts the three threads, waits for their end, and reports why the run ended.

use super::capture::Capture;
use super::inspection::{Inspection, InspectionThread};
use super::message::{QUEUE, ToWriter};
use super::writer::{Reporter, STACK, WriterQueues, WriterThread};
use super::{LoadShedding, NewestFrame, Progress, Pulse, Shutdown, Status, WatchedThread};
use crate::field::Interval;
use crate::source::FrameSource;
use crate::telemetry::Telemetry;
use crate::threads::{describe_failure, not_started};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Threads that the pipeline starts.
pub const THREADS: usize = 3;

/// How often the status is reported.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A line under inspection.
pub struct Pipeline {
    /// Where frames come from.
    pub source: Box<dyn FrameSource>,
    /// What is done with each.
    pub inspection: Inspection,
    /// What is skipped while the board is too hot.
    pub shedding: Arc<LoadShedding>,
    /// Ends after this many frames from the source.
    pub frames: Option<u64>,
    /// Where faults are reported.
    pub telemetry: Telemetry,
}

/// Observes a run, on the thread that started it.
pub trait RunObserver {
    /// Every ten seconds, and once when all is done; `interval` is what happened since the last time.
    fn status(&mut self, status: &Status, interval: &Interval);

    /// Many times a second. `alive` says whether every thread has made progress since it was last true. To end the run, ask
    /// `shutdown`.
    fn poll(&mut self, status: &Status, alive: bool, shutdown: &Shutdown);
}

/// How a run ended.
#[derive(Debug)]
pub struct RunEnd {
    /// The final counts.
    pub status: Status,
    /// Why: the source ended, a stop was asked for, or a thread failed.
    pub reason: &'static str,
    /// A thread that panicked or could not be started, and what to do, in one line.
    pub failure: Option<String>,
}

/// [`RunEnd::reason`] where that was asked for.
pub const STOPPED: &str = "stop asked for";
/// [`RunEnd::reason`] where a thread could not be started.
pub const NOT_STARTED: &str = "a thread could not be started";
/// [`RunEnd::reason`] where a thread panicked.
pub const FAILED: &str = "a thread failed";

impl Pipeline {
    /// Runs until the source ends or a stop is asked for. Every frame taken from the source has found its fate, and every verdict
    /// has reached `reporter`, which comes back, when this returns; `observer` is called meanwhile. A thread that cannot be
    /// started or that panics, the caller's while it calls `observer` included, stops the others.
    ///
    /// Where the reporter hangs, a stop does not wait for it: it does not come back then, and what it has not finished counts as
    /// unrecorded.
    pub fn run<R: Reporter + 'static>(
        self,
        shutdown: &Shutdown,
        reporter: R,
        observer: &mut dyn RunObserver,
    ) -> (RunEnd, Option<R>) {
        let Pipeline { mut source, mut inspection, shedding, frames, telemetry } = self;
        let smaller = inspection.smaller.as_ref().map(|smaller| smaller.size);
        let (live, by_trigger, frame_size) = (source.is_live(), source.is_triggered(), source.frame_size());
        let slot = NewestFrame::new(frame_size);
        let progress = Arc::<Progress>::default();
        let pulse = Pulse::default();
        let (sender, messages) = sync_channel(QUEUE);
        let to_writer = ToWriter { sender, live, progress: Arc::clone(&progress), abandoned: Arc::default() };
        let (give_back, used) = sync_channel(QUEUE);
        for _ in 0..QUEUE {
            // The channel was made to hold exactly these.
            let _ = give_back.try_send(inspection.new_report(frame_size));
        }
        let report = inspection.new_report(frame_size);
        let queues = WriterQueues { messages, give_back, progress: Arc::clone(&progress), shutdown: shutdown.clone() };
        let (reporter, failure) = std::thread::scope(|scope| {
            // Each thread owns its ends of the queues, so that they close when it ends, in order or not, or never starts.
            let (slot, pulse, shedding, telemetry) = (&slot, &pulse, &*shedding, &telemetry);
            // However this ends, the scope waits for the threads that run.
            let _stop = StopAtEnd(shutdown);
            let (for_capture, abandoned) = (to_writer.clone(), Arc::clone(&to_writer.abandoned));
            let start = move || {
                let capture = thread(scope, "capture", move || {
                    let _close = CloseAtEnd(slot);
                    let progress = &*for_capture.progress;
                    let mut capture = Capture { slot, progress, pulse, shedding, shutdown, live, telemetry };
                    capture.run(source.as_mut(), smaller, frames, &for_capture);
                })?;
                let inspection = thread(scope, "inspection", move || {
                    // If inspection ends early the capture thread must not wait for an empty slot for ever.
                    let stop = StopAtEnd(shutdown);
                    let mut thread =
                        InspectionThread::new(inspection, (live, by_trigger), shedding, telemetry, report, used);
                    if thread.run(slot, pulse, &to_writer) {
                        if shutdown.hands_over() {
                            thread.hand_over_signals();
                        }
                        // Nobody asked for a stop: the writer may take its time.
                        std::mem::forget(stop);
                    }
                })?;
                std::io::Result::Ok([capture, inspection])
            };
            let [capture, inspection] = match start() {
                Ok(threads) => threads,
                Err(error) => return (Some(reporter), Some((NOT_STARTED, error.to_string()))),
            };
            let writer = match WriterThread::start(reporter, queues) {
                Ok(writer) => writer,
                Err((reporter, error)) => return (Some(reporter), Some((NOT_STARTED, error.to_string()))),
            };
            let mut threads = RunThreads { capture, inspection, writer, abandoned };
            let watched = catch_unwind(AssertUnwindSafe(|| {
                threads.watch(pulse, &progress, shutdown, observer);
            }));
            if watched.is_err() {
                shutdown.ask();
                while !threads.have_ended(true) {
                    std::thread::sleep(LOOK);
                }
            }
            threads.join(watched.is_err())
        });
        // What the writer has not finished nobody waits for.
        progress.give_up_waiting();
        let status = progress.status();
        let end = match failure {
            Some((reason, failure)) => RunEnd { status, reason, failure: Some(failure) },
            None => {
                let reason = match frames {
                    Some(frames) if status.counts.captured >= frames => "frame limit",
                    _ if slot.source_ended() => "source ended",
                    _ => STOPPED,
                };
                RunEnd { status, reason, failure: None }
            }
        };
        (end, reporter)
    }
}

/// A reason of an end, and its failure in one line.
type Failure = Option<(&'static str, String)>;

/// The threads of a run, as the one that started them sees them.
struct RunThreads<'scope, R> {
    capture: ScopedJoinHandle<'scope, ()>,
    inspection: ScopedJoinHandle<'scope, ()>,
    writer: WriterThread<R>,
    /// Nobody waits for the writer any longer.
    abandoned: Arc<AtomicBool>,
}

impl<R: Reporter + 'static> RunThreads<'_, R> {
    /// Calls `observer` until the threads have ended.
    fn watch(&mut self, pulse: &Pulse, progress: &Progress, shutdown: &Shutdown, observer: &mut dyn RunObserver) {
        let mut since = StatusInterval::new();
        let mut watch = pulse.watch();
        while !self.have_ended(shutdown.is_asked()) {
            std::thread::park_timeout(LOOK);
            let alive = watch.all_beat(|part| match part {
                WatchedThread::Capture => self.capture.is_finished(),
                WatchedThread::Inspection => self.inspection.is_finished(),
            });
            observer.poll(&progress.status(), alive, shutdown);
            if since.begun.elapsed() >= STATUS_EVERY {
                since.report(progress, observer);
            }
        }
        since.report(progress, observer);
    }

    /// Whether there is nothing left to wait for: `stops`, because a stop was asked for, nor for a writer that hangs.
    fn have_ended(&mut self, stops: bool) -> bool {
        if stops && self.writer.hangs() {
            self.abandoned.store(true, Relaxed);
        }
        let written = self.writer.is_finished() || self.abandoned.load(Relaxed);
        written && self.capture.is_finished() && self.inspection.is_finished()
    }

    /// The reporter, where it came back, and the first thread that failed; `main_failed`: that was the caller.
    fn join(self, main_failed: bool) -> (Option<R>, Failure) {
        let capture = self.capture.join().is_err().then_some("capture");
        let inspection = self.inspection.join().is_err().then_some("inspection");
        let (reporter, writer) = self
            .writer
            .finish()
            .map_or((None, None), |(reporter, has_failed)| (Some(reporter), has_failed.then_some("writer")));
        let failed = main_failed.then_some("main").or(capture).or(inspection).or(writer);
        (reporter, failed.map(|name| (FAILED, describe_failure(name))))
    }
}

/// The time from one status to the next.
struct StatusInterval {
    interval: Box<Interval>,
    begun: Instant,
    /// Frames captured before it.
    captured: u64,
}

impl StatusInterval {
    fn new() -> StatusInterval {
        StatusInterval { interval: Interval::new(), begun: Instant::now(), captured: 0 }
    }

    /// Ends it, reports what happened in it, and begins the next.
    fn report(&mut self, progress: &Progress, observer: &mut dyn RunObserver) {
        self.interval.clear();
        progress.take(&mut self.interval);
        let status = progress.status();
        self.interval.seconds = self.begun.elapsed().as_secs_f64();
        self.interval.captured = status.counts.captured - self.captured;
        observer.status(&status, &self.interval);
        (self.begun, self.captured) = (Instant::now(), status.counts.captured);
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
    let started = Builder::new().name(name.into()).stack_size(STACK).spawn_scoped(scope, work);
    started.map_err(|error| not_started(name, &error))
}
