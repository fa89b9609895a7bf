//! Selection of the scorers whose combination is the score: among those that separate held-out normal pictures from held-out defects
//! as well as the best one does, the one of most scorers. Real defects will be of kinds that were never synthesized: agreement
//! of several scorers is safer than one scorer that leads by less than the standard error.
//!
//! A scorer of the whole frame may take any change of it for a defect. It counts only where groups of pictures that look alike, held out as
//! a whole, are to it less unusual than synthetic defects are.

use super::scheme::{COMBINATION, Scale};
use crate::task::anomaly::metrics::auroc;
use crate::task::anomaly::scorer::combine;

/// A larger AUROC counts as this: how much better it is cannot be told from a few hundred pictures.
const LARGEST_AREA: f64 = 0.999;
/// The least weight, so that there is always one.
const MIN_WEIGHT: f64 = 1e-6;

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
    /// Of a scorer with a ceiling: the ceiling.
    pub ceiling: Option<f64>,
    /// Of the same: its values of normal pictures that were held out with all that look like them.
    pub unfamiliar: Vec<f64>,
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

/// What a candidate counts in the combination.
#[derive(Debug, Clone, Copy)]
pub struct CandidateTerm {
    /// The scale of its values.
    pub scale: Scale,
    /// Its weight.
    pub weight: f64,
    /// The largest value that counts.
    pub ceiling: Option<f64>,
}

impl CandidateTerm {
    /// The term for a value of the scorer.
    fn apply(&self, value: f64) -> f64 {
        let term = self.scale.apply(value);
        self.ceiling.map_or(term, |ceiling| term.min(ceiling))
    }
}

/// The terms of all candidates. A weight is the logit of the candidate's AUROC on held-out synthetic defects: scorers count by
/// how well they tell these from normal pictures, and one that cannot does not count; nor does one with a ceiling to which
/// unfamiliar normal pictures are more unusual than synthetic defects, more often than not.
pub fn terms(candidates: &[HeldOutScores]) -> Vec<CandidateTerm> {
    let term = |candidate: &HeldOutScores| {
        let area = auroc_by_fold(&candidate.normal, &candidate.synthetic).unwrap_or(0.5).clamp(0.5, LARGEST_AREA);
        let defects: Vec<f64> = candidate.synthetic.iter().map(|score| score.value).collect();
        let is_fooled =
            candidate.ceiling.is_some() && auroc(&candidate.unfamiliar, &defects).is_none_or(|area| area < 0.5);
        let logit = if is_fooled { 0.0 } else { libm::log(area / (1.0 - area)) };
        let (scale, ceiling) = (scale_of(&candidate.normal), candidate.ceiling);
        CandidateTerm { scale, weight: logit.max(MIN_WEIGHT), ceiling }
    };
    candidates.iter().map(term).collect()
}

/// Selects candidates, by number: of all combinations with at most one candidate per family, the largest set within one standard error
/// of the best AUROC; of several such sets, the one whose candidates come first. `families` holds each candidate's family;
/// members of a family measure the same. One that cannot tell defects from normal pictures joins no other, and one with a ceiling
/// does not stand alone: what reaches the ceiling would have no order. Only synthetic defects
/// decide: labelled ones are few and of known kinds.
pub fn select(candidates: &[HeldOutScores], families: &[usize]) -> Vec<usize> {
    let distinct = |set: &[usize]| set.iter().all(|a| set.iter().all(|b| a == b || families[*a] != families[*b]));
    let terms = terms(candidates);
    let sets = (1..1usize << candidates.len())
        .map(|bits| (0..candidates.len()).filter(|i| bits >> i & 1 == 1).collect::<Vec<usize>>())
        .filter(|set| distinct(set) && set.iter().any(|&c| terms[c].ceiling.is_none()))
        .filter(|set| set.len() == 1 || set.iter().all(|&c| terms[c].weight > MIN_WEIGHT));
    let area = |set: &[usize]| auroc_combined(candidates, set, &terms, |scores| &scores.synthetic).unwrap_or(0.0);
    let measured: Vec<(f64, Vec<usize>)> = sets.map(|set| (area(&set), set)).collect();
    let best = measured.iter().map(|(area, _)| *area).fold(0.0, f64::max);
    let (normal, defects) = candidates.first().map_or((0, 0), |c| (c.normal.len(), c.synthetic.len()));
    let good = measured.into_iter().filter(|(area, _)| !is_worse(*area, best, normal, defects)).map(|(_, set)| set);
    good.max_by(|a, b| a.len().cmp(&b.len()).then(b.cmp(a))).unwrap_or_default()
}

