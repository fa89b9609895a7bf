//! An interval of time: how long each stage took, the scores of the frames, their brightness and sharpness.

use super::Histogram;
use crate::task::anomaly::ImageStats;
use std::time::Duration;

/// Equal bins of scores 0..1. A fifth as many stand in records.
pub const SCORE_BINS: usize = 100;
const RECORDED_BINS: usize = 20;

/// Bins of severities in records, and how many of them make one: they end at 5, and the last takes what lies beyond.
const SEVERITY_BINS: usize = 20;
const BINS_PER_SEVERITY: f64 = 4.0;

/// A stage in a frame's life whose time is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From capture to verdict.
    Verdict,
    /// From capture to the beginning of inspection.
    Wait,
    /// Inspection itself.
    Judge,
    /// Enlarging.
    Enlarge,
    /// Records and pictures, on the writer's thread.
    Write,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 5] = [Stage::Verdict, Stage::Wait, Stage::Judge, Stage::Enlarge, Stage::Write];

    /// The name in records.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Verdict => "verdict",
            Stage::Wait => "wait",
            Stage::Judge => "judge",
            Stage::Enlarge => "enlarge",
            Stage::Write => "write",
        }
    }
}

/// The statistics of one frame that got a verdict.
#[derive(Debug, Clone, Copy)]
pub struct FrameStats {
    /// Its score.
    pub score: f64,
    /// Brightness and sharpness, in the units of [`ImageStats`]; `None` where the frame was not judged by the line's usual bundle.
    pub look: Option<(u32, u32)>,
    /// Whether it differs from the last frame that was distinct: a line at rest shows one part for hours.
    pub is_distinct: bool,
}

/// The measurements of an interval of time. Fixed in size; about 80 KiB.
#[derive(Clone)]
pub struct Interval {
    stages: [Histogram; 5],
    scores: [u32; SCORE_BINS],
    distinct_scores: [u32; SCORE_BINS],
    severities: [u32; SEVERITY_BINS],
    brightness: Histogram,
    sharpness: Histogram,
    /// Its length in seconds; set by the caller that ends it.
    pub seconds: f64,
    /// Frames captured in it; set by the caller that ends it.
    pub captured: u64,
}

impl Interval {
    /// An empty interval.
    pub fn new() -> Box<Interval> {
        Box::new(Interval {
            stages: [const { Histogram::new() }; 5],
            scores: [0; SCORE_BINS],
            distinct_scores: [0; SCORE_BINS],
            severities: [0; SEVERITY_BINS],
            brightness: Histogram::new(),
            sharpness: Histogram::new(),
            seconds: 0.0,
            captured: 0,
        })
    }

    /// Adds the time of a stage.
    pub fn add_time(&mut self, stage: Stage, time: Duration) {
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.stages[stage as usize].add(micros);
    }

    /// Adds a frame.
    pub fn add_frame(&mut self, frame: &FrameStats) {
        // Not a number becomes 0.
        let bin = ((frame.score * SCORE_BINS as f64) as usize).min(SCORE_BINS - 1);
        self.scores[bin] += 1;
        self.distinct_scores[bin] += u32::from(frame.is_distinct);
        if let Some((brightness, sharpness)) = frame.look {
            self.brightness.add(brightness);
            self.sharpness.add(sharpness);
        }
    }

    /// Adds the severity of a frame.
    pub fn add_severity(&mut self, severity: f64) {
        // Not a number becomes 0.
        self.severities[((severity * BINS_PER_SEVERITY) as usize).min(SEVERITY_BINS - 1)] += 1;
    }

    /// Adds the measurements of another interval.
    pub fn merge(&mut self, other: &Interval) {
        self.stages.iter_mut().zip(&other.stages).for_each(|(all, more)| all.merge(more));
        self.scores.iter_mut().zip(&other.scores).for_each(|(all, more)| *all += more);
        self.distinct_scores.iter_mut().zip(&other.distinct_scores).for_each(|(all, more)| *all += more);
        self.severities.iter_mut().zip(&other.severities).for_each(|(all, more)| *all += more);
        self.brightness.merge(&other.brightness);
        self.sharpness.merge(&other.sharpness);
        self.seconds += other.seconds;
        self.captured += other.captured;
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.stages.iter_mut().for_each(Histogram::clear);
        (self.scores, self.distinct_scores) = ([0; SCORE_BINS], [0; SCORE_BINS]);
        self.severities = [0; SEVERITY_BINS];
        self.brightness.clear();
        self.sharpness.clear();
        (self.seconds, self.captured) = (0.0, 0);
    }

    /// Times of a stage, in microseconds.
    pub fn stage(&self, stage: Stage) -> &Histogram {
        &self.stages[stage as usize]
    }

    /// Scores of the frames that showed something else than the one before.
    pub fn distinct_scores(&self) -> &[u32; SCORE_BINS] {
        &self.distinct_scores
    }

    /// Scores in twenty equal bins of 0..1, as in "0,0,3,…".
    pub fn scores_text(&self) -> String {
        let bins = self.scores.chunks(SCORE_BINS / RECORDED_BINS).map(|bins| bins.iter().sum::<u32>().to_string());
        bins.collect::<Vec<String>>().join(",")
    }

    /// Severities in twenty bins of a quarter each, the last without an end, as in "0,0,3,…".
    pub fn severities_text(&self) -> String {
        self.severities.map(|count| count.to_string()).join(",")
    }

    /// The median brightness of the frames, grey levels; `None` where there was none.
    pub fn brightness(&self) -> Option<f64> {
        (self.brightness.count() > 0).then(|| ImageStats::grey_levels(self.brightness.quantile(0.5)))
    }

    /// The median sharpness of the frames, thousandths; `None` where there was none.
    pub fn sharpness(&self) -> Option<f64> {
        (self.sharpness.count() > 0).then(|| ImageStats::thousandths(self.sharpness.quantile(0.5)))
    }

    /// Frames whose look is known.
    pub fn frames(&self) -> u64 {
        self.brightness.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(score: f64, brightness: u32, is_distinct: bool) -> FrameStats {
        FrameStats { score, look: Some((brightness, 2 * brightness)), is_distinct }
    }

    #[test]
    fn two_stretches_are_one_longer_one() {
        let (mut first, mut second) = (Interval::new(), Interval::new());
        first.add_frame(&frame(0.0, 1600, true));
        first.add_frame(&frame(1.0, 1600, false));
        second.add_frame(&frame(0.999, 1616, true));
        second.add_frame(&frame(f64::NAN, 1632, true));
        second.add_time(Stage::Judge, Duration::from_micros(40));
        first.add_severity(0.0);
        first.add_severity(0.999);
        [1.0, 4.9, 17.0, f64::INFINITY].into_iter().for_each(|severity| second.add_severity(severity));
        (first.seconds, second.seconds) = (10.0, 9.5);
        first.merge(&second);
        assert_eq!((first.seconds, first.frames(), first.stage(Stage::Judge).max()), (19.5, 4, 40));
        assert_eq!(first.scores_text(), "2,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2");
        assert_eq!(first.severities_text(), "1,0,0,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,3");
        assert_eq!(first.distinct_scores().iter().sum::<u32>(), 3);
        assert!((first.brightness().unwrap() - 100.0).abs() < 1.0, "{:?}", first.brightness());
        first.clear();
        assert_eq!((first.brightness(), first.sharpness(), first.stage(Stage::Judge).count()), (None, None, 0));
        assert!(std::mem::size_of::<Interval>() < 80 << 10, "{}", std::mem::size_of::<Interval>());
    }
}
