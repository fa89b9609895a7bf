//! The reference implementation: every kernel in plain Rust, one operation after the other. The other sets must give
//! the same bytes.

use super::add::AddStep;
use super::arena::{AlignedBytes, Arena, SIGNED};
use super::conv::{ConvStep, ConvWeights, PackedConv};
use super::depthwise::{DepthwiseStep, DepthwiseWeights, PackedDepthwise, for_each_pixel};
use super::epilogue::{store_accumulator, stored_value};
use super::set::Kernels;
use super::tiles::for_each_tile;

/// Plain Rust; activations are stored as in the other sets of this architecture.
pub struct ReferenceKernels;

impl Kernels for ReferenceKernels {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn signed(&self) -> bool {
        SIGNED
    }

    fn pack(&self, weights: &ConvWeights) -> PackedConv {
        weights.pack(4, 4)
    }

    fn conv(&self, step: &ConvStep, arena: Arena, part: (usize, usize)) {
        let element = step.epilogue.bytes();
        for_each_tile(self, step, arena, part, 4, |tile| {
            for pixel in 0..tile.pixels {
                for o in 0..tile.outputs {
                    // SAFETY: the tile's pointers and counts come from a checked step; runs may read up to three bytes
                    // beyond their end, which the buffer's slack allows.
                    unsafe {
                        let mut acc = *tile.bias.add(o);
                        let (panel, o_within) = (o / step.packed.panel, o % step.packed.panel);
                        let mut weights = tile.weights.add(panel * step.packed.panel_bytes);
                        for tap in 0..tile.tap_count {
                            let mut x = tile.x[pixel].add(*tile.taps.add(tap) as usize);
                            for _ in 0..tile.groups {
                                for byte in 0..4 {
                                    let weight = i32::from(*weights.add(o_within * 4 + byte) as i8);
                                    acc = acc.wrapping_add(stored_value(*x.add(byte), SIGNED) * weight);
                                }
                                x = x.add(4);
                                weights = weights.add(step.packed.panel * 4);
                            }
                        }
                        store_accumulator(acc, *tile.scale.add(o), tile.epilogue, tile.y[pixel].add(o * element));
                    }
                }
            }
        });
    }

    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise {
        let DepthwiseWeights { channels, taps, summands, .. } = *weights;
        let mut packed = AlignedBytes::zeroed(channels * taps * summands);
        for c in 0..channels {
            for tap in 0..taps {
                for summand in 0..summands {
                    packed.bytes_mut()[(c * taps + tap) * summands + summand] = (weights.weight)(c, tap, summand) as u8;
                }
            }
        }
        PackedDepthwise {
            weights: packed,
            bias: weights.bias.to_vec(),
            scale: weights.scale.to_vec(),
            pixels: 1,
            summands,
            columns: Default::default(),
            widen_each_product: false,
        }
    }

    fn depthwise(&self, step: &DepthwiseStep, arena: Arena, part: (usize, usize)) {
        let element = step.epilogue.bytes();
        let weights = step.packed.weights.bytes();
        for_each_pixel(step, arena, part, |x, y| {
            for c in 0..step.channels {
                let mut acc = step.packed.bias[c];
                for (tap, &offset) in step.taps.iter().enumerate() {
                    // SAFETY: taps of a checked step lie within the input and its halo.
                    let byte = unsafe { *x.add(offset as usize + c) };
                    let summands = step.packed.summands;
                    for &weight in &weights[(c * step.taps.len() + tap) * summands..][..summands] {
                        acc = acc.wrapping_add(stored_value(byte, SIGNED) * i32::from(weight as i8));
                    }
                }
                // SAFETY: channel `c` of an output pixel of a checked step.
                unsafe { store_accumulator(acc, step.packed.scale[c], step.epilogue, y.add(c * element)) };
            }
        });
    }

    unsafe fn add_contiguous(&self, step: &AddStep, [a, b]: [*const u8; 2], y: *mut u8, count: usize) {
        for i in 0..count {
            // SAFETY: promised by the caller.
            unsafe { *y.add(i) = step.element(*a.add(i), *b.add(i)) };
        }
    }
}
