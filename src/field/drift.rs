//! Drift: whether the line's frames still match what the bundle was taught.
//!
//! Scores of the last two hours are compared with those of the normal pictures that were held out when the bundle was taught,
//! by two statistics: the Kolmogorov–Smirnov distance (the largest difference of the two cumulative distributions) and the
//! shift of the median. Both look one way: a held-out picture is a little stranger to a bundle that was taught without it than
//! the line's next frame is to the bundle with all, so a line usually scores somewhat lower than its baseline, and parts that
//! score lower are more normal, which calls for nothing. A difference of 5 % is taken for the same; and since neither the few
//! pictures of the baseline nor two hours of a line are all there is, the limits leave room for chance:
//!
//! ```text
//! limit = 0.05 + k · s      s² = v / 10 + 1 / (4 · pictures)      k = 4 for the distance, 3.5 for the median
//! ```
//!
//! where `v` is the variance, among the ten twelve-minute parts of the window, of the share of scores below the baseline's
//! median. Frames of one part of the line are alike, and so are those of one quarter of an hour; means of long parts hardly
//! are (batch means, Law and Kelton), so `v / 10` is the variance of the window's own share, whatever the pace of the line.
//! Of a line at rest, which shows one part for hours, only the first frame counts.
//!
//! Brightness and sharpness are watched over ten minutes, by their median and in units of the pictures' own spread: a lamp
//! that died or a lens with grease on it makes scores drift, too, and is reported as what it is instead.
//!
//! `docs/field-log.md` lists false alarms and times to detection, by simulation (`drift_tests.rs`).

use super::interval::SCORE_BINS;
use super::{Interval, baseline::Reference};
use crate::task::anomaly::Baseline;
use crate::telemetry::Record;
use log::Level;

/// A block of the window ends after this time, but not before it has so many frames.
const BLOCK_SECONDS: f64 = 120.0;
const BLOCK_FRAMES: u64 = 30;
/// Blocks of the window of scores, and from how many on it is judged.
const BLOCKS: usize = 60;
const LEAST_BLOCKS: usize = 24;
/// Blocks whose mean counts as independent of the next's.
const BATCH: usize = 6;
/// Blocks of the window of looks.
const LOOK_BLOCKS: usize = 5;
/// A difference that is no drift.
const MARGIN: f64 = 0.05;
/// Room for chance, in standard errors.
const KS_ERRORS: f64 = 4.0;
const MEDIAN_ERRORS: f64 = 3.5;
/// Changes that are no drift, relative to the baseline's median, and in its standard deviations; and no more than that.
const BRIGHTNESS_CHANGE: f64 = 0.15;
const SHARPNESS_CHANGE: f64 = 0.25;
const LOOK_SPREADS: f64 = 6.0;
const MOST_CHANGE: f64 = 0.8;
/// Scores that drift while one of these is over this part of its limit do so for its sake.
const HINT_PART: f64 = 0.3;
/// An episode is over once all is below this part of its limit for so many blocks.
const CALM_PART: f64 = 0.7;
const CALM_BLOCKS: u32 = 5;

/// A statistic that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftStatistic {
    /// The Kolmogorov–Smirnov distance of the scores, upwards.
    Ks,
    /// The shift of the scores' median, upwards.
    Median,
    /// The change of the brightness, relative.
    Brightness,
    /// The change of the sharpness, relative.
    Sharpness,
}

impl DriftStatistic {
    /// The name in records.
    pub fn word(self) -> &'static str {
        match self {
            DriftStatistic::Ks => "ks",
            DriftStatistic::Median => "median",
            DriftStatistic::Brightness => "brightness",
            DriftStatistic::Sharpness => "sharpness",
        }
    }
}

/// A review of the line is needed, or over. One of each per episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Review {
    /// Whether the review is needed; over where not.
    pub needed: bool,
    /// The statistic that was over its limit, or is the farthest from it now.
    pub statistic: DriftStatistic,
    /// Its value.
    pub value: f64,
    /// Its limit.
    pub limit: f64,
    /// Frames of the window.
    pub frames: u64,
    /// The probable cause.
    pub cause: &'static str,
}

impl Review {
    /// As a record.
    pub fn record(&self) -> Record {
        let thousandths = |value: f64| (value * 1000.0).round() / 1000.0;
        Record::new(if self.needed { Level::Warn } else { Level::Info }, "review")
            .with("review", if self.needed { "needed" } else { "over" })
            .with("statistic", self.statistic.word())
            .with("value", thousandths(self.value))
            .with("limit", thousandths(self.limit))
            .with("frames", self.frames)
            .with("cause", self.cause)
    }
}

/// A value beside its limit.
#[derive(Debug, Clone, Copy)]
struct Measure {
    statistic: DriftStatistic,
    value: f64,
    limit: f64,
}

impl Measure {
    /// The value as a part of its limit. Scores that fall and pictures that become sharper are no reason for anything.
    fn part(&self) -> f64 {
        let amount = match self.statistic {
            DriftStatistic::Ks | DriftStatistic::Median => self.value.max(0.0),
            DriftStatistic::Brightness => self.value.abs(),
            DriftStatistic::Sharpness => (-self.value).max(0.0),
        };
        amount / self.limit
    }
}

