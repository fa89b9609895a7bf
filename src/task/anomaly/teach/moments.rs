//! Sums of cells and of their products: all that the closed-form methods need to know of any number of cells.

use crate::task::anomaly::cells::UNIT;
use nalgebra::{DMatrix, DVector};

/// Cells that are multiplied at once.
const BLOCK: usize = 64;

/// First and second moments of cells of `C` values, in spreads.
#[derive(Clone)]
pub struct Moments {
    count: f64,
    sum: DVector<f64>,
    products: DMatrix<f64>,
    /// Cells that are not in the sums yet, `[C, BLOCK]`, a column each.
    block: DMatrix<f64>,
    waiting: usize,
}

impl Moments {
    /// Of no cell yet.
    pub fn new(channels: usize) -> Moments {
        Moments {
            count: 0.0,
            sum: DVector::zeros(channels),
            products: DMatrix::zeros(channels, channels),
            block: DMatrix::zeros(channels, BLOCK),
            waiting: 0,
        }
    }

    /// Takes one cell in.
    pub fn push(&mut self, cell: &[i16]) {
        for (to, &value) in self.block.column_mut(self.waiting).iter_mut().zip(cell) {
            *to = f64::from(value) / f64::from(UNIT);
        }
        self.waiting += 1;
        if self.waiting == BLOCK {
            self.settle();
        }
    }

    /// Brings the sums up to date.
    pub fn settle(&mut self) {
        let block = self.block.columns(0, self.waiting);
        self.count += self.waiting as f64;
        self.sum += block.column_sum();
        self.products.gemm(1.0, &block, &block.transpose(), 1.0);
        self.waiting = 0;
    }

    /// Values of a cell.
    pub fn channels(&self) -> usize {
        self.sum.len()
    }

    /// Number of cells in the sums.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Takes the cells of `other` in too, or, with `sign` -1, out.
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
    pub fn about(&self, centre: &DVector<f64>) -> DMatrix<f64> {
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
        all.settle();
        let real = |i: usize, k: usize| f64::from(cells[i][k]) / 64.0;
        let mean = |k: usize| (0..600).map(|i| real(i, k)).sum::<f64>() / 600.0;
        assert!((all.mean()[0] - mean(0)).abs() < 1e-12 && all.count() == 600.0);
        let centre = DVector::from_vec(vec![1.0, 2.0]);
        let expected = (0..600).map(|i| (real(i, 0) - 1.0) * (real(i, 1) - 2.0)).sum::<f64>() / 600.0;
        assert!((all.about(&centre)[(0, 1)] - expected).abs() < 1e-9);

        let mut first = Moments::new(2);
        cells[..100].iter().for_each(|cell| first.push(cell));
        first.settle();
        let mut rest = all.clone();
        rest.add(&first, -1.0);
        assert_eq!(rest.count(), 500.0);
        let expected = (100..600).map(|i| real(i, 1)).sum::<f64>() / 500.0;
        assert!((rest.mean()[1] - expected).abs() < 1e-9);
    }
}
