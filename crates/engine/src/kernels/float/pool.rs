//! Pools over float planes; windows are cut off at the border. The rows of a window are joined first, element by element, then the
//! columns of what that gives: vectors run along a row.

use super::isa::{Lanes, Loop};
use super::strided::zip_strided;
use crate::graph::Window;
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FloatPoolKind {
    Max,
    Average,
}

/// A pool over `[planes, H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    kind: FloatPoolKind,
    window: Window,
    planes: usize,
    /// Height and width of the input and of the output.
    input: [usize; 2],
    output: [usize; 2],
    /// For each tap along a row: the first output that reads the input through it, one past the last, and what the first reads.
    spans: Vec<[usize; 3]>,
    /// How many taps count in the mean of each row and column of outputs.
    counts: [Vec<f32>; 2],
}

impl Pool {
    pub fn new(kind: FloatPoolKind, window: &Window, planes: usize, input: [usize; 2], output: [usize; 2]) -> Pool {
        let (stride, pad) = (window.stride[1], window.pads[1]);
        let span = |k: usize| {
            let right = k * window.dilation[1];
            let first = pad.saturating_sub(right).div_ceil(stride);
            let end = (input[1] + pad).saturating_sub(right).div_ceil(stride).min(output[1]);
            [first.min(end), end, (first * stride + right).saturating_sub(pad)]
        };
        let count = |axis: usize| {
            let pad = window.pads[axis];
            let end = input[axis] + pad + if window.count_pads { window.pads[axis + 2] } else { 0 };
            let start = if window.count_pads { 0 } else { pad };
            let place = |out: usize, k: usize| out * window.stride[axis] + k * window.dilation[axis];
            let taps = |out: usize| (0..window.kernel[axis]).filter(|&k| (start..end).contains(&place(out, k))).count();
            (0..output[axis]).map(|out| taps(out) as f32).collect()
        };
        let spans = (0..window.kernel[1]).map(span).collect();
        Pool { kind, window: window.clone(), planes, input, output, spans, counts: [count(0), count(1)] }
    }

    /// Floats that each thread needs: a row of the input.
    pub fn scratch(&self) -> usize {
        self.input[1]
    }

    /// Whether tensors of so many elements are what it is for.
    pub fn fits(&self, x: usize, y: usize) -> bool {
        self.planes * self.input[0] * self.input[1] == x && self.planes * self.output[0] * self.output[1] == y
    }
}

/// A run of [`Pool`].
pub struct PoolRun<'a> {
    pub op: &'a Pool,
    pub x: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    /// [`Pool::scratch`] floats of this thread.
    pub scratch: &'a mut [f32],
    pub part: (usize, usize),
}

impl Loop for PoolRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let op = self.op;
        let ([height, width], [rows, columns]) = (op.input, op.output);
        let joined = &mut self.scratch[..width];
        for index in thread_share(op.planes * rows, self.part.0, self.part.1) {
            let (plane, row) = (index / rows, index % rows);
            let x = &self.x[plane * height * width..][..height * width];
            let y = self.arena.write::<f32>(self.y + index * columns * 4, columns);
            if op.kind == FloatPoolKind::Max {
                pool(op, x, row, joined, y, f32::NEG_INFINITY, greater);
            } else {
                pool(op, x, row, joined, y, 0.0, |a, b| a + b);
                let down = op.counts[0][row];
                y.iter_mut().zip(&op.counts[1]).for_each(|(y, across)| *y /= down * across);
            }
        }
    }
}

/// One row of outputs by a rule that begins with `start`.
#[inline(always)]
fn pool(
    op: &Pool,
    x: &[f32],
    row: usize,
    joined: &mut [f32],
    y: &mut [f32],
    start: f32,
    rule: impl Fn(f32, f32) -> f32 + Copy,
) {
    let ([height, width], window) = (op.input, &op.window);
    joined.fill(start);
    for ky in 0..window.kernel[0] {
        let place = row * window.stride[0] + ky * window.dilation[0];
        let Some(place) = place.checked_sub(window.pads[0]).filter(|&place| place < height) else { continue };
        for (joined, &x) in joined.iter_mut().zip(&x[place * width..][..width]) {
            *joined = rule(*joined, x);
        }
    }
    y.fill(start);
    for &[first, end, from] in op.spans.iter().filter(|span| span[0] < span[1]) {
        zip_strided(&mut y[first..end], &joined[from..], window.stride[1], |y, x| *y = rule(*y, x));
    }
}

/// NaN wins.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}
