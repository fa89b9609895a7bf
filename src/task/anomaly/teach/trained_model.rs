//! What training results in, in the form in which a bundle keeps it.

use super::detail::Views;
use super::false_alarms::FewPictures;
use super::feature_cache::TrainingPicture;
use super::scheme::COMBINATION;
use super::threshold_check::ThresholdCheck;
use crate::bundle::{AnomalySection, HeatSection, Method, ScorerSection};
use crate::task::anomaly::baseline::{Baseline, ImageStatsBaseline};
use crate::task::anomaly::calibration::Calibration;
use crate::task::anomaly::image_stats::ImageStats;
use crate::task::anomaly::normal_frames::NormalFrames;
use crate::task::anomaly::scorer::Matrix;
use std::collections::BTreeMap;

/// The share of normal frames on which no cell's heat reaches a half.
const BELOW_HALF: f64 = 0.99;

/// The result of a candidate scorer on held-out pictures.
pub struct ScorerResult {
    /// The method.
    pub method: Method,
    /// Area under the ROC curve, held-out normal pictures against held-out synthetic defects.
    pub auroc: f64,
    /// Whether it is part of the score.
    pub selected: bool,
}

/// What labelled defects gained.
pub struct LabelGain {
    /// Area under the ROC curve of the score, held-out normal pictures against held-out labelled defects, when labels are not
    /// used in training.
    pub without: f64,
    /// The same when they are used.
    pub with: f64,
    /// Whether the model is trained with them.
    pub helped: bool,
    /// By label: its kind of defect.
    pub kinds: Vec<String>,
    /// By label: its combined value of the scorers when it was held out.
    pub sums: Vec<f64>,
}

impl LabelGain {
    /// By kind: how many labels reach the score `threshold`, and how many there are.
    pub fn found(&self, calibration: &Calibration, threshold: f64) -> BTreeMap<&str, (usize, usize)> {
        let mut found = BTreeMap::new();
        for (kind, &sum) in self.kinds.iter().zip(&self.sums) {
            let (hits, all) = found.entry(kind.as_str()).or_insert((0, 0));
            *hits += usize::from(calibration.score(sum) >= threshold);
            *all += 1;
        }
        found
    }
}

/// A scorer and its statistics.
pub struct ScorerStatistics {
    /// Its section in the manifest, without the name of its file.
    pub section: ScorerSection,
    /// Its statistics.
    pub matrix: Matrix,
}

/// A trained model.
pub struct TrainedModel {
    /// The sizes of the views.
    pub views: Views,
    /// The scorers.
    pub scorers: Vec<ScorerStatistics>,
    /// The scorer behind the heatmap, by number.
    pub heat_scorer: usize,
    /// By cell: the squared distance, in 256ths, at which the heat is a half.
    pub half_distances: Matrix,
    /// From sum to score.
    pub calibration: Calibration,
    /// The score from which on a frame counts as defect, 0..1.
    pub threshold: f64,
    /// What the threshold is worth.
    pub check: ThresholdCheck,
    /// What it is worth where it comes from few pictures.
    pub few: Option<FewPictures>,
    /// What labelled defects gained; `None` without any.
    pub gain: Option<LabelGain>,
    /// The sums of the normal pictures when they were held out, in their order.
    pub sums: Vec<f64>,
    /// Pictures far from all others, by number.
    pub outliers: Vec<usize>,
    /// Good frames for recalibration.
    pub normal: NormalFrames,
    /// The results of all candidates.
    pub candidates: Vec<ScorerResult>,
    /// Area under the ROC curve of the score, held-out normal pictures against held-out synthetic defects.
    pub auroc: f64,
    /// The share of normal frames that really raise a false alarm, as a 95 % confidence interval.
    pub false_alarm_interval: [f64; 2],
}

impl TrainedModel {
    /// The manifest's section, without the names of the scorers' files.
    pub fn section(&self) -> AnomalySection {
        AnomalySection {
            views: self.views.to_vec(),
            threshold: self.threshold,
            calibration: "calibration.npy".into(),
            combination: COMBINATION,
            region: None,
            alignment: None,
            tolerance: None,
            taught: None,
            normal: Some(self.normal.section()),
            nuisance: None,
            heat: HeatSection { scorer: self.heat_scorer, half_distances: "heat.npy".into() },
            scorer: self.scorers.iter().map(|scorer| scorer.section.clone()).collect(),
        }
    }

    /// What the user should know and do, a line each; `groups` of pictures are no near-duplicates of each other.
    pub fn warnings(&self, groups: usize) -> Vec<String> {
        self.few.iter().map(FewPictures::warning).chain(self.check.warnings(groups)).collect()
    }

