//! Place: how far each place of the frame is from what this very place looked like on normal frames, a Mahalanobis distance with a
//! mean and a covariance for each place (PaDiM, Defard et al. 2021; teach/place.rs). Where parts lie still it finds what is small:
//! a missing pin is common elsewhere on the part, but not here.

use super::interface::{Features, Scorer};
use super::matrix::Matrix;
use super::patch_distances::{FRACTION, PatchDistances};
use crate::task::anomaly::planes::{PlaceVectors, vector_len};
use crate::task::anomaly::view::Layer;
use multiversion::multiversion;

/// Distances from the mean of each place.
pub struct PlaceScorer {
    patch_distances: PatchDistances,
    each: usize,
    vectors: PlaceVectors,
    /// `[places, columns]`: the mean, then the columns of the whitening's lower triangle, each from its diagonal on.
    statistics: Vec<f32>,
    deviation: Vec<f32>,
    whitened: Vec<f32>,
}

/// The columns of the statistics of a place with vectors of this length.
pub fn place_columns(values: usize) -> usize {
    values + values * (values + 1) / 2
}

impl PlaceScorer {
    /// From a row for each place of the grid: the mean, and the lower triangle `W` of `W'W = (covariance)⁻¹`, column by column.
    ///
    /// # Errors
    /// One line, where the matrix does not fit the layers.
    pub fn new(view: usize, layers: &[Layer], top: f64, matrix: &Matrix) -> Result<PlaceScorer, String> {
        let most = layers.iter().map(|layer| layer.channels).max().unwrap_or(0);
        let fits = |each: &usize| place_columns(vector_len(layers, *each)) == matrix.columns;
        let each = (1..=most).find(fits).ok_or_else(|| {
            format!("{} columns: no number of planes of these layers has so many statistics", matrix.columns)
        })?;
        let vectors = PlaceVectors::new(layers, each);
        matrix.check(place_columns(vectors.values()), vectors.places())?;
        let values = vectors.values();
        Ok(PlaceScorer {
            patch_distances: PatchDistances::new(view, top),
            each,
            vectors,
            statistics: matrix.values.clone(),
            deviation: vec![0.0; values],
            whitened: vec![0.0; values],
        })
    }
}

impl Scorer for PlaceScorer {
    fn score(&mut self, features: &Features) -> f64 {
        self.vectors.fill(&features.planes[self.patch_distances.view]);
        let values = self.deviation.len();
        self.patch_distances.distances.clear();
        for (vector, statistics) in self.vectors.iter().zip(self.statistics.chunks_exact(place_columns(values))) {
            let (mean, whitening) = statistics.split_at(values);
            let deviations = vector.iter().zip(mean).map(|(value, mean)| value - mean);
            self.deviation.iter_mut().zip(deviations).for_each(|(to, value)| *to = value);
            let square = whitened_square(&self.deviation, whitening, &mut self.whitened) / values as f32;
            // The conversion saturates.
            self.patch_distances.distances.push((square * FRACTION) as u32);
        }
        self.patch_distances.score()
    }

    fn distances(&self) -> Option<&[u32]> {
        Some(&self.patch_distances.distances)
    }

    fn planes(&self) -> Option<usize> {
        Some(self.each)
    }

    fn view(&self) -> usize {
        self.patch_distances.view
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.statistics[..])
    }
}

/// `|W x|²`. Each element of `W x` adds its products in the order of the columns, so that vectors run across elements and every CPU
/// gives the same bits.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn whitened_square(x: &[f32], mut whitening: &[f32], out: &mut [f32]) -> f32 {
    out.fill(0.0);
    for (first, &value) in x.iter().enumerate() {
        let (column, rest) = whitening.split_at(x.len() - first);
        whitening = rest;
        for (to, weight) in out[first..].iter_mut().zip(column) {
            *to += weight * value;
        }
    }
    out.iter().fold(0.0, |sum, value| sum + value * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_own_normal() {
        let layers = [Layer { channels: 2, rows: 1, columns: 2 }];
        // The two places have opposite means in both planes; the second plane counts double.
        let (a, b) = (1.0f32, -1.0f32);
        let row = |mean: f32| [mean, mean, 1.0, 0.0, 2.0];
        let matrix = Matrix { columns: place_columns(2), values: [row(a), row(b)].concat() };
        let mut place = PlaceScorer::new(0, &layers, 1.0, &matrix).unwrap();
        assert_eq!(place.planes(), Some(2));
        let mut of = |planes: [u8; 4]| {
            let features = Features { pooled: Vec::new(), cells: Vec::new(), planes: vec![planes.to_vec()] };
            place.score(&features);
            place.distances().unwrap().to_vec()
        };
        // Deviation 100: values are ±100/100.25.
        let close = of([200, 0, 200, 0]);
        assert!(close.iter().all(|&distance| distance == 0), "{close:?}");
        // Both places off by about -2 and 2: (4 + 16) / 2.
        for distance in of([0, 200, 0, 200]) {
            assert!((distance as f32 / FRACTION - 10.0).abs() < 0.1, "{distance}");
        }
        let short = Matrix { columns: place_columns(2), values: row(a).to_vec() };
        assert!(PlaceScorer::new(0, &layers, 1.0, &short).is_err());
        let odd = Matrix { columns: 3, values: vec![1.0; 6] };
        assert!(PlaceScorer::new(0, &layers, 1.0, &odd).is_err_and(|problem| problem.starts_with("3 columns")));
    }
}
