//! Float expressions: how a tensor comes about from quantized ones.

use super::Payload;
use super::channel_affine::ChannelAffine;
use crate::graph::{Conv, Movement, Op, Quant, Sampling, ValueId, Window};
use crate::tract::Constant;
use crate::unary::Unary;
use std::cell::Cell;
use std::rc::Rc;

/// A float tensor that has not been computed.
pub struct Lazy {
    pub name: String,
    pub expression: Expression,
    pub shape: Vec<usize>,
    /// Its floats, once something needed them.
    pub(super) computed: Cell<Option<ValueId>>,
    /// Expressions that it is made of, each as often as it is an operand, and the longest way down among them.
    size: usize,
    depth: usize,
}

/// The largest size and depth of an expression that waits. Whoever makes integers of one walks it as often as it is an operand, for
/// each of 256 numbers: of forty sums of a tensor with itself there is no end, and a chain of thousands takes the stack.
const LARGEST: usize = 1024;
const DEEPEST: usize = 128;

/// How a float tensor comes about from quantized ones.
#[derive(Clone)]
pub enum Expression {
    /// `scale * (value - zero_point)`.
    Dequantized(ValueId, Quant),
    /// The same of a constant, with a scale and zero point for each place along `axis`, or for all.
    Weights {
        stored: Stored,
        scale: Vec<f32>,
        zero_point: Vec<i32>,
        axis: usize,
    },
    /// `scale[c] * accumulator`.
    Accumulated {
        kind: Accumulator,
        conv: Box<Conv>,
        input: ValueId,
        scale: Vec<f32>,
    },
    Unary(Rc<Lazy>, Unary),
    Affine(Rc<Lazy>, ChannelAffine),
    Add(Rc<Lazy>, Rc<Lazy>),
    Mul(Rc<Lazy>, Rc<Lazy>),
    /// Both operands computed.
    MatMul(Rc<Lazy>, Rc<Lazy>),
    AveragePool(Rc<Lazy>, Window),
    Bilinear(Rc<Lazy>, Sampling, Sampling),
    Concat(Vec<Rc<Lazy>>, usize),
    Softmax(Rc<Lazy>, usize),
    /// Elements moved; quantization is element by element, so it may come before or after.
    Moved(Rc<Lazy>, Movement),
}

/// The elements of weights: large ones stay in the file's form until the op that takes them is made.
#[derive(Clone)]
pub enum Stored {
    Read(Constant),
    /// A large initializer of the file: its place and its bytes.
    Initializer(usize, Payload),
}

/// Which op accumulates.
#[derive(Clone, Copy, PartialEq)]
pub enum Accumulator {
    Conv,
    ConvTranspose,
    Linear,
}

impl Accumulator {
    pub fn op(self, conv: Conv) -> Op {
        match self {
            Accumulator::Conv => Op::Conv(conv),
            Accumulator::ConvTranspose => Op::ConvTranspose(conv),
            Accumulator::Linear => Op::Linear(conv),
        }
    }
}

impl Expression {
    /// The expressions that it is made of.
    pub fn operands(&self) -> Vec<&Rc<Lazy>> {
        match self {
            Expression::Dequantized(..) | Expression::Accumulated { .. } | Expression::Weights { .. } => Vec::new(),
            Expression::Unary(x, _)
            | Expression::Affine(x, _)
            | Expression::AveragePool(x, _)
            | Expression::Bilinear(x, ..)
            | Expression::Softmax(x, _)
            | Expression::Moved(x, _) => vec![x],
            Expression::Add(a, b) | Expression::Mul(a, b) | Expression::MatMul(a, b) => vec![a, b],
            Expression::Concat(parts, _) => parts.iter().collect(),
        }
    }
}

impl Lazy {
    pub fn new(name: &str, expression: Expression, shape: Vec<usize>) -> Rc<Lazy> {
        let operands = expression.operands();
        let size = operands.iter().fold(1usize, |size, operand| size.saturating_add(operand.size));
        let depth = 1 + operands.iter().map(|operand| operand.depth).max().unwrap_or(0);
        Rc::new(Lazy { name: name.to_owned(), expression, shape, computed: Cell::new(None), size, depth })
    }

    /// Whether it must not wait any longer: its floats are computed, and what follows starts from them.
    pub fn is_large(&self) -> bool {
        self.size > LARGEST || self.depth > DEEPEST
    }
}
