//! Signs of life of the threads that inspection depends on.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A thread that must get on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Fetches frames, or tries to.
    Capture,
    /// Judges them, or waits for one.
    Inspection,
}

/// Beats of each part. A part beats once a round, and a round without work is short; so a part that does not beat is
/// stuck.
#[derive(Default)]
pub struct Pulse {
    capture: AtomicU64,
    inspection: AtomicU64,
}

impl Pulse {
    /// One round more.
    pub fn beat(&self, part: Part) {
        self.of(part).fetch_add(1, Relaxed);
    }

    fn of(&self, part: Part) -> &AtomicU64 {
        match part {
            Part::Capture => &self.capture,
            Part::Inspection => &self.inspection,
        }
    }

    /// From now on: have all parts beaten?
    pub fn watch(&self) -> Watch<'_> {
        Watch { pulse: self, seen: [self.capture.load(Relaxed), self.inspection.load(Relaxed)] }
    }
}

/// Remembers the beats that were seen.
pub struct Watch<'a> {
    pulse: &'a Pulse,
    seen: [u64; 2],
}

impl Watch<'_> {
    /// Whether every part that is not `over` has beaten since this was true last.
    pub fn all_beat(&mut self, over: impl Fn(Part) -> bool) -> bool {
        let parts = [Part::Capture, Part::Inspection];
        let now = parts.map(|part| self.pulse.of(part).load(Relaxed));
        let all = (0..parts.len()).all(|i| now[i] != self.seen[i] || over(parts[i]));
        if all {
            self.seen = now;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stuck_part_is_enough() {
        let pulse = Pulse::default();
        let mut watch = pulse.watch();
        assert!(!watch.all_beat(|_| false));
        (0..100).for_each(|_| pulse.beat(Part::Capture));
        assert!(!watch.all_beat(|_| false), "inspection is stuck");
        pulse.beat(Part::Inspection);
        assert!(watch.all_beat(|_| false) && !watch.all_beat(|_| false));
        pulse.beat(Part::Inspection);
        assert!(!watch.all_beat(|_| false), "capture is stuck");
        assert!(watch.all_beat(|part| part == Part::Capture), "capture came to its end");
    }
}
