//! Many inputs as one stream in the order of time.
//!
//! Each input is in order by itself, or is taken to be. A file is opened only when the stream comes to its first time, so that
//! of a year of rotated files a few are open at a time.

mod input;
mod stream;

pub use input::{Input, UnreadLine};

use crate::input::{DamageKind, LineReader, LogSource};
use crate::order::{HELD, Order, OrderWatch, hold};
use crate::parser::{Anchors, Entry, EntryReader, LocalClock, Millis, time};
use std::cell::Cell;
use std::io::{self, Read};
use std::process::Child;
use std::rc::Rc;
use stream::wait_for_child;

/// Earlier times are of a clock that was not set: 2020-01-01.
pub const CLOCK_SET: Millis = 1_577_836_800_000;
/// Later times are of a clock that was set wrongly: 2100-01-01.
pub const CLOCK_END: Millis = 4_102_444_800_000;

/// By how much, in milliseconds, a time may lie before the one of the line above and the clock still run forwards.
const CLOCK_STEP: Millis = 60_000;

/// Files that are read at the same time.
const MAX_OPEN: usize = 64;

/// The inputs in the order of time.
pub struct MergedReader {
    /// All inputs.
    pub inputs: Vec<Input>,
    /// Those that are not open yet, the earliest last.
    waiting: Vec<(Millis, usize)>,
    open: Vec<OpenInput>,
    /// The input of the current entry.
    current: Option<usize>,
    read: Rc<Cell<u64>>,
    /// What a first look at each input showed of its local times.
    clocks: Vec<Option<LocalClock>>,
    /// What is known of the inputs' order, where they were read before.
    orders: Vec<Order>,
    /// The memory that entries take that are held.
    held: usize,
}

struct OpenInput {
    input: usize,
    entries: EntryReader,
    entry: Entry,
    /// All entries, where they had to be put in order, and the memory that they took.
    ordered: Option<(std::vec::IntoIter<Entry>, usize)>,
    watch: OrderWatch,
    /// The latest time so far: an input whose clock goes backwards is read on in its own order.
    time: Millis,
    /// How often its clock went backwards, and its last time: of two copies of a log both are read side by side then, too.
    jumps: u64,
    now: Millis,
    /// The child, which has to be waited for.
    child: Option<Child>,
}

impl MergedReader {
    /// Looks at the beginning of each input; those that cannot be opened are noted. `orders`: what was seen when the inputs were
    /// read before, to put in order what was not; empty the first time.
    pub fn new(sources: Vec<LogSource>, orders: &[Order]) -> MergedReader {
        let mut merged = MergedReader {
            inputs: sources.into_iter().map(Input::new).collect(),
            waiting: Vec::new(),
            open: Vec::new(),
            current: None,
            read: Rc::new(Cell::new(0)),
            clocks: Vec::new(),
            orders: orders.to_vec(),
            held: 0,
        };
        merged.orders.resize(merged.inputs.len(), Order::default());
        merged.clocks.resize_with(merged.inputs.len(), || None);
        for input in 0..merged.inputs.len() {
            if let LogSource::PassedOver { what, .. } = &merged.inputs[input].source {
                let note = what.clone();
                merged.inputs[input].notes.push(note);
                merged.inputs[input].unreadable = true;
                continue;
            }
            if merged.inputs[input].bytes == 0 && matches!(merged.inputs[input].source, LogSource::File(_)) {
                let exists = merged.stream(input).is_ok();
                if exists {
                    merged.inputs[input].notes.push("it is empty".into());
                    continue;
                }
            }
            let first = match merged.first_look(input) {
                Ok(first) => first,
                Err(error) => {
                    merged.mark_unreadable(input, &error);
                    continue;
                }
            };
            merged.waiting.push((first, input));
        }
        merged.take_zones_of_others();
        for (first, input) in &mut merged.waiting {
            let order = merged.orders[*input];
            *first = order.earliest.filter(|_| order.older > 0).unwrap_or(*first);
        }
        merged.waiting.sort_by(|a, b| b.cmp(a));
        merged.read.set(0);
        merged
    }

