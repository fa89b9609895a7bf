//! Convolution and sums, over any [`Simd`].

use super::depthwise::{has_patches, is_whole};
use super::simd::{Bytes, Simd, Sum, order};
use crate::kernels::conv::{
    ConvStep, DepthwiseStep, Ending, MOST_PIXELS, Packed, PackedDepthwise, Tile, Unpacked, UnpackedDepthwise, Way,
    for_each_rows, for_each_tile,
};
use crate::kernels::memory::{Aligned, Memory};
use crate::kernels::scalar;
use crate::kernels::scaling::Scaling;
use crate::kernels::winograd::{self, Method};
use crate::kernels::{AddStep, Kernels};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// A function that computes one tile.
pub type TileKernel = unsafe fn(&Tile);

/// Kernels of one instruction set, compiled with its features.
pub struct Set<S> {
    pub name: &'static str,
    /// By vectors of a panel less one, then by pixels less one.
    pub tiles: [&'static [TileKernel]; 4],
    pub depthwise: unsafe fn(&DepthwiseStep, *const u8, *mut u8, usize),
    pub gather: unsafe fn(&ConvStep, *const i32, *mut u8, usize),
    pub sum: unsafe fn([*const u8; 2], *mut u8, usize, &Sum),
    /// By width of panels.
    pub winograd: &'static [Method],
    pub quantize: unsafe fn(&[f32], &mut [u8], Scaling),
    pub dequantize: unsafe fn(&[u8], &mut [f32], Scaling),
    pub simd: PhantomData<fn() -> S>,
}

/// A tile of `MR` pixels by panels of `NV` vectors of outputs.
///
/// # Safety
/// Needs the features of `S`; the tile must come from a checked step.
#[inline(always)]
pub unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(tile: &Tile) {
    let mut x = [tile.x[0]; MR];
    x.copy_from_slice(&tile.x[..MR]);
    let panel = NV * S::LANES;
    let mut weights = tile.weights;
    for first in (0..tile.panels).map(|i| i * panel) {
        // SAFETY: the tile's pointers are valid for what a checked step reads and writes; weights are packed for `NV`.
        unsafe {
            // Loops instead of `array::from_fn`: a closure that is not inlined has none of the features.
            let bias = tile.bias.add(first);
            let mut start = [S::load(bias); NV];
            for v in 1..NV {
                start[v] = S::load(bias.add(v * S::LANES));
            }
            let mut acc = [start; MR];
            for tap in 0..tile.tap_count {
                let mut at = *tile.taps.add(tap) as usize;
                for _ in 0..tile.groups {
                    let mut w = [S::weights(weights); NV];
                    for v in 1..NV {
                        w[v] = S::weights(weights.add(v * S::LANES * S::QUAD));
                    }
                    for p in 0..MR {
                        let quad = S::broadcast(x[p].add(at));
                        for v in 0..NV {
                            acc[p][v] = S::dot(acc[p][v], quad, w[v]);
                        }
                    }
                    at += 4;
                    weights = weights.add(NV * S::LANES * S::QUAD);
                }
            }
            let (scale, outputs) = (tile.scale.add(first), panel.min(tile.outputs - first));
            if let Some(bytes) = Bytes::of(tile.ending) {
                // Written out: a loop that the compiler does not unroll would keep `acc` in memory throughout.
                macro_rules! pixels {
                    ($plain:literal $($p:literal)*) => {$(
                        if $p < MR {
                            let (acc, y) = (*acc.get_unchecked($p), tile.y[$p].add(first));
                            S::finish::<NV, $plain>(acc, scale, bytes, y, outputs);
                        }
                    )*};
                }
                if bytes.plain {
                    pixels!(true 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
                } else {
                    pixels!(false 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
                }
                continue;
            }
            if tile.ending == Ending::Lanes {
                for p in 0..MR {
                    for v in 0..NV {
                        S::store(tile.y[p].cast::<i32>().add(v * S::LANES), acc[p][v]);
                    }
                }
                continue;
            }
            // A copy in memory: taking the address of `acc` itself would keep it out of registers.
            let mut lanes = Lanes([const { MaybeUninit::uninit() }; MOST_PIXELS * 32]);
            let at = lanes.0.as_mut_ptr().cast::<i32>();
            for p in 0..MR {
                for v in 0..NV {
                    S::store(at.add((p * NV + v) * S::LANES), acc[p][v]);
                }
            }
            for p in 0..MR {
                let y = tile.y[p].add(first * 4);
                words(at.add(p * NV * S::LANES), NV, S::LANES, scale, tile.ending, y, outputs);
            }
        }
    }
}

#[repr(C, align(64))]
struct Lanes([MaybeUninit<i32>; MOST_PIXELS * 32]);

/// A pixel's accumulators or floats, brought back to the order of the outputs.
///
/// # Safety
/// `acc` and `scale` must be valid for `nv * lanes` numbers, `y` for `n` elements of four bytes.
pub unsafe fn words(acc: *const i32, nv: usize, lanes: usize, scale: *const f32, ending: Ending, y: *mut u8, n: usize) {
    for place in 0..nv * lanes {
        let (v, lane) = (place / lanes, place % lanes);
        let output = 4 * nv * (lane / 4) + 4 * v + lane % 4;
        if output < n {
            // SAFETY: promised by the caller.
            unsafe { scalar::end(*acc.add(place), *scale.add(place), ending, y.add(output * 4)) };
        }
    }
}

/// Elements of a sum that lie side by side.
///
/// # Safety
/// Needs the features of `S`; the pointers must be valid for `count` bytes.
#[inline(always)]
pub unsafe fn sum<S: Simd>([a, b]: [*const u8; 2], y: *mut u8, count: usize, sum: &Sum) {
    // SAFETY: whole vectors lie within `count`; the rest goes through buffers of one vector.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= count {
            S::sum(a.add(i), b.add(i), y.add(i), sum);
            i += S::LANES;
        }
        if i < count {
            let (mut ta, mut tb, mut ty) = ([0u8; 16], [0u8; 16], [0u8; 16]);
            std::ptr::copy_nonoverlapping(a.add(i), ta.as_mut_ptr(), count - i);
            std::ptr::copy_nonoverlapping(b.add(i), tb.as_mut_ptr(), count - i);
            S::sum(ta.as_ptr(), tb.as_ptr(), ty.as_mut_ptr(), sum);
            std::ptr::copy_nonoverlapping(ty.as_ptr(), y.add(i), count - i);
        }
    }
}

/// Numbers in the order of a panel's places, filled up with `rest`.
fn ordered<T: Copy>(values: &[T], rest: T, panel: usize, order: &[usize]) -> Vec<T> {
    let panels = values.len().div_ceil(panel);
    let at = |panel_index: usize, place: usize| values.get(panel_index * panel + order[place]).copied().unwrap_or(rest);
    (0..panels).flat_map(|index| (0..panel).map(move |place| (index, place))).map(|(i, p)| at(i, p)).collect()
}

/// Writes a quad of weights as the set packs it: as it is, or widened to 16 bits with even and odd bytes apart.
pub fn write_quad(to: &mut [u8], lanes: usize, lane: usize, quad: [i8; 4], size: usize) {
    if size == 4 {
        to[lane * 4..lane * 4 + 4].copy_from_slice(&quad.map(|w| w as u8));
        return;
    }
    let (even, odd) = to.split_at_mut(lanes * 4);
    for (half, pair) in [(even, [quad[0], quad[2]]), (odd, [quad[1], quad[3]])] {
        for (i, w) in pair.into_iter().enumerate() {
            half[lane * 4 + i * 2..lane * 4 + i * 2 + 2].copy_from_slice(&i16::from(w).to_le_bytes());
        }
    }
}

impl<S: Simd> Set<S> {
    /// Vectors of a panel: as few padded outputs as possible, then as wide as possible.
    fn vectors(&self, outputs: usize) -> usize {
        let cost = |nv: &usize| (outputs.div_ceil(nv * S::LANES) * nv, usize::MAX - nv);
        (1..=4).filter(|nv| !self.tiles[nv - 1].is_empty()).min_by_key(cost).unwrap_or(1)
    }
}

impl<S: Simd> Kernels for Set<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signed(&self) -> bool {
        super::SIGNED
    }

