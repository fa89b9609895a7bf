//! An alarm that stays on until somebody has seen it: what the alarm line, and those who may acknowledge it, share.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// Whether a defect was seen that nobody has acknowledged yet.
#[derive(Debug, Default)]
pub struct AlarmLatch(AtomicBool);

impl AlarmLatch {
    /// One that is set already, or not.
    pub fn new(is_set: bool) -> AlarmLatch {
        AlarmLatch(AtomicBool::new(is_set))
    }

    /// A defect was seen.
    pub fn set(&self) {
        self.0.store(true, Release);
    }

    /// Whether one waits to be acknowledged.
    pub fn is_set(&self) -> bool {
        self.0.load(Acquire)
    }

    /// Acknowledges all defects so far; returns whether there was one. A defect that comes later sets it again.
    pub fn acknowledge(&self) -> bool {
        self.0.swap(false, AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_is_acknowledged_once() {
        let latch = AlarmLatch::default();
        assert!(!latch.acknowledge());
        latch.set();
        latch.set();
        assert!(latch.is_set() && latch.acknowledge() && !latch.is_set() && !latch.acknowledge());
    }
}
