//! Selection of the scorers whose sum is the score: among the sums that separate held-out normal pictures from held-out defects
//! as well as the best one does, the sum of most scorers. Real defects will be of kinds that were never synthesized: agreement
//! of several scorers is safer than one scorer that leads by less than the standard error.

use super::scheme::Scale;
use crate::task::anomaly::metrics::auroc;

/// A candidate's score of a picture that it was not trained with.
#[derive(Debug, Clone, Copy)]
pub struct HeldOutScore {
    /// The fold that was held out in training.
    pub fold: usize,
    /// The score.
    pub value: f64,
}

/// A candidate's scores of pictures that it was not trained with.
#[derive(Clone, Default)]
pub struct HeldOutScores {
    /// Of normal pictures.
    pub normal: Vec<HeldOutScore>,
    /// Of synthetic defects.
    pub synthetic: Vec<HeldOutScore>,
    /// Of labelled defects.
    pub labelled: Vec<HeldOutScore>,
}

/// Median and standard deviation of scores.
pub fn scale_of(scores: &[HeldOutScore]) -> Scale {
    let mut sorted: Vec<f64> = scores.iter().map(|score| score.value).collect();
    sorted.sort_by(f64::total_cmp);
    let count = scores.len().max(1) as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let variance = sorted.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    Scale { median, spread: variance.sqrt().max(1e-6) }
}

/// Selects candidates, by number: of all sums with at most one candidate per family, the largest set within one standard error
/// of the best AUROC; of several such sets, the one whose candidates come first. `families` holds each candidate's family;
/// members of a family use the same features. Only synthetic defects decide: labelled ones are few and of known kinds.
pub fn select(candidates: &[HeldOutScores], families: &[usize]) -> Vec<usize> {
    let distinct = |set: &[usize]| set.iter().all(|a| set.iter().all(|b| a == b || families[*a] != families[*b]));
    let sets = (1..1usize << candidates.len())
        .map(|bits| (0..candidates.len()).filter(|i| bits >> i & 1 == 1).collect::<Vec<usize>>())
        .filter(|set| distinct(set));
    let measured: Vec<(f64, Vec<usize>)> =
        sets.map(|set| (auroc_of_sum(candidates, &set, |scores| &scores.synthetic).unwrap_or(0.0), set)).collect();
    let best = measured.iter().map(|(area, _)| *area).fold(0.0, f64::max);
    let (normal, defects) = candidates.first().map_or((0, 0), |c| (c.normal.len(), c.synthetic.len()));
    let good = measured.into_iter().filter(|(area, _)| !is_worse(*area, best, normal, defects)).map(|(_, set)| set);
    good.max_by(|a, b| a.len().cmp(&b.len()).then(b.cmp(a))).unwrap_or_default()
}

/// Area under the ROC curve of the set's sum, held-out normal pictures against held-out defects; `None` without either. Scores
/// are compared within a fold only: scorers trained without another fold may have another offset.
pub fn auroc_of_sum(
    candidates: &[HeldOutScores],
    set: &[usize],
    defects: fn(&HeldOutScores) -> &[HeldOutScore],
) -> Option<f64> {
    let normal = summed(candidates, set, |scores| &scores.normal);
    let defects = summed(candidates, set, defects);
    let folds = normal.iter().map(|score| score.fold + 1).max().unwrap_or(0);
    let (mut won, mut pairs) = (0.0, 0.0);
    for fold in 0..folds {
        let of_fold = |scores: &[HeldOutScore]| -> Vec<f64> {
            scores.iter().filter(|score| score.fold == fold).map(|score| score.value).collect()
        };
        let (normal, defects) = (of_fold(&normal), of_fold(&defects));
        if let Some(area) = auroc(&normal, &defects) {
            let count = (normal.len() * defects.len()) as f64;
            (won, pairs) = (won + area * count, pairs + count);
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// Whether an AUROC is below another by more than the other's standard error.
pub fn is_worse(area: f64, other: f64, normal: usize, defects: usize) -> bool {
    area < other - standard_error(other, normal, defects)
}

/// The sum of the set's scores for each picture, each scorer in standard deviations from its median on normal pictures.
pub fn summed(
    candidates: &[HeldOutScores],
    set: &[usize],
    scores: fn(&HeldOutScores) -> &[HeldOutScore],
) -> Vec<HeldOutScore> {
    let Some(first) = set.first().map(|&first| scores(&candidates[first])) else { return Vec::new() };
    let scales: Vec<(usize, Scale)> = set.iter().map(|&c| (c, scale_of(&candidates[c].normal))).collect();
    let sum = |i: usize| scales.iter().map(|(c, scale)| scale.apply(scores(&candidates[*c])[i].value)).sum();
    first.iter().enumerate().map(|(i, score)| HeldOutScore { fold: score.fold, value: sum(i) }).collect()
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

    fn scores(values: &[f64]) -> Vec<HeldOutScore> {
        values.iter().map(|&value| HeldOutScore { fold: 0, value }).collect()
    }

    fn candidate(normal: &[f64], defect: &[f64]) -> HeldOutScores {
        HeldOutScores { normal: scores(normal), synthetic: scores(defect), labelled: Vec::new() }
    }

    #[test]
    fn scorers_that_find_different_defects_are_summed() {
        let normal: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let defects = |from: usize| -> Vec<f64> { (0..100).map(|i| if i / 50 == from { 40.0 } else { 4.5 }).collect() };
        let none = vec![4.5; 100];
        let all = [candidate(&normal, &none), candidate(&normal, &defects(0)), candidate(&normal, &defects(1))];
        let choice = select(&all, &[0, 1, 2]);
        assert!(choice.contains(&1) && choice.contains(&2), "{choice:?}");
        // At most one per family.
        assert_eq!(select(&all, &[0, 0, 0]).len(), 1);
    }

    #[test]
    fn a_scorer_that_costs_more_than_the_error_is_left_out() {
        let normal: Vec<f64> = (0..200).map(|i| f64::from(i % 20)).collect();
        let good = candidate(&normal, &[25.0; 200]);
        let harmful = candidate(&normal, &[-100.0; 200]);
        assert_eq!(select(&[harmful, good], &[0, 1]), [1]);
    }

    #[test]
    fn only_scores_of_one_fold_are_compared() {
        let values = |fold, from: f64| (0..10).map(move |i| HeldOutScore { fold, value: from + f64::from(i) });
        // In either fold defects lie five over normal pictures; one fold's values lie a hundred higher.
        let normal = values(0, 0.0).chain(values(1, 100.0)).collect();
        let synthetic = values(0, 5.0).chain(values(1, 105.0)).collect();
        let all = [HeldOutScores { normal, synthetic, labelled: Vec::new() }];
        let expected = auroc_of_sum(
            &[candidate(&[0., 1., 2., 3., 4., 5., 6., 7., 8., 9.], &[5., 6., 7., 8., 9., 10., 11., 12., 13., 14.])],
            &[0],
            |c| &c.synthetic,
        );
        assert_eq!(auroc_of_sum(&all, &[0], |c| &c.synthetic), expected);
        assert!(expected > Some(0.85));
        assert_eq!(auroc_of_sum(&all, &[0], |c| &c.labelled), None);
    }

    #[test]
    fn at_an_area_of_a_half_the_error_is_that_of_the_rank_sum() {
        // Mann and Whitney 1947: (n + d + 1) / (12 n d).
        let expected = (110.0f64 / (12.0 * 58.0 * 51.0)).sqrt();
        assert!((standard_error(0.5, 58, 51) - expected).abs() < 1e-12);
        assert!(standard_error(0.9, 58, 51) < expected);
    }
}
