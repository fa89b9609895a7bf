//! Parses lines into entries: text and JSON records, the journal's short, JSON and export forms, in any mix.
//!
//! The form is detected line by line. A truncated record is read up to the break; a record that follows a truncated one on the
//! same line is read as well.

mod export;
mod fields;
mod json;
mod prefix;
mod text;
pub mod time;

pub use fields::{Fields, count, number};
pub use time::Millis;

use super::input::{Damage, DamageKind, LineReader};
use memchr::memmem;
use text::ParseResult;

/// Truncated records of one line behind which another is looked for.
const PARTS: usize = 32;

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
#[derive(Default)]
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
}

/// Entries of one input.
pub struct EntryReader {
    lines: LineReader,
    /// The latest time that the input can contain; the year of times without one comes from it.
    newest: Option<Millis>,
    /// The offset of the input's local times from UTC, once it is known.
    zone_offset: Option<Millis>,
    /// The rest of a line, after a truncated record, that holds another record.
    rest: Vec<u8>,
    /// How many such rests the line had.
    parts: usize,
    message: Vec<u8>,
    after_panic: bool,
    records: u64,
}

impl EntryReader {
    /// Entries of `lines`; `newest` is when the input was last written to, where that is known.
    pub fn new(lines: LineReader, newest: Option<Millis>) -> EntryReader {
        EntryReader {
            lines,
            newest,
            zone_offset: None,
            rest: Vec::new(),
            parts: 0,
            message: Vec::new(),
            after_panic: false,
            records: 0,
        }
    }

    /// Reads the next entry into `entry`; false at the end.
    pub fn next(&mut self, entry: &mut Entry) -> bool {
        loop {
            entry.clear();
            let is_entry = if self.rest.is_empty() {
                let Some(line) = self.lines.next() else { return false };
                entry.line = line.number;
                let ended = line.ended;
                self.parts = 0;
                if export::begins(line.bytes) {
                    if ended {
                        self.lines.unread_line();
                    }
                    export::read(&mut self.lines, &mut entry.fields);
                    self.journal(entry, false)
                } else {
                    self.message.clear();
                    self.message.extend_from_slice(line.bytes);
                    self.line(entry, ended)
                }
            } else {
                entry.line = self.lines.count();
                self.message.clear();
                std::mem::swap(&mut self.message, &mut self.rest);
                self.line(entry, true)
            };
            if entry.truncated {
                self.lines.damage.note(DamageKind::Truncated, entry.line);
            }
            if is_entry {
                self.records += u64::from(entry.kind == EntryKind::Record);
                return true;
            }
        }
    }

    /// How many lines and records were read.
    pub fn counts(&self) -> (u64, u64) {
        (self.lines.count(), self.records)
    }

    /// The damage so far.
    pub fn damage(&mut self) -> &mut Damage {
        &mut self.lines.damage
    }

    /// Parses the line in `self.message`.
    fn line(&mut self, entry: &mut Entry, ended: bool) -> bool {
        let line = std::mem::take(&mut self.message);
        let is_entry = self.parse_line(&line, entry, ended);
        self.message = line;
        is_entry
    }

    fn parse_line(&mut self, line: &[u8], entry: &mut Entry, ended: bool) -> bool {
        // journalctl -o json-seq and json-sse.
        let line = line.strip_prefix(b"\x1e").or_else(|| line.strip_prefix(b"data: ")).unwrap_or(line);
        match line.first() {
            None => return false,
            Some(b't' | b'r' | b'{') if self.record(line, entry, ended) => return true,
            Some(b'-') if line.starts_with(b"-- Boot ") || line.starts_with(b"-- Reboot") => {
                entry.kind = EntryKind::Boot;
                return true;
            }
            Some(b'0'..=b'9' | b'A'..=b'Z') => {
                let year = time::year(self.newest.unwrap_or_default());
                if let Some(mut prefix) = prefix::read(line, year) {
                    if self.newest.is_some_and(|newest| prefix.local && prefix.time > newest + 2 * 86_400_000) {
                        prefix = prefix::read(line, year - 1).unwrap_or(prefix);
                    }
                    return self.prefixed(line, prefix, entry, ended);
                }
            }
            _ => (),
        }
        self.unprefixed(line, entry, ended)
    }

    /// A line that begins as a record does.
    fn record(&mut self, line: &[u8], entry: &mut Entry, ended: bool) -> bool {
        let read = if line[0] == b'{' {
            json::read(line, &mut entry.fields)
        } else if line.starts_with(b"time=") || line.starts_with(b"record=") {
            let read = text::read(line, &mut entry.fields);
            if !ended && read == ParseResult::Complete && !line.ends_with(b"\"") {
                entry.fields.pop();
                entry.truncated = true;
            }
            read
        } else {
            return false;
        };
        if let ParseResult::Truncated { at } = read {
            entry.truncated = true;
            // Of a line that breaks off again and again the end is left: each part is read anew.
            if self.parts < PARTS
                && let Some(next) = next_record(line, at)
            {
                self.rest = line[next..].to_vec();
                self.parts += 1;
            }
        }
        if entry.fields.get("MESSAGE").is_some() || entry.fields.get("__REALTIME_TIMESTAMP").is_some() {
            return self.journal(entry, entry.truncated);
        }
        entry.time = own_time(&entry.fields);
        entry.fields.get("record").is_some()
    }

