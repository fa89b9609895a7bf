//! The journal's export form: a field a line, an empty line behind each entry, fields with newlines by their length
//! (systemd, Journal Export Formats).

use super::fields::Fields;
use crate::input::{LineReader, MAX_LINE};

/// Whether a line is a field of an entry: `NAME=value`, or `NAME` alone before a length.
pub fn begins(line: &[u8]) -> bool {
    name(line).is_some_and(|end| line.get(end) == Some(&b'='))
}

/// Where the name of a field ends.
fn name(line: &[u8]) -> Option<usize> {
    let end = line.iter().position(|byte| !(byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_'));
    let end = end.unwrap_or(line.len());
    (end > 0 && !line[0].is_ascii_digit()).then_some(end)
}

/// Reads one entry. It ends at an empty line, before a line that is no field, before the next entry's cursor, or with the
/// stream.
pub fn read(lines: &mut LineReader, fields: &mut Fields) {
    while let Some(line) = lines.next() {
        let Some(end) = name(line.bytes) else {
            if !line.bytes.is_empty() && line.ended {
                lines.unread_line();
            }
            return;
        };
        match line.bytes.get(end) {
            Some(b'=') => {
                if &line.bytes[..end] == b"__CURSOR" && !fields.is_empty() {
                    if line.ended {
                        lines.unread_line();
                    }
                    return;
                }
                if fields.bytes().len() < MAX_LINE {
                    fields.push(&line.bytes[..end], &line.bytes[end + 1..]);
                }
            }
            None => {
                let key = line.bytes.to_vec();
                let Some(length) =
                    lines.read_exactly(8).and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)))
                else {
                    return;
                };
                if let Some(value) = lines.read_exactly(length).filter(|_| fields.bytes().len() < MAX_LINE) {
                    fields.push(&key, value);
                }
                lines.skip_newline();
            }
            Some(_) => {
                if line.ended {
                    lines.unread_line();
                }
                return;
            }
        }
    }
}
