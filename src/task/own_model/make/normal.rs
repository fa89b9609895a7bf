//! What good parts look like to a network: the distribution of its values, the threshold, and the baseline of drift.

use crate::task::anomaly::teach::{FewPictures, false_alarm_interval};
use crate::task::anomaly::{Baseline, Calibration, ImageStats, ImageStatsBaseline};

/// The fewest pictures of good parts from which a threshold is set.
pub const FEWEST_NORMAL: usize = 10;
/// The share of good parts whose hottest place stays below a heat of a half.
const COOL: f64 = 0.99;

/// So many good parts have the same greatest value by no chance.
const MANY_EQUAL: usize = 3;

/// Values of a network on pictures of good parts.
#[derive(Debug, Clone, Default)]
pub struct NormalValues {
    /// The value of each picture.
    pub values: Vec<f64>,
    /// Brightness and sharpness of each.
    pub stats: Vec<ImageStats>,
}

/// What follows from them.
#[derive(Debug, Clone)]
pub struct NormalFit {
    /// The distribution.
    pub calibration: Calibration,
    /// The score from which on a frame counts as defect.
    pub threshold: f64,
    /// The 95 % confidence interval of the share of false alarms.
    pub interval: [f64; 2],
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

impl NormalValues {
    /// The distribution, and the threshold that lets `share` of the good parts raise a false alarm.
    ///
    /// # Errors
    /// One line, where there are too few pictures, or all have the same value.
    pub fn fit(&self, share: f64) -> Result<NormalFit, String> {
        let values = &self.values;
        if values.len() < FEWEST_NORMAL {
            return Err(format!(
                "{} pictures of good parts can be used: a threshold needs {FEWEST_NORMAL}, better 100",
                values.len()
            ));
        }
        if values.iter().all(|value| value == &values[0]) {
            return Err(format!(
                "the network gives {} for each of {} pictures: it does not look at them, or they are all the same",
                values[0],
                values.len()
            ));
        }
        let calibration = Calibration::fit(values);
        let threshold = 1.0 - share;
        let each: Vec<usize> = (0..values.len()).collect();
        let interval = false_alarm_interval(values, &each, share);
        let reaches = |value: f64| calibration.score(value) >= threshold;
        let few = FewPictures::new(values, &each, &each, share, reaches);
        let interval = few.as_ref().map_or(interval, |few| few.interval);
        let warnings = few.map(|few| few.warning()).into_iter().chain(self.ceiling()).collect();
        Ok(NormalFit { threshold, interval, warnings, calibration })
    }

    /// Where several good parts have the same greatest value the network cuts it off there, and no defect can be above.
    fn ceiling(&self) -> Option<String> {
        let greatest = self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let count = self.values.iter().filter(|value| **value == greatest).count();
        (count >= MANY_EQUAL).then(|| {
            format!(
                "{count} of {} good parts have the greatest value, {greatest}: if the network cuts it off there, no defect can have a greater \
                 one; export it without normalized scores, or use --score or --map with another output",
                self.values.len()
            )
        })
    }

    /// The reference of drift: scores as `score` gives them, and the look of the pictures.
    pub fn baseline(&self, score: impl Fn(f64) -> f64) -> Baseline {
        let sorted = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let brightness = sorted(&mut self.stats.iter().map(|stats| ImageStats::grey_levels(stats.brightness)));
        let sharpness = sorted(&mut self.stats.iter().map(|stats| ImageStats::thousandths(stats.sharpness)));
        let scores = sorted(&mut self.values.iter().map(|value| score(*value)));
        Baseline { scores, image_stats: Some(ImageStatsBaseline { brightness, sharpness }) }
    }
}

/// Cells of maps on pictures of good parts.
#[derive(Debug, Clone, Default)]
pub struct NormalMaps {
    /// By picture: the median of its cells.
    medians: Vec<f64>,
    /// By picture: the hottest of its cells.
    hottest: Vec<f64>,
}

impl NormalMaps {
    /// The cells of a picture's map.
    pub fn add(&mut self, cells: impl IntoIterator<Item = f64>) {
        let mut cells: Vec<f64> = cells.into_iter().collect();
        cells.sort_by(f64::total_cmp);
        if let (Some(median), Some(hottest)) = (cells.get(cells.len() / 2), cells.last()) {
            self.medians.push(*median);
            self.hottest.push(*hottest);
        }
    }

    /// The value without heat, and that with a heat of a half, which hardly any good part reaches.
    pub fn references(&self) -> (f64, f64) {
        let cold = quantile(&self.medians, 0.5);
        let hot = quantile(&self.hottest, COOL);
        // A flat map has no scale of its own.
        let least = cold + (cold.abs() * 1e-3).max(1e-6);
        (cold, hot.max(least))
    }
}

/// The value at a share of the way through, by nearest rank; 0 of none.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: Vec<f64>) -> NormalValues {
        NormalValues { stats: vec![ImageStats::default(); values.len()], values }
    }

    #[test]
    fn the_threshold_lets_the_stated_share_through() {
        // Quantiles of an exponential distribution, which is what a tail is taken for.
        let many = of((0..1000).map(|at| -100.0 * (1.0 - (f64::from(at) + 0.5) / 1000.0).ln()).collect());
        let fit = many.fit(0.01).unwrap();
        let raised = many.values.iter().filter(|value| fit.calibration.score(**value) >= fit.threshold).count();
        assert!((5..=15).contains(&raised), "{raised}");
        assert!(fit.warnings.is_empty() && fit.interval[0] < 0.01 && 0.01 < fit.interval[1], "{fit:?}");
        let baseline = many.baseline(|value| fit.calibration.score(value));
        assert!(baseline.scores.is_sorted() && baseline.scores.len() == 1000);
        assert_eq!(baseline.image_stats.unwrap().brightness.len(), 1000);
    }

    #[test]
    fn few_pictures_are_told_and_too_few_refused() {
        let few = of((0..12).map(f64::from).collect()).fit(0.01).unwrap();
        assert!(few.warnings[0].contains("from 12 pictures"));
        let cut_off = of((0..100).map(|at| f64::from(at).min(90.0)).collect()).fit(0.01).unwrap();
        assert!(cut_off.warnings[0].starts_with("10 of 100 good parts have the greatest value, 90"), "{cut_off:?}");
        assert!(of(vec![1.0, 2.0]).fit(0.01).unwrap_err().contains("2 pictures of good parts"));
        assert!(of(vec![0.5; 40]).fit(0.01).unwrap_err().contains("gives 0.5 for each of 40"));
    }

    #[test]
    fn a_map_is_cold_in_the_middle_and_hot_where_hardly_any_reaches() {
        let mut maps = NormalMaps::default();
        for picture in 0..100 {
            maps.add([1.0, 2.0, 2.0, 3.0 + f64::from(picture)]);
        }
        assert_eq!(maps.references(), (2.0, 101.0));
        let mut flat = NormalMaps::default();
        flat.add([5.0; 9]);
        let (cold, hot) = flat.references();
        assert!(cold == 5.0 && hot > cold);
    }
}
