//! Rows brought to mean 0 and variance 1, softmax, and channels scaled and shifted.

use super::isa::{Lanes, Loop};
use super::math;
use super::reduce::{WAYS, greatest, squared_distances, sum};
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;
use std::ops::Range;

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` over rows; mean and variance in `f64`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalize {
    pub rows: usize,
    pub length: usize,
    pub epsilon: f64,
    /// Without the mean: `x / sqrt(mean of squares + epsilon)`.
    pub about_zero: bool,
    /// Channels with scale and bias of their own, in turn over rows and, where a row holds several, within it; 0 where each element
    /// of a row has its own.
    pub channels: usize,
    /// Elements that follow each other in one channel.
    pub plane: usize,
}

/// A run of [`Normalize`].
pub struct NormalizeRun<'a> {
    pub op: &'a Normalize,
    pub x: &'a [f32],
    pub scale: &'a [f32],
    /// May be empty.
    pub bias: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    pub part: (usize, usize),
}

impl Loop for NormalizeRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Normalize { rows, length, epsilon, about_zero, channels, plane } = *self.op;
        for row in thread_share(rows, self.part.0, self.part.1) {
            let x = &self.x[row * length..][..length];
            let y = self.arena.write::<f32>(self.y + row * length * 4, length);
            let mean = if about_zero { 0.0 } else { sum(x) / length as f64 };
            let variance = squared_distances(x, mean) / length as f64;
            let factor = 1.0 / (variance + epsilon).sqrt();
            if channels == 0 {
                let scaled = x.iter().zip(&self.scale[..length]);
                if self.bias.is_empty() {
                    for (y, (&x, &scale)) in y.iter_mut().zip(scaled) {
                        *y = ((f64::from(x) - mean) * factor) as f32 * scale;
                    }
                } else {
                    for ((y, (&x, &scale)), &bias) in y.iter_mut().zip(scaled).zip(&self.bias[..length]) {
                        *y = (((f64::from(x) - mean) * factor) as f32).mul_add(scale, bias);
                    }
                }
                continue;
            }
            let first = row * (length / plane);
            for (i, (x, y)) in x.chunks_exact(plane).zip(y.chunks_exact_mut(plane)).enumerate() {
                let channel = (first + i) % channels;
                let (scale, bias) = (self.scale[channel], self.bias.get(channel).copied().unwrap_or(0.0));
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = (((f64::from(x) - mean) * factor) as f32).mul_add(scale, bias);
                }
            }
        }
    }
}

/// Softmax, or its logarithm, over the middle of `[outer, length, inner]`; sums in `f64`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax {
    pub size: [usize; 3],
    pub log: bool,
}

/// A run of [`Softmax`].
pub struct SoftmaxRun<'a> {
    pub op: Softmax,
    pub x: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    pub part: (usize, usize),
}

impl Loop for SoftmaxRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [outer, length, inner] = self.op.size;
        if inner == 1 {
            for row in thread_share(outer, self.part.0, self.part.1) {
                let x = &self.x[row * length..][..length];
                let y = self.arena.write::<f32>(self.y + row * length * 4, length);
                row_softmax(self.op.log, x, y);
            }
            return;
        }
        // Sixteen places along `inner` at a time, each by itself.
        let blocks = inner.div_ceil(WAYS);
        for block in thread_share(outer * blocks, self.part.0, self.part.1) {
            let place = block % blocks * WAYS;
            let here = (inner - place).min(WAYS);
            let first = block / blocks * length * inner + place;
            let x = |l: usize| &self.x[first + l * inner..][..here];
            let y = |l: usize| self.arena.write::<f32>(self.y + (first + l * inner) * 4, here);
            let mut top = [f32::NEG_INFINITY; WAYS];
            for l in 0..length {
                top.iter_mut().zip(x(l)).for_each(|(top, &x)| *top = if x > *top || x.is_nan() { x } else { *top });
            }
            let mut total = [0.0f64; WAYS];
            for l in 0..length {
                for (((y, &x), top), total) in y(l).iter_mut().zip(x(l)).zip(&top).zip(&mut total) {
                    *y = math::exp(x - top);
                    *total += f64::from(*y);
                }
            }
            let sums = total.map(|total| if self.op.log { libm::log(total) } else { total });
            for l in 0..length {
                for (((y, &x), top), &sum) in y(l).iter_mut().zip(x(l)).zip(&top).zip(&sums) {
                    *y = if self.op.log { (f64::from(x - top) - sum) as f32 } else { *y / sum as f32 };
                }
            }
        }
    }
}

#[inline(always)]
fn row_softmax(log: bool, x: &[f32], y: &mut [f32]) {
    let top = greatest(x);
    for (y, &x) in y.iter_mut().zip(x) {
        *y = math::exp(x - top);
    }
    let total = sum(y);
    if log {
        let log = libm::log(total);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = (f64::from(x - top) - log) as f32;
        }
    } else {
        let total = total as f32;
        y.iter_mut().for_each(|y| *y /= total);
    }
}

/// `y = x * scale[c] + shift[c]`, fused: batch normalization with known statistics.
pub struct ScaleShift<'a> {
    pub x: &'a [f32],
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    /// Elements of a channel's plane.
    pub plane: usize,
    /// The first element is `start` of the whole tensor's.
    pub start: usize,
    pub y: &'a mut [f32],
}

impl Loop for ScaleShift<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let mut done = 0;
        while done < self.y.len() {
            let at = self.start + done;
            let run: Range<usize> = done..self.y.len().min(done + self.plane - at % self.plane);
            let channel = at / self.plane % self.scale.len();
            let (scale, shift) = (self.scale[channel], self.shift[channel]);
            for (y, &x) in self.y[run.clone()].iter_mut().zip(&self.x[run.clone()]) {
                *y = x.mul_add(scale, shift);
            }
            done = run.end;
        }
    }
}
