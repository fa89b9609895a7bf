//! What the sender thread shares with the threads that enqueue records.

use super::spool::Spool;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The queue and the newest status, behind one lock.
pub struct SharedState {
    state: Mutex<SenderState>,
    changed: Condvar,
}

struct SenderState {
    /// `None` once the run has ended: a sender that hangs in a system call must not touch files that the next run may own.
    spool: Option<Spool>,
    /// The newest status that has not been published yet.
    status: Option<String>,
    stopping: bool,
    /// The sender has ended.
    done: bool,
}

impl SharedState {
    pub fn new(spool: Spool) -> SharedState {
        let state = SenderState { spool: Some(spool), status: None, stopping: false, done: false };
        SharedState { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Calls `work` with the queue; `None` once the run has ended.
    pub fn with_spool<T>(&self, work: impl FnOnce(&mut Spool) -> T) -> Option<T> {
        self.lock().spool.as_mut().map(work)
    }

    /// Replaces a status that has not been published yet.
    pub fn set_status(&self, line: String) {
        self.lock().status = Some(line);
    }

    pub fn take_status(&self) -> Option<String> {
        self.lock().status.take()
    }

    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Asks the sender to end, and closes the queue when it has ended or after `patience`.
    pub fn stop(&self, patience: Duration) {
        let mut state = self.lock();
        state.stopping = true;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, patience, |state| !state.done);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.spool = None;
    }

    /// Waits for `duration`, or until the run ends.
    pub fn sleep_unless_stopping(&self, duration: Duration) {
        let ended = self.changed.wait_timeout_while(self.lock(), duration, |state| !state.stopping);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    /// The sender has ended.
    pub fn mark_done(&self) {
        self.lock().done = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, SenderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
