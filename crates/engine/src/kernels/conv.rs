//! Convolution as every kernel sees it: implicit matrix product over channels-last pictures with a halo.
//!
//! A pixel of the output needs `taps` runs of `run` consecutive input bytes; where the picture is dense and the kernel
//! not dilated, a whole kernel row is one run. Weights are packed in panels of `panel` outputs: for each panel, tap and
//! group of `group` bytes, the outputs' bytes side by side. Nothing is copied or expanded.

use super::memory::{Aligned, Memory, View, share};
use super::{AddStep, Kernels};

/// The last step from an accumulator to what is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ending {
    /// `clamp(round_half_even(f32(acc) * scale) + zero_point, low, high)` in the stored domain.
    ///
    /// `plain`: every byte may be the result and every scale is below 1, so that a scaled accumulator fits 32 bits and
    /// saturating at each narrowing is all the clamping there is.
    Bytes { zero_point: i32, low: i32, high: i32, plain: bool },
    /// `i32`
    Accumulators,
    /// `f32(acc) * scale`
    Floats,
    /// Accumulators as they lie in a kernel's vectors, for its own use.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Lanes,
}

impl Ending {
    /// Bytes of an output.
    pub fn bytes(self) -> usize {
        if matches!(self, Ending::Bytes { .. }) { 1 } else { 4 }
    }
}

/// Everything that a convolution needs at run time.
pub struct ConvStep {
    /// Offset of the first byte that output pixel 0 reads.
    pub x: usize,
    /// Bytes in the input from one output image, row, pixel to the next.
    pub x_steps: [usize; 3],
    /// Offset of each run from the pixel's first byte.
    pub taps: Vec<u32>,
    pub y: usize,
    pub y_steps: [usize; 3],
    /// Images, rows, columns of the output.
    pub dims: [usize; 3],
    pub outputs: usize,
    pub ending: Ending,
    pub packed: Packed,
    /// Where the threads' scratch lies, one after the other.
    pub scratch: usize,
    /// A sum that the output goes into while it is in the cache.
    pub sum: Option<Box<AddStep>>,
}

impl ConvStep {
    /// Its output as a sum sees an operand.
    pub fn output(&self) -> View {
        let ([n, h, w], [image, row, pixel]) = (self.dims, self.y_steps);
        View { at: self.y, dims: [n, h, w, self.outputs], strides: [image, row, pixel, self.ending.bytes()] }
    }

    /// Computes the sum, if there is one, of `count` pixels of a row.
    pub fn finish_sum(&self, kernels: &dyn Kernels, memory: Memory, [image, row, column]: [usize; 3], count: usize) {
        let Some(sum) = &self.sum else { return };
        // Whole pixels without gaps are one stretch.
        let dense = [sum.a, sum.b, sum.y].iter().all(|view| view.strides[2] == self.outputs);
        let (stretches, len) = if dense { (1, count * self.outputs) } else { (count, self.outputs) };
        for column in column..column + stretches {
            let at = |view: &View| memory.at(view.pixel(image, row, column));
            // SAFETY: pixels of the step's checked views.
            unsafe { kernels.sum(sum, [at(&sum.a), at(&sum.b)], at(&sum.y), len) };
        }
    }
}

/// Weights in a kernel's own order, with what comes after the product.
pub struct Packed {
    pub weights: Aligned,
    /// One for each output, filled up to whole panels.
    pub bias: Vec<i32>,
    pub scale: Vec<f32>,
    /// Outputs of one panel.
    pub panel: usize,
    /// Groups of a run.
    pub groups: usize,
    /// Bytes of one panel's weights.
    pub panel_bytes: usize,
    pub way: Way,
    /// Products must be widened one by one: sums of two could exceed 16 bits. Only the `neon` set asks.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub widen_at_once: bool,
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Tiles of pixels by panels of outputs.
    Tiles,
    /// Few outputs: products of this many kernel columns are kept apart.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Columns(usize),
    /// By [`super::winograd`]: channels of a patch and tiles of a group, and the bytes of scratch for them.
    Winograd { channels: usize, tiles: usize, scratch: usize },
}

