//! A thread of its own for output that may hang: a terminal that was stopped (Ctrl-S), a pipe that nobody reads, a journal
//! whose disk is stuck. Whoever writes hands over items and goes on; where too many wait, an item is refused, for its owner to
//! count.

use super::{Activity, ThreadId, not_started};
use crate::times::LAST_LINES;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Items that may wait.
const QUEUE: usize = 256;
/// The stack of the thread, in bytes.
pub const OUTPUT_STACK: usize = 1 << 18;
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(2);

/// A bounded queue in front of output that may hang.
pub struct NonBlocking<T> {
    sender: SyncSender<T>,
    /// Items that the thread is done with.
    done: Arc<AtomicU64>,
    /// Items that were handed over.
    taken: AtomicU64,
    thread: JoinHandle<()>,
    id: ThreadId,
}

impl<T: Send + 'static> NonBlocking<T> {
    /// Starts the thread, which calls `write` with each item, in order, until this is dropped.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(name: &str, mut write: impl FnMut(T) + Send + 'static) -> io::Result<NonBlocking<T>> {
        let (sender, items) = sync_channel(QUEUE);
        let done = Arc::<AtomicU64>::default();
        let id = ThreadId::default();
        let (counter, its_id) = (Arc::clone(&done), id.clone());
        let work = move || {
            its_id.announce();
            for item in items {
                write(item);
                counter.fetch_add(1, SeqCst);
            }
        };
        let thread = Builder::new().name(name.into()).stack_size(OUTPUT_STACK).spawn(work);
        let thread = thread.map_err(|error| not_started(name, &error))?;
        Ok(NonBlocking { sender, done, taken: AtomicU64::new(0), thread, id })
    }

    /// Hands over an item without waiting.
    ///
    /// # Errors
    /// The item, where too many wait already or the thread has failed.
    pub fn push(&self, item: T) -> Result<(), T> {
        match self.sender.try_send(item) {
            Ok(()) => {
                self.taken.fetch_add(1, SeqCst);
                Ok(())
            }
            Err(TrySendError::Full(item) | TrySendError::Disconnected(item)) => Err(item),
        }
    }

    /// Hands over an item as soon as there is room for it.
    ///
    /// # Errors
    /// The item, where `give_up` comes first or the thread has failed.
    pub fn push_patiently(&self, mut item: T, give_up: impl Fn() -> bool) -> Result<(), T> {
        loop {
            item = match self.push(item) {
                Err(item) if !give_up() && !self.has_failed() => item,
                ended => return ended,
            };
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until everything that was handed over is written, or `give_up`; returns whether it is.
    pub fn flush(&self, mut give_up: impl FnMut() -> bool) -> bool {
        while self.done.load(SeqCst) < self.taken.load(SeqCst) {
            if give_up() || self.has_failed() {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// The same, but only as long as the output takes something now and then: it hangs where it did not for `patience`.
    pub fn flush_unless_hanging(&self, patience: Duration) -> bool {
        let mut activity = Activity::of(&self.id);
        self.flush(|| activity.idle(self.done.load(SeqCst)) >= patience)
    }

    /// Whether the thread has panicked.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Prints a line to stderr as the last thing that a command does. Nobody may read it: a command that has ended must not wait for that.
pub fn print_last_line(line: &str) {
    let print = |line: String| {
        // Where nobody reads any more, the exit code says it.
        let _ = writeln!(io::stderr(), "{line}");
    };
    match NonBlocking::start("stderr", print) {
        Ok(output) => {
            let _ = output.push(line.into());
            output.flush_unless_hanging(LAST_LINES);
        }
        Err(_) => print(line.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn nobody_waits_for_output_that_hangs_and_nothing_that_was_taken_is_lost() {
        let (release, released) = channel::<()>();
        let (written, lines) = channel();
        let output = NonBlocking::start("output", move |line: u64| {
            written.send(line).unwrap();
            if line == 0 {
                let _ = released.recv();
            }
        })
        .unwrap();
        output.push(0).unwrap();
        assert_eq!(lines.recv(), Ok(0));
        // One is in the thread's hand, others wait, and what is too much comes back.
        let refused = (1..1000).filter(|line| output.push(*line).is_err()).count();
        assert_eq!(refused, 999 - QUEUE);
        assert!(!output.flush_unless_hanging(Duration::from_millis(20)));
        assert_eq!(output.push_patiently(7, || true), Err(7));
        release.send(()).unwrap();
        assert!(output.flush(|| false));
        assert_eq!(output.push_patiently(2000, || false), Ok(()));
        assert!(output.flush(|| false) && !output.has_failed());
        let lines: Vec<u64> = lines.try_iter().collect();
        assert_eq!(lines.len(), QUEUE + 1);
        assert!(lines.is_sorted() && lines.last() == Some(&2000));
    }

    #[test]
    fn a_panic_of_the_thread_is_seen_and_nobody_waits_for_it() {
        let output = NonBlocking::start("output", |_: u64| panic!("as the test wants it")).unwrap();
        output.push(1).unwrap();
        assert!(!output.flush(|| false) && output.has_failed());
        assert_eq!(output.push_patiently(2, || false), Err(2));
    }
}
