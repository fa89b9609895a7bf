//! The one form in which a model is known inside: integer ops, each with its scales and zero points.
//!
//! Shapes are those of ONNX (`[N, C, H, W]`); how a value lies in memory is decided in `plan`. A value of kind `u8` or
//! `i8` is quantized; the ops that read it carry its zero point and scale. Numbers follow `docs/numerics.md`.

mod check;
mod check_float;
mod counted;
mod float_op;
mod foreign;
mod fuse_float;
mod geometry;
mod number;
mod quant;
mod recurrent;

pub use counted::{Counted, counted_bound};
pub use float_op::{Binary, FloatConv, FloatLinear, FloatOp, Reduction, broadcast, broadcast_strides, for_each_pair};
pub use foreign::{ForeignInput, ForeignOp};
pub use geometry::{Sampling, Window};
pub use number::{Arithmetic, Comparison, Fold, Logic, NumberOp};
pub use quant::{Quant, stored_range};
pub use recurrent::{BLOCK, Cell, Operands, QuantizedRecurrence, RecurrenceWeights, Recurrent};

use super::ElementKind;
use super::unary::Unary;
use std::sync::Arc;

/// Index of a value in [`Graph::values`].
pub type ValueId = usize;

/// A model with fixed shapes.
#[derive(Default)]
pub struct Graph {
    /// Everything that ops read or write.
    pub values: Vec<Value>,
    /// The ops, each after those it depends on.
    pub nodes: Vec<Node>,
    /// The values that the caller gives.
    pub inputs: Vec<ValueId>,
    /// The values that the caller gets.
    pub outputs: Vec<ValueId>,
}

/// A tensor between ops.
#[derive(Debug, Clone)]
pub struct Value {
    pub name: String,
    pub kind: ElementKind,
    pub shape: Vec<usize>,
    /// The axis whose length is a bound, where there is one.
    pub counted: Option<Counted>,
}

impl Value {
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// An op and what it connects.
pub struct Node {
    /// The ONNX node that it came from, for reports.
    pub name: String,
    pub op: Op,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
}

/// A zero point that is known at load, or one that a value holds (dynamic quantization).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ZeroPoint {
    Known(i32),
    Held(ValueId),
}

/// What becomes of the accumulators of a convolution or a matrix product.
#[derive(Debug, Clone)]
pub enum Finish {
    /// `clamp(round_half_even(f32(acc) * multiplier[c]) + zero_point, low, high)`.
    Bytes { multiplier: Vec<f32>, zero_point: i32, low: i32, high: i32 },
    /// The accumulators themselves, `i32`.
    Accumulators,
    /// `f32(acc) * scale[c]`.
    Floats { scale: Vec<f32> },
}

/// Weights less their zero point, as summands of eight bits: `w - zero_point = first + rest[0] + rest[1]`.
#[derive(Debug, Clone)]
pub struct Weights {
    /// `[output, kernel height, kernel width, input / groups]`, innermost last.
    pub first: Arc<[i8]>,
    /// What does not fit in eight bits, only for weights with a zero point: one more summand, or two where a weight is 255.
    pub rest: Vec<Arc<[i8]>>,
}

impl Weights {
    /// Weights from -255 to 255, in order.
    pub fn of(weights: impl Iterator<Item = i32>) -> Weights {
        let mut first = Vec::new();
        let mut rest: [Vec<i8>; 2] = Default::default();
        for weight in weights {
            let byte = |number: i32| number.clamp(-128, 127);
            let (a, b) = (byte(weight), byte(weight - byte(weight)));
            first.push(a as i8);
            rest[0].push(b as i8);
            rest[1].push((weight - a - b) as i8);
        }
        let rest = rest.into_iter().filter(|summand| summand.iter().any(|&byte| byte != 0));
        Weights { first: first.into(), rest: rest.map(Into::into).collect() }
    }

    /// The number of summands.
    pub fn summands(&self) -> usize {
        1 + self.rest.len()
    }