/// What a kernel packs.
pub struct Unpacked<'a> {
    pub outputs: usize,
    pub taps: usize,
    /// Bytes of a run.
    pub run: usize,
    /// Bytes of one kernel column, where a run is a kernel row and neighbouring outputs read neighbouring pixels.
    pub column: Option<usize>,
    /// Taps are neighbouring rows of the input, and so are those of neighbouring output rows.
    pub rows_follow: bool,
    /// Rows and columns of the output, of all images.
    pub size: [usize; 2],
    /// Weight of output, tap, byte of the run.
    pub weight: &'a dyn Fn(usize, usize, usize) -> i8,
    pub bias: &'a [i32],
    pub scale: &'a [f32],
}

impl Unpacked<'_> {
    /// Panels of `panel` outputs, groups of `group` bytes.
    pub fn pack(&self, panel: usize, group: usize) -> Packed {
        let panels = self.outputs.div_ceil(panel);
        let groups = self.run.div_ceil(group);
        let panel_bytes = self.taps * groups * group * panel;
        let mut weights = Aligned::zeroed(panels * panel_bytes);
        let bytes = weights.bytes_mut();
        for o in 0..self.outputs {
            for tap in 0..self.taps {
                for byte in 0..self.run {
                    let place = ((tap * groups + byte / group) * panel + o % panel) * group + byte % group;
                    bytes[o / panel * panel_bytes + place] = (self.weight)(o, tap, byte) as u8;
                }
            }
        }
        let (bias, scale) = self.filled(panel);
        Packed { weights, bias, scale, panel, groups, panel_bytes, way: Way::Tiles, widen_at_once: false }
    }

    /// Bias and scale filled up to whole panels.
    pub fn filled(&self, panel: usize) -> (Vec<i32>, Vec<f32>) {
        let whole = self.outputs.next_multiple_of(panel);
        let mut bias = self.bias.to_vec();
        let mut scale = self.scale.to_vec();
        bias.resize(whole, 0);
        scale.resize(whole, 1.0);
        (bias, scale)
    }
}

/// The most pixels of one tile.
pub const MOST_PIXELS: usize = 16;

/// A tile: up to [`MOST_PIXELS`] pixels by some panels, one after the other.
pub struct Tile {
    pub x: [*const u8; MOST_PIXELS],
    /// Where the first panel's outputs go; those of the next follow.
    pub y: [*mut u8; MOST_PIXELS],
    pub pixels: usize,
    pub taps: *const u32,
    pub tap_count: usize,
    pub groups: usize,
    /// Weights of all panels, without gaps.
    pub weights: *const u8,
    pub bias: *const i32,
    pub scale: *const f32,
    pub panels: usize,
    /// Outputs of these panels that exist.
    pub outputs: usize,
    pub ending: Ending,
}

/// Bytes of input that are walked through once for all panels before the next are; they stay in the second-level cache.
const CHUNK: usize = 128 << 10;

/// Bytes of weights that one tile after the other meets; they stay in the first-level cache.
const BLOCK: usize = 16 << 10;