    fn split(&self, outputs: usize) -> usize {
        let vectors = outputs.div_ceil(S::LANES);
        let widest = self.tiles.iter().rposition(|tiles| !tiles.is_empty()).unwrap_or(0) + 1;
        match vectors {
            5 if widest > 2 => 3 * S::LANES,
            // Panels of four until panels of three take the rest.
            7.. if widest == 4 && vectors % 4 != 0 && vectors % 3 != 0 => vectors % 3 * 4 * S::LANES,
            _ => outputs,
        }
    }

    fn pack(&self, from: &Unpacked) -> Packed {
        if let Some(packed) = super::thin::pack(self, from) {
            return packed;
        }
        if let Some(packed) = super::winograd::pack(self.winograd, from) {
            return packed;
        }
        let nv = self.vectors(from.outputs);
        let panel = nv * S::LANES;
        let order = order(nv, S::LANES);
        let groups = from.run.div_ceil(4);
        let vector = S::LANES * S::QUAD;
        let panel_bytes = from.taps * groups * nv * vector;
        let mut weights = Aligned::zeroed(from.outputs.div_ceil(panel) * panel_bytes);
        let bytes = weights.bytes_mut();
        for (index, panel_weights) in bytes.chunks_exact_mut(panel_bytes.max(1)).enumerate() {
            for (place, &output) in order.iter().enumerate() {
                let output = index * panel + output;
                if output >= from.outputs {
                    continue;
                }
                for tap in 0..from.taps {
                    for group in 0..groups {
                        let weight = |i: usize| {
                            let byte = group * 4 + i;
                            if byte < from.run { (from.weight)(output, tap, byte) } else { 0 }
                        };
                        let at = ((tap * groups + group) * nv + place / S::LANES) * vector;
                        let quad = std::array::from_fn(weight);
                        write_quad(&mut panel_weights[at..at + vector], S::LANES, place % S::LANES, quad, S::QUAD);
                    }
                }
            }
        }
        let (bias, scale) = (ordered(from.bias, 0, panel, &order), ordered(from.scale, 1.0, panel, &order));
        Packed { weights, bias, scale, panel, groups, panel_bytes, way: Way::Tiles, widen_at_once: false }
    }

