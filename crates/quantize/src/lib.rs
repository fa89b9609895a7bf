#![doc = include_str!("../README.md")]
//!
//! # How the modules lie
//!
//! In the order of their imports: nobody imports from a module below its own row.
//!
//! | module | content |
//! |---|---|
//! | `quantizer` | the way from floats to integers, step by step |
//! | `dynamic` | weights as bytes, without samples |
//! | `comparison` | two networks on the same samples |
//! | `census` | how many layers take bytes, 16 bits or floats |
//! | `rounds` | weights and biases of all layers, a few at a time, on rows of what they take |
//! | `ranges` | the range of each tensor's bytes |
//! | `study` | what all steps work on: network, placement, samples, options |
//! | `mixed` | layers in floats or A16W8 until a stated loss is met |
//! | `groups` | which layers are tried outside A8W8 together |
//! | `refinement` | ranges by what they do to the outputs of the network |
//! | `noise` | what rounding one tensor does to the outputs |
//! | `curve` | functions of one tensor, computed |
//! | `options` | what the caller wants, and is told meanwhile |
//! | `tables` | embeddings as bytes |
//! | `equalize` | channels between two convolutions, brought to like ranges |
//! | `check` | what is refused before anything is quantized |
//! | `write` | the network with QuantizeLinear and DequantizeLinear |
//! | `shield` | layers that stay in floats, kept from what ONNX Runtime rounds on its own |
//! | `qoperator` | nodes in integers as operators of their own |
//! | `decisions` | all that is decided before it is written |
//! | `wide` | layers in A16W8 |
//! | `placement` | which nodes run in integers, and which tensors are bytes |
//! | `layer/` | nodes with weights: rows of what they take, rounding |
//! | `linear` | products and factors of matrices |
//! | `calibrate/` | histograms, and ranges from them |
//! | `simplify/` | what a network loses before it is quantized |
//! | `samples` | the samples of one call, without those that cannot be read |
//! | `run` | runs a network and shows what flows inside |
//! | `function` | functions of one tensor |
//! | `types` | which tensors hold floats |
//! | `quality` | how near two arrays are |
//! | `network/` | an ONNX network that is changed node by node |
//! | `array` | constants of a file |

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod array;
mod calibrate;
mod census;
mod check;
mod comparison;
mod curve;
mod decisions;
mod dynamic;
mod equalize;
mod function;
mod groups;
mod layer;
mod linear;
mod mixed;
mod network;
mod noise;
mod options;
mod placement;
mod qoperator;
pub mod quality;
mod quantizer;
mod ranges;
mod refinement;
#[cfg(test)]
mod reproducibility_tests;
mod rounds;
mod run;
mod samples;
mod shield;
mod simplify;
mod study;
mod tables;
mod types;
mod wide;
mod write;

pub use calibrate::Method;
pub use census::LayerCounts;
pub use comparison::{Comparison, Cost, OutputDifference, ScoreShift, Verdict, compare, layers, pairs};
pub use dynamic::{DynamicReport, DynamicallyQuantized, quantize_dynamic};
pub use mixed::{Milliseconds, Mixed, Sensitivity};
pub use noise::Loss;
pub use options::{Fallback, Form, MaxLoss, Options, Progress, Stage};
pub use quantizer::{LayerReport, Quantized, Report, Unfinished, quantize};
pub use ranges::Outlier;
pub use samples::{UnreadSample, is_held_out};
pub use simplify::Simplified;

use lineside_engine::{EngineError, Tensor};

/// Samples of a network's inputs, read as they are needed: only one is in memory at a time.
pub trait Samples {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One tensor for each input of the network, in its order.
    ///
    /// # Errors
    /// [`QuantizeError::Data`] where the sample cannot be read; the message names it. It is left out then; any other error ends the work.
    fn get(&mut self, index: usize) -> Result<Vec<Tensor>, QuantizeError>;

    /// What a sample is called in messages.
    fn name(&self, index: usize) -> String {
        format!("sample {index}")
    }
}

impl Samples for Vec<Vec<Tensor>> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn get(&mut self, index: usize) -> Result<Vec<Tensor>, QuantizeError> {
        <[Vec<Tensor>]>::get(self, index)
            .cloned()
            .ok_or_else(|| QuantizeError::Data(format!("there is no sample {index}")))
    }
}

/// Why a network cannot be quantized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The engine cannot read or run the network, or a sample does not fit.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The network is not one that can be quantized.
    #[error("{0}")]
    Model(String),
    /// There is not the data that is needed.
    #[error("{0}")]
    Data(String),
    /// The stated loss is not met, whatever is kept in floats.
    #[error(
        "a loss of {limit} is not met: with {kept} of {of} layers in {}, signal to noise is {:.1} dB ({:.1} dB with all in A8W8) and \
         {:.1} % of the samples get another first place; allow more, or calibrate with more samples",
        if *floats { "floats, half of the multiply-accumulates" } else { "A16W8" },
        reached.sqnr_db, before.sqnr_db, 100.0 * reached.changed_first_places
    )]
    Loss {
        /// What was asked for.
        limit: MaxLoss,
        /// What is lost with all layers in A8W8.
        before: Loss,
        /// What is lost with those outside it that help most.
        reached: Loss,
        /// How many these are.
        kept: usize,
        /// How many layers there are.
        of: usize,
        /// Whether these are in floats; in A16W8 otherwise.
        floats: bool,
    },
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}
