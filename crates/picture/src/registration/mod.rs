//! Where a known part lies in a picture: its shift, and where they may vary its rotation and size, against a template.
//!
//! ```text
//! frame -- window.rs: grey, reduced by a whole number, the part of it where the mark may lie
//!            +-- template.rs: the mark as it looks, at several sizes, and how it changes when it moves
//!            +-- search.rs: every coarse place, then least squares from size to size --> pose, correlation
//! pictures -- learn.rs --> the mean of the aligned mark, where it is steady, and which correlation good pictures have
//! ```
//!
//! Pixels are sampled and summed in integers; the few numbers that are solved for are computed in `f64` by plain sums, products and
//! quotients in a fixed order. The same bits on every CPU.

mod learn;
mod search;
mod template;
mod window;

pub use learn::{LearnedTemplate, learn_template};
pub use search::{Match, Registration};
pub use template::Template;
pub use window::{PoseLimits, SearchWindow};
