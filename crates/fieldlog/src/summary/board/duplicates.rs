//! Removes duplicates: a log and `events.jsonl` hold the same records, exports of a journal may overlap, and a file may be there
//! twice, as it is or compressed.

use super::content::RecordContent;
use crate::hash::fnv;
use crate::parser::{Entry, EntryKind, Millis};
use crate::summary::line_ref::LineRef;
use std::collections::{HashMap, VecDeque};

/// Entries that are remembered with their inputs, to find them in other forms.
const REMEMBERED: usize = 256;
/// Entries that are remembered by their content and exact time.
const EXACT: usize = 8192;
/// Runs that are over and remembered.
const FINISHED: usize = 4096;
/// By how much the times of one entry in two inputs may differ, in milliseconds: the journal has the time of receipt, in
/// its short forms to the second, and the record itself when it was made.
const MAX_APART: Millis = 2000;
/// The same for a frame, which has a name: the record has the time of its capture.
const FRAMES_MAX_APART: Millis = 60_000;

/// Recent entries, so that an entry in several inputs counts once.
#[derive(Default)]
pub(super) struct DuplicateFilter {
    last: VecDeque<KnownEntry>,
    exact: HashMap<u64, u32>,
    exact_order: VecDeque<u64>,
}

struct KnownEntry {
    hash: u64,
    /// Of a record.
    content: Option<RecordContent>,
    /// `None` where the clock was not set.
    time: Option<Millis>,
    /// The inputs that contain it. An input contains an entry once: a repetition in the same input is another, similar entry.
    inputs: Vec<u32>,
}

impl DuplicateFilter {
    /// The input in which an entry was seen before; remembers it if it was not.
    pub(super) fn seen_in(&mut self, entry: &Entry, line_ref: LineRef) -> Option<u32> {
        let time = line_ref.time;
        let content = (entry.kind == EntryKind::Record).then(|| RecordContent::of(&entry.fields));
        let hash = match &content {
            Some(content) => content.hash(),
            // Short forms set further lines of a message in, below the first.
            None => fnv(entry.message.lines().next().unwrap_or_default().as_bytes()),
        };
        if let Some(known) = self.known(hash, content.as_ref(), entry, line_ref) {
            known.inputs.push(line_ref.input);
            return known.inputs.first().copied();
        }
        // One input may hold it twice, as one of files that were joined, however far apart; if its time is finer than seconds.
        if let Some(time) = time.filter(|time| time % 1000 != 0) {
            let exact = fnv([hash.to_le_bytes(), time.to_le_bytes()].concat());
            if let Some(input) = self.exact.get(&exact) {
                return Some(*input);
            }
            if self.exact_order.len() == EXACT
                && let Some(oldest) = self.exact_order.pop_front()
            {
                self.exact.remove(&oldest);
            }
            self.exact.insert(exact, line_ref.input);
            self.exact_order.push_back(exact);
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(KnownEntry { hash, content, time, inputs: vec![line_ref.input] });
        None
    }

    /// The entry of another input of which this one is a copy: one that says the same in all, else one that says nothing else.
    fn known(
        &mut self,
        hash: u64,
        content: Option<&RecordContent>,
        entry: &Entry,
        line_ref: LineRef,
    ) -> Option<&mut KnownEntry> {
        let apart = if entry.record() == b"event" { FRAMES_MAX_APART } else { MAX_APART };
        let may_be = |known: &KnownEntry| {
            let near = match (known.time, line_ref.time) {
                (Some(known), Some(time)) => (known - time).abs() < apart,
                (None, None) => true,
                _ => false,
            };
            near && !known.inputs.contains(&line_ref.input)
        };
        let agrees = |known: &KnownEntry| match (&known.content, content) {
            (Some(known), Some(content)) => known.agrees_with(content),
            _ => false,
        };
        let equal = self.last.iter().position(|known| known.hash == hash && may_be(known));
        let at = equal.or_else(|| self.last.iter().position(|known| may_be(known) && agrees(known)))?;
        self.last.get_mut(at)
    }
}

/// The number of an event within its run: `id` is sixteen digits, a hyphen, and that.
pub(super) fn event_number(entry: &Entry) -> Option<u64> {
    let id = entry.fields.get("id")?;
    let hyphen = id.iter().rposition(|byte| *byte == b'-')?;
    crate::parser::count(&id[hyphen + 1..])
}

/// What is remembered of a run that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct FinishedRun {
    /// Seconds since its start, by its last status.
    pub uptime: Option<f64>,
    /// Whether its stop record was read.
    pub stopped: bool,
    /// The number of its last event.
    pub last_event: Option<u64>,
    /// The input of its first line.
    pub input: u32,
}

/// Runs that are over: a second copy of their lines is passed over.
#[derive(Default)]
pub(super) struct FinishedRuns {
    runs: HashMap<u64, FinishedRun>,
    order: VecDeque<u64>,
}

