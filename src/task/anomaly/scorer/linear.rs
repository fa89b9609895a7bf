//! The frame as a whole: a weighted sum of its pooled features, found by holding normal frames against synthetic defects
//! (teach/logistic.rs).

use super::interface::{Features, Scorer};
use super::matrix::Matrix;

/// A standardised value beyond this many spreads tells no more than one at it.
pub const CLIP: f32 = 6.0;

/// A weighted sum of pooled features.
pub struct LinearScorer {
    view: usize,
    /// `[values]` each: what is taken off, what it is multiplied with, and its weight.
    means: Vec<f32>,
    scales: Vec<f32>,
    weights: Vec<f32>,
}

impl LinearScorer {
    /// From the rows mean, 1 / spread, weight.
    ///
    /// # Errors
    /// One line, where the matrix does not fit `values` pooled values.
    pub fn new(view: usize, values: usize, matrix: &Matrix) -> Result<LinearScorer, String> {
        matrix.check(values, 3)?;
        let mut rows = matrix.rows().map(<[f32]>::to_vec);
        let mut next = || rows.next().unwrap_or_default();
        Ok(LinearScorer { view, means: next(), scales: next(), weights: next() })
    }
}

impl Scorer for LinearScorer {
    fn score(&mut self, features: &Features) -> f64 {
        // Eight sums side by side, in an order that is stated and not left to the compiler.
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
