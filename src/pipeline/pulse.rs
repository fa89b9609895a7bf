//! Heartbeats of the threads that inspection depends on.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A thread that must make progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchedThread {
    /// Captures frames, or tries to.
    Capture,
    /// Inspects them, or waits for one.
    Inspection,
}

/// Counts of beats. A thread beats once a round, and a round without work is short; so a thread that does not beat is stuck.
#[derive(Default)]
pub struct Pulse {
    capture: AtomicU64,
    inspection: AtomicU64,
}

impl Pulse {
    /// Counts a round of a thread.
    pub fn beat(&self, thread: WatchedThread) {
        self.of(thread).fetch_add(1, Relaxed);
    }

    fn of(&self, thread: WatchedThread) -> &AtomicU64 {
        match thread {
            WatchedThread::Capture => &self.capture,
            WatchedThread::Inspection => &self.inspection,
        }
    }

    /// Watches from now on.
    pub fn watch(&self) -> Watch<'_> {
        Watch { pulse: self, seen: [self.capture.load(Relaxed), self.inspection.load(Relaxed)] }
    }
}

/// Remembers the counts at which all threads had last made progress.
pub struct Watch<'a> {
    pulse: &'a Pulse,
    seen: [u64; 2],
}

impl Watch<'_> {
    /// Whether every thread that is not `over` has beaten since this was last true.
    pub fn all_beat(&mut self, over: impl Fn(WatchedThread) -> bool) -> bool {
        let threads = [WatchedThread::Capture, WatchedThread::Inspection];
        let now = threads.map(|thread| self.pulse.of(thread).load(Relaxed));
        let all = (0..threads.len()).all(|i| now[i] != self.seen[i] || over(threads[i]));
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
    fn one_stuck_thread_is_enough() {
        let pulse = Pulse::default();
        let mut watch = pulse.watch();
        assert!(!watch.all_beat(|_| false));
        (0..100).for_each(|_| pulse.beat(WatchedThread::Capture));
        assert!(!watch.all_beat(|_| false), "inspection is stuck");
        pulse.beat(WatchedThread::Inspection);
        assert!(watch.all_beat(|_| false) && !watch.all_beat(|_| false));
        pulse.beat(WatchedThread::Inspection);
        assert!(!watch.all_beat(|_| false), "capture is stuck");
        assert!(watch.all_beat(|thread| thread == WatchedThread::Capture), "capture came to its end");
    }
}
