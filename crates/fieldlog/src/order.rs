//! Files whose lines are not in the order of time: newest first, or parts of a log joined in the wrong order.
//!
//! The runs' own clocks tell such a file from one of a board whose clock was set back: there `uptime_s` and the numbers of events
//! go on while the time goes back; here both go back.

use crate::hash::fnv;
use crate::parser::{Entry, EntryReader, Millis};
use std::collections::HashMap;

/// The memory, in bytes, for entries of files that are put in order, of all files that are open together.
pub const HELD: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };
/// Runs whose own clocks are followed.
const RUNS: usize = 4096;
/// Lines that programs wrote at nearly the same time, in milliseconds, may stand in either order.
const TOLERANCE: Millis = 2000;

/// A run's own clock at its start record, which is its first.
const START: u64 = 0;
/// A run's own clock at a record without one: only a start is known to be older.
const UNKNOWN: u64 = u64::MAX;

/// What the runs' own clocks show of an input's order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Order {
    /// Records that are older than all of their run above them.
    pub older: u64,
    /// The line of the first of them.
    pub first_line: u64,
    /// The earliest time of the input.
    pub earliest: Option<Millis>,
    /// A 29 February that fits no year of the lines before it: in a log without years, all of them are of that one.
    pub leap: Option<Millis>,
    forwards: u64,
    backwards: u64,
}

impl Order {
    /// Whether the input has to be read once more to be understood.
    pub fn is_new(&self) -> bool {
        self.older > 0 || self.leap.is_some()
    }

    /// Whether the newest line comes first.
    pub fn newest_first(&self) -> bool {
        self.backwards > self.forwards
    }
}

/// Watches the records of one input in the order of its lines.
#[derive(Default)]
pub struct OrderWatch {
    order: Order,
    runs: HashMap<(u64, Clock), Seen>,
}

/// What goes on within a run, whatever the board's clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Clock {
    Uptime,
    Events,
}

struct Seen {
    lowest: (u64, Millis),
    last: (u64, Millis),
}

impl OrderWatch {
    /// Notes the next entry.
    pub fn note(&mut self, entry: &Entry) {
        let Some(time) = entry.time else { return };
        self.order.earliest = Some(self.order.earliest.map_or(time, |earliest| earliest.min(time)));
        let Some((key, value)) = own_clock(entry) else { return };
        let Some(seen) = self.runs.get_mut(&key).filter(|seen| seen.lowest.0 != UNKNOWN || value == START) else {
            if self.runs.len() < RUNS {
                self.runs.insert(key, Seen { lowest: (value, time), last: (value, time) });
            }
            return;
        };
        if value == UNKNOWN {
            return;
        }
        self.order.forwards += u64::from(value > seen.last.0);
        self.order.backwards += u64::from(value < seen.last.0 && time < seen.last.1);
        seen.last = (value, time);
        // A second copy of records in the same file goes back, too, but not behind the first.
        if value < seen.lowest.0 && time + TOLERANCE <= seen.lowest.1 {
            seen.lowest = (value, time);
            if self.order.older == 0 {
                self.order.first_line = entry.line;
            }
            self.order.older += 1;
        }
    }

    /// What was seen.
    pub fn order(&self) -> Order {
        self.order
    }
}

/// The run of a record, and how far its own clock is.
fn own_clock(entry: &Entry) -> Option<((u64, Clock), u64)> {
    let run = fnv(entry.fields.get("run")?);
    match entry.record() {
        b"start" => Some(((run, Clock::Uptime), START)),
        b"status" | b"stop" => {
            let uptime = entry.fields.number("uptime_s").filter(|uptime| uptime.is_finite())?;
            Some(((run, Clock::Uptime), (uptime.clamp(0.0, 1e10) * 1000.0) as u64))
        }
        b"event" => {
            let id = entry.fields.get("id")?;
            let hyphen = id.iter().rposition(|byte| *byte == b'-')?;
            Some(((run, Clock::Events), crate::parser::count(&id[hyphen + 1..])?))
        }
        _ => Some(((run, Clock::Uptime), UNKNOWN)),
    }
}

/// All entries of an input, put in order, and the memory that they take; `None` where that is more than `limit`.
pub fn hold(entries: &mut EntryReader, limit: usize, newest_first: bool) -> Option<(std::vec::IntoIter<Entry>, usize)> {
    let (mut all, mut entry, mut size) = (Vec::new(), Entry::default(), 0);
    while entries.next(&mut entry) {
        size += entry.size();
        if size > limit {
            return None;
        }
        all.push(entry.clone());
    }
    // Backwards, local time was taken as that of the last line's zone: the first line's is what is assumed of a log.
    if let Some(steps) = entries.steps().filter(|steps| newest_first && *steps != 0) {
        let local = all.iter_mut().filter(|entry| entry.fields.get("time").is_none());
        local.for_each(|entry| entry.time = entry.time.map(|time| time + steps));
    }
    Some((put_in_order(all, newest_first).into_iter(), size))
}

