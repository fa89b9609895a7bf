//! The part of an axis that is in use in a run: its length is a bound, and an earlier step has computed the count.

use super::arena::Arena;

/// An axis of which the first `count` places are in use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Live {
    /// Offset of the count, an `i64`.
    pub at: usize,
    /// The axis' length.
    pub bound: usize,
    /// Elements of one place: the product of the dimensions behind the axis.
    pub inner: usize,
}

impl Live {
    /// The count of this run; never more than the bound.
    pub fn count(&self, arena: Arena) -> usize {
        let [count] = *arena.read::<i64>(self.at, 1) else { return 0 };
        usize::try_from(count).unwrap_or(0).min(self.bound)
    }

    /// Whether an element, by its place in row-major order, is one of the first `count` places.
    pub fn contains(&self, element: usize, count: usize) -> bool {
        element / self.inner % self.bound < count
    }
}
