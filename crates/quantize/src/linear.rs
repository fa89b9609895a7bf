//! Products and factors of matrices in `f32`, with the same bits on every CPU: each sum goes in order, vectors run across results,
//! nothing is fused.

use multiversion::multiversion;

/// The block of the result whose sums stay in registers.
const ROWS: usize = 4;
const COLUMNS: usize = 16;
/// Terms from one visit of a block to the next: what is packed stays in the first cache.
const DEPTH: usize = 256;

/// A part of the columns of a row-major matrix.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    /// The matrix.
    pub values: &'a [f32],
    /// Numbers from a row to the next.
    pub width: usize,
    /// The first column, and how many.
    pub from: usize,
    /// How many columns.
    pub count: usize,
}

impl Columns<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }
}

/// `aᵀ b`, row-major, `a.count` × `b.count`: both have the same number of rows.
pub fn products(a: Columns<'_>, b: Columns<'_>) -> Vec<f32> {
    let (height, p, q) = (a.rows().min(b.rows()), a.count, b.count);
    let mut result = vec![0f32; p * q];
    let mut strips = vec![[[0f32; ROWS]; DEPTH]; p.div_ceil(ROWS)];
    let mut panel = [[0f32; COLUMNS]; DEPTH];
    for from in (0..height).step_by(DEPTH) {
        let steps = DEPTH.min(height - from);
        for (at, strip) in strips.iter_mut().enumerate() {
            pack(&a, from, steps, at * ROWS, strip);
        }
        for left in (0..q).step_by(COLUMNS) {
            pack(&b, from, steps, left, &mut panel);
            let inside = COLUMNS.min(q - left);
            for (at, strip) in strips.iter().enumerate() {
                let mut sums = [[0f32; COLUMNS]; ROWS];
                let rows = (at * ROWS..p).take(ROWS);
                for (sums, row) in sums.iter_mut().zip(rows.clone()) {
                    sums[..inside].copy_from_slice(&result[row * q + left..][..inside]);
                }
                add_products(&strip[..steps], &panel[..steps], &mut sums);
                for (sums, row) in sums.iter().zip(rows) {
                    result[row * q + left..][..inside].copy_from_slice(&sums[..inside]);
                }
            }
        }
    }
    result
}

/// Some columns of some rows, side by side; what lies beyond the last column is 0.
fn pack<const N: usize>(from: &Columns<'_>, row: usize, steps: usize, column: usize, to: &mut [[f32; N]; DEPTH]) {
    let inside = N.min(from.count.saturating_sub(column));
    for (step, to) in to.iter_mut().enumerate().take(steps) {
        let values = &from.values[(row + step) * from.width + from.from + column..][..inside];
        to[..inside].copy_from_slice(values);
        to[inside..].fill(0.0);
    }
}

/// `sums[r][c] += rows[k][r] * columns[k][c]`, k by k.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_products(rows: &[[f32; ROWS]], columns: &[[f32; COLUMNS]], sums: &mut [[f32; COLUMNS]; ROWS]) {
    let mut own = *sums;
    for (row, column) in rows.iter().zip(columns) {
        for (sums, &factor) in own.iter_mut().zip(row) {
            *sums = with_product(*sums, column, factor);
        }
    }
    *sums = own;
}

/// By value, so that the sums stay in registers.
#[inline(always)]
fn with_product(sums: [f32; COLUMNS], values: &[f32; COLUMNS], factor: f32) -> [f32; COLUMNS] {
    std::array::from_fn(|i| sums[i] + values[i] * factor)
}

/// The upper factor R of a symmetric positive matrix `RᵀR`, in place of its upper half, row-major, n × n. `None` where it is not
/// positive to the precision of `f32`.
pub fn factor(matrix: &mut [f32], n: usize) -> Option<()> {
    for k in 0..n {
        let (done, rest) = matrix.split_at_mut((k + 1) * n);
        let row = &mut done[k * n..];
        let pivot = row[k];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let inverse = 1.0 / pivot.sqrt();
        row[k..].iter_mut().for_each(|value| *value *= inverse);
        for (i, below) in rest.chunks_exact_mut(n).enumerate() {
            let i = k + 1 + i;
            subtract(&mut below[i..], &row[i..], row[i]);
        }
    }
    Some(())
}

/// `to -= factor * values`.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
pub fn subtract(to: &mut [f32], values: &[f32], factor: f32) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to -= factor * value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn every_product_is_the_sum_in_order_to_the_last_bit() {
        for (height, p, q) in [(1, 1, 1), (300, 5, 17), (7, 4, 16), (513, 9, 33), (0, 2, 3)] {
            let (a, b) = (matrix(height * (p + 2), 1), matrix(height * (q + 1), 2));
            let found = products(
                Columns { values: &a, width: p + 2, from: 1, count: p },
                Columns { values: &b, width: q + 1, from: 0, count: q },
            );
            let sum = |i: usize, j: usize| {
                (0..height).fold(0f32, |sum, row| sum + a[row * (p + 2) + 1 + i] * b[row * (q + 1) + j])
            };
            for i in 0..p {
                for j in 0..q {
                    assert_eq!(found[i * q + j].to_bits(), sum(i, j).to_bits(), "{height} {p} {q}");
                }
            }
        }
    }

    #[test]
    fn a_factor_times_itself_is_the_matrix() {
        let n = 40;
        let rows = matrix(100 * n, 3);
        let all = Columns { values: &rows, width: n, from: 0, count: n };
        let gram = products(all, all);
        let mut upper = gram.clone();
        factor(&mut upper, n).unwrap();
        for i in 0..n {
            for j in i..n {
                let found: f32 = (0..=i).map(|k| upper[k * n + i] * upper[k * n + j]).sum();
                assert!((found - gram[i * n + j]).abs() < 1e-3, "{found} {}", gram[i * n + j]);
            }
        }
        assert!(factor(&mut [0.0; 4], 2).is_none());
    }
}
