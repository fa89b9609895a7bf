//! Matrix products: each sum runs over k from the first to the last, one fused multiply-add a term, and vectors run across columns.
//!
//! A tile of the result stays in registers for all of k: a vector of the right-hand row by each element of a left-hand column.

use super::isa::{Lanes, Loop, ProductTile, Start};
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;

/// Floats of a panel: the columns that a tile computes at a time.
#[inline(always)]
pub const fn panel<L: Lanes>() -> usize {
    L::COUNT * L::VECTORS
}

/// All rows of a panel, a tile after the other.
///
/// # Safety
/// Pointers must be valid for what the tile states, `b` and the bias of columns for whole vectors.
#[inline(always)]
pub unsafe fn rows<L: Lanes>(tile: ProductTile) {
    let mut row = 0;
    while row < tile.rows {
        let here = (tile.rows - row).min(L::ROWS);
        let start = match tile.start {
            // SAFETY: one number for every row.
            Start::Rows(bias) => Start::Rows(unsafe { bias.add(row) }),
            other => other,
        };
        // SAFETY: within the tile.
        let (a, y) = unsafe { (tile.a.add(row * tile.a_row), tile.y.add(row * tile.y_row)) };
        let part = ProductTile { a, y, start, rows: here, ..tile };
        // SAFETY: promised by the caller.
        unsafe {
            match tile.columns.div_ceil(L::COUNT) {
                1 => by_rows::<L, 1>(&part),
                2 => by_rows::<L, 2>(&part),
                _ => by_rows::<L, 4>(&part),
            }
        }
        row += here;
    }
}

/// The tile with as many rows as it has.
#[inline(always)]
unsafe fn by_rows<L: Lanes, const V: usize>(tile: &ProductTile) {
    // SAFETY: promised by the caller.
    unsafe {
        match tile.rows {
            1 => L::tile::<1, V>(tile),
            2 => L::tile::<2, V>(tile),
            3 => L::tile::<3, V>(tile),
            4 => L::tile::<4, V>(tile),
            5 => L::tile::<5, V>(tile),
            6 => L::tile::<6, V>(tile),
            7 => L::tile::<7, V>(tile),
            8 => L::tile::<8, V>(tile),
            9 => L::tile::<9, V>(tile),
            10 => L::tile::<10, V>(tile),
            11 => L::tile::<11, V>(tile),
            _ => L::tile::<12, V>(tile),
        }
    }
}

/// `y [batch, m, n] = a [batch, m, k] * b [batch, k, n] + bias [n]`.
#[derive(Debug, Clone)]
pub struct MatMul {
    /// Floats from the start of `a` and `b` to the matrices of each batch.
    pub batches: Vec<(usize, usize)>,
    pub m: usize,
    pub k: usize,
    pub n: usize,
    /// `b` as [`pack`] reorders it, where it is constant; the same for all batches.
    pub packed: Option<Vec<f32>>,
    /// Whole panels of it, or empty.
    pub bias: Vec<f32>,
}

/// A run of [`MatMul`].
pub struct MatMulRun<'a> {
    pub op: &'a MatMul,
    pub a: &'a [f32],
    /// Empty where it is packed.
    pub b: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    /// [`MatMul::scratch`] floats of this thread.
    pub scratch: &'a mut [f32],
    pub part: (usize, usize),
}

impl MatMul {
    /// Floats that each thread needs: a panel of `b`.
    pub fn scratch(&self, panel: usize) -> usize {
        if self.packed.is_some() { 0 } else { self.k * panel }
    }
}

/// `b [k, n]` as panels `[n / panel, k, panel]`, the last one filled up with zeros; `at(k, n)` gives its elements.
pub fn pack(k: usize, n: usize, panel: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut packed = Vec::with_capacity(n.div_ceil(panel) * k * panel);
    for first in (0..n).step_by(panel) {
        for row in 0..k {
            packed.extend((first..first + panel).map(|column| if column < n { at(row, column) } else { 0.0 }));
        }
    }
    packed
}

impl Loop for MatMulRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let MatMul { batches, m, k, n, packed, bias } = self.op;
        let (m, k, n) = (*m, *k, *n);
        let width = panel::<L>();
        let (tiles, panels) = (m.div_ceil(L::ROWS), n.div_ceil(width));
        // Threads share rows, or columns where there are too few rows.
        let share_rows = batches.len() * tiles >= 4 * self.part.1 || panels == 1;
        let units = if share_rows { tiles } else { panels };
        let mine = thread_share(batches.len() * units, self.part.0, self.part.1);
        if mine.is_empty() {
            return;
        }
        for batch in mine.start / units..mine.end.div_ceil(units) {
            let first = mine.start.max(batch * units) - batch * units;
            let last = mine.end.min((batch + 1) * units) - batch * units;
            let (row, end, panels) =
                if share_rows { (first * L::ROWS, (last * L::ROWS).min(m), 0..panels) } else { (0, m, first..last) };
            let (a, b) = batches[batch];
            let a = &self.a[a + row * k..][..(end - row) * k];
            for index in panels {
                let column = index * width;
                let columns = width.min(n - column);
                let (b, b_row) = match packed {
                    Some(packed) => (&packed[index * k * width..][..k * width], width),
                    // Few rows: copying would take longer than it saves.
                    None if columns == width && end - row <= 2 * L::ROWS => {
                        (&self.b[b + column..][..(k - 1) * n + width], n)
                    }
                    None => {
                        let from = &self.b[b + column..];
                        for (row, to) in self.scratch.chunks_exact_mut(width).take(k).enumerate() {
                            let from = &from[row * n..][..columns];
                            if columns == width {
                                to.copy_from_slice(from);
                            } else {
                                to[..columns].copy_from_slice(from);
                                to[columns..].fill(0.0);
                            }
                        }
                        (&self.scratch[..k * width], width)
                    }
                };
                let start =
                    if bias.is_empty() { Start::Zero } else { Start::Columns(bias[column..][..width].as_ptr()) };
                let y = self.arena.at(self.y + ((batch * m + row) * n + column) * 4).cast();
                let tile = ProductTile {
                    a: a.as_ptr(),
                    a_row: k,
                    b: b.as_ptr(),
                    b_row,
                    k,
                    start,
                    y,
                    y_row: n,
                    rows: end - row,
                    columns,
                };
                // SAFETY: `a`, `b` and the bias were cut to what the tile reads; the output is this thread's part of a checked step.
                unsafe { rows::<L>(tile) };
            }
        }
    }
}
