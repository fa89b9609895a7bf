//! Metrics of how well scores separate defects from normal frames.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Area under the ROC curve: the share of (defect, normal) pairs in which the defect scores higher, ties counted half
/// (the Mann–Whitney statistic, Hanley & McNeil 1982). `None` if either is empty.
pub fn auroc(normal: &[f64], defect: &[f64]) -> Option<f64> {
    if normal.is_empty() || defect.is_empty() {
        return None;
    }
    let mut sorted = normal.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Twice the number of pairs won, so that ties stay integers.
    let won: u64 = defect
        .iter()
        .map(|score| {
            let below = sorted.partition_point(|normal| normal < score);
            let not_above = sorted.partition_point(|normal| normal <= score);
            (below + not_above) as u64
        })
        .sum();
    Some(won as f64 / (2.0 * normal.len() as f64 * defect.len() as f64))
}

/// `2·TP / (2·TP + FP + FN)`, where scores of at least `threshold` count as defects; 0 without any defect.
pub fn f1(normal: &[f64], defect: &[f64], threshold: f64) -> f64 {
    let called = |scores: &[f64]| scores.iter().filter(|score| **score >= threshold).count() as f64;
    let (true_positives, false_positives) = (called(defect), called(normal));
    let missed = defect.len() as f64 - true_positives;
    let sum = 2.0 * true_positives + false_positives + missed;
    if sum == 0.0 { 0.0 } else { 2.0 * true_positives / sum }
}

/// The share of defects found at a false alarm rate of at most `share`: those that score higher than the best normal frame that may
/// not raise an alarm. `None` if either is empty.
pub fn recall_at(normal: &[f64], defect: &[f64], share: f64) -> Option<f64> {
    if normal.is_empty() || defect.is_empty() {
        return None;
    }
    let mut sorted = normal.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let allowed = (share * normal.len() as f64 + 1e-9).floor() as usize;
    let bound = sorted.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    Some(defect.iter().filter(|score| **score > bound).count() as f64 / defect.len() as f64)
}

/// Bootstrap samples.
const DRAWS: usize = 1000;

/// The 95 % confidence interval of a statistic, by drawing scores with replacement from each of the two sets (percentile bootstrap,
/// Efron and Tibshirani 1993, chapter 13). The draws are the same in every run.
pub fn bootstrap_interval(
    normal: &[f64],
    defect: &[f64],
    statistic: impl Fn(&[f64], &[f64]) -> Option<f64>,
) -> Option<[f64; 2]> {
    let mut random = SplitMix64::seed_from_u64(0);
    let mut draw = |scores: &[f64], drawn: &mut Vec<f64>| {
        drawn.clear();
        drawn.extend((0..scores.len()).map(|_| scores[(random.next_u64() % scores.len().max(1) as u64) as usize]));
    };
    let (mut normals, mut defects) = (Vec::new(), Vec::new());
    let mut values = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        draw(normal, &mut normals);
        draw(defect, &mut defects);
        values.push(statistic(&normals, &defects)?);
    }
    values.sort_by(f64::total_cmp);
    Some([values[DRAWS / 40], values[DRAWS - 1 - DRAWS / 40]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_respects_the_allowed_false_alarms() {
        let normal: Vec<f64> = (0..20).map(f64::from).collect();
        let defect = [0.5, 17.5, 18.5, 19.5];
        assert_eq!(recall_at(&normal, &defect, 0.0), Some(0.25));
        assert_eq!(recall_at(&normal, &defect, 0.05), Some(0.5));
        assert_eq!(recall_at(&normal, &defect, 0.1), Some(0.75));
        assert_eq!(recall_at(&normal, &defect, 1.0), Some(1.0));
        // A tie with a normal frame that may not raise an alarm does not count as found.
        assert_eq!(recall_at(&[1.0, 1.0], &[1.0, 2.0], 0.5), Some(0.5));
        assert_eq!(recall_at(&[], &defect, 0.1), None);
    }

    #[test]
    fn intervals_contain_the_value_and_shrink_with_more_scores() {
        let scores = |count: usize, shift: f64| -> Vec<f64> {
            (0..count).map(|i| (i as f64 * 0.618_034).fract() + shift).collect()
        };
        let mut widths = Vec::new();
        for count in [20, 200] {
            let (normal, defect) = (scores(count, 0.0), scores(count, 0.3));
            let area = auroc(&normal, &defect).unwrap();
            let [low, high] = bootstrap_interval(&normal, &defect, auroc).unwrap();
            assert!(low < area && area < high, "{low} {area} {high}");
            widths.push(high - low);
        }
        // As the square root of the number of scores: 3.2 times.
        assert!((2.0..5.0).contains(&(widths[0] / widths[1])), "{widths:?}");
        assert_eq!(bootstrap_interval(&[0.1; 5], &[0.9; 5], auroc), Some([1.0, 1.0]));
        assert_eq!(bootstrap_interval(&[], &[0.9], auroc), None);
    }

    #[test]
    fn auroc_counts_pairs_won() {
        assert_eq!(auroc(&[0.1, 0.2], &[0.3, 0.4]), Some(1.0));
        assert_eq!(auroc(&[0.3, 0.4], &[0.1, 0.2]), Some(0.0));
        assert_eq!(auroc(&[0.5], &[0.5]), Some(0.5));
        // scikit-learn: roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
        assert_eq!(auroc(&[0.1, 0.4], &[0.35, 0.8]), Some(0.75));
        assert_eq!(auroc(&[], &[0.5]), None);
    }

    #[test]
    fn f1_balances_misses_and_false_alarms() {
        assert_eq!(f1(&[0.1], &[0.9], 0.5), 1.0);
        assert_eq!(f1(&[0.9, 0.1], &[0.9, 0.1], 0.5), 0.5);
        assert_eq!(f1(&[], &[], 0.5), 0.0);
    }
}
