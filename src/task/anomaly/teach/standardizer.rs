//! Standardization of pooled features for the image-level methods.

use crate::task::anomaly::pooled::PooledStatistic;
use nalgebra::DMatrix;

/// Mean and inverse standard deviation of each pooled feature.
pub struct Standardizer {
    /// Means over normal pictures.
    pub means: Vec<f32>,
    /// 1 / standard deviation over normal pictures.
    pub scales: Vec<f32>,
}

impl Standardizer {
    /// Fits normal pictures, a row of features each. Statistics that are not `used` get a scale of 0.
    pub fn fit(normal: &[&[u16]], used: impl Fn(PooledStatistic) -> bool) -> Standardizer {
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
        // A hundredth of a byte step is added, so that a feature without variance has a finite scale.
        let scale = |pair| (1.0 / (spread(pair) + 2.56)) as f32;
        let scales = squares.iter().zip(&means).enumerate();
        let scales = scales.map(|(i, pair)| if used(PooledStatistic::at(i)) { scale(pair) } else { 0.0 }).collect();
        Standardizer { means: means.iter().map(|&mean| mean as f32).collect(), scales }
    }

    /// The standardized features, `[pictures, values]`.
    pub fn apply(&self, pictures: &[&[u16]]) -> DMatrix<f32> {
        DMatrix::from_fn(pictures.len(), self.means.len(), |picture, value| {
            (f32::from(pictures[picture][value]) - self.means[value]) * self.scales[value]
        })
    }
}
