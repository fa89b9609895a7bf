//! Cores with `sdot` (Cortex-A55, A75 and later): tiles of eight pixels by eight outputs.
//!
//! Sixteen bytes of each pixel are loaded at once and multiplied quad by quad with `sdot` by element, so that a quad of
//! weights serves eight pixels.

use super::finish::{self, Bytes};
use crate::engine::kernels::conv::{
    ConvStep, DepthwiseStep, Ending, Packed, PackedDepthwise, Tile, Unpacked, UnpackedDepthwise, for_each_pixel,
    for_each_tile,
};
use crate::engine::kernels::memory::{Aligned, Memory};
use crate::engine::kernels::{AddStep, Kernels};
use std::arch::aarch64::*;
use std::arch::asm;

/// The kernel set.
pub struct Dotprod;

const PANEL: usize = 8;

/// `acc + quads of w · quad LANE of x`; the intrinsic is not stable yet.
macro_rules! sdot_lane {
    ($acc:expr, $w:expr, $x:expr, $lane:literal) => {{
        let mut acc: int32x4_t = $acc;
        asm!(
            concat!("sdot {acc:v}.4s, {w:v}.16b, {x:v}.4b[", $lane, "]"),
            acc = inout(vreg) acc, w = in(vreg) $w, x = in(vreg) $x,
            options(pure, nomem, nostack, preserves_flags)
        );
        acc
    }};
}

/// `acc + quads of w · quads of x`.
macro_rules! sdot {
    ($acc:expr, $w:expr, $x:expr) => {{
        let mut acc: int32x4_t = $acc;
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {x:v}.16b",
            acc = inout(vreg) acc, w = in(vreg) $w, x = in(vreg) $x,
            options(pure, nomem, nostack, preserves_flags)
        );
        acc
    }};
}

#[target_feature(enable = "dotprod")]
unsafe fn tile<const MR: usize>(tile: &Tile) {
    // SAFETY: the tile comes from a checked step; reads beyond a run meet the arena's slack and weights of zero.
    unsafe {
        let bias = [vld1q_s32(tile.bias), vld1q_s32(tile.bias.add(4))];
        let mut acc = [bias; MR];
        let x: [*const u8; MR] = std::array::from_fn(|p| tile.x[p]);
        let mut weights = tile.weights.cast::<i8>();
        for tap in 0..tile.tap_count {
            let mut at = *tile.taps.add(tap) as usize;
            for _ in 0..tile.groups / 4 {
                let quads: [int8x16_t; MR] = std::array::from_fn(|p| vld1q_s8(x[p].add(at).cast()));
                macro_rules! quad {
                    ($lane:literal) => {
                        let w = [vld1q_s8(weights.add($lane * 32)), vld1q_s8(weights.add($lane * 32 + 16))];
                        for p in 0..MR {
                            acc[p][0] = sdot_lane!(acc[p][0], w[0], quads[p], $lane);
                            acc[p][1] = sdot_lane!(acc[p][1], w[1], quads[p], $lane);
                        }
                    };
                }
                quad!(0);
                quad!(1);
                quad!(2);
                quad!(3);
                at += 16;
                weights = weights.add(128);
            }
            for _ in 0..tile.groups % 4 {
                let w = [vld1q_s8(weights), vld1q_s8(weights.add(16))];
                for p in 0..MR {
                    let quad = vreinterpretq_s8_s32(vld1q_dup_s32(x[p].add(at).cast()));
                    acc[p][0] = sdot!(acc[p][0], w[0], quad);
                    acc[p][1] = sdot!(acc[p][1], w[1], quad);
                }
                at += 4;
                weights = weights.add(32);
            }
        }
        for p in 0..MR {
            if let Some(bytes) = Bytes::of(tile.ending) {
                finish::store_eight(finish::eight(acc[p], tile.scale, bytes), tile.y[p], tile.outputs);
            } else {
                let mut lanes = [0i32; 8];
                vst1q_s32(lanes.as_mut_ptr(), acc[p][0]);
                vst1q_s32(lanes.as_mut_ptr().add(4), acc[p][1]);
                finish::words(&lanes, tile.scale, tile.ending, tile.y[p], tile.outputs);
            }
        }
    }
}

