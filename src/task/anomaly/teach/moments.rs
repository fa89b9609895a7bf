//! First and second moments of cells, accumulated: all that the closed-form methods need.
//!
//! Cells are integers, and so are their sums and products: they are exact, and the same in any order. `f64` holds them exactly up to
//! 2⁵³ units, 10¹² cells.

use crate::task::anomaly::cells::UNIT;
use multiversion::multiversion;
use nalgebra::{DMatrix, DVector};

/// Cells that are multiplied at a time.
const BLOCK: usize = 256;
/// Cells whose products are added in 32 bits. No value is over sqrt(cells of a frame) · [`UNIT`], so that no sum wraps with less than
/// 8000 cells in a frame.
const SHORT_SUM: usize = 64;

/// The values of one channel in a block of cells.
type ChannelBlock = [i16; BLOCK];

/// First and second moments of cells of `C` values, in standard deviations.
#[derive(Clone)]
pub struct Moments {
    count: f64,
    sum: DVector<f64>,
    /// `[C, C]`; only the lower triangle is filled.
    products: DMatrix<f64>,
    /// Cells that are not added yet, by channel; zeros after the last.
    block: Vec<ChannelBlock>,
    waiting: usize,
}

impl Moments {
    /// Without any cell.
    pub fn new(channels: usize) -> Moments {
        Moments {
            count: 0.0,
            sum: DVector::zeros(channels),
            products: DMatrix::zeros(channels, channels),
            block: vec![[0; BLOCK]; channels],
            waiting: 0,
        }
    }

    /// Adds a cell.
    pub fn push(&mut self, cell: &[i16]) {
        for (to, &value) in self.block.iter_mut().zip(cell) {
            to[self.waiting] = value;
        }
        self.waiting += 1;
        if self.waiting == BLOCK {
            self.flush();
        }
    }

    /// Adds the waiting cells to the sums; needed before the moments are read.
    pub fn flush(&mut self) {
        if self.waiting == 0 {
            return;
        }
        self.count += self.waiting as f64;
        let unit = f64::from(UNIT);
        for (sum, channel) in self.sum.iter_mut().zip(&self.block) {
            *sum += f64::from(channel.iter().map(|&value| i32::from(value)).sum::<i32>()) / unit;
        }
        let channels = self.block.len();
        for (column, sums) in self.products.as_mut_slice().chunks_exact_mut(channels).enumerate() {
            add_products(&self.block[column..], 1.0 / (unit * unit), &mut sums[column..]);
        }
        self.block.fill([0; BLOCK]);
        self.waiting = 0;
    }

    /// Values in a cell.
    pub fn channels(&self) -> usize {
        self.sum.len()
    }

    /// Number of cells in the sums.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Adds the cells of `other`, or with `sign` -1 removes them.
    pub fn add(&mut self, other: &Moments, sign: f64) {
        self.count += sign * other.count;
        self.sum.axpy(sign, &other.sum, 1.0);
        self.products.zip_apply(&other.products, |to, from| *to += sign * from);
    }

    /// The mean cell.
    pub fn mean(&self) -> DVector<f64> {
        &self.sum / self.count.max(1.0)
    }

    /// `E[(x - centre)(x - centre)']`.
    pub fn second_moment_about(&self, centre: &DVector<f64>) -> DMatrix<f64> {
        let mean = self.mean();
        let mut result = &self.products / self.count.max(1.0);
        result.fill_upper_triangle_with_lower_triangle();
        // E[xx'] - m c' - c m' + c c'
        result.ger(-1.0, &mean, centre, 1.0);
        result.ger(-1.0, centre, &mean, 1.0);
        result.ger(1.0, centre, centre, 1.0);
        result
    }
}

/// Adds to each of `sums` the products of the first channel with one of the channels, in `unit`s: a power of two.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_products(channels: &[ChannelBlock], unit: f64, sums: &mut [f64]) {
    let Some(first) = channels.first() else { return };
    for (sum, channel) in sums.iter_mut().zip(channels) {
        let products = first.as_chunks::<SHORT_SUM>().0.iter().zip(channel.as_chunks::<SHORT_SUM>().0);
        // Written so that compilers emit pairwise multiply-add (`pmaddwd`).
        let short = products.map(|(a, b)| {
            let product = |(&a, &b): (&i16, &i16)| i32::from(a) * i32::from(b);
            i64::from(a.iter().zip(b).map(product).fold(0i32, i32::wrapping_add))
        });
        *sum += short.sum::<i64>() as f64 * unit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_cells() {
        let cells: Vec<[i16; 2]> = (0..600).map(|i| [(i % 7) * 64, (i % 3) * 64 - 64]).collect();
        let mut all = Moments::new(2);
        cells.iter().for_each(|cell| all.push(cell));
        all.flush();
        let real = |i: usize, k: usize| f64::from(cells[i][k]) / 64.0;
        let mean = |k: usize| (0..600).map(|i| real(i, k)).sum::<f64>() / 600.0;
        assert!((all.mean()[0] - mean(0)).abs() < 1e-12 && all.count() == 600.0);
        let centre = DVector::from_vec(vec![1.0, 2.0]);
        let expected = (0..600).map(|i| (real(i, 0) - 1.0) * (real(i, 1) - 2.0)).sum::<f64>() / 600.0;
        assert!((all.second_moment_about(&centre)[(0, 1)] - expected).abs() < 1e-9);

        let mut first = Moments::new(2);
        cells[..100].iter().for_each(|cell| first.push(cell));
        first.flush();
        let mut rest = all.clone();
        rest.add(&first, -1.0);
        assert_eq!(rest.count(), 500.0);
        let expected = (100..600).map(|i| real(i, 1)).sum::<f64>() / 500.0;
        assert!((rest.mean()[1] - expected).abs() < 1e-9);
    }
}
