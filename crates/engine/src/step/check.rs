//! Checks a step against the arena before any kernel runs it.
//!
//! Kernels compute with pointers that they make of a step's offsets, and threads write to the arena at the same time. What
//! makes that sound is checked here, once, when a model is planned:
//!
//! - every byte that a step reads or writes lies within the part of the arena that holds values, with [`SLACK`] bytes
//!   behind it, because kernels read whole vectors;
//! - what a step writes overlaps nothing that it reads, unless both are the same elements, each computed in place;
//! - no two positions of an output share a byte, so that threads, which divide the positions, write different bytes;
//! - bias and scale are as many as the outputs, and packed weights as large as their panels;
//! - where a kernel reads whole vectors, what lies behind a value is nothing that another thread writes in the same step: a value
//!   that shares its buffer with the output (two parts of one concatenation) may have it there, and such a step runs on one thread.
//!   What that thread reads there is multiplied by weights of zero or not used.
//!
//! What is left to the kernels, and to their tests against the reference implementation: that they read nothing but the runs and
//! views that are listed here and at most [`SLACK`] bytes behind them, and write nothing but the output.

use super::{ArenaTensor, Step, StepContext};
use crate::kernels::access::{Access, Span};
use crate::kernels::arena::{SLACK, View};
use crate::kernels::conv::{Algorithm, ConvStep};
use crate::kernels::depthwise::DepthwiseStep;
use crate::kernels::float::Operand;
use crate::kernels::gather::Rows;
use crate::kernels::live::Live;
use crate::kernels::portable::StoredZeroPoint;

/// A step that was checked against the size of the arena; the only kind that can be run.
pub struct CheckedStep {
    step: Step,
    /// Whether threads share it.
    shared: bool,
}

impl CheckedStep {
    /// Checks a step for an arena whose first `arena_bytes` bytes hold values, followed by `scratch_bytes` of scratch for
    /// each thread.
    ///
    /// # Errors
    /// What is wrong with the step: an error of the planner.
    pub fn new(step: Step, arena_bytes: usize, scratch_bytes: usize) -> Result<CheckedStep, String> {
        let wrong = |what: &str| Err(format!("internal error: a step of the plan {what}"));
        let (reads, writes) = accesses(&step);
        let len = arena_bytes.saturating_sub(SLACK);
        if !reads.iter().chain(&writes).all(|access| access.is_within(len)) {
            return wrong("leaves the arena");
        }
        if !reads.iter().all(|read| writes.iter().all(|write| read == write || read.is_disjoint(write))) {
            return wrong("overwrites what it reads");
        }
        if step.is_shared() && !writes.iter().all(Access::is_injective) {
            return wrong("writes a byte twice");
        }
        let whole = match &step {
            Step::Conv(step) => is_whole_conv(step, arena_bytes, scratch_bytes),
            Step::Depthwise(step) => is_whole_depthwise(step),
            Step::Float(step) => step.is_whole(arena_bytes, scratch_bytes),
            _ => true,
        };
        if !whole {
            return wrong("lacks weights or scratch memory");
        }
        let beyond = read_beyond(&step);
        let shared = step.is_shared() && beyond.is_none_or(|read| writes.iter().all(|write| read.is_disjoint(write)));
        Ok(CheckedStep { step, shared })
    }

    /// The step.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// Whether threads share the step; all others run on the first thread alone.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Runs a thread's share.
    ///
    /// # Errors
    /// Where an op that does not run in the engine's own kernels fails.
    pub fn run(&self, context: &StepContext) -> Result<(), String> {
        self.step.run(context)
    }
}