/// Compares a line with its baseline. Fixed in size, about 150 KiB.
pub struct DriftMonitor {
    reference: Option<Reference>,
    scores: ScoreWindow,
    looks: ImageWindow,
    parts: ReviewState,
    light: ReviewState,
    lens: ReviewState,
}

impl DriftMonitor {
    /// A monitor with the baseline of a bundle; without one it reports nothing.
    pub fn new(baseline: Option<&Baseline>) -> DriftMonitor {
        DriftMonitor {
            reference: baseline.map(Reference::new),
            scores: ScoreWindow::new(),
            looks: ImageWindow::new(),
            parts: ReviewState::default(),
            light: ReviewState::default(),
            lens: ReviewState::default(),
        }
    }

    /// Adds an interval; returns the reviews that begin or end with it.
    pub fn take(&mut self, interval: &Interval) -> Vec<Review> {
        let mut reviews = Vec::new();
        let Some(reference) = &self.reference else { return reviews };
        if self.looks.take(interval) {
            let frames = self.looks.frames();
            let [light, lens] = self.looks.judge(reference);
            reviews.extend(light.and_then(|light| self.light.step(&[light], "lamp, or lens covered?", frames)));
            // In the dark there is nothing to be sharp.
            let lens = lens.filter(|_| !self.light.on);
            reviews.extend(lens.and_then(|lens| self.lens.step(&[lens], "dirty lens?", frames)));
        }
        if self.light.on || self.lens.on {
            // The scores of such frames have no meaning for the parts; nor have they afterwards.
            self.scores.clear();
            reviews.extend(self.parts.drop());
            return reviews;
        }
        if self.scores.take(interval)
            && let Some(measures) = self.scores.judge(reference)
        {
            let [light, lens] = self.looks.judge(reference);
            let changed = |measure: Option<Measure>| measure.is_some_and(|measure| measure.part() > HINT_PART);
            let cause = match (changed(light), changed(lens)) {
                (true, _) => "lamp?",
                (_, true) => "dirty lens?",
                _ => "new parts?",
            };
            reviews.extend(self.parts.step(&measures, cause, self.scores.frames()));
        }
        reviews
    }

    /// The probable cause, while a review is needed.
    pub fn cause(&self) -> Option<&'static str> {
        [&self.light, &self.lens, &self.parts].into_iter().find(|episode| episode.on).map(|episode| episode.cause)
    }

    /// The Kolmogorov–Smirnov distance and the shift of the median, once there are frames enough.
    pub fn distance(&self) -> Option<(f64, f64)> {
        let [ks, median] = self.scores.judge(self.reference.as_ref()?)?;
        Some((ks.value, median.value))
    }
}

/// Whether a review is needed for one reason.
#[derive(Default)]
struct ReviewState {
    on: bool,
    calm: u32,
    cause: &'static str,
    last: Option<Review>,
}

impl ReviewState {
    fn step(&mut self, measures: &[Measure], cause: &'static str, frames: u64) -> Option<Review> {
        let worst = measures.iter().copied().max_by(|a, b| a.part().total_cmp(&b.part()))?;
        let Measure { statistic, value, limit } = worst;
        let review = Review { needed: !self.on, statistic, value, limit, frames, cause };
        if !self.on {
            if worst.part() <= 1.0 {
                return None;
            }
            (self.on, self.calm, self.cause, self.last) = (true, 0, cause, Some(review));
            return Some(review);
        }
        self.calm = if worst.part() < CALM_PART { self.calm + 1 } else { 0 };
        if self.calm < CALM_BLOCKS {
            return None;
        }
        self.on = false;
        Some(Review { cause: self.cause, ..review })
    }

    /// Ends it because of another, which explains it.
    fn drop(&mut self) -> Option<Review> {
        let was_on = std::mem::take(&mut self.on);
        self.last.filter(|_| was_on).map(|last| Review { needed: false, ..last })
    }
}

/// The scores of the last blocks, as cumulative shares.
struct ScoreWindow {
    blocks: [[f32; SCORE_BINS]; BLOCKS],
    frames: [u64; BLOCKS],
    /// Blocks that there are, and where the next one goes.
    count: usize,
    next: usize,
    counts: [u32; SCORE_BINS],
    seconds: f64,
}

impl ScoreWindow {
    fn new() -> ScoreWindow {
        ScoreWindow {
            blocks: [[0.0; SCORE_BINS]; BLOCKS],
            frames: [0; BLOCKS],
            count: 0,
            next: 0,
            counts: [0; SCORE_BINS],
            seconds: 0.0,
        }
    }

    fn clear(&mut self) {
        (self.count, self.next, self.seconds, self.counts) = (0, 0, 0.0, [0; SCORE_BINS]);
    }

