//! The thread that reads what a program writes: frames from its standard output, lines from its standard error. It always reads
//! both, so that neither a slow line nor a talkative program holds the program up.

use super::child::{RunningProgram, describe_status};
use super::command::ProcessCommand;
use super::exchange::FrameExchange;
use super::framer::Framer;
use super::lines::OutputLines;
use super::stream_mode::StreamMode;
use crate::source::camera::{CameraError, CameraErrorKind};
use crate::telemetry::Telemetry;
use crate::threads::not_started;
use crate::times::{BEAT, CHILD_END};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

/// The name of the thread.
const NAME: &str = "process";
/// Its stack, in bytes.
const STACK: usize = 1 << 18;
/// Bytes that are read at once, as many as a pipe holds.
const CHUNK: usize = 1 << 16;

/// What the thread holds beside the frames' buffers, in bytes.
pub const READER_BYTES: usize = STACK + CHUNK;

/// The thread of a running program. Dropping it ends the program.
pub(super) struct StreamReader {
    /// The thread ends when this is closed.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread works with.
struct Reading {
    name: String,
    program: RunningProgram,
    framer: Framer,
    frame_bytes: usize,
    frame: Vec<u8>,
    lines: OutputLines,
    exchange: Arc<FrameExchange>,
}

impl StreamReader {
    /// Starts the program, whose file is at `path`, and the thread that reads it.
    ///
    /// # Errors
    /// [`CameraErrorKind::Driver`] where there can be no more process or thread.
    pub(super) fn start(
        name: &str,
        (path, command): (&Path, &ProcessCommand),
        mode: StreamMode,
        exchange: Arc<FrameExchange>,
        telemetry: &Telemetry,
    ) -> Result<StreamReader, CameraError> {
        let failed =
            |error: io::Error| CameraError::new(CameraErrorKind::Driver, name, format_args!("starting it: {error}"));
        let program = RunningProgram::start(path, command).map_err(failed)?;
        let (stop, stopped) = UnixStream::pair().map_err(failed)?;
        let reading = Reading {
            name: name.into(),
            program,
            framer: Framer::new(mode),
            frame_bytes: mode.frame_bytes(),
            frame: exchange.buffer(),
            lines: OutputLines::new(name, command.clone(), telemetry.clone()),
            exchange,
        };
        let thread = Builder::new().name(NAME.into()).stack_size(STACK).spawn(move || reading.run(&stopped));
        let thread = thread.map_err(|error| failed(not_started(NAME, &error)))?;
        Ok(StreamReader { stop: Some(stop), thread: Some(thread) })
    }

    /// A panic of the thread goes on in the caller's.
    pub(super) fn check(&mut self) {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic was reported by its own message.
            let _ = thread.join();
        }
    }
}

impl Reading {
    /// Reads until the program ends, sends what cannot be read, or is no longer wanted.
    fn run(mut self, stopped: &UnixStream) {
        let end = self.read(stopped);
        let Reading { name, mut program, exchange, frame, lines, .. } = self;
        if let Some(end) = end {
            let error = match end {
                StreamEnd::Ended => {
                    let status =
                        program.wait(CHILD_END).map_or_else(|| "it sends nothing more".into(), describe_status);
                    let cut = if frame.is_empty() {
                        String::new()
                    } else {
                        format!(" in the middle of a frame, after {} of {} bytes", frame.len(), self.frame_bytes)
                    };
                    let last = lines.last().map_or_else(String::new, |last| format!(", its last line: {last}"));
                    let problem =
                        format!("{status}{cut}{last}; `lineside check` prints its command, to try it by hand");
                    CameraError::new(CameraErrorKind::Ended, &name, problem)
                }
                StreamEnd::Unreadable(problem) => CameraError::new(CameraErrorKind::NoSuchMode, &name, problem),
            };
            // A frame that was cut short counts as one that failed.
            if frame.is_empty() {
                exchange.give_back(frame)
            } else {
                exchange.put(frame)
            }
            exchange.end(error);
        } else {
            exchange.give_back(frame);
        }
    }

    /// Why there is nothing more to read; `None` where it is not wanted any more.
    fn read(&mut self, stopped: &UnixStream) -> Option<StreamEnd> {
        let timeout = Timespec::try_from(BEAT).ok()?;
        let mut chunk = vec![0; CHUNK];
        let (mut stdout_open, mut stderr_open) = (true, true);
        loop {
            let flags = |open| if open { PollFlags::IN } else { PollFlags::empty() };
            let mut ready = [
                PollFd::new(stopped, PollFlags::IN),
                PollFd::new(&self.program.stdout, flags(stdout_open)),
                PollFd::new(&self.program.stderr, flags(stderr_open)),
            ];
            // What is closed would be ready all the time; with both closed the program is over.
            let count = match (stdout_open, stderr_open) {
                (false, false) => return Some(StreamEnd::Ended),
                (true, true) => 3,
                (true, false) => 2,
                (false, true) => {
                    ready.swap(1, 2);
                    2
                }
            };
            let polled = poll(&mut ready[..count], Some(&timeout));
            let is_ready = |at: usize| polled.is_ok() && !ready[at].revents().is_empty();
            if is_ready(0) {
                return None;
            }
            let idle = matches!(polled, Ok(0));
            if stdout_open {
                match self.program.stdout.read(&mut chunk) {
                    Ok(0) => stdout_open = false,
                    Ok(length) => {
                        if let Err(problem) = self.cut(&chunk[..length]) {
                            return Some(StreamEnd::Unreadable(problem));
                        }
                    }
                    Err(error) => stdout_open = goes_on(&error),
                }
            }
            if stderr_open {
                match self.program.stderr.read(&mut chunk[..4096]) {
                    Ok(0) => stderr_open = false,
                    Ok(length) => self.lines.push(&chunk[..length]),
                    Err(error) => stderr_open = goes_on(&error),
                }
            }
            // Something that it started may keep the pipes open.
            if idle && self.program.status().is_some() {
                return Some(StreamEnd::Ended);
            }
        }
    }

    fn cut(&mut self, mut input: &[u8]) -> Result<(), String> {
        while !input.is_empty() {
            let (used, is_whole) = self.framer.push(input, &mut self.frame)?;
            input = &input[used..];
            if is_whole {
                let whole = std::mem::take(&mut self.frame);
                self.exchange.put(whole);
                self.frame = self.exchange.buffer();
            }
        }
        self.exchange.set_begun(self.frame.len());
        Ok(())
    }
}

/// Why there is nothing more to read.
enum StreamEnd {
    /// The program has ended.
    Ended,
    /// What it sends is not what the configuration says.
    Unreadable(String),
}

fn goes_on(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
