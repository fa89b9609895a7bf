//! What was found of a picture.

use std::path::PathBuf;

/// A picture with its score.
pub(super) struct Scored {
    pub(super) file: PathBuf,
    pub(super) kind: Option<String>,
    pub(super) score: f64,
    pub(super) severity: f64,
    /// What ranks pictures: scores are all 1.0 for many defects, and severities 0 for many normal pictures.
    pub(super) sum: f64,
    pub(super) defect: bool,
    /// Whether the part was looked for and not found.
    pub(super) unfound: bool,
    pub(super) ms: f64,
}
