//! What was learned, in the form in which a bundle keeps it.

use super::learn::VIEWS;
use super::notebook::Picture;
use crate::bundle::{AnomalySection, HeatSection, Method, ScorerSection};
use crate::task::anomaly::calibration::Calibration;
use crate::task::anomaly::scorer::Matrix;
use crate::task::anomaly::{Baseline, Look, Looks};
use std::collections::BTreeMap;

/// Share of the normal frames that show no cell more than half hot.
const HALF_HOT: f64 = 0.99;

/// How well a method did on what was held out.
pub struct Candidate {
    /// The method.
    pub method: Method,
    /// Area under the ROC curve, held-out normal pictures against held-out synthetic defects.
    pub auroc: f64,
    /// Whether it is part of the verdict.
    pub chosen: bool,
}

/// What labelled defects were good for.
pub struct Gain {
    /// Area under the ROC curve of the verdict, held-out normal pictures against held-out labelled defects, taught without
    /// their help.
    pub without: f64,
    /// The same, taught with it.
    pub with: f64,
    /// Whether the verdict is taught with it.
    pub helped: bool,
    /// By label: what people call its kind.
    pub kinds: Vec<String>,
    /// By label: its sum when it was held out.
    pub sums: Vec<f64>,
}

impl Gain {
    /// By kind: how many are found from a score on, and how many there are.
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
pub struct Statistics {
    /// Its part in the verdict; its file is not named yet.
    pub section: ScorerSection,
    /// Its statistics.
    pub matrix: Matrix,
}

/// What was learned.
pub struct Taught {
    /// The scorers of the verdict.
    pub scorers: Vec<Statistics>,
    /// The scorer that the heatmap shows, by its number among the scorers.
    pub shown: usize,
    /// By cell: the squared distance, in 256ths, that is shown half hot.
    pub half_distances: Matrix,
    /// From sum to score.
    pub calibration: Calibration,
    /// The score from which on a frame counts as defect.
    pub threshold: f64,
    /// What labelled defects were good for, where there are any.
    pub gain: Option<Gain>,
    /// The sums of the pictures when they were held out, in their order.
    pub sums: Vec<f64>,
    /// Pictures that look unlike all others, by number.
    pub outliers: Vec<usize>,
    /// All that was tried.
    pub candidates: Vec<Candidate>,
    /// Area under the ROC curve of the verdict, held-out normal pictures against held-out synthetic defects.
    pub auroc: f64,
    /// Share of normal frames that really raise an alarm at the share asked for, with 95 % confidence.
    pub confidence: [f64; 2],
}

impl Taught {
    /// The manifest's section, without the files of the scorers.
    pub fn section(&self) -> AnomalySection {
        AnomalySection {
            views: VIEWS.to_vec(),
            threshold: self.threshold,
            calibration: "calibration.npy".into(),
            heat: HeatSection { scorer: self.shown, half_distances: "heat.npy".into() },
            scorer: self.scorers.iter().map(|scorer| scorer.section.clone()).collect(),
        }
    }

    /// The scorers' statistics, in the section's order.
    pub fn matrices(&self) -> impl Iterator<Item = &Matrix> {
        self.scorers.iter().map(|scorer| &scorer.matrix)
    }
}

impl Taught {
    /// What drift is measured against.
    pub fn baseline(&self, pictures: &[Picture]) -> Baseline {
        let sorted = |values: &mut dyn Iterator<Item = f64>| {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let looks = pictures.iter().map(|picture| picture.look);
        Baseline {
            scores: sorted(&mut self.sums.iter().map(|&sum| self.calibration.score(sum))),
            looks: Some(Looks {
                brightness: sorted(&mut looks.clone().map(|look| Look::grey_levels(look.0))),
                sharpness: sorted(&mut looks.map(|look| Look::thousandths(look.1))),
            }),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The score that a `share` of the normal frames reaches; or, where no more labelled defects are lost by it, the middle
/// between that and the lowest of them that is over it: false alarms that buy nothing. No higher than for a tenth of the
/// share: defects to come may be fainter than those that are known.
pub fn threshold(calibration: &Calibration, labelled: &[f64], share: f64) -> f64 {
    let [allowed, highest] = [share, share / 10.0].map(|share| calibration.sum_at(1.0 - share));
    let lowest = labelled.iter().copied().filter(|sum| *sum > allowed).fold(f64::INFINITY, f64::min);
    if lowest.is_finite() { calibration.score(((allowed + lowest) / 2.0).min(highest)) } else { 1.0 - share }
}

/// Sums so far over the median that no tail of normal pictures explains: over eight times what half of them stay within
/// (the median absolute deviation; a normal distribution exceeds it in one of thirty million).
pub fn outliers(sums: &[f64]) -> Vec<usize> {
    let middle = median(sums.to_vec());
    let deviation = median(sums.iter().map(|sum| (sum - middle).abs()).collect());
    (0..sums.len()).filter(|&i| sums[i] - middle > 8.0 * deviation).collect()
}

/// By cell: the median of its distances on normal pictures, times what keeps all cells of [`HALF_HOT`] of the pictures
/// below. Cells at the border, where the backbone sees its own padding, are farther from the mean cell on every picture:
/// each is held to what is usual in its place.
pub fn half_distances(by_picture: &[Vec<u32>]) -> Matrix {
    let cells = by_picture.first().map_or(0, Vec::len);
    let usual: Vec<f64> =
        (0..cells).map(|cell| median(by_picture.iter().map(|d| f64::from(d[cell])).collect()).max(1.0)).collect();
    let times = |distances: &Vec<u32>| {
        distances.iter().zip(&usual).map(|(&distance, usual)| f64::from(distance) / usual).fold(0.0, f64::max)
    };
    let mut most: Vec<f64> = by_picture.iter().map(times).collect();
    most.sort_by(f64::total_cmp);
    let most = most.get((HALF_HOT * most.len().saturating_sub(1) as f64) as usize).copied().unwrap_or(1.0).max(1e-3);
    Matrix { columns: cells, values: usual.iter().map(|usual| (usual * most) as f32).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_over_all_others_is_an_outlier() {
        let mut sums: Vec<f64> = (0..50).map(|i| f64::from(i % 10)).collect();
        assert!(outliers(&sums).is_empty());
        sums[7] = 40.0;
        sums[8] = -40.0;
        assert_eq!(outliers(&sums), [7]);
    }

    #[test]
    fn a_threshold_is_raised_where_that_loses_no_labelled_defect() {
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
    fn a_cell_is_held_to_what_is_usual_in_its_place() {
        // The second cell is ten times as far from normal on every picture; the last picture twice as far everywhere.
        let pictures: Vec<Vec<u32>> =
            (0..101).map(|i| if i == 100 { vec![200, 2000] } else { vec![100, 1000] }).collect();
        assert_eq!(half_distances(&pictures).values, [100.0, 1000.0]);
        assert_eq!(half_distances(&pictures[90..]).values, [100.0, 1000.0]);
        assert_eq!(half_distances(&pictures[100..]).values, [200.0, 2000.0]);
    }
}
