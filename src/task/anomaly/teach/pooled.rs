//! Pooled features as the methods that judge the whole frame learn from them: in spreads from the mean of normal pictures.

use crate::task::anomaly::pooled::Statistic;
use nalgebra::DMatrix;

/// What a value is taken off and multiplied with.
pub struct Standard {
    /// Means over normal pictures.
    pub means: Vec<f32>,
    /// 1 / spread over normal pictures.
    pub scales: Vec<f32>,
}

impl Standard {
    /// Of these pictures; what is not `used` counts nothing.
    pub fn of(normal: &[&[u16]], used: impl Fn(Statistic) -> bool) -> Standard {
        let values = normal.first().map_or(0, |row| row.len());
        let count = normal.len().max(1) as f64;
        let (mut sums, mut squares) = (vec![0u64; values], vec![0u64; values]);
        for row in normal {
            for ((sum, square), &value) in sums.iter_mut().zip(&mut squares).zip(*row) {
                *sum += u64::from(value);
                *square += u64::from(value) * u64::from(value);
            }
        }
        let means: Vec<f64> = sums.iter().map(|&sum| sum as f64 / count).collect();
        let spread = |(&square, mean): (&u64, &f64)| (square as f64 / count - mean * mean).max(0.0).sqrt();
        // A value that is the same on every normal picture counts in steps of a hundredth of a byte.
        let scale = |pair| (1.0 / (spread(pair) + 2.56)) as f32;
        let scales = squares.iter().zip(&means).enumerate();
        let scales = scales.map(|(i, pair)| if used(Statistic::at(i)) { scale(pair) } else { 0.0 }).collect();
        Standard { means: means.iter().map(|&mean| mean as f32).collect(), scales }
    }

    /// A row a picture, `[pictures, values]`.
    pub fn apply(&self, pictures: &[&[u16]]) -> DMatrix<f32> {
        DMatrix::from_fn(pictures.len(), self.means.len(), |picture, value| {
            (f32::from(pictures[picture][value]) - self.means[value]) * self.scales[value]
        })
    }
}
