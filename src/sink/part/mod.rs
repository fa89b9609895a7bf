//! A part's result: with a trigger, each part gets exactly one of OK, NOK and NO RESULT, in order, on the lines within a deadline.
//!
//! ```text
//! edges --> thread.rs -- announces --> ledger.rs <-- claims, judges -- PartTicket, which travels with the frame
//!               ^                         |
//!               +------- decided ---------+
//!               +--> pulses.rs: OK, NOK, strobe;  reject.rs: the ejector, later
//! ```
//!
//! The three state machines get every time from outside, so that tests run them with a clock of their own. What a run counts is in
//! `counts.rs`; parts without a verdict go to the records by `unjudged.rs`.

mod counts;
mod inputs;
mod ledger;
mod outcome;
mod outputs;
mod pulses;
mod reject;
mod shared;
#[cfg(test)]
mod tests;
mod thread;
#[cfg(test)]
mod thread_tests;
mod unjudged;
#[cfg(test)]
mod virtual_line;

pub use counts::{CountedProduct, MAX_SHIFTS, PartCounts, PartRow};
pub use inputs::EdgeInput;
pub use ledger::{MAX_IN_FLIGHT, WithoutFrame};
pub use outcome::{NoResultReason, PartOutcome, PartResult, PartVerdict};
pub use outputs::PartOutputs;
pub use pulses::{MIN_PULSE, PulseCounts, PulseTiming};
pub use reject::{MAX_REJECTS, RejectCounts, RejectDistance};
pub use shared::{PartLineCounts, PartStatus, PartTicket, Parts};
pub use thread::{PART_STACK, PART_THREAD, PartLine, PartThread, RejectRule};
pub use unjudged::UnjudgedRun;
