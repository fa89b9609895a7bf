//! Starts the three threads, waits for their end, and reports why the run ended.

use super::capture::Capture;
use super::inspection::{Inspection, InspectionThread};
use super::message::Message;
use super::{LoadShedding, NewestFrame, Progress, Pulse, Report, Shutdown, Status, WatchedThread};
use crate::field::Interval;
use crate::source::FrameSource;
use crate::telemetry::{Cause, Telemetry};
use crate::threads::{describe_failure, not_started};
use crate::times::BEAT;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// What is done with each verdict, on the writer thread.
pub trait Reporter: Send {
    /// A frame was judged.
    fn verdict(&mut self, report: &Report);
    /// A frame could not be had or judged, or the model failed.
    fn failed(&mut self, name: &str, cause: Cause, reason: &str);
    /// After each of these, and ten times a second where there is none.
    fn tick(&mut self) {}
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

/// [`RunEnd::reason`] where a thread could not be started.
pub const NOT_STARTED: &str = "a thread could not be started";
/// [`RunEnd::reason`] where a thread panicked.
pub const FAILED: &str = "a thread failed";

impl Pipeline {
    /// Runs until the source ends or a stop is asked for. Every frame taken from the source has found its fate, and
    /// every verdict has reached `reporter`, when this returns; `observer` is called meanwhile. A thread that cannot be
    /// started or that panics, the caller's while it calls `observer` included, stops the others.
    pub fn run(self, shutdown: &Shutdown, reporter: &mut dyn Reporter, observer: &mut dyn RunObserver) -> RunEnd {
        let Pipeline { mut source, mut inspection, shedding, frames, telemetry } = self;
        let smaller = inspection.smaller.as_ref().map(|smaller| smaller.size);
        let (live, by_trigger, frame_size) = (source.is_live(), source.is_triggered(), source.frame_size());
        let slot = NewestFrame::new(frame_size);
        let progress = Progress::default();
        let pulse = Pulse::default();
        let (to_writer, messages) = sync_channel(QUEUE);
        let (give_back, used) = sync_channel(QUEUE + 1);
        for _ in 0..=QUEUE {
            // The channel was made to hold exactly these.
            let _ = give_back.try_send(inspection.new_report(frame_size));
        }
        let failures = to_writer.clone();
        let failure = std::thread::scope(|scope| {
            // Each thread owns its ends of the queues, so that they close when it ends, in order or not, or never starts.
            let (slot, progress, pulse, shedding, telemetry) = (&slot, &progress, &pulse, &*shedding, &telemetry);
            // However this ends, the scope waits for the threads that run.
            let _stop = StopAtEnd(shutdown);
            let start = move || {
                let capture = thread(scope, "capture", move || {
                    let _close = CloseAtEnd(slot);
                    let mut capture = Capture { slot, progress, pulse, shedding, shutdown, live, telemetry };
                    capture.run(source.as_mut(), smaller, frames, &failures);
                })?;
                let inspection = thread(scope, "inspection", move || {
                    // If inspection ends early the capture thread must not wait for an empty slot for ever.
                    let _stop = StopAtEnd(shutdown);
                    let mut thread = InspectionThread::new(inspection, live, by_trigger, shedding, telemetry);
                    thread.run(slot, progress, pulse, &used, &to_writer);
                })?;
                let writer = thread(scope, "writer", move || {
                    // While no frame comes nobody else would notice that it is gone.
                    let _stop = StopAtEnd(shutdown);
                    write(reporter, &messages, &give_back, progress);
                })?;
                std::io::Result::Ok([capture, inspection, writer])
            };
            let threads = match start() {
                Ok(threads) => threads,
                Err(error) => return Some((NOT_STARTED, error.to_string())),
            };
            let mut since = StatusInterval::new();
            let watched = catch_unwind(AssertUnwindSafe(|| {
                watch(&threads, pulse, progress, shutdown, &mut since, observer);
            }));
            let mut failed = watched.is_err().then_some("main");
            if failed.is_some() {
                shutdown.ask();
            }
            for (name, thread) in ["capture", "inspection", "writer"].into_iter().zip(threads) {
                failed = failed.or(thread.join().is_err().then_some(name));
            }
            failed.map(|name| (FAILED, describe_failure(name)))
        });
        let status = progress.status();
        if let Some((reason, failure)) = failure {
            return RunEnd { status, reason, failure: Some(failure) };
        }
        let reason = match frames {
            Some(frames) if status.counts.captured >= frames => "frame limit",
            _ if slot.source_ended() => "source ended",
            _ => "stop asked for",
        };
        RunEnd { status, reason, failure: None }
    }
}

/// Calls `observer` until the threads have ended.
fn watch(
    threads: &[ScopedJoinHandle<()>; THREADS],
    pulse: &Pulse,
    progress: &Progress,
    shutdown: &Shutdown,
    since: &mut StatusInterval,
    observer: &mut dyn RunObserver,
) {
    let [capture, inspection, _] = threads;
    let mut watch = pulse.watch();
    while !threads.iter().all(ScopedJoinHandle::is_finished) {
        std::thread::park_timeout(Duration::from_millis(20));
        let alive = watch.all_beat(|part| match part {
            WatchedThread::Capture => capture.is_finished(),
            WatchedThread::Inspection => inspection.is_finished(),
        });
        observer.poll(&progress.status(), alive, shutdown);
        if since.begun.elapsed() >= STATUS_EVERY {
            since.report(progress, observer);
        }
    }
    since.report(progress, observer);
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
            Ok(Message::InspectionFailed { report, cause, reason }) => {
                reporter.failed(&report.name, cause, &reason);
                let _ = give_back.try_send(report);
            }
            Ok(Message::CaptureFailed { name, reason }) => reporter.failed(&name, Cause::Frame, &reason),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        reporter.tick();
    }
}
