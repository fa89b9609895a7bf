#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! What happened in the field, read from logs: of any form, from any number of boards, however damaged, in memory that does
//! not grow with their length.
//!
//! ```text
//! files, pipes, the journal                                        findings -- what matters, in plain words
//!   input -- unpacked, lines, in the order of time                    ^
//!     form -- what a line says: our text and JSON, the journal's      |
//!       story -- boards, runs, time in buckets, faults, worst frames -+--> report -- text, JSON, a page
//! ```

// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod error;
mod findings;
mod humanize;
mod input;
mod merge;
mod parser;
mod report;
mod summary;
mod time_range;

pub use error::FieldlogError;
pub use input::{LogSource, find as find_logs};
pub use report::Report;
pub use time_range::{TimeRange, parse_time};

use merge::MergedReader;

/// Reads `sources` and reports what happened within `range`.
///
/// `progress` is called from time to time with the number of stored bytes that were read and their total. Standard input and the
/// journal have no known size and count as 0 bytes.
///
/// Logs that cannot be read or are damaged are listed in the report; they are no error.
pub fn inspect(sources: Vec<LogSource>, range: TimeRange, progress: &mut dyn FnMut(u64, u64)) -> Report {
    let merged = MergedReader::new(sources);
    let total = merged.total_bytes();
    Report::new(summary::Summary::read(merged, range, &mut |read| progress(read, total)))
}
