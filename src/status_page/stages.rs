//! Durations of each stage of a frame: of the last interval, for people; since the start of the run, for Prometheus.

use crate::field::{Interval, Stage};

/// Upper bounds of the buckets in `/metrics`, in milliseconds.
pub const BOUNDS: [u32; 13] = [1, 2, 5, 10, 20, 30, 50, 75, 100, 200, 500, 1000, 5000];

/// All stages, in the order of [`Stage::ALL`].
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTotals {
    /// Length of the last interval, in seconds; 0 before the first has ended.
    pub seconds: f64,
    stages: [StageTimes; Stage::ALL.len()],
}

/// Durations of one stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTimes {
    /// The 50th, 95th and 99th percentile in the last interval, in milliseconds; `None` if the stage did not run.
    pub percentiles: Option<[f64; 3]>,
    /// How often it ran since the start of the run.
    pub count: u64,
    /// The sum of its durations since then, in microseconds.
    pub micros: u64,
    /// How often it took at most each of [`BOUNDS`] since then.
    pub at_most: [u64; BOUNDS.len()],
}

impl StageTotals {
    /// Adds an interval.
    pub fn add(&mut self, interval: &Interval) {
        self.seconds = interval.seconds;
        for (took, stage) in self.stages.iter_mut().zip(Stage::ALL) {
            let times = interval.stage(stage);
            let percentile = |share| f64::from(times.quantile(share)) / 1e3;
            took.percentiles = (times.count() > 0).then(|| [0.5, 0.95, 0.99].map(percentile));
            took.count += times.count();
            took.micros += times.sum();
            for (sum, bound) in took.at_most.iter_mut().zip(BOUNDS) {
                *sum += times.at_most(1000 * bound);
            }
        }
    }

    /// The stages, each with its name in records.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &StageTimes)> {
        Stage::ALL.iter().map(|stage| stage.word()).zip(&self.stages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn percentiles_are_of_the_last_interval_and_buckets_of_the_run() {
        let mut stages = StageTotals::default();
        for millis in [7, 40] {
            let mut interval = Interval::new();
            interval.seconds = 10.0;
            (0..3).for_each(|_| interval.add_time(Stage::Judge, Duration::from_millis(millis)));
            stages.add(&interval);
        }
        let (word, judge) = stages.each().nth(Stage::Judge as usize).unwrap();
        assert_eq!((word, judge.percentiles, judge.count, judge.micros), ("judge", Some([40.0; 3]), 6, 141_000));
        let at_most: Vec<u64> = judge.at_most.to_vec();
        assert_eq!(at_most, [0, 0, 0, 3, 3, 3, 6, 6, 6, 6, 6, 6, 6]);
        assert_eq!(stages.each().next().unwrap().1.percentiles, None);
        stages.add(&Interval::new());
        assert_eq!(stages.each().nth(Stage::Judge as usize).unwrap().1.percentiles, None, "it did not run");
    }
}