    /// Stored bytes of all files.
    pub fn total_bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.bytes).sum()
    }

    /// Stored bytes that were read so far.
    pub fn read_bytes(&self) -> u64 {
        self.read.get()
    }

    /// The next entry and its input. An input that is finished is closed and its damage noted.
    pub fn next(&mut self) -> Option<(usize, &Entry)> {
        if let Some(at) = self.current.take() {
            self.advance(at);
        }
        loop {
            let earliest =
                self.open.iter().enumerate().min_by_key(|(_, open)| (open.time, open.jumps, open.now, open.entry.line));
            let earliest = earliest.map(|(at, open)| (at, open.time));
            let open_input = match (self.waiting.last(), earliest) {
                (Some(_), None) => true,
                (Some((first, _)), Some((_, time))) => *first <= time && self.open.len() < MAX_OPEN,
                (None, _) => false,
            };
            if open_input {
                if let Some((_, input)) = self.waiting.pop() {
                    self.open_input(input);
                }
                continue;
            }
            let (at, _) = earliest?;
            self.current = Some(at);
            return Some((self.open[at].input, &self.open[at].entry));
        }
    }

    /// Notes damage in the input of the current entry.
    pub fn note(&mut self, hurt: DamageKind, line: u64) {
        if let Some(at) = self.current {
            self.open[at].entries.damage().note(hurt, line);
        }
    }

    /// Counts a line of `input` that was read before, from `other`.
    pub fn note_repeated(&mut self, input: usize, other: usize) {
        const NAMED: usize = 3;
        let input = &mut self.inputs[input];
        input.repeated += 1;
        if input.repeated_in.len() < NAMED && !input.repeated_in.contains(&other) {
            input.repeated_in.push(other);
        }
    }

    /// The inputs, after everything was read, with a note for each of which something was passed over.
    pub fn finish(mut self) -> Vec<Input> {
        for number in 0..self.inputs.len() {
            let input = &self.inputs[number];
            if input.repeated == 0 {
                continue;
            }
            let others = input.repeated_in.iter().filter(|other| **other != number);
            let names: Vec<&str> = others.filter_map(|other| Some(self.inputs.get(*other)?.name.as_str())).collect();
            let place =
                if names.is_empty() { "more than once".into() } else { format!("also in {}", names.join(", ")) };
            let (are, count) = if input.repeated == 1 { ("is", "counts") } else { ("are", "count") };
            let note = format!("{} of it {are} {place} and {count} once", lines_of(input.repeated));
            self.inputs[number].notes.push(note);
        }
        self.inputs
    }

    fn open_input(&mut self, input: usize) {
        let (stream, child) = match self.stream(input) {
            Ok(stream) => stream,
            Err(error) => return self.mark_unreadable(input, &error),
        };
        let clock = self.clocks[input].take().unwrap_or_else(|| self.new_clock(input));
        let order = self.orders[input];
        let read = self.read.get();
        let mut entries = EntryReader::new(LineReader::new(stream), clock.clone());
        let mut ordered = None;
        if order.older > 0 {
            entries.set_newest_first(order.newest_first());
            ordered = hold(&mut entries, HELD.saturating_sub(self.held), order.newest_first());
            if ordered.is_none() {
                // Too much to hold: it is read as it stands, and that is named.
                let stream = match self.stream(input) {
                    Ok((stream, _)) => stream,
                    Err(error) => return self.mark_unreadable(input, &error),
                };
                self.read.set(read);
                entries = EntryReader::new(LineReader::new(stream), clock);
            }
        }
        self.held += ordered.as_ref().map_or(0, |(_, size)| *size);
        self.open.push(OpenInput {
            input,
            entries,
            entry: Entry::default(),
            ordered,
            watch: OrderWatch::default(),
            time: Millis::MIN,
            jumps: 0,
            now: Millis::MIN,
            child,
        });
        self.advance(self.open.len() - 1);
    }

    fn mark_unreadable(&mut self, input: usize, error: &io::Error) {
        self.inputs[input].notes.push(format!("it cannot be read: {error}"));
        self.inputs[input].unreadable = true;
    }

    /// Reads the next entry of an open input, or closes it.
    fn advance(&mut self, at: usize) {
        let open = &mut self.open[at];
        let more = match &mut open.ordered {
            Some((ordered, _)) => ordered.next().map(|entry| open.entry = entry).is_some(),
            None => open.entries.next(&mut open.entry),
        };
        if more {
            if let Some(time) = open.entry.time {
                if (CLOCK_SET..CLOCK_END).contains(&time) {
                    open.jumps += u64::from(time < open.now.saturating_sub(CLOCK_STEP));
                    open.now = time;
                    open.time = open.time.max(time);
                } else {
                    open.entries.damage().note(DamageKind::ClockUnset, open.entry.line);
                    open.entry.time = None;
                }
            }
            if open.ordered.is_none() {
                open.watch.note(&open.entry);
            }
            return;
        }
        let mut open = self.open.swap_remove(at);
        self.held -= open.ordered.as_ref().map_or(0, |(_, size)| *size);
        let input = &mut self.inputs[open.input];
        (input.lines, input.records) = open.entries.counts();
        input.notes.extend(open.entries.damage().messages());
        input.incomplete |= open.entries.damage().is_loss();
        input.broken_off |= open.entries.damage().has_failure();
        for (unread, what) in open.entries.unread() {
            let Some((line, text)) = &unread.first else { continue };
            input.notes.push(format!("{} {what}; the first is line {line}: {text}", lines_of(unread.count)));
            input.unread += unread.count;
            input.first_unread.get_or_insert_with(|| UnreadLine { line: *line, text: text.clone() });
        }
        input.order = open.watch.order();
        input.order.leap = open.entries.leap();
        if input.order.leap.is_some() {
            // Read from a file, it is read once more with that year.
            input.notes.push("a 29 February is in no year of the lines above it: read it from a file".into());
            input.unread += 1;
        }
        if input.order.older > 0 {
            let Order { older, first_line, .. } = input.order;
            let advice = "read it from a file, or turn it round first with `tac`";
            let text = format!(
                "{} of it are older than what stands above them, and could not be put in order, the first is line {first_line}: {advice}",
                lines_of(older)
            );
            input.notes.push(text);
            input.unread += older;
            input
                .first_unread
                .get_or_insert_with(|| UnreadLine { line: first_line, text: "not in the order of time".into() });
        }
        if let Some(child) = &mut open.child {
            let (note, failed) = wait_for_child(child);
            input.notes.extend(note);
            input.unreadable |= failed;
        }
        match (input.lines, input.records) {
            (0, _) if input.notes.is_empty() => input.notes.push("it is empty".into()),
            (lines @ 1.., 0) => input.notes.push(format!("no record of Lineside in its {}", lines_of(lines))),
            _ => (),
        }
    }

    /// The first time in an input, and what it shows of local times; pipes are read at once.
    fn first_look(&mut self, input: usize) -> io::Result<Millis> {
        if !matches!(self.inputs[input].source, LogSource::File(_)) {
            return Ok(Millis::MIN);
        }
        let mut entries = self.beginning(input)?;
        let (mut entry, mut first) = (Entry::default(), None);
        // Where local times come first, it is looked on for a record that shows their zone.
        while (first.is_none() || entries.lacks_zone()) && entries.next(&mut entry) {
            let time = entry.time.filter(|time| (CLOCK_SET..CLOCK_END).contains(time));
            first = first.or(time.map(|time| (time, entries.lacks_zone())));
        }
        let clock = entries.into_clock();
        let first = first.map(|(time, assumed)| time - clock.offset().filter(|_| assumed).unwrap_or(0));
        self.clocks[input] = Some(clock);
        Ok(first.unwrap_or(Millis::MIN))
    }

    /// The entries at the beginning of a file.
    fn beginning(&self, input: usize) -> io::Result<EntryReader> {
        const LOOK: u64 = 1 << 20;
        let (stream, _) = self.stream(input)?;
        let mut entries = EntryReader::new(LineReader::new(Box::new(stream.take(LOOK))), self.new_clock(input));
        entries.set_newest_first(self.orders[input].newest_first());
        Ok(entries)
    }

    /// Of inputs with local times whose zone they do not show, takes it from inputs that
    /// hold the same records with their zone, or from files that were rotated from the same one.
    fn take_zones_of_others(&mut self) {
        /// Of so many files the beginnings are compared.
        const COMPARED: usize = 256;
        let files = self.waiting.iter().map(|(_, input)| *input).filter(|input| self.clocks[*input].is_some());
        let files: Vec<usize> = files.take(COMPARED).collect();
        let lacks = |clock: &Option<LocalClock>| clock.as_ref().is_some_and(LocalClock::lacks_offset);
        if files.len() < 2 || !files.iter().any(|input| lacks(&self.clocks[*input])) {
            return;
        }
        let (mut utc, mut local) = (Anchors::default(), Vec::new());
        for input in files {
            let Ok(mut entries) = self.beginning(input) else { continue };
            let lacks = lacks(&self.clocks[input]);
            let (mut entry, mut anchors) = (Entry::default(), Anchors::default());
            while entries.next(&mut entry) {
                if lacks { &mut anchors } else { &mut utc }.note(&entry);
            }
            if lacks {
                local.push((input, anchors));
            }
        }
        for (input, anchors) in local {
            let offset = anchors.offset_from(&utc).or_else(|| self.offset_of_family(input));
            let Some(offset) = offset else { continue };
            if let Some(clock) = &mut self.clocks[input] {
                clock.set_offset(offset);
            }
            if let Some((first, _)) = self.waiting.iter_mut().find(|(_, of)| *of == input) {
                *first = first.saturating_sub(offset);
            }
        }
    }

    /// The offset from UTC that the nearest in time shows of the files that were rotated from the same one.
    fn offset_of_family(&self, input: usize) -> Option<Millis> {
        let family = self.inputs[input].family();
        let first = self.waiting.iter().find(|(_, of)| *of == input)?.0;
        let others = self.waiting.iter().filter(|(_, other)| self.inputs[*other].family() == family);
        let known =
            others.filter_map(|(time, other)| Some((time.abs_diff(first), self.clocks[*other].as_ref()?.offset()?)));
        known.min().map(|(_, offset)| offset)
    }

    /// When a file was last written to; now for a pipe, and for a file that lost its time in an archive.
    fn newest(&self, input: usize) -> Option<Millis> {
        let written = match &self.inputs[input].source {
            LogSource::File(path) => std::fs::metadata(path).and_then(|data| data.modified()).ok()?,
            _ => std::time::SystemTime::now(),
        };
        let set = |time: &Millis| (CLOCK_SET..CLOCK_END).contains(time);
        time::of_system(written).filter(set).or_else(|| time::of_system(std::time::SystemTime::now()))
    }

    /// The local clock of an input before its first line.
    fn new_clock(&self, input: usize) -> LocalClock {
        let mut clock = LocalClock::new(self.newest(input));
        if let Some(leap) = self.orders[input].leap {
            clock.begin_near(leap);
        }
        clock
    }

    fn stream(&self, input: usize) -> io::Result<(Box<dyn Read>, Option<Child>)> {
        stream::open(&self.inputs[input].source, &self.read)
    }
}

