//! The keeper: a small process between the line and the program that delivers frames. However the line ends, also by SIGKILL, the
//! program and whatever it has started end with it, and are reaped.
//!
//! ```text
//! lineside run -- stdin (held open) --> keeper --> program, in a group of its own --> what it starts
//!              <-- stdout and stderr ------------- program
//! ```
//!
//! - Its standard input ends when the line lets go of it or is gone in any way: then it asks the program's group to end, and kills
//!   what is left after [`CHILD_END`].
//! - It adopts what a program leaves behind (`PR_SET_CHILD_SUBREAPER`), so that what has left the group is found, too, and no
//!   zombie stays.
//! - Should it be killed itself, then the kernel kills the program (`PR_SET_PDEATHSIG`). That is tied to the thread that started
//!   the program: the keeper has only one, which lives as long as itself.
//!
//! It is this program, started again: so what must happen between `fork` and `exec` is done by ordinary code in a process of its
//! own, and needs no unsafe code.

use crate::times::CHILD_END;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The first argument of a keeper.
const KEEP: &str = "keep-source-process";
/// The first argument of what becomes the program.
const BECOME: &str = "become-source-process";
/// This program, also where its file was replaced meanwhile.
const ITSELF: &str = "/proc/self/exe";
/// How long what was killed may stay, as in a driver that hangs.
const KILLED: Duration = Duration::from_secs(2);
/// The status where the program could not be started, as a shell has it.
const NOT_STARTED: u8 = 126;

/// A command that starts a keeper for `program` with its arguments. Its standard input must be a pipe; its first `input` bytes
/// are for the program.
pub(super) fn keeper(program: &OsStr, arguments: &[OsString], input: usize) -> Command {
    let mut command = Command::new(ITSELF);
    command.arg0("lineside").arg(KEEP).arg(input.to_string()).arg(program).args(arguments).process_group(0);
    command
}

/// Runs as a keeper, or as what becomes the program, where the arguments ask for that: to be called first of all in `main`.
pub fn run_as_keeper() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next()?;
    if role != KEEP && role != BECOME {
        return None;
    }
    let number = arguments.next()?.to_str()?.parse().ok()?;
    Some(ExitCode::from(if role == KEEP { keep(number, arguments) } else { become_program(number, arguments) }))
}

/// Becomes the program, unless the keeper is gone already. Returns only where that fails.
fn become_program(keeper: usize, mut command: impl Iterator<Item = OsString>) -> u8 {
    let Some(program) = command.next() else { return NOT_STARTED };
    // Where the keeper ended before the kernel knew of this, somebody else is the parent now.
    let is_set = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    if !is_set || getppid().map(Pid::as_raw_pid) != i32::try_from(keeper).ok() {
        return NOT_STARTED;
    }
    let error = Command::new(&program).args(command).exec();
    let _ = writeln!(io::stderr(), "cannot start {}: {error}", program.display());
    NOT_STARTED
}

/// Keeps the program until it ends, or until standard input does; returns its status as a shell has it.
fn keep(input: usize, command: impl Iterator<Item = OsString>) -> u8 {
    // The program inherits nothing that whoever started the line had open.
    close_fds::set_fds_cloexec(3, &[]);
    // Where the kernel has no such thing, what has left the group is not found.
    let _ = set_child_subreaper(Some(getpid()));
    let kept = Kept::start(input, command);
    let mut kept = match kept {
        Ok(kept) => kept,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot start a process: {error}");
            return NOT_STARTED;
        }
    };
    kept.wait(None, |kept| kept.status.is_some());
    kept.end();
    kept.status.unwrap_or(0)
}

/// A program that is kept.
struct Kept {
    group: Pid,
    /// Its status, once it has ended.
    status: Option<u8>,
    /// Readable after a signal.
    signals: UnixStream,
}

impl Kept {
    fn start(input: usize, command: impl Iterator<Item = OsString>) -> io::Result<Kept> {
        let (signals, written) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        // Handlers, because what is ignored would be ignored by the program, too. A signal that is meant for the line, and sent to
        // all of its name, changes nothing here: the line decides.
        for signal in [SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            signal_hook::low_level::pipe::register(signal, written.try_clone()?)?;
        }
        let mut for_program = vec![0; input];
        io::stdin().read_exact(&mut for_program)?;
        let mut program = Command::new(ITSELF);
        program.arg0("lineside").arg(BECOME).arg(getpid().as_raw_pid().to_string()).args(command).process_group(0);
        let mut program = program.stdin(if input == 0 { Stdio::null() } else { Stdio::piped() }).spawn()?;
        if let Some(mut stdin) = program.stdin.take() {
            // A program that does not read it has other things to report.
            let _ = stdin.write_all(&for_program);
        }
        let group = Pid::from_child(&program);
        Ok(Kept { group, status: None, signals })
    }

    /// Reaps what has ended; whether there is anything left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(None) => return true,
                Ok(Some((process, status))) if process == self.group => {
                    let by_signal = || status.terminating_signal().map(|signal| 128 + signal);
                    self.status = status.exit_status().or_else(by_signal).map(|status| status as u8);
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    /// Waits until nothing is left, until it is enough, or until the time is over; without a time, until standard input ends.
    fn wait(&mut self, time: Option<Duration>, enough: impl Fn(&Kept) -> bool) {
        let until = time.map(|time| Instant::now() + time);
        let stdin = io::stdin();
        while self.reap() && !enough(self) {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return;
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut ready =
                [PollFd::new(&self.signals, PollFlags::IN), PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
            let watched = if until.is_some() { 1 } else { 2 };
            let polled = poll(&mut ready[..watched], left.as_ref());
            let has_ended = !ready[1].revents().is_empty();
            while (&self.signals).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
            // Nothing more is ever written there.
            if until.is_none() && polled.is_ok() && has_ended {
                return;
            }
        }
    }

    /// Ends what is left.
    fn end(&mut self) {
        if !self.reap() {
            return;
        }
        let _ = kill_process_group(self.group, Signal::TERM);
        self.wait(Some(CHILD_END), |_| false);
        let until = Instant::now() + KILLED;
        while self.reap() && Instant::now() < until {
            let _ = kill_process_group(self.group, Signal::KILL);
            // Whatever has left the group is a child by now, or will be in the next round.
            let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
            for child in children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)) {
                let _ = kill_process(child, Signal::KILL);
            }
            self.wait(Some(Duration::from_millis(20)), |_| false);
        }
    }
}