/// Area under the ROC curve of the set's combination, held-out normal pictures against held-out defects; `None` without either.
pub fn auroc_combined(
    candidates: &[HeldOutScores],
    set: &[usize],
    terms: &[CandidateTerm],
    defects: fn(&HeldOutScores) -> &[HeldOutScore],
) -> Option<f64> {
    let normal = combined(candidates, set, terms, |scores| &scores.normal);
    auroc_by_fold(&normal, &combined(candidates, set, terms, defects))
}

/// Area under the ROC curve. Scores are compared within a fold only: scorers trained without another fold may have another offset.
pub fn auroc_by_fold(normal: &[HeldOutScore], defects: &[HeldOutScore]) -> Option<f64> {
    let folds = normal.iter().map(|score| score.fold + 1).max().unwrap_or(0);
    let (mut won, mut pairs) = (0.0, 0.0);
    for fold in 0..folds {
        let of_fold = |scores: &[HeldOutScore]| -> Vec<f64> {
            scores.iter().filter(|score| score.fold == fold).map(|score| score.value).collect()
        };
        let (normal, defects) = (of_fold(normal), of_fold(defects));
        if let Some(area) = auroc(&normal, &defects) {
            let count = (normal.len() * defects.len()) as f64;
            (won, pairs) = (won + area * count, pairs + count);
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// The combination of the set's scores for each picture, by the rule of [`COMBINATION`].
pub fn combined(
    candidates: &[HeldOutScores],
    set: &[usize],
    terms: &[CandidateTerm],
    scores: fn(&HeldOutScores) -> &[HeldOutScore],
) -> Vec<HeldOutScore> {
    let Some(first) = set.first().map(|&first| scores(&candidates[first])) else { return Vec::new() };
    let value = |i: usize| {
        let of = |&c: &usize| (terms[c].weight, terms[c].apply(scores(&candidates[c])[i].value));
        combine(COMBINATION, set.iter().map(of))
    };
    first.iter().enumerate().map(|(i, score)| HeldOutScore { fold: score.fold, value: value(i) }).collect()
}

/// Whether an AUROC is below another by more than the other's standard error.
pub fn is_worse(area: f64, other: f64, normal: usize, defects: usize) -> bool {
    area < other - standard_error(other, normal, defects)
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
        HeldOutScores { normal: scores(normal), synthetic: scores(defect), ..HeldOutScores::default() }
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
        let all = HeldOutScores { normal, synthetic, ..HeldOutScores::default() };
        let one: Vec<f64> = (0..10).map(f64::from).collect();
        let higher: Vec<f64> = (5..15).map(f64::from).collect();
        let expected = auroc_by_fold(&scores(&one), &scores(&higher));
        assert_eq!(auroc_by_fold(&all.normal, &all.synthetic), expected);
        assert!(expected > Some(0.85));
        assert_eq!(auroc_by_fold(&all.normal, &all.labelled), None);
    }

    #[test]
    fn scorers_count_by_how_well_they_separate() {
        let normal: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let of = |shift: f64| candidate(&normal, &normal.iter().map(|value| value + shift).collect::<Vec<f64>>());
        let weights: Vec<f64> = terms(&[of(0.0), of(-5.0), of(3.0), of(20.0)]).iter().map(|term| term.weight).collect();
        assert!(weights[0] == MIN_WEIGHT && weights[1] == MIN_WEIGHT && weights[3] > 2.0 * weights[2], "{weights:?}");
    }

    #[test]
    fn a_scorer_that_takes_another_batch_for_a_defect_does_not_count() {
        let normal: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let local = candidate(&normal, &[12.0; 100]);
        let whole = |unfamiliar: f64| HeldOutScores {
            ceiling: Some(2.0),
            unfamiliar: vec![unfamiliar; 20],
            ..candidate(&normal, &[12.0; 100])
        };
        assert_eq!(select(&[local.clone(), whole(7.0)], &[0, 1]), [0, 1]);
        assert_eq!(select(&[local.clone(), whole(20.0)], &[0, 1]), [0]);
        // It never stands alone, even where it alone finds the defects.
        assert_eq!(select(&[candidate(&normal, &normal), whole(7.0)], &[0, 1]), [0]);
        // Nothing that could be held out tells nothing.
        assert_eq!(select(&[local, HeldOutScores { unfamiliar: Vec::new(), ..whole(7.0) }], &[0, 1]), [0]);
        // What stands out more than the ceiling counts as that.
        let all = [whole(7.0)];
        let term = terms(&all)[0];
        assert_eq!((term.apply(term.scale.median), term.apply(1e9)), (0.0, 2.0));
    }

    #[test]
    fn at_an_area_of_a_half_the_error_is_that_of_the_rank_sum() {
        // Mann and Whitney 1947: (n + d + 1) / (12 n d).
        let expected = (110.0f64 / (12.0 * 58.0 * 51.0)).sqrt();
        assert!((standard_error(0.5, 58, 51) - expected).abs() < 1e-12);
        assert!(standard_error(0.9, 58, 51) < expected);
    }
}
