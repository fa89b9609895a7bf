//! What the caller wants, and is told meanwhile.

use crate::QuantizeError;
use crate::calibrate::{Method, Quant};
use crate::noise::Loss;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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
    /// Layers in A16W8, 16 bits for activations: names, names of what they make, or operators.
    pub wide: HashSet<String>,
    /// Ranges of inputs that are known, by the input's name.
    pub input_ranges: HashMap<String, (f32, f32)>,
    /// The shapes of the first sample are the only ones: what is computed from them becomes constants.
    pub fix_shapes: bool,
    /// Layers are taken out of A8W8 until no more than this is lost.
    pub max_loss: Option<MaxLoss>,
    /// What they are in then.
    pub fallback: Fallback,
    /// In which form integers are written.
    pub form: Form,
    /// Comparing ranges at the outputs and rounding weights for them ends after so long; what is left keeps the first choice. The result
    /// then depends on how fast the CPU is.
    pub time_limit: Option<Duration>,
    /// Threads.
    pub threads: usize,
}

/// How a file says that a node runs in integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// QuantizeLinear and DequantizeLinear around each node: every runtime reads it.
    #[default]
    Qdq,
    /// QLinearConv and QLinearMatMul, and bytes where elements are only moved; QuantizeLinear and DequantizeLinear around all else.
    QOperator,
}

/// What a layer is in that 8 bits lose too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fallback {
    /// The one of the others that takes less time on this CPU.
    #[default]
    Auto,
    /// Floats.
    Float,
    /// A16W8: a quarter of the bytes in the file, for accelerators without floats.
    A16W8,
}

/// How much may be lost by quantization.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub enum MaxLoss {
    /// The least signal to noise of the first output, in decibels.
    Decibels(f64),
    /// Samples whose greatest place in the first output becomes another one, as a part of all.
    FirstPlaces(f64),
}

impl MaxLoss {
    pub(crate) fn is_met(self, loss: &Loss) -> bool {
        match self {
            MaxLoss::Decibels(least) => loss.sqnr_db >= least,
            MaxLoss::FirstPlaces(most) => loss.changed_first_places <= most,
        }
    }
}

impl FromStr for MaxLoss {
    type Err = String;

    fn from_str(text: &str) -> Result<MaxLoss, String> {
        let number = |unit: &str, range: std::ops::RangeInclusive<f64>| {
            text.strip_suffix(unit)
                .and_then(|text| text.trim().parse::<f64>().ok())
                .filter(|value| range.contains(value))
        };
        let first_places = number("%", 0.0..=100.0).map(|percent| MaxLoss::FirstPlaces(percent / 100.0));
        let decibels = number("dB", 0.0..=200.0).or_else(|| number("db", 0.0..=200.0)).map(MaxLoss::Decibels);
        first_places.or(decibels).ok_or_else(|| {
            "expected the part of the samples that may get another first place, as 0.5%, or the least signal to noise, as 20dB".into()
        })
    }
}

impl fmt::Display for MaxLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxLoss::Decibels(least) => write!(f, "{least} dB"),
            MaxLoss::FirstPlaces(most) => write!(f, "{} %", 100.0 * most),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            method: Method::Auto,
            per_channel: true,
            symmetric: false,
            improve: true,
            keep: HashSet::new(),
            wide: HashSet::new(),
            input_ranges: HashMap::new(),
            fix_shapes: false,
            max_loss: None,
            fallback: Fallback::default(),
            form: Form::default(),
            time_limit: None,
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
    /// What flows through single channels is measured.
    Channels,
    /// What flows through the network is counted.
    Ranges,
    /// Ranges are compared by what they do.
    Errors,
    /// Ranges are compared by what they do to the outputs of the network.
    Refinement,
    /// Weights are rounded, biases corrected.
    Weights,
    /// Layers are taken out of A8W8, one by one and together with those that take what they make.
    Sensitivity,
    /// The result is compared with the floats.
    Comparison,
}

/// Told how much of a stage is done of how much; an error stops the work.
pub type Progress<'a> = dyn FnMut(Stage, usize, usize) -> Result<(), QuantizeError> + 'a;
