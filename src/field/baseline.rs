//! A bundle's baseline, prepared for comparison with a line.

use super::interval::SCORE_BINS;
use crate::task::anomaly::Baseline;

/// The standard deviation of a normal distribution in median absolute deviations.
const DEVIATION: f64 = 1.4826;

/// The statistics of the normal pictures.
pub struct Reference {
    /// Pictures.
    pub pictures: f64,
    /// The share of scores up to the end of each bin.
    pub shares: [f64; SCORE_BINS],
    /// The median of the scores.
    pub median: f64,
    /// The bin that it lies in.
    pub middle: usize,
    /// Of brightness and sharpness: the median, and the spread (a standard deviation) as a part of it. `None` where the
    /// median is nothing: all pictures were black, or without any structure.
    pub looks: Option<[Option<(f64, f64)>; 2]>,
}

impl Reference {
    /// From a bundle's.
    pub fn new(baseline: &Baseline) -> Reference {
        let mut shares = [0.0; SCORE_BINS];
        let mut at = 0;
        for (bin, share) in shares.iter_mut().enumerate() {
            let last = bin + 1 == SCORE_BINS;
            let end = (bin + 1) as f64 / SCORE_BINS as f64;
            while at < baseline.scores.len() && (baseline.scores[at] < end || last) {
                at += 1;
            }
            *share = at as f64 / baseline.scores.len().max(1) as f64;
        }
        let looks = baseline.image_stats.as_ref().map(|stats| [spread(&stats.brightness), spread(&stats.sharpness)]);
        let middle = shares.iter().position(|share| *share >= 0.5).unwrap_or(SCORE_BINS / 2);
        Reference { pictures: baseline.scores.len().max(1) as f64, shares, median: median(&shares), middle, looks }
    }
}

/// The median of a distribution that is given by its cumulative shares.
pub fn median(shares: &[f64; SCORE_BINS]) -> f64 {
    let bin = shares.iter().position(|share| *share >= 0.5).unwrap_or(SCORE_BINS - 1);
    let below = if bin == 0 { 0.0 } else { shares[bin - 1] };
    let inside = ((0.5 - below) / (shares[bin] - below)).clamp(0.0, 1.0);
    (bin as f64 + if inside.is_nan() { 1.0 } else { inside }) / SCORE_BINS as f64
}

/// Median and spread of sorted values.
fn spread(sorted: &[f64]) -> Option<(f64, f64)> {
    let middle = sorted.get(sorted.len() / 2).copied().filter(|middle| *middle > 0.0)?;
    let mut apart: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
    apart.sort_by(f64::total_cmp);
    Some((middle, DEVIATION * apart[apart.len() / 2] / middle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::anomaly::ImageStatsBaseline;

    #[test]
    fn a_reference_has_shares_medians_and_spreads() {
        let brightness = vec![90.0, 98.0, 100.0, 102.0, 140.0];
        let image_stats = Some(ImageStatsBaseline { brightness, sharpness: vec![0.0, 0.0, 0.0] });
        let baseline = Baseline { scores: vec![0.005, 0.255, 0.255, 0.5, 1.0], image_stats };
        let reference = Reference::new(&baseline);
        let shares = |bin: usize| reference.shares[bin];
        assert_eq!((shares(0), shares(24), shares(25), shares(49), shares(50)), (0.2, 0.2, 0.6, 0.6, 0.8));
        assert_eq!((shares(98), shares(99), reference.pictures, reference.middle), (0.8, 1.0, 5.0, 25));
        assert!((reference.median - 0.2575).abs() < 1e-9, "{}", reference.median);
        let [brightness, sharpness] = reference.looks.unwrap();
        assert_eq!((brightness, sharpness), (Some((100.0, 0.02 * DEVIATION)), None));
        assert!(Reference::new(&Baseline { scores: vec![0.5], image_stats: None }).looks.is_none());
    }
}
