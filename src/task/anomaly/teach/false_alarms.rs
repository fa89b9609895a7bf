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
    interval_with(sums, clusters, share, None)
}

/// The same as if there were so many clusters like these.
fn interval_with(sums: &[f64], clusters: &[usize], share: f64, count: Option<usize>) -> [f64; 2] {
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
            for _ in 0..count.unwrap_or(members.len()) {
                drawn.extend_from_slice(&members[(random.next_u64() % members.len() as u64) as usize]);
            }
            1.0 - all.score(Calibration::fit(&drawn).sum_at(1.0 - share))
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    [shares[DRAWS / 40], shares[DRAWS - 1 - DRAWS / 40]]
}

/// The largest share of frames, 0..1, of which with a probability of 2.5 % no more than `reached` in `count` reach a threshold (Clopper and
/// Pearson 1934): what a count alone excludes, whatever the distribution.
fn upper_bound(reached: usize, count: usize) -> f64 {
    let at_most = |share: f64| {
        let mut term = (0..count).fold(1.0, |power, _| power * (1.0 - share));
        let mut sum = term;
        for i in 0..reached.min(count) {
            term *= (count - i) as f64 / (i + 1) as f64 * share / (1.0 - share);
            sum += term;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 1.0);
    while reached < count && high - low > 1e-6 {
        let middle = (low + high) / 2.0;
        *(if at_most(middle) > 0.025 { &mut low } else { &mut high }) = middle;
    }
    high
}

/// What a threshold from few pictures is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct FewPictures {
    /// Number of pictures.
    pub pictures: usize,
    /// The share of normal frames that may raise a false alarm, as a 95 % confidence interval.
    pub interval: [f64; 2],
    /// The same with a hundred pictures that vary like these.
    pub with_many: [f64; 2],
}

/// From so many pictures on the interval of a bootstrap is taken at its word; what is promised is of the second number.
const ENOUGH: usize = 30;
const MANY: usize = 100;

impl FewPictures {
    /// `None` for enough pictures. `originals` are the pictures, by number, that are no varied copies; `share` of the normal frames are to
    /// raise a false alarm, and `reaches` is whether a sum does.
    pub fn new(
        sums: &[f64],
        clusters: &[usize],
        originals: &[usize],
        share: f64,
        reaches: impl Fn(f64) -> bool,
    ) -> Option<FewPictures> {
        let pictures = originals.len();
        if pictures >= ENOUGH {
            return None;
        }
        let reached = originals.iter().filter(|&&picture| reaches(sums[picture])).count();
        let [low, high] = false_alarm_interval(sums, clusters, share);
        // A bootstrap of ten values knows nothing of the eleventh.
        let interval = [low, high.max(upper_bound(reached, pictures))];
        let distinct = clusters.iter().max().map_or(0, |last| last + 1);
        let [low, high] = interval_with(sums, clusters, share, Some(MANY * distinct / pictures.max(1)));
        Some(FewPictures { pictures, interval, with_many: [low, high.max(upper_bound(0, MANY))] })
    }

    /// What the user should know and do, in one line.
    pub fn warning(&self) -> String {
        let [low, high] = self.interval.map(|share| 1000.0 * share);
        let [later_low, later_high] = self.with_many.map(|share| 1000.0 * share);
        format!(
            "the threshold is a guess, from {} pictures: {low:.0} to {high:.0} of 1000 good frames may raise a false alarm; {} \
             more pictures of other parts would narrow that to about {later_low:.0} to {later_high:.0}",
            self.pictures,
            MANY - self.pictures
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_alone_excludes_what_the_tables_of_clopper_and_pearson_say() {
        for (reached, count, expected) in [(0, 10, 0.3085), (1, 10, 0.4450), (0, 100, 0.0362), (3, 20, 0.3789)] {
            assert!((upper_bound(reached, count) - expected).abs() < 1e-4, "{reached} of {count}");
        }
        assert_eq!((upper_bound(4, 4), upper_bound(0, 0)), (1.0, 1.0));
    }

    #[test]
    fn few_pictures_are_told_with_what_more_would_gain_and_many_are_not() {
        let sums = |count: usize| -> Vec<f64> { (0..count).map(|i| (i as f64 * 0.618_034).fract()).collect() };
        let clusters: Vec<usize> = (0..30).collect();
        let few = FewPictures::new(&sums(10), &clusters[..10], &clusters[..10], 0.01, |sum| sum > 2.0).unwrap();
        assert!((0.308..0.5).contains(&few.interval[1]) && few.with_many[1] < 0.1, "{few:?}");
        let line = few.warning();
        assert!(line.contains("from 10 pictures:") && line.contains("90 more pictures"), "{line}");
        assert_eq!(FewPictures::new(&sums(30), &clusters, &clusters, 0.01, |_| false), None);
    }

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
