//! Nuisance directions: what batches of good parts differ by, taken out of the pooled features before they are scored.
//!
//! `x' = m + D (I - Q Qᵀ) D⁻¹ (x - m)` with the mean m and the standard deviations D of the features of the frames first taught. The
//! columns of Q span the deviations of good frames of later batches (nuisance attribute projection, Solomonoff et al. 2005). Scorers
//! see neither of what differs, so all batches are near normal for them; in all other directions nothing changes.

use super::pooled_scale::PooledScale;
use super::scorer::{Matrix, dot_f32};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The most directions.
pub const MAX_DIRECTIONS: usize = 64;
/// The most directions of one batch.
const PER_BATCH: usize = 32;
/// Rounds of the iteration where a batch has more frames than directions.
const ROUNDS: usize = 8;
/// What is left of a frame's deviation below this share is rounding.
const MIN_SHARE: f64 = 1e-3;

/// Removes nuisance directions. Reused from frame to frame.
#[derive(Clone)]
pub struct Nuisance {
    scale: PooledScale,
    /// Orthonormal, `[directions, values]`.
    directions: Vec<f32>,
    standardized: Vec<f32>,
}

impl Nuisance {
    /// The directions of a batch of frames, pooled features each, besides those of `earlier` batches.
    pub fn fit(scale: &PooledScale, frames: &[&[u16]], earlier: Option<&Nuisance>) -> Nuisance {
        let values = scale.count();
        let mut basis: Vec<Vec<f64>> = earlier.map_or_else(Vec::new, |earlier| {
            earlier.directions.chunks_exact(values).map(|row| row.iter().map(|&v| f64::from(v)).collect()).collect()
        });
        let known = basis.len();
        let deviations: Vec<Vec<f64>> = frames.iter().map(|frame| scale.standardize(frame)).collect();
        let most = PER_BATCH.min(MAX_DIRECTIONS.saturating_sub(known));
        if deviations.len() <= most {
            deviations.iter().for_each(|deviation| extend(&mut basis, deviation.clone()));
        } else {
            // The directions of most variation about the mean first taught, by block iteration.
            let mut random = SplitMix64::seed_from_u64(0);
            let mut uniform = || (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            for _ in 0..most {
                extend(&mut basis, (0..values).map(|_| uniform()).collect());
            }
            for _ in 0..ROUNDS {
                let next: Vec<Vec<f64>> = basis[known..].iter().map(|own| second_moment(&deviations, own)).collect();
                basis.truncate(known);
                next.into_iter().for_each(|direction| extend(&mut basis, direction));
            }
        }
        let directions = basis.iter().flatten().map(|&value| value as f32).collect();
        Nuisance { scale: scale.clone(), directions, standardized: vec![0.0; values] }
    }

    /// From the matrix that a bundle stores, for `values` pooled features.
    ///
    /// # Errors
    /// One line that names the mismatch.
    pub fn from_matrix(matrix: &Matrix, values: usize) -> Result<Nuisance, String> {
        let rows = matrix.values.len() / matrix.columns.max(1);
        if matrix.columns != values || !(2..=2 + MAX_DIRECTIONS).contains(&rows) {
            return Err(format!(
                "{rows} rows of {} values: 2 to {} of {values} are needed",
                matrix.columns,
                2 + MAX_DIRECTIONS
            ));
        }
        if !matrix.values.iter().all(|value| value.is_finite()) {
            return Err("a value is not a finite number".into());
        }
        let scale = PooledScale::from_values(&matrix.values[..2 * values])?;
        Ok(Nuisance { scale, directions: matrix.values[2 * values..].to_vec(), standardized: vec![0.0; values] })
    }

    /// The matrix that a bundle stores.
    pub fn to_matrix(&self) -> Matrix {
        let rows = [&self.scale.values()[..], &self.directions].concat();
        Matrix { columns: self.scale.count(), values: rows }
    }

    /// Number of directions.
    pub fn count(&self) -> usize {
        self.directions.len() / self.scale.count().max(1)
    }

    /// Takes the directions out of a frame's pooled features.
    pub fn remove(&mut self, pooled: &mut [u16]) {
        let PooledScale { means, scales } = &self.scale;
        let parameters = means.iter().zip(scales);
        for ((to, &value), (mean, scale)) in self.standardized.iter_mut().zip(&*pooled).zip(parameters.clone()) {
            *to = (f32::from(value) - mean) * scale;
        }
        for direction in self.directions.chunks_exact(means.len().max(1)) {
            let along = dot_f32(direction, &self.standardized) as f32;
            for (value, direction) in self.standardized.iter_mut().zip(direction) {
                *value -= along * direction;
            }
        }
        for ((value, &standardized), (mean, scale)) in pooled.iter_mut().zip(&self.standardized).zip(parameters) {
            *value = (mean + standardized / scale + 0.5).clamp(0.0, f32::from(u16::MAX)) as u16;
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.directions[..]) + 3 * size_of_val(&self.standardized[..])
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `Σ d (d · v)` over the deviations d.
fn second_moment(deviations: &[Vec<f64>], direction: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; direction.len()];
    for deviation in deviations {
        let along = dot(deviation, direction);
        sum.iter_mut().zip(deviation).for_each(|(sum, value)| *sum += along * value);
    }
    sum
}

/// Adds what of a vector lies outside of an orthonormal basis (Gram and Schmidt, twice, because once is not exact).
fn extend(basis: &mut Vec<Vec<f64>>, mut vector: Vec<f64>) {
    let before = dot(&vector, &vector);
    for _ in 0..2 {
        for direction in basis.iter() {
            let along = dot(direction, &vector);
            vector.iter_mut().zip(direction).for_each(|(value, direction)| *value -= along * direction);
        }
    }
    let left = dot(&vector, &vector);
    if left > MIN_SHARE * MIN_SHARE * before {
        let length = left.sqrt();
        vector.iter_mut().for_each(|value| *value /= length);
        basis.push(vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: usize) -> PooledScale {
        PooledScale { means: vec![1000.0; values], scales: vec![0.01; values] }
    }

    #[test]
    fn what_a_batch_differs_by_is_removed_and_nothing_else() {
        let frames: [&[u16]; 2] = [&[1100, 1000, 1000, 1000], &[1200, 1100, 1000, 1000]];
        let mut nuisance = Nuisance::fit(&scale(4), &frames, None);
        assert_eq!(nuisance.count(), 2);
        let mut frame = [1300, 900, 1100, 950];
        nuisance.remove(&mut frame);
        assert_eq!(frame, [1000, 1000, 1100, 950]);
        // Stored and read back it does the same.
        let mut again = Nuisance::from_matrix(&nuisance.to_matrix(), 4).unwrap();
        let mut frame = [1300, 900, 1100, 950];
        again.remove(&mut frame);
        assert_eq!(frame, [1000, 1000, 1100, 950]);
        assert!(Nuisance::from_matrix(&nuisance.to_matrix(), 5).is_err());
    }

    #[test]
    fn a_batch_without_difference_changes_nothing_and_earlier_batches_stay() {
        let first = Nuisance::fit(&scale(3), &[&[1000; 3], &[1000; 3]], None);
        assert_eq!(first.count(), 0);
        let first = Nuisance::fit(&scale(3), &[&[1100, 1000, 1000]], None);
        let mut both = Nuisance::fit(&scale(3), &[&[1100, 1300, 1000], &[1100, 1000, 1000]], Some(&first));
        assert_eq!(both.count(), 2);
        let mut frame = [1234, 1234, 1234];
        both.remove(&mut frame);
        assert_eq!(frame, [1000, 1000, 1234]);
    }

    #[test]
    fn of_many_frames_the_directions_of_most_variation_count() {
        // Along each of the first values by less and less, in 40 values.
        let frames: Vec<Vec<u16>> = (0..200)
            .map(|i| (0..40).map(|value| 1000 + if i % 40 == value { 4000 / (1 + value) as u16 } else { 0 }).collect())
            .collect();
        let frames: Vec<&[u16]> = frames.iter().map(|frame| &frame[..]).collect();
        let mut nuisance = Nuisance::fit(&scale(40), &frames, None);
        assert_eq!(nuisance.count(), PER_BATCH);
        let mut frame = [1500u16; 40];
        nuisance.remove(&mut frame);
        assert!(frame[..8].iter().all(|value| value.abs_diff(1000) < 10), "{frame:?}");
        assert!(frame[39].abs_diff(1500) < 150, "{frame:?}");
    }
}
