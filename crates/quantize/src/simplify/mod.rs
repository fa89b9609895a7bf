//! What a network loses before it is quantized: nothing that changes its floats by more than rounding.
//!
//! First nodes that pass their input on (Identity, Dropout), and those that nobody takes, are dropped (`network`).
//!
//! | step | what it does |
//! |---|---|
//! | `constants` | computes what depends on constants alone |
//! | `shapes` | fixes the shapes, on request: what is computed from them is constant then |
//! | `opset` | rewrites opset 9 to 12 as 13, which alone has a scale for each channel |
//! | `affine` | takes BatchNormalization and constant factors and terms into the convolution before them |

pub mod affine;
pub mod constants;
pub mod opset;
pub mod shapes;

use crate::network::{Network, remove};
use crate::{QuantizeError, types};
use lineside_engine::Tensor;

/// What was done, for the report.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Simplified {
    /// Nodes computed at once, as they depend on constants alone.
    pub folded_constants: usize,
    /// Nodes dropped: Identity, Dropout, dead ends.
    pub removed: usize,
    /// BatchNormalization, factors and terms taken into a convolution or product.
    pub folded_affine: usize,
    /// BatchNormalization that became a convolution of its own, as none is before it.
    pub own_convolutions: usize,
    /// Tensors whose channels were brought to like ranges.
    pub equalized: usize,
    /// The opset that the model came with, where it had to be raised.
    pub raised_from_opset: Option<i64>,
}

/// Simplifies `network` in place; with a sample for its shapes alone.
///
/// # Errors
/// [`QuantizeError::Model`] for a model older than opset 9, or one that cannot be rewritten as opset 13.
pub fn simplify(network: &mut Network, shapes: Option<&[Tensor]>, threads: usize) -> Result<Simplified, QuantizeError> {
    let mut done = Simplified { folded_constants: constants::fold(network), ..Simplified::default() };
    done.removed += remove(network);
    done.raised_from_opset = opset::raise(network)?;
    if let Some(sample) = shapes {
        shapes::fix(network, sample, threads)?;
        done.folded_constants += constants::fold(network);
    }
    let types = types::of(network);
    (done.folded_affine, done.own_convolutions) = affine::fold(network, &types);
    done.folded_constants += constants::fold(network);
    done.removed += remove(network);
    Ok(done)
}
