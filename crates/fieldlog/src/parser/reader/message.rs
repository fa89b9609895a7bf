//! Messages and what stands around them: forms in one another, records, the journal's entries.

use super::source::SHORTEST;
use super::{Context, DEPTH, EntryReader, PARTS, Waiting};
use crate::input::{MAX_LINE, strip_colours};
use crate::parser::fields::Fields;
use crate::parser::json_document::{JsonSplitter, strings};
use crate::parser::prefix::{self, Prefix};
use crate::parser::stamp::Stamp;
use crate::parser::text::{self, ParseResult};
use crate::parser::{Entry, EntryKind, json, ours, syslog, verbose, wrapped};
use memchr::memmem;
use std::collections::VecDeque;

impl EntryReader {
    /// Parses a message, or a line with what stands before it.
    pub(super) fn parse(&mut self, text: &[u8], mut context: Context, entry: &mut Entry, ended: bool) -> bool {
        // journalctl -o json-seq and json-sse.
        let text = text.strip_prefix(b"\x1e").or_else(|| text.strip_prefix(b"data: ")).unwrap_or(text);
        if context.depth > DEPTH {
            return false;
        }
        context.depth += 1;
        if self.take_apart(text, &context, entry.line) {
            return false;
        }
        match text.first() {
            None => return false,
            Some(b'{') => return self.object(text, context, entry),
            Some(b't' | b'r' | b'l')
                if text.starts_with(b"time=")
                    || text.starts_with(b"record=")
                    || text.starts_with(b"level=") && ours::holds_record(text) =>
            {
                return self.record(text, context, entry, ended);
            }
            Some(b'-') if text.starts_with(b"-- Boot ") || text.starts_with(b"-- Reboot") => {
                entry.kind = EntryKind::Boot;
                return true;
            }
            Some(b'[') if text.starts_with(b"[\"") && context.depth == 1 => return self.pair(text, context, entry),
            _ => (),
        }
        // Of a message that is not known: the line before was another's.
        if syslog::is_last_repeated(text) {
            return false;
        }
        if let Some((times, range)) = syslog::repeated(text) {
            entry.times = times.max(1);
            return self.parse(&text[range], context, entry, ended);
        }
        if let Some(syslog::Counted { message, whole, next }) = syslog::counted(text) {
            if let Some(next) = next {
                self.split_counted(&text[next..], entry.line, ended);
            }
            return self.parse(&text[message], context, entry, ended || whole);
        }
        // A program's own message is not looked into for another program.
        let prefix = prefix::peel(text).filter(|prefix| context.program.is_empty() || prefix.program.is_empty());
        if let Some(prefix) = prefix {
            return self.prefixed(text, prefix, context, entry, ended);
        }
        if is_logfmt(text) && text::read(text, &mut entry.fields) == ParseResult::Complete {
            let read = if entry.fields.get("record").is_some() {
                Some(self.finish(context, entry))
            } else {
                self.wrapped(context, entry)
            };
            return read.unwrap_or(false);
        }
        self.message_or_other(text, context, entry, ended)
    }

    fn prefixed(&mut self, text: &[u8], prefix: Prefix, mut context: Context, entry: &mut Entry, ended: bool) -> bool {
        let Prefix { stamp, host, program, pid, message, partial } = prefix;
        // A time with its zone says more than one without; of two alike the outer one is the later.
        if context.stamp.is_none()
            || matches!((context.stamp, stamp), (Some(Stamp::Local(_) | Stamp::Yearless { .. }), Some(Stamp::Utc(_))))
        {
            context.stamp = stamp.or(context.stamp);
        }
        if !host.is_empty() {
            context.host = text[host].to_vec();
        }
        if !program.is_empty() {
            context.program = text[program].to_vec();
        }
        context.pid = pid.or(context.pid);
        let message = &text[message..];
        if message.starts_with(b"[s=") && message.ends_with(b"]") && self.waiting.is_empty() {
            if let Some((text, number, ended)) = verbose::read(message, &mut self.lines, &mut entry.fields) {
                self.waiting.push_back(Waiting::line(text, number, ended));
            }
            return self.journal(context, entry, false);
        }
        if partial {
            if self.partial.len() + message.len() <= MAX_LINE {
                self.partial.extend_from_slice(message);
            }
            return false;
        }
        if !self.partial.is_empty() {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(message);
            return self.parse(&whole, context, entry, ended);
        }
        self.parse(message, context, entry, ended)
    }

