//! What the writer thread receives, and the way there.

use super::{Progress, Report};
use crate::source::Receipt;
use crate::telemetry::Cause;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

/// Verdicts that may wait for the writer.
pub const QUEUE: usize = 4;

/// How often a thread that waits for the writer looks again.
const LOOK: Duration = Duration::from_millis(2);

pub(super) enum Message {
    /// A frame was judged.
    Verdict(Box<Report>),
    /// A frame could not be judged; its report carries the name and goes back to inspection.
    InspectionFailed { report: Box<Report>, cause: Cause, reason: String },
    /// The source could not deliver a frame.
    CaptureFailed { name: String, reason: String, receipt: Option<Receipt> },
}

/// The way to the writer. A disk may hang for half a minute: where the source has a pace of its own nobody waits for it, and what
/// finds no room is dropped and counted. Where frames can wait, as those of a folder can, they do.
#[derive(Clone)]
pub(super) struct ToWriter {
    pub(super) sender: SyncSender<Message>,
    pub(super) live: bool,
    pub(super) progress: Arc<Progress>,
    /// The run is to end and the writer hangs: nobody waits for it any longer.
    pub(super) abandoned: Arc<AtomicBool>,
}

impl ToWriter {
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }

    /// Sends a message; `wait` is called while it must wait. Returns one that found no room.
    pub(super) fn send(&self, mut message: Message, wait: impl Fn()) -> Result<(), Message> {
        let is_evidence = matches!(&message, Message::Verdict(report) if report.is_evidence());
        if is_evidence {
            // Before the writer can have it, so that what waits is never less than nothing.
            self.progress.hand_over();
        }
        loop {
            message = match self.sender.try_send(message) {
                Err(TrySendError::Full(message)) if !self.live && !self.is_abandoned() => message,
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                    if is_evidence {
                        self.progress.take_back();
                    }
                    return Err(message);
                }
            };
            wait();
            std::thread::sleep(LOOK);
        }
    }
}
