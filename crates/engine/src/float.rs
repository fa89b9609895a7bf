//! What has no integer form: a few float ops that dynamically quantized networks need, in one scalar path with a fixed
//! order of summation, and islands that run through tract.

use super::ElementKind;
use super::graph::{Sampling, Window};
use super::unary::power;
use tract_onnx::prelude::{TValue, TVec, Tensor as Value};

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
    /// From `i32`, `i64`, `u8` or `i8` to `f32` and back (towards zero).
    Cast,
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
            FloatOp::Cast => "Cast",
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

/// Element by element, broadcast.
pub fn binary(op: Binary, shape: &[usize], a: (&[f32], &[usize]), b: (&[f32], &[usize]), y: &mut [f32]) {
    let apply = match op {
        Binary::Add => |a: f32, b: f32| a + b,
        Binary::Sub => |a: f32, b: f32| a - b,
        Binary::Mul => |a: f32, b: f32| a * b,
        Binary::Div => |a: f32, b: f32| a / b,
        Binary::Pow => power,
        Binary::Min => f32::min,
        Binary::Max => f32::max,
    };
    for_each_pair(shape, a.1, b.1, |i, j, k| y[i] = apply(a.0[j], b.0[k]));
}

/// `y [m, n] = a [m, k] * b [k, n]`, each sum from the first `k` to the last.
pub fn matmul(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], y: &mut [f32]) {
    for row in 0..m {
        let y = &mut y[row * n..][..n];
        y.fill(0.0);
        for (inner, &a) in a[row * k..][..k].iter().enumerate() {
            for (y, &b) in y.iter_mut().zip(&b[inner * n..][..n]) {
                *y += a * b;
            }
        }
    }
}

/// Over the middle of `[outer, length, inner]`.
pub fn softmax(outer: usize, length: usize, inner: usize, x: &[f32], y: &mut [f32]) {
    for o in 0..outer {
        for i in 0..inner {
            let at = |l: usize| (o * length + l) * inner + i;
            let greatest = (0..length).map(|l| x[at(l)]).fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for l in 0..length {
                let e = libm::expf(x[at(l)] - greatest);
                y[at(l)] = e;
                sum += e;
            }
            for l in 0..length {
                y[at(l)] /= sum;
            }
        }
    }
}

/// Rows of `length`; `bias` may be empty.
pub fn layer_norm(length: usize, epsilon: f32, x: &[f32], scale: &[f32], bias: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks_exact(length).zip(y.chunks_exact_mut(length)) {
        let mean = x.iter().sum::<f32>() / length as f32;
        let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / length as f32;
        let factor = 1.0 / (variance + epsilon).sqrt();
        for (i, (x, y)) in x.iter().zip(y.iter_mut()).enumerate() {
            *y = (x - mean) * factor * scale[i] + bias.get(i).copied().unwrap_or(0.0);
        }
    }
}

/// Over the axes whose stride in `y` is 0: `strides` are those of the output broadcast to the input's shape.
pub fn reduce(kind: Reduction, shape: &[usize], strides: &[usize], x: &[f32], y: &mut [f32]) {
    y.fill(if kind == Reduction::Max { f32::NEG_INFINITY } else { 0.0 });
    for_each_pair(shape, strides, strides, |i, j, _| match kind {
        Reduction::Max => y[j] = y[j].max(x[i]),
        _ => y[j] += x[i],
    });
    if kind == Reduction::Mean {
        let count = x.len() as f32 / y.len() as f32;
        y.iter_mut().for_each(|y| *y /= count);
    }
}

/// An op, or a whole model, that runs through tract.
pub struct Island {
    pub model: std::sync::Arc<tract_onnx::prelude::TypedSimplePlan>,
    /// What it gives, in order.
    pub outputs: Vec<(ElementKind, Vec<usize>)>,
    pub macs: u64,
    /// Bytes of its constants.
    pub weights_bytes: u64,
    /// Bytes that its values take at most.
    pub arena_bytes: u64,
}

impl Island {
    /// Runs it; this allocates, inside tract.
    pub fn run(&self, inputs: TVec<TValue>) -> Result<TVec<TValue>, String> {
        self.model.run(inputs).map_err(|error| super::model::one_line(&error))
    }

    /// A tensor of tract's from bytes as they lie in memory.
    pub fn value(kind: ElementKind, shape: &[usize], bytes: &[u8]) -> Result<Value, String> {
        let mut value = Value::zero_dt(super::import::onnx::datum_type(kind), shape).map_err(|e| e.to_string())?;
        let mut view = value.try_as_plain_ram_mut().map_err(|e| e.to_string())?;
        view.as_bytes_mut().copy_from_slice(bytes);
        Ok(value)
    }
}

/// Average pool over `[planes, H, W]`, windows cut off at the border.
pub fn average_pool(
    window: &Window,
    [planes, h, w]: [usize; 3],
    [rows, columns]: [usize; 2],
    x: &[f32],
    y: &mut [f32],
) {
    let reach = |axis: usize, out: usize, size: usize| {
        let start = (out * window.stride[axis]) as isize - window.pads[axis] as isize;
        let inside = move |k: usize| {
            usize::try_from(start + (k * window.dilation[axis]) as isize).ok().filter(|&place| place < size)
        };
        (0..window.kernel[axis]).filter_map(inside)
    };
    for plane in 0..planes {
        for oy in 0..rows {
            for ox in 0..columns {
                let (mut sum, mut count) = (0.0, 0);
                for iy in reach(0, oy, h) {
                    for ix in reach(1, ox, w) {
                        sum += x[(plane * h + iy) * w + ix];
                        count += 1;
                    }
                }
                let count = if window.count_pads { window.kernel[0] * window.kernel[1] } else { count };
                y[(plane * rows + oy) * columns + ox] = sum / count as f32;
            }
        }
    }
}

/// Bilinear resizing of `[planes, H, W]`.
pub fn bilinear(rows: &Sampling, columns: &Sampling, [planes, h, w]: [usize; 3], x: &[f32], y: &mut [f32]) {
    let mut out = y.iter_mut();
    for plane in 0..planes {
        let at = |r: u32, c: u32| x[(plane * h + r as usize) * w + c as usize];
        for (oy, &b) in rows.weight.iter().enumerate() {
            for (ox, &a) in columns.weight.iter().enumerate() {
                let (r0, r1, c0, c1) = (rows.first[oy], rows.second[oy], columns.first[ox], columns.second[ox]);
                let top = (1.0 - a) * (1.0 - b) * at(r0, c0) + a * (1.0 - b) * at(r0, c1);
                let value = top + (1.0 - a) * b * at(r1, c0) + a * b * at(r1, c1);
                if let Some(y) = out.next() {
                    *y = value;
                }
            }
        }
    }
}
