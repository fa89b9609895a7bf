//! Pools over float planes; windows are cut off at the border. Vectors run along a row of outputs, one tap after the other.

use super::isa::{Lanes, Loop};
use super::strided::zip_strided;
use crate::graph::Window;
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;
use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PoolKind {
    Max,
    Average,
}

/// A pool over `[planes, H, W]`.
#[derive(Debug, Clone)]
pub struct Pool {
    pub kind: PoolKind,
    pub window: Window,
    pub planes: usize,
    /// Height and width of the input and of the output.
    pub input: [usize; 2],
    pub output: [usize; 2],
}

/// A run of [`Pool`].
pub struct PoolRun<'a> {
    pub op: &'a Pool,
    pub x: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    pub part: (usize, usize),
}

impl Pool {
    /// Outputs whose tap `k` lies within the input.
    #[inline(always)]
    fn outputs_of(&self, axis: usize, k: usize) -> Range<usize> {
        let (stride, pad) = (self.window.stride[axis], self.window.pads[axis]);
        let right = k * self.window.dilation[axis];
        let first = pad.saturating_sub(right).div_ceil(stride);
        let end = (self.input[axis] + pad).saturating_sub(right).div_ceil(stride).min(self.output[axis]);
        first.min(end)..end
    }

    /// Outputs all of whose taps lie within the input.
    #[inline(always)]
    fn whole(&self, axis: usize) -> Range<usize> {
        let (first, last) = (self.outputs_of(axis, 0), self.outputs_of(axis, self.window.kernel[axis] - 1));
        first.start.min(last.end)..last.end
    }

    /// Taps of an output that count in a mean: those within the input, or within its padding too.
    #[inline(always)]
    fn count(&self, axis: usize, out: usize) -> usize {
        let (window, pad) = (&self.window, self.window.pads[axis]);
        let end = self.input[axis] + pad + if window.count_pads { window.pads[axis + 2] } else { 0 };
        let start = if window.count_pads { 0 } else { pad };
        let place = |k: usize| out * window.stride[axis] + k * window.dilation[axis];
        (0..window.kernel[axis]).filter(|&k| (start..end).contains(&place(k))).count()
    }
}

impl Loop for PoolRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let op = self.op;
        let ([height, width], [rows, columns]) = (op.input, op.output);
        let window = &op.window;
        for index in thread_share(op.planes * rows, self.part.0, self.part.1) {
            let (plane, row) = (index / rows, index % rows);
            let x = &self.x[plane * height * width..][..height * width];
            let y = self.arena.write::<f32>(self.y + index * columns * 4, columns);
            y.fill(if op.kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 });
            for ky in 0..window.kernel[0] {
                let place = row * window.stride[0] + ky * window.dilation[0];
                let Some(iy) = place.checked_sub(window.pads[0]).filter(|&iy| iy < height) else { continue };
                for kx in 0..window.kernel[1] {
                    let inside = op.outputs_of(1, kx);
                    if inside.is_empty() {
                        continue;
                    }
                    let first = inside.start * window.stride[1] + kx * window.dilation[1] - window.pads[1];
                    let x = &x[iy * width + first..(iy + 1) * width];
                    let y = &mut y[inside];
                    if op.kind == PoolKind::Max {
                        zip_strided(y, x, window.stride[1], |y, x| *y = greater(*y, x));
                    } else {
                        zip_strided(y, x, window.stride[1], |y, x| *y += x);
                    }
                }
            }
            if op.kind == PoolKind::Average {
                let down = op.count(0, row);
                // Between the borders all taps count.
                let whole = op.whole(1);
                let full = (down * window.kernel[1]) as f32;
                y[whole.clone()].iter_mut().for_each(|y| *y /= full);
                for column in (0..whole.start).chain(whole.end..columns) {
                    y[column] /= (down * op.count(1, column)) as f32;
                }
            }
        }
    }
}

/// NaN wins.
#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}