    /// The scorers' statistics, in the section's order.
    pub fn matrices(&self) -> impl Iterator<Item = &Matrix> {
        self.scorers.iter().map(|scorer| &scorer.matrix)
    }

    /// The baseline for drift detection; what images look like is taken from the originals alone.
    pub fn baseline(&self, pictures: &[TrainingPicture]) -> Baseline {
        let sorted = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let stats = pictures.iter().filter(|picture| picture.copy == 0).map(|picture| picture.image_stats);
        Baseline {
            scores: sorted(&mut self.sums.iter().map(|&sum| self.calibration.score(sum))),
            image_stats: Some(ImageStatsBaseline {
                brightness: sorted(&mut stats.clone().map(|stats| ImageStats::grey_levels(stats.0))),
                sharpness: sorted(&mut stats.map(|stats| ImageStats::thousandths(stats.1))),
            }),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The score that a `share` of the normal frames reaches. Where labelled defects lie above it, the threshold is raised half way to
/// the lowest of these: the false alarms in between would find no further label. It is raised at most to the score that a tenth of
/// `share` reaches, because future defects may be fainter than the known ones.
pub fn threshold(calibration: &Calibration, labelled: &[f64], share: f64) -> f64 {
    let [allowed, highest] = [share, share / 10.0].map(|share| calibration.sum_at(1.0 - share));
    let lowest = labelled.iter().copied().filter(|sum| *sum > allowed).fold(f64::INFINITY, f64::min);
    if lowest.is_finite() { calibration.score(((allowed + lowest) / 2.0).min(highest)) } else { 1.0 - share }
}

/// The pictures, by number, whose sum lies more than eight median absolute deviations above the median; of a normal distribution
/// one value in thirty million does.
pub fn outliers(sums: &[f64]) -> Vec<usize> {
    let center = median(sums.to_vec());
    let deviation = median(sums.iter().map(|sum| (sum - center).abs()).collect());
    (0..sums.len()).filter(|&i| sums[i] - center > 8.0 * deviation).collect()
}

/// By cell: the median of its distances on normal pictures, times the factor that keeps all cells of [`BELOW_HALF`] of the
/// pictures below. Each cell has its own reference because cells at the border, where the backbone sees its own padding, are
/// farther from the mean on every picture.
pub fn half_distances(by_picture: &[Vec<u32>]) -> Matrix {
    let cells = by_picture.first().map_or(0, Vec::len);
    let medians: Vec<f64> =
        (0..cells).map(|cell| median(by_picture.iter().map(|d| f64::from(d[cell])).collect()).max(1.0)).collect();
    let largest_ratio = |distances: &Vec<u32>| {
        distances.iter().zip(&medians).map(|(&distance, median)| f64::from(distance) / median).fold(0.0, f64::max)
    };
    let mut factors: Vec<f64> = by_picture.iter().map(largest_ratio).collect();
    factors.sort_by(f64::total_cmp);
    let factor =
        factors.get((BELOW_HALF * factors.len().saturating_sub(1) as f64) as usize).copied().unwrap_or(1.0).max(1e-3);
    Matrix { columns: cells, values: medians.iter().map(|median| (median * factor) as f32).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sums_far_above_all_others_are_outliers() {
        let mut sums: Vec<f64> = (0..50).map(|i| f64::from(i % 10)).collect();
        assert!(outliers(&sums).is_empty());
        sums[7] = 40.0;
        sums[8] = -40.0;
        assert_eq!(outliers(&sums), [7]);
    }

    #[test]
    fn the_threshold_is_raised_where_that_loses_no_labelled_defect() {
        let calibration = Calibration::fit(&(0..=1000).map(f64::from).collect::<Vec<f64>>());
        let of = |labelled: &[f64]| threshold(&calibration, labelled, 0.01);
        let allowed = calibration.sum_at(0.99);
        assert_eq!(of(&[]), 0.99);
        assert_eq!(of(&[allowed - 10.0]), 0.99);
        let raised = of(&[allowed - 10.0, allowed + 500.0, allowed + 100.0]);
        assert!((calibration.sum_at(raised) - (allowed + 50.0)).abs() < 1e-6, "{raised}");
        assert!((of(&[allowed + 5000.0]) - 0.999).abs() < 1e-9);
    }

    #[test]
    fn each_cell_has_a_reference_of_its_own() {
        // The second cell is ten times as far from normal on every picture; the last picture twice as far everywhere.
        let pictures: Vec<Vec<u32>> =
            (0..101).map(|i| if i == 100 { vec![200, 2000] } else { vec![100, 1000] }).collect();
        assert_eq!(half_distances(&pictures).values, [100.0, 1000.0]);
        assert_eq!(half_distances(&pictures[90..]).values, [100.0, 1000.0]);
        assert_eq!(half_distances(&pictures[100..]).values, [200.0, 2000.0]);
    }
}
