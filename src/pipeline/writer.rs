//! The writer thread: what it does with each message, and when a stop waits for it no longer.

use super::message::Message;
use super::{Progress, Report, Shutdown};
use crate::source::Settled;
use crate::telemetry::Cause;
use crate::threads::{Activity, ThreadId, not_started};
use crate::times::{BEAT, HANGING_WRITER};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

/// The stack of each thread of the pipeline, in bytes.
pub const STACK: usize = 1 << 20;

/// What is done with each verdict, on the writer thread.
pub trait Reporter: Send {
    /// A frame was judged. Returns whether all that is to be kept of it is kept: only then its source may let go of it.
    fn verdict(&mut self, report: &Report) -> bool;
    /// A frame could not be had or judged, or the model failed.
    fn failed(&mut self, name: &str, cause: Cause, reason: &str);
    /// After each of these, and ten times a second where there is none.
    fn tick(&mut self) {}
    /// A count of the steps that it has finished, such as files written: a stop waits as long as it grows. Asked for once.
    fn steps(&self) -> Arc<AtomicU64> {
        Arc::default()
    }
}

/// The queues between inspection and the writer, as the writer has them.
pub(super) struct WriterQueues {
    pub(super) messages: Receiver<Message>,
    /// Reports go back this way.
    pub(super) give_back: SyncSender<Box<Report>>,
    pub(super) progress: Arc<Progress>,
    /// Asked to stop when the writer ends: while no frame comes nobody else would notice that it is gone.
    pub(super) shutdown: Shutdown,
}

/// The writer, as the thread that started it sees it. It is not one of the scope's threads: those are waited for, whatever
/// they do.
pub(super) struct WriterThread<R> {
    thread: JoinHandle<Option<Written<R>>>,
    id: ThreadId,
    steps: Arc<AtomicU64>,
    /// It waits for a message.
    has_nothing_to_do: Arc<AtomicBool>,
    /// Watched from the moment a stop is asked for.
    activity: Option<Activity>,
}

/// What a writer leaves: its reporter, and whether that panicked.
struct Written<R> {
    reporter: R,
    has_failed: bool,
}

impl<R: Reporter + 'static> WriterThread<R> {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where it cannot be started; the reporter comes back.
    pub(super) fn start(reporter: R, queues: WriterQueues) -> Result<WriterThread<R>, (R, std::io::Error)> {
        let steps = reporter.steps();
        let id = ThreadId::default();
        let (hand_over, handed_over) = sync_channel::<R>(1);
        let (its_id, has_nothing_to_do) = (id.clone(), Arc::<AtomicBool>::default());
        let waits = Arc::clone(&has_nothing_to_do);
        let work = move || {
            its_id.announce();
            let mut reporter = handed_over.recv().ok()?;
            let written = catch_unwind(AssertUnwindSafe(|| write(&mut reporter, &queues, &waits)));
            queues.shutdown.ask();
            Some(Written { reporter, has_failed: written.is_err() })
        };
        match Builder::new().name("writer".into()).stack_size(STACK).spawn(work) {
            Ok(thread) => {
                // The thread waits for exactly this.
                let _ = hand_over.send(reporter);
                Ok(WriterThread { thread, id, steps, has_nothing_to_do, activity: None })
            }
            Err(error) => Err((reporter, not_started("writer", &error))),
        }
    }

    /// Whether the thread has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Whether it has hung for longer than a stop waits; to be called many times a second once a stop is asked for. A slow disk
    /// is waited for, and a busy machine. While inspection still judges the last frame the writer has nothing to do: that is no
    /// hanging disk.
    pub(super) fn hangs(&mut self) -> bool {
        if self.has_nothing_to_do.load(Relaxed) {
            self.activity = None;
            return false;
        }
        let activity = self.activity.get_or_insert_with(|| Activity::of(&self.id));
        activity.idle(self.steps.load(Relaxed)) >= HANGING_WRITER
    }

    /// Its reporter and whether that panicked, where the thread has ended.
    pub(super) fn finish(self) -> Option<(R, bool)> {
        let written = if self.is_finished() { self.thread.join().ok().flatten() } else { None };
        written.map(|written| (written.reporter, written.has_failed))
    }
}

/// Works until the other ends of the queue are gone.
fn write(reporter: &mut dyn Reporter, queues: &WriterQueues, waits: &AtomicBool) {
    let WriterQueues { messages, give_back, progress, .. } = queues;
    loop {
        waits.store(true, Relaxed);
        let message = messages.recv_timeout(BEAT);
        waits.store(false, Relaxed);
        match message {
            Ok(Message::Verdict(mut report)) => {
                let begun = Instant::now();
                let is_kept = reporter.verdict(&report);
                progress.wrote(report.is_evidence(), begun.elapsed());
                // A file whose verdict is not kept waits for the next start.
                if let Some(receipt) = report.receipt.take().filter(|_| is_kept) {
                    receipt.settle(Settled::Recorded);
                }
                // Inspection may be gone already; its reports then end here.
                let _ = give_back.try_send(report);
            }
            Ok(Message::InspectionFailed { mut report, cause, reason }) => {
                reporter.failed(&report.name, cause, &reason);
                // Where the model failed it is no fault of the frame's.
                if let Some(receipt) =
                    report.receipt.take().filter(|_| matches!(cause, Cause::Frame | Cause::FrameSize))
                {
                    receipt.settle(Settled::Failed);
                }
                let _ = give_back.try_send(report);
            }
            Ok(Message::CaptureFailed { name, reason, receipt }) => {
                reporter.failed(&name, Cause::Frame, &reason);
                if let Some(receipt) = receipt {
                    receipt.settle(Settled::Failed);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        reporter.tick();
    }
}
