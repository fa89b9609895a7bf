//! Anomaly detection: is this frame normal, and where is it not? A frozen INT8 backbone extracts features of the frame at a few
//! input sizes; scorers, trained on normal parts, measure how far these features are from normal.
//!
//! ```text
//! frame -- alignment -- region -- view (each size) --+-- pooled -- less nuisance --> image-level scorers --+
//!                                                    +-- cells, planes ---> patch-level scorers -----------+--> soft maximum -- calibration
//!                                                                                    +--> heatmap, regions           --> score 0..1, severity
//! ```
//!
//! `teach/` makes a bundle from good parts, `recalibration/` takes a later batch into it: what batches differ by, the nuisance, is
//! taken out of the pooled features.

mod alignment;
mod baseline;
mod calibration;
mod cells;
mod heatmap;
mod image_stats;
mod inspector;
mod local_mean;
mod metrics;
mod normal_frames;
mod nuisance;
mod pixel_metrics;
mod placement;
mod planes;
mod pooled;
mod pooled_scale;
pub mod recalibration;
mod region;
mod scorer;
pub mod teach;
mod verdict;
mod view;

pub use alignment::{Aligner, AlignmentError, AlignmentReport, Mark, learn_alignment, would_align};
pub use baseline::{Baseline, ImageStatsBaseline};
pub use calibration::{Calibration, SeverityScale};
pub use heatmap::Region;
pub(super) use heatmap::{Grid, HALF_HEAT, Scratch, draw, regions_of_defect};
pub use image_stats::{ImageStats, ImageStatsMeter};
pub use inspector::Inspector;
pub use metrics::{auroc, bootstrap_interval, f1, recall_at};
pub use normal_frames::NormalFrames;
pub use pixel_metrics::PixelMetrics;
pub use placement::Placement;
pub use region::{RegionError, RegionOfInterest, RegionShape, RegionSpec};
pub use scorer::Matrix;
pub use verdict::{UNKNOWN_PRODUCT, Verdict};
