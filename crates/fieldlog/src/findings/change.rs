//! Detects lasting changes of a value over time.
//!
//! At each boundary between two intervals the values of some intervals before are compared with as many after: 8 of each, then
//! 24, then 96, so that what comes suddenly and what comes slowly are both found. There is a change where the values after are
//! larger (or smaller) than those before in at least 95 % of all pairs (Mann and Whitney's U over the product of both counts;
//! in all pairs for 8 of each, which noise does at a given place once in 6435 times), and the medians differ by the factor and
//! the amount that the caller asks for. Of changes near each other the clearest counts.

/// Values on either side.
const REACHES: [usize; 3] = [8, 24, 96];

/// A value that became another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The first value after it.
    pub at: usize,
    /// How many values on either side were looked at.
    pub reach: usize,
    /// The median before.
    pub before: f64,
    /// The median after.
    pub after: f64,
}

impl Change {
    /// Whether it became more.
    pub fn rises(&self) -> bool {
        self.after > self.before
    }

    fn factor(&self) -> f64 {
        (self.after.max(1e-9) / self.before.max(1e-9)).ln().abs()
    }
}

/// The changes in `values`, in their order: medians that differ by a `factor` over 1 and by `amount`.
pub fn changes(values: &[f64], factor: f64, amount: f64) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    for reach in REACHES {
        let min_share = if reach == REACHES[0] { 1.0 } else { 0.95 };
        let mut candidates: Vec<(f64, Change)> = (reach..(values.len() + 1).saturating_sub(reach))
            .filter_map(|at| {
                let (before, after) = (sorted(&values[at - reach..at]), sorted(&values[at..at + reach]));
                let change = Change { at, reach, before: before[reach / 2], after: after[reach / 2] };
                let (low, high) = (change.before.min(change.after), change.before.max(change.after));
                if high < low * factor || high - low < amount {
                    return None;
                }
                let larger = pairs_larger(&before, &after);
                let clear = larger.max(1.0 - larger);
                (clear >= min_share).then_some((clear, change))
            })
            .collect();
        // Where several boundaries are as clear, the one with the largest step, and of these the first.
        candidates.sort_by(|a, b| {
            let step = |change: &Change| (values[change.at] - values[change.at - 1]).abs();
            b.0.total_cmp(&a.0).then(step(&b.1).total_cmp(&step(&a.1))).then(a.1.at.cmp(&b.1.at))
        });
        for (_, change) in candidates {
            let near = |other: &Change| {
                other.at.abs_diff(change.at) < reach.max(other.reach) && other.rises() == change.rises()
            };
            if !found.iter().any(near) {
                found.push(change);
            }
        }
    }
    found.sort_by_key(|change| change.at);
    found
}

/// The `max` largest changes, in the order of time.
pub fn largest(mut changes: Vec<Change>, max: usize) -> Vec<Change> {
    changes.sort_by(|a, b| b.factor().total_cmp(&a.factor()));
    changes.truncate(max);
    changes.sort_by_key(|change| change.at);
    changes
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// In which share of all pairs the value of `after` is the larger one; equal ones count half. Both are in order.
fn pairs_larger(before: &[f64], after: &[f64]) -> f64 {
    let mut sum = 0.0;
    for value in after {
        let below = before.partition_point(|other| other < value);
        let equal = before.partition_point(|other| other <= value) - below;
        sum += below as f64 + equal as f64 / 2.0;
    }
    sum / (before.len() * after.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus as Random;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    fn noisy(values: impl IntoIterator<Item = f64>, spread: f64, seed: u64) -> Vec<f64> {
        let mut random = Random::seed_from_u64(seed);
        let mut unit = move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        // Latency has a long tail: now and then twice the value.
        values
            .into_iter()
            .map(|v| v * (1.0 + spread * (unit() - 0.5)) * if unit() < 0.03 { 2.0 } else { 1.0 })
            .collect()
    }

    #[test]
    fn a_step_is_found_where_it_is_and_its_end_too() {
        let level = (0..1000).map(|i| if (400..460).contains(&i) { 96.0 } else { 41.0 });
        let found = changes(&noisy(level, 0.2, 1), 1.5, 5.0);
        assert_eq!(found.iter().map(|change| change.at).collect::<Vec<_>>(), [400, 460], "{found:?}");
        assert!((38.0..45.0).contains(&found[0].before) && (88.0..104.0).contains(&found[0].after));
        assert!(found[0].rises() && !found[1].rises());
    }

    #[test]
    fn a_slow_rise_is_found_once() {
        let level = (0..600).map(|i| 40.0 + 60.0 * ((f64::from(i) - 200.0) / 200.0).clamp(0.0, 1.0));
        let found = changes(&noisy(level, 0.2, 2), 1.5, 5.0);
        assert!((1..=2).contains(&found.len()) && found.iter().all(Change::rises), "{found:?}");
    }

    #[test]
    fn noise_alone_is_none() {
        let mut found = 0;
        for seed in 0..20 {
            found += changes(&noisy((0..2000).map(|_| 41.0), 0.5, seed), 1.5, 5.0).len();
        }
        assert_eq!(found, 0);
        assert!(changes(&[1.0; 5], 1.5, 0.0).is_empty());
        assert!(changes(&[], 1.5, 0.0).is_empty());
        assert!(changes(&[0.0; 100], 1.5, 0.0).is_empty());
    }
}