/// Puts the entries of a file in the order in which they were written: the whole is turned round if the newest comes first; then
/// parts that begin where a run's own clock goes back are put in the order of time. Within a part the order stays, so that
/// a clock that was set is still seen.
fn put_in_order(mut entries: Vec<Entry>, newest_first: bool) -> Vec<Entry> {
    if newest_first {
        entries.reverse();
    }
    let mut begins = part_begins(&entries);
    if begins.is_empty() {
        return entries;
    }
    let mut parts = Vec::new();
    while let Some(begin) = begins.pop() {
        parts.push(entries.split_off(begin));
    }
    parts.push(entries);
    parts.reverse();
    parts.sort_by_key(|part| part.iter().find_map(|entry| entry.time));
    parts.into_iter().flatten().collect()
}

/// Where parts begin that are older than what stands above them, in ascending order.
fn part_begins(entries: &[Entry]) -> Vec<usize> {
    let mut last: HashMap<(u64, Clock), (u64, Millis, usize)> = HashMap::new();
    let mut begins: Vec<usize> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let Some(time) = entry.time else { continue };
        let Some((key, value)) = own_clock(entry) else { continue };
        if value == UNKNOWN && last.get(&key).is_some_and(|known| known.0 != UNKNOWN) {
            continue;
        }
        if let Some((before, then, since)) = last.insert(key, (value, time, at))
            && value < before
            && (before != UNKNOWN || value == START)
            && time + TOLERANCE <= then
            && begins.last().is_none_or(|begin| *begin <= since)
        {
            // The part began with a line before its first record of this run: where time goes back the furthest.
            let mut begin = (0, at);
            let mut above = then;
            for (line, entry) in entries.iter().enumerate().take(at + 1).skip(since + 1) {
                let Some(time) = entry.time else { continue };
                begin = begin.max((above - time, line));
                above = time;
            }
            begins.push(begin.1);
        }
    }
    begins
}

#[cfg(test)]
mod tests {
    use crate::merge::MergedReader;
    use crate::{LogSource, TimeRange, inspect};

    fn statuses(count: i64) -> String {
        let line = |number: i64| {
            let time = jiff::Timestamp::from_second(1_795_897_631 + 10 * number).unwrap();
            let counts = format!("captured={number} inspected={number} skipped_similar=0 dropped_stale=0 failed=0");
            format!("time={time} level=info record=status run=0a1b2c3d uptime_s={} {counts}\n", 10 * number)
        };
        (0..count).rev().map(line).collect()
    }

    #[test]
    fn a_29_february_that_fits_no_year_is_named_where_nothing_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let line = |day: &str, uptime: u64| format!("{day} pi4 lineside[1]: record=status run=a uptime_s={uptime}\n");
        let log: String = [("Feb 28 23:59:00", 60), ("Feb 29 00:00:00", 120), ("Mar  1 00:00:00", 86_520)]
            .map(|(day, uptime)| line(day, uptime))
            .concat();
        std::fs::write(&path, log).unwrap();
        let written = jiff::Timestamp::from_second(1_795_897_631).unwrap();
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(written.into()).unwrap();
        let mut merged = MergedReader::new(vec![LogSource::File(path)], &[]);
        while merged.next().is_some() {}
        let input = &merged.finish()[0];
        assert!(input.unread > 0 && input.notes.join("; ").contains("29 February"), "{:?}", input.notes);
    }

    #[test]
    fn what_is_too_large_to_hold_is_counted_and_named() {
        let folder = tempfile::tempdir().unwrap();
        for (count, unread) in [(1000, 0), (20_000, 19_999)] {
            let path = folder.path().join("a.log");
            std::fs::write(&path, statuses(count)).unwrap();
            let report = inspect(vec![LogSource::File(path)], TimeRange::default(), &mut |read, total| {
                assert!(read <= total);
            });
            assert_eq!(report.has_unread_lines(), unread > 0);
            let read = &report.to_json()["read"][0];
            assert_eq!((&read["unread"], &read["lines"]), (&unread.into(), &count.into()), "{read:#}");
            assert_eq!(read["notes"].to_string().contains("turn it round first"), unread > 0, "{read:#}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_wrong_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let status = |minute: u64, uptime: u64| {
            format!("time=2026-11-21T04:{minute:02}:00Z level=info record=status run=a uptime_s={uptime}\n")
        };
        let start = "time=2026-11-21T04:29:00Z level=info record=start run=a\n";
        std::fs::write(&path, start.to_string() + &status(30, 60) + &status(9, 120) + &status(10, 180)).unwrap();
        let mut merged = MergedReader::new(vec![LogSource::File(path)], &[]);
        while merged.next().is_some() {}
        assert_eq!(merged.finish()[0].order.older, 0);
    }
}
