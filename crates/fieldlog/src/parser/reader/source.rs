//! What an input is made of: lines, and the parts of documents and tables.

use super::{Context, EntryReader, Origin, Waiting};
use crate::input::MAX_LINE;
use crate::parser::csv::Table;
use crate::parser::json_document::DocumentEntry;
use crate::parser::{Entry, ours, prefix, wrapped};
use std::collections::VecDeque;

/// Shorter parts of a line hold no record. A line may have very many of them.
pub(super) const SHORTEST: usize = 16;
/// Lines that one row of a table may have.
const ROW_LINES: usize = 256;

impl EntryReader {
    /// The next line or part of one; the inner `None` where it went into a document.
    pub(super) fn next_text(&mut self) -> Option<Option<Waiting>> {
        let waiting = match self.waiting.pop_front() {
            Some(waiting) => waiting,
            None => {
                let (open, mid_line) = (self.splitter.is_open(), self.mid_line);
                let line = if open || mid_line { self.lines.next_piece() } else { self.lines.next_or_piece() };
                let Some(line) = line else {
                    // The document breaks off with the input.
                    let rest = self.splitter.break_off()?;
                    self.push_document(DocumentEntry { text: rest, host: Vec::new() }, self.document_line);
                    return Some(None);
                };
                self.message.clear();
                self.message.extend_from_slice(line.bytes);
                let (number, ended) = (line.number, line.ended);
                let text = std::mem::take(&mut self.message);
                let line = Waiting::line(text, number, ended);
                if open || mid_line { line } else { self.unmailed(line) }
            }
        };
        if waiting.origin == Origin::Part {
            return Some(Some(waiting));
        }
        self.parts = 0;
        let piece = !waiting.ended && waiting.text.len() > MAX_LINE;
        let first = !self.mid_line;
        self.mid_line = piece || self.mid_line && !waiting.ended;
        if self.splitter.is_open() {
            if first && self.breaks_document(&waiting.text) {
                let rest = self.splitter.break_off();
                if let Some(text) = rest {
                    self.push_document(DocumentEntry { text, host: Vec::new() }, self.document_line);
                }
                self.waiting.push_back(waiting);
                // It is looked at again.
                self.mid_line = false;
                return Some(None);
            }
            self.document(&waiting);
            self.message = waiting.text;
            return Some(None);
        }
        if piece || first && begins_document(&waiting.text) {
            self.document(&waiting);
            self.message = waiting.text;
            return Some(None);
        }
        Some(Some(waiting))
    }

    /// Whether a line shows that the document before it was cut.
    fn breaks_document(&self, line: &[u8]) -> bool {
        let begin = line.trim_ascii();
        let json = match begin.first() {
            None | Some(b'{' | b'}' | b'[' | b']' | b'"' | b',' | b':') => true,
            _ => serde_json::from_slice::<serde_json::Value>(begin.strip_suffix(b",").unwrap_or(begin)).is_ok(),
        };
        let new_object = line.starts_with(b"{") && self.splitter.in_entry();
        self.splitter.in_string() || !json || new_object || prefix::peel(begin).is_some()
    }

    /// Adds a line to a document.
    fn document(&mut self, line: &Waiting) {
        let mut entries = VecDeque::new();
        let mut at = 0;
        while at < line.text.len() {
            let text = &line.text[at..];
            if !self.splitter.is_open() && !matches!(text[0], b'{' | b'[' | b' ' | b'\t' | b',') {
                break;
            }
            if !self.splitter.in_entry() {
                self.document_line = line.number;
            }
            at += self.splitter.feed(text, &mut entries);
        }
        if std::mem::take(&mut self.splitter.too_long) {
            self.lines.damage.too_long(self.document_line, MAX_LINE as u64);
        }
        let mut number = self.document_line;
        for (at, entry) in entries.into_iter().enumerate() {
            // The first may have begun lines before.
            number = if at == 0 { number.min(line.number) } else { line.number };
            self.push_document(entry, number);
        }
    }

    pub(super) fn push_document(&mut self, entry: DocumentEntry, number: u64) {
        let DocumentEntry { text, host } = entry;
        if text.len() < SHORTEST {
            return;
        }
        self.waiting.push_back(Waiting::part(text, number, host));
    }

    /// A row of a table, where the input is one.
    pub(super) fn table_row(
        &mut self,
        text: &[u8],
        origin: Origin,
        context: &mut Context,
        entry: &mut Entry,
    ) -> Option<bool> {
        if origin == Origin::Part {
            return None;
        }
        let Some(table) = &self.table else {
            // Behind a title at most.
            if entry.line > 2 {
                return None;
            }
            self.table = Table::header(text);
            return self.table.as_ref().map(|_| false);
        };
        if text.starts_with(b"{") || is_line(text) && !table.has_tabs() {
            return None;
        }
        let mut row = text.to_vec();
        for _ in 0..ROW_LINES {
            if table.is_whole(&row) || row.len() >= MAX_LINE {
                break;
            }
            let Some(line) = self.lines.next() else { break };
            // Another row, or a line of something else: the row before was cut.
            if is_line(line.bytes) || line.bytes.starts_with(b"{\"") || wrapped::begins_row(line.bytes) {
                let (text, number, ended) = (line.bytes.to_vec(), line.number, line.ended);
                self.waiting.push_back(Waiting::line(text, number, ended));
                break;
            }
            row.push(b'\n');
            row.extend_from_slice(line.bytes);
        }
        if !table.is_whole(&row) {
            entry.truncated = ours::has_kind(&row);
            row.push(b'"');
        }
        table.read(&row, &mut entry.fields);
        let context = Context { is_row: true, ..std::mem::take(context) };
        Some(self.wrapped(context, entry).unwrap_or(false))
    }

    /// Adds the further lines of a message, which short forms set in below the first.
    pub(super) fn fold(&mut self, entry: &mut Entry) {
        const LONGEST: usize = 64 << 10;
        while self.waiting.is_empty() {
            let Some(line) = self.lines.next_or_piece() else { return };
            let line = Waiting::line(line.bytes.to_vec(), line.number, line.ended);
            let line = self.unmailed(line);
            let inside = line.text.trim_ascii();
            if !line.text.starts_with(b"        ") || inside.is_empty() || ours::starts_as_record(inside) {
                self.waiting.push_back(line);
                return;
            }
            if entry.message.len() < LONGEST {
                entry.message.push('\n');
                entry.message.push_str(&String::from_utf8_lossy(inside));
            }
        }
    }
}

/// Whether it is a line of a log, and no row of a table.
fn is_line(text: &[u8]) -> bool {
    ours::starts_as_record(text) || prefix::peel(text).is_some_and(|prefix| prefix.stamp.is_some())
}

fn begins_document(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    match line.split_first() {
        Some((b'{', [])) => true,
        Some((b'[', rest)) => matches!(rest.trim_ascii_start().first(), None | Some(b'{' | b'[')),
        _ => false,
    }
}
