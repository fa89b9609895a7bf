//! Scorers: each measures by its own method how far a frame is from normal. A verdict is the weighted sum of the scorers that
//! separated held-out defects best when the bundle was trained.

mod interface;
mod linear;
mod matrix;
mod memory_bank;
mod patch_distances;
mod patch_projection;
mod product;
mod subspace;
mod weighted_sum;

pub use interface::{Features, Scorer};
pub use linear::CLIP;
pub use matrix::Matrix;
pub use product::dot_f32;
pub use weighted_sum::{WeightedSum, build_scorer};
