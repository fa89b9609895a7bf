//! Cells: a feature vector for each cell of the feature grid, normalized over the frame.
//!
//! Each feature is averaged over its 3×3 neighbourhood and normalized by its own mean and standard deviation over the frame, so that
//! brightness and exposure cancel out: `(f - mean) / (deviation + 1/4)`, in byte steps of the feature. Layers on half the grid are
//! enlarged bilinearly. Values are multiples of 1/[`UNIT`], the same on every CPU: sums are integers, and the floating-point part is
//! one division, one square root and one product, each rounded by IEEE 754.

use super::local_mean::{LocalMean, SHARE};
use super::view::{FeatureMaps, Layer};
use multiversion::multiversion;
use std::ops::Range;

/// Steps per standard deviation.
pub const UNIT: f32 = 64.0;

/// A quarter of a byte step, in 36ths: keeps a feature small that is flat over the frame.
const SPREAD_OFFSET: u16 = SHARE / 4;

/// Adding this to a small float leaves the float, rounded half to even, in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// The cells of one frame in one view, `[rows, columns, channels]`. Reused from frame to frame.
pub struct Cells {
    grid: (usize, usize),
    channels: usize,
    groups: Vec<Group>,
    values: Vec<i16>,
    planes: Vec<i16>,
}

/// Planes that are interleaved at a time, so that a cell receives whole parts of a cache line.
const PLANES_AT_ONCE: usize = 8;

/// The values of layers with the same grid, before they are enlarged to the grid of the cells.
pub struct Group {
    /// Columns and rows.
    pub grid: (usize, usize),
    /// The range of its values in a cell.
    pub channels: Range<usize>,
    /// `[rows, columns, channels]`
    values: Vec<i16>,
    local_mean: LocalMean,
}

impl Group {
    /// The values of each position of the grid, row by row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[i16]> {
        self.values.chunks_exact(self.channels.len())
    }
}

impl Cells {
    /// Buffers for cells on the grid of the first layer.
    ///
    /// # Errors
    /// One line, if a layer has neither the first layer's grid nor half of it.
    pub fn new(layers: &[Layer]) -> Result<Cells, String> {
        let first = layers.first().ok_or("no layer")?;
        let (columns, rows) = (first.columns, first.rows);
        let (mut groups, mut channels): (Vec<Group>, usize) = (Vec::new(), 0);
        for layer in layers {
            let same = (layer.columns, layer.rows) == (columns, rows);
            if !same && (2 * layer.columns, 2 * layer.rows) != (columns, rows) {
                return Err(format!(
                    "a layer of {}x{} beside one of {columns}x{rows}: only the same size or half is supported",
                    layer.columns, layer.rows
                ));
            }
            let grid = (layer.columns, layer.rows);
            let end = channels + layer.channels;
            match groups.last_mut() {
                Some(group) if group.grid == grid => group.channels.end = end,
                _ => {
                    let local_mean = LocalMean::new(layer.rows, layer.columns);
                    groups.push(Group { grid, channels: channels..end, values: Vec::new(), local_mean });
                }
            }
            channels = end;
        }
        for group in &mut groups {
            group.values.resize(group.grid.0 * group.grid.1 * group.channels.len(), 0);
        }
        let largest = groups.iter().map(|group| group.local_mean.len()).max().unwrap_or(0);
        let planes = vec![0; largest * PLANES_AT_ONCE];
        Ok(Cells { grid: (columns, rows), channels, groups, values: Vec::new(), planes })
    }

    /// Columns and rows.
    pub fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// Values in a cell.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The values by grid: what is linear in a cell's values can be computed there, for fewer positions, and enlarged afterwards.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The values of each cell, row by row; empty before [`Cells::join`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[i16]> {
        self.values.chunks_exact(self.channels)
    }

    /// Computes the values of a frame, by group.
    pub fn fill(&mut self, features: FeatureMaps<'_>) {
        let (mut channel, mut at) = (0, 0);
        for (layer, planes) in features.iter() {
            while self.groups.get(at).is_some_and(|group| group.channels.end <= channel) {
                at += 1;
            }
            let Some(group) = self.groups.get_mut(at) else { return };
            let (each, local_mean) = (group.channels.len(), &mut group.local_mean);
            let (length, width) = (local_mean.len(), local_mean.width());
            for some in planes.chunks(layer.plane() * PLANES_AT_ONCE) {
                let count = some.len() / layer.plane();
                for (plane, out) in some.chunks_exact(layer.plane()).zip(self.planes.chunks_exact_mut(length)) {
                    normalize(local_mean.of(plane), layer.plane(), out);
                }
                let own = channel - group.channels.start;
                for (row, values) in group.values.chunks_exact_mut(each * layer.columns).enumerate() {
                    for (position, values) in (row * width..).zip(values.chunks_exact_mut(each)) {
                        for (value, plane) in values[own..own + count].iter_mut().zip(self.planes.chunks_exact(length))
                        {
                            *value = plane[position];
                        }
                    }
                }
                channel += count;
            }
        }
    }

    /// Joins all groups on the grid of the cells.
    pub fn join(&mut self) {
        self.values.resize(self.grid.0 * self.grid.1 * self.channels, 0);
        for group in &self.groups {
            let cells = self.values.chunks_exact_mut(self.channels).map(|cell| &mut cell[group.channels.clone()]);
            if group.grid == self.grid {
                cells.zip(group.iter()).for_each(|(cell, values)| cell.copy_from_slice(values));
                continue;
            }
            let each = group.channels.len();
            for (cell, from) in cells.zip(upsampled(group.grid)) {
                let [a, b, c, d] = from.map(|position| &group.values[position * each..][..each]);
                for (i, to) in cell.iter_mut().enumerate() {
                    let [a, b, c, d] = [a[i], b[i], c[i], d[i]].map(i32::from);
                    *to = ((3 * (3 * a + b) + 3 * c + d + 8) >> 4) as i16;
                }
            }
        }
    }
}

