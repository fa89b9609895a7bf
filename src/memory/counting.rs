//! An allocator that counts: bytes in use, their peak, and every allocation by a thread that should make none. A process that
//! may take only so much ends where it would take more.

use rustix::process::{Signal, getpid, kill_process};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
static SEALED_ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Const-initialised and without a destructor: reading it from inside the allocator never allocates.
    static SEALED: Cell<bool> = const { Cell::new(false) };
}

/// The system allocator with counters. The binary installs it as its global allocator.
pub struct CountingAllocator;

/// What the heap held, in bytes. All zero where [`CountingAllocator`] is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeapUse {
    /// Bytes allocated and not yet freed.
    pub in_use: usize,
    /// The most that `in_use` has been since the start or the last [`reset_peak`].
    pub peak: usize,
}

/// Reads the heap counters.
pub fn heap_use() -> HeapUse {
    HeapUse { in_use: IN_USE.load(Relaxed), peak: PEAK.load(Relaxed) }
}

/// Starts the peak anew at what is in use now.
pub fn reset_peak() {
    PEAK.store(IN_USE.load(Relaxed), Relaxed);
}

/// The last line of a process that would have taken more than it may.
pub const OVER_HEAP_LIMIT: &str = "lineside: it needs more memory than it may take";

/// From now on this process ends, with [`OVER_HEAP_LIMIT`] on stderr and by `SIGKILL`, where the heap would hold more bytes. An allocation
/// that merely failed could be taken for a fault of one picture, and leave it out.
pub fn limit_heap(bytes: usize) {
    LIMIT.store(bytes, Relaxed);
}

/// From now on every allocation of the calling thread is counted in [`sealed_allocations`].
pub fn seal_this_thread() {
    SEALED.with(|sealed| sealed.set(true));
}

/// Allocations made by threads after they called [`seal_this_thread`].
pub fn sealed_allocations() -> u64 {
    SEALED_ALLOCATIONS.load(Relaxed)
}

fn grew(bytes: usize) {
    let now = IN_USE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
    if now > LIMIT.load(Relaxed) {
        end_over_limit();
    }
    // A thread that is being torn down has no thread-locals any more; it is past its sealed life.
    if SEALED.try_with(Cell::get).unwrap_or(false) {
        SEALED_ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

/// Nothing here may allocate.
#[cold]
fn end_over_limit() -> ! {
    let stderr = std::io::stderr();
    for part in [OVER_HEAP_LIMIT, "\n"] {
        let _ = rustix::io::write(stderr.as_fd(), part.as_bytes());
    }
    // Without a core dump, which would fill a small card.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

// SAFETY: every call is handed on to `System` unchanged; the counters touch no memory of the allocation.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps GlobalAlloc's contract, which is System's too.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            grew(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            grew(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) };
        IN_USE.fetch_sub(layout.size(), Relaxed);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { System.realloc(block, layout, new_size) };
        if !moved.is_null() {
            IN_USE.fetch_sub(layout.size(), Relaxed);
            grew(new_size);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Calls the allocator directly: the test binary does not install it, so nobody else moves the counters.
    #[test]
    fn counts_bytes_peak_and_sealed_allocations() {
        let layout = Layout::from_size_align(1000, 8).unwrap();
        let bigger = Layout::from_size_align(3000, 8).unwrap();
        let before = heap_use().in_use;
        // SAFETY: each block is freed once with the layout it has at that time.
        unsafe {
            let block = CountingAllocator.alloc(layout);
            assert_eq!(heap_use().in_use, before + 1000);
            let block = CountingAllocator.realloc(block, layout, 3000);
            assert_eq!(heap_use().in_use, before + 3000);
            CountingAllocator.dealloc(block, bigger);
        }
        assert_eq!(heap_use().in_use, before);
        assert!(heap_use().peak >= before + 3000);

        std::thread::spawn(move || {
            let sealed_before = sealed_allocations();
            seal_this_thread();
            // SAFETY: as above.
            unsafe {
                let block = CountingAllocator.alloc_zeroed(layout);
                CountingAllocator.dealloc(block, layout);
            }
            assert_eq!(sealed_allocations(), sealed_before + 1);
        })
        .join()
        .unwrap();
    }
}