type TileKernel = unsafe fn(&Tile);
const TILES: [TileKernel; 8] = [tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>, tile::<7>, tile::<8>];

/// Sixteen channels at a time: the bytes of four taps are brought together, channel by channel, and multiplied at once.
#[target_feature(enable = "dotprod")]
unsafe fn depthwise(step: &DepthwiseStep, x: *const u8, y: *mut u8) {
    let quads = step.taps.len().div_ceil(4);
    let element = if matches!(step.ending, Ending::Bytes { .. }) { 1 } else { 4 };
    let mut weights = step.packed.weights.as_ptr().cast::<i8>();
    for channel in (0..step.channels).step_by(16) {
        // SAFETY: taps of a checked step lie within the input and its halo; a block may read beyond the last channel,
        // which the arena's slack allows; existing channels only are stored.
        unsafe {
            let bias = step.packed.bias.as_ptr().add(channel);
            let mut acc: [int32x4_t; 4] = std::array::from_fn(|q| vld1q_s32(bias.add(q * 4)));
            for quad in 0..quads {
                let tap = |i: usize| {
                    // Weights beyond the last tap are zero: any byte will do.
                    let tap = (4 * quad + i).min(step.taps.len() - 1);
                    vld1q_s8(x.add(*step.taps.get_unchecked(tap) as usize + channel).cast())
                };
                let (a, b, c, d) = (tap(0), tap(1), tap(2), tap(3));
                let (ab, cd) = ([vzip1q_s8(a, b), vzip2q_s8(a, b)], [vzip1q_s8(c, d), vzip2q_s8(c, d)]);
                for half in 0..2 {
                    let (p, q) = (vreinterpretq_s16_s8(ab[half]), vreinterpretq_s16_s8(cd[half]));
                    let zips = [vzip1q_s16(p, q), vzip2q_s16(p, q)];
                    for i in 0..2 {
                        let w = vld1q_s8(weights.add((half * 2 + i) * 16));
                        acc[half * 2 + i] = sdot!(acc[half * 2 + i], w, vreinterpretq_s8_s16(zips[i]));
                    }
                }
                weights = weights.add(64);
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

impl Kernels for Dotprod {
    fn name(&self) -> &'static str {
        "dotprod"
    }

    fn signed(&self) -> bool {
        super::SIGNED
    }

    fn pack(&self, weights: &Unpacked) -> Packed {
        weights.pack(PANEL, 4)
    }

    fn conv(&self, step: &ConvStep, memory: Memory, part: (usize, usize)) {
        for_each_tile(step, memory, part, TILES.len(), |tile| {
            // SAFETY: the set is offered only where the CPU has `sdot`; steps are checked when planned.
            unsafe { TILES[tile.pixels - 1](tile) }
        });
    }

    fn pack_depthwise(&self, from: &UnpackedDepthwise) -> PackedDepthwise {
        let quads = from.taps.div_ceil(4);
        let mut weights = Aligned::zeroed(from.channels.div_ceil(16) * quads * 64);
        for c in 0..from.channels {
            for tap in 0..from.taps {
                let at = (c / 16 * quads + tap / 4) * 64 + c % 16 * 4 + tap % 4;
                weights.bytes_mut()[at] = (from.weight)(c, tap) as u8;
            }
        }
        let (bias, scale) = finish_numbers(from, 16);
        PackedDepthwise { weights, bias, scale, pixels: 1, columns: Default::default() }
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
}

/// Bias and scale filled up to whole blocks of channels.
pub fn finish_numbers(from: &UnpackedDepthwise, block: usize) -> (Vec<i32>, Vec<f32>) {
    let whole = from.channels.next_multiple_of(block);
    let (mut bias, mut scale) = (from.bias.to_vec(), from.scale.to_vec());
    bias.resize(whole, 0);
    scale.resize(whole, 1.0);
    (bias, scale)
}
