//! Contrast and Gaussian: each cell's distance from the mean cell along directions that separate defects from normal.
//!
//! `d² = Σ_k (u_k · (z - m))²`, where the rows `u_k` result from training (teach/directions.rs). A frame's score is the logarithm of
//! the mean of its largest `d`. Layers on half the grid are projected there and the projections enlarged: the same apart from
//! rounding, for a quarter of the work.

use super::interface::{Features, Scorer};
use super::matrix::Matrix;
use super::patch_distances::{FRACTION, PatchDistances};
use super::product::dot_i16;
use crate::task::anomaly::cells::{Cells, UNIT, upsampled};

/// The largest integer in a stored direction. It keeps the product of direction and cell within `i32`: see `new`.
const LARGEST: f32 = 2047.0;

/// Distances of cells along a few directions.
pub struct PatchProjection {
    patch_distances: PatchDistances,
    channels: usize,
    /// Directions `[K, channels]`, each scaled to integers by its own unit.
    directions: Vec<i16>,
    /// `u_k · m`, in the direction's and the cells' units.
    offsets: Vec<i32>,
    /// The value of a 16th of a unit of the direction times a unit of the cells.
    units: Vec<f32>,
    /// The projections of each cell, in 16ths of those units.
    along: Vec<i64>,
    /// The projections of one group of layers, on its own grid.
    coarse: Vec<i32>,
}

impl PatchProjection {
    /// From the rows `m, u_1, …, u_K`; `top` is the share of a frame's cells whose mean distance is its score.
    ///
    /// # Errors
    /// One line, where the matrix does not fit cells of `channels` values.
    pub fn new(view: usize, channels: usize, top: f64, matrix: &Matrix) -> Result<PatchProjection, String> {
        matrix.check(channels, 2)?;
        // No value is over sqrt(cells) standard deviations: with 400 cells of 192 channels, or 100 of 512, a product is at
        // most sqrt(cells) · UNIT · LARGEST · channels < 2^31. What is larger wraps, the same way on every CPU.
        let mut rows = matrix.rows();
        let mean = rows.next().unwrap_or_default();
        let mut patch = PatchProjection {
            patch_distances: PatchDistances::new(view, top),
            channels,
            directions: Vec::with_capacity(rows.len() * channels),
            offsets: Vec::with_capacity(rows.len()),
            units: Vec::with_capacity(rows.len()),
            along: Vec::new(),
            coarse: Vec::new(),
        };
        for row in rows {
            let largest = row.iter().fold(0f32, |largest, value| largest.max(value.abs())).max(f32::MIN_POSITIVE);
            let scale = LARGEST / largest;
            let from = patch.directions.len();
            patch.directions.extend(row.iter().map(|value| (value * scale).round_ties_even() as i16));
            let along = patch.directions[from..].iter().zip(mean);
            let offset: f64 = along.map(|(&u, &m)| f64::from(u) * f64::from(m * UNIT)).sum();
            patch.offsets.push(offset.round_ties_even() as i32);
            patch.units.push(1.0 / (16.0 * scale * UNIT));
        }
        Ok(patch)
    }

    /// The squared distance of each cell, in 256ths.
    fn measure(&mut self, cells: &Cells) {
        let count = self.offsets.len();
        self.along.clear();
        for group in cells.groups() {
            let channels = group.channels.clone();
            self.coarse.clear();
            for cell in group.iter() {
                let directions = self.directions.chunks_exact(self.channels);
                self.coarse.extend(directions.map(|direction| dot_i16(&direction[channels.clone()], cell)));
            }
            if self.along.is_empty() {
                // The first group has the cells' grid.
                self.along.extend(self.coarse.iter().map(|own| 16 * i64::from(*own)));
                continue;
            }
            let along = self.along.chunks_exact_mut(count);
            if group.grid == cells.grid() {
                for (along, own) in along.flatten().zip(&self.coarse) {
                    *along += 16 * i64::from(*own);
                }
            } else {
                for (along, from) in along.zip(upsampled(group.grid)) {
                    let [a, b, c, d] = from.map(|place| &self.coarse[place * count..][..count]);
                    for (k, along) in along.iter_mut().enumerate() {
                        let [a, b, c, d] = [a[k], b[k], c[k], d[k]].map(i64::from);
                        *along += 3 * (3 * a + b) + 3 * c + d;
                    }
                }
            }
        }
        self.patch_distances.distances.clear();
        for along in self.along.chunks_exact(count) {
            let mut sum = 0f32;
            for ((along, offset), unit) in along.iter().zip(&self.offsets).zip(&self.units) {
                let along = (along - 16 * i64::from(*offset)) as f32 * unit;
                sum += along * along;
            }
            self.patch_distances.distances.push((sum * FRACTION) as u32);
        }
    }
}

impl Scorer for PatchProjection {
    fn score(&mut self, features: &Features) -> f64 {
        self.measure(&features.cells[self.patch_distances.view]);
        self.patch_distances.score()
    }

    fn distances(&self) -> Option<&[u32]> {
        Some(&self.patch_distances.distances)
    }

    fn view(&self) -> usize {
        self.patch_distances.view
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.directions[..]) + size_of_val(&self.offsets[..]) + size_of_val(&self.units[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_that_do_not_fit_are_refused() {
        let matrix = |values: &[f32]| Matrix { columns: 2, values: values.to_vec() };
        assert!(PatchProjection::new(0, 2, 0.1, &matrix(&[0.0, 0.0, 1.0, 0.0])).is_ok());
        assert!(PatchProjection::new(0, 3, 0.1, &matrix(&[0.0, 0.0, 1.0, 0.0])).is_err());
        assert!(PatchProjection::new(0, 2, 0.1, &matrix(&[0.0, 0.0])).is_err());
        let problem = PatchProjection::new(0, 2, 0.1, &matrix(&[0.0, 0.0, f32::NAN, 0.0])).err().unwrap();
        assert_eq!(problem, "row 1, value 0 is not a finite number");
    }
}
