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

mod findings;
mod form;
mod input;
mod report;
mod say;
mod story;
mod window;

pub use input::{Origin, find as find_logs};
pub use report::Report;
pub use story::Window;
pub use window::{NoTime, parse_time};

use input::Merged;

/// Reads all of `origins`, as far as the `window` goes. `progress` is told how many stored bytes there are and now and then how
/// many of them were read; of pipes the size is unknown, and they count as none.
///
/// What cannot be read is noted in the report; it is no error.
pub fn inspect(origins: Vec<Origin>, window: Window, progress: &mut dyn FnMut(u64, u64)) -> Report {
    let merged = Merged::new(origins);
    let total = merged.total_bytes();
    Report::new(story::Story::read(merged, window, &mut |read| progress(read, total)))
}
