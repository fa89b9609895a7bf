//! Quantiles of any number of values in fixed memory.
//!
//! A log-linear histogram, as in HdrHistogram (Tene): each power of two is cut into 64 steps, so that a value is known to
//! within 1/128 of itself. One crate does that well, with counts of 64 bits, ranges that are chosen and allocated at run
//! time, and a format for disks; what is needed here is a plain array that two threads can swap.

/// Steps to a power of two, and its logarithm.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: usize = 6;
/// Values are distinguished up to `2^BITS`: as microseconds two minutes.
const BITS: usize = 27;
/// Values below [`STEPS`] have a place each; then come the powers of two from there.
const PLACES: usize = STEPS * (BITS - STEP_BITS + 1);

/// Approximate counts of values.
#[derive(Clone)]
pub struct Histogram {
    counts: [u32; PLACES],
    count: u64,
    sum: u64,
    max: u32,
}

impl Histogram {
    /// An empty histogram.
    pub const fn new() -> Histogram {
        Histogram { counts: [0; PLACES], count: 0, sum: 0, max: 0 }
    }

    /// Counts a value. One of 2^27 or more counts as that, but the largest is known exactly.
    pub fn add(&mut self, value: u32) {
        let place = &mut self.counts[place(value)];
        *place = place.saturating_add(1);
        self.count += 1;
        self.sum += u64::from(value);
        self.max = self.max.max(value);
    }

    /// Counts all values of another.
    pub fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        *self = Histogram::new();
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of all values, exactly.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many values are not above `value`, below 2^27; those within 1/128 of it may count as either.
    pub fn at_most(&self, value: u32) -> u64 {
        let below = (0..PLACES).take_while(|&place| middle(place) <= value);
        below.map(|place| u64::from(self.counts[place])).sum()
    }

    /// The largest value, exactly; 0 where there is none.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// The value that a `share` of all values do not exceed (nearest rank): below 64 exactly, up to 2^27 to within 1/128 of
    /// it; 0 where there is none.
    pub fn quantile(&self, share: f64) -> u32 {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        if rank == self.count {
            return self.max;
        }
        let mut seen = 0;
        for (place, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return middle(place).min(self.max);
            }
        }
        self.max
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

fn place(value: u32) -> usize {
    let value = value.min((1 << BITS) - 1) as usize;
    if value < STEPS {
        return value;
    }
    let finest = value.ilog2() as usize - STEP_BITS;
    STEPS * finest + (value >> finest)
}

/// The middle of the values that share a place.
fn middle(place: usize) -> u32 {
    if place < 2 * STEPS {
        return place as u32;
    }
    let finest = place / STEPS - 1;
    let low = (STEPS + place % STEPS) << finest;
    (low + ((1 << finest) - 1) / 2) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    #[test]
    fn places_follow_each_other_and_their_middle_is_within_a_128th() {
        let mut last = 0;
        for value in (0..100_000).chain((17..27).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            let here = place(value);
            assert!(here >= last && here - last <= 1 || value > 100_000, "{value}");
            last = here;
            let error = middle(here).abs_diff(value);
            assert!(u64::from(error) * 128 <= u64::from(value), "{value}: {}", middle(here));
            assert!(value >= 64 || error == 0);
        }
        assert_eq!((place(u32::MAX), place((1 << BITS) - 1)), (PLACES - 1, PLACES - 1));
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values_within_a_128th() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        for shape in 0..4 {
            for count in [1, 2, 3, 10, 99, 1000, 20_000] {
                let mut values: Vec<u32> = (0..count)
                    .map(|_| match (shape, random.next_u64() >> 40) {
                        (0, bits) => bits as u32 % 50,
                        (1, bits) => bits as u32,
                        (2, bits) => 1 << (bits % 27),
                        (_, bits) => 40_000 + (bits % 977) as u32,
                    })
                    .collect();
                let mut histogram = Histogram::new();
                values.iter().for_each(|&value| histogram.add(value));
                values.sort_unstable();
                for share in [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
                    let rank = ((share * f64::from(count)).ceil() as usize).max(1);
                    let (exact, estimate) = (values[rank - 1], histogram.quantile(share));
                    let error = u64::from(estimate.abs_diff(exact));
                    assert!(error * 128 <= u64::from(exact), "{shape} {count} {share}: {estimate} for {exact}");
                }
                assert_eq!(histogram.max(), *values.last().unwrap());
                assert_eq!(histogram.sum(), values.iter().map(|&value| u64::from(value)).sum::<u64>());
                for bound in [0, 20, 63, 2000, 45_000, 5_000_000, 100_000_000] {
                    let within = |limit: u32| values.iter().filter(|&&value| value <= limit).count() as u64;
                    let estimate = histogram.at_most(bound);
                    let (least, most) = (within(bound - bound / 128), within(bound + bound / 128));
                    assert!((least..=most).contains(&estimate), "{shape} {count} {bound}: {estimate}");
                }
            }
        }
    }

    #[test]
    fn merged_histograms_are_as_if_all_were_counted_in_one() {
        let (mut one, mut two, mut all) = (Histogram::new(), Histogram::new(), Histogram::new());
        for value in 0..5000_u32 {
            let square = value * value;
            if value % 3 == 0 {
                one.add(square)
            } else {
                two.add(square)
            }
            all.add(square);
        }
        one.merge(&two);
        assert!(one.counts == all.counts && one.count() == 5000 && one.max() == 4999 * 4999 && one.sum() == all.sum());
        one.clear();
        assert_eq!((one.count(), one.sum(), one.max(), one.quantile(0.5)), (0, 0, 0, 0));
    }
}
