//! What a frame was recognised as: a class of a classifier, a part among references.

use std::fmt;
use std::sync::Arc;

/// How many of the likeliest names are kept.
pub const RANKED: usize = 3;

/// The likeliest names for what a frame shows. Cloning allocates nothing.
#[derive(Debug, Clone)]
pub struct Recognition {
    names: Arc<[String]>,
    /// Index and share, 0..1, the likeliest first.
    ranked: [(usize, f64); RANKED],
    count: usize,
    /// Whether none of the names is sure enough.
    pub is_unknown: bool,
}

impl Recognition {
    /// Of these names, none of which is offered yet.
    pub fn new(names: &Arc<[String]>) -> Recognition {
        Recognition { names: Arc::clone(names), ranked: [(0, 0.0); RANKED], count: 0, is_unknown: false }
    }

    /// Offers a name with its share. Of equal shares the one that was offered first ranks first.
    pub fn offer(&mut self, name: usize, share: f64) {
        let at = self.ranked[..self.count].iter().position(|(_, other)| share > *other).unwrap_or(self.count);
        if at < RANKED {
            self.count = (self.count + 1).min(RANKED);
            self.ranked[at..self.count].rotate_right(1);
            self.ranked[at] = (name, share);
        }
    }

    /// The likeliest name's index and share.
    pub fn best(&self) -> (usize, f64) {
        self.ranked[0]
    }

    /// The share of the second; 0 where there is none.
    pub fn second(&self) -> f64 {
        if self.count > 1 { self.ranked[1].1 } else { 0.0 }
    }

    /// The likeliest name; "unknown" where none is sure enough.
    pub fn word(&self) -> &str {
        match self.names.get(self.best().0) {
            Some(name) if !self.is_unknown => name,
            _ => UNKNOWN,
        }
    }

    /// All names that it may have.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// The word for what is none of the names.
pub const UNKNOWN: &str = "unknown";

impl fmt::Display for Recognition {
    /// The ranked names with their shares: `scratch 0.91, good 0.08`.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        for (at, (name, share)) in self.ranked[..self.count].iter().enumerate() {
            let name = self.names.get(*name).map_or(UNKNOWN, String::as_str);
            write!(out, "{}{name} {share:.3}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_are_kept_in_order() {
        let names: Arc<[String]> = ["a", "b", "c", "d", "e"].map(String::from).into();
        let mut recognition = Recognition::new(&names);
        assert_eq!((recognition.best(), recognition.second()), ((0, 0.0), 0.0));
        for (name, share) in [0.125, 0.25, 0.25, 0.0, 0.375].into_iter().enumerate() {
            recognition.offer(name, share);
        }
        assert_eq!((recognition.best(), recognition.second(), recognition.word()), ((4, 0.375), 0.25, "e"));
        assert_eq!(recognition.to_string(), "e 0.375, b 0.250, c 0.250");
        recognition.is_unknown = true;
        assert_eq!(recognition.word(), "unknown");
    }
}
