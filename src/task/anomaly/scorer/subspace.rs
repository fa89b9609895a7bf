//! The frame as a whole: its distance from the mean of its pooled features along the directions that tell defects from
//! normal (teach/subspace.rs). The score is `ln |V (x - mean) / spread|`.

use super::{Matrix, Scorer, Seen};
use multiversion::multiversion;

/// Distances of pooled features along a few directions.
pub struct Subspace {
    view: usize,
    means: Vec<f32>,
    scales: Vec<f32>,
    /// `[K, values]`
    directions: Vec<f32>,
    standard: Vec<f32>,
}

impl Subspace {
    /// From the rows mean, 1 / spread, and one for each direction.
    ///
    /// # Errors
    /// One line, where the matrix does not fit `values` pooled values.
    pub fn new(view: usize, values: usize, matrix: &Matrix) -> Result<Subspace, String> {
        if let Some(problem) = matrix.problem(values, 3) {
            return Err(problem);
        }
        let (means, rest) = matrix.values.split_at(values);
        let (scales, directions) = rest.split_at(values);
        let (means, scales, directions) = (means.to_vec(), scales.to_vec(), directions.to_vec());
        Ok(Subspace { view, means, scales, directions, standard: vec![0.0; values] })
    }
}

impl Scorer for Subspace {
    fn score(&mut self, seen: &Seen) -> f64 {
        let parameters = self.means.iter().zip(&self.scales);
        for ((to, &value), (mean, scale)) in self.standard.iter_mut().zip(&seen.pooled[self.view]).zip(parameters) {
            *to = (f32::from(value) - mean) * scale;
        }
        let along = |direction: &[f32]| sum_of_products(direction, &self.standard);
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

/// The dot product, in eight sums side by side: an order that is stated and not left to the compiler.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
pub fn sum_of_products(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0f32; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().map(|&sum| f64::from(sum)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_logarithm_of_the_length() {
        let rows = [10.0, 10.0, 0.5, 1.0, 1.0, 0.0, 0.0, 1.0];
        let mut subspace = Subspace::new(0, 2, &Matrix { columns: 2, values: rows.to_vec() }).unwrap();
        let seen = Seen { pooled: vec![vec![16, 14]], cells: Vec::new() };
        assert!((subspace.score(&seen) - 5f64.ln()).abs() < 1e-9);
    }
}
