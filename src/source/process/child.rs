//! A running program: its keeper, and the ends of its pipes.

use super::command::ProcessCommand;
use super::keeper::keeper;
use crate::background::OF_THE_MANAGER;
use crate::times::CHILD_END;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How much later than planned a keeper may be ready: on a board that is busy, or with a program that hangs in a driver.
const KEEPER_LATE: Duration = Duration::from_millis(2500);

/// A program under its keeper. Dropping it ends both, mostly within [`CHILD_END`].
pub(super) struct RunningProgram {
    keeper: Child,
    /// What the program writes. Reading does not wait.
    pub(super) stdout: ChildStdout,
    /// What it says beside that. Reading does not wait.
    pub(super) stderr: ChildStderr,
}

impl RunningProgram {
    /// Starts the program, whose file is at `path`.
    ///
    /// # Errors
    /// Where there can be no more process, or no pipe.
    pub(super) fn start(path: &Path, command: &ProcessCommand) -> io::Result<RunningProgram> {
        let mut keeper = keeper(path.as_os_str(), &command.arguments(), command.input.len());
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The service manager's words are for the line, not for what it starts.
        for name in OF_THE_MANAGER {
            keeper.env_remove(name);
        }
        let mut keeper = keeper.spawn()?;
        // It fits in the pipe, so this does not wait.
        let written = keeper.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(command.input.as_bytes()));
        let pipes = keeper.stdout.take().zip(keeper.stderr.take());
        let program = pipes.map(|(stdout, stderr)| RunningProgram { keeper, stdout, stderr });
        let program = program.ok_or(io::ErrorKind::BrokenPipe)?;
        written?;
        without_waiting(&program.stdout)?;
        without_waiting(&program.stderr)?;
        Ok(program)
    }

    /// The program's status as a shell has it, once it and all that it started have ended.
    pub(super) fn status(&mut self) -> Option<i32> {
        self.keeper.try_wait().ok().flatten().map(shell_status)
    }

    /// The same, waited for until `patience` is over.
    pub(super) fn wait(&mut self, patience: Duration) -> Option<i32> {
        let until = Instant::now() + patience;
        loop {
            match self.status() {
                None if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
                status => return status,
            }
        }
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // The keeper's sign to end the program.
        drop(self.keeper.stdin.take());
        if self.wait(CHILD_END + KEEPER_LATE).is_none() {
            // The kernel kills the program, too.
            let _ = self.keeper.kill();
            let _ = self.keeper.wait();
        }
    }
}

fn without_waiting(pipe: impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?)
}

fn shell_status(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(0)
}

/// How a program ended, in words.
pub(super) fn describe_status(status: i32) -> String {
    match signal_hook::low_level::signal_name(status - 128) {
        Some(signal) => format!("it was ended by signal {} ({signal})", status - 128),
        None => format!("it ended with status {status}"),
    }
}