    /// The further messages of a line with octet counts.
    fn split_counted(&mut self, mut rest: &[u8], number: u64, ended: bool) {
        while let Some(syslog::Counted { message, whole, next }) = syslog::counted(rest) {
            if message.len() >= SHORTEST {
                let (text, ended) = (rest[message].to_vec(), ended || whole);
                self.waiting.push_back(Waiting { ended, ..Waiting::part(text, number, Vec::new()) });
            }
            let Some(next) = next else { return };
            rest = &rest[next..];
        }
    }

    /// `["1795897631009000000", "message"]` of Loki.
    fn pair(&mut self, text: &[u8], mut context: Context, entry: &mut Entry) -> bool {
        let strings = strings(text);
        let (stamp, messages) = match strings.split_first() {
            Some((first, rest)) if !rest.is_empty() && wrapped::value_time(first).is_some() => {
                (wrapped::value_time(first), &rest[..1])
            }
            _ => (None, &strings[..]),
        };
        let Some((message, more)) = messages.split_first() else { return false };
        for text in more {
            let (text, host) = (text.clone(), context.host.clone());
            self.waiting.push_back(Waiting::part(text, entry.line, host));
        }
        context.stamp = stamp;
        self.parse(message, context, entry, true)
    }

    /// A record in text.
    fn record(&mut self, text: &[u8], context: Context, entry: &mut Entry, ended: bool) -> bool {
        let result = text::read(text, &mut entry.fields);
        if !ended && result == ParseResult::Complete && !text.ends_with(b"\"") {
            entry.fields.pop();
            entry.truncated = true;
        }
        self.cut(text, result, entry);
        if entry.fields.get("record").is_some() {
            return self.finish(context, entry);
        }
        if let Some(is_entry) = self.wrapped(context, entry) {
            return is_entry;
        }
        false
    }

    /// An object: a record in JSON, an entry of the journal, or a message in the fields of something else.
    fn object(&mut self, text: &[u8], context: Context, entry: &mut Entry) -> bool {
        let (result, end) = json::read_to(text, &mut entry.fields);
        self.cut(text, result, entry);
        if result == ParseResult::Complete && context.depth <= DEPTH {
            self.behind_object(text, end, &context, entry.line);
        }
        if entry.fields.get("record").is_some() {
            return self.finish(context, entry);
        }
        if entry.fields.get("MESSAGE").is_none() && entry.fields.strip_prefix_of_record() {
            return self.wrapped(context, entry).unwrap_or(false);
        }
        if entry.fields.get("MESSAGE").is_some() || entry.fields.get("__REALTIME_TIMESTAMP").is_some() {
            let truncated = entry.truncated;
            return self.journal(context, entry, truncated);
        }
        if context.depth == 1 && result == ParseResult::Complete && is_document(text) {
            let mut entries = VecDeque::new();
            JsonSplitter::default().feed(text, &mut entries);
            // An object that is one entry itself is not taken apart again.
            if entries.iter().any(|part| part.text.len() < text.len()) {
                let number = entry.line;
                entries.into_iter().for_each(|part| self.push_document(part, number));
                return false;
            }
        }
        self.wrapped(context, entry).unwrap_or(false)
    }

    /// Notes a record that breaks off; what stands behind the break is read next.
    fn cut(&mut self, text: &[u8], result: ParseResult, entry: &mut Entry) {
        let ParseResult::Truncated { at } = result else { return };
        entry.truncated |= ours::is_cut(text);
        let next = [ours::next_record(text, at), ours::named_record(text, at.max(1))].into_iter().flatten().min();
        let Some(next) = next else { return };
        // Of a line that breaks off again and again the end is left: each part is read anew.
        if self.parts < PARTS {
            self.waiting.push_front(Waiting::part(text[next..].to_vec(), entry.line, Vec::new()));
            self.parts += 1;
        } else {
            self.lost.note(entry.line, &text[next..]);
        }
    }

