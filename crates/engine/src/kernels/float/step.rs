//! A float op as a step of a plan.

use super::binary::{Broadcast, Zip};
use super::conv::{ConvRun, Im2colConv};
use super::depthwise::{Depthwise, DepthwiseRun};
use super::normalize::{Normalize, NormalizeRun, ScaleShift, Softmax, SoftmaxRun};
use super::pool::{Pool, PoolRun};
use super::product::{MatMul, MatMulRun};
use super::reduce::{Reduce, ReduceRun};
use super::resize::{Bilinear, BilinearRun};
use super::unary::Map;
use super::{Isa, widths};
use crate::graph::Binary;
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;
use crate::unary::Unary;

/// A row-major float tensor in the arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operand {
    /// Byte offset.
    pub at: usize,
    /// Elements.
    pub len: usize,
}

impl Operand {
    fn read<'a>(self, arena: Arena) -> &'a [f32] {
        arena.read(self.at, self.len)
    }
}

/// What a step computes, with its sizes.
#[derive(Debug, Clone)]
pub enum FloatKernel {
    Unary(Unary),
    Binary(Binary, Broadcast),
    MatMul(MatMul),
    Conv(Im2colConv),
    Depthwise(Depthwise),
    Pool(Pool),
    Bilinear(Bilinear),
    Reduce(Reduce),
    Softmax(Softmax),
    Normalize(Normalize),
    /// With the elements of a channel's plane.
    ScaleShift(usize),
}

/// A float op, ready to run; threads share it.
#[derive(Debug, Clone)]
pub struct FloatStep {
    pub kernel: FloatKernel,
    pub x: Vec<Operand>,
    pub y: Operand,
    /// Byte offset of the threads' scratch, one after the other.
    pub scratch: usize,
    /// Bytes of scratch that each thread uses.
    pub scratch_bytes: usize,
}

impl FloatStep {
    /// A step whose scratch for instruction set `isa` begins at `scratch`.
    pub fn new(kernel: FloatKernel, x: Vec<Operand>, y: Operand, isa: Isa, scratch: usize) -> FloatStep {
        let widths = widths(isa);
        let floats = match &kernel {
            FloatKernel::MatMul(op) => op.scratch(widths.panel),
            FloatKernel::Conv(op) => op.scratch(widths.panel),
            FloatKernel::Depthwise(op) => op.scratch(widths.lanes),
            FloatKernel::Pool(op) => op.scratch(),
            _ => 0,
        };
        FloatStep { kernel, x, y, scratch, scratch_bytes: (floats * 4).next_multiple_of(64) }
    }

    /// Runs a thread's share.
    pub fn run(&self, isa: Isa, arena: Arena, part: (usize, usize)) {
        let input = |i: usize| self.x.get(i).map_or(&[][..], |x| x.read(arena));
        let scratch = || arena.write::<f32>(self.scratch + part.0 * self.scratch_bytes, self.scratch_bytes / 4);
        let (x, y) = (input(0), self.y.at);
        // This thread's elements, for ops that go element by element.
        let mine = thread_share(self.y.len, part.0, part.1);
        let own = || arena.write::<f32>(y + mine.start * 4, mine.len());
        match &self.kernel {
            FloatKernel::Unary(function) => isa.run(Map { function: *function, x: &x[mine.clone()], y: own() }),
            FloatKernel::Binary(op, shape) => {
                isa.run(Zip { op: *op, shape, a: x, b: input(1), start: mine.start, y: own() });
            }
            FloatKernel::MatMul(op) => {
                isa.run(MatMulRun { op, a: x, b: input(1), arena, y, scratch: scratch(), part });
            }
            FloatKernel::Conv(op) => isa.run(ConvRun { op, x, arena, y, scratch: scratch(), part }),
            FloatKernel::Depthwise(op) => isa.run(DepthwiseRun { op, x, arena, y, scratch: scratch(), part }),
            FloatKernel::Pool(op) => isa.run(PoolRun { op, x, arena, y, scratch: scratch(), part }),
            FloatKernel::Bilinear(op) => isa.run(BilinearRun { op, x, arena, y, part }),
            FloatKernel::Reduce(op) => isa.run(ReduceRun { op, x, arena, y, part }),
            FloatKernel::Softmax(op) => isa.run(SoftmaxRun { op: *op, x, arena, y, part }),
            FloatKernel::Normalize(op) => {
                isa.run(NormalizeRun { op, x, scale: input(1), bias: input(2), arena, y, part });
            }
            FloatKernel::ScaleShift(plane) => {
                let (scale, shift) = (input(1), input(2));
                let x = &x[mine.clone()];
                isa.run(ScaleShift { x, scale, shift, plane: *plane, start: mine.start, y: own() });
            }
        }
    }

