//! Cores with `sdot` (Cortex-A55, A75 and later): tiles of six to eight pixels by up to sixteen outputs.
//!
//! Sixteen bytes of each pixel are loaded at once and multiplied quad by quad with `sdot` by element, so that a quad of
//! weights serves all pixels, and an input byte all outputs of a panel.

use super::finish::{self, ByteEpilogue};
use super::matmul;
use super::quads::{quads, sdot};
use crate::kernels::Kernels;
use crate::kernels::add::AddStep;
use crate::kernels::arena::{AlignedBytes, Arena, SIGNED};
use crate::kernels::conv::{ConvStep, ConvWeights, PackedConv};
use crate::kernels::depthwise::{DepthwiseStep, DepthwiseWeights, PackedDepthwise, for_each_row_group};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::float::Isa;
use crate::kernels::matmul::MatMulRows;
use crate::kernels::quantize::{QuantParams, quantize_by_reciprocal};
use crate::kernels::tiles::{Tile, TileKernel, for_each_tile};
use std::arch::aarch64::*;
use std::arch::asm;

/// The kernel set.
pub struct Dotprod;

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

/// A tile of `MR` pixels by panels of `NV` vectors of outputs.
#[target_feature(enable = "dotprod")]
unsafe fn tile<const MR: usize, const NV: usize>(tile: &Tile) {
    let mut x = [tile.x[0]; MR];
    x.copy_from_slice(&tile.x[..MR]);
    let element = tile.epilogue.bytes();
    let mut weights = tile.weights.cast::<i8>();
    for first in (0..tile.panels).map(|i| i * NV * 4) {
        // SAFETY: the tile comes from a checked step; reads beyond a run stay within the buffer's slack
        // and are not used, or multiplied by weights of zero.
        unsafe {
            let mut start = [vld1q_s32(tile.bias.add(first)); NV];
            for v in 1..NV {
                start[v] = vld1q_s32(tile.bias.add(first + v * 4));
            }
            let mut acc = [start; MR];
            for tap in 0..tile.tap_count {
                let mut at = *tile.taps.add(tap) as usize;
                // Products of the quads `LANE` of sixteen bytes of each pixel.
                macro_rules! quads {
                    ($($lane:literal)*) => {{
                        let mut bytes = [vld1q_s8(x[0].add(at).cast()); MR];
                        for p in 1..MR {
                            bytes[p] = vld1q_s8(x[p].add(at).cast());
                        }
                        $(
                            for v in 0..NV {
                                let w = vld1q_s8(weights.add(($lane * NV + v) * 16));
                                for p in 0..MR {
                                    acc[p][v] = sdot_lane!(acc[p][v], w, bytes[p], $lane);
                                }
                            }
                        )*
                        weights = weights.add([$($lane),*].len() * NV * 16);
                    }};
                }
                for _ in 0..tile.groups / 4 {
                    quads!(0 1 2 3);
                    at += 16;
                }
                match tile.groups % 4 {
                    1 => quads!(0),
                    2 => quads!(0 1),
                    3 => quads!(0 1 2),
                    _ => {}
                }
            }
            let (scale, n) = (tile.scale.add(first), (NV * 4).min(tile.outputs - first));
            if let Some(bytes) = ByteEpilogue::of(tile.epilogue) {
                // Written out: a loop that is not unrolled would keep `acc` in memory throughout.
                macro_rules! pixels {
                    ($saturate_only:literal $($p:literal)*) => {$(
                        if $p < MR {
                            let (acc, y) = (*acc.get_unchecked($p), tile.y[$p].add(first));
                            finish::store::<NV, $saturate_only>(acc, scale, bytes, y, n);
                        }
                    )*};
                }
                if bytes.saturate_only {
                    pixels!(true 0 1 2 3 4 5 6 7);
                } else {
                    pixels!(false 0 1 2 3 4 5 6 7);
                }
                continue;
            }
            // A copy in memory: taking the address of `acc` itself would keep it out of registers.
            let mut lanes = [0i32; 8 * 16];
            for p in 0..MR {
                for v in 0..NV {
                    vst1q_s32(lanes.as_mut_ptr().add((p * NV + v) * 4), acc[p][v]);
                }
            }
            for p in 0..MR {
                finish::store_32bit_outputs(
                    &lanes[p * NV * 4..],
                    scale,
                    tile.epilogue,
                    tile.y[p].add(first * element),
                    n,
                );
            }
        }
    }
}

macro_rules! tiles {
    ($nv:literal: $($mr:literal)*) => { &[$(tile::<$mr, $nv>),*] };
}

/// By vectors of a panel less one, then by pixels less one: as many accumulators as fit beside the pixels' bytes.
const TILES: [&[TileKernel]; 4] =
    [tiles!(1: 1 2 3 4 5 6 7 8), tiles!(2: 1 2 3 4 5 6 7 8), tiles!(3: 1 2 3 4 5 6 7), tiles!(4: 1 2 3 4 5 6)];

