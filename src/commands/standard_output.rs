//! Standard output, whose errors name it: the reason alone, such as a disk without space, does not say where.

use crate::escape::{self, EscapingWriter};
use std::io::{self, StdoutLock, Write};

/// Where a command prints its result for people: nothing from outside reaches a terminal as a command to it. A name in a line is
/// to be [`one_line`](escape::one_line), too.
pub(super) fn stdout() -> EscapingWriter<NamedOutput<StdoutLock<'static>>> {
    EscapingWriter(NamedOutput(io::stdout().lock()))
}

/// Prints `value` as one JSON document on stdout.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(NamedOutput(io::stdout().lock()), "{}", escape::json(&text))?;
    Ok(())
}

/// A writer whose errors begin with `stdout: `. Their kinds stay: that the reader went away is no failure.
pub(super) struct NamedOutput<W>(W);

impl<W: Write> Write for NamedOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(named)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(named)
    }
}

fn named(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("stdout: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    struct Broken(i32);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(self.0))
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::Error::from_raw_os_error(self.0))
        }
    }

    #[test]
    fn an_error_names_the_output_and_keeps_its_kind() {
        type Attempt = fn(&mut NamedOutput<Broken>) -> io::Result<()>;
        let error = EscapingWriter(NamedOutput(Broken(Errno::NOSPC.raw_os_error()))).write_all(b"x").unwrap_err();
        assert!(error.to_string().starts_with("stdout: No space left on device"), "{error}");
        let attempts: [Attempt; 3] = [|out| out.write(b"x").map(|_| ()), |out| out.write_all(b"x"), |out| out.flush()];
        for attempt in attempts {
            let error = attempt(&mut NamedOutput(Broken(Errno::PIPE.raw_os_error()))).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(super::super::exit_code(&error.into()), 0);
        }
    }
}
