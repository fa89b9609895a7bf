//! Winograd's filtering with 16-bit multiplications by element: up to eight tiles by eight outputs.

use super::finish::{self, ByteEpilogue};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::winograd::{INVERSE_OF_9, Method, Pixels, Products};
use std::arch::aarch64::*;

macro_rules! products {
    ($($tiles:literal)*) => { &[$(products::<$tiles> as Products),*] };
}

/// The only width of panels.
pub static METHOD: Method = Method {
    panel: 8,
    channels: 8,
    depth: 1,
    position: |output| output,
    input,
    products: products!(1 2 3 4 5 6 7 8),
    output,
};

/// `Bᵀ d` of six vectors.
macro_rules! along {
    ($d:expr) => {{
        let [d0, d1, d2, d3, d4, d5] = $d;
        let (a, b) = (vmlsq_n_s16(d4, d2, 4), vmlsq_n_s16(d3, d1, 4));
        let (c, e) = (vsubq_s16(d4, d2), vshlq_n_s16::<1>(vsubq_s16(d3, d1)));
        // 4 d0 - 5 d2 + d4 and 4 d1 - 5 d3 + d5
        let first = vmlaq_n_s16(vsubq_s16(a, d2), d0, 4);
        let last = vsubq_s16(d5, vaddq_s16(vshlq_n_s16::<2>(vsubq_s16(d3, d1)), d3));
        [first, vaddq_s16(a, b), vsubq_s16(a, b), vaddq_s16(c, e), vsubq_s16(c, e), last]
    }};
}

unsafe fn input(rows: &[*const u8; 6], columns: &[usize; 6], channels: usize, u: *mut i16, step: usize) {
    for channel in (0..channels).step_by(8) {
        // SAFETY: NEON is part of every aarch64 CPU; the rest is promised by the caller, here and below.
        unsafe {
            let mut t = [[vdupq_n_s16(0); 6]; 6];
            for column in 0..6 {
                let d = |row: usize| vmovl_s8(vld1_s8(rows[row].add(columns[column] + channel).cast()));
                let down = along!([d(0), d(1), d(2), d(3), d(4), d(5)]);
                for row in 0..6 {
                    t[row][column] = down[row];
                }
            }
            for row in 0..6 {
                let across = along!(t[row]);
                for column in 0..6 {
                    vst1q_s16(u.add((row * 6 + column) * step + channel), across[column]);
                }
            }
        }
    }
}

unsafe fn products<const TILES: usize>(u: *const i16, channels: usize, weights: *const i16, m: *mut i32) {
    // SAFETY: as in `input`.
    unsafe {
        let mut acc = [[vdupq_n_s32(0); 2]; TILES];
        let mut weights = weights;
        for channel in (0..channels).step_by(8) {
            let mut x = [vdupq_n_s16(0); TILES];
            for tile in 0..TILES {
                x[tile] = vld1q_s16(u.add(tile * channels + channel));
            }
            macro_rules! lanes {
                ($($lane:literal)*) => {$(
                    let w = vld1q_s16(weights.add($lane * 8));
                    for tile in 0..TILES {
                        acc[tile][0] = vmlal_laneq_s16::<$lane>(acc[tile][0], vget_low_s16(w), x[tile]);
                        acc[tile][1] = vmlal_high_laneq_s16::<$lane>(acc[tile][1], w, x[tile]);
                    }
                )*};
            }
            lanes!(0 1 2 3 4 5 6 7);
            weights = weights.add(64);
        }
        for tile in 0..TILES {
            vst1q_s32(m.add(tile * 8), acc[tile][0]);
            vst1q_s32(m.add(tile * 8 + 4), acc[tile][1]);
        }
    }
}

/// `Aᵀ m` of six vectors, with the columns of `A` as `winograd` has them.
macro_rules! back {
    ($m:expr) => {{
        let [m0, m1, m2, m3, m4, m5] = $m;
        let (s, d) = (vshlq_n_s32::<2>(vaddq_s32(m1, m2)), vshlq_n_s32::<2>(vsubq_s32(m1, m2)));
        let (p, q) = (vaddq_s32(m3, m4), vsubq_s32(m3, m4));
        [
            vmlaq_n_s32(vaddq_s32(s, p), m0, 6),
            vmlaq_n_s32(d, q, 2),
            vmlaq_n_s32(s, p, 4),
            vmlaq_n_s32(vmlaq_n_s32(d, q, 8), m5, 24),
        ]
    }};
}

unsafe fn output(m: *const i32, step: usize, (bias, scale): (*const i32, *const f32), epilogue: Epilogue, y: &Pixels) {
    // SAFETY: as in `input`.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 2]; 16];
        for v in 0..2 {
            let mut t = [[vdupq_n_s32(0); 6]; 4];
            for column in 0..6 {
                let at = |row: usize| vld1q_s32(m.add((row * 6 + column) * step + v * 4));
                let down = back!([at(0), at(1), at(2), at(3), at(4), at(5)]);
                for row in 0..4 {
                    t[row][column] = down[row];
                }
            }
            let bias = vld1q_s32(bias.add(v * 4));
            for row in 0..4 {
                let across = back!(t[row]);
                for column in 0..4 {
                    sums[row * 4 + column][v] = vsraq_n_s32::<6>(bias, vmulq_n_s32(across[column], INVERSE_OF_9));
                }
            }
        }
        let bytes = ByteEpilogue::of(epilogue);
        for row in 0..y.counts[0] {
            for column in 0..y.counts[1] {
                let sums = sums[row * 4 + column];
                let (to, n) = (y.first.add(row * y.steps[0] + column * y.steps[1]), y.outputs);
                match bytes {
                    Some(bytes) if bytes.saturate_only => finish::store::<2, true>(sums, scale, bytes, to, n),
                    Some(bytes) => finish::store::<2, false>(sums, scale, bytes, to, n),
                    None => {
                        let mut lanes = [0i32; 8];
                        vst1q_s32(lanes.as_mut_ptr(), sums[0]);
                        vst1q_s32(lanes.as_mut_ptr().add(4), sums[1]);
                        finish::store_32bit_outputs(&lanes, scale, epilogue, to, n);
                    }
                }
            }
        }
    }
}
