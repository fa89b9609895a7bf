//! How well scores tell defects from normal frames.

/// Area under the ROC curve: the share of (defect, normal) pairs in which the defect scores higher, ties counted half
/// (the Mann–Whitney statistic, Hanley & McNeil 1982). `None` where one of the two is empty.
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

/// `2·TP / (2·TP + FP + FN)`, a defect being called where the score is at least `threshold`; 0 without any defect.
pub fn f1(normal: &[f64], defect: &[f64], threshold: f64) -> f64 {
    let called = |scores: &[f64]| scores.iter().filter(|score| **score >= threshold).count() as f64;
    let (true_positives, false_positives) = (called(defect), called(normal));
    let missed = defect.len() as f64 - true_positives;
    let sum = 2.0 * true_positives + false_positives + missed;
    if sum == 0.0 { 0.0 } else { 2.0 * true_positives / sum }
}

#[cfg(test)]
mod tests {
    use super::*;

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