/// Bilinear enlarging to twice the size: for each new position, row by row, the four old ones around it, which are weighted by 9, 3, 3
/// and 1 of 16. A new position lies a quarter of a step from the nearest old one.
pub fn upsampled((columns, rows): (usize, usize)) -> impl Iterator<Item = [usize; 4]> {
    // The two old positions between which a new one lies, the nearer first.
    let between = |at: usize, end: usize| {
        let near = at / 2;
        (near, if at.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(end - 1) })
    };
    (0..4 * columns * rows).map(move |position| {
        let (left, right) = between(position % (2 * columns), columns);
        let (near, far) = between(position / (2 * columns), rows);
        [near * columns + left, near * columns + right, far * columns + left, far * columns + right]
    })
}

/// `(value - mean) / (deviation + a quarter of a byte step)` in units of 1/[`UNIT`], for `count` values among zeros.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn normalize(values: &[u16], count: usize, out: &mut [i16]) {
    let count = count as u64;
    let (mut sum, mut squares) = (0, 0);
    // The sum of this many squares is below 2^32.
    for some in values.chunks(32) {
        sum += u64::from(some.iter().map(|&value| u32::from(value)).sum::<u32>());
        squares += u64::from(some.iter().map(|&value| u32::from(value) * u32::from(value)).sum::<u32>());
    }
    let mean = sum as f64 / count as f64;
    // Exact: both products are integers below 2^53.
    let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
    let scale = (f64::from(UNIT) / (variance.sqrt() + f64::from(SPREAD_OFFSET))) as f32;
    let mean = mean as f32;
    for (out, &value) in out.iter_mut().zip(values) {
        *out = ((f32::from(value) - mean) * scale + ROUND).to_bits() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(channels: usize, rows: usize, columns: usize) -> Layer {
        Layer { channels, rows, columns }
    }

    #[test]
    fn cells_are_in_standard_deviations_of_their_own_frame() {
        // Mean 72, deviation 27, and 9 for the quarter step: 27 / 36 of 64 units.
        let mut out = [0; 4];
        normalize(&[45, 45, 99, 99], 4, &mut out);
        assert_eq!(out, [-48, -48, 48, 48]);
        normalize(&[500; 4], 4, &mut out);
        assert_eq!(out, [0; 4]);
    }

    #[test]
    fn brightness_cancels_out() {
        let layers = [layer(2, 4, 4), layer(1, 2, 2)];
        let pattern: Vec<u8> = (0..36).map(|i| (i * i * 7 % 100) as u8).collect();
        let brighter: Vec<u8> = pattern.iter().map(|value| value + 100).collect();
        let cells = |bytes: &[u8]| {
            let mut cells = Cells::new(&layers).unwrap();
            cells.fill(FeatureMaps { layers: &layers, bytes });
            cells.join();
            cells.values
        };
        assert_eq!(cells(&pattern), cells(&brighter));
        assert!(cells(&pattern).iter().any(|value| *value != 0));
    }

    #[test]
    fn enlarging_keeps_a_slope() {
        let plane = [0i32, 64, 0, 64];
        let parts = |from: [usize; 4]| {
            from.iter().zip([9, 3, 3, 1]).map(|(&position, part)| plane[position] * part).sum::<i32>()
        };
        let out: Vec<i32> = upsampled((2, 2)).map(|from| parts(from) / 16).collect();
        assert_eq!(out[..4], [0, 16, 48, 64]);
        assert_eq!(out[4..8], out[..4]);
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        assert!(Cells::new(&[layer(1, 4, 4), layer(1, 3, 3)]).is_err());
        assert!(Cells::new(&[]).is_err());
    }
}
