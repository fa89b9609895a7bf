//! What is known of one interval of time on one board.

use super::latency::Percentiles;
use super::line_ref::{LineRef, Peak};
use super::series::Merge;
use super::status::{BINS, FrameCounts, STAGES};

/// An interval of time.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    /// The first status in it.
    pub first: Option<LineRef>,
    /// Seconds that statuses cover.
    pub seconds: f64,
    /// Of these, seconds in which the line was inspected.
    pub watched: f64,
    /// Of these, seconds in which it was not inspected.
    pub blind: f64,
    /// Frames by fate.
    pub frames: FrameCounts,
    /// Frames that counted as defect.
    pub defects: u64,
    /// The share of normal frames, 0..1, that the bundle lets count as defect, where it is known.
    pub promised: MeanAndMax,
    /// Each stage's latency.
    pub stages: [Stage; STAGES.len()],
    /// The longest frame-to-verdict time at 99 %.
    pub p99: Peak,
    /// The largest share of dropped frames in a status.
    pub dropped: Peak,
    /// Resident memory, in bytes.
    pub rss: Peak,
    /// In °C.
    pub temperature: MeanAndMax,
    /// The throttle bits that were set.
    pub throttled: u32,
    /// Where one of the bits 0 to 3 was seen set first.
    pub throttled_at: Option<LineRef>,
    /// The highest rung of the heat ladder.
    pub heat: u64,
    /// Grey levels.
    pub brightness: MeanAndMax,
    /// Thousandths of the brightness.
    pub sharpness: MeanAndMax,
    /// Counts of scores in equal bins of 0..1.
    pub scores: [u64; BINS],
    /// Counts of severities in equal bins of 0..[`SEVEREST`](super::SEVEREST).
    pub severities: [u64; BINS],
    /// Event records.
    pub events: u64,
    /// Runs that began.
    pub starts: u64,
}

impl Bucket {
    /// Frames per second over the time that statuses cover.
    pub fn fps(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.frames.captured as f64 / self.seconds)
    }
}

impl Merge for Bucket {
    fn merge(&mut self, later: Bucket) {
        self.first = self.first.or(later.first);
        self.seconds += later.seconds;
        self.watched += later.watched;
        self.blind += later.blind;
        self.frames = self.frames.plus(&later.frames);
        self.defects += later.defects;
        for (stage, later) in self.stages.iter_mut().zip(&later.stages) {
            stage.merge(later);
        }
        for (peak, later) in
            [(&mut self.p99, later.p99), (&mut self.dropped, later.dropped), (&mut self.rss, later.rss)]
        {
            if let Some(line_ref) = later.line_ref {
                peak.observe(later.value, line_ref);
            }
        }
        self.promised.merge(&later.promised);
        self.temperature.merge(&later.temperature);
        self.brightness.merge(&later.brightness);
        self.sharpness.merge(&later.sharpness);
        self.throttled |= later.throttled;
        self.throttled_at = self.throttled_at.or(later.throttled_at);
        self.heat = self.heat.max(later.heat);
        for (bin, later) in self.scores.iter_mut().zip(later.scores) {
            *bin += later;
        }
        for (bin, later) in self.severities.iter_mut().zip(later.severities) {
            *bin += later;
        }
        self.events += later.events;
        self.starts += later.starts;
    }
}

/// The mean and the largest of something.
#[derive(Debug, Clone, Copy, Default)]
pub struct MeanAndMax {
    sum: f64,
    weight: f64,
    /// The largest.
    pub max: f64,
}

impl MeanAndMax {
    /// Takes in a value.
    pub fn add(&mut self, value: f64, weight: f64) {
        self.max = if self.weight > 0.0 { self.max.max(value) } else { value };
        self.sum += value * weight;
        self.weight += weight;
    }

    /// The mean, where there is anything.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }

    fn merge(&mut self, later: &MeanAndMax) {
        if later.weight > 0.0 {
            self.max = if self.weight > 0.0 { self.max.max(later.max) } else { later.max };
            self.sum += later.sum;
            self.weight += later.weight;
        }
    }
}

/// A stage's latency: percentiles of intervals, averaged by the number of their frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stage {
    count: f64,
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Stage {
    /// Takes in an interval.
    pub fn add(&mut self, count: f64, of: Percentiles) {
        self.count += count;
        self.p50 += of.p50 * count;
        self.p95 += of.p95 * count;
        self.p99 += of.p99 * count;
        self.max = self.max.max(of.max);
    }

    /// The averages, where there is anything.
    pub fn of(&self) -> Option<Percentiles> {
        let Stage { count, p50, p95, p99, max } = *self;
        (count > 0.0).then(|| Percentiles { p50: p50 / count, p95: p95 / count, p99: p99 / count, max })
    }

    fn merge(&mut self, later: &Stage) {
        self.count += later.count;
        self.p50 += later.p50;
        self.p95 += later.p95;
        self.p99 += later.p99;
        self.max = self.max.max(later.max);
    }
}
