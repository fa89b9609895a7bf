//! Calibration: from the combined value of the scorers, their sum for short, to a score with a meaning: the share of normal frames that
//! score lower.
//!
//! The share is read off the sums of frames that were held out in training. Above the 90 % quantile, or of few frames a lower one,
//! where single frames would decide, an exponential tail takes over (the excess over a high quantile is close to a generalized Pareto
//! distribution, Pickands 1975; the exponential is its middle case), so that a threshold for one false alarm in a thousand frames can
//! be set from a few hundred.

use super::scorer::Matrix;

/// Where the tail begins, as a share of the normal frames.
const BODY: f64 = 0.9;

/// The fewest sums from which the tail is measured: of fewer a single one would decide.
const MIN_IN_TAIL: f64 = 10.0;
/// For their sake the tail begins earlier, but not before this share of the normal frames.
const MIN_BODY: f64 = 0.5;

/// The number of quantiles.
const QUANTILES: usize = 91;

/// The distribution of sums on normal frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The sums below which 0, 1, … 90 % of the normal frames lie.
    quantiles: Vec<f64>,
    /// The mean excess over the last quantile.
    tail: f64,
}

impl Calibration {
    /// From the sums of held-out normal frames.
    pub fn fit(sums: &[f64]) -> Calibration {
        let mut sorted = sums.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1) as f64;
        let at = |share: f64| {
            let (low, part) = ((share * last).floor(), (share * last).fract());
            let value = |index: f64| sorted.get(index as usize).copied().unwrap_or(0.0);
            value(low) + part * (value((low + 1.0).min(last)) - value(low))
        };
        let shares = (0..QUANTILES).map(|i| BODY * i as f64 / (QUANTILES - 1) as f64);
        let mut quantiles: Vec<f64> = shares.clone().map(|share| f64::from(at(share) as f32)).collect();
        // Of less than a hundred sums the tail begins earlier.
        let body = (1.0 - MIN_IN_TAIL / sorted.len().max(1) as f64).clamp(MIN_BODY, BODY);
        let from = if body < BODY { f64::from(at(body) as f32) } else { quantiles[QUANTILES - 1] };
        let over: Vec<f64> = sorted.iter().filter(|sum| **sum > from).map(|sum| sum - from).collect();
        let mean = over.iter().sum::<f64>() / over.len().max(1) as f64;
        // At least a hundredth of the body's width: nearly equal frames leave no tail to measure.
        let tail = f64::from(mean.max(0.01 * (from - quantiles[0])).max(1e-3) as f32);
        for (quantile, share) in quantiles.iter_mut().zip(shares).filter(|(_, share)| *share > body) {
            *quantile = f64::from((from - tail * libm::log((1.0 - share) / (1.0 - body))) as f32);
        }
        Calibration { quantiles, tail }
    }

    /// The same distribution about another median, as many times as wide.
    pub fn moved(&self, from: f64, to: f64, width: f64) -> Calibration {
        let quantiles = self.quantiles.iter().map(|quantile| f64::from((to + (quantile - from) * width) as f32));
        Calibration { quantiles: quantiles.collect(), tail: f64::from((self.tail * width) as f32) }
    }

    /// The distribution of whichever of two batches has the higher sums: what is promised holds for both.
    pub fn envelope(&self, other: &Calibration) -> Calibration {
        let quantiles = self.quantiles.iter().zip(&other.quantiles).map(|(a, b)| a.max(*b));
        Calibration { quantiles: quantiles.collect(), tail: self.tail.max(other.tail) }
    }

    /// The matrix that a bundle stores: the quantiles, then the tail.
    pub fn to_matrix(&self) -> Matrix {
        let values: Vec<f32> = self.quantiles.iter().chain([&self.tail]).map(|&value| value as f32).collect();
        Matrix { columns: values.len(), values }
    }

    /// From the matrix that a bundle stores.
    ///
    /// # Errors
    /// One line that names the problem.
    pub fn from_matrix(matrix: &Matrix) -> Result<Calibration, String> {
        let mut quantiles: Vec<f64> = matrix.values.iter().map(|&value| f64::from(value)).collect();
        let tail = quantiles.pop().unwrap_or(0.0);
        if quantiles.len() != QUANTILES || !quantiles.is_sorted() || !(tail.is_finite() && tail > 0.0) {
            return Err(format!("expected {QUANTILES} ascending quantiles and a tail over 0"));
        }
        Ok(Calibration { quantiles, tail })
    }

    /// The share of normal frames whose sum is lower, 0..1.
    pub fn score(&self, sum: f64) -> f64 {
        let above = self.quantiles.partition_point(|quantile| *quantile <= sum);
        if above == 0 {
            return 0.0;
        }
        if above == self.quantiles.len() {
            let excess = sum - self.quantiles[above - 1];
            return 1.0 - (1.0 - BODY) * libm::exp(-excess / self.tail);
        }
        let (low, high) = (self.quantiles[above - 1], self.quantiles[above]);
        BODY * ((above - 1) as f64 + (sum - low) / (high - low)) / (QUANTILES - 1) as f64
    }

    /// The sum whose score is `score`: the inverse of [`Calibration::score`].
    pub fn sum_at(&self, score: f64) -> f64 {
        if score >= BODY {
            let left = ((1.0 - score) / (1.0 - BODY)).max(f64::MIN_POSITIVE);
            return self.quantiles[self.quantiles.len() - 1] - self.tail * libm::log(left);
        }
        let place = (score / BODY).max(0.0) * (QUANTILES - 1) as f64;
        let (below, part) = (place as usize, place.fract());
        self.quantiles[below] + part * (self.quantiles[below + 1] - self.quantiles[below])
    }
}

