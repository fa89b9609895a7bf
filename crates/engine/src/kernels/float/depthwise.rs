//! Convolutions with one input channel a group. A plane is copied with its padding, columns apart by their remainder by the stride, so
//! that what neighbouring outputs read through one tap lies side by side.

use super::isa::{Lanes, Loop};
use super::strided::{copy, zip_strided};
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
    /// [`Depthwise::tap_offsets`].
    pub taps: Vec<usize>,
}

impl Depthwise {
    /// Where in a padded plane each tap of the first output lies.
    pub fn tap_offsets(&self) -> Vec<usize> {
        let (_, columns) = self.padded();
        let stride = self.stride[1];
        let offset = |ky: usize, kx: usize| {
            let right = kx * self.dilation[1];
            (ky * self.dilation[0] * stride + right % stride) * columns + right / stride
        };
        (0..self.kernel[0]).flat_map(|ky| (0..self.kernel[1]).map(move |kx| offset(ky, kx))).collect()
    }

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
        let ([height, width], [rows, columns]) = (op.input, op.output);
        let row_step = op.stride[0] * op.stride[1] * op.padded().1;
        let (taps, size) = (op.kernel[0] * op.kernel[1], rows * columns);
        // The padding remains while planes come and go.
        self.scratch.fill(0.0);
        for plane in thread_share(op.images * op.channels, self.part.0, self.part.1) {
            spread::<L>(op, &self.x[plane * height * width..][..height * width], self.scratch);
            for o in 0..op.outputs {
                let output = plane % op.channels * op.outputs + o;
                let weights = &op.weights[output * taps..][..taps];
                let bias = op.bias.get(output).copied().unwrap_or(0.0);
                let y = self.arena.write::<f32>(self.y + (plane * op.outputs + o) * size * 4, size);
                let plane = &*self.scratch;
                if columns <= L::COUNT {
                    // Rows of one vector, some at a time.
                    for first in (0..rows).step_by(VECTORS) {
                        let (from, to) = (&plane[first * row_step..], &mut y[first * columns..]);
                        let steps = (row_step, columns);
                        match rows - first {
                            1 => sums::<L, 1>(&op.taps, weights, bias, from, to, steps, columns),
                            2 => sums::<L, 2>(&op.taps, weights, bias, from, to, steps, columns),
                            3 => sums::<L, 3>(&op.taps, weights, bias, from, to, steps, columns),
                            _ => sums::<L, VECTORS>(&op.taps, weights, bias, from, to, steps, columns),
                        }
                    }
                    continue;
                }
                for (row, to) in y.chunks_exact_mut(columns).enumerate() {
                    for first in (0..columns).step_by(VECTORS * L::COUNT) {
                        let (from, to) = (&plane[row * row_step + first..], &mut to[first..]);
                        let (steps, left) = ((L::COUNT, L::COUNT), to.len());
                        match left.div_ceil(L::COUNT) {
                            1 => sums::<L, 1>(&op.taps, weights, bias, from, to, steps, left),
                            2 => sums::<L, 2>(&op.taps, weights, bias, from, to, steps, left - L::COUNT),
                            3 => sums::<L, 3>(&op.taps, weights, bias, from, to, steps, left - 2 * L::COUNT),
                            _ => {
                                let last = (left - 3 * L::COUNT).min(L::COUNT);
                                sums::<L, VECTORS>(&op.taps, weights, bias, from, to, steps, last);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Copies a plane into `[padded rows, stride, columns]`, whose padding is there.
#[inline(always)]
fn spread<L: Lanes>(op: &Depthwise, x: &[f32], to: &mut [f32]) {
    let ([height, width], [top, left], stride) = (op.input, op.pads, op.stride[1]);
    let (rows, columns) = op.padded();
    for phase in 0..stride {
        // Position `phase + i * stride` of a padded row: from `i = before` on within the picture.
        let before = left.saturating_sub(phase).div_ceil(stride).min(columns);
        let start = (phase + before * stride).saturating_sub(left);
        let inside = width.saturating_sub(start).div_ceil(stride).min(columns - before);
        if inside == 0 {
            continue;
        }
        for (row, from) in x.chunks_exact(width).take(height.min(rows.saturating_sub(top))).enumerate() {
            let to = &mut to[((row + top) * stride + phase) * columns + before..][..inside];
            if stride == 1 {
                copy::<L>(&from[start..], to);
            } else {
                zip_strided(to, &from[start..], stride, |to, from| *to = from);
            }
        }
    }
}

/// `V` vectors of outputs, `steps` apart in the plane and in `to`; what the first one's taps read are offsets in the plane. `last`
/// lanes are stored of the last vector, and of each where rows are narrower than a vector.
#[inline(always)]
fn sums<L: Lanes, const V: usize>(
    taps: &[usize],
    weights: &[f32],
    bias: f32,
    plane: &[f32],
    to: &mut [f32],
    steps: (usize, usize),
    last: usize,
) {
    let mut sum = [L::splat(bias); V];
    for (&tap, &weight) in taps.iter().zip(weights) {
        let from = &plane[tap..][..(V - 1) * steps.0 + L::COUNT];
        let weight = L::splat(weight);
        for (v, sum) in sum.iter_mut().enumerate() {
            // SAFETY: within `from`.
            *sum = weight.mul_add(unsafe { L::load(from.as_ptr().add(v * steps.0)) }, *sum);
        }
    }
    let to = &mut to[..(V - 1) * steps.1 + last];
    for (v, sum) in sum.iter().enumerate() {
        let count = if v + 1 == V { last } else { steps.1.min(L::COUNT) };
        // SAFETY: within `to`.
        unsafe {
            let to = to.as_mut_ptr().add(v * steps.1);
            if count == L::COUNT { sum.store(to) } else { sum.store_first(to, count) }
        }
    }
}