impl FinishedRuns {
    pub(super) fn insert(&mut self, key: u64, run: FinishedRun) {
        if self.runs.insert(key, run).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > FINISHED
            && let Some(oldest) = self.order.pop_front()
        {
            self.runs.remove(&oldest);
        }
    }

    /// The input in which a record of a run that is over was read before. Eight runs began since: what lies before its last lines
    /// does not come now for the first time.
    pub(super) fn seen_in(&self, key: u64, entry: &Entry) -> Option<u32> {
        let run = self.runs.get(&key)?;
        let covered = entry.fields.number("uptime_s").zip(run.uptime).is_some_and(|(uptime, last)| uptime <= last);
        let seen = match entry.record() {
            b"start" | b"goes_on" => true,
            b"status" => covered,
            b"stop" => run.stopped,
            b"event" => event_number(entry).is_some_and(|number| run.last_event.is_some_and(|last| number <= last)),
            _ => false,
        };
        seen.then_some(run.input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of the first day of the tests, at a millisecond of it.
    fn record(time: Millis, fields: &[(&str, &str)]) -> Entry {
        let mut entry = Entry { time: Some(1_795_219_200_000 + time), ..Entry::default() };
        fields.iter().for_each(|(key, value)| entry.fields.push(key.as_bytes(), value.as_bytes()));
        entry
    }

    #[test]
    fn records_that_differ_in_any_field_are_not_the_same() {
        let one =
            [("record", "command"), ("run", "0a1b2c3d"), ("command", "product"), ("by", "gpio"), ("product", "a")];
        let others = [
            [("record", "command"), ("run", "0a1b2c3d"), ("command", "acknowledge"), ("by", "gpio"), ("product", "a")],
            [("record", "command"), ("run", "0a1b2c3d"), ("command", "product"), ("by", "gpio"), ("product", "b")],
            [("record", "command"), ("run", "0a1b2c3d"), ("command", "product"), ("by", "gpio"), ("code", "a")],
            [("record", "command"), ("run", "0a1b2c3d"), ("command", "product"), ("by", "gpio"), ("anything_new", "a")],
        ];
        let mut filter = DuplicateFilter::default();
        let mut seen_in = |input: u32, time: Millis, fields: &[(&str, &str)]| {
            let entry = record(time, fields);
            filter.seen_in(&entry, LineRef { input, time: entry.time, ..LineRef::default() })
        };
        // All of one millisecond, in one input, then once more in it and in another one, a second later.
        for fields in [one].iter().chain(&others) {
            assert_eq!(seen_in(0, 7, fields), None, "{fields:?}");
        }
        for fields in [one].iter().chain(&others) {
            assert_eq!(seen_in(0, 7, fields), Some(0), "{fields:?}");
            assert_eq!(seen_in(1, 1007, fields), Some(0), "{fields:?}");
        }
    }

    #[test]
    fn a_copy_with_a_collectors_fields_is_the_same() {
        let plain =
            [("record", "fault"), ("run", "0a1b2c3d"), ("fault", "disk"), ("state", "begin"), ("cause", "full")];
        let other =
            [("record", "fault"), ("run", "0a1b2c3d"), ("fault", "disk"), ("state", "begin"), ("cause", "gone")];
        let with_more =
            |fields: &[(&'static str, &'static str)]| [fields, &[("stream", "stderr"), ("pod", "x")]].concat();
        let mut filter = DuplicateFilter::default();
        let mut seen_in = |input: u32, time: Millis, fields: &[(&str, &str)]| {
            let entry = record(time, fields);
            filter.seen_in(&entry, LineRef { input, time: entry.time, ..LineRef::default() })
        };
        assert_eq!(seen_in(0, 1, &plain), None);
        assert_eq!(seen_in(0, 2, &other), None);
        assert_eq!(seen_in(1, 11, &with_more(&other)), Some(0));
        assert_eq!(seen_in(1, 12, &with_more(&plain)), Some(0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut filter, mut runs) = (DuplicateFilter::default(), FinishedRuns::default());
        let mut entry = Entry { kind: EntryKind::Program, message: "x".into(), ..Entry::default() };
        for time in 0..100_000 {
            entry.time = Some(10_001 * time);
            let line_ref = LineRef { time: entry.time, ..LineRef::default() };
            assert_eq!(filter.seen_in(&entry, line_ref), None);
            assert!(filter.seen_in(&entry, line_ref).is_some() || (10_001 * time) % 1000 == 0);
            runs.insert(time as u64, FinishedRun { uptime: None, stopped: true, last_event: None, input: 0 });
        }
        assert!(filter.exact.len() <= EXACT && filter.exact_order.len() <= EXACT && filter.last.len() <= REMEMBERED);
        assert!(runs.runs.len() <= FINISHED && runs.order.len() <= FINISHED);
    }
}
