//! What a program writes to its standard error, as lines of the log.

use super::command::ProcessCommand;
use crate::telemetry::Telemetry;

/// The most bytes of a line; what is longer is cut.
const LINE: usize = 400;

/// Lines on their way to the log, which lets so many of them pass.
pub(super) struct OutputLines {
    name: String,
    /// Knows what must not be in the log.
    command: ProcessCommand,
    line: Vec<u8>,
    /// Bytes of the line that did not fit.
    cut: usize,
    last: String,
    telemetry: Telemetry,
}

impl OutputLines {
    /// Lines of the source called `name`.
    pub(super) fn new(name: &str, command: ProcessCommand, telemetry: Telemetry) -> OutputLines {
        OutputLines {
            name: name.into(),
            command,
            line: Vec::with_capacity(LINE),
            cut: 0,
            last: String::new(),
            telemetry,
        }
    }

    /// Takes bytes; each line end, or carriage return, ends a line.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                self.log();
            } else if self.line.len() < LINE {
                self.line.push(byte);
            } else {
                self.cut += 1;
            }
        }
    }

    /// The last line, also one that has not ended.
    pub(super) fn last(mut self) -> Option<String> {
        self.log();
        Some(self.last).filter(|last| !last.is_empty())
    }

    fn log(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        if !text.trim().is_empty() {
            let more = if self.cut > 0 { format!(" [{} bytes more]", self.cut) } else { String::new() };
            self.last = self.command.without_secrets(text.trim()) + &more;
            let record = self.telemetry.info("source_output").with("source", self.name.as_str());
            self.telemetry.log_limited(record.with("line", self.last.as_str()));
        }
        self.line.clear();
        self.cut = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{LogFormat, LogSettings, LogTarget};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_cut_escaped_limited_and_without_secrets() {
        let log = Log::default();
        let target = LogTarget::Writer(Box::new(log.clone()));
        let telemetry = Telemetry::new(LogSettings { format: LogFormat::Text, filter: None, target });
        let command = ProcessCommand { secrets: vec!["pass word".into()], ..ProcessCommand::default() };
        let mut lines = OutputLines::new("cam", command, telemetry.clone());
        lines.push(b"\r\n\n  two \rparts rtsp://u:pass wo");
        lines.push(b"rd@h \x1b[2J\xff\n");
        lines.push(&[b'x'; 1000]);
        // A flood is limited outside of a run, too.
        (0..1000).for_each(|_| lines.push(b"\nflood"));
        assert_eq!(lines.last().as_deref(), Some("flood"));
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let at = |number: usize| text.lines().nth(number).unwrap();
        assert!(at(0).ends_with("source=cam line=two"), "{text}");
        assert!(at(1).contains("parts rtsp://u:***@h \\u{1b}[2J\u{fffd}"), "{text}");
        assert!(at(2).ends_with("xxx [600 bytes more]\""), "{text}");
        assert!(text.lines().count() < 70 && telemetry.suppressed_log_lines() > 900, "{text}");
    }
}
