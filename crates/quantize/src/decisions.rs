//! All that is decided about a network before it is written.

use crate::calibrate::{Quant, WideQuant};
use crate::layer::rounding::Rounded;
use crate::placement::Placement;
use crate::wide::Wide;
use std::collections::{BTreeMap, HashMap};

/// All that was decided about a network.
pub struct Decisions<'a> {
    /// What runs in integers.
    pub placement: &'a Placement,
    /// The bytes of each tensor.
    pub quants: &'a HashMap<String, Quant>,
    /// Weights and biases of each layer.
    pub solved: &'a Solved,
    /// The layers in A16W8, if any.
    pub wide: Option<WideDecisions<'a>>,
    /// Tables that are stored as bytes.
    pub tables: &'a [String],
}

/// What was decided about layers in A16W8.
#[derive(Clone, Copy)]
pub struct WideDecisions<'a> {
    /// Which they are.
    pub wide: &'a Wide,
    /// The 16 bits of each tensor that may have them.
    pub quants: &'a HashMap<String, WideQuant>,
    /// Weights and biases of layers that take 16 bits.
    pub solved: &'a Solved,
}

/// Rounded weights and corrected biases of layers.
#[derive(Debug, Clone, Default)]
pub struct Solved {
    /// By the layer's place.
    pub weights: BTreeMap<usize, Rounded>,
    /// By the layer's place.
    pub biases: BTreeMap<usize, Vec<f32>>,
}
