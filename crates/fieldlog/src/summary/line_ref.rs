//! References to lines of the logs: the evidence for each finding.

use crate::parser::Millis;

/// A line of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineRef {
    /// The input's number.
    pub input: u32,
    /// The line, from 1.
    pub line: u64,
    /// When it was written.
    pub time: Option<Millis>,
}

/// How often something occurred, and where first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Occurrences {
    /// How often.
    pub count: u64,
    /// Where first.
    pub first: Option<LineRef>,
    /// Where last.
    pub last: Option<LineRef>,
}

impl Occurrences {
    /// Counts one more.
    pub fn add(&mut self, line_ref: LineRef) {
        self.add_times(1, line_ref);
    }

    /// Counts a line that stands for several.
    pub fn add_times(&mut self, times: u64, line_ref: LineRef) {
        self.count = self.count.saturating_add(times);
        self.first.get_or_insert(line_ref);
        self.last = Some(line_ref);
    }

    /// The first and the last line, or the only one.
    pub fn lines(&self) -> Vec<LineRef> {
        let mut line_refs: Vec<LineRef> = self.first.into_iter().chain(self.last).collect();
        line_refs.dedup();
        line_refs
    }
}

/// Different things that are counted one by one.
const MAX_VALUES: usize = 64;

/// Counts a thing in a list of things; what comes after too many different ones is not counted.
pub fn count_value<T: PartialEq>(list: &mut Vec<(T, Occurrences)>, value: T, times: u64, line_ref: LineRef) {
    let at = list.iter().position(|(known, _)| *known == value).unwrap_or(list.len());
    if at == list.len() {
        if at == MAX_VALUES {
            return;
        }
        list.push((value, Occurrences::default()));
    }
    list[at].1.add_times(times, line_ref);
}

/// The largest value and its line.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Peak {
    /// The value.
    pub value: f64,
    /// Where; `None` where there was none.
    pub line_ref: Option<LineRef>,
}

impl Peak {
    /// Takes in a value.
    pub fn observe(&mut self, value: f64, line_ref: LineRef) {
        if self.line_ref.is_none() || value > self.value {
            *self = Peak { value, line_ref: Some(line_ref) };
        }
    }
}
