//! The way from a request to the thread of jobs.

use super::folder::TeachingFolder;
use super::order::TeachingOrder;
use super::report::{TeachingMemory, TeachingReport, TeachingState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Teaching on the page of a run.
pub struct Teaching {
    /// The most bytes of the process's heap.
    pub memory: u64,
    /// The newest job.
    pub newest: TeachingMemory,
    waiting: Mutex<Option<(TeachingOrder, TeachingFolder)>>,
    /// Who cancelled the job that runs.
    cancelled: Mutex<Option<String>>,
}

impl Teaching {
    /// Teaching whose process may hold `memory` bytes; what became of the last job is in `newest`.
    pub fn new(memory: u64, newest: TeachingMemory) -> Teaching {
        // That of the run before, whose thread may hang in its disk: it is no job of this run.
        newest.update(|report| {
            if report.state.is_running() {
                report.state = TeachingState::Stopped;
            }
        });
        Teaching { memory, newest, waiting: Mutex::default(), cancelled: Mutex::default() }
    }

    /// Hands a job to the thread; `false` where one runs.
    pub fn begin(&self, order: TeachingOrder, scratch: TeachingFolder) -> bool {
        let is_begun = self.newest.begin(TeachingReport::new(&order));
        if is_begun {
            *lock(&self.cancelled) = None;
            *lock(&self.waiting) = Some((order, scratch));
        }
        is_begun
    }

    /// The job that waits for the thread.
    pub fn take(&self) -> Option<(TeachingOrder, TeachingFolder)> {
        lock(&self.waiting).take()
    }

    /// Who cancelled the job that runs.
    pub fn cancelled_by(&self) -> Option<String> {
        lock(&self.cancelled).clone()
    }

    /// Cancels the job that runs; `false` where none does.
    pub fn cancel(&self, from: &str) -> bool {
        let is_running = self.newest.report().is_some_and(|report| report.state.is_running());
        if is_running {
            *lock(&self.cancelled) = Some(from.into());
        }
        is_running
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
