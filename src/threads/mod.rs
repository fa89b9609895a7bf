//! Threads: output that must not hold anybody up, and what is reported of a thread that failed or cannot be started.
//!
//! A thread of a running line that panics ends the line in order, with exit code 1, and the service manager starts it again: a
//! line that goes on without one of its threads would only look as if it worked. The same holds for a thread that cannot be
//! started. Threads of single visitors of the status page are the exception: such a visitor is turned away.

mod activity;
mod non_blocking;

pub use activity::{Activity, ThreadId};
pub use non_blocking::{NonBlocking, OUTPUT_STACK, print_last_line};

use std::fmt;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Waits for a thread, but not longer than `patience`: one that hangs in a system call, as on a share that stalls, is left to
/// itself. A panic of the thread was reported by its own message.
pub fn join_within<T>(thread: JoinHandle<T>, patience: Duration) {
    let begun = Instant::now();
    while !thread.is_finished() {
        if begun.elapsed() >= patience {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = thread.join();
}

/// Inside of the error for a thread that cannot be started.
#[derive(Debug)]
struct NotStarted(String);

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotStarted {}

/// The error for a thread that cannot be started: which one, why, and what to do.
pub fn not_started(name: &str, error: &io::Error) -> io::Error {
    let what_to_do = "raise TasksMax= of the unit or the user's `ulimit -u`, or free memory, and start again";
    io::Error::new(error.kind(), NotStarted(format!("cannot start the thread \"{name}\": {error}: {what_to_do}")))
}

/// Whether an error comes from [`not_started`].
pub fn is_not_started(error: &anyhow::Error) -> bool {
    let inside = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<NotStarted>());
    error.chain().any(|error| error.downcast_ref().is_some_and(inside))
}

/// One line for a thread that panicked.
pub fn describe_failure(name: &str) -> String {
    format!(
        "the thread \"{name}\" failed by a fault of this program: please report it with the log, which has the place"
    )
}

/// How far below inspection work stands that has time: with all cores taken it gets about a thirtieth of one (`sched(7)`, weights of
/// nice values).
const NICE: i32 = 15;

/// Lets the calling thread alone stand behind the others, so that it takes no time that inspection needs.
///
/// # Errors
/// Of the kernel.
pub fn lower_priority() -> io::Result<()> {
    // On Linux the process 0 is the calling thread (setpriority(2), "C library/kernel differences").
    rustix::process::setpriority_process(None, NICE).map_err(io::Error::from)
}
