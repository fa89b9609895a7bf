//! Whether memory grows, and how fast: Theil and Sen's slope (the median of the slopes of all pairs) and the share of pairs
//! that grow (Kendall's tau), of the minimum resident memory in each interval of a run.

use super::line_ref::LineRef;
use super::series::{Merge, Series};

/// Intervals of a run that are kept.
const INTERVALS: usize = 96;
/// The minimum length of a run for a result, in intervals and seconds.
const ENOUGH: (usize, f64) = (12, 1800.0);

/// The memory of one run over time.
pub struct MemoryTrend {
    minima: Series<MinRss>,
}

impl Default for MemoryTrend {
    fn default() -> Self {
        MemoryTrend { minima: Series::new(60_000, INTERVALS) }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct MinRss {
    bytes: u64,
    line_ref: Option<LineRef>,
}

impl Merge for MinRss {
    fn merge(&mut self, later: MinRss) {
        if later.line_ref.is_some() && (self.line_ref.is_none() || later.bytes < self.bytes) {
            *self = later;
        }
    }
}

/// Memory that grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryGrowth {
    /// Bytes at the beginning of what was looked at.
    pub from: f64,
    /// Bytes at its end.
    pub to: f64,
    /// How long that is, in seconds.
    pub seconds: f64,
    /// Bytes a second.
    pub slope: f64,
    /// Its first and its last line.
    pub line_refs: [LineRef; 2],
}

impl MemoryTrend {
    /// Takes in resident memory at a time of the run, in seconds.
    pub fn add(&mut self, time: Option<f64>, bytes: u64, line_ref: LineRef) {
        if let Some(time) = time {
            self.minima.at((time * 1000.0) as i64).merge(MinRss { bytes, line_ref: Some(line_ref) });
        }
    }

    /// How memory grew, where it did: over 3 % and 2 MiB, with nine of ten pairs growing. The first tenth of the run is left
    /// out: caches fill.
    pub fn judge(&self) -> Option<MemoryGrowth> {
        let points: Vec<(f64, f64, LineRef)> = self
            .minima
            .iter()
            .filter_map(|(time, minima)| Some((time as f64 / 1000.0, minima.bytes as f64, minima.line_ref?)))
            .collect();
        let points = &points[points.len() / 10..];
        let ((first, _, from), (last, _, to)) = (points.first().copied()?, points.last().copied()?);
        let seconds = last - first;
        if points.len() < ENOUGH.0 || seconds < ENOUGH.1 {
            return None;
        }
        let mut slopes = Vec::new();
        for (at, a) in points.iter().enumerate() {
            slopes.extend(points[at + 1..].iter().map(|b| (b.1 - a.1) / (b.0 - a.0)));
        }
        let growing = slopes.iter().filter(|slope| **slope > 0.0).count();
        slopes.sort_by(f64::total_cmp);
        let slope = slopes[slopes.len() / 2];
        let mut sizes: Vec<f64> = points.iter().map(|point| point.1).collect();
        sizes.sort_by(f64::total_cmp);
        let middle = sizes[sizes.len() / 2];
        let (start, end) = (middle - slope * seconds / 2.0, middle + slope * seconds / 2.0);
        let grown = end - start;
        let grows =
            growing as f64 >= 0.9 * slopes.len() as f64 && grown > 0.03 * start && grown > 2.0 * 1024.0 * 1024.0;
        grows.then_some(MemoryGrowth { from: start, to: end, seconds, slope, line_refs: [from, to] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(bytes: impl Fn(u64) -> u64) -> Option<MemoryGrowth> {
        let mut growth = MemoryTrend::default();
        for tick in 0..8640 {
            growth.add(Some(tick as f64 * 10.0), bytes(tick), LineRef::default());
        }
        growth.judge()
    }

    #[test]
    fn a_leak_is_found_and_its_rate() {
        // 50 MiB and a kilobyte a second, with waves of 4 MiB.
        let grown = judge(|tick| (50 << 20) + tick * 10_240 + (tick % 60) * 70_000).unwrap();
        assert!((grown.slope / 1024.0 - 1.0).abs() < 0.05, "{grown:?}");
    }

    #[test]
    fn waves_and_a_step_at_the_start_are_no_leak() {
        assert_eq!(judge(|tick| (50 << 20) + (tick % 500) * 20_000), None);
        assert_eq!(judge(|tick| if tick < 300 { 30 << 20 } else { 50 << 20 }), None);
        assert_eq!(judge(|_| 50 << 20), None);
    }
}
