//! Several records in one line: objects one behind the other, a whole log whose line ends were escaped or are those of Unicode.

use super::{Context, EntryReader, PARTS, Waiting};
use crate::parser::fields::Fields;
use crate::parser::text::ParseResult;
use crate::parser::{json, ours, prefix};

/// What ends a line within a text. The first are written out: within quotes they are a part of a value.
const LINE_ENDS: [&[u8]; 9] =
    [b"\\r\\n", b"\\n", b"\n", b"\r", b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\xc2\x85", b"\x0b", b"\x0c"];
/// How many of them are written out.
const WRITTEN: usize = 2;

impl EntryReader {
    /// Lets objects be read that stand behind one in the same line, as where the line ends of a log were deleted.
    pub(super) fn behind_object(&mut self, text: &[u8], mut end: usize, context: &Context, number: u64) {
        let mut parts = Vec::new();
        loop {
            let apart = |byte: &u8| byte.is_ascii_whitespace() || b",;\x1e".contains(byte);
            end += text[end..].iter().position(|byte| !apart(byte)).unwrap_or(text.len() - end);
            let rest = &text[end..];
            if rest.is_empty() {
                break;
            }
            let length = match rest[0] {
                b'{' => match json::read_to(rest, &mut Fields::default()) {
                    (ParseResult::Complete, length) => length,
                    // It is read up to its break, and what stands behind that.
                    (ParseResult::Truncated { .. }, _) => rest.len(),
                },
                _ => match ours::next_record(text, end).or_else(|| ours::named_record(text, end)) {
                    Some(next) if self.parts < PARTS => {
                        self.parts += 1;
                        end = next;
                        text.len() - next
                    }
                    Some(next) => {
                        self.lost.note(number, &text[next..]);
                        break;
                    }
                    None => break,
                },
            };
            let part = Waiting::part(text[end..end + length].to_vec(), number, context.host.clone());
            parts.push(Waiting { stamp: context.stamp, ..part });
            end += length;
        }
        parts.into_iter().rev().for_each(|part| self.waiting.push_front(part));
    }

    /// Lets the lines be read that a text consists of, where it holds several records; false where it is one line.
    pub(super) fn take_apart(&mut self, text: &[u8], context: &Context, number: u64) -> bool {
        if text.starts_with(b"{")
            || ours::named_record(text, 0).and_then(|at| ours::named_record(text, at + 1)).is_none()
        {
            return false;
        }
        let whole = unquoted(text);
        let whole = whole.as_deref().unwrap_or(text);
        let lines = lines(whole);
        if lines.len() < 2 {
            return false;
        }
        let part = |line: &[u8]| Waiting {
            stamp: context.stamp,
            ..Waiting::part(line.to_vec(), number, context.host.clone())
        };
        lines.into_iter().rev().for_each(|line| self.waiting.push_front(part(line)));
        true
    }
}

/// The text of a JSON string, or of a value in quotes that holds records.
fn unquoted(text: &[u8]) -> Option<Vec<u8>> {
    if text.starts_with(b"\"") {
        return serde_json::from_slice::<String>(text.trim_ascii()).ok().map(String::into_bytes);
    }
    ours::embedded(text).filter(|(at, _)| *at > 0 && text[at - 1] == b'"').map(|(_, plain)| plain)
}

/// The lines of a text; the text alone where no further one begins as a line of ours does.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut begin, mut at, mut quoted, mut further) = (Vec::new(), 0, 0, false, false);
    while at < text.len() {
        let end = LINE_ENDS.iter().position(|end| text[at..].starts_with(end));
        match end {
            Some(end) if end >= WRITTEN || !quoted => {
                lines.push(&text[begin..at]);
                at += LINE_ENDS[end].len();
                (begin, quoted) = (at, false);
                further |= begins_line(&text[begin..]);
            }
            _ => {
                quoted ^= text[at] == b'"';
                at += if text[at] == b'\\' { 2 } else { 1 };
            }
        }
    }
    lines.push(&text[begin.min(text.len())..]);
    lines.retain(|line| !line.trim_ascii().is_empty());
    if further { lines } else { vec![text] }
}

/// Whether a line of ours begins: a record, or one behind a prefix.
fn begins_line(text: &[u8]) -> bool {
    /// Prefixes are shorter.
    const REACH: usize = 512;
    let text = text[..text.len().min(REACH)].trim_ascii_start();
    ours::starts_as_record(text)
        || prefix::peel(text).is_some_and(|prefix| ours::starts_as_record(&text[prefix.message..]))
}
