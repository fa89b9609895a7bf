//! A depthwise convolution as a kernel set sees it: step, weights before and after packing, and the walk over its rows.

use super::arena::{AlignedBytes, Arena};
use super::epilogue::Epilogue;
use super::grid::{GridIndex, thread_share};

/// A depthwise convolution: every output channel from the same channel of the input.
pub struct DepthwiseStep {
    pub x: usize,
    pub x_steps: [usize; 3],
    /// Bytes of the input from one kernel row to the next.
    pub kernel_row: usize,
    pub kernel_rows: usize,
    /// Offset of each tap from the pixel's first byte, row by row.
    pub taps: Vec<u32>,
    pub y: usize,
    pub y_steps: [usize; 3],
    pub dims: [usize; 3],
    pub channels: usize,
    pub epilogue: Epilogue,
    pub packed: PackedDepthwise,
}

/// Depthwise weights in the order of a kernel set, with bias and scale.
pub struct PackedDepthwise {
    pub weights: AlignedBytes,
    pub bias: Vec<i32>,
    pub scale: Vec<f32>,
    /// Pixels that are computed together.
    pub pixels: usize,
    /// How often a quad of inputs is multiplied: once for each summand of the weights.
    pub summands: usize,
    /// Offsets of a kernel row's columns in the order of the kernel set, for that many pixels and for one.
    pub columns: [Vec<u32>; 2],
    /// As in [`super::conv::PackedConv`].
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub widen_each_product: bool,
}

/// Depthwise weights before packing.
pub struct DepthwiseWeights<'a> {
    pub channels: usize,
    pub taps: usize,
    /// Height and width.
    pub kernel: [usize; 2],
    /// Offset of each tap, as in the step.
    pub offsets: &'a [u32],
    /// Bytes of a pixel of the input, where neighbouring outputs read neighbouring pixels, and so do neighbouring taps.
    pub adjacent_pixel: Option<usize>,
    /// How many bytes a weight is the sum of.
    pub summands: usize,
    /// Summand of the weight of channel and tap.
    pub weight: &'a dyn Fn(usize, usize, usize) -> i8,
    pub bias: &'a [i32],
    pub scale: &'a [f32],
}

impl DepthwiseWeights<'_> {
    /// Quads of columns in a kernel row.
    pub fn quads(&self) -> usize {
        self.kernel[1].div_ceil(4)
    }

    /// Pixels that share the columns of a row's quads, at most `max`.
    pub fn pixels(&self, max: usize) -> usize {
        if self.adjacent_pixel.is_some() { (self.quads() * 4 + 1 - self.kernel[1]).min(max) } else { 1 }
    }

    /// Offsets of the columns of a row's quads: for several pixels and for one.
    pub fn columns(&self) -> [Vec<u32>; 2] {
        let width = self.kernel[1];
        [self.adjacent_pixel, None].map(|pixel| {
            let column = |column: usize| {
                // Beyond the kernel: a column of the next pixels, or, with weights of zero, any.
                let inside = column.min(width - 1);
                self.offsets[inside] + ((column - inside) * pixel.unwrap_or(0)) as u32
            };
            (0..self.quads() * 4).map(column).collect()
        })
    }

    /// The quad of weights, one summand of each, of a channel for one of the pixels that share columns.
    pub fn quad(&self, channel: usize, row: usize, quad: usize, pixel: usize, summand: usize) -> [i8; 4] {
        let width = self.kernel[1];
        std::array::from_fn(|i| match (quad * 4 + i).checked_sub(pixel) {
            Some(column) if column < width => (self.weight)(channel, row * width + column, summand),
            _ => 0,
        })
    }

    /// Bias and scale, padded to whole blocks of channels.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub fn padded(&self, block: usize) -> (Vec<i32>, Vec<f32>) {
        let whole = self.channels.next_multiple_of(block);
        let (mut bias, mut scale) = (self.bias.to_vec(), self.scale.to_vec());
        bias.resize(whole, 0);
        scale.resize(whole, 1.0);
        (bias, scale)
    }
}

/// Calls `run` for groups of at most `max` rows of a thread's share, with pointers to the first input byte and the first
/// output byte of each group and its number of rows.
pub fn for_each_row_group(
    step: &DepthwiseStep,
    arena: Arena,
    (part, parts): (usize, usize),
    max: usize,
    mut run: impl FnMut(*const u8, *mut u8, usize),
) {
    let [images, rows, _] = step.dims;
    let mine = thread_share(images * rows, part, parts);
    let mut row = mine.start;
    while row < mine.end {
        let index = GridIndex { image: row / rows, row: row % rows, column: 0 };
        let count = max.min(mine.end - row).min(rows - index.row);
        let x = arena.at(step.x + index.offset(step.x_steps));
        run(x, arena.at(step.y + index.offset(step.y_steps)), count);
        row += count;
    }
}

/// Calls `run` with pointers to the first input byte and the first output byte of every pixel of a thread's share.
pub fn for_each_pixel(
    step: &DepthwiseStep,
    arena: Arena,
    (part, parts): (usize, usize),
    mut run: impl FnMut(*const u8, *mut u8),
) {
    let columns = step.dims[2];
    for_each_row_group(step, arena, (part, parts), 1, |x, y, _| {
        for column in 0..columns {
            run(x.wrapping_add(column * step.x_steps[2]), y.wrapping_add(column * step.y_steps[2]));
        }
    });
}
