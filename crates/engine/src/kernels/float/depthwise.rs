//! Convolutions with one input channel a group. A plane is copied with its padding, columns apart by their remainder by the stride, so
//! that what neighbouring outputs read through one tap lies side by side.

use super::isa::{Lanes, Loop};
use super::strided::copy_strided;
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
        let [height, width] = op.input;
        let row_step = op.stride[0] * op.stride[1] * op.padded().1;
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
                        let from = &self.scratch[row * row_step + done..];
                        // As few vectors as the rest needs.
                        let columns = match to.len().div_ceil(L::COUNT) {
                            1 => sums::<L, 1>(&op.taps, weights, bias, from, to),
                            2 => sums::<L, 2>(&op.taps, weights, bias, from, to),
                            3 => sums::<L, 3>(&op.taps, weights, bias, from, to),
                            _ => sums::<L, VECTORS>(&op.taps, weights, bias, from, to),
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
            copy_strided(from, phase as isize - op.pads[1] as isize, stride, to);
        }
    }
}

/// `V` vectors of outputs, as many of them as `to` holds; the first one's taps are offsets in `plane`. Returns how many.
#[inline(always)]
fn sums<L: Lanes, const V: usize>(taps: &[usize], weights: &[f32], bias: f32, plane: &[f32], to: &mut [f32]) -> usize {
    let mut sum = [L::splat(bias); V];
    for (&tap, &weight) in taps.iter().zip(weights) {
        let from = &plane[tap..][..V * L::COUNT];
        let weight = L::splat(weight);
        for (v, sum) in sum.iter_mut().enumerate() {
            // SAFETY: within `from`.
            *sum = weight.mul_add(unsafe { L::load(from.as_ptr().add(v * L::COUNT)) }, *sum);
        }
    }
    let count = to.len().min(V * L::COUNT);
    let mut whole = [0.0f32; 64];
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