    fn conv(&self, step: &ConvStep, memory: Memory, part: (usize, usize)) {
        match step.packed.way {
            Way::Tiles => {}
            Way::Columns(columns) => return super::thin::run(self, step, columns, memory, part),
            Way::Winograd { .. } => {
                let method = self.winograd.iter().find(|method| method.panel == step.packed.panel);
                return method.into_iter().for_each(|method| winograd::run(self, method, step, memory, part));
            }
        }
        let tiles = self.tiles[step.packed.panel / S::LANES - 1];
        for_each_tile(self, step, memory, part, tiles.len(), |tile| {
            // SAFETY: a set is offered only where the CPU has its features; steps are checked when planned.
            unsafe { tiles[tile.pixels - 1](tile) }
        });
    }

    fn pack_depthwise(&self, from: &UnpackedDepthwise) -> PackedDepthwise {
        let (quads, pixels) = (from.quads(), from.pixels(S::MOST_SIDE_BY_SIDE));
        let (mut bytes, mut bias, mut scale) = (Vec::new(), Vec::new(), Vec::new());
        let mut channel = 0;
        while channel < from.channels {
            let lanes = if is_whole::<S>(from.channels - channel) { S::LANES } else { S::Half::LANES };
            let (order, vector) = (order(4, lanes), lanes * S::QUAD);
            let of = |place: usize| Some(channel + order[place]).filter(|&c| c < from.channels);
            for row in 0..from.kernel[0] {
                for quad in 0..quads {
                    for pixel in 0..pixels {
                        let mut to = vec![0; 4 * vector];
                        for place in 0..4 * lanes {
                            let Some(channel) = of(place) else { continue };
                            let at = place / lanes * vector;
                            let quad = from.quad(channel, row, quad, pixel);
                            write_quad(&mut to[at..at + vector], lanes, place % lanes, quad, S::QUAD);
                        }
                        bytes.extend(to);
                    }
                }
            }
            for place in 0..4 * lanes {
                bias.push(of(place).map_or(0, |c| from.bias[c]));
                scale.push(of(place).map_or(1.0, |c| from.scale[c]));
            }
            channel += 4 * lanes;
        }
        let mut weights = Aligned::zeroed(bytes.len());
        weights.bytes_mut().copy_from_slice(&bytes);
        PackedDepthwise { weights, bias, scale, pixels, columns: from.columns(), widen_at_once: false }
    }

