//! The entries of one input.

mod message;
mod placed;
mod printable;
mod several;
mod source;

use super::csv::Table;
use super::json_document::JsonSplitter;
use super::local_clock::{LocalClock, Placed};
use super::prefix;
use super::stamp::Stamp;
use super::time::Millis;
use super::{Entry, EntryKind, export, ours, syslog};
use crate::input::{Damage, DamageKind, LineReader};
use memchr::memmem;
use std::collections::VecDeque;

/// Truncated records of one line behind which another is looked for.
const PARTS: usize = 32;
/// How deep forms may stand in one another.
const DEPTH: usize = 6;

/// Lines of ours that are not understood, or not placed in time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many.
    pub count: u64,
    /// The first: its number, and its beginning.
    pub first: Option<(u64, String)>,
}

impl Unread {
    fn note(&mut self, number: u64, line: &[u8]) {
        /// As much of a line is quoted, in characters.
        const QUOTED: usize = 90;
        self.count += 1;
        self.first.get_or_insert_with(|| {
            let text = String::from_utf8_lossy(&line[..line.len().min(8 * QUOTED)]);
            let more = if text.chars().count() > QUOTED { "…" } else { "" };
            (number, text.chars().take(QUOTED).chain(more.chars()).collect())
        });
    }
}

/// Something that waits to be read before the next line.
struct Waiting {
    text: Vec<u8>,
    number: u64,
    ended: bool,
    host: Vec<u8>,
    /// When a message was written of which this is a part, where that stands around it.
    stamp: Option<Stamp>,
    origin: Origin,
}

impl Waiting {
    /// A whole part of a line.
    fn part(text: Vec<u8>, number: u64, host: Vec<u8>) -> Waiting {
        Waiting { text, number, ended: true, host, stamp: None, origin: Origin::Part }
    }

    /// A line that was looked at already.
    fn line(text: Vec<u8>, number: u64, ended: bool) -> Waiting {
        Waiting { text, number, ended, host: Vec::new(), stamp: None, origin: Origin::Line }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A line that was looked at already.
    Line,
    /// A part of a line, an entry of a document: it is no line of its own.
    Part,
}

/// What stands around a message.
#[derive(Default)]
struct Context {
    stamp: Option<Stamp>,
    host: Vec<u8>,
    program: Vec<u8>,
    pid: Option<u64>,
    depth: usize,
    /// Whether it is a row of a table.
    is_row: bool,
}

/// Entries of one input.
pub struct EntryReader {
    lines: LineReader,
    clock: LocalClock,
    /// The first offset of local times from UTC that was learned.
    first_offset: Option<Millis>,
    waiting: VecDeque<Waiting>,
    /// How many rests of a truncated line were read.
    parts: usize,
    splitter: JsonSplitter,
    /// The line at which the document's entry began.
    document_line: u64,
    /// Whether the document's line was given in part so far.
    mid_line: bool,
    table: Option<Table>,
    /// The beginning of a message in parts, as container runtimes write long ones.
    partial: Vec<u8>,
    message: Vec<u8>,
    after_panic: bool,
    /// Whether the last entry is that of the line before.
    has_last: bool,
    records: u64,
    /// Whether the line has a time.
    has_stamp: bool,
    /// Lines whose time is not understood.
    unplaced: Unread,
    /// Records without a time.
    timeless: Unread,
    /// Messages of ours that are not understood.
    unread: Unread,
    /// Lines that hold a record which could not be read.
    lost: Unread,
    /// Records that were cut, where they are more than a power cut tears.
    cut_short: Unread,
    /// How many there are since the last start, and the first of them.
    cut_in_row: u64,
    first_cut: (u64, Vec<u8>),
    /// Whether the input is a log in a mail, quoted-printable.
    mailed: bool,
    /// Whether the newest line comes first.
    newest_first: bool,
    /// There, the line that stands for the one below it once more.
    again: Option<(u64, Vec<u8>)>,
    /// There, the last line that was not understood: a panic's message stands above the panic.
    above: Option<(u64, String)>,
    /// Lines that refer to another that is not known.
    referring: Unread,
}

impl EntryReader {
    /// Entries of `lines`; `clock` has what is known of its local times.
    pub fn new(lines: LineReader, clock: LocalClock) -> EntryReader {
        EntryReader {
            lines,
            clock,
            first_offset: None,
            waiting: VecDeque::new(),
            parts: 0,
            splitter: JsonSplitter::default(),
            document_line: 0,
            mid_line: false,
            table: None,
            partial: Vec::new(),
            message: Vec::new(),
            after_panic: false,
            has_last: false,
            records: 0,
            has_stamp: false,
            unplaced: Unread::default(),
            timeless: Unread::default(),
            unread: Unread::default(),
            lost: Unread::default(),
            cut_short: Unread::default(),
            cut_in_row: 0,
            first_cut: (0, Vec::new()),
            mailed: false,
            newest_first: false,
            again: None,
            above: None,
            referring: Unread::default(),
        }
    }

    /// Reads the next entry into `entry`, which must be that of the last call; false at the end.
    pub fn next(&mut self, entry: &mut Entry) -> bool {
        loop {
            let Some(text) = self.next_text() else { return false };
            let Some(waiting) = text else { continue };
            entry.line = waiting.number;
            let again = self.again.take();
            let is_entry = self.entry(waiting, entry);
            if let Some((number, text)) = again.filter(|_| is_entry) {
                self.referring.note(number, &text);
            }
            if entry.truncated {
                self.lines.damage.note(DamageKind::Truncated, entry.line);
            }
            self.has_last = is_entry;
            if is_entry {
                self.records += if entry.kind == EntryKind::Record { entry.times } else { 0 };
                return true;
            }
        }
    }

