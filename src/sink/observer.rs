//! Who looks on while a line runs.

use crate::task::anomaly::Verdict;
use lineside_picture::Picture;
use std::time::Duration;

/// Sees each verdict with its frame, on the inspection thread: so it must not wait, allocate, or take long.
pub trait VerdictObserver: Send + Sync {
    /// A frame was judged, `latency` after it was captured. The frame is not needed any more: its buffer may be exchanged
    /// for another one, in which anything may be.
    fn observe(&self, frame: &mut Picture, verdict: &Verdict, latency: Duration);
}
