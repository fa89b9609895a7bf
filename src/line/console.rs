//! What a line prints: its verdicts and the sum at the end. Whoever reads it may stop to (Ctrl-S, a paused `less`).

use crate::escape;
use crate::pipeline::Shutdown;
use crate::threads::NonBlocking;
use crate::times::LAST_LINES;
use rustix::io::Errno;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed};

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

/// A line on its way, and where it is counted when it cannot be written.
struct PrintedLine {
    text: String,
    tone: Tone,
    dropped: Arc<AtomicU64>,
}

/// Prints from a thread of its own. Nothing that is printed reaches a terminal as a command to it.
pub(super) struct Console {
    output: Arc<NonBlocking<PrintedLine>>,
    /// Nobody reads any more, and nobody will.
    reader_gone: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
    /// The error number of the last line that could not be written; 0 before.
    error: Arc<AtomicI32>,
    /// Before each line about a frame: the camera, where a file has several.
    prefix: String,
}

impl Console {
    /// Prints to `out`, in colours where `coloured`.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn start(mut out: Box<dyn Write + Send>, coloured: bool) -> io::Result<Console> {
        let (reader_gone, dropped) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let error = Arc::<AtomicI32>::default();
        let (gone, number) = (Arc::clone(&reader_gone), Arc::clone(&error));
        let print = move |PrintedLine { text: line, tone, dropped: unwritten }: PrintedLine| {
            if gone.load(Relaxed) {
                return;
            }
            match out.write_all(&painted(&line, tone, coloured)).and_then(|()| out.flush()) {
                Ok(()) => (),
                Err(error) if is_end(&error) => gone.store(true, Relaxed),
                // A disk that is full may take the next line.
                Err(error) => {
                    unwritten.fetch_add(1, Relaxed);
                    number.store(error.raw_os_error().unwrap_or(0), Relaxed);
                }
            }
        };
        let output = Arc::new(NonBlocking::start(CONSOLE_THREAD, print)?);
        Ok(Console { output, reader_gone, dropped, error, prefix: String::new() })
    }

    /// The same output for one of several cameras, with a count of its own.
    pub(super) fn of_camera(&self, name: &str) -> Console {
        let (output, reader_gone, error) =
            (Arc::clone(&self.output), Arc::clone(&self.reader_gone), Arc::clone(&self.error));
        Console { output, reader_gone, dropped: Arc::default(), error, prefix: format!("{name}: ") }
    }

    /// What stands before each line about a frame.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn line(&self, text: String, tone: Tone) -> PrintedLine {
        PrintedLine { text, tone, dropped: Arc::clone(&self.dropped) }
    }

    /// Prints a line; drops and counts it where too many wait.
    pub(super) fn print(&self, line: String, tone: Tone) {
        if self.output.push(self.line(line, tone)).is_err() && !self.is_reader_gone() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Prints a line as soon as there is room for it, or drops it where a stop is asked for before.
    pub(super) fn print_patiently(&self, line: String, tone: Tone, shutdown: &Shutdown) {
        let give_up = || self.is_reader_gone() || shutdown.is_asked();
        if self.output.push_patiently(self.line(line, tone), give_up).is_err() && !self.is_reader_gone() {
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

    /// Lines that were dropped so far, because whoever reads did not take the ones before, or the output none.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Why lines were dropped, in words.
    pub(super) fn trouble(&self) -> String {
        match self.error.load(Relaxed) {
            0 => "whoever reads stdout does not".into(),
            number => format!("stdout takes none: {}", io::Error::from_raw_os_error(number)),
        }
    }

    /// Whether its thread has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.output.has_failed()
    }
}

/// Whether nobody will ever read what is written: the other end of a pipe was closed, a terminal hung up.
fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(Errno::IO.raw_os_error())
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
    fn lines_that_the_output_does_not_take_are_counted_and_of_a_reader_that_is_gone_none() {
        struct Failing(io::Error);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(self.0.raw_os_error().unwrap()))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for (errno, dropped) in [(Errno::NOSPC, 3), (Errno::PIPE, 0), (Errno::IO, 0)] {
            let console = Console::start(Box::new(Failing(errno.into())), false).unwrap();
            (0..3).for_each(|_| console.print("a line".into(), Tone::Plain));
            console.flush(&Shutdown::default());
            assert_eq!((console.dropped(), console.is_reader_gone()), (dropped, dropped == 0), "{errno}");
            assert_eq!(console.trouble().contains("No space left"), dropped > 0, "{}", console.trouble());
        }
    }

    #[test]
    fn colours_are_ours_and_what_comes_from_outside_is_harmless() {
        assert_eq!(painted("a\x1b[2J.png DEFECT", Tone::Defect, true), b"\x1b[1;31ma\\u{1b}[2J.png DEFECT\x1b[0m\n");
        assert_eq!(painted("a.png DEFECT", Tone::Defect, false), b"a.png DEFECT\n");
        assert_eq!(painted("1 frames\n2 defects", Tone::Plain, true), b"1 frames\n2 defects\n");
    }
}
