//! Cores with `smmla` (Cortex-A510, A710, X2 and later): tiles of eight pixels by eight outputs.
//!
//! An instruction multiplies two pixels by two outputs over eight bytes each: thirty-two products. Accumulators hold two
//! by two results, brought back to the order of outputs at the end. All else is as in `dotprod`.

use super::dotprod::Dotprod;
use super::finish::{self, ByteEpilogue};
use crate::kernels::Kernels;
use crate::kernels::add::AddStep;
use crate::kernels::arena::{AlignedBytes, Arena, SIGNED};
use crate::kernels::conv::{Algorithm, ConvStep, ConvWeights, PackedConv};
use crate::kernels::depthwise::{DepthwiseStep, DepthwiseWeights, PackedDepthwise};
use crate::kernels::float::Isa;
use crate::kernels::matmul::MatMulRows;
use crate::kernels::quantize::QuantParams;
use crate::kernels::tiles::{Tile, TileKernel, for_each_tile};
use std::arch::aarch64::*;
use std::arch::asm;

/// The kernel set.
pub struct I8mm;

const PANEL: usize = 8;

/// `acc + x · w` for two pixels in `x` and two outputs in `w`; the intrinsic is not stable yet.
#[target_feature(enable = "i8mm")]
#[inline]
unsafe fn smmla(acc: int32x4_t, x: int8x16_t, w: int8x16_t) -> int32x4_t {
    let mut acc = acc;
    // SAFETY: registers only; the feature is promised by the caller.
    unsafe {
        asm!(
            "smmla {acc:v}.4s, {x:v}.16b, {w:v}.16b",
            acc = inout(vreg) acc, x = in(vreg) x, w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    acc
}

/// A tile of up to `2 * PAIRS` pixels by panels of eight outputs.
#[target_feature(enable = "i8mm")]
unsafe fn tile<const PAIRS: usize>(tile: &Tile) {
    // An odd pixel is paired with itself.
    let mut x = [[tile.x[0]; 2]; PAIRS];
    for p in 0..2 * PAIRS {
        x[p / 2][p % 2] = tile.x[p.min(tile.pixels - 1)];
    }
    let element = tile.epilogue.bytes();
    let mut weights = tile.weights.cast::<i8>();
    for first in (0..tile.panels).map(|i| i * PANEL) {
        // SAFETY: the tile comes from a checked step; reads beyond a run stay within the buffer's slack
        // and are multiplied by weights of zero.
        unsafe {
            let bias = tile.bias.add(first).cast::<i64>();
            let mut start = [vdupq_n_s32(0); 4];
            for o in 0..4 {
                start[o] = vreinterpretq_s32_s64(vdupq_n_s64(bias.add(o).read_unaligned()));
            }
            let mut acc = [start; PAIRS];
            for tap in 0..tile.tap_count {
                let mut at = *tile.taps.add(tap) as usize;
                for _ in 0..tile.groups / 2 {
                    let mut low = [vdupq_n_s8(0); PAIRS];
                    let mut high = low;
                    for p in 0..PAIRS {
                        let (a, b) = (vld1q_s64(x[p][0].add(at).cast()), vld1q_s64(x[p][1].add(at).cast()));
                        (low[p], high[p]) =
                            (vreinterpretq_s8_s64(vzip1q_s64(a, b)), vreinterpretq_s8_s64(vzip2q_s64(a, b)));
                    }
                    for (half, bytes) in [low, high].into_iter().enumerate() {
                        for o in 0..4 {
                            let w = vld1q_s8(weights.add((half * 4 + o) * 16));
                            for p in 0..PAIRS {
                                acc[p][o] = smmla(acc[p][o], bytes[p], w);
                            }
                        }
                    }
                    at += 16;
                    weights = weights.add(128);
                }
                if tile.groups % 2 == 1 {
                    let mut bytes = [vdupq_n_s8(0); PAIRS];
                    for p in 0..PAIRS {
                        bytes[p] = vcombine_s8(vld1_s8(x[p][0].add(at).cast()), vld1_s8(x[p][1].add(at).cast()));
                    }
                    for o in 0..4 {
                        let w = vld1q_s8(weights.add(o * 16));
                        for p in 0..PAIRS {
                            acc[p][o] = smmla(acc[p][o], bytes[p], w);
                        }
                    }
                    weights = weights.add(64);
                }
            }
            let (scale, n) = (tile.scale.add(first), PANEL.min(tile.outputs - first));
            let bytes = ByteEpilogue::of(tile.epilogue);
            // Written out: a loop that is not unrolled would keep `acc` in memory throughout.
            macro_rules! pixels {
                ($($pair:literal $half:ident $pixel:literal),*) => {$(
                    if $pair < PAIRS && $pixel < tile.pixels {
                        let [a, b, c, d] = *acc.get_unchecked($pair);
                        let join = |a, b| {
                            vreinterpretq_s32_s64($half(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)))
                        };
                        let (sums, y) = ([join(a, b), join(c, d)], tile.y[$pixel].add(first * element));
                        match bytes {
                            Some(bytes) if bytes.saturate_only => finish::store::<2, true>(sums, scale, bytes, y, n),
                            Some(bytes) => finish::store::<2, false>(sums, scale, bytes, y, n),
                            None => {
                                let mut lanes = [0i32; PANEL];
                                vst1q_s32(lanes.as_mut_ptr(), sums[0]);
                                vst1q_s32(lanes.as_mut_ptr().add(4), sums[1]);
                                finish::store_32bit_outputs(&lanes, scale, tile.epilogue, y, n);
                            }
                        }
                    }
                )*};
            }
            pixels!(
                0 vzip1q_s64 0, 0 vzip2q_s64 1, 1 vzip1q_s64 2, 1 vzip2q_s64 3,
                2 vzip1q_s64 4, 2 vzip2q_s64 5, 3 vzip1q_s64 6, 3 vzip2q_s64 7
            );
        }
    }
}

const TILES: [TileKernel; 8] = [tile::<1>, tile::<1>, tile::<2>, tile::<2>, tile::<3>, tile::<3>, tile::<4>, tile::<4>];

impl Kernels for I8mm {
    fn name(&self) -> &'static str {
        "i8mm"
    }

    fn signed(&self) -> bool {
        SIGNED
    }

    fn float_isa(&self) -> Isa {
        Isa::NEON
    }

    fn pack(&self, from: &ConvWeights) -> PackedConv {
        let groups = from.run.div_ceil(8);
        let panel_bytes = from.taps * groups * 8 * PANEL;
        let mut weights = AlignedBytes::zeroed(from.outputs.div_ceil(PANEL) * panel_bytes);
        for o in 0..from.outputs {
            for tap in 0..from.taps {
                for byte in 0..from.run {
                    // Two outputs' groups side by side.
                    let at = ((tap * groups + byte / 8) * PANEL + o % PANEL) * 8 + byte % 8;
                    weights.bytes_mut()[o / PANEL * panel_bytes + at] = from.weight(o, tap, byte) as u8;
                }
            }
        }
        let (bias, scale) = from.padded(PANEL);
        PackedConv {
            weights,
            bias,
            scale,
            panel: PANEL,
            groups,
            panel_bytes,
            algorithm: Algorithm::Tiles,
            widen_each_product: false,
        }
    }

    fn conv(&self, step: &ConvStep, arena: Arena, part: (usize, usize)) {
        for_each_tile(self, step, arena, part, TILES.len(), |tile| {
            // SAFETY: the set is offered only where the CPU has `smmla`; steps are checked when planned.
            unsafe { TILES[tile.pixels - 1](tile) }
        });
    }

    fn pack_depthwise(&self, from: &DepthwiseWeights) -> PackedDepthwise {
        Dotprod.pack_depthwise(from)
    }

    fn depthwise(&self, step: &DepthwiseStep, arena: Arena, part: (usize, usize)) {
        Dotprod.depthwise(step, arena, part);
    }

    unsafe fn matmul_rows(&self, job: &MatMulRows) {
        // SAFETY: promised by the caller; what has `smmla` has `sdot`.
        unsafe { Dotprod.matmul_rows(job) }
    }

    unsafe fn add_contiguous(&self, step: &AddStep, x: [*const u8; 2], y: *mut u8, count: usize) {
        // SAFETY: promised by the caller.
        unsafe { Dotprod.add_contiguous(step, x, y, count) }
    }

    fn quantize(&self, x: &[f32], y: &mut [u8], params: QuantParams) {
        Dotprod.quantize(x, y, params);
    }
}
