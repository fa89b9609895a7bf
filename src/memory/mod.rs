//! The memory budget and the counting allocator.

mod budget;
mod counting;
mod process;

pub use budget::{Bill, OverBudget};
pub use counting::{
    CountingAllocator, HeapUse, OVER_HEAP_LIMIT, heap_use, limit_heap, reset_peak, seal_this_thread, sealed_allocations,
};
pub use process::{peak_resident_bytes, resident_bytes};