    /// A message in the fields of something else; `None` where there is none.
    pub(super) fn wrapped(&mut self, mut context: Context, entry: &mut Entry) -> Option<bool> {
        let fields = &entry.fields;
        let stamp = wrapped::time(fields);
        context.stamp = stamp.or(context.stamp);
        if let Some(host) = wrapped::host(fields) {
            context.host = host.to_vec();
        }
        if let Some(program) = wrapped::program(fields) {
            context.program = program.to_vec();
        }
        context.pid = wrapped::pid(fields).or(context.pid);
        if fields.get("record").is_some() {
            return Some(self.finish(context, entry));
        }
        let message = wrapped::message(fields)?.trim_ascii().to_vec();
        let truncated = entry.truncated;
        entry.fields.clear();
        let mut plain = Vec::new();
        strip_colours(&message, &mut plain);
        let is_entry = self.parse(&plain, context, entry, true);
        entry.truncated |= truncated;
        Some(is_entry)
    }

    /// An entry of the journal's export, verbose or JSON form, whose fields are read.
    pub(super) fn journal(&mut self, mut context: Context, entry: &mut Entry, truncated: bool) -> bool {
        entry.truncated = truncated;
        entry.fields.strip_native_prefix();
        if let Some(host) = wrapped::host(&entry.fields) {
            context.host = host.to_vec();
        }
        context.pid = wrapped::pid(&entry.fields).or(context.pid);
        context.stamp = wrapped::time(&entry.fields).or(context.stamp);
        let fields = &mut entry.fields;
        if fields.get("record").is_some() {
            return self.finish(context, entry);
        }
        let mut message = fields.get("MESSAGE").unwrap_or_default().trim_ascii_end().to_vec();
        if message.contains(&0x1b) {
            let coloured = std::mem::take(&mut message);
            strip_colours(&coloured, &mut message);
        }
        if let Some((times, range)) = syslog::repeated(&message) {
            entry.times = times.max(1);
            message = message[range].to_vec();
        }
        if self.take_apart(&message, &context, entry.line) {
            return false;
        }
        let fields = &mut entry.fields;
        let program = match wrapped::program(fields).or(fields.get("_COMM")) {
            _ if fields.get("_TRANSPORT") == Some(b"kernel") => b"kernel".to_vec(),
            program => program.unwrap_or_default().to_vec(),
        };
        if matches!(message.first(), Some(b't' | b'r' | b'{')) && !message.starts_with(b"{\"MESSAGE") {
            let (result, end) = match message[0] {
                b'{' => json::read_to(&message, fields),
                _ => (text::read(&message, fields), message.len()),
            };
            if fields.get("record").is_some() {
                if result == ParseResult::Complete {
                    self.behind_object(&message, end, &context, entry.line);
                }
                entry.truncated |= result != ParseResult::Complete;
                return self.finish(context, entry);
            }
        }
        // A message with a prefix of its own, as of a container whose output goes to the journal.
        if prefix::peel(&message).is_some_and(|prefix| ours::starts_as_record(&message[prefix.message..])) {
            let fields = std::mem::take(&mut entry.fields);
            let is_entry = self.parse(&message, context, entry, true);
            self.keep_boot(&fields, entry);
            return is_entry;
        }
        if program == b"lineside" && !truncated && (message.is_empty() || ours::is_blob(&message)) {
            self.unread.note(entry.line, if message.is_empty() { b"an entry without a message" } else { &message });
        }
        context.program = program;
        self.message_or_other(&message, context, entry, true)
    }

    /// The journal's boot of a record that was read from its message.
    fn keep_boot(&mut self, fields: &Fields, entry: &mut Entry) {
        if let Some(boot) = fields.get("_BOOT_ID") {
            entry.fields.push(b"_BOOT_ID", boot);
        }
    }

