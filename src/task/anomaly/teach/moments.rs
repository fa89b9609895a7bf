//! First and second moments of cells, accumulated: all that the closed-form methods need.

use crate::task::anomaly::cells::UNIT;
use nalgebra::{DMatrix, DVector};

/// Cells that are multiplied at a time.
const BLOCK: usize = 64;

/// First and second moments of cells of `C` values, in standard deviations.
#[derive(Clone)]
pub struct Moments {
    count: f64,
    sum: DVector<f64>,
    products: DMatrix<f64>,
    /// Cells that are not added yet, `[C, BLOCK]`, a column each.
    block: DMatrix<f64>,
    waiting: usize,
}

impl Moments {
    /// Without any cell.
    pub fn new(channels: usize) -> Moments {
        Moments {
            count: 0.0,
            sum: DVector::zeros(channels),
            products: DMatrix::zeros(channels, channels),
            block: DMatrix::zeros(channels, BLOCK),
            waiting: 0,
        }
    }

    /// Adds a cell.
    pub fn push(&mut self, cell: &[i16]) {
        for (to, &value) in self.block.column_mut(self.waiting).iter_mut().zip(cell) {
            *to = f64::from(value) / f64::from(UNIT);
        }
        self.waiting += 1;
        if self.waiting == BLOCK {
            self.flush();
        }
    }

    /// Adds the waiting cells to the sums; needed before the moments are read.
    pub fn flush(&mut self) {
        let block = self.block.columns(0, self.waiting);
        self.count += self.waiting as f64;
        self.sum += block.column_sum();
        self.products.gemm(1.0, &block, &block.transpose(), 1.0);
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
        // E[xx'] - m c' - c m' + c c'
        result.ger(-1.0, &mean, centre, 1.0);
        result.ger(-1.0, centre, &mean, 1.0);
        result.ger(1.0, centre, centre, 1.0);
        result
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