/// Cuts a thread's share of a convolution into tiles of at most `most` pixels.
pub fn for_each_tile(
    kernels: &dyn Kernels,
    step: &ConvStep,
    memory: Memory,
    (part, parts): (usize, usize),
    most: usize,
    mut run: impl FnMut(&Tile),
) {
    let [images, rows, columns] = step.dims;
    let mine = share(images * rows * columns, part, parts);
    let packed = &step.packed;
    let panels = step.outputs.div_ceil(packed.panel);
    let block = (BLOCK / packed.panel_bytes.max(1)).max(1);
    let chunk = if panels <= block && step.sum.is_none() {
        mine.len()
    } else {
        (CHUNK * columns / step.x_steps[1].max(1)).max(4 * most)
    };
    let element = step.ending.bytes();
    let mut tile = Tile {
        x: [std::ptr::null(); MOST_PIXELS],
        y: [std::ptr::null_mut(); MOST_PIXELS],
        pixels: 0,
        taps: step.taps.as_ptr(),
        tap_count: step.taps.len(),
        groups: packed.groups,
        weights: std::ptr::null(),
        bias: std::ptr::null(),
        scale: std::ptr::null(),
        panels: 0,
        outputs: 0,
        ending: step.ending,
    };
    let mut start = mine.start;
    while start < mine.end {
        let end = mine.end.min(start + chunk.max(1));
        for panel in (0..panels).step_by(block) {
            let first = panel * packed.panel;
            tile.weights = packed.weights.as_ptr().wrapping_add(panel * packed.panel_bytes);
            tile.bias = packed.bias[first..].as_ptr();
            tile.scale = packed.scale[first..].as_ptr();
            tile.panels = block.min(panels - panel);
            tile.outputs = (tile.panels * packed.panel).min(step.outputs - first);
            // Tiles of nearly equal size: a short last one would waste the weights it loads.
            let tiles = (end - start).div_ceil(most);
            let mut place = Place::of(start, step.dims);
            for i in 0..tiles {
                let count = share(end - start, i, tiles).len();
                tile.pixels = count;
                let mut at = 0;
                while at < count {
                    let here = (count - at).min(columns - place.column);
                    let x = memory.at(step.x + place.offset(step.x_steps));
                    let y = memory.at(step.y + place.offset(step.y_steps) + first * element);
                    for i in 0..here {
                        tile.x[at + i] = x.wrapping_add(i * step.x_steps[2]);
                        tile.y[at + i] = y.wrapping_add(i * step.y_steps[2]);
                    }
                    at += here;
                    place.advance(here, step.dims);
                }
                run(&tile);
            }
        }
        let mut place = Place::of(start, step.dims);
        let mut left = if step.sum.is_some() { end - start } else { 0 };
        while left > 0 {
            let here = left.min(columns - place.column);
            step.finish_sum(kernels, memory, [place.image, place.row, place.column], here);
            left -= here;
            place.advance(here, step.dims);
        }
        start = end;
    }
}

/// A pixel of the output, or a tile of pixels.
#[derive(Clone, Copy)]
pub struct Place {
    pub image: usize,
    pub row: usize,
    pub column: usize,
}

impl Place {
    /// The one of that index, among so many images, rows and columns.
    pub fn of(index: usize, [_, rows, columns]: [usize; 3]) -> Place {
        Place { image: index / columns / rows, row: index / columns % rows, column: index % columns }
    }

    fn offset(&self, steps: [usize; 3]) -> usize {
        self.image * steps[0] + self.row * steps[1] + self.column * steps[2]
    }

    /// Within the row, or to the start of the next.
    pub fn advance(&mut self, pixels: usize, [_, rows, columns]: [usize; 3]) {
        self.column += pixels;
        if self.column == columns {
            self.column = 0;
            self.row += 1;
            if self.row == rows {
                self.row = 0;
                self.image += 1;
            }
        }
    }
}

/// Calls `run` with the first input byte and the first output byte of every row of a thread's share.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub fn for_each_output_row(
    step: &ConvStep,
    memory: Memory,
    (part, parts): (usize, usize),
    mut run: impl FnMut(*const u8, *mut u8),
) {
    let [images, rows, _] = step.dims;
    for row in share(images * rows, part, parts) {
        let place = Place { image: row / rows, row: row % rows, column: 0 };
        run(memory.at(step.x + place.offset(step.x_steps)), memory.at(step.y + place.offset(step.y_steps)));
    }
}

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
    pub ending: Ending,
    pub packed: PackedDepthwise,
}

/// Depthwise weights in a kernel's own order.
pub struct PackedDepthwise {
    pub weights: Aligned,
    pub bias: Vec<i32>,
    pub scale: Vec<f32>,
    /// Pixels that are computed together.
    pub pixels: usize,
    /// Offsets of a kernel row's columns in the kernel's own order, for that many pixels and for one.
    pub columns: [Vec<u32>; 2],
    /// As in [`Packed`].
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub widen_at_once: bool,
}