    /// A message that is not a record, from a program that is known, or a line of which nothing is known.
    fn message_or_other(&mut self, message: &[u8], context: Context, entry: &mut Entry, ended: bool) -> bool {
        let program = context.program.as_slice();
        entry.kind = match program {
            b"systemd" | b"init.scope" if memmem::find(message, b"lineside").is_some() => EntryKind::Systemd,
            b"kernel" => EntryKind::Kernel,
            // With `with-unit` the prefix of a systemd message has the unit's name.
            b"lineside.service" if message.starts_with(b"lineside.service: ") => EntryKind::Systemd,
            b"lineside" | b"lineside.service" if ours::is_blob(message) => {
                self.unread.note(entry.line, message);
                return false;
            }
            b"lineside" | b"lineside.service" if !ours::has_kind(message) => EntryKind::Program,
            _ => return self.other(message, context, entry, ended),
        };
        entry.message.push_str(&String::from_utf8_lossy(message));
        if let Some(stamp) = context.stamp {
            entry.time = self.place(&stamp, None, entry.line);
            if let (Stamp::Local(_) | Stamp::Yearless { offset: None, .. }, Some(time)) = (stamp, entry.time) {
                entry.time = Some(self.follow(&context, time, entry));
            }
        }
        self.take_context(context, entry);
        true
    }

    /// A line without a known prefix: a panic, an error message of the program, or a record after other text.
    fn other(&mut self, line: &[u8], mut context: Context, entry: &mut Entry, ended: bool) -> bool {
        let panic = line.starts_with(b"thread '") && memmem::find(line, b"panicked at").is_some();
        let after_panic = std::mem::replace(&mut self.after_panic, panic) && !self.newest_first;
        if after_panic || panic || line.starts_with(b"lineside: ") {
            entry.kind = EntryKind::Program;
            entry.message.push_str(&String::from_utf8_lossy(line));
            let above = self.above.take().filter(|(number, _)| panic && number + 1 == entry.line);
            if let Some((_, text)) = above {
                entry.message.push('\n');
                entry.message.push_str(&text);
            }
            if let Some(stamp) = context.stamp {
                entry.time = self.place(&stamp, None, entry.line);
            }
            self.take_context(context, entry);
            return true;
        }
        if context.depth > DEPTH {
            return false;
        }
        context.depth += 1;
        // Whole, between what another program writes around it.
        if let Some((at, text)) = ours::embedded(line) {
            entry.fields.clear();
            let closed = at > 0 && line[at - 1] == b'"';
            if text::read(&text, &mut entry.fields) == ParseResult::Complete && (ended || closed) {
                context.stamp = context.stamp.or_else(|| wrapped::stamp_within(&line[..at]));
                return self.finish(context, entry);
            }
            entry.fields.clear();
        }
        if let Some(next) = ours::next_record(line, 0) {
            let rest = &line[next..];
            // What was read so far is of the message around it.
            entry.fields.clear();
            return if rest[0] == b'{' {
                self.object(rest, context, entry)
            } else {
                self.record(rest, context, entry, ended)
            };
        }
        if let Some(next) = ours::behind_other_text(line) {
            context.stamp = context.stamp.or_else(|| wrapped::stamp_within(&line[..next]));
            let rest = line[next..].trim_ascii_end();
            entry.fields.clear();
            return self.record(rest, context, entry, ended);
        }
        // The end of a record whose beginning was cut off with what stood before in the file.
        entry.truncated = ours::has_kind(line);
        self.above = self.newest_first.then(|| (entry.line, String::from_utf8_lossy(line).into_owned()));
        false
    }
}

/// Whether an object may hold an array of entries with one of ours.
fn is_document(text: &[u8]) -> bool {
    let arrays = memmem::find(text, b"[{").is_some() || memmem::find(text, b"[[").is_some();
    arrays
        && (memmem::find(text, b"record=").is_some()
            || memmem::find(text, b"record\\\":").is_some()
            || memmem::find(text, b"\"record\"").is_some())
}

/// `key=value key="value"`, as many programs write their logs. By their first keys they are told from records that were cut.
fn is_logfmt(text: &[u8]) -> bool {
    const FIRST: [&[u8]; 12] = [
        b"ts",
        b"t",
        b"timestamp",
        b"date",
        b"datetime",
        b"msg",
        b"host",
        b"hostname",
        b"logger",
        b"caller",
        b"severity",
        b"lvl",
    ];
    let key = memchr::memchr(b'=', &text[..text.len().min(16)]).map(|end| &text[..end]);
    key.is_some_and(|key| FIRST.contains(&key)) && ours::has_kind(text)
}
