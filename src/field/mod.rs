//! What the field tells: how long things take, what scores and frames look like over time, and whether that is still what the
//! bundle was taught. All of it in memory that does not grow.
//!
//! ```text
//! threads of the pipeline --> Interval (histograms, sketches) --+--> status records
//!                                                               +--> Drift, against the bundle's baseline --> review records
//! events with their frames -- replay --> the same verdicts, or why not
//! ```

mod baseline;
mod drift;
mod histogram;
mod interval;
pub mod replay;

pub use drift::{Drift, Review, Statistic};
pub use histogram::Histogram;
pub use interval::{Interval, Seen, Stage};

/// What a run keeps of these: the interval that is filled, the one that is told, that of ten minutes and that of drift.
pub const BYTES: usize = 4 * std::mem::size_of::<Interval>() + std::mem::size_of::<Drift>();
