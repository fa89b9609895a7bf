//! What a line prints: its verdicts and the sum at the end. Whoever reads it may stop to (Ctrl-S, a paused `less`).

use crate::pipeline::Shutdown;
use crate::threads::NonBlocking;
use crate::times::LAST_LINES;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The name of its thread.
pub(super) const CONSOLE_THREAD: &str = "console";

/// Prints from a thread of its own.
pub(super) struct Console {
    output: NonBlocking<String>,
    /// Nobody reads any more, and nobody will.
    reader_gone: Arc<AtomicBool>,
    dropped: AtomicU64,
}

impl Console {
    /// Prints to `out`.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn start(mut out: Box<dyn Write + Send>) -> io::Result<Console> {
        let reader_gone = Arc::<AtomicBool>::default();
        let gone = Arc::clone(&reader_gone);
        let print = move |line: String| {
            if !gone.load(Relaxed) && out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                gone.store(true, Relaxed);
            }
        };
        let output = NonBlocking::start(CONSOLE_THREAD, print)?;
        Ok(Console { output, reader_gone, dropped: AtomicU64::new(0) })
    }

    /// Prints a line; drops and counts it where too many wait.
    pub(super) fn print(&self, line: String) {
        if self.output.push(line + "\n").is_err() && !self.is_reader_gone() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Prints a line as soon as there is room for it, or drops it where a stop is asked for before.
    pub(super) fn print_patiently(&self, line: String, shutdown: &Shutdown) {
        let give_up = || self.is_reader_gone() || shutdown.is_asked();
        if self.output.push_patiently(line + "\n", give_up).is_err() && !self.is_reader_gone() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until all is printed; after a signal not longer than the output takes something.
    pub(super) fn flush(&self, shutdown: &Shutdown) {
        if !self.output.flush(|| shutdown.is_signalled()) {
            self.output.flush_unless_hanging(LAST_LINES);
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_reader_gone(&self) -> bool {
        self.reader_gone.load(Relaxed)
    }

    /// Lines that were dropped so far, because whoever reads did not take the ones before.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Whether its thread has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.output.has_failed()
    }
}
