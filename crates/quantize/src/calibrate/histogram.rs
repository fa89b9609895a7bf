//! How often which values occur in a tensor, in fixed memory.

/// Bins, evenly over `-reach..reach`.
const BINS: usize = 8192;

/// A histogram whose reach doubles as larger values come; nothing that was counted is lost.
#[derive(Debug, Clone)]
pub struct Histogram {
    bins: Vec<u64>,
    reach: f32,
    /// The least and the greatest value.
    pub bounds: Option<(f32, f32)>,
    /// Values that are NaN or infinite.
    pub not_finite: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { bins: vec![0; BINS], reach: 0.0, bounds: None, not_finite: 0 }
    }
}

impl Histogram {
    /// Counts values.
    pub fn add(&mut self, values: &[f32]) {
        let (mut low, mut high, mut strange) = (f32::INFINITY, f32::NEG_INFINITY, 0);
        for &value in values {
            if value.is_finite() {
                low = low.min(value);
                high = high.max(value);
            } else {
                strange += 1;
            }
        }
        self.not_finite += strange;
        if low > high {
            return;
        }
        self.bounds = Some(self.bounds.map_or((low, high), |(least, most)| (least.min(low), most.max(high))));
        self.widen(low.abs().max(high.abs()));
        if self.reach == 0.0 {
            // Nothing but zeros so far.
            self.bins[BINS / 2] += values.len() as u64 - strange;
            return;
        }
        let per_value = BINS as f32 / 2.0 / self.reach;
        for &value in values.iter().filter(|value| value.is_finite()) {
            let at = ((value + self.reach) * per_value) as usize;
            self.bins[at.min(BINS - 1)] += 1;
        }
    }

    fn widen(&mut self, most: f32) {
        if self.reach == 0.0 {
            self.reach = most;
            return;
        }
        while most > self.reach && self.reach < f32::MAX / 4.0 {
            let half: Vec<u64> = self.bins.chunks_exact(2).map(|pair| pair[0] + pair[1]).collect();
            self.bins.fill(0);
            self.bins[BINS / 4..BINS / 4 + BINS / 2].copy_from_slice(&half);
            self.reach *= 2.0;
        }
    }

    /// Values that were counted.
    pub fn total(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// Centres of the bins that hold something, and how many.
    pub fn counts(&self) -> impl Iterator<Item = (f64, f64)> {
        let width = 2.0 * f64::from(self.reach) / BINS as f64;
        let filled = self.bins.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(move |(at, &count)| {
            let centre = (at as f64 + 0.5) * width - f64::from(self.reach);
            // What was counted before anything but zero came lies in the bin whose edge is zero.
            (centre, count as f64)
        })
    }

    /// The values below which, and above which, `tail` of all values lie, no wider than the bounds.
    pub fn percentiles(&self, tail: f64) -> Option<(f32, f32)> {
        let (least, most) = self.bounds?;
        let all: f64 = self.counts().map(|(_, count)| count).sum();
        let filled: Vec<(f64, f64)> = self.counts().collect();
        let mut below = 0.0;
        let low = filled.iter().find(|(_, count)| {
            below += count;
            below > tail * all
        })?;
        let mut above = 0.0;
        let high = filled.iter().rev().find(|(_, count)| {
            above += count;
            above > tail * all
        })?;
        Some(((low.0 as f32).clamp(least, most), (high.0 as f32).clamp(least, most)))
    }
}
