//! How long things took over a whole log, from the percentiles of its intervals.
//!
//! A log has p50, p95, p99 and the maximum of each interval, not every frame. The frames of an interval are spread between
//! these: half of them up to p50, 45 % between p50 and p95, 4 % between p95 and p99, the rest up to the longest, evenly in the
//! logarithm. What comes out for the whole is exact where intervals are alike and between their values where they are not.

/// Buckets for each doubling.
const STEPS: f64 = 16.0;
/// From 2⁻⁸ ms to 2²⁰ ms: 4 µs to 17 minutes.
const LOWEST: f64 = -8.0;
const BUCKETS: usize = (28.0 * STEPS) as usize;

/// Percentiles of an interval, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Percentiles {
    /// Half are no longer.
    pub p50: f64,
    /// 95 % are no longer.
    pub p95: f64,
    /// 99 % are no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// A histogram of fixed size.
pub struct Latency {
    counts: Box<[f64; BUCKETS]>,
    total: f64,
    max: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { counts: Box::new([0.0; BUCKETS]), total: 0.0, max: 0.0 }
    }
}

impl Latency {
    /// Takes in an interval of `count` frames.
    pub fn interval(&mut self, count: f64, of: Percentiles) {
        if count <= 0.0 {
            return;
        }
        // The minimum of an interval is unknown: assumed as far below p50 as p95 is above it.
        let low = of.p50 * (of.p50 / of.p95.max(1e-9)).clamp(0.5, 1.0);
        self.spread(count * 0.5, low, of.p50);
        self.spread(count * 0.45, of.p50, of.p95);
        self.spread(count * 0.04, of.p95, of.p99);
        self.spread(count * 0.01, of.p99, of.max);
        self.max = self.max.max(of.max);
    }

    /// Takes in `count` frames that took `ms` each.
    pub fn frames(&mut self, count: f64, ms: f64) {
        self.spread(count, ms, ms);
        self.max = self.max.max(ms);
    }

    fn spread(&mut self, count: f64, from: f64, to: f64) {
        let position = |ms: f64| ((ms.max(1e-6).log2() - LOWEST) * STEPS).clamp(0.0, BUCKETS as f64 - 1.0);
        let (from, to) = (position(from), position(to.max(from)));
        self.total += count;
        let (first, last) = (from as usize, to as usize);
        let length = to - from;
        if first == last {
            self.counts[first] += count;
            return;
        }
        for bucket in first..=last {
            let inside = (bucket as f64 + 1.0).min(to) - (bucket as f64).max(from);
            self.counts[bucket] += count * inside / length;
        }
    }

    /// Takes in another.
    pub fn add(&mut self, other: &Latency) {
        self.counts.iter_mut().zip(other.counts.iter()).for_each(|(count, other)| *count += other);
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many frames it holds.
    pub fn count(&self) -> f64 {
        self.total
    }

    /// The time that a share `q` does not exceed, in milliseconds; `None` where there is nothing.
    pub fn percentile(&self, q: f64) -> Option<f64> {
        if self.total <= 0.0 {
            return None;
        }
        let mut left = q * self.total;
        for (bucket, count) in self.counts.iter().enumerate() {
            if *count > 0.0 && left <= *count {
                let position = bucket as f64 + left / count;
                return Some((position / STEPS + LOWEST).exp2().min(self.max));
            }
            left -= count;
        }
        Some(self.max)
    }

    /// p50, p95, p99 and the longest.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let of = |q| self.percentile(q);
        Some(Percentiles { p50: of(0.5)?, p95: of(0.95)?, p99: of(0.99)?, max: self.max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_are_alike_give_their_own_percentiles() {
        let mut latency = Latency::default();
        let of = Percentiles { p50: 20.0, p95: 31.0, p99: 44.0, max: 90.0 };
        for _ in 0..1000 {
            latency.interval(100.0, of);
        }
        let all = latency.percentiles().unwrap();
        for (found, expected) in [(all.p50, 20.0), (all.p95, 31.0), (all.p99, 44.0)] {
            // A bucket is 4.4 % wide.
            assert!((found / expected - 1.0).abs() < 0.045, "{found} {expected}");
        }
        assert_eq!(all.max, 90.0);
        assert_eq!(latency.count().round(), 100_000.0);
    }

    #[test]
    fn a_slow_hour_shows_in_p99_and_not_in_p50() {
        let mut latency = Latency::default();
        let of = |p50: f64| Percentiles { p50, p95: p50 * 1.2, p99: p50 * 1.3, max: p50 * 2.0 };
        (0..23).for_each(|_| latency.interval(1000.0, of(10.0)));
        latency.interval(1000.0, of(100.0));
        let all = latency.percentiles().unwrap();
        assert!((9.0..11.0).contains(&all.p50), "{all:?}");
        assert!((90.0..130.0).contains(&all.p99), "{all:?}");
    }

    #[test]
    fn nothing_and_nonsense_are_survived() {
        assert_eq!(Latency::default().percentiles(), None);
        let mut latency = Latency::default();
        latency.interval(1.0, Percentiles { p50: 5.0, p95: 1.0, p99: -3.0, max: 1e12 });
        latency.frames(1.0, 0.0);
        assert!(latency.percentile(0.99).unwrap().is_finite());
    }
}
