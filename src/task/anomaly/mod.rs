//! Anomaly detection: is this frame normal, and where is it not? A frozen INT8 backbone extracts features of the frame at a few
//! input sizes; scorers, trained on normal parts, measure how far these features are from normal.
//!
//! ```text
//! frame -- view (each size) --+-- pooled -- less nuisance --> image-level scorers --+
//!                             +-- cells ---> patch-level scorers -------------------+--> weighted sum -- calibration --> score 0..1
//!                                                             +--> heatmap, regions
//! ```
//!
//! `teach/` makes a bundle from good parts, `recalibration/` takes a later batch into it: what batches differ by, the nuisance, is
//! taken out of the pooled features.

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
mod pooled;
mod pooled_scale;
pub mod recalibration;
mod scorer;
pub mod teach;
mod verdict;
mod view;

pub use baseline::{Baseline, ImageStatsBaseline};
pub use heatmap::Region;
pub use image_stats::ImageStats;
pub use inspector::Inspector;
pub use metrics::{auroc, bootstrap_interval, f1, recall_at};
pub use normal_frames::NormalFrames;
pub use pixel_metrics::PixelMetrics;
pub use verdict::Verdict;