    /// Bytes of weights that the step holds.
    pub fn weights_bytes(&self) -> usize {
        match &self.kernel {
            FloatKernel::MatMul(op) => (op.packed.as_ref().map_or(0, Vec::len) + op.bias.len()) * 4,
            FloatKernel::Conv(op) => {
                (op.bias.len() + op.phases.iter().map(|phase| phase.weights.len()).sum::<usize>()) * 4
            }
            FloatKernel::Depthwise(op) => (op.weights.len() + op.bias.len()) * 4,
            _ => 0,
        }
    }

    /// Whether operands, weights and scratch are as large as the kernels expect; `panel` is that of the set which packed them.
    pub fn is_whole(&self, arena_bytes: usize, scratch_bytes: usize) -> bool {
        let len = |i: usize| self.x.get(i).map_or(0, |x| x.len);
        let scratch = self.scratch_bytes <= scratch_bytes
            && self.scratch >= arena_bytes
            && self.scratch.is_multiple_of(64)
            && self.x.iter().chain([&self.y]).all(|operand| operand.at.is_multiple_of(4));
        let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
        let whole = match &self.kernel {
            FloatKernel::Unary(_) => len(0) == self.y.len,
            FloatKernel::Binary(_, shape) => shape.fits(len(0), len(1), self.y.len),
            FloatKernel::MatMul(op) => {
                let (a, b) = (op.m * op.k, op.k * op.n);
                let panels = |floats: usize, each: usize| floats >= op.n * each;
                op.k > 0
                    && product(&[op.batches.len(), op.m, op.n]) == Some(self.y.len)
                    && op.batches.iter().all(|batch| batch.0 + a <= len(0))
                    && match &op.packed {
                        Some(packed) => panels(packed.len(), op.k),
                        None => op.batches.iter().all(|batch| batch.1 + b <= len(1)),
                    }
                    && (op.bias.is_empty() || panels(op.bias.len(), 1))
            }
            FloatKernel::Conv(op) => {
                let outputs = op.groups * op.outputs;
                product(&[op.images, op.groups, op.inputs, op.input[0], op.input[1]]) == Some(len(0))
                    && product(&[op.images, outputs, op.output[0], op.output[1]]) == Some(self.y.len)
                    && (op.bias.is_empty() || op.bias.len() == outputs)
                    && op.phases.iter().all(|phase| phase.is_whole(op))
            }
            FloatKernel::Depthwise(op) => {
                let outputs = op.channels * op.outputs;
                product(&[op.images, op.channels, op.input[0], op.input[1]]) == Some(len(0))
                    && product(&[op.images, outputs, op.output[0], op.output[1]]) == Some(self.y.len)
                    && op.weights.len() == outputs * op.taps.len()
                    && op.taps == op.tap_offsets()
                    && (op.bias.is_empty() || op.bias.len() == outputs)
            }
            FloatKernel::Pool(op) => op.fits(len(0), self.y.len),
            FloatKernel::Bilinear(op) => {
                let inside = |places: &[u32], size: usize| places.iter().all(|&place| (place as usize) < size);
                product(&[op.planes, op.input[0], op.input[1]]) == Some(len(0))
                    && product(&[op.planes, op.rows.weight.len(), op.columns.weight.len()]) == Some(self.y.len)
                    && [(&op.rows, op.input[0]), (&op.columns, op.input[1])].iter().all(|(sampling, size)| {
                        let count = sampling.weight.len();
                        sampling.first.len() == count
                            && sampling.second.len() == count
                            && inside(&sampling.first, *size)
                            && inside(&sampling.second, *size)
                    })
            }
            FloatKernel::Reduce(op) => {
                let count = |axes: &[(usize, usize)]| axes.iter().map(|axis| axis.0).product::<usize>();
                count(&op.kept) == self.y.len && count(&op.kept) * count(&op.reduced) == len(0)
            }
            FloatKernel::Softmax(op) => product(&op.size) == Some(len(0)) && len(0) == self.y.len,
            FloatKernel::Normalize(op) => {
                let own = if op.channels == 0 { op.length } else { op.channels };
                product(&[op.rows, op.length]) == Some(len(0))
                    && len(0) == self.y.len
                    && op.length > 0
                    && op.plane > 0
                    && op.length.is_multiple_of(op.plane)
                    && len(1) == own
                    && (self.x.len() < 3 || len(2) == own)
            }
            FloatKernel::ScaleShift(plane) => *plane > 0 && len(0) == self.y.len && len(1) > 0 && len(1) == len(2),
        };
        scratch && whole
    }
}
