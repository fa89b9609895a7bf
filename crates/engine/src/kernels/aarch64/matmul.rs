//! Products of two computed matrices: four bytes of a row of `a` with four rows of `b`, whose bytes are brought together on the way.

use super::finish::{self, ByteEpilogue};
use super::quads::{quads, sdot};
use crate::kernels::matmul::MatMulRows;
use std::arch::aarch64::*;
use std::arch::asm;

/// All rows, sixteen columns after the other.
///
/// # Safety
/// Needs `sdot`; the matrices must be those of a checked step, with slack behind them.
#[target_feature(enable = "dotprod")]
pub unsafe fn matmul(job: &MatMulRows) {
    let [za, zb] = job.zero_points;
    for column in (0..job.n).step_by(16) {
        // SAFETY: passed on to the caller.
        unsafe {
            // Sums of the columns of `b`, as products with ones.
            let mut sums = [vdupq_n_s32(0); 4];
            for k in (0..job.k).step_by(4) {
                let ones = vreinterpretq_s8_u32(vdupq_n_u32(0x0101_0101 & mask(job, k)));
                let x = quads_of(job, column, k);
                for q in 0..4 {
                    sums[q] = sdot!(sums[q], ones, x[q]);
                }
            }
            // What the zero points make of each column.
            let constant = vdupq_n_s32((job.k as i32).wrapping_mul(za).wrapping_mul(zb));
            for q in 0..4 {
                sums[q] = vmlsq_s32(constant, sums[q], vdupq_n_s32(za));
            }
            let mut row = 0;
            while row + 4 <= job.rows {
                rows::<4>(job, column, row, &sums);
                row += 4;
            }
            while row < job.rows {
                rows::<1>(job, column, row, &sums);
                row += 1;
            }
        }
    }
}

/// The quads of four rows of `b` from number `k` on; rows beyond the last are the last again.
#[target_feature(enable = "dotprod")]
#[inline]
unsafe fn quads_of(job: &MatMulRows, column: usize, k: usize) -> [int8x16_t; 4] {
    let row = |i: usize| ((k + i).min(job.k - 1) - k) as u32 * job.n as u32;
    // SAFETY: rows of `b`; what lies beyond a row is the next, or the slack.
    unsafe { quads(job.b.add(k * job.n + column), &[row(0), row(1), row(2), row(3)]) }
}

/// Which of the four bytes from number `k` on there are, as a mask.
#[inline]
fn mask(job: &MatMulRows, k: usize) -> u32 {
    if k + 4 <= job.k { u32::MAX } else { (1 << (8 * (job.k - k))) - 1 }
}

/// `R` rows of sixteen columns; `base` is what the zero points make of each column.
#[target_feature(enable = "dotprod")]
#[inline]
unsafe fn rows<const R: usize>(job: &MatMulRows, column: usize, first: usize, base: &[int32x4_t; 4]) {
    // SAFETY: rows of the checked step; four bytes of `a` may end behind a row, and are masked.
    unsafe {
        let mut acc = [*base; R];
        for r in 0..R {
            let own = job.zero_points[1].wrapping_mul(job.row_sum(first + r, true, 0));
            for q in 0..4 {
                acc[r][q] = vsubq_s32(acc[r][q], vdupq_n_s32(own));
            }
        }
        for k in (0..job.k).step_by(4) {
            let (x, mask) = (quads_of(job, column, k), mask(job, k));
            for r in 0..R {
                let a = job.a.add((first + r) * job.k + k).cast::<u32>().read_unaligned();
                let w = vreinterpretq_s8_u32(vdupq_n_u32(a & mask));
                for q in 0..4 {
                    acc[r][q] = sdot!(acc[r][q], w, x[q]);
                }
            }
        }
        let n = 16.min(job.n - column);
        let element = job.epilogue.bytes();
        let scale = [job.scale; 16];
        let bytes = ByteEpilogue::of(job.epilogue);
        for r in 0..R {
            let y = job.y.add(((first + r) * job.n + column) * element);
            match bytes {
                Some(bytes) if bytes.saturate_only => finish::store::<4, true>(acc[r], scale.as_ptr(), bytes, y, n),
                Some(bytes) => finish::store::<4, false>(acc[r], scale.as_ptr(), bytes, y, n),
                None => {
                    let mut lanes = [0i32; 16];
                    for q in 0..4 {
                        vst1q_s32(lanes.as_mut_ptr().add(q * 4), acc[r][q]);
                    }
                    finish::store_32bit_outputs(&lanes, scale.as_ptr(), job.epilogue, y, n);
                }
            }
        }
    }
}