/// What a step reads and what it writes.
fn accesses(step: &Step) -> (Vec<Access>, Vec<Access>) {
    let bytes = |view: &View| Access::view(view, 1);
    let contiguous = Access::contiguous;
    let tensor = |tensor: &ArenaTensor| contiguous(tensor.at, tensor.len() * tensor.kind.size());
    let zero = |zero: &StoredZeroPoint| match zero {
        StoredZeroPoint::Known(_) => None,
        StoredZeroPoint::At(at) => Some(contiguous(*at, 1)),
    };
    let count = |live: Live| contiguous(live.at, 8);
    match step {
        Step::Conv(step) => {
            let (mut reads, mut writes) = (Vec::new(), vec![Access::view(&step.output(), step.epilogue.bytes())]);
            if !step.taps.is_empty() {
                let pixels = Access::pixels(step.x, step.dims, step.x_steps, step.run);
                reads.push(pixels.with(Span::offsets(&step.taps)));
            }
            if let Some(add) = &step.fused_add {
                reads.extend([bytes(&add.a), bytes(&add.b)]);
                writes.push(bytes(&add.y));
            }
            (reads, writes)
        }
        Step::Depthwise(step) => {
            let read = Access::pixels(step.x, step.dims, step.x_steps, step.channels).with(Span::offsets(&step.taps));
            let write = Access::pixels(step.y, step.dims, step.y_steps, step.channels * step.epilogue.bytes());
            (vec![read], vec![write])
        }
        Step::Add(step) => (vec![bytes(&step.a), bytes(&step.b)], vec![bytes(&step.y)]),
        Step::Mul(step) => (vec![bytes(&step.a), bytes(&step.b)], vec![bytes(&step.y)]),
        Step::Lut { x, y, .. } | Step::ChannelLut { x, y, .. } => (vec![bytes(x)], vec![bytes(y)]),
        Step::Pool(step) => (vec![bytes(&step.x)], vec![bytes(&step.y)]),
        Step::Bilinear(step) => (vec![bytes(&step.x)], vec![bytes(&step.y)]),
        Step::Nearest { x, y, .. } => (vec![Access::view(x, x.strides[3])], vec![Access::view(y, y.strides[3])]),
        Step::Copy(step) => {
            let axes = |start: usize, stride: fn(&(usize, isize, usize)) -> isize| {
                let element = Access::contiguous(start, step.size);
                step.axes.iter().fold(element, |access, axis| match axis.0 {
                    0 => Access { bytes: 0, ..access },
                    count => access.with(Span::axis(count, stride(axis))),
                })
            };
            (vec![axes(step.x, |axis| axis.1)], vec![axes(step.y, |axis| axis.2 as isize)])
        }
        Step::Halo(step) => {
            (zero(&step.zero).into_iter().collect(), vec![contiguous(step.at, step.images * step.image_bytes)])
        }
        Step::Fill { y, element } => (Vec::new(), vec![Access::view(y, element.len())]),
        Step::MatMul { step, a, b } => {
            let [m, k, n] = step.size;
            let of = |start: usize, bytes: usize| contiguous(start, bytes);
            let mut reads: Vec<Access> = zero(a).into_iter().chain(zero(b)).collect();
            for (a, b) in &step.batches {
                reads.extend([of(step.a + a, m * k), of(step.b + b, k * n)]);
            }
            (reads, vec![of(step.y, step.batches.len() * m * n * step.epilogue.bytes())])
        }
        Step::Correct { at, rows, sums, zero: point } => {
            (zero(point).into_iter().collect(), vec![contiguous(*at, rows * sums.len() * 4)])
        }
        Step::Gather(step) => {
            let mut reads = vec![contiguous(step.indices, step.count * step.lengths.len() * step.kind.size())];
            if let Rows::At(at) = step.x {
                reads.push(contiguous(at, step.outer * step.rows() * step.row_bytes));
            }
            reads.extend([step.live, step.live_length].into_iter().flatten().map(count));
            (reads, vec![contiguous(step.y, step.outer * step.count * step.row_bytes)])
        }
        Step::Suppression(step) => {
            let mut reads = vec![
                contiguous(step.boxes, step.batches * step.count * 16),
                contiguous(step.scores, step.batches * step.classes * step.count * 4),
            ];
            reads.extend(step.most.map(|at| contiguous(at, 8)));
            reads.extend([step.iou_threshold, step.score_threshold].into_iter().flatten().map(|at| contiguous(at, 4)));
            reads.extend(step.live.map(count));
            let y = contiguous(step.y, step.bound * 24);
            (reads, vec![y, contiguous(step.y_count, 8), contiguous(step.scratch, step.count * 8)])
        }
        Step::NonZero { x, live, y, count: found } => {
            let reads = std::iter::once(tensor(x)).chain(live.map(count)).collect();
            (reads, vec![tensor(y), contiguous(*found, 8)])
        }
        Step::TopK { x, y, indices, .. } => (vec![tensor(x)], vec![tensor(y), contiguous(*indices, y.len() * 8)]),
        Step::Recurrent(step) => {
            let layer = &step.layer;
            let last = layer.directions() * layer.batch * layer.hidden * 4;
            let sizes = layer.inputs(step.steps).into_iter().map(|shape| shape.iter().product::<usize>() * 4);
            let places = [step.weights, step.bias, step.lengths, step.hidden, step.cell, step.peepholes];
            let places = std::iter::once(step.products).chain(places.into_iter().flatten());
            let ends = [step.steps * last, last, last];
            let outputs = step.y.iter().zip(ends).filter_map(|(at, bytes)| at.map(|at| contiguous(at, bytes)));
            let scratch = contiguous(step.scratch, layer.directions() * layer.batch * layer.scratch() * 4);
            (places.zip(sizes).map(|(at, bytes)| contiguous(at, bytes)).collect(), outputs.chain([scratch]).collect())
        }
        Step::Softmax { x, y, size, .. } => {
            let count = size.iter().product();
            (vec![contiguous(*x, count)], vec![contiguous(*y, count)])
        }
        Step::Quantize { x, y, .. } | Step::Cast { x, y } => (vec![tensor(x)], vec![tensor(y)]),
        Step::Number { x, y, .. } => (x.iter().map(tensor).collect(), vec![tensor(y)]),
        Step::Dequantize { x, y, .. } => (vec![tensor(x)], vec![contiguous(*y, x.len() * 4)]),
        Step::DynamicQuantize { x, y, scale, zero_point } => {
            let writes = vec![contiguous(*y, x.len()), contiguous(*scale, 4), contiguous(*zero_point, 1)];
            (vec![tensor(x)], writes)
        }
        Step::Float(step) => {
            let operand = |operand: &Operand| contiguous(operand.at, operand.len * 4);
            (step.x.iter().map(operand).collect(), vec![operand(&step.y)])
        }
        Step::Island { x, y, .. } => (x.iter().map(tensor).collect(), y.iter().map(tensor).collect()),
    }
}

