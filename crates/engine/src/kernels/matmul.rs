//! The product of two computed matrices, each with its zero point.
//!
//! Sets with dot products multiply `a - 128`, as signed numbers, with `b` as it is stored: four bytes of a row of `a` with four
//! rows of `b`, whose bytes are interleaved on the way, so nothing is packed. What the zero points make of it is added as a number
//! for each column, which all rows share, and one for each row.

use super::arena::Arena;
use super::epilogue::{Epilogue, store_accumulator, stored_value};
use super::grid::thread_share;

/// A product of two computed matrices, `[batch, m, k]` by `[batch, k, n]`.
#[derive(Debug, Clone)]
pub struct MatMulStep {
    pub a: usize,
    pub b: usize,
    pub y: usize,
    /// Bytes from one matrix to the next, for each batch: where each lies.
    pub batches: Vec<(usize, usize)>,
    /// `m`, `k`, `n`
    pub size: [usize; 3],
    pub epilogue: Epilogue,
    pub scale: f32,
}

/// Some rows of one product, as a kernel set computes them.
pub struct MatMulRows {
    pub a: *const u8,
    pub b: *const u8,
    pub y: *mut u8,
    pub rows: usize,
    pub k: usize,
    pub n: usize,
    /// Of `a` and `b`, in the stored domain.
    pub zero_points: [i32; 2],
    pub epilogue: Epilogue,
    pub scale: f32,
}

impl MatMulRows {
    /// `sum(a - shift)` over row `row` of `a`, whose stored bytes are of the kind `signed`.
    ///
    /// # Safety
    /// The row must be valid.
    #[inline(always)]
    pub unsafe fn row_sum(&self, row: usize, signed: bool, shift: i32) -> i32 {
        let mut sum = 0;
        for i in 0..self.k {
            // SAFETY: promised by the caller.
            sum += stored_value(unsafe { *self.a.add(row * self.k + i) }, signed) - shift;
        }
        sum
    }
}

impl MatMulStep {
    /// Calls `run` with a thread's rows of each product.
    pub fn for_each_rows(
        &self,
        (za, zb): (i32, i32),
        arena: Arena,
        part: (usize, usize),
        mut run: impl FnMut(&MatMulRows),
    ) {
        let [m, k, n] = self.size;
        let element = self.epilogue.bytes();
        let mine = thread_share(m, part.0, part.1);
        for (batch, &(a, b)) in self.batches.iter().enumerate() {
            run(&MatMulRows {
                a: arena.at(self.a + a + mine.start * k),
                b: arena.at(self.b + b),
                y: arena.at(self.y + (batch * m + mine.start) * n * element),
                rows: mine.len(),
                k,
                n,
                zero_points: [za, zb],
                epilogue: self.epilogue,
                scale: self.scale,
            });
        }
    }
}

/// Rows in plain Rust: the definition that every kernel set follows.
///
/// # Safety
/// The matrices must be valid.
pub unsafe fn rows(job: &MatMulRows, signed: bool) {
    let MatMulRows { k, n, zero_points: [za, zb], .. } = *job;
    let element = job.epilogue.bytes();
    for row in 0..job.rows {
        for first in (0..n).step_by(64) {
            let here = (n - first).min(64);
            let mut sums = [0i32; 64];
            for i in 0..k {
                // SAFETY: promised by the caller.
                let (a, b) =
                    unsafe { (*job.a.add(row * k + i), std::slice::from_raw_parts(job.b.add(i * n + first), here)) };
                let a = stored_value(a, signed) - za;
                for (sum, &b) in sums.iter_mut().zip(b) {
                    *sum = sum.wrapping_add(a * (stored_value(b, signed) - zb));
                }
            }
            for (i, &sum) in sums[..here].iter().enumerate() {
                let y = job.y.wrapping_add((row * n + first + i) * element);
                // SAFETY: an element of the result, promised by the caller.
                unsafe { store_accumulator(sum, job.scale, job.epilogue, y) };
            }
        }
    }
}
