//! What a line prints: its verdicts and the sum at the end. Whoever reads it may stop to (Ctrl-S, a paused `less`).

use crate::escape;
use crate::pipeline::Shutdown;
use crate::threads::NonBlocking;
use crate::times::LAST_LINES;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The name of its thread.
pub(super) const CONSOLE_THREAD: &str = "console";

/// What a line is about, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Normal,
    Defect,
    Failed,
}

impl Tone {
    /// What makes a terminal show it.
    fn style(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Normal => "\x1b[32m",
            Tone::Defect => "\x1b[1;31m",
            Tone::Failed => "\x1b[33m",
        }
    }
}

/// Prints from a thread of its own. Nothing that is printed reaches a terminal as a command to it.
pub(super) struct Console {
    output: NonBlocking<(String, Tone)>,
    /// Nobody reads any more, and nobody will.
    reader_gone: Arc<AtomicBool>,
    dropped: AtomicU64,
}

impl Console {
    /// Prints to `out`, in colours where `coloured`.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn start(mut out: Box<dyn Write + Send>, coloured: bool) -> io::Result<Console> {
        let reader_gone = Arc::<AtomicBool>::default();
        let gone = Arc::clone(&reader_gone);
        let print = move |(line, tone): (String, Tone)| {
            if !gone.load(Relaxed) && out.write_all(&painted(&line, tone, coloured)).and_then(|()| out.flush()).is_err()
            {
                gone.store(true, Relaxed);
            }
        };
        let output = NonBlocking::start(CONSOLE_THREAD, print)?;
        Ok(Console { output, reader_gone, dropped: AtomicU64::new(0) })
    }

    /// Prints a line; drops and counts it where too many wait.
    pub(super) fn print(&self, line: String, tone: Tone) {
        if self.output.push((line, tone)).is_err() && !self.is_reader_gone() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Prints a line as soon as there is room for it, or drops it where a stop is asked for before.
    pub(super) fn print_patiently(&self, line: String, tone: Tone, shutdown: &Shutdown) {
        let give_up = || self.is_reader_gone() || shutdown.is_asked();
        if self.output.push_patiently((line, tone), give_up).is_err() && !self.is_reader_gone() {
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

/// What is written: the text escaped, around it the style, a line end.
fn painted(text: &str, tone: Tone, coloured: bool) -> Vec<u8> {
    let style = if coloured { tone.style() } else { "" };
    let reset = if style.is_empty() { "" } else { "\x1b[0m" };
    format!("{style}{}{reset}\n", escape::lines(text)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_ours_and_what_comes_from_outside_is_harmless() {
        assert_eq!(painted("a\x1b[2J.png DEFECT", Tone::Defect, true), b"\x1b[1;31ma\\u{1b}[2J.png DEFECT\x1b[0m\n");
        assert_eq!(painted("a.png DEFECT", Tone::Defect, false), b"a.png DEFECT\n");
        assert_eq!(painted("1 frames\n2 defects", Tone::Plain, true), b"1 frames\n2 defects\n");
    }
}