    /// One summand of the weight at `index`.
    pub fn summand(&self, summand: usize, index: usize) -> i8 {
        if summand == 0 { self.first[index] } else { self.rest[summand - 1][index] }
    }
}

/// A convolution, or a matrix product with constant weights (kernel 1×1, one "pixel" a row).
#[derive(Debug, Clone)]
pub struct Conv {
    pub weights: Weights,
    pub outputs: usize,
    /// Input channels of one group.
    pub inputs: usize,
    pub groups: usize,
    /// Height and width.
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    /// Of the input.
    pub zero_point: ZeroPoint,
    /// In units of the accumulator.
    pub bias: Vec<i32>,
    pub finish: Finish,
}

impl Conv {
    /// A product with a constant matrix, `weights [outputs, inputs]`.
    pub fn linear(weights: Weights, [outputs, inputs]: [usize; 2], zero_point: i32, finish: Finish) -> Conv {
        Conv {
            weights,
            outputs,
            inputs,
            groups: 1,
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [0; 4],
            zero_point: ZeroPoint::Known(zero_point),
            bias: vec![0; outputs],
            finish,
        }
    }
}

/// How elements move without change.
#[derive(Debug, Clone, PartialEq)]
pub enum Movement {
    Reshape,
    Transpose(Vec<usize>),
    Concat {
        axis: usize,
    },
    /// `start` and `step` an axis; the output's shape gives the ends.
    Slice {
        start: Vec<usize>,
        step: Vec<isize>,
    },
    /// Elements before each axis, and the stored value put there.
    Pad {
        before: Vec<usize>,
        value: Vec<u8>,
    },
    /// Nearest neighbour over the last two axes.
    Nearest {
        rows: Vec<u32>,
        columns: Vec<u32>,
    },
    DepthToSpace {
        block: usize,
        column_row_depth: bool,
    },
    SpaceToDepth {
        block: usize,
        column_row_depth: bool,
    },
    /// Repeated along axes of one element, as ONNX broadcasts.
    Expand,
    /// The whole tensor repeated, so often along each axis.
    Tile(Vec<usize>),
}

