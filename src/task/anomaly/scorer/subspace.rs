//! Subspace: the distance of the frame's pooled features from their mean, along the directions that separate defects from normal
//! (teach/subspace.rs). The score is `ln |V (x - mean) / deviation|`.

use super::interface::{Features, Scorer};
use super::matrix::Matrix;
use super::product::dot_f32;

/// Distances of pooled features along a few directions.
pub struct SubspaceScorer {
    view: usize,
    means: Vec<f32>,
    scales: Vec<f32>,
    /// `[K, values]`
    directions: Vec<f32>,
    standardized: Vec<f32>,
}

impl SubspaceScorer {
    /// From the rows mean, 1 / standard deviation, and one for each direction.
    ///
    /// # Errors
    /// One line, where the matrix does not fit `values` pooled features.
    pub fn new(view: usize, values: usize, matrix: &Matrix) -> Result<SubspaceScorer, String> {
        matrix.check(values, 3)?;
        let (means, rest) = matrix.values.split_at(values);
        let (scales, directions) = rest.split_at(values);
        let (means, scales, directions) = (means.to_vec(), scales.to_vec(), directions.to_vec());
        Ok(SubspaceScorer { view, means, scales, directions, standardized: vec![0.0; values] })
    }
}

impl Scorer for SubspaceScorer {
    fn score(&mut self, features: &Features) -> f64 {
        let parameters = self.means.iter().zip(&self.scales);
        for ((to, &value), (mean, scale)) in
            self.standardized.iter_mut().zip(&features.pooled[self.view]).zip(parameters)
        {
            *to = (f32::from(value) - mean) * scale;
        }
        let along = |direction: &[f32]| dot_f32(direction, &self.standardized);
        let squares: f64 = self.directions.chunks_exact(self.means.len()).map(along).map(|sum| sum * sum).sum();
        0.5 * libm::log(squares + 1e-12)
    }

    fn view(&self) -> usize {
        self.view
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.directions[..]) + 3 * size_of_val(&self.means[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_logarithm_of_the_length() {
        let rows = [10.0, 10.0, 0.5, 1.0, 1.0, 0.0, 0.0, 1.0];
        let mut subspace = SubspaceScorer::new(0, 2, &Matrix { columns: 2, values: rows.to_vec() }).unwrap();
        let features = Features { pooled: vec![vec![16, 14]], cells: Vec::new(), planes: Vec::new() };
        assert!((subspace.score(&features) - 5f64.ln()).abs() < 1e-9);
    }
}
