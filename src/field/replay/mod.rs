//! Re-runs recorded verdicts. The same frame gives the same verdict on every CPU, so the records and frames of a board can be
//! inspected again on any machine, and the verdicts must be bit-identical.
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
