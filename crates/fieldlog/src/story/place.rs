//! Where something stands in the logs: the evidence for whatever is said.

use crate::form::Millis;

/// A line of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The input's number.
    pub input: u32,
    /// The line, from 1.
    pub line: u64,
    /// When it was written.
    pub time: Option<Millis>,
}

/// Something that was seen several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// Where first.
    pub first: Option<Place>,
    /// Where last.
    pub last: Option<Place>,
}

impl Seen {
    /// Once more.
    pub fn again(&mut self, place: Place) {
        self.count += 1;
        self.first.get_or_insert(place);
        self.last = Some(place);
    }

    /// The first and the last place, or the only one.
    pub fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.first.into_iter().chain(self.last).collect();
        places.dedup();
        places
    }
}

/// Different things that are counted one by one.
const TALLIED: usize = 64;

/// Counts a thing in a list of things; what comes after too many different ones is not counted.
pub fn tally<T: PartialEq>(list: &mut Vec<(T, Seen)>, thing: T, place: Place) {
    let at = list.iter().position(|(known, _)| *known == thing).unwrap_or(list.len());
    if at == list.len() {
        if at == TALLIED {
            return;
        }
        list.push((thing, Seen::default()));
    }
    list[at].1.again(place);
}

/// The largest value and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Peak {
    /// The value.
    pub value: f64,
    /// Where; `None` where there was none.
    pub place: Option<Place>,
}

impl Peak {
    /// Takes in a value.
    pub fn at(&mut self, value: f64, place: Place) {
        if self.place.is_none() || value > self.value {
            *self = Peak { value, place: Some(place) };
        }
    }
}
