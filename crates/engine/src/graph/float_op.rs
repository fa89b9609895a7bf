//! Float ops between integer ones. Their loops are in `kernels/float/`.

use super::geometry::{Sampling, Window};
use std::sync::Arc;

/// A float op. Broadcasting follows ONNX.
#[derive(Debug, Clone, PartialEq)]
pub enum FloatOp {
    Binary(Binary),
    /// `a [.., M, K], b [.., K, N]`; each sum runs from the first `k` to the last.
    MatMul,
    /// `x [.., K] -> y [.., N]` with constant weights; each sum begins with the bias.
    Linear(FloatLinear),
    Conv(FloatConv),
    /// Over one axis.
    Softmax {
        axis: usize,
    },
    LogSoftmax {
        axis: usize,
    },
    /// Over trailing axes from `axis` on: `(x - mean) / sqrt(variance + epsilon) * scale + bias`.
    LayerNorm {
        axis: usize,
        epsilon: f32,
    },
    /// As [`FloatOp::LayerNorm`] without the mean: `x / sqrt(mean of squares + epsilon) * scale`.
    RmsNorm {
        axis: usize,
        epsilon: f32,
    },
    /// `[N, C, ..]` over each group of channels, with a scale and a bias a channel: instance normalization where `groups` is C.
    GroupNorm {
        groups: usize,
        epsilon: f32,
    },
    /// `x [N, C, ..] * scale [C] + shift [C]`: batch normalization.
    ScaleShift,
    /// Over the given axes, which remain as 1.
    Reduce {
        kind: Reduction,
        axes: Vec<usize>,
    },
    MaxPool(Window),
    AveragePool(Window),
    Bilinear(Sampling, Sampling),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    /// `a`, or `a * b` where it is negative.
    PRelu,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reduction {
    Mean,
    Sum,
    Max,
    Min,
    Prod,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

/// A product with a constant matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatLinear {
    /// `[inputs, outputs]`.
    pub weights: Arc<[f32]>,
    pub inputs: usize,
    pub outputs: usize,
    /// One number an output, or none.
    pub bias: Arc<[f32]>,
}

/// A convolution of `[N, C, H, W]` or `[N, C, W]` with constant weights; the latter has a height of 1.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatConv {
    /// As ONNX has them: `[outputs, inputs, kernel height, kernel width]`, transposed `[groups * inputs, outputs / groups, ..]`.
    pub weights: Arc<[f32]>,
    /// One number an output, or none.
    pub bias: Arc<[f32]>,
    pub transposed: bool,
    pub outputs: usize,
    /// Of one group.
    pub inputs: usize,
    pub groups: usize,
    /// Height and width.
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top and left; what lies below and right follows from the output's size.
    pub pads: [usize; 2],
}

impl FloatOp {
    pub fn kind(&self) -> &'static str {
        match self {
            FloatOp::Binary(Binary::Add) => "FloatAdd",
            FloatOp::Binary(Binary::Sub) => "FloatSub",
            FloatOp::Binary(Binary::Mul) => "FloatMul",
            FloatOp::Binary(Binary::Div) => "FloatDiv",
            FloatOp::Binary(Binary::Pow) => "FloatPow",
            FloatOp::Binary(Binary::Min) => "FloatMin",
            FloatOp::Binary(Binary::Max) => "FloatMax",
            FloatOp::Binary(Binary::PRelu) => "FloatPRelu",
            FloatOp::MatMul => "FloatMatMul",
            FloatOp::Linear(_) => "FloatLinear",
            FloatOp::Conv(conv) if conv.transposed => "FloatConvTranspose",
            FloatOp::Conv(conv) if conv.inputs == 1 && conv.groups > 1 => "FloatDepthwiseConv",
            FloatOp::Conv(_) => "FloatConv",
            FloatOp::Softmax { .. } => "FloatSoftmax",
            FloatOp::LogSoftmax { .. } => "FloatLogSoftmax",
            FloatOp::LayerNorm { .. } => "LayerNorm",
            FloatOp::RmsNorm { .. } => "RmsNorm",
            FloatOp::GroupNorm { .. } => "GroupNorm",
            FloatOp::ScaleShift => "BatchNorm",
            FloatOp::Reduce { .. } => "FloatReduce",
            FloatOp::MaxPool(_) => "FloatMaxPool",
            FloatOp::AveragePool(_) => "FloatAveragePool",
            FloatOp::Bilinear(..) => "FloatResize",
        }
    }
}

/// The shape of two shapes broadcast against each other, where they agree.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim =
        |shape: &[usize], axis: usize| if axis + shape.len() < rank { 1 } else { shape[axis + shape.len() - rank] };
    (0..rank)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Row-major strides in elements of `shape` broadcast to `to`: 0 along what is repeated.
pub fn broadcast_strides(shape: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    let lead = to.len() - shape.len();
    for (axis, &dim) in shape.iter().enumerate().rev() {
        strides[lead + axis] = if dim == 1 { 0 } else { stride };
        stride *= dim;
    }
    strides
}

/// Calls `visit(out, a, b)` for every element of `shape` with the offsets of both operands.
pub fn for_each_pair(shape: &[usize], a: &[usize], b: &[usize], mut visit: impl FnMut(usize, usize, usize)) {
    // Offsets advance like an odometer; eight axes are more than any model here has, and need no allocation.
    let mut index = [0usize; 8];
    let count: usize = shape.iter().product();
    let (mut at_a, mut at_b) = (0, 0);
    for out in 0..count {
        visit(out, at_a, at_b);
        for axis in (0..shape.len().min(8)).rev() {
            index[axis] += 1;
            at_a += a[axis];
            at_b += b[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at_a -= a[axis] * shape[axis];
            at_b -= b[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}