/// Severity: how far a frame is from normal, on a scale on which people can set a threshold. 0: like most of what was taught, or nearer;
/// 1: the threshold; 2: as far beyond the threshold as that is from what was taught. Unlike the score, which is a share and
/// cannot exceed 1, it orders defects: a scratch of 1.3, a missing part of 9.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeverityScale {
    /// The sum that lies at the threshold.
    limit: f64,
    /// From the median of the normal frames to that sum.
    unit: f64,
    threshold: f64,
}

impl SeverityScale {
    /// The scale for a threshold, which is a score.
    pub fn new(calibration: &Calibration, threshold: f64) -> SeverityScale {
        let limit = calibration.sum_at(threshold);
        let distance = limit - calibration.sum_at(0.5);
        // A threshold among what is normal has no distance of its own; that of the tail takes its place.
        let unit = if distance > calibration.tail { distance } else { calibration.tail };
        SeverityScale { limit, unit, threshold }
    }

    /// The severity of a sum, below 0 where it is nearer than what was taught.
    pub fn distance(&self, sum: f64) -> f64 {
        1.0 + (sum - self.limit) / self.unit
    }

    /// The severity of a frame, by its sum and its score: at least 1 if and only if the score reaches the threshold.
    pub fn severity(&self, sum: f64, score: f64) -> f64 {
        let severity = self.distance(sum);
        // The two scales are rounded differently.
        if score >= self.threshold { severity.max(1.0) } else { severity.clamp(0.0, 1.0f64.next_down()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_share_of_normal_frames_below() {
        let sums: Vec<f64> = (0..=1000).map(f64::from).collect();
        let calibration = Calibration::fit(&sums);
        for (sum, score) in [(-5.0, 0.0), (0.0, 0.0), (255.0, 0.255), (500.0, 0.5), (900.0, 0.9)] {
            assert!((calibration.score(sum) - score).abs() < 1e-6, "{sum}: {}", calibration.score(sum));
        }
        assert!(calibration.score(901.0) > calibration.score(900.0));
        for score in [0.0, 0.3, 0.899, 0.9, 0.99, 0.9999] {
            assert!((calibration.score(calibration.sum_at(score)) - score).abs() < 1e-6, "{score}");
        }
        assert!(calibration.score(1e9) <= 1.0);
    }

    #[test]
    fn the_tail_of_an_exponential_is_estimated() {
        // Quantiles of an exponential distribution with mean 2: the share above x is exp(-x / 2).
        let sums: Vec<f64> = (0..2000).map(|i| -2.0 * (1.0 - (f64::from(i) + 0.5) / 2000.0).ln()).collect();
        let calibration = Calibration::fit(&sums);
        for share in [0.05, 0.01, 0.001, 0.0001] {
            let estimate = 1.0 - calibration.score(-2.0 * f64::ln(share));
            assert!((estimate / share - 1.0).abs() < 0.05, "{share}: {estimate}");
        }
    }

    #[test]
    fn of_few_sums_no_single_one_decides() {
        let sums = |count: u32, last: f64| -> Vec<f64> { (1..count).map(f64::from).chain([last]).collect() };
        let limit = |count, last| Calibration::fit(&sums(count, last)).sum_at(0.99);
        // Raised by 10 the last of ten would move a threshold by 23 if it alone were the tail.
        let moved = limit(10, 20.0) - limit(10, 10.0);
        assert!((5.0..12.0).contains(&moved), "{moved}");
        // Of a hundred the tail is that of the last tenth, as ever.
        let hundred = Calibration::fit(&sums(100, 100.0));
        assert!((hundred.sum_at(0.9) - 90.1).abs() < 1e-4 && (hundred.tail - 5.4).abs() < 1e-4, "{hundred:?}");
        for count in [1, 2, 3, 10, 15, 20, 30, 60, 99] {
            let few = Calibration::fit(&sums(count, f64::from(count)));
            assert_eq!(Calibration::from_matrix(&few.to_matrix()).unwrap(), few, "{count}");
        }
    }

    #[test]
    fn severity_is_0_at_the_median_1_at_the_threshold_and_orders_what_lies_beyond() {
        let sums: Vec<f64> = (0..=1000).map(f64::from).collect();
        let calibration = Calibration::fit(&sums);
        for threshold in [0.9, 0.99, 0.9999] {
            let scale = SeverityScale::new(&calibration, threshold);
            let of = |sum: f64| scale.severity(sum, calibration.score(sum));
            let limit = calibration.sum_at(threshold);
            assert!(of(500.0) < 1e-9 && of(100.0) == 0.0);
            assert!((of(limit) - 1.0).abs() < 1e-9 && (of((500.0 + limit) / 2.0) - 0.5).abs() < 1e-9);
            assert!((of(2.0 * limit - 500.0) - 2.0).abs() < 1e-9);
            // Where scores are all 1.000 severities still differ.
            assert_eq!(calibration.score(1e6), 1.0);
            assert!(of(2e6) > 1.9 * of(1e6));
            let mut steps = (0..20_000).map(|step| f64::from(step) / 10.0);
            assert!(steps.all(|sum| (of(sum) >= 1.0) == (calibration.score(sum) >= threshold)));
        }
        // A threshold of 0 takes everything, one among the normal frames has a scale, too.
        for threshold in [0.0, 0.3] {
            let scale = SeverityScale::new(&calibration, threshold);
            let of = |sum: f64| scale.severity(sum, calibration.score(sum));
            assert!(of(999.0) > of(400.0) && of(400.0) >= 1.0 && of(400.0).is_finite());
        }
    }

    #[test]
    fn equal_frames_still_give_a_scale() {
        let calibration = Calibration::fit(&[3.0; 40]);
        assert!(calibration.score(2.9) < 0.5 && calibration.score(3.1) > 0.99);
    }

    #[test]
    fn what_is_promised_holds_for_both_batches() {
        let first = Calibration::fit(&(0..=1000).map(f64::from).collect::<Vec<f64>>());
        let wider = first.moved(500.0, 700.0, 2.0);
        assert_eq!((first.moved(500.0, 500.0, 1.0), first.envelope(&first)), (first.clone(), first.clone()));
        assert!((wider.sum_at(0.5) - 700.0).abs() < 1e-3);
        for score in [0.1, 0.5, 0.9, 0.99, 0.999] {
            let (a, b) = (first.sum_at(score), wider.sum_at(score));
            assert!((b - (700.0 + 2.0 * (a - 500.0))).abs() < 1e-2 * b.abs().max(1.0), "{score}: {a} {b}");
            let both = first.envelope(&wider).sum_at(score);
            assert!(both + 1e-6 >= a.max(b), "{score}: {both} {a} {b}");
        }
        assert!(Calibration::from_matrix(&first.envelope(&wider).to_matrix()).is_ok());
    }

    #[test]
    fn it_is_stored_and_read_back_to_the_last_bit() {
        let calibration = Calibration::fit(&[0.1, 0.7, 0.2, 5.3, 2.2, 9.1]);
        assert_eq!(Calibration::from_matrix(&calibration.to_matrix()).unwrap(), calibration);
        assert!(Calibration::from_matrix(&Matrix { columns: 2, values: vec![0.0, 1.0] }).is_err());
    }
}