/// What a step reads with all that its kernels may load behind each run of bytes; `None` where they load no more than they use.
/// Convolutions load vectors; all others handle the end of a row by itself.
fn read_beyond(step: &Step) -> Option<Access> {
    // Loads of runs have sixteen bytes at most, those of channels by themselves sixty-four.
    let (read, vector) = match step {
        Step::Conv(step) if !step.taps.is_empty() => {
            let pixels = Access::pixels(step.x, step.dims, step.x_steps, step.run);
            (pixels.with(Span::offsets(&step.taps)), 16)
        }
        Step::Depthwise(step) => {
            let pixels = Access::pixels(step.x, step.dims, step.x_steps, step.channels);
            (pixels.with(Span::offsets(&step.taps)), 64)
        }
        _ => return None,
    };
    // A run that is no whole vector may be loaded from any of its bytes on.
    let whole = read.bytes.is_multiple_of(vector);
    (!whole).then(|| Access { bytes: read.bytes + SLACK, ..read })
}

/// Whether weights, bias, scale and scratch memory are as large as the kernels expect.
fn is_whole_conv(step: &ConvStep, arena_bytes: usize, scratch_bytes: usize) -> bool {
    let packed = &step.packed;
    let panels = step.outputs.div_ceil(packed.panel.max(1));
    let (outputs, scratch) = match packed.algorithm {
        Algorithm::Tiles => (panels * packed.panel, 0),
        Algorithm::Columns(_) => (step.outputs, 0),
        Algorithm::Winograd { scratch, .. } => (panels * packed.panel, scratch),
    };
    packed.panel > 0
        && packed.weights.len() >= panels * packed.panel_bytes
        && packed.bias.len() >= outputs
        && packed.scale.len() >= outputs
        && scratch <= scratch_bytes
        && step.scratch >= arena_bytes
        && step.scratch.is_multiple_of(64)
}

/// As [`is_whole_conv`], for depthwise convolutions.
fn is_whole_depthwise(step: &DepthwiseStep) -> bool {
    step.packed.bias.len() >= step.channels && step.packed.scale.len() >= step.channels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::add::AddStep;

    /// A sum of two views of 2 by 3 pixels of 4 channels.
    fn add(a: usize, b: usize, y: usize, row: usize) -> Step {
        let view = |at| View { at, dims: [1, 2, 3, 4], strides: [64, row, 4, 1] };
        let (a, b, y) = (view(a), view(b), view(y));
        Step::Add(AddStep { a, b, y, ratios: [1.0; 2], fixed: 0.0, low: 0, high: 255, shifts: [0; 3] })
    }

    #[test]
    fn a_step_is_refused_that_would_be_unsound() {
        let check = |step, bytes| CheckedStep::new(step, bytes, 0).map(|_| ()).map_err(|error| error.contains("arena"));
        // Rows of 12 bytes: 24 bytes each, and the slack behind the last.
        assert_eq!(check(add(0, 24, 48, 12), 72 + SLACK), Ok(()));
        assert_eq!(check(add(0, 24, 48, 12), 71 + SLACK), Err(true));
        assert_eq!(check(add(usize::MAX, 24, 48, 12), 72 + SLACK), Err(true));
        // In place, but not shifted.
        assert_eq!(check(add(0, 24, 24, 12), 72 + SLACK), Ok(()));
        assert_eq!(check(add(0, 24, 28, 12), 72 + SLACK), Err(false));
        // Rows that overlap.
        assert_eq!(check(add(0, 24, 48, 8), 72 + SLACK), Err(false));
    }
}
