#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! ```text
//! files, pipes, journalctl
//!   input     which files are logs, decompression, lines
//!     parser    lines to entries: text and JSON records, the forms of the journal and of syslog
//!       order     files whose newest line comes first
//!         merge     entries of all inputs in the order of time
//!         summary   entries by board and run: time series, faults, latency, memory
//!           findings  problems, each with a severity and the lines that show it
//!             report    text, JSON, HTML page
//!
//! humanize    times, durations and numbers for people      time_range  the requested time range      error  errors
//! hash        keys of tables
//! ```
//!
//! Each module uses only modules above it, and those in the last two lines.

// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod error;
mod findings;
mod hash;
mod humanize;
mod input;
mod merge;
mod order;
mod parser;
mod report;
mod summary;
mod time_range;

pub use error::FieldlogError;
pub use input::LogSource;
pub use report::Report;
pub use time_range::{TimeRange, parse_time};

use merge::MergedReader;
use std::path::PathBuf;

/// The inputs that the paths name: `-` is standard input, of a folder all files that are logs by their names or by their beginning.
/// What is beyond the limits or has to be unpacked is [`LogSource::PassedOver`], so that the report names it.
pub fn find_logs(paths: &[PathBuf]) -> Vec<LogSource> {
    input::find(paths, &parser::holds_record)
}

/// Reads `sources` and reports what happened within `range`.
///
/// `progress` is called from time to time with the number of stored bytes that were read and their total. Standard input and the
/// journal have no known size and count as 0 bytes.
///
/// Logs that cannot be read or are damaged are listed in the report; they are no error.
pub fn inspect(sources: Vec<LogSource>, range: TimeRange, progress: &mut dyn FnMut(u64, u64)) -> Report {
    // Only what can be read a second time is put in order; of the rest the report names that it is not.
    let again = sources.iter().all(|source| !matches!(source, LogSource::Stdin | LogSource::Journal(_)));
    let again = again.then(|| sources.clone());
    let merged = MergedReader::new(sources, &[]);
    let total = merged.total_bytes();
    let mut summary = summary::Summary::read(merged, range, &mut |read| progress(read, total));
    let orders: Vec<_> = summary.inputs.iter().map(|input| input.order).collect();
    if let Some(sources) = again.filter(|_| orders.iter().any(order::Order::is_new)) {
        let merged = MergedReader::new(sources, &orders);
        summary = summary::Summary::read(merged, range, &mut |read| progress(read, total));
    }
    Report::new(summary)
}
