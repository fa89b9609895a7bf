//! What a version on trial said of the frames: counted by inspection, and read by who decides whether it stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The frames that the tasks of one version judged in this run.
#[derive(Debug)]
pub struct TrialCounts {
    /// The fingerprint of the version.
    bundle: Arc<str>,
    judged: AtomicU64,
    defects: AtomicU64,
}

impl TrialCounts {
    /// No frame yet, by the version with this fingerprint.
    pub fn new(bundle: &str) -> TrialCounts {
        TrialCounts { bundle: bundle.into(), judged: AtomicU64::new(0), defects: AtomicU64::new(0) }
    }

    /// The fingerprint of the version.
    pub(super) fn bundle(&self) -> &str {
        &self.bundle
    }

    /// Counts one more frame.
    pub fn add(&self, defect: bool) {
        self.judged.fetch_add(1, Relaxed);
        self.defects.fetch_add(u64::from(defect), Relaxed);
    }

    /// Frames that were judged, and those of them that were defects.
    pub fn get(&self) -> (u64, u64) {
        // Another thread counts meanwhile: no defect is seen without its frame.
        let defects = self.defects.load(Relaxed);
        (self.judged.load(Relaxed).max(defects), defects)
    }
}
