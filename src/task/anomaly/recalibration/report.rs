//! What recalibration changed, for people.

/// Old and new bundle side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct RecalibrationReport {
    /// Good frames of the new batch.
    pub frames: usize,
    /// Those of them that reach the threshold of the old bundle.
    pub false_alarms_before: usize,
    /// Those that reach the threshold of the new bundle when they took no part in making it.
    pub false_alarms_after: usize,
    /// Their median severity by the old bundle.
    pub severity_before: f64,
    /// The same by the new bundle, cross-fitted.
    pub severity_after: f64,
    /// The new threshold as a severity on the scale that the frames taught before would give alone: 1 where it did not move.
    pub threshold_severity: f64,
    /// Frames taught before that are kept, and how many of them reach the threshold before and after; `None` where the bundle keeps
    /// none.
    pub taught: Option<[usize; 3]>,
    /// Directions in which the batches differ, of all batches together.
    pub directions: usize,
    /// The names of frames that are far beyond the threshold, cross-fitted: perhaps they are no good ones.
    pub doubtful: Vec<String>,
}
