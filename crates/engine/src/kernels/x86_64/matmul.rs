//! Products of two computed matrices over any [`Simd`]: `a` less 128 as the weights, `b` as the activations.

use super::depthwise::is_whole;
use super::lanes::store_32bit_outputs;
use super::simd::{ByteEpilogue, Simd};
use crate::kernels::matmul::MatMulRows;

/// What turns an unsigned byte into a signed one, 128 less.
const FLIP: u32 = 0x8080_8080;

/// All rows, a block of columns after the other.
///
/// # Safety
/// Needs the features of `S`; the matrices must be those of a checked step, with slack behind them.
#[inline(always)]
pub unsafe fn matmul<S: Simd>(job: &MatMulRows) {
    let mut column = 0;
    while column < job.n {
        // SAFETY: passed on to the caller.
        unsafe {
            if is_whole::<S>(job.n - column) {
                block::<S>(job, column);
                column += 4 * S::LANES;
            } else {
                block::<S::Half>(job, column);
                column += 4 * S::Half::LANES;
            }
        }
    }
}

/// The quads of four rows of `b` from number `k` on; rows beyond the last are the last again.
#[inline(always)]
unsafe fn quads<S: Simd>(job: &MatMulRows, column: usize, k: usize) -> [S::X; 4] {
    let row = |i: usize| job.b.wrapping_add((k + i).min(job.k - 1) * job.n + column);
    // SAFETY: rows of `b`; what lies beyond a row is the next, or the slack.
    unsafe { S::interleave([row(0), row(1), row(2), row(3)]) }
}

/// Which of the four bytes from number `k` on there are, as a mask.
#[inline(always)]
fn mask(job: &MatMulRows, k: usize) -> u32 {
    if k + 4 <= job.k { u32::MAX } else { (1 << (8 * (job.k - k))) - 1 }
}

/// `4 * LANES` columns of all rows.
#[inline(always)]
unsafe fn block<S: Simd>(job: &MatMulRows, column: usize) {
    let [za, zb] = job.zero_points;
    // Of `a` less 128.
    let za = za - 128;
    // SAFETY: passed on to the caller.
    unsafe {
        // Sums of the columns of `b`, as products with ones.
        let mut base = [0i32; 4 * 16];
        let mut sums = [S::load(base.as_ptr()); 4];
        for k in (0..job.k).step_by(4) {
            let (x, ones) = (quads::<S>(job, column, k), S::quad(0x0101_0101 & mask(job, k)));
            for q in 0..4 {
                sums[q] = S::dot(sums[q], x[q], ones);
            }
        }
        for q in 0..4 {
            S::store(base.as_mut_ptr().add(q * S::LANES), sums[q]);
        }
        for sum in &mut base[..4 * S::LANES] {
            *sum = (job.k as i32).wrapping_mul(za).wrapping_mul(zb).wrapping_sub(za.wrapping_mul(*sum));
        }
        let mut row = 0;
        if S::MAX_PIXELS_AT_ONCE >= 4 {
            while row + 4 <= job.rows {
                rows::<S, 4>(job, column, row, &base);
                row += 4;
            }
        }
        if S::MAX_PIXELS_AT_ONCE >= 2 {
            while row + 2 <= job.rows {
                rows::<S, 2>(job, column, row, &base);
                row += 2;
            }
        }
        while row < job.rows {
            rows::<S, 1>(job, column, row, &base);
            row += 1;
        }
    }
}

/// `R` rows of a block of columns; `base` is what the zero points make of each column.
#[inline(always)]
unsafe fn rows<S: Simd, const R: usize>(job: &MatMulRows, column: usize, first: usize, base: &[i32; 64]) {
    // SAFETY: rows of the checked step; four bytes of `a` may end behind a row, and are masked.
    unsafe {
        let mut acc = [[S::load(base.as_ptr()); 4]; R];
        for r in 0..R {
            let sum = job.row_sum(first + r, false, 128);
            let own = [job.zero_points[1].wrapping_mul(sum).wrapping_neg(); 16];
            let own = S::load(own.as_ptr());
            for q in 0..4 {
                acc[r][q] = S::add(S::load(base.as_ptr().add(q * S::LANES)), own);
            }
        }
        for k in (0..job.k).step_by(4) {
            let (x, mask) = (quads::<S>(job, column, k), mask(job, k));
            for r in 0..R {
                let a = job.a.add((first + r) * job.k + k).cast::<u32>().read_unaligned();
                let w = S::quad((a ^ FLIP) & mask);
                for q in 0..4 {
                    acc[r][q] = S::dot(acc[r][q], x[q], w);
                }
            }
        }
        let n = (4 * S::LANES).min(job.n - column);
        let element = job.epilogue.bytes();
        let scale = [job.scale; 4 * 16];
        let bytes = ByteEpilogue::of(job.epilogue);
        for r in 0..R {
            let y = job.y.add(((first + r) * job.n + column) * element);
            match bytes {
                Some(bytes) if bytes.saturate_only => S::finish::<4, true>(acc[r], scale.as_ptr(), bytes, y, n),
                Some(bytes) => S::finish::<4, false>(acc[r], scale.as_ptr(), bytes, y, n),
                None => {
                    let mut lanes = [0i32; 4 * 16];
                    for q in 0..4 {
                        S::store(lanes.as_mut_ptr().add(q * S::LANES), acc[r][q]);
                    }
                    store_32bit_outputs(lanes.as_ptr(), 4, S::LANES, scale.as_ptr(), job.epilogue, y, n);
                }
            }
        }
    }
}
