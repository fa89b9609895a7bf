//! Scorers: each measures by its own method how far a frame is from normal. A verdict combines the scorers that separated held-out
//! defects best when the bundle was trained.

mod ensemble;
mod interface;
mod linear;
mod mahalanobis;
mod matrix;
mod memory_bank;
mod patch_distances;
mod patch_projection;
mod place;
mod product;
mod subspace;

pub use ensemble::{Ensemble, build_scorer, combine};
pub use interface::{Features, Scorer};
pub use linear::CLIP;
pub use mahalanobis::RIDGE as MAHALANOBIS_RIDGE;
pub use matrix::Matrix;
pub use place::place_columns;
pub use product::dot_f32;