fn lines_of(lines: u64) -> String {
    if lines == 1 { "1 line".into() } else { format!("{lines} lines") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(minute: u32, captured: u32) -> String {
        format!("time=2026-11-21T04:{minute:02}:00Z level=info record=status captured={captured}\n")
    }

    fn captured(sources: Vec<LogSource>) -> (Vec<u64>, MergedReader) {
        let mut merged = MergedReader::new(sources, &[]);
        let mut all = Vec::new();
        while let Some((_, entry)) = merged.next() {
            all.extend(entry.fields.count("captured"));
        }
        (all, merged)
    }

    #[test]
    fn files_are_read_in_the_order_of_time_whatever_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            LogSource::File(path)
        };
        let sources = vec![
            write("a", status(4, 5) + &status(5, 6)),
            write("b", status(0, 1) + &status(3, 4)),
            write("c", status(1, 2) + &status(2, 3) + &status(6, 7)),
            write("empty", String::new()),
            write("foreign", "some words\n".into()),
            LogSource::File(folder.path().join("missing")),
        ];
        let (all, merged) = captured(sources);
        assert_eq!(all, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(merged.inputs[3].notes, ["it is empty"]);
        assert!(merged.inputs[4].notes[0].contains("no record"));
        assert!(merged.inputs[5].unreadable);
        assert_eq!(merged.read_bytes(), merged.total_bytes());
    }

    #[test]
    fn a_clock_that_goes_backwards_or_was_not_set_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let unset = "time=1970-01-01T00:00:10Z level=info record=status captured=0\n";
        std::fs::write(&path, unset.to_string() + &status(9, 1) + &status(3, 2) + &status(10, 3)).unwrap();
        let (all, merged) = captured(vec![LogSource::File(path)]);
        assert_eq!(all, [0, 1, 2, 3]);
        assert!(merged.inputs[0].notes.iter().any(|note| note.contains("before the clock was set")));
    }
}
