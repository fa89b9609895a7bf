//! How long each stage of a frame's way takes: lately, for people; since the run began, for Prometheus.

use crate::field::{Interval, Stage};

/// Upper bounds of the buckets in `/metrics`, in milliseconds.
pub const BOUNDS: [u32; 13] = [1, 2, 5, 10, 20, 30, 50, 75, 100, 200, 500, 1000, 5000];

/// All stages, in the order of [`Stage::ALL`].
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTotals {
    /// How long the last stretch was, in seconds; 0 before its end.
    pub seconds: f64,
    took: [StageTimes; Stage::ALL.len()],
}

/// One stage.
#[derive(Debug, Clone, Copy, Default)]
pub struct StageTimes {
    /// The 50th, 95th and 99th percentile in the last stretch, in milliseconds; `None` where it did not run in it.
    pub percentiles: Option<[f64; 3]>,
    /// How often it ran since the run began,
    pub count: u64,
    /// how long that took together, in microseconds,
    pub micros: u64,
    /// and how often it took at most as long as each of [`BOUNDS`].
    pub at_most: [u64; BOUNDS.len()],
}

impl StageTotals {
    /// A stretch ended.
    pub fn add(&mut self, stretch: &Interval) {
        self.seconds = stretch.seconds;
        for (took, stage) in self.took.iter_mut().zip(Stage::ALL) {
            let times = stretch.stage(stage);
            let percentile = |share| f64::from(times.quantile(share)) / 1e3;
            took.percentiles = (times.count() > 0).then(|| [0.5, 0.95, 0.99].map(percentile));
            took.count += times.count();
            took.micros += times.sum();
            for (sum, bound) in took.at_most.iter_mut().zip(BOUNDS) {
                *sum += times.at_most(1000 * bound);
            }
        }
    }

    /// Each stage, as records call it.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &StageTimes)> {
        Stage::ALL.iter().map(|stage| stage.word()).zip(&self.took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn percentiles_are_the_last_stretchs_and_buckets_are_the_runs() {
        let mut stages = StageTotals::default();
        for millis in [7, 40] {
            let mut stretch = Interval::new();
            stretch.seconds = 10.0;
            (0..3).for_each(|_| stretch.add_time(Stage::Judge, Duration::from_millis(millis)));
            stages.add(&stretch);
        }
        let (word, judge) = stages.each().nth(Stage::Judge as usize).unwrap();
        assert_eq!((word, judge.percentiles, judge.count, judge.micros), ("judge", Some([40.0; 3]), 6, 141_000));
        let at_most: Vec<u64> = judge.at_most.to_vec();
        assert_eq!(at_most, [0, 0, 0, 3, 3, 3, 6, 6, 6, 6, 6, 6, 6]);
        assert_eq!(stages.each().next().unwrap().1.percentiles, None);
        stages.add(&Interval::new());
        assert_eq!(stages.each().nth(Stage::Judge as usize).unwrap().1.percentiles, None, "it rests");
    }
}
