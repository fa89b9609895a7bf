//! Which events of a run were read.

/// The numbers of a run's events that were read, as ranges: two inputs may each have some of them.
#[derive(Debug, Clone, Default)]
pub struct EventNumbers(Vec<(u64, u64)>);

impl EventNumbers {
    /// Takes in a number. Returns whether it is new.
    pub fn insert(&mut self, number: u64) -> bool {
        const RANGES: usize = 1024;
        let at = self.0.partition_point(|(first, _)| *first <= number);
        if at > 0 && self.0[at - 1].1 >= number {
            return false;
        }
        let joins_before = at > 0 && self.0[at - 1].1.checked_add(1) == Some(number);
        let joins_after = self.0.get(at).is_some_and(|(first, _)| number.checked_add(1) == Some(*first));
        match (joins_before, joins_after) {
            (true, true) => self.0[at - 1].1 = self.0.remove(at).1,
            (true, false) => self.0[at - 1].1 = number,
            (false, true) => self.0[at].0 = number,
            (false, false) => {
                self.0.insert(at, (number, number));
                // Events come in order: what lies between the oldest ranges was not written.
                if self.0.len() > RANGES {
                    self.0[1].0 = self.0[0].0;
                    self.0.remove(0);
                }
            }
        }
        true
    }

    /// The largest of them.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_new_once_in_any_order() {
        let mut numbers = EventNumbers::default();
        let order: Vec<u64> = (0..2000).map(|i| i * 7919 % 2000).collect();
        for number in &order {
            assert!(numbers.insert(*number), "{number}");
        }
        assert_eq!(numbers.0, [(0, 1999)]);
        assert!(order.iter().all(|number| !numbers.insert(*number)));
        assert!(numbers.insert(u64::MAX) && !numbers.insert(u64::MAX));
        // Far apart: memory stays, and the newest are known exactly.
        for number in 2000..10_000 {
            numbers.insert(2 * number);
        }
        assert!(numbers.0.len() <= 1024 && numbers.insert(19_001) && !numbers.insert(19_000));
    }
}
