//! Cells: what a place of the frame looks like, measured against the rest of the same frame.
//!
//! Each feature is averaged over its 3×3 neighbourhood and then set in relation to its own mean and spread over the
//! frame, so that light and exposure fall out: `(f - mean) / (spread + 1/4)`, in steps of the features' bytes. Layers on
//! half the grid are enlarged to it bilinearly. Values are whole numbers of [`UNIT`]ths, the same on every CPU: sums are
//! integers, and what is float is one division, one square root and one product, each rounded by IEEE 754.

use super::view::{Features, Layer};

/// Steps in one spread.
pub const UNIT: f32 = 64.0;

/// The mean of up to nine bytes is told in 36ths: 4, 6 and 9 divide it.
const SHARE: u32 = 36;

/// A quarter of a byte step, in 36ths: a feature that is flat over the frame stays small.
const LEAST_SPREAD: u32 = SHARE / 4;

/// Adding it to a small float leaves the float, rounded half to even, in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// The cells of one frame in one view, `[rows, columns, channels]`. Reused from frame to frame.
pub struct Cells {
    grid: (usize, usize),
    channels: usize,
    values: Vec<i16>,
    sums: Vec<u32>,
    means: Vec<u32>,
    plane: Vec<i16>,
    larger: Vec<i16>,
}

impl Cells {
    /// Room for cells on the grid of the first layer.
    ///
    /// # Errors
    /// One line, where a layer has neither the first layer's grid nor half of it.
    pub fn new(layers: &[Layer]) -> Result<Cells, String> {
        let first = layers.first().ok_or("no layer")?;
        let (columns, rows) = (first.columns, first.rows);
        for layer in layers {
            let same = (layer.columns, layer.rows) == (columns, rows);
            if !same && (2 * layer.columns, 2 * layer.rows) != (columns, rows) {
                return Err(format!(
                    "a layer of {}x{} beside one of {columns}x{rows}: the same or half is possible",
                    layer.columns, layer.rows
                ));
            }
        }
        let channels = layers.iter().map(|layer| layer.channels).sum();
        let cells = columns * rows;
        Ok(Cells {
            grid: (columns, rows),
            channels,
            values: vec![0; cells * channels],
            sums: vec![0; columns],
            means: vec![0; cells],
            plane: vec![0; cells],
            larger: vec![0; cells],
        })
    }

    /// Columns and rows.
    pub fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// Values in a cell.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Each cell's values, row by row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[i16]> {
        self.values.chunks_exact(self.channels)
    }

    /// Computes the cells of a frame.
    pub fn fill(&mut self, features: Features<'_>) {
        let mut channel = 0;
        for (layer, planes) in features.iter() {
            for plane in planes.chunks_exact(layer.plane()) {
                let means = &mut self.means[..layer.plane()];
                average(plane, layer, &mut self.sums, means);
                relate(means, &mut self.plane[..layer.plane()]);
                let full = if layer.columns == self.grid.0 {
                    &self.plane
                } else {
                    enlarge(&self.plane, layer, &mut self.larger);
                    &self.larger
                };
                for (cell, &value) in self.values.chunks_exact_mut(self.channels).zip(full) {
                    cell[channel] = value;
                }
                channel += 1;
            }
        }
    }
}

/// The mean of each 3×3 neighbourhood, in 36ths; at the border of what there is of it.
fn average(plane: &[u8], layer: Layer, sums: &mut [u32], out: &mut [u32]) {
    let Layer { rows, columns, .. } = layer;
    let last = columns - 1;
    for (y, out) in out.chunks_exact_mut(columns).enumerate() {
        let (top, bottom) = (y.saturating_sub(1), (y + 2).min(rows));
        let sums = &mut sums[..columns];
        sums.fill(0);
        for row in plane[top * columns..bottom * columns].chunks_exact(columns) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += u32::from(value);
            }
        }
        // 36 divides by every number of neighbours there can be.
        let high = (bottom - top) as u32;
        let (share, share_of_two) = (SHARE / (3 * high), SHARE / (2 * high));
        for (out, near) in out.iter_mut().skip(1).zip(sums.windows(3)) {
            *out = (near[0] + near[1] + near[2]) * share;
        }
        if last == 0 {
            out[0] = sums[0] * (SHARE / high);
        } else {
            out[0] = (sums[0] + sums[1]) * share_of_two;
            out[last] = (sums[last - 1] + sums[last]) * share_of_two;
        }
    }
}

