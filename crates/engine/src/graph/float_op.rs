//! Float ops between integer ones. Their loops are in `float.rs`.

use super::geometry::{Sampling, Window};

/// A float op with one scalar implementation. Broadcasting follows ONNX.
#[derive(Debug, Clone, PartialEq)]
pub enum FloatOp {
    Binary(Binary),
    /// `a [.., M, K], b [.., K, N]`; each sum runs from the first `k` to the last.
    MatMul,
    /// Over one axis.
    Softmax {
        axis: usize,
    },
    /// Over trailing axes from `axis` on: `(x - mean) / sqrt(variance + epsilon) * scale + bias`.
    LayerNorm {
        axis: usize,
        epsilon: f32,
    },
    /// Over the given axes.
    Reduce {
        kind: Reduction,
        axes: Vec<usize>,
    },
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
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reduction {
    Mean,
    Sum,
    Max,
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
            FloatOp::MatMul => "FloatMatMul",
            FloatOp::Softmax { .. } => "FloatSoftmax",
            FloatOp::LayerNorm { .. } => "LayerNorm",
            FloatOp::Reduce { .. } => "FloatReduce",
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
