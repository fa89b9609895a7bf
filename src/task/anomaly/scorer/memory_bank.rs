//! The memory bank: cells of normal parts. A cell's distance is that to the nearest of them (PatchCore, Roth et al. 2022), in exact
//! integers.

use super::interface::{Features, Scorer};
use super::matrix::Matrix;
use super::patch_distances::{FRACTION, PatchDistances};
use super::product::dot_i16;
use crate::task::anomaly::cells::UNIT;

/// Values are clipped to eight standard deviations, so that squared distances of up to 2000 channels stay below 2^31.
const LARGEST: f32 = 8.0 * UNIT - 1.0;

/// Distances to the nearest of some normal cells.
pub struct MemoryBank {
    patch_distances: PatchDistances,
    channels: usize,
    /// `[rows, channels]`
    rows: Vec<i16>,
    /// `|row|²`
    squares: Vec<i32>,
    clipped: Vec<i16>,
}

impl MemoryBank {
    /// From rows of cells, in standard deviations; `top` is the share of the cells whose mean distance is the score.
    ///
    /// # Errors
    /// One line, where the matrix does not fit cells of `channels` values.
    pub fn new(view: usize, channels: usize, top: f64, matrix: &Matrix) -> Result<MemoryBank, String> {
        matrix.check(channels, 1)?;
        if channels > 2000 {
            return Err(format!("{channels} values in a cell: 2000 at most"));
        }
        let clip = |value: &f32| (value * UNIT).round_ties_even().clamp(-LARGEST, LARGEST) as i16;
        let rows: Vec<i16> = matrix.values.iter().map(clip).collect();
        let squares = rows.chunks_exact(channels).map(|row| dot_i16(row, row)).collect();
        Ok(MemoryBank {
            patch_distances: PatchDistances::new(view, top),
            channels,
            rows,
            squares,
            clipped: vec![0; channels],
        })
    }
}

impl Scorer for MemoryBank {
    fn score(&mut self, features: &Features) -> f64 {
        let limit = LARGEST as i16;
        self.patch_distances.distances.clear();
        for cell in features.cells[self.patch_distances.view].iter() {
            for (clipped, &value) in self.clipped.iter_mut().zip(cell) {
                *clipped = value.clamp(-limit, limit);
            }
            let own = dot_i16(&self.clipped, &self.clipped);
            let rows = self.rows.chunks_exact(self.channels).zip(&self.squares);
            let nearest = rows.map(|(row, square)| square - 2 * dot_i16(row, &self.clipped)).min().unwrap_or(0);
            // Squared units to 256ths of a squared standard deviation.
            let share = (FRACTION / (UNIT * UNIT)) as f64;
            self.patch_distances.distances.push(((own + nearest).max(0) as f64 * share) as u32);
        }
        self.patch_distances.score()
    }

    fn distances(&self) -> Option<&[u32]> {
        Some(&self.patch_distances.distances)
    }

    fn view(&self) -> usize {
        self.patch_distances.view
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.rows[..]) + size_of_val(&self.squares[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::anomaly::cells::Cells;
    use crate::task::anomaly::view::{FeatureMaps, Layer};

    #[test]
    fn the_nearest_row_counts() {
        let layers = [Layer { channels: 1, rows: 1, columns: 4 }];
        let mut cells = Cells::new(&layers).unwrap();
        cells.fill(FeatureMaps { layers: &layers, bytes: &[0, 0, 200, 200] });
        cells.join();
        let rows: Vec<f32> = cells.iter().skip(1).map(|cell| f32::from(cell[0]) / UNIT).collect();
        let mut features = Features { pooled: Vec::new(), cells: vec![cells], planes: Vec::new() };
        let mut bank = MemoryBank::new(0, 1, 1.0, &Matrix { columns: 1, values: rows.clone() }).unwrap();
        bank.score(&features);
        let own = f32::from(features.cells[0].iter().next().unwrap()[0]) / UNIT;
        let expected = rows.iter().map(|row| (row - own) * (row - own)).fold(f32::INFINITY, f32::min);
        assert!((bank.patch_distances.distances[0] as f32 / FRACTION - expected).abs() < 1.0 / 64.0);
        assert_eq!(bank.patch_distances.distances[1..], [0; 3]);
        features.cells[0].fill(FeatureMaps { layers: &layers, bytes: &[9; 4] });
        assert!(bank.score(&features).is_finite());
    }
}
