//! Verdicts of the past, come to again. The same frame gives the same verdict on every CPU, so what a board left, its records
//! and the frames as they were judged, can be judged anew anywhere, and must come out equal to the last bit.
//!
//! ```text
//! records.rs: start, event, normal --> checker.rs: frame + bundle --> verdict --> outcome.rs: equal, or why not
//! ```

mod checker;
mod outcome;
mod records;

pub use checker::VerdictChecker;
pub use outcome::{Outcome, OutcomeKind};
pub use records::{RecordedVerdict, RunInfo, VerdictReader};
