//! A convolution as a kernel set sees it: an implicit matrix product over channels-last pictures with a halo.
//!
//! A pixel of the output needs `taps` runs of `run` consecutive input bytes; where the picture is dense and the kernel
//! not dilated, a whole kernel row is one run. Weights are packed in panels of `panel` outputs: for each panel, tap and
//! group of `group` bytes, the outputs' bytes side by side. Nothing is copied or expanded (no im2col).

use super::add::AddStep;
use super::arena::{AlignedBytes, View};
use super::epilogue::Epilogue;

/// Everything that a convolution needs at run time.
pub struct ConvStep {
    /// Offset of the first byte that output pixel 0 reads.
    pub x: usize,
    /// Bytes in the input from one output image, row, pixel to the next.
    pub x_steps: [usize; 3],
    /// Offset of each run from the pixel's first byte.
    pub taps: Vec<u32>,
    /// Bytes of a run.
    pub run: usize,
    pub y: usize,
    pub y_steps: [usize; 3],
    /// Images, rows, columns of the output.
    pub dims: [usize; 3],
    pub outputs: usize,
    pub epilogue: Epilogue,
    pub packed: PackedConv,
    /// Where the threads' scratch lies, one after the other.
    pub scratch: usize,
    /// A sum that is computed with the convolution, while the output is in the cache.
    pub fused_add: Option<Box<AddStep>>,
}

impl ConvStep {
    /// Its output as an operand of a sum.
    pub fn output(&self) -> View {
        let ([n, h, w], [image, row, pixel]) = (self.dims, self.y_steps);
        View { at: self.y, dims: [n, h, w, self.outputs], strides: [image, row, pixel, self.epilogue.bytes()] }
    }
}

/// Weights in the order of a kernel set, with bias and scale.
pub struct PackedConv {
    pub weights: AlignedBytes,
    /// One for each output, padded to whole panels.
    pub bias: Vec<i32>,
    pub scale: Vec<f32>,
    /// Outputs of one panel.
    pub panel: usize,
    /// Groups of a run.
    pub groups: usize,
    /// Bytes of one panel's weights.
    pub panel_bytes: usize,
    pub algorithm: Algorithm,
    /// Products must be widened one by one: sums of two could exceed 16 bits. Used by the `neon` set only.
    #[cfg_attr(not(target_arch = "aarch64"), allow(dead_code))]
    pub widen_each_product: bool,
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Algorithm {
    /// Tiles of pixels by panels of outputs.
    Tiles,
    /// Few outputs: the products of this many kernel columns are kept in lanes of their own.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Columns(usize),
    /// [`super::winograd`]: channels of a patch, tiles of a group, and the bytes of scratch that each thread needs.
    Winograd { channels: usize, tiles: usize, scratch: usize },
}

/// A convolution's weights before packing, and what a kernel set needs to know to choose an algorithm.
pub struct ConvWeights<'a> {
    pub outputs: usize,
    pub taps: usize,
    /// Bytes of a run.
    pub run: usize,
    /// Bytes of one kernel column, where a run is a kernel row and neighbouring outputs read neighbouring pixels.
    pub column: Option<usize>,
    /// Taps are neighbouring rows of the input, and so are those of neighbouring output rows.
    pub rows_adjacent: bool,
    /// Rows and columns of the output, of all images.
    pub size: [usize; 2],
    /// `[outputs, taps, run]`.
    pub weights: &'a [i8],
    pub bias: &'a [i32],
    pub scale: &'a [f32],
}

impl ConvWeights<'_> {
    /// The weight of an output for a byte of a tap's run.
    #[inline(always)]
    pub fn weight(&self, output: usize, tap: usize, byte: usize) -> i8 {
        self.weights[(output * self.taps + tap) * self.run + byte]
    }

    /// Panels of `panel` outputs, groups of `group` bytes.
    pub fn pack(&self, panel: usize, group: usize) -> PackedConv {
        let panels = self.outputs.div_ceil(panel);
        let groups = self.run.div_ceil(group);
        let panel_bytes = self.taps * groups * group * panel;
        let mut weights = AlignedBytes::zeroed(panels * panel_bytes);
        let bytes = weights.bytes_mut();
        for o in 0..self.outputs {
            for tap in 0..self.taps {
                for byte in 0..self.run {
                    let at = ((tap * groups + byte / group) * panel + o % panel) * group + byte % group;
                    bytes[o / panel * panel_bytes + at] = self.weight(o, tap, byte) as u8;
                }
            }
        }
        let (bias, scale) = self.padded(panel);
        PackedConv {
            weights,
            bias,
            scale,
            panel,
            groups,
            panel_bytes,
            algorithm: Algorithm::Tiles,
            widen_each_product: false,
        }
    }

    /// Bias and scale, padded to whole panels.
    pub fn padded(&self, panel: usize) -> (Vec<i32>, Vec<f32>) {
        let whole = self.outputs.next_multiple_of(panel);
        let mut bias = self.bias.to_vec();
        let mut scale = self.scale.to_vec();
        bias.resize(whole, 0);
        scale.resize(whole, 1.0);
        (bias, scale)
    }
}
