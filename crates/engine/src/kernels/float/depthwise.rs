//! Convolutions with one input channel a group. A plane is copied with its padding, columns apart by their remainder by the stride, so
//! that what neighbouring outputs read through one tap lies side by side.

use super::isa::{Lanes, Loop};
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;
use std::sync::Arc;

/// Vectors of outputs that are summed at a time.
const VECTORS: usize = 4;

#[derive(Debug, Clone)]
pub struct Depthwise {
    pub images: usize,
    pub channels: usize,
    /// Outputs of each channel.
    pub outputs: usize,
    /// Height and width of the input and of the output.
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Before the first row and column.
    pub pads: [usize; 2],
    /// `[channels * outputs, kernel rows, kernel columns]`.
    pub weights: Arc<[f32]>,
    /// One number an output, or none.
    pub bias: Vec<f32>,
}

impl Depthwise {
    /// Rows that the taps reach, and columns of one remainder by the stride.
    fn padded(&self) -> (usize, usize) {
        let reach = |axis: usize| {
            (self.output[axis] - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1
        };
        (reach(0), reach(1).div_ceil(self.stride[1]))
    }

    /// Floats that each thread needs: a padded plane, and what the last vectors of it read beyond.
    pub fn scratch(&self, lanes: usize) -> usize {
        let (rows, columns) = self.padded();
        rows * self.stride[1] * columns + VECTORS * lanes
    }
}

/// A run of [`Depthwise`].
pub struct DepthwiseRun<'a> {
    pub op: &'a Depthwise,
    pub x: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    /// [`Depthwise::scratch`] floats of this thread.
    pub scratch: &'a mut [f32],
    pub part: (usize, usize),
}

impl Loop for DepthwiseRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let op = self.op;
        let [height, width] = op.input;
        let (taps, size) = (op.kernel[0] * op.kernel[1], op.output[0] * op.output[1]);
        for plane in thread_share(op.images * op.channels, self.part.0, self.part.1) {
            spread(op, &self.x[plane * height * width..][..height * width], self.scratch);
            for o in 0..op.outputs {
                let output = plane % op.channels * op.outputs + o;
                let weights = &op.weights[output * taps..][..taps];
                let bias = op.bias.get(output).copied().unwrap_or(0.0);
                let y = self.y + (plane * op.outputs + o) * size * 4;
                for row in 0..op.output[0] {
                    let y = self.arena.write::<f32>(y + row * op.output[1] * 4, op.output[1]);
                    let mut done = 0;
                    while done < y.len() {
                        let to = &mut y[done..];
                        // As few vectors as the rest needs.
                        let columns = match to.len().div_ceil(L::COUNT) {
                            1 => sums::<L, 1>(op, weights, bias, self.scratch, row, done, to),
                            2 => sums::<L, 2>(op, weights, bias, self.scratch, row, done, to),
                            3 => sums::<L, 3>(op, weights, bias, self.scratch, row, done, to),
                            _ => sums::<L, VECTORS>(op, weights, bias, self.scratch, row, done, to),
                        };
                        done += columns;
                    }
                }
            }
        }
    }
}

/// Copies a plane: `[padded rows, stride, columns]`.
#[inline(always)]
fn spread(op: &Depthwise, x: &[f32], to: &mut [f32]) {
    let ([height, width], stride) = (op.input, op.stride[1]);
    let (rows, columns) = op.padded();
    for (row, to) in to.chunks_exact_mut(stride * columns).take(rows).enumerate() {
        let Some(from) = row.checked_sub(op.pads[0]).filter(|&row| row < height) else {
            to.fill(0.0);
            continue;
        };
        let from = &x[from * width..][..width];
        for (phase, to) in to.chunks_exact_mut(columns).enumerate() {
            // Position `phase + i * stride` of the padded row.
            let before = op.pads[1].saturating_sub(phase).div_ceil(stride).min(columns);
            let start = phase + before * stride - op.pads[1].min(phase + before * stride);
            let inside = width.saturating_sub(start).div_ceil(stride).min(columns - before);
            to[..before].fill(0.0);
            to[before + inside..].fill(0.0);
            let (to, from) = (&mut to[before..before + inside], from.get(start..).unwrap_or_default());
            match stride {
                1 => to.copy_from_slice(&from[..inside]),
                2 => {
                    for (i, to) in to.iter_mut().enumerate() {
                        *to = from[2 * i];
                    }
                }
                _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, &from)| *to = from),
            }
        }
    }
}

/// `V` vectors of outputs of a row, from `column` on, into `to` as far as it reaches; returns how many.
#[inline(always)]
fn sums<L: Lanes, const V: usize>(
    op: &Depthwise,
    weights: &[f32],
    bias: f32,
    plane: &[f32],
    row: usize,
    column: usize,
    to: &mut [f32],
) -> usize {
    let (_, columns) = op.padded();
    let stride = op.stride[1];
    let mut sum = [L::splat(bias); V];
    let mut weights = weights.iter();
    for ky in 0..op.kernel[0] {
        let line = (row * op.stride[0] + ky * op.dilation[0]) * stride * columns;
        for kx in 0..op.kernel[1] {
            let right = kx * op.dilation[1];
            let from = &plane[line + right % stride * columns + right / stride + column..][..V * L::COUNT];
            let Some(&weight) = weights.next() else { return to.len() };
            let weight = L::splat(weight);
            for (v, sum) in sum.iter_mut().enumerate() {
                // SAFETY: within `from`.
                *sum = weight.mul_add(unsafe { L::load(from.as_ptr().add(v * L::COUNT)) }, *sum);
            }
        }
    }
    let mut whole = [0.0f32; 64];
    let count = to.len().min(V * L::COUNT);
    for (v, sum) in sum.iter().enumerate() {
        // SAFETY: within `to`, or within the list, which holds four vectors of any set.
        unsafe {
            let to = if count == V * L::COUNT { to.as_mut_ptr() } else { whole.as_mut_ptr() };
            sum.store(to.add(v * L::COUNT));
        }
    }
    if count < V * L::COUNT {
        to[..count].copy_from_slice(&whole[..count]);
    }
    count
}