    /// Whether the newest line comes first: then a line does not refer to the one above it.
    pub fn set_newest_first(&mut self, newest_first: bool) {
        self.newest_first = newest_first;
        self.clock.set_backwards(newest_first);
    }

    /// How many lines and records were read.
    pub fn counts(&self) -> (u64, u64) {
        (self.lines.count(), self.records)
    }

    /// The damage so far.
    pub fn damage(&mut self) -> &mut Damage {
        &mut self.lines.damage
    }

    /// What was not read as it should be: lines whose time is not understood, records without a time, and messages that are not
    /// there.
    pub fn unread(&self) -> [(&Unread, &'static str); 6] {
        [
            (&self.unplaced, "whose time is not understood, counted, but not on the timeline"),
            (&self.timeless, "without a time, counted, but not on the timeline"),
            (&self.unread, "whose message journalctl did not print (read the journal with -o export, or with -a)"),
            (&self.lost, "with a record that could not be read"),
            (
                &self.cut_short,
                "with a record that breaks off, as where lines were cut or folded at a screen's width; what it lost is not in the report",
            ),
            (&self.referring, "that repeat the line below them, newest first, and do not count"),
        ]
    }

    /// A 29 February that fits no year of the lines before it.
    pub fn leap(&self) -> Option<Millis> {
        self.clock.leap()
    }

    /// The steps of local time that were taken back so far, where the zone is not known.
    pub fn steps(&self) -> Option<Millis> {
        self.clock.steps()
    }

    /// What was learned of the input's local times, to read it again from its beginning.
    pub fn into_clock(self) -> LocalClock {
        self.clock.restarted(self.first_offset)
    }

    /// Whether local times were read whose zone is not known yet.
    pub fn lacks_zone(&self) -> bool {
        (self.lines.damage.has(DamageKind::NoTimeZone) || self.unplaced.count + self.timeless.count > 0)
            && self.clock.offset().is_none()
    }

    fn entry(&mut self, waiting: Waiting, entry: &mut Entry) -> bool {
        let Waiting { text, ended, host, stamp, origin, .. } = waiting;
        if self.newest_first && memmem::find(&text, b"last message repeated ").is_some() {
            self.again = Some((entry.line, text));
            return false;
        }
        if self.has_last && self.last_again(&text, entry) {
            self.message = text;
            return true;
        }
        entry.clear();
        self.has_stamp = false;
        if origin == Origin::Line && export::begins(&text) {
            if ended {
                self.lines.unread_line();
            }
            export::read(&mut self.lines, &mut entry.fields);
            self.message = text;
            let context = Context::default();
            return self.journal(context, entry, false);
        }
        let mut context = Context { host, stamp, ..Context::default() };
        let (waiting, partial) = (self.waiting.len(), self.partial.len());
        let is_entry = match self.table_row(&text, origin, &mut context, entry) {
            Some(is_entry) => is_entry,
            None => self.parse(&text, context, entry, ended),
        };
        // Nothing of it waits to be read either: without this a record would vanish, or would pass for one that was cut.
        let in_parts = self.waiting.len() > waiting && self.has_part() || self.partial.len() > partial;
        if !is_entry && !in_parts && (ours::holds_record(&text) || ours::names_record(&text)) {
            self.lost.note(entry.line, &text);
            entry.truncated = false;
        }
        let cut = entry.truncated || entry.cut_short;
        if is_entry && entry.kind == EntryKind::Record {
            self.note_cut(&text, entry);
        }
        // What a line lost with its end is damage, and named as that.
        if is_entry && !cut && entry.kind == EntryKind::Record && entry.time.is_none() {
            let unread = if self.has_stamp { &mut self.unplaced } else { &mut self.timeless };
            unread.note(entry.line, &text);
        }
        if is_entry && entry.kind != EntryKind::Record {
            self.fold(entry);
        }
        self.message = text;
        is_entry
    }

    /// A power cut tears one line, and behind it a run starts: that is damage. Where more lines are cut, as at a screen's width,
    /// numbers of the report are missing.
    fn note_cut(&mut self, text: &[u8], entry: &mut Entry) {
        if !entry.truncated && !entry.cut_short {
            if matches!(entry.record(), b"start" | b"goes_on") {
                self.cut_in_row = 0;
            }
            return;
        }
        self.cut_in_row += 1;
        if self.cut_in_row == 1 {
            self.first_cut = (entry.line, text.to_vec());
            entry.truncated = true;
            return;
        }
        if self.cut_in_row == 2 {
            self.cut_short.note(self.first_cut.0, &self.first_cut.1);
        }
        self.cut_short.note(entry.line, text);
        // It is named as this, and not once more as damage.
        entry.truncated = false;
    }

    /// Whether a part of a line waits to be read.
    fn has_part(&self) -> bool {
        let is_part = |waiting: Option<&Waiting>| waiting.is_some_and(|waiting| waiting.origin == Origin::Part);
        is_part(self.waiting.front()) || is_part(self.waiting.back())
    }

    /// `last message repeated 3 times`: the entry of the line before stands for so many more.
    fn last_again(&mut self, text: &[u8], entry: &mut Entry) -> bool {
        if memmem::find(text, b" message ").is_none() && memmem::find(text, b"ast message ").is_none() {
            return false;
        }
        let prefix = prefix::peel(text).unwrap_or_default();
        let Some(times) = syslog::last_repeated(&text[prefix.message..]) else { return false };
        entry.times = times;
        entry.truncated = false;
        if let Some(Placed::At(time) | Placed::Assumed(time)) = prefix.stamp.map(|stamp| self.clock.place(&stamp, None))
        {
            entry.time = Some(time);
        }
        true
    }
}
