//! What is reported of a thread that failed or cannot be started.
//!
//! A thread of a running line that panics ends the line in order, with exit code 1, and the service manager starts it again: a
//! line that goes on without one of its threads would only look as if it worked. The same holds for a thread that cannot be
//! started. Threads of single visitors of the status page are the exception: such a visitor is turned away.

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

/// The error for a thread that cannot be started: which one, why, and what to do.
pub fn not_started(name: &str, error: &io::Error) -> io::Error {
    let what_to_do = "raise TasksMax= of the unit or the user's `ulimit -u`, or free memory, and start again";
    io::Error::new(error.kind(), format!("cannot start the thread \"{name}\": {error}: {what_to_do}"))
}

/// One line for a thread that panicked.
pub fn describe_failure(name: &str) -> String {
    format!(
        "the thread \"{name}\" failed by a fault of this program: please report it with the log, which has the place"
    )
}
