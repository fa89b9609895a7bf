//! The statistics of the place scorer: for each place of the frame the mean of its vectors on normal pictures, and what whitens them.
//!
//! A covariance of 64 values from a few dozen pictures is mostly noise, so that of a place is drawn towards the mean covariance of
//! all places, which counts as much as one picture for each value (a conjugate prior: Murphy 2012, section 4.6), and gets a
//! hundredth of the mean variance on its diagonal.

use super::scheme::PLANES;
use crate::task::anomaly::planes::PlaceVectors;
use crate::task::anomaly::scorer::{Matrix, place_columns};
use crate::task::anomaly::view::Layer;

/// Share of the mean variance that is added to the diagonal, and the least variance that is added: equal pictures have none.
const RIDGE: f64 = 0.01;
const MIN_RIDGE: f64 = 1e-4;

/// Moments of the vectors of each place.
#[derive(Clone)]
pub struct PlaceMoments {
    count: f64,
    values: usize,
    /// `[places, columns]`: sums of the values, then of the lower triangle of their products, row by row.
    sums: Vec<f64>,
}

impl PlaceMoments {
    /// Without any picture.
    pub fn new(vectors: &PlaceVectors) -> PlaceMoments {
        let values = vectors.values();
        PlaceMoments { count: 0.0, values, sums: vec![0.0; vectors.places() * place_columns(values)] }
    }

    /// Adds a picture.
    pub fn push(&mut self, vectors: &PlaceVectors) {
        self.count += 1.0;
        for (vector, sums) in vectors.iter().zip(self.sums.chunks_exact_mut(place_columns(self.values))) {
            let (mean, mut products) = sums.split_at_mut(self.values);
            for (row, &value) in vector.iter().enumerate() {
                mean[row] += f64::from(value);
                let (own, rest) = products.split_at_mut(row + 1);
                products = rest;
                for (sum, &other) in own.iter_mut().zip(vector) {
                    *sum += f64::from(value) * f64::from(other);
                }
            }
        }
    }

    /// Adds the pictures of `other`.
    pub fn add(&mut self, other: &PlaceMoments) {
        self.count += other.count;
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, other)| *sum += other);
    }
}

/// Vectors of the planes that are cached.
pub fn place_vectors(layers: &[Layer]) -> PlaceVectors {
    PlaceVectors::new(layers, PLANES)
}

/// A row for each place: its mean, then the columns of the lower triangle `W` with `W'W = (covariance)⁻¹`, for `PlaceScorer`.
///
/// # Errors
/// One line, where a covariance cannot be inverted; with the ridge none is known.
pub fn place(moments: &PlaceMoments) -> Result<Matrix, String> {
    let (values, columns) = (moments.values, place_columns(moments.values));
    let count = moments.count.max(1.0);
    let mut statistics: Vec<f64> = moments.sums.iter().map(|sum| sum / count).collect();
    let mut mean_covariance = vec![0.0; columns - values];
    let places = (statistics.len() / columns).max(1) as f64;
    for place in statistics.chunks_exact_mut(columns) {
        let (mean, covariance) = place.split_at_mut(values);
        for ((value, (row, column)), sum) in covariance.iter_mut().zip(triangle(values)).zip(&mut mean_covariance) {
            *value -= mean[row] * mean[column];
            *sum += *value / places;
        }
    }
    let trace: f64 = triangle(values).zip(&mean_covariance).filter(|((r, c), _)| r == c).map(|(_, value)| value).sum();
    let ridge = (RIDGE * trace / values as f64).max(MIN_RIDGE);
    let prior = values as f64;
    let mut out = Vec::with_capacity(statistics.len());
    for place in statistics.chunks_exact_mut(columns) {
        let (mean, covariance) = place.split_at_mut(values);
        for ((value, (row, column)), shared) in covariance.iter_mut().zip(triangle(values)).zip(&mean_covariance) {
            *value = (count * *value + prior * shared) / (count + prior) + if row == column { ridge } else { 0.0 };
        }
        let whitening = whitening(covariance, values)
            .ok_or("the features of these pictures have no covariance that can be inverted")?;
        out.extend(mean.iter().map(|&value| value as f32));
        for column in 0..values {
            out.extend((column..values).map(|row| whitening[at(row, column)] as f32));
        }
    }
    Ok(Matrix { columns, values: out })
}

