//! Parses lines into entries: text and JSON records, the forms of the journal and of syslog, and exports of what collects logs, in
//! any mix.
//!
//! The form is detected line by line. Forms may stand in one another, as where Docker's JSON holds a line of syslog.
//!
//! ```text
//! reader           lines to entries
//!   text json export verbose    records and the journal's entries
//!   prefix syslog               what stands before a message in a line
//!   wrapped csv json_document   messages in fields, tables and documents
//!   stamp months zones          times as they are written
//!   local_clock anchors         times to UTC: zone, year, summer time
//! ```

mod anchors;
mod csv;
mod export;
mod fields;
mod json;
mod json_document;
mod kinds;
mod local_clock;
mod months;
mod ours;
mod prefix;
mod reader;
mod stamp;
mod syslog;
mod text;
pub mod time;
mod verbose;
mod wrapped;
mod zones;

pub use anchors::Anchors;
pub use fields::{Fields, count, number};
pub use local_clock::LocalClock;
pub use reader::EntryReader;
pub use time::Millis;
pub use wrapped::is_time as is_time_name;

use crate::input::LineReader;
use std::io::Read;

/// Who wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EntryKind {
    /// A record of Lineside; its fields have the content.
    #[default]
    Record,
    /// The program, outside its records: a panic, the reason why it would not start.
    Program,
    /// systemd.
    Systemd,
    /// The kernel.
    Kernel,
    /// The journal: the machine was started.
    Boot,
}

/// One log entry.
#[derive(Clone)]
pub struct Entry {
    /// Its line number, from 1.
    pub line: u64,
    /// When it was written, if known.
    pub time: Option<Millis>,
    /// Who wrote it.
    pub kind: EntryKind,
    /// The fields of a record; for other entries the journal's fields.
    pub fields: Fields,
    /// The message of an entry that is not a record.
    pub message: String,
    /// The host; empty if unknown.
    pub host: String,
    /// The process id, if known.
    pub pid: Option<u64>,
    /// Whether it is truncated: fields may be missing.
    pub truncated: bool,
    /// Whether it is a record without what all of its kind have, such as a status without its counts.
    pub cut_short: bool,
    /// For how many equal messages it stands.
    pub times: u64,
}

/// Whether a record of ours is in a stream, read or not.
pub fn holds_record(stream: Box<dyn Read>) -> bool {
    let mut entries = EntryReader::new(LineReader::new(stream), LocalClock::default());
    let mut entry = Entry::default();
    while entries.next(&mut entry) {
        if !entry.record().is_empty() {
            return true;
        }
    }
    entries.unread().iter().any(|(unread, _)| unread.count > 0)
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            line: 0,
            time: None,
            kind: EntryKind::Record,
            fields: Fields::default(),
            message: String::new(),
            host: String::new(),
            pid: None,
            truncated: false,
            cut_short: false,
            times: 1,
        }
    }
}

impl Entry {
    fn clear(&mut self) {
        self.fields.clear();
        self.message.clear();
        self.host.clear();
        self.cut_short = false;
        (self.time, self.pid, self.truncated, self.kind, self.times) = (None, None, false, EntryKind::Record, 1);
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Entry>() + self.fields.size() + self.message.len() + self.host.len()
    }

    /// The kind of the record; empty for entries that are not records.
    pub fn record(&self) -> &[u8] {
        match self.kind {
            EntryKind::Record => self.fields.get("record").unwrap_or_default(),
            _ => b"",
        }
    }
}

#[cfg(test)]
mod tests;
