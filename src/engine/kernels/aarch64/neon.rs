//! Every aarch64 CPU (Cortex-A53, A72): tiles of four pixels by four outputs.
//!
//! Each pair of pixel and output has an accumulator of four partial sums. Bytes are multiplied eight at a time to 16
//! bits; two such products are added there before they are widened, which is exact as long as no two weights that meet
//! in a lane are both -128: packing looks for that weight, and where it occurs products are widened one by one.

use super::finish::{self, Bytes};
use crate::engine::kernels::conv::{
    ConvStep, DepthwiseStep, Packed, PackedDepthwise, Tile, Unpacked, UnpackedDepthwise, for_each_pixel, for_each_tile,
};
use crate::engine::kernels::memory::{Aligned, Memory};
use crate::engine::kernels::portable::{self, Scaling};
use crate::engine::kernels::{AddStep, Kernels};
use std::arch::aarch64::*;

/// The kernel set.
pub struct Neon;

const PANEL: usize = 4;

/// Weights of one output in groups of sixteen bytes and, where a run ends so, one of eight.
fn units(run: usize) -> usize {
    run.div_ceil(8)
}

/// With `PAIRED`, two products are added in 16 bits.
unsafe fn tile<const MR: usize, const PAIRED: bool>(tile: &Tile) {
    // SAFETY: the tile comes from a checked step; reads beyond a run meet the arena's slack and weights of zero.
    unsafe {
        let mut acc = [[vdupq_n_s32(0); PANEL]; MR];
        let x: [*const u8; MR] = std::array::from_fn(|p| tile.x[p]);
        let mut weights = tile.weights.cast::<i8>();
        for tap in 0..tile.tap_count {
            let mut at = *tile.taps.add(tap) as usize;
            for _ in 0..tile.groups / 2 {
                let bytes: [int8x16_t; MR] = std::array::from_fn(|p| vld1q_s8(x[p].add(at).cast()));
                for o in 0..PANEL {
                    let w = vld1q_s8(weights.add(o * 16));
                    for p in 0..MR {
                        let low = vmull_s8(vget_low_s8(bytes[p]), vget_low_s8(w));
                        if PAIRED {
                            let both = vmlal_high_s8(low, bytes[p], w);
                            acc[p][o] = vpadalq_s16(acc[p][o], both);
                        } else {
                            acc[p][o] = vpadalq_s16(acc[p][o], low);
                            acc[p][o] = vpadalq_s16(acc[p][o], vmull_high_s8(bytes[p], w));
                        }
                    }
                }
                at += 16;
                weights = weights.add(PANEL * 16);
            }
            if tile.groups % 2 == 1 {
                let bytes: [int8x8_t; MR] = std::array::from_fn(|p| vld1_s8(x[p].add(at).cast()));
                for o in 0..PANEL {
                    let w = vld1_s8(weights.add(o * 8));
                    for p in 0..MR {
                        acc[p][o] = vpadalq_s16(acc[p][o], vmull_s8(bytes[p], w));
                    }
                }
                weights = weights.add(PANEL * 8);
            }
        }
        let bias = vld1q_s32(tile.bias);
        for p in 0..MR {
            let [a, b, c, d] = acc[p];
            let sums = vaddq_s32(vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)), bias);
            if let Some(bytes) = Bytes::of(tile.ending) {
                // Four outputs: the upper half of the eight is filled with the lower.
                let four = finish::four(sums, tile.scale, bytes);
                finish::store_four(four, tile.y[p], tile.outputs);
            } else {
                let mut lanes = [0i32; 4];
                vst1q_s32(lanes.as_mut_ptr(), sums);
                finish::words(&lanes, tile.scale, tile.ending, tile.y[p], tile.outputs);
            }
        }
    }
}

type TileKernel = unsafe fn(&Tile);
const PAIRED: [TileKernel; 4] = [tile::<1, true>, tile::<2, true>, tile::<3, true>, tile::<4, true>];
const SINGLE: [TileKernel; 4] = [tile::<1, false>, tile::<2, false>, tile::<3, false>, tile::<4, false>];

