//! `journalctl -o verbose`: a line with the time and the cursor, then a field a line, set in by four spaces.

use super::fields::Fields;
use crate::input::{LineReader, MAX_LINE};

/// How far fields are set in.
const INDENT: &[u8] = b"    ";

/// The line behind the fields of an entry, with its number and whether it was ended.
pub type NextLine = (Vec<u8>, u64, bool);

/// Reads the fields behind the line whose cursor is `cursor`: `[s=…;t=64f…;x=…]`. Returns the line that follows them.
pub fn read(cursor: &[u8], lines: &mut LineReader, fields: &mut Fields) -> Option<NextLine> {
    let time = cursor.split(|byte| matches!(byte, b';' | b'[' | b']')).find_map(|part| part.strip_prefix(b"t="));
    let time = time.and_then(|digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
    if let Some(micros) = time {
        fields.push(b"__REALTIME_TIMESTAMP", micros.to_string().as_bytes());
    }
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    let mut size = 0;
    let next = loop {
        let Some(line) = lines.next_or_piece() else { break None };
        let Some(inside) = line.bytes.strip_prefix(INDENT) else {
            break Some((line.bytes.to_vec(), line.number, line.ended));
        };
        size += inside.len();
        if size > MAX_LINE {
            continue;
        }
        match name(inside) {
            Some(end) => {
                if let Some((name, value)) = open.replace((inside[..end].to_vec(), inside[end + 1..].to_vec())) {
                    fields.push(&name, &value);
                }
            }
            // Further lines of a value are set in to its first.
            None => {
                if let Some((_, value)) = &mut open {
                    value.push(b'\n');
                    value.extend_from_slice(inside.trim_ascii_start());
                }
            }
        }
    };
    if let Some((name, value)) = open {
        fields.push(&name, &value);
    }
    next
}

/// Where the name of a field ends.
fn name(line: &[u8]) -> Option<usize> {
    let end = line.iter().position(|byte| !(byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_'))?;
    (end > 0 && line[end] == b'=').then_some(end)
}
