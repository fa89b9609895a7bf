//! Which scorers make the verdict: a sum that tells held-out normal pictures from held-out synthetic defects as well as
//! any, and of those the one of most scorers. Defects to come are of kinds that nobody has painted: what several scorers
//! agree on is safer than what one does best by less than the measure's own error.

use crate::task::anomaly::measure::auroc;

/// A candidate's values on pictures that it was not taught with.
pub struct HeldOut {
    /// On normal pictures.
    pub normal: Vec<f64>,
    /// On synthetic defects.
    pub defect: Vec<f64>,
}

/// Median and spread of a scorer's values on normal frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Their median.
    pub median: f64,
    /// Their standard deviation, over 0.
    pub spread: f64,
}

impl Scale {
    /// Of these values.
    pub fn of(values: &[f64]) -> Scale {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = values.len().max(1) as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        let variance = sorted.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        Scale { median, spread: variance.sqrt().max(1e-6) }
    }

    /// The value in spreads from the median.
    pub fn apply(self, value: f64) -> f64 {
        (value - self.median) / self.spread
    }
}

/// What came of the choice.
pub struct Choice {
    /// The chosen candidates, by number.
    pub chosen: Vec<usize>,
    /// Area under the ROC curve of their sum, held-out normal pictures against held-out synthetic defects.
    pub auroc: f64,
}

/// Of all sums with at most one candidate of each family the one of most candidates that is within one standard error of
/// the best; of several, the one whose candidates come first. `families` gives each candidate's family: those look at the
/// same thing.
pub fn choose(candidates: &[HeldOut], families: &[usize]) -> Choice {
    let scales: Vec<Scale> = candidates.iter().map(|candidate| Scale::of(&candidate.normal)).collect();
    let alone = |set: &[usize]| set.iter().all(|a| set.iter().all(|b| a == b || families[*a] != families[*b]));
    let sets = (1..1usize << candidates.len())
        .map(|bits| (0..candidates.len()).filter(|i| bits >> i & 1 == 1).collect::<Vec<usize>>())
        .filter(|set| alone(set));
    let measured: Vec<Choice> = sets
        .map(|chosen| {
            let sums = |values: fn(&HeldOut) -> &[f64]| sums(candidates, &scales, &chosen, values);
            let auroc = auroc(&sums(|c| &c.normal), &sums(|c| &c.defect)).unwrap_or(0.0);
            Choice { chosen, auroc }
        })
        .collect();
    let best = measured.iter().map(|choice| choice.auroc).fold(0.0, f64::max);
    let (normal, defect) = candidates.first().map_or((0, 0), |c| (c.normal.len(), c.defect.len()));
    let least = best - standard_error(best, normal, defect);
    let good = measured.into_iter().filter(|choice| choice.auroc >= least);
    let order = |a: &Choice, b: &Choice| a.chosen.len().cmp(&b.chosen.len()).then(b.chosen.cmp(&a.chosen));
    good.max_by(order).unwrap_or(Choice { chosen: Vec::new(), auroc: 0.0 })
}

/// The standard error of an area under the ROC curve (Hanley and McNeil 1982).
fn standard_error(area: f64, normal: usize, defect: usize) -> f64 {
    let (first, second) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let (n, d) = (normal.max(1) as f64, defect.max(1) as f64);
    let square = area * (1.0 - area) + (d - 1.0) * (first - area * area) + (n - 1.0) * (second - area * area);
    (square / (n * d)).max(0.0).sqrt()
}

/// The sum of the set for each picture.
fn sums(candidates: &[HeldOut], scales: &[Scale], set: &[usize], values: fn(&HeldOut) -> &[f64]) -> Vec<f64> {
    let count = set.first().map_or(0, |&first| values(&candidates[first]).len());
    let sum = |i: usize| set.iter().map(|&c| scales[c].apply(values(&candidates[c])[i])).sum();
    (0..count).map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(normal: &[f64], defect: &[f64]) -> HeldOut {
        HeldOut { normal: normal.to_vec(), defect: defect.to_vec() }
    }

    #[test]
    fn scorers_that_know_different_defects_are_summed_up() {
        let normal: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let defects = |from: usize| -> Vec<f64> { (0..100).map(|i| if i / 50 == from { 40.0 } else { 4.5 }).collect() };
        let none = vec![4.5; 100];
        let all = [candidate(&normal, &none), candidate(&normal, &defects(0)), candidate(&normal, &defects(1))];
        let choice = choose(&all, &[0, 1, 2]);
        assert!(choice.chosen.contains(&1) && choice.chosen.contains(&2), "{:?}", choice.chosen);
        // Of one family only one.
        assert_eq!(choose(&all, &[0, 0, 0]).chosen.len(), 1);
    }

    #[test]
    fn what_costs_more_than_the_error_stays_out() {
        let normal: Vec<f64> = (0..200).map(|i| f64::from(i % 20)).collect();
        let good = candidate(&normal, &[25.0; 200]);
        let harmful = candidate(&normal, &[-100.0; 200]);
        assert_eq!(choose(&[harmful, good], &[0, 1]).chosen, [1]);
    }

    #[test]
    fn at_an_area_of_a_half_the_error_is_that_of_the_rank_sum() {
        // Mann and Whitney 1947: (n + d + 1) / (12 n d).
        let expected = (110.0f64 / (12.0 * 58.0 * 51.0)).sqrt();
        assert!((standard_error(0.5, 58, 51) - expected).abs() < 1e-12);
        assert!(standard_error(0.9, 58, 51) < expected);
    }
}
