//! Reports of a kind that may come with every file.

/// Counts, and has the first, the tenth, the hundredth and so on reported.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seldom(u64);

impl Seldom {
    /// One more; how many there are, where that is to be reported.
    pub(super) fn add(&mut self) -> Option<u64> {
        self.0 += 1;
        (10_u64.pow(self.0.ilog10()) == self.0).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_then_ever_fewer_are_reported() {
        let mut seldom = Seldom::default();
        let reported: Vec<u64> = (0..1200).filter_map(|_| seldom.add()).collect();
        assert_eq!(reported, [1, 10, 100, 1000]);
    }
}
