//! Every aarch64 CPU (Cortex-A53, A72): tiles of four pixels by four outputs.
//!
//! Each pair of pixel and output has an accumulator of four partial sums. Bytes are multiplied eight at a time to 16
//! bits; two such products are added there before they are widened, which is exact as long as no two weights of
//! a lane are both -128: packing looks for that weight, and where it occurs products are widened one by one.

use super::finish::{self, ByteEpilogue};
use super::winograd::METHOD;
use crate::kernels::add::AddStep;
use crate::kernels::arena::{AlignedBytes, Arena, SIGNED};
use crate::kernels::conv::{Algorithm, ConvStep, ConvWeights, PackedConv};
use crate::kernels::depthwise::{DepthwiseStep, DepthwiseWeights, PackedDepthwise, for_each_row_group};
use crate::kernels::float::Isa;
use crate::kernels::quantize::{QuantParams, quantize_by_reciprocal};
use crate::kernels::tiles::{Tile, TileKernel, for_each_tile};
use crate::kernels::{Kernels, winograd};
use std::arch::aarch64::*;

/// The kernel set.
pub struct Neon;

const PANEL: usize = 4;

/// Weights of one output in groups of sixteen bytes and, where a run ends so, one of eight.
fn units(run: usize) -> usize {
    run.div_ceil(8)
}

/// A tile of `MR` pixels by panels of four outputs. With `PAIRED`, two products are added in 16 bits.
unsafe fn tile<const MR: usize, const PAIRED: bool>(tile: &Tile) {
    let mut x = [tile.x[0]; MR];
    x.copy_from_slice(&tile.x[..MR]);
    let element = tile.epilogue.bytes();
    let mut weights = tile.weights.cast::<i8>();
    for first in (0..tile.panels).map(|i| i * PANEL) {
        // SAFETY: the tile comes from a checked step; reads beyond a run stay within the buffer's slack
        // and are multiplied by weights of zero.
        unsafe {
            // The bias is the first of an accumulator's partial sums.
            let bias = vld1q_s32(tile.bias.add(first));
            let zero = vdupq_n_s32(0);
            let start = [
                vcopyq_laneq_s32::<0, 0>(zero, bias),
                vcopyq_laneq_s32::<0, 1>(zero, bias),
                vcopyq_laneq_s32::<0, 2>(zero, bias),
                vcopyq_laneq_s32::<0, 3>(zero, bias),
            ];
            let mut acc = [start; MR];
            for tap in 0..tile.tap_count {
                let mut at = *tile.taps.add(tap) as usize;
                for _ in 0..tile.groups / 2 {
                    let mut bytes = [vld1q_s8(x[0].add(at).cast()); MR];
                    for p in 1..MR {
                        bytes[p] = vld1q_s8(x[p].add(at).cast());
                    }
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
                    let mut bytes = [vld1_s8(x[0].add(at).cast()); MR];
                    for p in 1..MR {
                        bytes[p] = vld1_s8(x[p].add(at).cast());
                    }
                    for o in 0..PANEL {
                        let w = vld1_s8(weights.add(o * 8));
                        for p in 0..MR {
                            acc[p][o] = vpadalq_s16(acc[p][o], vmull_s8(bytes[p], w));
                        }
                    }
                    weights = weights.add(PANEL * 8);
                }
            }
            let (scale, n) = (tile.scale.add(first), PANEL.min(tile.outputs - first));
            let mut sums = [zero; MR];
            for p in 0..MR {
                let [a, b, c, d] = acc[p];
                sums[p] = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
            }
            if let Some(bytes) = ByteEpilogue::of(tile.epilogue) {
                let (a, b, c) = (sums[1.min(MR - 1)], sums[2.min(MR - 1)], sums[3.min(MR - 1)]);
                let all = vreinterpretq_s32_s8(finish::four([sums[0], a, b, c], scale, bytes));
                macro_rules! pixels {
                    ($($p:literal)*) => {$(
                        if $p < MR {
                            finish::store_four(vgetq_lane_s32::<$p>(all), tile.y[$p].add(first), n);
                        }
                    )*};
                }
                pixels!(0 1 2 3);
                continue;
            }
            for p in 0..MR {
                let mut lanes = [0i32; 4];
                vst1q_s32(lanes.as_mut_ptr(), sums[p]);
                finish::store_32bit_outputs(&lanes, scale, tile.epilogue, tile.y[p].add(first * element), n);
            }
        }
    }
}

