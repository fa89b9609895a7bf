//! Winograd's filtering with 16-bit multiplications by element: eight tiles by eight outputs.

use super::finish::{self, Bytes};
use crate::engine::kernels::conv::Ending;
use crate::engine::kernels::winograd::Transform;
use std::arch::aarch64::*;

/// The transforms.
pub struct Neon;

impl Transform for Neon {
    const TILES: usize = 8;
    const PANEL: usize = 8;
    const DEPTH: usize = 1;

    #[inline(always)]
    unsafe fn input(x: &[*const u8; 16], channels: usize, u: *mut i16, step: usize) {
        for channel in (0..channels).step_by(8) {
            // SAFETY: NEON is part of every aarch64 CPU; the rest is promised by the caller, here and below.
            unsafe {
                let mut d = [vdup_n_s8(0); 16];
                for i in 0..16 {
                    d[i] = vld1_s8(x[i].add(channel).cast());
                }
                let mut t = [vdupq_n_s16(0); 16];
                for i in 0..4 {
                    t[i] = vsubl_s8(d[i], d[8 + i]);
                    t[4 + i] = vaddl_s8(d[4 + i], d[8 + i]);
                    t[8 + i] = vsubl_s8(d[8 + i], d[4 + i]);
                    t[12 + i] = vsubl_s8(d[4 + i], d[12 + i]);
                }
                let u = u.add(channel);
                for row in 0..4 {
                    let [a, b, c, d] = [t[row * 4], t[row * 4 + 1], t[row * 4 + 2], t[row * 4 + 3]];
                    vst1q_s16(u.add(row * 4 * step), vsubq_s16(a, c));
                    vst1q_s16(u.add((row * 4 + 1) * step), vaddq_s16(b, c));
                    vst1q_s16(u.add((row * 4 + 2) * step), vsubq_s16(c, b));
                    vst1q_s16(u.add((row * 4 + 3) * step), vsubq_s16(b, d));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn product(u: *const i16, channels: usize, weights: *const i16, m: *mut i32) {
        // SAFETY: as in `input`.
        unsafe {
            let mut acc = [[vdupq_n_s32(0); 2]; 8];
            let mut weights = weights;
            for channel in (0..channels).step_by(8) {
                let mut x = [vdupq_n_s16(0); 8];
                for tile in 0..8 {
                    x[tile] = vld1q_s16(u.add(tile * channels + channel));
                }
                macro_rules! lanes {
                    ($($lane:literal)*) => {$(
                        let w = vld1q_s16(weights.add($lane * 8));
                        for tile in 0..8 {
                            acc[tile][0] = vmlal_laneq_s16::<$lane>(acc[tile][0], vget_low_s16(w), x[tile]);
                            acc[tile][1] = vmlal_high_laneq_s16::<$lane>(acc[tile][1], w, x[tile]);
                        }
                    )*};
                }
                lanes!(0 1 2 3 4 5 6 7);
                weights = weights.add(64);
            }
            for tile in 0..8 {
                vst1q_s32(m.add(tile * 8), acc[tile][0]);
                vst1q_s32(m.add(tile * 8 + 4), acc[tile][1]);
            }
        }
    }

    #[inline(always)]
    unsafe fn output(
        m: *const i32,
        step: usize,
        (bias, scale): (*const i32, *const f32),
        ending: Ending,
        y: [*mut u8; 4],
        n: usize,
    ) {
        // SAFETY: as in `input`.
        unsafe {
            let mut sums = [[vdupq_n_s32(0); 2]; 4];
            for v in 0..2 {
                let at = |position: usize| vld1q_s32(m.add(position * step + v * 4));
                let mut t = [[vdupq_n_s32(0); 4]; 2];
                for i in 0..4 {
                    let (b, c) = (at(4 + i), at(8 + i));
                    t[0][i] = vaddq_s32(vaddq_s32(at(i), b), c);
                    t[1][i] = vsubq_s32(vsubq_s32(b, c), at(12 + i));
                }
                let bias = vld1q_s32(bias.add(v * 4));
                for row in 0..2 {
                    let [a, b, c, d] = t[row];
                    let (left, right) = (vaddq_s32(vaddq_s32(a, b), c), vsubq_s32(vsubq_s32(b, c), d));
                    sums[row * 2][v] = vsraq_n_s32::<2>(bias, left);
                    sums[row * 2 + 1][v] = vsraq_n_s32::<2>(bias, right);
                }
            }
            let bytes = Bytes::of(ending);
            macro_rules! pixels {
                ($($p:literal)*) => {$(
                    if !y[$p].is_null() {
                        match bytes {
                            Some(bytes) if bytes.plain => finish::store::<2, true>(sums[$p], scale, bytes, y[$p], n),
                            Some(bytes) => finish::store::<2, false>(sums[$p], scale, bytes, y[$p], n),
                            None => {
                                let mut lanes = [0i32; 8];
                                vst1q_s32(lanes.as_mut_ptr(), sums[$p][0]);
                                vst1q_s32(lanes.as_mut_ptr().add(4), sums[$p][1]);
                                finish::words(&lanes, scale, ending, y[$p], n);
                            }
                        }
                    }
                )*};
            }
            pixels!(0 1 2 3);
        }
    }
}
