//! What is counted by the allocator of this process: these tests have a binary of their own and run one at a time.

#[path = "../common/mod.rs"]
mod common;

mod alignment;
mod damaged_models;
mod enlarger;
mod load;
mod parts;
mod region;
mod run;
mod status_page;
mod tasks;

use lineside::memory::CountingAllocator;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Held by each test: the counts are of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
