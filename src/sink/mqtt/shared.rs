//! What the sender thread shares with the threads that enqueue records.

use super::spool::Spool;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How often a stop looks whether the sender has ended.
const LOOK: Duration = Duration::from_millis(2);

/// The queue, and the newest status behind a lock of its own: the queue's lock is held while the disk works, and the thread
/// that feeds the watchdog sets the status.
pub struct SharedState {
    state: Mutex<SenderState>,
    /// Not under the lock: whoever stops does not wait for a disk that hangs.
    stopping: AtomicBool,
    /// Records in the queue, for whoever must not wait for the lock.
    waiting: AtomicU64,
    changed: Condvar,
    /// The newest status that has not been published yet. Nobody does I/O under its lock.
    status: Mutex<Option<String>>,
    /// The same of the picture of the newest defect.
    picture: Mutex<Option<Vec<u8>>>,
}

struct SenderState {
    /// `None` once the run has ended: a sender that hangs in a system call must not touch files that the next run may own.
    spool: Option<Spool>,
    /// The sender has ended.
    done: bool,
}

impl SharedState {
    pub fn new(spool: Spool) -> SharedState {
        let waiting = AtomicU64::new(spool.left());
        let state = Mutex::new(SenderState { spool: Some(spool), done: false });
        let (stopping, changed) = (AtomicBool::new(false), Condvar::new());
        SharedState { state, stopping, waiting, changed, status: Mutex::default(), picture: Mutex::default() }
    }

    /// Calls `work` with the queue; `None` once the run has ended.
    pub fn with_spool<T>(&self, work: impl FnOnce(&mut Spool) -> T) -> Option<T> {
        let mut state = self.lock();
        let spool = state.spool.as_mut()?;
        let result = work(spool);
        self.waiting.store(spool.left(), Relaxed);
        Some(result)
    }

    /// Records that the broker has not acknowledged, as of the last change; never waits.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Replaces a status that has not been published yet.
    pub fn set_status(&self, line: String) {
        *self.lock_status() = Some(line);
    }

    pub fn take_status(&self) -> Option<String> {
        self.lock_status().take()
    }

    /// Replaces a picture that has not been published yet.
    pub fn set_picture(&self, jpeg: Vec<u8>) {
        *self.picture.lock().unwrap_or_else(PoisonError::into_inner) = Some(jpeg);
    }

    pub fn take_picture(&self) -> Option<Vec<u8>> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// Asks the sender to end, and closes the queue when it has ended or after `patience`; not where the disk hangs in it.
    pub fn stop(&self, patience: Duration) {
        self.stopping.store(true, SeqCst);
        let begun = Instant::now();
        loop {
            let is_over = begun.elapsed() >= patience;
            let state = match self.state.try_lock() {
                Err(TryLockError::WouldBlock) => None,
                Ok(state) => Some(state),
                Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            };
            match state {
                Some(mut state) if is_over || state.done => {
                    state.spool = None;
                    return;
                }
                None if is_over => return,
                _ => {}
            }
            // Again and again: it may have looked just before it was asked, and gone to sleep just after.
            self.changed.notify_all();
            std::thread::sleep(LOOK);
        }
    }

    /// Whether the run has ended and waits for the sender no longer.
    pub fn is_closed(&self) -> bool {
        self.lock().spool.is_none()
    }

    /// Whether the sender has ended, so that nothing of it reaches the broker any more.
    pub fn is_done(&self) -> bool {
        self.lock().done
    }

    /// Waits for `duration`, or until the run ends.
    pub fn sleep_unless_stopping(&self, duration: Duration) {
        let ended = self.changed.wait_timeout_while(self.lock(), duration, |_| !self.is_stopping());
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    /// The sender has ended.
    pub fn mark_done(&self) {
        self.lock().done = true;
    }

    fn lock_status(&self) -> MutexGuard<'_, Option<String>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, SenderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Calls `work` in a thread while the disk hangs in the queue; its result, where it comes before the disk works again.
    fn while_the_disk_hangs<T: Send>(shared: &SharedState, work: impl FnOnce() -> T + Send) -> Option<T> {
        let (disk_hangs, hanging) = channel();
        let (disk_works, working) = channel::<()>();
        let (done, is_done) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                shared.with_spool(|_| {
                    disk_hangs.send(()).unwrap();
                    working.recv().unwrap();
                })
            });
            hanging.recv().unwrap();
            scope.spawn(move || done.send(work()));
            let result = is_done.recv_timeout(Duration::from_secs(60)).ok();
            disk_works.send(()).unwrap();
            result
        })
    }

    #[test]
    fn a_status_does_not_wait_for_a_disk_that_hangs() {
        let folder = tempfile::tempdir().unwrap();
        let shared = SharedState::new(Spool::open(folder.path(), 1 << 20).unwrap().0);
        let status = while_the_disk_hangs(&shared, || {
            shared.set_status("status".into());
            shared.take_status()
        });
        assert_eq!(status, Some(Some("status".into())));
        assert_eq!(while_the_disk_hangs(&shared, || shared.waiting()), Some(0));
        shared.with_spool(|spool| spool.push("record".into()).unwrap());
        assert_eq!(shared.waiting(), 1);
    }

    #[test]
    fn a_stop_does_not_wait_for_a_disk_that_hangs_and_wakes_a_sender_that_sleeps() {
        let folder = tempfile::tempdir().unwrap();
        let shared = SharedState::new(Spool::open(folder.path(), 1 << 20).unwrap().0);
        assert_eq!(while_the_disk_hangs(&shared, || shared.stop(Duration::from_millis(20))), Some(()));
        assert!(shared.is_stopping() && !shared.is_closed());

        let shared = SharedState::new(Spool::open(&folder.path().join("other"), 1 << 20).unwrap().0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                shared.sleep_unless_stopping(Duration::from_secs(3600));
                shared.mark_done();
            });
            shared.stop(Duration::from_secs(3600));
        });
        assert!(shared.is_closed() && shared.is_done());
    }
}
