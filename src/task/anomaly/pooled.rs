//! Pooled features of a whole frame: for each feature its mean, its maximum, and the logarithms of its standard deviation over the
//! frame, over the means of rows, and over the means of columns.

use super::view::{FeatureMaps, Layer};
use multiversion::multiversion;

/// Added to a standard deviation before its logarithm is taken, in byte steps of the feature, so that a flat feature stays finite.
const SPREAD_OFFSET: f64 = 0.25;

/// Columns that are summed at a time.
const BLOCK: usize = 32;

/// Values per channel, in the order of [`PooledStatistic`].
pub const STATISTICS: usize = 5;

/// The statistic that a pooled value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PooledStatistic {
    /// The mean, in 256ths of a byte step.
    Mean,
    /// The maximum, in 256ths of a byte step.
    Highest,
    /// `8192 · (ln(deviation + 1/4) + 2)`.
    Spread,
    /// The same for the standard deviation of the means of rows.
    Rows,
    /// The same for the standard deviation of the means of columns.
    Columns,
}

impl PooledStatistic {
    /// The statistic of the pooled value at `index`.
    pub fn at(index: usize) -> PooledStatistic {
        match index % STATISTICS {
            0 => PooledStatistic::Mean,
            1 => PooledStatistic::Highest,
            2 => PooledStatistic::Spread,
            3 => PooledStatistic::Rows,
            _ => PooledStatistic::Columns,
        }
    }

    /// Whether it is the mean or the spread: these two tell how a frame looks as a whole.
    pub fn is_mean_or_spread(self) -> bool {
        matches!(self, PooledStatistic::Mean | PooledStatistic::Spread)
    }
}

/// The means and the spreads of pooled values.
pub fn means_and_spreads<T: Copy>(pooled: &[T]) -> impl Iterator<Item = T> {
    pooled.chunks_exact(STATISTICS).flat_map(|channel| [channel[0], channel[2]])
}

/// The number of values that [`pool`] writes for these layers.
pub fn pooled_len(layers: &[Layer]) -> usize {
    STATISTICS * layers.iter().map(|layer| layer.channels).sum::<usize>()
}

/// Writes `[channels of all layers, STATISTICS]` values to `out`. Sums are integers and the logarithm is libm's, so they are the same
/// on every CPU.
pub fn pool(features: FeatureMaps<'_>, out: &mut Vec<u16>) {
    out.clear();
    for (layer, planes) in features.iter() {
        let Layer { rows, columns, .. } = layer;
        for plane in planes.chunks_exact(layer.plane()) {
            let PlaneSums { all: sums, by_row, by_column, highest } = add_up(plane, columns);
            let count = layer.plane() as u64;
            out.push(((256 * sums.sum + count / 2) / count) as u16);
            out.push(256 * u16::from(highest));
            out.push(logarithm(sums.spread(count)));
            out.push(logarithm(by_row.spread(rows as u64) / columns as f64));
            out.push(logarithm(by_column.spread(columns as u64) / rows as f64));
        }
    }
}

/// Sums over a plane.
#[derive(Default)]
struct PlaneSums {
    all: Sums,
    by_row: Sums,
    by_column: Sums,
    highest: u8,
}

#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_up(plane: &[u8], columns: usize) -> PlaneSums {
    let mut sums = PlaneSums::default();
    for row in plane.chunks_exact(columns) {
        let (mut sum, mut squares, mut highest) = (0u32, 0u32, 0u8);
        for &value in row {
            sum += u32::from(value);
            squares += u32::from(value) * u32::from(value);
            highest = highest.max(value);
        }
        sums.all.add(u64::from(sum), u64::from(squares));
        sums.by_row.add(u64::from(sum), u64::from(sum) * u64::from(sum));
        sums.highest = sums.highest.max(highest);
    }
    // A block of columns at a time, so that the sums stay in registers.
    for from in (0..columns).step_by(BLOCK) {
        let mut column_sums = [0u32; BLOCK];
        for row in plane.chunks_exact(columns) {
            for (sum, &value) in column_sums.iter_mut().zip(&row[from..]) {
                *sum += u32::from(value);
            }
        }
        for &sum in column_sums.iter().take(columns - from) {
            sums.by_column.add(u64::from(sum), u64::from(sum) * u64::from(sum));
        }
    }
    sums
}

#[derive(Default)]
struct Sums {
    sum: u64,
    squares: u64,
}

impl Sums {
    fn add(&mut self, sum: u64, squares: u64) {
        self.sum += sum;
        self.squares += squares;
    }

    /// The standard deviation of `count` values.
    fn spread(&self, count: u64) -> f64 {
        ((count * self.squares - self.sum * self.sum) as f64 / (count * count) as f64).sqrt()
    }
}

/// Between 5000 and 57 000, because the standard deviation of bytes is at most 127.5.
fn logarithm(spread: f64) -> u16 {
    (8192.0 * (libm::log(spread + SPREAD_OFFSET) + 2.0) + 0.5) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_peak_and_spreads() {
        let layers = [Layer { channels: 2, rows: 2, columns: 2 }];
        let mut out = Vec::new();
        pool(FeatureMaps { layers: &layers, bytes: &[0, 0, 8, 8, 5, 5, 5, 5] }, &mut out);
        assert_eq!(out.len(), pooled_len(&layers));
        let close = |value: u16, spread: f64| {
            assert!((f64::from(value) / 8192.0 - 2.0 - (spread + 0.25).ln()).abs() < 1e-4, "{value} {spread}");
        };
        assert_eq!(out[..2], [4 * 256, 8 * 256]);
        close(out[2], 4.0);
        close(out[3], 4.0);
        close(out[4], 0.0);
        assert_eq!(out[5..7], [5 * 256, 5 * 256]);
        out[7..].iter().for_each(|&value| close(value, 0.0));
        let kept: Vec<u16> =
            (0..10).filter(|&at| PooledStatistic::at(at).is_mean_or_spread()).map(|at| out[at]).collect();
        assert_eq!(means_and_spreads(&out).collect::<Vec<u16>>(), kept);
        assert_eq!(kept.len(), 4);
    }
}
