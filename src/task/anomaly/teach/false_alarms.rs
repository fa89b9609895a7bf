//! The confidence interval of a false alarm rate whose threshold was set from a few hundred held-out frames.

use crate::task::anomaly::calibration::Calibration;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Bootstrap samples.
const DRAWS: usize = 1000;

/// The 95 % confidence interval of the share of normal frames that really raise a false alarm when `share` is asked for. Whole
/// clusters of near-duplicates are drawn with replacement (percentile bootstrap, Efron and Tibshirani 1993, chapter 8.6: dependent
/// data are drawn together), the threshold is set from each sample and tested on all frames.
pub fn false_alarm_interval(sums: &[f64], clusters: &[usize], share: f64) -> [f64; 2] {
    let all = Calibration::fit(sums);
    let mut members: Vec<Vec<f64>> = vec![Vec::new(); clusters.iter().max().map_or(0, |last| last + 1)];
    for (&sum, &cluster) in sums.iter().zip(clusters) {
        members[cluster].push(sum);
    }
    members.retain(|member| !member.is_empty());
    let mut random = SplitMix64::seed_from_u64(0);
    let mut drawn = Vec::new();
    let mut shares: Vec<f64> = (0..DRAWS)
        .map(|_| {
            drawn.clear();
            for _ in 0..members.len() {
                drawn.extend_from_slice(&members[(random.next_u64() % members.len() as u64) as usize]);
            }
            1.0 - all.score(Calibration::fit(&drawn).sum_at(1.0 - share))
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    [shares[DRAWS / 40], shares[DRAWS - 1 - DRAWS / 40]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_pictures_narrow_the_interval_and_duplicates_do_not() {
        let sums = |count: usize| -> Vec<f64> { (0..count).map(|i| (i as f64 * 0.618_034).fract()).collect() };
        let width = |sums: &[f64], clusters: &[usize]| {
            let [low, high] = false_alarm_interval(sums, clusters, 0.05);
            assert!(low < 0.05 && 0.05 < high, "{low} {high}");
            high - low
        };
        let own: Vec<usize> = (0..400).collect();
        let few = width(&sums(50), &own[..50]);
        let many = width(&sums(400), &own);
        // Eight copies of each of fifty.
        let copied: Vec<f64> = sums(50).into_iter().flat_map(|sum| [sum; 8]).collect();
        let clusters: Vec<usize> = (0..400).map(|i| i / 8).collect();
        let copies = width(&copied, &clusters);
        assert!(many < 0.6 * few && copies > 0.8 * few, "{many} {few} {copies}");
    }
}
