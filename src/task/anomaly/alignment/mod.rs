//! Alignment: a part is found in the frame and brought to where it was taught, before anything is measured.
//!
//! ```text
//! good pictures -- learn.rs --> the template of a mark, and the correlation below which it is not found
//!                                  |
//! frame ------------------------- aligner.rs --> where the part lies --> the frame as if it lay where it was taught --> region, views
//!                                                   +--> not found: the frame as it is, and a verdict that says so
//! ```
//!
//! Heat, boxes and outlines are drawn where the part lies in the frame as it came.

mod aligner;
mod learn;

pub use aligner::Aligner;
pub use learn::{AlignmentError, AlignmentReport, Mark, learn_alignment, would_align};
