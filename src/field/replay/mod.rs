//! Verdicts of the past, come to again. The same frame gives the same verdict on every CPU, so what a board left, its records
//! and the frames as they were judged, can be judged anew anywhere, and must come out equal to the last bit.
//!
//! ```text
//! records.rs: start, event, normal --> judge.rs: frame + bundle --> verdict --> outcome.rs: equal, or why not
//! ```

mod judge;
mod outcome;
mod records;

pub use judge::Judges;
pub use outcome::{Kind, Outcome};
pub use records::{Judged, Maker, Records};