/// Rows of outputs, sixteen channels after the other: the bytes of four columns are brought together, channel by channel,
/// and multiplied at once. Where neighbouring outputs read neighbouring inputs, the columns serve several pixels, each with
/// its weights shifted.
#[target_feature(enable = "dotprod")]
unsafe fn depthwise(step: &DepthwiseStep, x: *const u8, y: *mut u8, rows: usize) {
    let element = step.epilogue.bytes();
    let packed = &step.packed;
    let block = step.kernel_rows * packed.columns[1].len() / 4 * packed.summands * packed.pixels * 64;
    for channel in (0..step.channels).step_by(16) {
        // SAFETY: the weights are packed for these blocks; the rest is passed on to the caller.
        unsafe {
            let (x, y) = (x.add(channel), y.add(channel * element));
            let weights = packed.weights.as_ptr().add(channel / 16 * block).cast::<i8>();
            let mut done = 0;
            if rows == 2 {
                done = match packed.summands {
                    1 => patches::<1>(step, x, y, channel, weights),
                    2 => patches::<2>(step, x, y, channel, weights),
                    _ => 0,
                };
            }
            for row in 0..rows {
                let (x, y) = (x.add(row * step.x_steps[1]), y.add(row * step.y_steps[1]));
                let mut column = done;
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
}

/// Whether two rows of outputs at a time pay: 3×3 kernels with a stride of 1, the commonest.
fn uses_row_pairs(step: &DepthwiseStep) -> bool {
    step.kernel_rows == 3
        && step.x_steps[1] == step.kernel_row
        && step.packed.columns[1].len() == 4
        && step.packed.pixels == 2
        && matches!(step.epilogue, Epilogue::Bytes { .. })
}

/// Patches of two by two pixels of sixteen channels of a 3×3 kernel, whose weights have `N` summands: an input row serves two
/// rows of outputs. Returns how many columns are done.
#[target_feature(enable = "dotprod")]
unsafe fn patches<const N: usize>(
    step: &DepthwiseStep,
    x: *const u8,
    y: *mut u8,
    channel: usize,
    weights: *const i8,
) -> usize {
    let Some(bytes) = ByteEpilogue::of(step.epilogue) else { return 0 };
    let packed = &step.packed;
    let &[a, b, c, d] = &packed.columns[0][..] else { return 0 };
    let columns = [a, b, c, d];
    let n = 16.min(step.channels - channel);
    let done = step.dims[2] & !1;
    // SAFETY: as in `pixels`.
    unsafe {
        let (bias, scale) = (packed.bias.as_ptr().add(channel), packed.scale.as_ptr().add(channel));
        for column in (0..done).step_by(2) {
            let (x, y) = (x.add(column * step.x_steps[2]), y.add(column * step.y_steps[2]));
            let start = [vld1q_s32(bias), vld1q_s32(bias.add(4)), vld1q_s32(bias.add(8)), vld1q_s32(bias.add(12))];
            let mut acc = [[start; 2]; 2];
            // Written out, as in `tile`: an input row, and the output rows with the kernel row it is for each.
            macro_rules! rows {
                ($($row:literal: $($r:literal $kernel_row:literal),*;)*) => {$(
                    let bytes = quads(x.add($row * step.kernel_row), &columns);
                    $(
                        for s in 0..N {
                            for p in 0..2 {
                                for q in 0..4 {
                                    let w = vld1q_s8(weights.add(((($kernel_row * N + s) * 2 + p) * 4 + q) * 16));
                                    acc[$r][p][q] = sdot!(acc[$r][p][q], w, bytes[q]);
                                }
                            }
                        }
                    )*
                )*};
            }
            rows!(0: 0 0; 1: 0 1, 1 0; 2: 0 2, 1 1; 3: 1 2;);
            macro_rules! store {
                ($saturate_only:literal: $($r:literal $p:literal),*) => {$(
                    let pixel = y.add($r * step.y_steps[1] + $p * step.y_steps[2]);
                    finish::store::<4, $saturate_only>(acc[$r][$p], scale, bytes, pixel, n);
                )*};
            }
            if bytes.saturate_only {
                store!(true: 0 0, 0 1, 1 0, 1 1);
            } else {
                store!(false: 0 0, 0 1, 1 0, 1 1);
            }
        }
    }
    done
}

/// `P` pixels of sixteen channels.
#[target_feature(enable = "dotprod")]
#[inline]
unsafe fn pixels<const P: usize>(step: &DepthwiseStep, x: *const u8, y: *mut u8, channel: usize, weights: *const i8) {
    let (columns, _) = step.packed.columns[usize::from(P == 1)].as_chunks::<4>();
    // SAFETY: columns up to the last pixel's last tap lie within the input and its halo; existing channels only are stored.
    unsafe {
        let bias = step.packed.bias.as_ptr().add(channel);
        let start = [vld1q_s32(bias), vld1q_s32(bias.add(4)), vld1q_s32(bias.add(8)), vld1q_s32(bias.add(12))];
        let mut acc = [start; P];
        let mut weights = weights;
        for row in 0..step.kernel_rows {
            let x = x.add(row * step.kernel_row);
            for columns in columns {
                let bytes = quads(x, columns);
                for _ in 0..step.packed.summands {
                    for p in 0..P {
                        for q in 0..4 {
                            let w = vld1q_s8(weights.add((p * 4 + q) * 16));
                            acc[p][q] = sdot!(acc[p][q], w, bytes[q]);
                        }
                    }
                    weights = weights.add(step.packed.pixels * 64);
                }
            }
        }
        let n = 16.min(step.channels - channel);
        let scale = step.packed.scale.as_ptr().add(channel);
        if let Some(bytes) = ByteEpilogue::of(step.epilogue) {
            // Written out: a loop that is not unrolled would keep `acc` in memory throughout.
            macro_rules! store {
                ($saturate_only:literal $($p:literal)*) => {$(
                    if $p < P {
                        let y = y.add($p * step.y_steps[2]);
                        finish::store::<4, $saturate_only>(*acc.get_unchecked($p), scale, bytes, y, n);
                    }
                )*};
            }
            if bytes.saturate_only {
                store!(true 0 1 2 3);
            } else {
                store!(false 0 1 2 3);
            }
            return;
        }
        let mut lanes = [0i32; 4 * 16];
        for p in 0..P {
            for q in 0..4 {
                vst1q_s32(lanes.as_mut_ptr().add(p * 16 + q * 4), acc[p][q]);
            }
        }
        for p in 0..P {
            finish::store_32bit_outputs(&lanes[p * 16..], scale, step.epilogue, y.add(p * step.y_steps[2]), n);
        }
    }
}

impl Kernels for Dotprod {
    fn name(&self) -> &'static str {
        "dotprod"
    }

    fn signed(&self) -> bool {
        SIGNED
    }

    fn float_isa(&self) -> Isa {
        Isa::NEON
    }

    fn split_outputs(&self, outputs: usize) -> usize {
        let vectors = outputs.div_ceil(4);
        // Whole panels of four vectors; what is left over is a panel of its own.
        if vectors <= 4 || vectors.is_multiple_of(4) || vectors.is_multiple_of(3) { outputs } else { outputs / 16 * 16 }
    }

    fn pack(&self, weights: &ConvWeights) -> PackedConv {
        let vectors = weights.outputs.div_ceil(4);
        let panel = match vectors {
            1..4 => vectors,
            _ if !vectors.is_multiple_of(4) && vectors.is_multiple_of(3) => 3,
            _ => 4,
        };
        weights.pack(4 * panel, 4)
    }

    fn conv(&self, step: &ConvStep, arena: Arena, part: (usize, usize)) {
        let tiles = TILES[step.packed.panel / 4 - 1];
        for_each_tile(self, step, arena, part, tiles.len(), |tile| {
            // SAFETY: the set is offered only where the CPU has `sdot`; steps are checked when planned.
            unsafe { tiles[tile.pixels - 1](tile) }
        });
    }

    fn pack_depthwise(&self, from: &DepthwiseWeights) -> PackedDepthwise {
        let (quads, pixels, summands) = (from.quads(), from.pixels(4), from.summands);
        let blocks = from.channels.div_ceil(16) * from.kernel[0] * quads * summands * pixels;
        let mut weights = AlignedBytes::zeroed(blocks * 64);
        for c in 0..from.channels {
            for row in 0..from.kernel[0] {
                for quad in 0..quads {
                    for (summand, pixel) in (0..summands).flat_map(|s| (0..pixels).map(move |p| (s, p))) {
                        let index = (c / 16 * from.kernel[0] + row) * quads + quad;
                        let at = ((index * summands + summand) * pixels + pixel) * 64 + c % 16 * 4;
                        let bytes = from.quad(c, row, quad, pixel, summand).map(|w| w as u8);
                        weights.bytes_mut()[at..at + 4].copy_from_slice(&bytes);
                    }
                }
            }
        }
        let (bias, scale) = from.padded(16);
        PackedDepthwise { weights, bias, scale, pixels, summands, columns: from.columns(), widen_each_product: false }
    }

    fn depthwise(&self, step: &DepthwiseStep, arena: Arena, part: (usize, usize)) {
        let max_rows = if uses_row_pairs(step) { 2 } else { 1 };
        for_each_row_group(step, arena, part, max_rows, |x, y, rows| {
            // SAFETY: as in `conv`; two rows only where these make patches.
            unsafe { depthwise(step, x, y, rows) }
        });
    }

    unsafe fn matmul_rows(&self, job: &MatMulRows) {
        // SAFETY: as in `conv`; the matrices are promised by the caller.
        unsafe { matmul::matmul(job) }
    }

    unsafe fn add_contiguous(&self, step: &AddStep, x: [*const u8; 2], y: *mut u8, count: usize) {
        // SAFETY: promised by the caller.
        unsafe { finish::add_contiguous(step, x, y, count) }
    }

    fn quantize(&self, x: &[f32], y: &mut [u8], params: QuantParams) {
        quantize_by_reciprocal(x, y, params);
    }
}