    /// A line with a prefix of the journal or syslog.
    fn prefixed(&mut self, line: &[u8], prefix: prefix::Prefix, entry: &mut Entry, ended: bool) -> bool {
        let text = |range: &std::ops::Range<usize>| String::from_utf8_lossy(&line[range.clone()]);
        entry.host.push_str(&text(&prefix.host));
        entry.pid = prefix.pid;
        let message = &line[prefix.message..];
        let program = &line[prefix.program.clone()];
        let is_record = matches!(message.first(), Some(b't' | b'r' | b'{')) && self.record(message, entry, ended);
        match (entry.time, prefix.local) {
            (Some(own), true) if self.zone_offset.is_none() => {
                // Zones differ from UTC by quarters of an hour.
                const QUARTER: Millis = 15 * 60_000;
                self.zone_offset = Some((prefix.time - own + QUARTER / 2).div_euclid(QUARTER) * QUARTER);
            }
            (Some(_), _) => (),
            (None, true) => {
                if self.zone_offset.is_none() {
                    self.lines.damage.note(DamageKind::NoTimeZone, entry.line);
                }
                entry.time = Some(prefix.time - self.zone_offset.unwrap_or(0));
            }
            (None, false) => entry.time = Some(prefix.time),
        }
        is_record || self.message_entry(program, message, entry)
    }

    /// An entry of the journal's export or JSON form, whose fields are read.
    fn journal(&mut self, entry: &mut Entry, truncated: bool) -> bool {
        entry.truncated = truncated;
        let fields = &mut entry.fields;
        fields.strip_native_prefix();
        if let Some(host) = fields.text("_HOSTNAME") {
            entry.host.push_str(&host);
        }
        entry.pid = fields.count("_PID");
        let written = fields.count("__REALTIME_TIMESTAMP").or_else(|| fields.count("_SOURCE_REALTIME_TIMESTAMP"));
        let written = written.map(|micros| (micros / 1000) as Millis);
        entry.time = own_time(fields).or(written);
        if fields.get("record").is_some() {
            return true;
        }
        let mut message = fields.get("MESSAGE").unwrap_or_default().to_vec();
        while message.last() == Some(&b'\n') {
            message.pop();
        }
        if matches!(message.first(), Some(b't' | b'r' | b'{')) && !message.starts_with(b"{\"MESSAGE") {
            let read = if message[0] == b'{' { json::read(&message, fields) } else { text::read(&message, fields) };
            if fields.get("record").is_some() {
                entry.truncated |= read != ParseResult::Complete;
                entry.time = own_time(fields).or(written);
                return true;
            }
        }
        let program = match fields.get("SYSLOG_IDENTIFIER").or(fields.get("_COMM")) {
            _ if fields.get("_TRANSPORT") == Some(b"kernel") => b"kernel".to_vec(),
            program => program.unwrap_or_default().to_vec(),
        };
        self.message_entry(&program, &message, entry)
    }

    /// A line that is not a record, from a program that is known.
    fn message_entry(&mut self, program: &[u8], message: &[u8], entry: &mut Entry) -> bool {
        entry.kind = match program {
            b"systemd" if memmem::find(message, b"lineside").is_some() => EntryKind::Systemd,
            b"kernel" => EntryKind::Kernel,
            // With `with-unit` the prefix of a systemd message has the unit's name.
            b"lineside.service" if message.starts_with(b"lineside.service: ") => EntryKind::Systemd,
            b"lineside" | b"lineside.service" => EntryKind::Program,
            _ => return false,
        };
        entry.message.push_str(&String::from_utf8_lossy(message));
        true
    }

    /// A line without a known prefix: a panic, an error message of the program, or a record after other text.
    fn unprefixed(&mut self, line: &[u8], entry: &mut Entry, ended: bool) -> bool {
        let panic = line.starts_with(b"thread '") && memmem::find(line, b"panicked at").is_some();
        if std::mem::replace(&mut self.after_panic, panic) || panic || line.starts_with(b"lineside: ") {
            entry.kind = EntryKind::Program;
            entry.message.push_str(&String::from_utf8_lossy(line));
            return true;
        }
        match next_record(line, 0) {
            Some(next) => self.record(&line[next..], entry, ended),
            None => {
                // The end of a record whose beginning was cut off with what stood before in the file.
                entry.truncated =
                    memmem::find(line, b"record=").is_some() || memmem::find(line, b"\"record\":").is_some();
                false
            }
        }
    }
}

impl Entry {
    fn clear(&mut self) {
        self.fields.clear();
        self.message.clear();
        self.host.clear();
        (self.time, self.pid, self.truncated, self.kind) = (None, None, false, EntryKind::Record);
    }

    /// The kind of the record; empty for entries that are not records.
    pub fn record(&self) -> &[u8] {
        match self.kind {
            EntryKind::Record => self.fields.get("record").unwrap_or_default(),
            _ => b"",
        }
    }
}

/// The time in the record itself.
fn own_time(fields: &Fields) -> Option<Millis> {
    Some(time::rfc3339(fields.get("time")?)?.0)
}

/// Where a record begins in a damaged line, behind its first byte and not before `from`.
fn next_record(line: &[u8], from: usize) -> Option<usize> {
    let from = from.max(1);
    let behind = line.get(from..)?;
    [&b"time=2"[..], b"{\"time\":", b"{\"record\":", b"{\"__CURSOR\""]
        .iter()
        .filter_map(|begin| memmem::find(behind, begin))
        .min()
        .map(|found| from + found)
}

#[cfg(test)]
mod tests;
