//! The memory and the threads that runs take: a session's own, or shared by sessions of which one runs at a time.

use super::kernels::arena::{AlignedBytes, Arena};
use super::pool::{Poisoned, ThreadPool};
use super::{EngineError, Plan};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// An arena and the threads that compute in it, for any number of sessions of which one runs at a time (`Session::in_workspace`). It is as
/// large as the session that needs most, not as all of them together. A clone is another handle to the same memory and threads.
///
/// Every session keeps its inputs and outputs outside of the arena: they stay what they are while other sessions run. A session
/// that is run while another one of the workspace runs, on another thread, waits for it.
#[derive(Clone)]
pub struct Workspace {
    threads: usize,
    state: Arc<Mutex<WorkspaceState>>,
}

/// What a run has to itself.
pub(super) struct WorkspaceState {
    /// Dropped before the arena in which its threads work.
    pool: Option<ThreadPool>,
    arena: AlignedBytes,
    /// The plan whose constants lie in the arena: that of the last run.
    loaded: Weak<Plan>,
    /// The most that islands of one plan take beside the arena.
    island_bytes: u64,
}

impl Workspace {
    /// A workspace for runs that `threads` threads share, the caller's among them. Its arena grows with the sessions that are made
    /// in it.
    ///
    /// # Errors
    /// [`EngineError::Run`] where the threads cannot be started.
    pub fn new(threads: usize) -> Result<Workspace, EngineError> {
        let failed = |error| EngineError::Run(format!("cannot start {threads} threads: {error}"));
        let pool = (threads > 1).then(|| ThreadPool::new(threads)).transpose().map_err(failed)?;
        let state = WorkspaceState { pool, arena: AlignedBytes::zeroed(0), loaded: Weak::new(), island_bytes: 0 };
        Ok(Workspace { threads: threads.max(1), state: Arc::new(Mutex::new(state)) })
    }

    /// Number of threads that share a run of the sessions made by this handle, the caller's among them.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// A handle by which sessions are made whose runs fewer threads share, at most `threads`.
    pub fn on_threads(&self, threads: usize) -> Workspace {
        Workspace { threads: self.threads.min(threads.max(1)), state: Arc::clone(&self.state) }
    }

    /// Bytes that a run takes at most: the arena with the scratch memory of every thread, and what islands take beside it.
    pub fn bytes(&self) -> u64 {
        let state = self.lock();
        state.arena.len() as u64 + state.island_bytes
    }

    /// Makes the arena large enough for runs of `plan`.
    ///
    /// # Errors
    /// [`EngineError::Run`] where a thread has failed: others may still be computing in the arena.
    pub(super) fn reserve(&self, plan: &Plan) -> Result<(), EngineError> {
        let mut state = self.lock();
        state.check_poisoned()?;
        state.island_bytes = state.island_bytes.max(plan.island_bytes());
        let bytes = plan.arena_bytes(self.threads);
        if bytes > state.arena.len() {
            state.loaded = Weak::new();
            // The smaller one is freed first: nothing in it outlasts a run but constants, which are loaded again.
            state.arena = AlignedBytes::zeroed(0);
            state.arena = AlignedBytes::zeroed(bytes);
            if cfg!(test) {
                // In tests what no step has written is no number.
                state.arena.bytes_mut().fill(0xFF);
            }
        }
        Ok(())
    }

    /// Waits until no session runs.
    pub(super) fn lock(&self) -> MutexGuard<'_, WorkspaceState> {
        // A run that panicked has left `loaded` empty, and poisoned its threads.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills the arena, as runs of other plans would.
    #[cfg(test)]
    pub fn overwrite(&self, byte: u8) {
        let mut state = self.lock();
        state.loaded = Weak::new();
        state.arena.bytes_mut().fill(byte);
    }
}

impl WorkspaceState {
    /// The arena with the constants of `plan` in it, for one run.
    ///
    /// # Errors
    /// Where a thread has failed.
    pub fn begin(&mut self, plan: &Arc<Plan>) -> Result<Arena, EngineError> {
        self.check_poisoned()?;
        // Empty until the run has ended. While the weak pointer is kept, no other plan can have this address.
        let loaded = std::mem::take(&mut self.loaded);
        if loaded.as_ptr() != Arc::as_ptr(plan) {
            for (at, bytes) in &plan.constants {
                self.arena.bytes_mut()[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
        Ok(self.arena.arena())
    }

    /// The threads that share a run, where there are several.
    pub fn pool(&self) -> Option<&ThreadPool> {
        self.pool.as_ref()
    }

    /// The run of `plan` has ended; without a panic, so that its constants are in place.
    pub fn end(&mut self, plan: &Arc<Plan>) {
        self.loaded = Arc::downgrade(plan);
        if let Some(pool) = &self.pool {
            pool.end();
        }
    }

    fn check_poisoned(&self) -> Result<(), EngineError> {
        let failed = |poisoned: Poisoned| EngineError::Run(poisoned.to_string());
        self.pool.as_ref().map_or(Ok(()), ThreadPool::check_poisoned).map_err(failed)
    }
}

#[cfg(test)]
#[cfg(feature = "tract")]
#[path = "workspace_tests.rs"]
mod tests;