/// Depthwise weights before packing.
pub struct UnpackedDepthwise<'a> {
    pub channels: usize,
    pub taps: usize,
    /// Height and width.
    pub kernel: [usize; 2],
    /// Offset of each tap, as in the step.
    pub offsets: &'a [u32],
    /// Bytes of a pixel of the input, where neighbouring outputs read neighbouring pixels, and so do neighbouring taps.
    pub side_by_side: Option<usize>,
    /// Weight of channel and tap.
    pub weight: &'a dyn Fn(usize, usize) -> i8,
    pub bias: &'a [i32],
    pub scale: &'a [f32],
}

impl UnpackedDepthwise<'_> {
    /// Quads of columns in a kernel row.
    pub fn quads(&self) -> usize {
        self.kernel[1].div_ceil(4)
    }

    /// Pixels that share the columns of a row's quads, at most `most`.
    pub fn pixels(&self, most: usize) -> usize {
        if self.side_by_side.is_some() { (self.quads() * 4 + 1 - self.kernel[1]).min(most) } else { 1 }
    }

    /// Offsets of the columns of a row's quads: for several pixels and for one.
    pub fn columns(&self) -> [Vec<u32>; 2] {
        let width = self.kernel[1];
        [self.side_by_side, None].map(|pixel| {
            let column = |column: usize| {
                // Beyond the kernel: a column of the next pixels, or, with weights of zero, any.
                let inside = column.min(width - 1);
                self.offsets[inside] + ((column - inside) * pixel.unwrap_or(0)) as u32
            };
            (0..self.quads() * 4).map(column).collect()
        })
    }

    /// The quad of weights of a channel for one of the pixels that share columns.
    pub fn quad(&self, channel: usize, row: usize, quad: usize, pixel: usize) -> [i8; 4] {
        let width = self.kernel[1];
        std::array::from_fn(|i| match (quad * 4 + i).checked_sub(pixel) {
            Some(column) if column < width => (self.weight)(channel, row * width + column),
            _ => 0,
        })
    }

    /// Bias and scale filled up to whole blocks of channels.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub fn filled(&self, block: usize) -> (Vec<i32>, Vec<f32>) {
        let whole = self.channels.next_multiple_of(block);
        let (mut bias, mut scale) = (self.bias.to_vec(), self.scale.to_vec());
        bias.resize(whole, 0);
        scale.resize(whole, 1.0);
        (bias, scale)
    }
}

/// Calls `run` with the first input byte and the first output byte of every `most` rows, or fewer, of a thread's share, and
/// with their number.
pub fn for_each_rows(
    step: &DepthwiseStep,
    memory: Memory,
    (part, parts): (usize, usize),
    most: usize,
    mut run: impl FnMut(*const u8, *mut u8, usize),
) {
    let [images, rows, _] = step.dims;
    let mine = share(images * rows, part, parts);
    let mut row = mine.start;
    while row < mine.end {
        let place = Place { image: row / rows, row: row % rows, column: 0 };
        let count = most.min(mine.end - row).min(rows - place.row);
        let x = memory.at(step.x + place.offset(step.x_steps));
        run(x, memory.at(step.y + place.offset(step.y_steps)), count);
        row += count;
    }
}

/// Calls `run` with the first input byte and the first output byte of every pixel of a thread's share.
pub fn for_each_pixel(
    step: &DepthwiseStep,
    memory: Memory,
    (part, parts): (usize, usize),
    mut run: impl FnMut(*const u8, *mut u8),
) {
    let columns = step.dims[2];
    for_each_rows(step, memory, (part, parts), 1, |x, y, _| {
        for column in 0..columns {
            run(x.wrapping_add(column * step.x_steps[2]), y.wrapping_add(column * step.y_steps[2]));
        }
    });
}
