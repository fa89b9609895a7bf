//! Convolution tiles and sums, over any [`Simd`].

use super::lanes::store_32bit_outputs;
use super::simd::{AddParams, ByteEpilogue, Simd};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::tiles::{MAX_TILE_PIXELS, Tile};
use std::mem::MaybeUninit;

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
            if let Some(bytes) = ByteEpilogue::of(tile.epilogue) {
                // Written out: a loop that the compiler does not unroll would keep `acc` in memory throughout.
                macro_rules! pixels {
                    ($saturate_only:literal $($p:literal)*) => {$(
                        if $p < MR {
                            let (acc, y) = (*acc.get_unchecked($p), tile.y[$p].add(first));
                            S::finish::<NV, $saturate_only>(acc, scale, bytes, y, outputs);
                        }
                    )*};
                }
                if bytes.saturate_only {
                    pixels!(true 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
                } else {
                    pixels!(false 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
                }
                continue;
            }
            if tile.epilogue == Epilogue::Lanes {
                for p in 0..MR {
                    for v in 0..NV {
                        S::store(tile.y[p].cast::<i32>().add(v * S::LANES), acc[p][v]);
                    }
                }
                continue;
            }
            // A copy in memory: taking the address of `acc` itself would keep it out of registers.
            let mut lanes = LaneBuffer([const { MaybeUninit::uninit() }; MAX_TILE_PIXELS * 32]);
            let at = lanes.0.as_mut_ptr().cast::<i32>();
            for p in 0..MR {
                for v in 0..NV {
                    S::store(at.add((p * NV + v) * S::LANES), acc[p][v]);
                }
            }
            for p in 0..MR {
                let y = tile.y[p].add(first * 4);
                store_32bit_outputs(at.add(p * NV * S::LANES), NV, S::LANES, scale, tile.epilogue, y, outputs);
            }
        }
    }
}

#[repr(C, align(64))]
struct LaneBuffer([MaybeUninit<i32>; MAX_TILE_PIXELS * 32]);

/// Contiguous elements of a sum.
///
/// # Safety
/// Needs the features of `S`; the pointers must be valid for `count` bytes.
#[inline(always)]
pub unsafe fn add_contiguous<S: Simd>([a, b]: [*const u8; 2], y: *mut u8, count: usize, params: &AddParams) {
    // SAFETY: whole vectors lie within `count`; the rest goes through buffers of one vector.
    unsafe {
        let mut i = 0;
        while i + S::LANES <= count {
            S::add_bytes(a.add(i), b.add(i), y.add(i), params);
            i += S::LANES;
        }
        if i < count {
            let (mut ta, mut tb, mut ty) = ([0u8; 16], [0u8; 16], [0u8; 16]);
            std::ptr::copy_nonoverlapping(a.add(i), ta.as_mut_ptr(), count - i);
            std::ptr::copy_nonoverlapping(b.add(i), tb.as_mut_ptr(), count - i);
            S::add_bytes(ta.as_ptr(), tb.as_ptr(), ty.as_mut_ptr(), params);
            std::ptr::copy_nonoverlapping(ty.as_ptr(), y.add(i), count - i);
        }
    }
}