const PAIRED: [TileKernel; 4] = [tile::<1, true>, tile::<2, true>, tile::<3, true>, tile::<4, true>];
const SINGLE: [TileKernel; 4] = [tile::<1, false>, tile::<2, false>, tile::<3, false>, tile::<4, false>];

/// A row of outputs, sixteen channels after the other; the last block of a picture reads beyond its channels, into the next
/// pixel or the slack.
unsafe fn depthwise(step: &DepthwiseStep, x: *const u8, y: *mut u8) {
    let element = step.epilogue.bytes();
    let columns = step.dims[2];
    for channel in (0..step.channels).step_by(16) {
        // SAFETY: passed on to the caller.
        unsafe {
            let (x, y) = (x.add(channel), y.add(channel * element));
            let pointers = |column: usize| (x.add(column * step.x_steps[2]), y.add(column * step.y_steps[2]));
            let mut column = 0;
            while column + 2 <= columns {
                let (x, y) = pointers(column);
                pixels::<2>(step, x, y, channel);
                column += 2;
            }
            if column < columns {
                let (x, y) = pointers(column);
                pixels::<1>(step, x, y, channel);
            }
        }
    }
}

/// `P` pixels of sixteen channels, two taps at a time: two products are added in 16 bits, unless that could exceed them.
#[inline(always)]
unsafe fn pixels<const P: usize>(step: &DepthwiseStep, x: *const u8, y: *mut u8, channel: usize) {
    // SAFETY: as in `dotprod::pixels`.
    unsafe {
        let packed = &step.packed;
        let bias = packed.bias.as_ptr().add(channel);
        let start = [vld1q_s32(bias), vld1q_s32(bias.add(4)), vld1q_s32(bias.add(8)), vld1q_s32(bias.add(12))];
        let mut acc = [start; P];
        let taps = &packed.columns[0];
        let mut weights = packed.weights.as_ptr().add(channel * taps.len()).cast::<i8>();
        let (pairs, last) = if packed.widen_each_product { (&[][..], &taps[..]) } else { taps.as_chunks::<2>() };
        macro_rules! widen {
            ($p:expr, $low:expr, $high:expr) => {
                acc[$p][0] = vaddw_s16(acc[$p][0], vget_low_s16($low));
                acc[$p][1] = vaddw_high_s16(acc[$p][1], $low);
                acc[$p][2] = vaddw_s16(acc[$p][2], vget_low_s16($high));
                acc[$p][3] = vaddw_high_s16(acc[$p][3], $high);
            };
        }
        for &[a, b] in pairs {
            let (wa, wb) = (vld1q_s8(weights), vld1q_s8(weights.add(16)));
            for p in 0..P {
                let x = x.add(p * step.x_steps[2]);
                let (xa, xb) = (vld1q_s8(x.add(a as usize).cast()), vld1q_s8(x.add(b as usize).cast()));
                let low = vmlal_s8(vmull_s8(vget_low_s8(xa), vget_low_s8(wa)), vget_low_s8(xb), vget_low_s8(wb));
                let high = vmlal_high_s8(vmull_high_s8(xa, wa), xb, wb);
                widen!(p, low, high);
            }
            weights = weights.add(32);
        }
        for &tap in last {
            let w = vld1q_s8(weights);
            for p in 0..P {
                let bytes = vld1q_s8(x.add(p * step.x_steps[2] + tap as usize).cast());
                let (low, high) = (vmull_s8(vget_low_s8(bytes), vget_low_s8(w)), vmull_high_s8(bytes, w));
                widen!(p, low, high);
            }
            weights = weights.add(16);
        }
        let n = 16.min(step.channels - channel);
        let scale = packed.scale.as_ptr().add(channel);
        let bytes = ByteEpilogue::of(step.epilogue);
        for p in 0..P {
            let y = y.add(p * step.y_steps[2]);
            match bytes {
                Some(bytes) if bytes.saturate_only => finish::store::<4, true>(acc[p], scale, bytes, y, n),
                Some(bytes) => finish::store::<4, false>(acc[p], scale, bytes, y, n),
                None => {
                    let mut lanes = [0i32; 16];
                    for q in 0..4 {
                        vst1q_s32(lanes.as_mut_ptr().add(q * 4), acc[p][q]);
                    }
                    finish::store_32bit_outputs(&lanes, scale, step.epilogue, y, n);
                }
            }
        }
    }
}

