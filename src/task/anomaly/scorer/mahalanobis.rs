//! Mahalanobis: the distance of the whole frame's pooled features from their mean, by their full covariance on normal frames
//! (Mahalanobis 1936; teach/mahalanobis.rs). The score is its logarithm.

use super::interface::{Features, Scorer};
use super::matrix::Matrix;
use super::product::dot_f32;
use crate::task::anomaly::pooled::{STATISTICS, means_and_spreads};

/// The share of the identity in the covariance: there are more features than pictures.
pub const RIDGE: f32 = 0.1;

/// The distance of means and spreads from their mean.
pub struct MahalanobisScorer {
    view: usize,
    means: Vec<f32>,
    scales: Vec<f32>,
    /// `[pictures, values]`: `W` with `S⁻¹ = (1 - W'W) / RIDGE`.
    explained: Vec<f32>,
    standardized: Vec<f32>,
}

impl MahalanobisScorer {
    /// From the rows mean, 1 / standard deviation, and those of `W`. `pooled` is the number of all pooled features.
    ///
    /// # Errors
    /// One line, where the matrix does not fit them.
    pub fn new(view: usize, pooled: usize, matrix: &Matrix) -> Result<MahalanobisScorer, String> {
        let values = 2 * pooled / STATISTICS;
        matrix.check(values, 3)?;
        let (means, rest) = matrix.values.split_at(values);
        let (scales, explained) = rest.split_at(values);
        let (means, scales, explained) = (means.to_vec(), scales.to_vec(), explained.to_vec());
        Ok(MahalanobisScorer { view, means, scales, explained, standardized: vec![0.0; values] })
    }
}

impl Scorer for MahalanobisScorer {
    fn score(&mut self, features: &Features) -> f64 {
        let parameters = self.means.iter().zip(&self.scales);
        for ((to, value), (mean, scale)) in
            self.standardized.iter_mut().zip(means_and_spreads(&features.pooled[self.view])).zip(parameters)
        {
            *to = (f32::from(value) - mean) * scale;
        }
        let all = dot_f32(&self.standardized, &self.standardized);
        let along = |row: &[f32]| dot_f32(row, &self.standardized);
        let explained: f64 = self.explained.chunks_exact(self.means.len()).map(along).map(|sum| sum * sum).sum();
        0.5 * libm::log(((all - explained) / f64::from(RIDGE)).max(0.0) + 1e-12)
    }

    fn view(&self) -> usize {
        self.view
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.explained[..]) + 3 * size_of_val(&self.means[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_normal_frames_vary_along_counts_less() {
        // One channel: mean and spread are used, the three others are not. W is (0.8, 0.6) times 0.5.
        let rows = [10.0, 10.0, 0.5, 1.0, 0.4, 0.3];
        let mut scorer = MahalanobisScorer::new(0, 5, &Matrix { columns: 2, values: rows.to_vec() }).unwrap();
        let mut of = |mean, spread| {
            let pooled = vec![vec![mean, 60_000, spread, 1, 7]];
            scorer.score(&Features { pooled, cells: Vec::new(), planes: Vec::new() })
        };
        // (4, 3) has the length 5 and lies along W: 25 - 2.5²; (3, -4) is perpendicular to it: 25.
        assert!((of(18, 13) - 0.5 * (18.75f64 / 0.1).ln()).abs() < 1e-6);
        assert!((of(16, 6) - 0.5 * (25f64 / 0.1).ln()).abs() < 1e-6);
        assert!(of(10, 10).is_finite());
        assert!(MahalanobisScorer::new(0, 10, &Matrix { columns: 2, values: rows.to_vec() }).is_err());
    }
}
