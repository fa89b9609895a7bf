//! Which scorers make the verdict: a sum that tells held-out normal pictures from held-out defects as well as any, and of
//! those the one of most scorers. Defects to come are of kinds that nobody has painted: what several scorers agree on is
//! safer than what one does best by less than the measure's own error.

use crate::task::anomaly::measure::auroc;

/// A candidate's value on a picture that it was not taught with.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// The fold without which it was taught.
    pub fold: usize,
    /// The value.
    pub value: f64,
}

/// A candidate's values on pictures that it was not taught with.
#[derive(Clone)]
pub struct HeldOut {
    /// On normal pictures.
    pub normal: Vec<Tried>,
    /// On painted defects.
    pub painted: Vec<Tried>,
    /// On labelled ones.
    pub labelled: Vec<Tried>,
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
    pub fn of(values: &[Tried]) -> Scale {
        let mut sorted: Vec<f64> = values.iter().map(|tried| tried.value).collect();
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

/// Of all sums with at most one candidate of each family the one of most candidates that is within one standard error of
/// the best; of several, the one whose candidates come first. `families` gives each candidate's family: those look at the
/// same thing. Painted defects decide, even where there are labelled ones, which are few and of kinds that are known. The
/// chosen candidates, by number.
pub fn choose(candidates: &[HeldOut], families: &[usize]) -> Vec<usize> {
    let alone = |set: &[usize]| set.iter().all(|a| set.iter().all(|b| a == b || families[*a] != families[*b]));
    let sets = (1..1usize << candidates.len())
        .map(|bits| (0..candidates.len()).filter(|i| bits >> i & 1 == 1).collect::<Vec<usize>>())
        .filter(|set| alone(set));
    let measured: Vec<(f64, Vec<usize>)> =
        sets.map(|set| (area(candidates, &set, |c| &c.painted).unwrap_or(0.0), set)).collect();
    let best = measured.iter().map(|(area, _)| *area).fold(0.0, f64::max);
    let (normal, defects) = candidates.first().map_or((0, 0), |c| (c.normal.len(), c.painted.len()));
    let good = measured.into_iter().filter(|(area, _)| !worse(*area, best, normal, defects)).map(|(_, set)| set);
    good.max_by(|a, b| a.len().cmp(&b.len()).then(b.cmp(a))).unwrap_or_default()
}

/// Area under the ROC curve of the set's sum, held-out normal pictures against held-out defects; nothing where there are
/// none. Only values of one and the same teaching are compared with each other: another fold's may lie elsewhere.
pub fn area(candidates: &[HeldOut], set: &[usize], defects: fn(&HeldOut) -> &[Tried]) -> Option<f64> {
    let (normal, defects) = (sums(candidates, set, |c| &c.normal), sums(candidates, set, defects));
    let folds = normal.iter().map(|tried| tried.fold + 1).max().unwrap_or(0);
    let (mut won, mut pairs) = (0.0, 0.0);
    for fold in 0..folds {
        let of = |tried: &[Tried]| -> Vec<f64> {
            tried.iter().filter(|tried| tried.fold == fold).map(|tried| tried.value).collect()
        };
        let (normal, defects) = (of(&normal), of(&defects));
        if let Some(area) = auroc(&normal, &defects) {
            let count = (normal.len() * defects.len()) as f64;
            (won, pairs) = (won + area * count, pairs + count);
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// Whether an area is less than another by more than its standard error.
pub fn worse(area: f64, other: f64, normal: usize, defects: usize) -> bool {
    area < other - standard_error(other, normal, defects)
}

/// The sum of the set for each picture: every scorer in spreads from its median on normal pictures.
pub fn sums(candidates: &[HeldOut], set: &[usize], values: fn(&HeldOut) -> &[Tried]) -> Vec<Tried> {
    let Some(first) = set.first().map(|&first| values(&candidates[first])) else { return Vec::new() };
    let scales: Vec<(usize, Scale)> = set.iter().map(|&c| (c, Scale::of(&candidates[c].normal))).collect();
    let sum = |i: usize| scales.iter().map(|(c, scale)| scale.apply(values(&candidates[*c])[i].value)).sum();
    first.iter().enumerate().map(|(i, tried)| Tried { fold: tried.fold, value: sum(i) }).collect()
}

/// The standard error of an area under the ROC curve (Hanley and McNeil 1982).
fn standard_error(area: f64, normal: usize, defect: usize) -> f64 {
    let (first, second) = (area / (2.0 - area), 2.0 * area * area / (1.0 + area));
    let (n, d) = (normal.max(1) as f64, defect.max(1) as f64);
    let square = area * (1.0 - area) + (d - 1.0) * (first - area * area) + (n - 1.0) * (second - area * area);
    (square / (n * d)).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(values: &[f64]) -> Vec<Tried> {
        values.iter().map(|&value| Tried { fold: 0, value }).collect()
    }

    fn candidate(normal: &[f64], defect: &[f64]) -> HeldOut {
        HeldOut { normal: tried(normal), painted: tried(defect), labelled: Vec::new() }
    }

    #[test]
    fn scorers_that_know_different_defects_are_summed_up() {
        let normal: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let defects = |from: usize| -> Vec<f64> { (0..100).map(|i| if i / 50 == from { 40.0 } else { 4.5 }).collect() };
        let none = vec![4.5; 100];
        let all = [candidate(&normal, &none), candidate(&normal, &defects(0)), candidate(&normal, &defects(1))];
        let choice = choose(&all, &[0, 1, 2]);
        assert!(choice.contains(&1) && choice.contains(&2), "{choice:?}");
        // Of one family only one.
        assert_eq!(choose(&all, &[0, 0, 0]).len(), 1);
    }

    #[test]
    fn what_costs_more_than_the_error_stays_out() {
        let normal: Vec<f64> = (0..200).map(|i| f64::from(i % 20)).collect();
        let good = candidate(&normal, &[25.0; 200]);
        let harmful = candidate(&normal, &[-100.0; 200]);
        assert_eq!(choose(&[harmful, good], &[0, 1]), [1]);
    }

    #[test]
    fn only_values_of_one_teaching_are_compared() {
        let values = |fold, from: f64| (0..10).map(move |i| Tried { fold, value: from + f64::from(i) });
        // In either fold defects lie five over normal pictures; one fold's values lie a hundred higher.
        let normal = values(0, 0.0).chain(values(1, 100.0)).collect();
        let painted = values(0, 5.0).chain(values(1, 105.0)).collect();
        let all = [HeldOut { normal, painted, labelled: Vec::new() }];
        let expected = area(
            &[candidate(&[0., 1., 2., 3., 4., 5., 6., 7., 8., 9.], &[5., 6., 7., 8., 9., 10., 11., 12., 13., 14.])],
            &[0],
            |c| &c.painted,
        );
        assert_eq!(area(&all, &[0], |c| &c.painted), expected);
        assert!(expected > Some(0.85));
        assert_eq!(area(&all, &[0], |c| &c.labelled), None);
    }

    #[test]
    fn at_an_area_of_a_half_the_error_is_that_of_the_rank_sum() {
        // Mann and Whitney 1947: (n + d + 1) / (12 n d).
        let expected = (110.0f64 / (12.0 * 58.0 * 51.0)).sqrt();
        assert!((standard_error(0.5, 58, 51) - expected).abs() < 1e-12);
        assert!(standard_error(0.9, 58, 51) < expected);
    }
}