/// Whether [`winograd`] needs fewer instructions, by counts on Cortex-A72: for each input channel and pixel 5/8 an output
/// and 5/2 for the patches against 2 an output; whole tiles of four by four pixels, panels of eight outputs; 4 an output
/// more at the end.
fn pays(from: &ConvWeights) -> bool {
    let [rows, columns] = from.size;
    let inputs = from.column.unwrap_or(0);
    let pixels = rows.next_multiple_of(4) * columns.next_multiple_of(4);
    let products = pixels * inputs.next_multiple_of(8) * (5 * from.outputs.next_multiple_of(8) + 20) / 8;
    let tiles = 2 * rows * columns * inputs * from.outputs.next_multiple_of(PANEL);
    products + 4 * pixels * from.outputs < tiles
}

impl Kernels for Neon {
    fn name(&self) -> &'static str {
        "neon"
    }

    fn signed(&self) -> bool {
        SIGNED
    }

    fn float_isa(&self) -> Isa {
        Isa::NEON
    }

    fn pack(&self, from: &ConvWeights) -> PackedConv {
        if pays(from)
            && let Some(packed) = winograd::pack(&METHOD, from)
        {
            return packed;
        }
        let units = units(from.run);
        let tap_bytes = units * 8 * PANEL;
        let panel_bytes = from.taps * tap_bytes;
        let mut weights = AlignedBytes::zeroed(from.outputs.div_ceil(PANEL) * panel_bytes);
        let mut narrow = false;
        for o in 0..from.outputs {
            for tap in 0..from.taps {
                let start = o / PANEL * panel_bytes + tap * tap_bytes;
                for byte in 0..from.run {
                    let (group, within) = (byte / 16, byte % 16);
                    // A last half group is eight bytes wide.
                    let width = if group * 2 + 1 == units { 8 } else { 16 };
                    let at = start + group * 16 * PANEL + o % PANEL * width + within;
                    let weight = from.weight(o, tap, byte);
                    weights.bytes_mut()[at] = weight as u8;
                    narrow |= weight == -128;
                }
            }
        }
        let (bias, scale) = from.padded(PANEL);
        PackedConv {
            weights,
            bias,
            scale,
            panel: PANEL,
            groups: units,
            panel_bytes,
            algorithm: Algorithm::Tiles,
            widen_each_product: narrow,
        }
    }

    fn conv(&self, step: &ConvStep, arena: Arena, part: (usize, usize)) {
        if let Algorithm::Winograd { .. } = step.packed.algorithm {
            return winograd::run(self, &METHOD, step, arena, part);
        }
        let tiles = if step.packed.widen_each_product { &SINGLE } else { &PAIRED };
        for_each_tile(self, step, arena, part, tiles.len(), |tile| {
            // SAFETY: NEON is part of every aarch64 CPU; steps are checked when planned.
            unsafe { tiles[tile.pixels - 1](tile) }
        });
    }

    fn pack_depthwise(&self, from: &DepthwiseWeights) -> PackedDepthwise {
        // A tap for each summand of its weights.
        let summands = from.summands;
        let taps: Vec<u32> = from.offsets.iter().flat_map(|&offset| std::iter::repeat_n(offset, summands)).collect();
        let mut weights = AlignedBytes::zeroed(from.channels.div_ceil(16) * taps.len() * 16);
        let mut narrow = false;
        for c in 0..from.channels {
            for tap in 0..taps.len() {
                let weight = (from.weight)(c, tap / summands, tap % summands);
                weights.bytes_mut()[(c / 16 * taps.len() + tap) * 16 + c % 16] = weight as u8;
                narrow |= weight == -128;
            }
        }
        let (bias, scale) = from.padded(16);
        let columns = [taps, Vec::new()];
        PackedDepthwise { weights, bias, scale, pixels: 1, summands, columns, widen_each_product: narrow }
    }

    fn depthwise(&self, step: &DepthwiseStep, arena: Arena, part: (usize, usize)) {
        for_each_row_group(step, arena, part, 1, |x, y, _| {
            // SAFETY: as in `conv`.
            unsafe { depthwise(step, x, y) }
        });
    }

    unsafe fn add_contiguous(&self, step: &AddStep, x: [*const u8; 2], y: *mut u8, count: usize) {
        // SAFETY: promised by the caller.
        unsafe { finish::add_contiguous(step, x, y, count) }
    }

    fn quantize(&self, x: &[f32], y: &mut [u8], params: QuantParams) {
        quantize_by_reciprocal(x, y, params);
    }
}