/// An op; the operands are in [`Node::inputs`].
pub enum Op {
    /// `x -> y`.
    Conv(Conv),
    /// As [`Op::Conv`] with every pixel spread over the output: `ConvTranspose`.
    ConvTranspose(Conv),
    /// `x [.., K] -> y [.., N]` with constant weights.
    Linear(Conv),
    /// `a [.., M, K], b [.., K, N] -> y [.., M, N]`, both computed.
    MatMul {
        a: ZeroPoint,
        b: ZeroPoint,
        finish: Finish,
    },
    /// `y[i] = table[x[i]]`, both as bytes.
    Lut(Arc<[u8; 256]>),
    /// As [`Op::Lut`], with a table for each place along axis 1.
    ChannelLut(Arc<[[u8; 256]]>),
    /// `clamp(round_half_even(fma(a, ratio_a, fma(b, ratio_b, fixed))))`, broadcast.
    Add {
        ratios: [f32; 2],
        fixed: f32,
        low: i32,
        high: i32,
    },
    /// `clamp(round_half_even(f32(f32((a - za) * (b - zb)) * ratio) + zero_point))`, broadcast.
    Mul {
        zero_points: [i32; 2],
        ratio: f32,
        zero_point: i32,
        low: i32,
        high: i32,
    },
    MaxPool(Window),
    /// `clamp(round_half_even(f32(sum - count * x_zero_point) * (scale / count)) + zero_point)`.
    AveragePool {
        window: Window,
        x_zero_point: i32,
        scale: f32,
        zero_point: i32,
    },
    /// Over the last two axes; requantized as an average pool is.
    Bilinear {
        rows: Sampling,
        columns: Sampling,
        x: Quant,
        y: Quant,
    },
    /// Over one axis: table of `exp((i - 255) * scale)`, times a constant, for place `i = 255 - greatest + x`.
    Softmax {
        axis: usize,
        table: Arc<[f32; 256]>,
        y: Quant,
    },
    Quantize {
        scale: Vec<f32>,
        zero_point: Vec<i32>,
        axis: usize,
    },
    Dequantize {
        scale: Vec<f32>,
        zero_point: Vec<i32>,
        axis: usize,
    },
    /// `x -> y (u8), scale (f32), zero point (u8)`.
    DynamicQuantize,
    Movement(Movement),
    /// `data [.., L, ..], indices (i32 or i64) -> [.., indices' shape, ..]`: the indices' shape takes the place of `axis`. Negative
    /// indices count from the end; one out of range is an error of the run.
    Gather {
        axis: usize,
    },
    /// As [`Op::Gather`] along axis 0 of a constant with so many rows, which lies outside of the arena; its bytes, row-major.
    GatherRows {
        table: Arc<Vec<u8>>,
        rows: usize,
    },
    /// `data, indices (i64) [.., K] -> [.., the rest of data's shape]`: each index chooses from the first K axes, as in [`Op::Gather`].
    GatherNd,
    /// `boxes [B, N, 4], scores [B, C, N] (f32) -> y [bound, 3], count (i64)`: the batch, the class and the box of each that is chosen.
    /// The parameters that are given follow as inputs of one number: the most boxes of a class (`i64`), both thresholds (`f32`).
    NonMaxSuppression {
        centered: bool,
        most: bool,
        iou_threshold: bool,
        score_threshold: bool,
    },
    /// `x -> y [rank, bound], count` (`i64`): the places of elements other than 0, row-major.
    NonZero,
    /// `x -> y [.., k, ..], indices (i64)`: the greatest or the least along an axis, in order, of equal ones the first; NaN is greater than
    /// every number.
    TopK {
        axis: usize,
        greatest: bool,
    },
    /// A constant that an op takes as an operand; its bytes, row-major.
    Constant(Arc<[u8]>),
    /// A unary function of `f32` elements.
    Unary(Unary),
    Float(FloatOp),
    /// Elements of one kind as those of another: floats to whole numbers are cut off towards zero.
    Cast,
    Number(NumberOp),
    Recurrent(Recurrent),
    /// Computed by another runtime: an island among our own ops.
    Island(Box<dyn ForeignOp>),
}

impl Op {
    /// The name under which the op is reported.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::Conv(conv) if conv.groups > 1 && conv.inputs == 1 => "DepthwiseConv",
            Op::Conv(_) => "Conv",
            Op::ConvTranspose(_) => "ConvTranspose",
            Op::Linear(_) => "Linear",
            Op::MatMul { .. } => "MatMul",
            Op::Lut(_) => "Table",
            Op::ChannelLut(_) => "ChannelTable",
            Op::Add { .. } => "Add",
            Op::Mul { .. } => "Mul",
            Op::MaxPool(_) => "MaxPool",
            Op::AveragePool { .. } => "AveragePool",
            Op::Bilinear { .. } => "ResizeBilinear",
            Op::Softmax { .. } => "Softmax",
            Op::Quantize { .. } => "Quantize",
            Op::Dequantize { .. } => "Dequantize",
            Op::DynamicQuantize => "DynamicQuantize",
            Op::Movement(movement) => match movement {
                Movement::Reshape => "Reshape",
                Movement::Transpose(_) => "Transpose",
                Movement::Concat { .. } => "Concat",
                Movement::Slice { .. } => "Slice",
                Movement::Pad { .. } => "Pad",
                Movement::Nearest { .. } => "ResizeNearest",
                Movement::DepthToSpace { .. } => "DepthToSpace",
                Movement::SpaceToDepth { .. } => "SpaceToDepth",
                Movement::Expand => "Expand",
                Movement::Tile(_) => "Tile",
            },
            Op::Gather { .. } | Op::GatherRows { .. } => "Gather",
            Op::GatherNd => "GatherND",
            Op::NonMaxSuppression { .. } => "NonMaxSuppression",
            Op::NonZero => "NonZero",
            Op::TopK { .. } => "TopK",
            Op::Constant(_) => "Constant",
            Op::Unary(_) => "FloatUnary",
            Op::Float(op) => op.kind(),
            Op::Cast => "Cast",
            Op::Number(op) => op.kind(),
            Op::Recurrent(layer) => match layer.cell {
                Cell::Lstm => "Lstm",
                Cell::Gru { .. } => "Gru",
                Cell::Rnn => "Rnn",
            },
            Op::Island(_) => "Island",
        }
    }

    /// Whether its multiply-accumulates, where it has any, run on integers.
    pub fn in_integers(&self) -> bool {
        match self {
            Op::Unary(_) | Op::Float(_) | Op::Island(_) => false,
            Op::Recurrent(layer) => layer.in_integers(),
            _ => true,
        }
    }
}

