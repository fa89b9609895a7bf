//! What is quantized, how, and how far ONNX Runtime's outputs may be from the engine's.

use lineside_engine::{Model, Session, Tensor};
use lineside_quantize::{Form, Options, quantize, quantize_dynamic};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Samples that ranges and rounding are taken from.
const CALIBRATION: u32 = 16;
/// The first sample that the quantizer does not see.
pub const HELD_OUT: u32 = 1000;

/// A network and how it is quantized.
pub struct Case {
    /// Of its files.
    pub name: &'static str,
    /// The float network: `NETWORK.onnx`.
    network: &'static str,
    /// The shape of its input.
    shape: &'static [usize],
    how: How,
    /// The largest difference from ONNX Runtime's outputs, as a part of the largest of them; 0 where bytes must be equal.
    pub allowed: f64,
}

enum How {
    /// With the options that this changes.
    Fixed(fn(&mut Options)),
    /// Weights alone.
    Dynamic,
}

const DEFAULT: How = How::Fixed(|_| ());

const fn case(name: &'static str, network: &'static str, shape: &'static [usize], how: How, allowed: f64) -> Case {
    Case { name, network, shape, how, allowed }
}

/// Sigmoid, Softmax or Tanh in floats at the end: two units in the last place of what is 1 at most.
const LAST_BITS: f64 = 2.5e-7;

pub const CASES: [Case; 19] = [
    case("plain", "plain", &[1, 3, 20, 20], DEFAULT, 0.0),
    case("mobilenet", "mobilenet", &[1, 3, 24, 24], DEFAULT, 0.0),
    case("squeeze_excite", "squeeze_excite", &[1, 3, 24, 24], DEFAULT, 0.0),
    case("densenet", "densenet", &[1, 3, 21, 21], DEFAULT, 0.0),
    case("unet", "unet", &[1, 1, 16, 16], DEFAULT, LAST_BITS),
    case("espcn", "espcn", &[1, 1, 12, 12], DEFAULT, 0.0),
    case("detector", "detector", &[1, 3, 32, 32], DEFAULT, LAST_BITS),
    case("mlp", "mlp", &[1, 40], DEFAULT, LAST_BITS),
    // LayerNormalization and Softmax in floats within, but no last bit that falls on the other side of a half.
    case("transformer", "transformer", &[1, 10, 12], DEFAULT, 0.0),
    case("keyword", "keyword", &[1, 10, 49], DEFAULT, LAST_BITS),
    // Float sums in another order, twelve steps one after another through an LSTM and a GRU.
    case("recurrent", "recurrent", &[1, 8, 24], DEFAULT, 1e-6),
    case("grouped", "grouped", &[1, 4, 18, 22], DEFAULT, LAST_BITS),
    case("autoencoder", "autoencoder", &[1, 1, 16, 16], DEFAULT, 0.0),
    case("residual_symmetric", "residual", &[1, 3, 20, 20], SYMMETRIC, 0.0),
    case(
        "mobilenet_qoperator",
        "mobilenet",
        &[1, 3, 24, 24],
        How::Fixed(|options| options.form = Form::QOperator),
        0.0,
    ),
    case("plain_qoperator_by_tensor", "plain", &[1, 3, 20, 20], QOPERATOR_BY_TENSOR, 0.0),
    case("mobilenet_a16w8", "mobilenet", &[1, 3, 24, 24], A16W8, 0.0),
    case("detector_half_in_floats", "detector", &[1, 3, 32, 32], HALF_IN_FLOATS, LAST_BITS),
    case("text_weights_alone", "text", &[12], How::Dynamic, 0.0),
];

const SYMMETRIC: How = How::Fixed(|options| (options.per_channel, options.symmetric) = (false, true));
const QOPERATOR_BY_TENSOR: How = How::Fixed(|options| (options.per_channel, options.form) = (false, Form::QOperator));
const A16W8: How = How::Fixed(|options| options.wide = named(&["Conv_0", "Conv_3"]));
const HALF_IN_FLOATS: How = How::Fixed(|options| options.keep = named(&["Conv_0", "Conv_2"]));

fn named(names: &[&str]) -> std::collections::HashSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// The folder of the float networks and the answers.
pub fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks")
}

impl Case {
    pub fn floats(&self) -> Vec<u8> {
        std::fs::read(here().join(self.network).with_extension("onnx")).unwrap()
    }

    /// A wave along each axis and noise, or numbers of words: from whole numbers, so that it is the same everywhere.
    pub fn sample(&self, number: u32) -> Tensor {
        let shape = self.shape;
        let mut state = number.wrapping_mul(2_654_435_761) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state >> 16
        };
        let count: usize = shape.iter().product();
        if matches!(self.how, How::Dynamic) {
            return Tensor::new(shape.to_vec(), (0..count).map(|_| i64::from(next() % 100)).collect()).unwrap();
        }
        let periods: Vec<u32> = shape.iter().map(|_| 4 + next() % 12).collect();
        let level = next() % 96;
        let value = |at: usize| {
            let mut rest = at;
            let mut wave = 0;
            for (&dim, &period) in shape.iter().zip(&periods).rev() {
                wave += (rest as u32 % dim as u32 % period).abs_diff(period / 2) * 96 / period;
                rest /= dim;
            }
            // From about -1 to 1.
            (level + wave + next() % 24) as f32 / 96.0 - 1.0
        };
        Tensor::new(shape.to_vec(), (0..count).map(value).collect::<Vec<f32>>()).unwrap()
    }

    /// The file of the quantized network.
    pub fn quantized(&self, threads: usize) -> Vec<u8> {
        match self.how {
            How::Dynamic => quantize_dynamic(&self.floats(), &named(&[])).unwrap().bytes,
            How::Fixed(change) => {
                let mut options = Options::default();
                (options.fix_shapes, options.threads) = (true, threads);
                change(&mut options);
                let mut samples: Vec<Vec<Tensor>> = (1..=CALIBRATION).map(|number| vec![self.sample(number)]).collect();
                quantize(&self.floats(), &mut samples, &options, &mut |_, _, _| Ok(())).unwrap().bytes
            }
        }
    }

    /// What the engine computes from a file: for each output one tensor, which has the answers to all samples one after another.
    pub fn outputs(&self, file: &[u8], kernel: &str, samples: std::ops::Range<u32>) -> Vec<Tensor> {
        let plan = Model::parse(file).unwrap().plan_with(&[self.shape.to_vec()], kernel).unwrap();
        // Nothing of these is left to another runtime.
        assert_eq!(plan.islands().count(), 0, "{}: {:?}", self.name, plan.islands().collect::<Vec<_>>());
        let mut session = Session::new(Arc::new(plan)).unwrap();
        let runs: Vec<Vec<Tensor>> = samples
            .map(|number| {
                session.set_input(0, self.sample(number)).unwrap();
                session.run().unwrap();
                session.outputs().to_vec()
            })
            .collect();
        (0..runs[0].len()).map(|index| stacked(runs.iter().map(|run| &run[index]))).collect()
    }
}

/// Tensors of floats or numbers of words as one, with a dimension before theirs that counts them.
pub fn stacked<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Tensor {
    let all: Vec<&Tensor> = tensors.collect();
    let shape = [&[all.len()], all[0].shape()].concat();
    match all[0].values::<i64>() {
        Some(_) => Tensor::new(shape, all.iter().flat_map(|one| one.values::<i64>().unwrap().to_vec()).collect()),
        None => Tensor::new(shape, all.iter().flat_map(|one| one.values::<f32>().unwrap().to_vec()).collect()),
    }
    .unwrap()
}
