//! What a running line measures: the times of each stage, the distribution of scores, brightness and sharpness over time, and
//! whether they still match what the bundle was taught. All of it in memory that does not grow.
//!
//! ```text
//! threads of the pipeline --> Interval (histograms, sketches) --+--> status records
//!                                                               +--> DriftMonitor, against the bundle's baseline --> review records
//! events with their frames -- replay --> the same verdicts, or why not
//! ```

mod baseline;
mod drift;
mod histogram;
mod interval;
pub mod replay;

pub use drift::{DriftMonitor, DriftStatistic, Review};
pub use histogram::Histogram;
pub use interval::{FrameStats, Interval, Stage};

/// Bytes of a run's measurements: the interval being filled, the one being reported, that of ten minutes and that of drift.
pub const BYTES: usize = 4 * std::mem::size_of::<Interval>() + std::mem::size_of::<DriftMonitor>();
