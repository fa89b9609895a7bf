//! Products of `f32` matrices, with the same bits on every CPU: each element of the result is the sum over k = 0, 1, 2, … of one
//! product and one addition each, both rounded. Vectors run across the rows of the result, never along k, so their width changes
//! nothing; nothing is fused either, because Rust contracts `a * b + c` on no target.
//!
//! nalgebra's own product is a loop without blocks here: with its feature `std` it calls `matrixmultiply`, which has fused
//! multiply-add or not, by the CPU. tests/architecture holds that crate and its like out of the tree.

use multiversion::multiversion;
use nalgebra::DMatrix;

/// The block of the result whose sums stay in registers: rows, which share a vector, and columns.
const ROWS: usize = 16;
const COLUMNS: usize = 4;
/// Steps of k from one visit of a block to the next: the packed rows stay in the first cache.
const DEPTH: usize = 256;

/// `a b`.
pub fn product(a: &DMatrix<f32>, b: &DMatrix<f32>) -> DMatrix<f32> {
    multiply(Factor::plain(a), Factor::plain(b))
}

/// `aᵀ b`.
pub fn transposed_product(a: &DMatrix<f32>, b: &DMatrix<f32>) -> DMatrix<f32> {
    multiply(Factor::transposed(a), Factor::plain(b))
}

/// `a aᵀ`.
pub fn gram(a: &DMatrix<f32>) -> DMatrix<f32> {
    multiply(Factor::plain(a), Factor::transposed(a))
}

/// A matrix as it stands in memory, or its transpose.
#[derive(Clone, Copy)]
struct Factor<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// From a row to the next, and from a column to the next.
    steps: (usize, usize),
}

impl<'a> Factor<'a> {
    fn plain(matrix: &'a DMatrix<f32>) -> Factor<'a> {
        let (rows, columns) = matrix.shape();
        Factor { values: matrix.as_slice(), rows, columns, steps: (1, rows) }
    }

    fn transposed(matrix: &'a DMatrix<f32>) -> Factor<'a> {
        let Factor { values, rows, columns, steps } = Factor::plain(matrix);
        Factor { values, rows: columns, columns: rows, steps: (steps.1, steps.0) }
    }

    fn at(&self, row: usize, column: usize) -> f32 {
        self.values[row * self.steps.0 + column * self.steps.1]
    }
}

fn multiply(a: Factor<'_>, b: Factor<'_>) -> DMatrix<f32> {
    assert_eq!(a.columns, b.rows, "the inner sizes of a product");
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    let mut result = DMatrix::zeros(rows, columns);
    // What lies beyond the edges stays 0, and its sums are not kept.
    let mut panel = vec![[0f32; ROWS]; DEPTH.min(depth)];
    let mut strips = vec![vec![[0f32; COLUMNS]; DEPTH.min(depth)]; columns.div_ceil(COLUMNS)];
    for from in (0..depth).step_by(DEPTH) {
        let steps = from..depth.min(from + DEPTH);
        for (at, strip) in strips.iter_mut().enumerate() {
            let inside = at * COLUMNS..columns.min((at + 1) * COLUMNS);
            for (k, to) in steps.clone().zip(strip) {
                to.iter_mut().zip(inside.clone()).for_each(|(to, column)| *to = b.at(k, column));
            }
        }
        for top in (0..rows).step_by(ROWS) {
            let inside = top..rows.min(top + ROWS);
            // Along the matrix as it stands in memory.
            if a.steps.0 == 1 {
                for (k, to) in steps.clone().zip(&mut panel) {
                    to[..inside.len()].copy_from_slice(&a.values[top + k * a.steps.1..][..inside.len()]);
                }
            } else {
                for (lane, row) in inside.clone().enumerate() {
                    steps.clone().zip(&mut panel).for_each(|(k, to)| to[lane] = a.at(row, k));
                }
            }
            for (at, strip) in strips.iter().enumerate() {
                let block = at * COLUMNS..columns.min((at + 1) * COLUMNS);
                let mut sums = [[0f32; ROWS]; COLUMNS];
                for (sums, column) in sums.iter_mut().zip(block.clone()) {
                    sums[..inside.len()].copy_from_slice(&result.column(column).as_slice()[inside.clone()]);
                }
                add_products(&panel[..steps.len()], &strip[..steps.len()], &mut sums);
                for (sums, column) in sums.iter().zip(block) {
                    result.column_mut(column).as_mut_slice()[inside.clone()].copy_from_slice(&sums[..inside.len()]);
                }
            }
        }
    }
    result
}

/// `sums[c][r] += rows[k][r] · columns[k][c]`, k by k.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_products(rows: &[[f32; ROWS]], columns: &[[f32; COLUMNS]], sums: &mut [[f32; ROWS]; COLUMNS]) {
    let mut own = *sums;
    for (row, column) in rows.iter().zip(columns) {
        for (sums, &factor) in own.iter_mut().zip(column) {
            *sums = with_product(*sums, row, factor);
        }
    }
    *sums = own;
}

/// By value, so that the sums stay in registers.
#[inline(always)]
fn with_product(sums: [f32; ROWS], row: &[f32; ROWS], factor: f32) -> [f32; ROWS] {
    std::array::from_fn(|i| sums[i] + row[i] * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    fn matrix(rows: usize, columns: usize, seed: u64) -> DMatrix<f32> {
        let mut random = SplitMix64::seed_from_u64(seed);
        DMatrix::from_fn(rows, columns, |_, _| (random.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0)
    }

    /// The sum in the order of k, as the definition has it.
    fn bits(a: &DMatrix<f32>, b: &DMatrix<f32>) -> Vec<u32> {
        let element = |row: usize, column: usize| {
            (0..a.ncols()).fold(0f32, |sum, k| sum + a[(row, k)] * b[(k, column)]).to_bits()
        };
        (0..b.ncols()).flat_map(|column| (0..a.nrows()).map(move |row| element(row, column))).collect()
    }

    #[test]
    fn every_element_is_the_sum_in_order_of_k_to_the_last_bit() {
        let of = |matrix: &DMatrix<f32>| matrix.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        // Whole blocks, parts of blocks, less than one, several depths, nothing.
        for (rows, depth, columns) in
            [(16, 4, 4), (33, 700, 9), (1, 1, 1), (5, 257, 3), (64, 256, 48), (7, 0, 5), (0, 3, 2)]
        {
            let (a, b) = (matrix(rows, depth, 1), matrix(depth, columns, 2));
            assert_eq!(of(&product(&a, &b)), bits(&a, &b), "{rows} {depth} {columns}");
            assert_eq!(of(&transposed_product(&a.transpose(), &b)), bits(&a, &b), "{rows} {depth} {columns}");
            assert_eq!(of(&gram(&a)), bits(&a, &a.transpose()), "{rows} {depth}");
        }
    }

    #[test]
    fn nothing_is_fused() {
        // 1 + 2⁻¹² squared is 1 + 2⁻¹¹ + 2⁻²⁴, which is rounded before -1 - 2⁻¹¹ is added: fused, 2⁻²⁴ would be left.
        let (x, y) = (1.0 + 1.0 / 4096.0, -1.0 - 1.0 / 2048.0);
        let a = DMatrix::from_row_slice(1, 2, &[y, x]);
        let b = DMatrix::from_row_slice(2, 1, &[1.0, x]);
        assert_eq!(product(&a, &b)[(0, 0)], 0.0);
    }
}
