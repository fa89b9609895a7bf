//! Where the bytes of an input come from: a file, standard input, or `journalctl`.

use crate::input::{LogSource, decompressed, open_log};
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

/// Opens a source; `read` counts the bytes of files. With a child, which has to be waited for.
pub(super) fn open(source: &LogSource, read: &Rc<Cell<u64>>) -> io::Result<(Box<dyn Read>, Option<Child>)> {
    match source {
        LogSource::File(path) => {
            let file = open_log(path)?;
            Ok((decompressed(Box::new(CountingReader { stream: file, read: read.clone() }))?, None))
        }
        LogSource::Stdin => Ok((decompressed(Box::new(io::stdin()))?, None)),
        LogSource::PassedOver { .. } => Ok((Box::new(io::empty()), None)),
        LogSource::Journal(arguments) => {
            let child =
                Command::new("journalctl").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let mut child = child.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => io::Error::other(
                    "there is no journalctl on this machine: run `journalctl -o export > FILE` on the board, and read that file",
                ),
                _ => io::Error::other(format!("journalctl: {error}")),
            })?;
            let stream = child.stdout.take().ok_or_else(|| io::Error::other("journalctl: no output"))?;
            Ok((Box::new(stream), Some(child)))
        }
    }
}

/// The error output of `journalctl`, and whether it failed.
pub(super) fn wait_for_child(child: &mut Child) -> (Option<String>, bool) {
    let mut message = String::new();
    if let Some(stderr) = &mut child.stderr {
        let _ = stderr.take(4096).read_to_string(&mut message);
    }
    let message = message.lines().next().unwrap_or_default().to_string();
    match child.wait() {
        Ok(status) if status.success() => {
            ((!message.is_empty()).then(|| format!("journalctl reports: {message}")), false)
        }
        Ok(status) => (Some(format!("journalctl ended with {status}: {message}")), true),
        Err(error) => (Some(format!("journalctl: {error}")), true),
    }
}

/// Counts what is read of a file.
struct CountingReader {
    stream: File,
    read: Rc<Cell<u64>>,
}

impl Read for CountingReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(into)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}
