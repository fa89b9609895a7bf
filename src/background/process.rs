//! The line's side of a process in the background.

use super::{IN_BACKGROUND, OF_THE_MANAGER};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// The most warnings that are kept, and the longest one, in bytes.
pub const WARNINGS: usize = 20;
const LONGEST_TEXT: usize = 400;
/// The longest report, and the longest line of the log, in bytes; what is longer is cut.
const LONGEST_REPORT: usize = 64 << 10;
const LONGEST_LINE: usize = 8 << 10;
/// What commands report progress of.
const STEPS: [&str; 4] = ["aligning", "looking", "learning", "judging"];

/// How far a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackgroundProgress {
    /// What it does: `aligning`, `looking`, `learning`, `judging`.
    pub step: &'static str,
    /// How much of that is done.
    pub percent: u8,
}

/// A command that works in the background. Dropping it ends it.
pub struct BackgroundProcess {
    child: Child,
    /// Held open: its end is the sign to end.
    _stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: ChildStderr,
    report: Vec<u8>,
    heard: Heard,
}

/// What was heard from its stderr.
#[derive(Default)]
struct Heard {
    begun: Vec<u8>,
    progress: Option<BackgroundProgress>,
    warnings: Vec<String>,
    warned: u64,
    /// The reason of a failure.
    problem: Option<String>,
}

/// A line of the log, as far as it matters here.
#[derive(Deserialize)]
struct LogLine {
    level: String,
    record: String,
    #[serde(default)]
    percent: u8,
}

impl BackgroundProcess {
    /// Starts this program with a command, whose heap may hold so many bytes.
    ///
    /// # Errors
    /// Where there can be no more process, or no pipe.
    pub fn start(memory: u64, command: &[OsString]) -> io::Result<BackgroundProcess> {
        // Also where its file was replaced meanwhile.
        let mut program = Command::new("/proc/self/exe");
        program.arg0("lineside").args([IN_BACKGROUND, &memory.to_string(), "--log-format", "json"]).args(command);
        // What is typed at the line's terminal is for the line, which decides.
        program.env("LINESIDE_LOG", "info").process_group(0);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in OF_THE_MANAGER {
            program.env_remove(name);
        }
        let mut child = program.spawn()?;
        let stdin = child.stdin.take();
        let Some((stdout, stderr)) = child.stdout.take().zip(child.stderr.take()) else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        let process =
            BackgroundProcess { child, _stdin: stdin, stdout, stderr, report: Vec::new(), heard: Heard::default() };
        without_waiting(&process.stdout)?;
        without_waiting(&process.stderr)?;
        Ok(process)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads what it says, without waiting. Where it has ended: its report, or why it failed, in one line.
    pub fn poll(&mut self) -> Option<Result<String, String>> {
        // Before it is read: what it has said by then is all.
        let status = self.child.try_wait();
        read_all(&mut self.stdout, |bytes| {
            let room = LONGEST_REPORT.saturating_sub(self.report.len());
            self.report.extend_from_slice(&bytes[..bytes.len().min(room)]);
        });
        read_all(&mut self.stderr, |bytes| self.heard.hear(bytes));
        match status {
            Ok(None) => None,
            Ok(Some(status)) if status.success() => Some(Ok(String::from_utf8_lossy(&self.report).into_owned())),
            Ok(Some(status)) => Some(Err(self.heard.problem.take().unwrap_or_else(|| describe(status)))),
            Err(error) => Some(Err(format!("nothing is known of its process: {error}"))),
        }
    }

    /// How far it is, once it has said so.
    pub fn progress(&self) -> Option<BackgroundProgress> {
        self.heard.progress
    }

    /// What it has warned of, the first [`WARNINGS`] of it, and how often it has.
    pub fn warnings(&self) -> (&[String], u64) {
        (&self.heard.warnings, self.heard.warned)
    }
}

impl Drop for BackgroundProcess {
    fn drop(&mut self) {
        // Nothing that it writes counts before the line has it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Heard {
    fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                self.take(String::from_utf8_lossy(&line).trim_end());
            }
        }
    }

    fn take(&mut self, line: &str) {
        let Ok(LogLine { level, record, percent }) = serde_json::from_str(line) else {
            if let Some(problem) = line.strip_prefix("lineside: ") {
                self.problem = Some(cut(problem));
            }
            return;
        };
        if level == "warn" || level == "error" {
            self.warned += 1;
            if self.warnings.len() < WARNINGS {
                self.warnings.push(cut(&record));
            }
        } else if let Some(step) = STEPS.into_iter().find(|step| *step == record) {
            self.progress = Some(BackgroundProgress { step, percent: percent.min(100) });
        }
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(LONGEST_TEXT)).unwrap_or_default().into()
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "it was killed, perhaps by the kernel for a lack of memory".into(),
        (Some(signal), _) => format!("it was ended by signal {signal}"),
        (None, code) => format!("it ended with status {}", code.unwrap_or_default()),
    }
}

fn read_all(pipe: &mut impl Read, mut take: impl FnMut(&[u8])) {
    let mut bytes = [0; 4096];
    loop {
        match pipe.read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => take(&bytes[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn without_waiting(pipe: impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_warnings_and_the_reason_are_heard_however_they_are_cut() {
        let said = "{\"time\":\"x\",\"level\":\"info\",\"record\":\"looking\",\"percent\":10,\"seconds_left\":3}\n\
                    {\"level\":\"warn\",\"record\":\"a.png: é; left out\"}\n{\"level\":\"info\",\"record\":\"resuming\"}\nnoise\n\
                    {\"level\":\"info\",\"record\":\"learning\",\"percent\":250}\nlineside: it is over: é\n";
        for piece in [1, 3, 1000] {
            let mut heard = Heard::default();
            said.as_bytes().chunks(piece).for_each(|bytes| heard.hear(bytes));
            assert_eq!(heard.progress, Some(BackgroundProgress { step: "learning", percent: 100 }));
            assert_eq!((heard.warnings, heard.warned), (vec!["a.png: é; left out".into()], 1));
            assert_eq!(heard.problem.as_deref(), Some("it is over: é"));
        }
    }

    #[test]
    fn what_is_too_long_or_too_much_is_cut() {
        let mut heard = Heard::default();
        let warning = format!("{{\"level\":\"warn\",\"record\":\"{}\"}}\n", "é".repeat(1000));
        (0..2 * WARNINGS).for_each(|_| heard.hear(warning.as_bytes()));
        assert_eq!((heard.warnings.len(), heard.warned), (WARNINGS, 2 * WARNINGS as u64));
        assert!(heard.warnings.iter().all(|warning| warning.len() == LONGEST_TEXT));
        heard.hear(&[b'x'; 3 * LONGEST_LINE]);
        assert_eq!(heard.begun.len(), LONGEST_LINE);
        heard.hear(b"\nlineside: no\n");
        assert_eq!(heard.problem.as_deref(), Some("no"));
    }

    #[test]
    fn an_end_is_described() {
        assert!(describe(ExitStatus::from_raw(9)).contains("lack of memory"));
        assert_eq!(describe(ExitStatus::from_raw(11)), "it was ended by signal 11");
        assert_eq!(describe(ExitStatus::from_raw(2 << 8)), "it ended with status 2");
    }
}