    fn depthwise(&self, step: &DepthwiseStep, memory: Memory, part: (usize, usize)) {
        let most = if S::MOST_SIDE_BY_SIDE >= 4 && has_patches(step) { 2 } else { 1 };
        for_each_rows(step, memory, part, most, |x, y, rows| {
            // SAFETY: as in `conv`; two rows only where these make patches.
            unsafe { (self.depthwise)(step, x, y, rows) }
        });
    }

    unsafe fn sum(&self, step: &AddStep, x: [*const u8; 2], y: *mut u8, count: usize) {
        let AddStep { shifts, ratios, fixed, low, high, .. } = *step;
        // SAFETY: as in `conv`; the pointers are promised by the caller.
        unsafe { (self.sum)(x, y, count, &Sum { shifts, ratios, fixed, low, high }) }
    }

    fn quantize(&self, x: &[f32], y: &mut [u8], scaling: Scaling) {
        // SAFETY: as in `conv`.
        unsafe { (self.quantize)(x, y, scaling) }
    }

    fn dequantize(&self, x: &[u8], y: &mut [f32], scaling: Scaling) {
        // SAFETY: as in `conv`.
        unsafe { (self.dequantize)(x, y, scaling) }
    }
}

/// The table of tile functions of a set: for each panel width, one for each number of pixels.
macro_rules! tile_table {
    ($simd:ty, $features:literal, $($nv:literal: [$($mr:literal)*]),*) => {{
        #[target_feature(enable = $features)]
        unsafe fn run<const MR: usize, const NV: usize>(t: &$crate::kernels::conv::Tile) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::tile::tile::<$simd, MR, NV>(t) }
        }
        [$(&[$(run::<$mr, $nv> as $crate::kernels::x86_64::tile::TileKernel),*]),*]
    }};
}
pub(super) use tile_table;

/// The functions of a set other than tiles, compiled with its features.
macro_rules! row_kernels {
    ($simd:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn depthwise(step: &$crate::kernels::conv::DepthwiseStep, x: *const u8, y: *mut u8, rows: usize) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::depthwise::depthwise::<$simd>(step, x, y, rows) }
        }

        #[target_feature(enable = $features)]
        unsafe fn gather(step: &$crate::kernels::conv::ConvStep, lanes: *const i32, y: *mut u8, count: usize) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::thin::gather::<$simd>(step, lanes, y, count) }
        }

        #[target_feature(enable = $features)]
        unsafe fn sum(x: [*const u8; 2], y: *mut u8, count: usize, numbers: &Sum) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::tile::sum::<$simd>(x, y, count, numbers) }
        }

        // Portable loops, compiled with the set's features.
        #[target_feature(enable = $features)]
        unsafe fn quantize(x: &[f32], y: &mut [u8], scaling: $crate::kernels::scaling::Scaling) {
            $crate::kernels::scaling::quantize_by_reciprocal(x, y, scaling);
        }

        #[target_feature(enable = $features)]
        unsafe fn dequantize(x: &[u8], y: &mut [f32], scaling: $crate::kernels::scaling::Scaling) {
            $crate::kernels::scaling::dequantize(x, y, scaling);
        }
    };
}
pub(super) use row_kernels;