/// Row and column of each element of a lower triangle, row by row.
fn triangle(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size).flat_map(|row| (0..=row).map(move |column| (row, column)))
}

/// The place of an element in a lower triangle that is stored row by row.
fn at(row: usize, column: usize) -> usize {
    row * (row + 1) / 2 + column
}

/// The inverse of the Cholesky factor of a symmetric matrix, all lower triangles by row (Golub and Van Loan 2013, sections 4.2 and
/// 3.1); `None` where the matrix is not positive definite.
fn whitening(covariance: &[f64], size: usize) -> Option<Vec<f64>> {
    let mut factor = covariance.to_vec();
    for row in 0..size {
        for column in 0..=row {
            let (a, b) = (at(row, 0), at(column, 0));
            let mut sum = factor[a + column];
            for k in 0..column {
                sum -= factor[a + k] * factor[b + k];
            }
            factor[a + column] = match row == column {
                true if sum > 0.0 => sum.sqrt(),
                true => return None,
                false => sum / factor[b + column],
            };
        }
    }
    let mut inverse = vec![0.0; factor.len()];
    for row in 0..size {
        let (a, diagonal) = (at(row, 0), factor[at(row, row)]);
        // Row by row: L⁻¹'s row is the unit row less L's row times the rows above, over the diagonal.
        for k in 0..row {
            let (weight, above) = (factor[a + k], at(k, 0));
            for column in 0..=k {
                inverse[a + column] -= weight * inverse[above + column];
            }
        }
        inverse[a + row] += 1.0;
        inverse[a..=a + row].iter_mut().for_each(|value| *value /= diagonal);
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    #[test]
    fn whitening_inverts_the_covariance() {
        let size = 7;
        let mut random = SplitMix64::seed_from_u64(3);
        let mut value = || (random.next_u64() >> 40) as f64 / f64::from(1 << 24) - 0.5;
        let root: Vec<Vec<f64>> = (0..size).map(|_| (0..size).map(|_| value()).collect()).collect();
        let product = |r: usize, c: usize| (0..size).map(|k| root[r][k] * root[c][k]).sum::<f64>();
        let covariance: Vec<f64> =
            triangle(size).map(|(r, c)| product(r, c) + if r == c { 0.1 } else { 0.0 }).collect();
        let w = whitening(&covariance, size).unwrap();
        let full = |m: &[f64], r: usize, c: usize| m[at(r.max(c), r.min(c))];
        // W C W' is the identity.
        for (r, c) in triangle(size) {
            let sum: f64 = (0..=r)
                .flat_map(|i| (0..=c).map(move |j| (i, j)))
                .map(|(i, j)| w[at(r, i)] * full(&covariance, i, j) * w[at(c, j)])
                .sum();
            assert!((sum - if r == c { 1.0 } else { 0.0 }).abs() < 1e-9, "{r} {c}: {sum}");
        }
        assert_eq!(whitening(&[1.0, 2.0, 1.0], 2), None);
    }

    #[test]
    fn a_place_that_never_varies_is_stricter_than_one_that_does() {
        let layers = [Layer { channels: PLANES, rows: 4, columns: 4 }];
        let mut vectors = place_vectors(&layers);
        let mut moments = PlaceMoments::new(&vectors);
        let mut random = SplitMix64::seed_from_u64(8);
        for _ in 0..200 {
            let planes: Vec<u8> = (0..PLANES * 16)
                .map(|i| if i % 16 == 5 { (random.next_u64() % 200) as u8 } else { (i % 16 * 9) as u8 })
                .collect();
            vectors.fill(&planes);
            moments.push(&vectors);
        }
        let matrix = place(&moments).unwrap();
        let diagonal = |place: usize| matrix.rows().nth(place).unwrap()[PLANES];
        assert!(diagonal(9) > 2.0 * diagonal(5), "{} {}", diagonal(9), diagonal(5));
        // Equal pictures have no covariance at all.
        let mut equal = PlaceMoments::new(&vectors);
        vectors.fill(&[7; PLANES * 16]);
        (0..3).for_each(|_| equal.push(&vectors));
        assert!(place(&equal).unwrap().values.iter().all(|value| value.is_finite()));
    }
}