/// Sixteen channels at a time; the last block of a picture reads beyond its channels, into the next pixel or the slack.
unsafe fn depthwise(step: &DepthwiseStep, x: *const u8, y: *mut u8) {
    let element = step.ending.bytes();
    let mut weights = step.packed.weights.as_ptr().cast::<i8>();
    for channel in (0..step.channels).step_by(16) {
        // SAFETY: as in `dotprod::depthwise`.
        unsafe {
            let bias = step.packed.bias.as_ptr().add(channel);
            let mut acc: [int32x4_t; 4] = std::array::from_fn(|q| vld1q_s32(bias.add(q * 4)));
            for &tap in &step.taps {
                let bytes = vld1q_s8(x.add(tap as usize + channel).cast());
                let w = vld1q_s8(weights);
                let (low, high) = (vmull_s8(vget_low_s8(bytes), vget_low_s8(w)), vmull_high_s8(bytes, w));
                acc[0] = vaddw_s16(acc[0], vget_low_s16(low));
                acc[1] = vaddw_high_s16(acc[1], low);
                acc[2] = vaddw_s16(acc[2], vget_low_s16(high));
                acc[3] = vaddw_high_s16(acc[3], high);
                weights = weights.add(16);
            }
            let n = 16.min(step.channels - channel);
            let scale = step.packed.scale.as_ptr().add(channel);
            let y = y.add(channel * element);
            if let Some(bytes) = Bytes::of(step.ending) {
                finish::store_sixteen(finish::sixteen(acc, scale, bytes), y, n);
            } else {
                let mut lanes = [0i32; 16];
                for q in 0..4 {
                    vst1q_s32(lanes.as_mut_ptr().add(q * 4), acc[q]);
                }
                finish::words(&lanes, scale, step.ending, y, n);
            }
        }
    }
}

impl Kernels for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn signed(&self) -> bool {
        super::SIGNED
    }

    fn pack(&self, from: &Unpacked) -> Packed {
        let units = units(from.run);
        let tap_bytes = units * 8 * PANEL;
        let panel_bytes = from.taps * tap_bytes;
        let mut weights = Aligned::zeroed(from.outputs.div_ceil(PANEL) * panel_bytes);
        let mut narrow = false;
        for o in 0..from.outputs {
            for tap in 0..from.taps {
                let start = o / PANEL * panel_bytes + tap * tap_bytes;
                for byte in 0..from.run {
                    let (group, within) = (byte / 16, byte % 16);
                    // A last half group is eight bytes wide.
                    let width = if group * 2 + 1 == units { 8 } else { 16 };
                    let at = start + group * 16 * PANEL + o % PANEL * width + within;
                    let weight = (from.weight)(o, tap, byte);
                    weights.bytes_mut()[at] = weight as u8;
                    narrow |= weight == -128;
                }
            }
        }
        let (bias, scale) = from.filled(PANEL);
        Packed { weights, bias, scale, panel: PANEL, groups: units, panel_bytes, columns: 1, widen_at_once: narrow }
    }

    fn conv(&self, step: &ConvStep, memory: Memory, part: (usize, usize)) {
        let tiles = if step.packed.widen_at_once { &SINGLE } else { &PAIRED };
        for_each_tile(step, memory, part, tiles.len(), |tile| {
            // SAFETY: NEON is part of every aarch64 CPU; steps are checked when planned.
            unsafe { tiles[tile.pixels - 1](tile) }
        });
    }

    fn pack_depthwise(&self, from: &UnpackedDepthwise) -> PackedDepthwise {
        let mut weights = Aligned::zeroed(from.channels.div_ceil(16) * from.taps * 16);
        for c in 0..from.channels {
            for tap in 0..from.taps {
                weights.bytes_mut()[(c / 16 * from.taps + tap) * 16 + c % 16] = (from.weight)(c, tap) as u8;
            }
        }
        let (bias, scale) = from.filled(16);
        PackedDepthwise { weights, bias, scale, pixels: 1, columns: Default::default(), widen_at_once: false }
    }

    fn depthwise(&self, step: &DepthwiseStep, memory: Memory, part: (usize, usize)) {
        for_each_pixel(step, memory, part, |x, y| {
            // SAFETY: as in `conv`.
            unsafe { depthwise(step, x, y) }
        });
    }

    fn add(&self, step: &AddStep, memory: Memory, part: (usize, usize)) {
        finish::add(step, memory, part);
    }

    fn quantize(&self, x: &[f32], y: &mut [u8], scaling: Scaling) {
        portable::quantize_by_reciprocal(x, y, scaling);
    }
}
