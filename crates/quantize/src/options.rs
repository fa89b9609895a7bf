//! What the caller wants, and is told meanwhile.

use crate::QuantizeError;
use crate::calibrate::{Method, Quant};
use std::collections::{HashMap, HashSet};

/// What is wanted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How ranges of activations are found.
    pub method: Method,
    /// A scale for each output channel of weights; one for all otherwise.
    pub per_channel: bool,
    /// Activations with their zero in the middle of the bytes.
    pub symmetric: bool,
    /// Weights are rounded, and biases corrected, for the least error at the outputs of their layers; to the nearest otherwise.
    pub improve: bool,
    /// Nodes that stay in floats: names, names of what they make, or operators.
    pub keep: HashSet<String>,
    /// Ranges of inputs that are known, by the input's name.
    pub input_ranges: HashMap<String, (f32, f32)>,
    /// The shapes of the first sample are the only ones: what is computed from them becomes constants.
    pub fix_shapes: bool,
    /// Threads.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            method: Method::Auto,
            per_channel: true,
            symmetric: false,
            improve: true,
            keep: HashSet::new(),
            input_ranges: HashMap::new(),
            fix_shapes: false,
            threads: 1,
        }
    }
}

impl Options {
    /// Bytes over a range.
    pub(crate) fn quant(&self, (low, high): (f32, f32)) -> Quant {
        if self.symmetric { Quant::symmetric(low, high) } else { Quant::over(low, high) }
    }
}

/// Where the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// What flows through the network is counted.
    Ranges,
    /// Ranges are compared by what they do.
    Errors,
    /// Weights are rounded, biases corrected.
    Weights,
    /// The result is compared with the floats.
    Comparison,
}

/// Told how much of a stage is done of how much; an error stops the work.
pub type Progress<'a> = dyn FnMut(Stage, usize, usize) -> Result<(), QuantizeError> + 'a;
