//! Recalibration: a few dozen good frames of the next batch, taken into a bundle in seconds, without forgetting what was taught before.
//!
//! ```text
//! good frames -- batch.rs: features and scores, as the bundle judges them ---+
//! NormalFrames: frames of all batches so far, kept in the bundle --------+--> recalibrate.rs
//!                                                                                 |
//!    nuisance directions, scales, calibration: the new bundle  <------------------+
//! ```
//!
//! New frames are scored by cross-fitting: by directions that come from the other frames. Frames that took part in making the
//! directions would look more normal than any to come.

mod batch;
mod recalibrate;
mod report;

pub use batch::{BatchFrame, BatchReader};
pub use recalibrate::{MIN_FRAMES, Recalibrated, recalibrate};
pub use report::RecalibrationReport;
