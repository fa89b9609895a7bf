//! Something over time in fixed memory: a row of equal buckets, whose width doubles when there would be too many.

use crate::parser::Millis;
use std::collections::VecDeque;

/// What a bucket holds.
pub trait Merge: Default {
    /// Takes in a later bucket.
    fn merge(&mut self, later: Self);
}

/// At most `max_buckets` buckets of equal width; each begins at a multiple of the width.
pub struct Series<T> {
    width: Millis,
    /// The number of the first bucket: its time over the width.
    first: i64,
    buckets: VecDeque<T>,
    max_buckets: usize,
}

impl<T: Merge> Series<T> {
    /// Nothing yet; buckets of `width` at first.
    pub fn new(width: Millis, max_buckets: usize) -> Series<T> {
        Series { width, first: 0, buckets: VecDeque::new(), max_buckets }
    }

    /// The width of a bucket.
    pub fn width(&self) -> Millis {
        self.width
    }

    /// The bucket of a time. Earlier times than any before are taken, too.
    pub fn at(&mut self, time: Millis) -> &mut T {
        loop {
            let number = time.div_euclid(self.width);
            if self.buckets.is_empty() {
                self.first = number;
            }
            let last = self.first + self.buckets.len() as i64 - 1;
            let needed = last.max(number) - self.first.min(number) + 1;
            if needed > self.max_buckets as i64 {
                self.coarsen();
                continue;
            }
            while self.first > number {
                self.buckets.push_front(T::default());
                self.first -= 1;
            }
            while self.first + (self.buckets.len() as i64) <= number {
                self.buckets.push_back(T::default());
            }
            return &mut self.buckets[(number - self.first) as usize];
        }
    }

    fn coarsen(&mut self) {
        let old = std::mem::take(&mut self.buckets);
        let first = self.first;
        self.width *= 2;
        self.first = first.div_euclid(2);
        for (number, bucket) in (first..).zip(old) {
            if number.div_euclid(2) - self.first == self.buckets.len() as i64 {
                self.buckets.push_back(bucket);
            } else if let Some(last) = self.buckets.back_mut() {
                last.merge(bucket);
            }
        }
    }

    /// All buckets with the time at which each begins.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Millis, &T)> {
        self.buckets.iter().enumerate().map(|(at, bucket)| ((self.first + at as i64) * self.width, bucket))
    }
}

impl Merge for u64 {
    fn merge(&mut self, later: u64) {
        *self += later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_and_nothing_is_lost() {
        let mut series: Series<u64> = Series::new(10, 64);
        for time in 0..1_000_000 {
            *series.at(time) += 1;
        }
        *series.at(-500) += 1;
        assert!(series.buckets.len() <= 64);
        assert_eq!(series.iter().map(|(_, count)| count).sum::<u64>(), 1_000_001);
        let (_, full) = series.iter().nth(10).unwrap();
        assert_eq!(*full, series.width() as u64);
        for (time, _) in series.iter() {
            assert_eq!(time.rem_euclid(series.width()), 0);
        }
    }

    #[test]
    fn a_wild_time_costs_resolution_and_not_memory() {
        let mut series: Series<u64> = Series::new(10_000, 2048);
        *series.at(1_700_000_000_000) += 1;
        *series.at(4_000_000_000_000) += 1;
        assert!(series.buckets.len() <= 2048);
        assert_eq!(series.iter().map(|(_, count)| count).sum::<u64>(), 2);
    }
}
