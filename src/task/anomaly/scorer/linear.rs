//! Linear: a weighted sum of the frame's pooled features, from logistic regression of normal frames against defects
//! (teach/logistic.rs).

use super::interface::{Features, Scorer};
use super::matrix::Matrix;

/// Standardized features are clipped to this many standard deviations.
pub const CLIP: f32 = 6.0;

/// A weighted sum of pooled features.
pub struct LinearScorer {
    view: usize,
    /// `[values]` each: mean, 1 / standard deviation, and weight.
    means: Vec<f32>,
    scales: Vec<f32>,
    weights: Vec<f32>,
}

impl LinearScorer {
    /// From the rows mean, 1 / standard deviation, weight.
    ///
    /// # Errors
    /// One line, where the matrix does not fit `values` pooled features.
    pub fn new(view: usize, values: usize, matrix: &Matrix) -> Result<LinearScorer, String> {
        matrix.check(values, 3)?;
        let mut rows = matrix.rows().map(<[f32]>::to_vec);
        let mut next = || rows.next().unwrap_or_default();
        Ok(LinearScorer { view, means: next(), scales: next(), weights: next() })
    }
}

impl Scorer for LinearScorer {
    fn score(&mut self, features: &Features) -> f64 {
        // Eight parallel sums: a fixed order of addition, so that every CPU gives the same bits.
        let mut sums = [0f32; 8];
        let parameters = self.means.iter().zip(&self.scales).zip(&self.weights);
        for (at, (&value, ((mean, scale), weight))) in features.pooled[self.view].iter().zip(parameters).enumerate() {
            sums[at % 8] += ((f32::from(value) - mean) * scale).clamp(-CLIP, CLIP) * weight;
        }
        sums.iter().map(|&sum| f64::from(sum)).sum()
    }

    fn view(&self) -> usize {
        self.view
    }

    fn bytes(&self) -> usize {
        3 * size_of_val(&self.weights[..])
    }
}