/// `(value - mean) / (spread + a quarter of a byte step)` in [`UNIT`]ths.
fn relate(values: &[u32], out: &mut [i16]) {
    let count = values.len() as u64;
    let sum: u64 = values.iter().map(|&value| u64::from(value)).sum();
    let squares: u64 = values.iter().map(|&value| u64::from(value) * u64::from(value)).sum();
    let mean = sum as f64 / count as f64;
    // Exact: both products are integers below 2^53.
    let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
    let scale = (f64::from(UNIT) / (variance.sqrt() + f64::from(LEAST_SPREAD))) as f32;
    let mean = mean as f32;
    for (out, &value) in out.iter_mut().zip(values) {
        *out = ((value as f32 - mean) * scale + ROUND).to_bits() as i16;
    }
}

/// Twice the size: each new value lies a quarter of a step from its nearest old one.
fn enlarge(plane: &[i16], layer: Layer, out: &mut [i16]) {
    let Layer { rows, columns, .. } = layer;
    // The two old places that a new one lies between, the nearer first.
    let between = |at: usize, end: usize| {
        let near = at / 2;
        (near, if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(end - 1) })
    };
    for (y, out) in out.chunks_exact_mut(2 * columns).enumerate() {
        let (near, far) = between(y, rows);
        let (near, far) = (&plane[near * columns..][..columns], &plane[far * columns..][..columns]);
        for (x, out) in out.iter_mut().enumerate() {
            let (left, right) = between(x, columns);
            let row = |row: &[i16]| 3 * i32::from(row[left]) + i32::from(row[right]);
            *out = ((3 * row(near) + row(far) + 8) >> 4) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(channels: usize, rows: usize, columns: usize) -> Layer {
        Layer { channels, rows, columns }
    }

    #[test]
    fn averages_take_what_there_is_at_the_border() {
        let mut out = [0; 9];
        average(&[0, 0, 0, 0, 36, 0, 0, 0, 0], layer(1, 3, 3), &mut [0; 3], &mut out);
        assert_eq!(out, [324, 216, 324, 216, 144, 216, 324, 216, 324]);
        let mut one = [0];
        average(&[7], layer(1, 1, 1), &mut [0], &mut one);
        assert_eq!(one, [7 * SHARE]);
    }

    #[test]
    fn cells_are_told_in_spreads_of_their_own_frame() {
        // Mean 72, spread 27, and 9 for the quarter step: 27 / 36 of a spread of 64 units.
        let mut out = [0; 4];
        relate(&[45, 45, 99, 99], &mut out);
        assert_eq!(out, [-48, -48, 48, 48]);
        relate(&[500; 4], &mut out);
        assert_eq!(out, [0; 4]);
    }

    #[test]
    fn light_falls_out() {
        let layers = [layer(2, 4, 4), layer(1, 2, 2)];
        let pattern: Vec<u8> = (0..36).map(|i| (i * i * 7 % 100) as u8).collect();
        let brighter: Vec<u8> = pattern.iter().map(|value| value + 100).collect();
        let cells = |bytes: &[u8]| {
            let mut cells = Cells::new(&layers).unwrap();
            cells.fill(Features { layers: &layers, bytes });
            cells.values
        };
        assert_eq!(cells(&pattern), cells(&brighter));
        assert!(cells(&pattern).iter().any(|value| *value != 0));
    }

    #[test]
    fn enlarging_keeps_a_slope() {
        let mut out = [0; 16];
        enlarge(&[0, 64, 0, 64], layer(1, 2, 2), &mut out);
        assert_eq!(out[..4], [0, 16, 48, 64]);
        assert_eq!(out[4..8], out[..4]);
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        assert!(Cells::new(&[layer(1, 4, 4), layer(1, 3, 3)]).is_err());
        assert!(Cells::new(&[]).is_err());
    }
}
