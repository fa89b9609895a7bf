//! Cores with `sdot` (Cortex-A55, A75 and later): tiles of eight pixels by eight outputs.
//!
//! Sixteen bytes of each pixel are loaded at once and multiplied quad by quad with `sdot` by element, so that a quad of
//! weights serves eight pixels.

use super::finish::{self, Bytes};
use crate::engine::kernels::conv::{
    ConvStep, DepthwiseStep, Ending, Packed, PackedDepthwise, Tile, Unpacked, UnpackedDepthwise, for_each_row,
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

/// A row of outputs, sixteen channels after the other: the bytes of four columns are brought together, channel by channel,
/// and multiplied at once. Where neighbouring outputs read neighbouring inputs, the columns serve several pixels, each with
/// its weights shifted.
#[target_feature(enable = "dotprod")]
unsafe fn depthwise(step: &DepthwiseStep, x: *const u8, y: *mut u8) {
    let element = if matches!(step.ending, Ending::Bytes { .. }) { 1 } else { 4 };
    let packed = &step.packed;
    let block = packed.columns[1].len() / 4 * packed.pixels * 64;
    for channel in (0..step.channels).step_by(16) {
        // SAFETY: the weights are packed for these blocks; the rest is passed on to the caller.
        unsafe {
            let (x, y) = (x.add(channel), y.add(channel * element));
            let weights = packed.weights.as_ptr().add(channel / 16 * block).cast::<i8>();
            let mut column = 0;
            macro_rules! run {
                ($pixels:literal) => {{
                    let group: usize = $pixels;
                    while column + group <= step.dims[2] {
                        let (x, y) = (x.add(column * step.x_steps[2]), y.add(column * step.y_steps[2]));
                        pixels::<$pixels>(step, x, y, channel, weights);
                        column += group;
                    }
                }};
            }
            match packed.pixels {
                4 => run!(4),
                3 => run!(3),
                2 => run!(2),
                _ => {}
            }
            run!(1);
        }
    }
}

/// `P` pixels of sixteen channels.
#[target_feature(enable = "dotprod")]
#[inline]
unsafe fn pixels<const P: usize>(step: &DepthwiseStep, x: *const u8, y: *mut u8, channel: usize, weights: *const i8) {
    let columns = &step.packed.columns[usize::from(P == 1)];
    // SAFETY: columns up to the last pixel's last tap lie within the input and its halo; a block may read beyond the last
    // channel, which the arena's slack allows; existing channels only are stored.
    unsafe {
        let bias = step.packed.bias.as_ptr().add(channel);
        let start = [vld1q_s32(bias), vld1q_s32(bias.add(4)), vld1q_s32(bias.add(8)), vld1q_s32(bias.add(12))];
        let mut acc = [start; P];
        let mut weights = weights;
        for quad in columns.chunks_exact(4) {
            let (a, b) = (vld1q_s8(x.add(quad[0] as usize).cast()), vld1q_s8(x.add(quad[1] as usize).cast()));
            let (c, d) = (vld1q_s8(x.add(quad[2] as usize).cast()), vld1q_s8(x.add(quad[3] as usize).cast()));
            let (ab0, cd0) = (vreinterpretq_s16_s8(vzip1q_s8(a, b)), vreinterpretq_s16_s8(vzip1q_s8(c, d)));
            let (ab1, cd1) = (vreinterpretq_s16_s8(vzip2q_s8(a, b)), vreinterpretq_s16_s8(vzip2q_s8(c, d)));
            let zips = [vzip1q_s16(ab0, cd0), vzip2q_s16(ab0, cd0), vzip1q_s16(ab1, cd1), vzip2q_s16(ab1, cd1)];
            for p in 0..P {
                for q in 0..4 {
                    let w = vld1q_s8(weights.add((p * 4 + q) * 16));
                    acc[p][q] = sdot!(acc[p][q], w, vreinterpretq_s8_s16(zips[q]));
                }
            }
            weights = weights.add(step.packed.pixels * 64);
        }
        let n = 16.min(step.channels - channel);
        let scale = step.packed.scale.as_ptr().add(channel);
        if let Some(bytes) = Bytes::of(step.ending) {
            // Written out: a loop that is not unrolled would keep `acc` in memory throughout.
            macro_rules! store {
                ($($p:literal)*) => {$(
                    if $p < P {
                        let bytes = finish::sixteen(*acc.get_unchecked($p), scale, bytes);
                        finish::store_sixteen(bytes, y.add($p * step.y_steps[2]), n);
                    }
                )*};
            }
            store!(0 1 2 3);
            return;
        }
        let mut lanes = [0i32; 4 * 16];
        for p in 0..P {
            for q in 0..4 {
                vst1q_s32(lanes.as_mut_ptr().add(p * 16 + q * 4), acc[p][q]);
            }
        }
        for p in 0..P {
            finish::words(&lanes[p * 16..], scale, step.ending, y.add(p * step.y_steps[2]), n);
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
        let (quads, pixels) = (from.quads(), from.pixels(4));
        let mut weights = Aligned::zeroed(from.channels.div_ceil(16) * from.kernel[0] * quads * pixels * 64);
        for c in 0..from.channels {
            for row in 0..from.kernel[0] {
                for quad in 0..quads {
                    for pixel in 0..pixels {
                        let place = ((c / 16 * from.kernel[0] + row) * quads + quad) * pixels + pixel;
                        let at = place * 64 + c % 16 * 4;
                        let bytes = from.quad(c, row, quad, pixel).map(|w| w as u8);
                        weights.bytes_mut()[at..at + 4].copy_from_slice(&bytes);
                    }
                }
            }
        }
        let (bias, scale) = from.filled(16);
        PackedDepthwise { weights, bias, scale, pixels, columns: from.columns() }
    }

    fn depthwise(&self, step: &DepthwiseStep, memory: Memory, part: (usize, usize)) {
        for_each_row(step, memory, part, |x, y| {
            // SAFETY: as in `conv`.
            unsafe { depthwise(step, x, y) }
        });
    }

    fn add(&self, step: &AddStep, memory: Memory, part: (usize, usize)) {
        finish::add(step, memory, part);
    }
}