    /// Adds scores; true where a block is full.
    fn take(&mut self, interval: &Interval) -> bool {
        self.counts.iter_mut().zip(interval.distinct_scores()).for_each(|(all, more)| *all += more);
        self.seconds += interval.seconds;
        let frames: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        if self.seconds < BLOCK_SECONDS || frames < BLOCK_FRAMES {
            return false;
        }
        let mut below = 0;
        for (share, count) in self.blocks[self.next].iter_mut().zip(&self.counts) {
            below += u64::from(*count);
            *share = (below as f64 / frames as f64) as f32;
        }
        self.frames[self.next] = frames;
        self.next = (self.next + 1) % BLOCKS;
        self.count = (self.count + 1).min(BLOCKS);
        (self.seconds, self.counts) = (0.0, [0; SCORE_BINS]);
        true
    }

    fn frames(&self) -> u64 {
        self.frames[..self.count].iter().sum()
    }

    /// Blocks from the oldest on.
    fn in_order(&self) -> impl Iterator<Item = &[f32; SCORE_BINS]> {
        let oldest = if self.count < BLOCKS { 0 } else { self.next };
        (0..self.count).map(move |i| &self.blocks[(oldest + i) % BLOCKS])
    }

    /// Distance and shift, each with its limit.
    fn judge(&self, reference: &Reference) -> Option<[Measure; 2]> {
        if self.count < LEAST_BLOCKS {
            return None;
        }
        let mut shares = [0.0; SCORE_BINS];
        for block in self.in_order() {
            shares.iter_mut().zip(block).for_each(|(all, share)| *all += f64::from(*share) / self.count as f64);
        }
        let ks = shares.iter().zip(&reference.shares).map(|(here, taught)| taught - here).fold(0.0, f64::max);
        let shift = super::baseline::median(&shares) - reference.median;
        // Of the newest blocks, so that a part is never of two sizes.
        let batches = self.count / BATCH;
        let skipped = self.count - batches * BATCH;
        let mut means = [0.0; BLOCKS / BATCH];
        for (at, block) in self.in_order().skip(skipped).enumerate() {
            means[at / BATCH] += f64::from(block[reference.middle]) / BATCH as f64;
        }
        let means = &means[..batches];
        let mean = means.iter().sum::<f64>() / batches as f64;
        let variance = means.iter().map(|of| (of - mean) * (of - mean)).sum::<f64>() / (batches - 1) as f64;
        let error = (variance / batches as f64 + 0.25 / reference.pictures).sqrt();
        Some([
            Measure { statistic: DriftStatistic::Ks, value: ks, limit: MARGIN + KS_ERRORS * error },
            Measure { statistic: DriftStatistic::Median, value: shift, limit: MARGIN + MEDIAN_ERRORS * error },
        ])
    }
}

/// Brightness and sharpness of the last blocks.
struct ImageWindow {
    /// By block: their medians, and frames.
    blocks: [(f64, f64, u64); LOOK_BLOCKS],
    count: usize,
    next: usize,
    current: Box<Interval>,
}

impl ImageWindow {
    fn new() -> ImageWindow {
        ImageWindow { blocks: [(0.0, 0.0, 0); LOOK_BLOCKS], count: 0, next: 0, current: Interval::new() }
    }

    /// Adds brightness and sharpness; true where a block is full.
    fn take(&mut self, interval: &Interval) -> bool {
        self.current.merge(interval);
        let (seconds, frames) = (self.current.seconds, self.current.frames());
        if seconds < BLOCK_SECONDS || frames < BLOCK_FRAMES {
            return false;
        }
        let (brightness, sharpness) = (self.current.brightness(), self.current.sharpness());
        self.blocks[self.next] = (brightness.unwrap_or(0.0), sharpness.unwrap_or(0.0), frames);
        self.next = (self.next + 1) % LOOK_BLOCKS;
        self.count = (self.count + 1).min(LOOK_BLOCKS);
        self.current.clear();
        true
    }

    fn frames(&self) -> u64 {
        self.blocks[..self.count].iter().map(|block| block.2).sum()
    }

    /// The changes of brightness and sharpness, each with its limit.
    fn judge(&self, reference: &Reference) -> [Option<Measure>; 2] {
        let Some(looks) = reference.looks.as_ref().filter(|_| self.count == LOOK_BLOCKS) else { return [None, None] };
        let change = |pick: fn(&(f64, f64, u64)) -> f64, usual: f64| {
            let mut values = self.blocks.map(|block| pick(&block));
            values.sort_by(f64::total_cmp);
            values[LOOK_BLOCKS / 2] / usual - 1.0
        };
        let limit = |least: f64, spread: f64| (LOOK_SPREADS * spread).max(least).min(MOST_CHANGE);
        let [light, sharp] = &looks;
        let brightness = light.map(|(usual, spread)| Measure {
            statistic: DriftStatistic::Brightness,
            value: change(|block| block.0, usual),
            limit: limit(BRIGHTNESS_CHANGE, spread),
        });
        let sharpness = sharp.map(|(usual, spread)| Measure {
            statistic: DriftStatistic::Sharpness,
            value: change(|block| block.1, usual),
            limit: limit(SHARPNESS_CHANGE, spread),
        });
        [brightness, sharpness]
    }
}

#[cfg(test)]
#[path = "drift_tests.rs"]
mod tests;
