//! Lines whose edges are read: the trigger and the encoder.

use crate::board::{EDGE_BATCH, Edges, LineEdge};
use crate::telemetry::{Cause, Telemetry};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// A line that is gone is tried again after this time.
pub(super) const RETRY: Duration = Duration::from_millis(20);

/// Edges of a line, for a thread that waits for several things.
pub trait EdgeInput: Send {
    /// Readable while edges wait.
    fn fd(&self) -> BorrowedFd<'_>;

    /// The edges that wait, the oldest first; returns how many. Does not wait.
    ///
    /// # Errors
    /// In one line, where the line is gone.
    fn read(&mut self, edges: &mut [LineEdge; EDGE_BATCH]) -> Result<usize, String>;

    /// The chip and number of the line, for messages.
    fn line_name(&self) -> &str;
}

impl EdgeInput for Edges {
    fn fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn read(&mut self, edges: &mut [LineEdge; EDGE_BATCH]) -> Result<usize, String> {
        Edges::read(self, edges)
    }

    fn line_name(&self) -> &str {
        Edges::line_name(self)
    }
}

/// An input, and whether it works.
pub(super) struct InputLine {
    pub input: Box<dyn EdgeInput>,
    pub name: &'static str,
    pub cause: Cause,
    pub telemetry: Telemetry,
    /// It is gone, and tried again then.
    pub retry_at: Option<Instant>,
}

impl InputLine {
    /// How many edges were read; `None` while it is gone.
    pub fn read(&mut self, edges: &mut [LineEdge; EDGE_BATCH], now: Instant) -> Option<usize> {
        if self.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        match self.input.read(edges) {
            Ok(count) => {
                self.retry_at = None;
                self.telemetry.resolve(self.cause);
                Some(count)
            }
            Err(failure) => {
                let text = format!("{} at {}: {failure}", self.name, self.input.line_name());
                self.telemetry.fail(self.cause, &text);
                self.retry_at = Some(now + RETRY);
                None
            }
        }
    }
}

/// Room for edges.
pub(super) fn no_edges() -> [LineEdge; EDGE_BATCH] {
    [LineEdge { at: Instant::now(), lost: 0 }; EDGE_BATCH]
}