impl Graph {
    /// Adds a value.
    pub fn value(&mut self, name: impl Into<String>, kind: ElementKind, shape: &[usize]) -> ValueId {
        self.values.push(Value { name: name.into(), kind, shape: shape.to_vec(), counted: None });
        self.values.len() - 1
    }

    /// Adds an op with one new output and returns that.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[ValueId], kind: ElementKind, shape: &[usize]) -> ValueId {
        let output = self.value(name, kind, shape);
        self.nodes.push(Node { name: name.to_owned(), op, inputs: inputs.to_vec(), outputs: vec![output] });
        output
    }

    /// Multiply-accumulates of a node.
    pub fn macs(&self, node: &Node) -> u64 {
        let outputs = |id: ValueId| self.values[id].len() as u64;
        match &node.op {
            Op::Conv(conv) | Op::Linear(conv) => {
                outputs(node.outputs[0]) * (conv.inputs * conv.kernel[0] * conv.kernel[1]) as u64
            }
            Op::ConvTranspose(conv) => {
                outputs(node.inputs[0]) * (conv.outputs / conv.groups * conv.kernel[0] * conv.kernel[1]) as u64
            }
            Op::Float(FloatOp::Conv(conv)) => {
                let area = (conv.kernel[0] * conv.kernel[1]) as u64;
                if conv.transposed {
                    outputs(node.inputs[0]) * (conv.outputs / conv.groups) as u64 * area
                } else {
                    outputs(node.outputs[0]) * conv.inputs as u64 * area
                }
            }
            Op::MatMul { .. } | Op::Float(FloatOp::MatMul | FloatOp::Linear(_)) => {
                let inner = self.values[node.inputs[0]].shape.last().copied().unwrap_or(1);
                outputs(node.outputs[0]) * inner as u64
            }
            Op::Recurrent(layer) => layer.macs(self.values[node.outputs[0]].shape[0]),
            Op::Island(island) => island.macs(),
            _ => 0,
        }
    }

    /// Drops every node whose results nobody uses.
    pub fn drop_unused(&mut self) {
        let mut used = vec![false; self.values.len()];
        for &output in &self.outputs {
            used[output] = true;
        }
        let mut keep = vec![false; self.nodes.len()];
        for (node, keep) in self.nodes.iter().zip(&mut keep).rev() {
            *keep = node.outputs.iter().any(|&output| used[output]);
            if *keep {
                let held = match &node.op {
                    Op::Conv(conv) | Op::Linear(conv) | Op::ConvTranspose(conv) => vec![conv.zero_point],
                    Op::MatMul { a, b, .. } => vec![*a, *b],
                    _ => Vec::new(),
                };
                let held = held.iter().filter_map(|z| if let ZeroPoint::Held(id) = z { Some(*id) } else { None });
                for input in node.inputs.iter().copied().chain(held) {
                    used[input] = true;
                }
            }
        }
        let mut keep = keep.iter();
        self.nodes.retain(|_| keep.next().copied().unwrap_or(false));
    }
}
