//! Observes a running line.

use crate::task::anomaly::Verdict;
use lineside_picture::Picture;
use std::time::Duration;

/// Gets every verdict with its frame, on the inspection thread: it must not wait, allocate, or take long.
pub trait VerdictObserver: Send + Sync {
    /// A frame was inspected, `latency` after its capture. The frame is not needed any more: its buffer may be swapped for
    /// another one with any content.
    fn observe(&self, frame: &mut Picture, verdict: &Verdict, latency: Duration);
}
