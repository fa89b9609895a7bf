//! Quoted-printable, as logs in mails have it: `=3D` for `=`, and a `=` at the end of a line that goes on.

use super::{EntryReader, Waiting};
use crate::input::MAX_LINE;
use crate::parser::ours;
use memchr::memmem;

impl EntryReader {
    /// The line as it was before it was mailed. What is not of a mail is left as it is.
    pub(super) fn unmailed(&mut self, mut waiting: Waiting) -> Waiting {
        if !self.mailed {
            // No object ends in this character.
            let object = waiting.text.ends_with(b"=") && memmem::find(&waiting.text, b"\"record\"").is_some();
            self.mailed =
                memmem::find(&waiting.text, b"record=3D").is_some() || object && ours::has_kind(&waiting.text);
        }
        if !self.mailed || !is_printable(&waiting.text) {
            return waiting;
        }
        while waiting.text.ends_with(b"=") && waiting.text.len() < MAX_LINE {
            waiting.text.pop();
            let Some(line) = self.lines.next() else { break };
            waiting.text.extend_from_slice(line.bytes);
            waiting.ended = line.ended;
        }
        waiting.text = unescaped(&waiting.text);
        waiting
    }
}

/// Whether each `=` begins an escape or ends the line, and there is one.
fn is_printable(text: &[u8]) -> bool {
    let is_escape = |at: usize| {
        let rest = &text[at + 1..];
        rest.is_empty() || rest.len() >= 2 && rest[..2].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
    };
    let mut escapes = memchr::memchr_iter(b'=', text).peekable();
    escapes.peek().is_some() && escapes.all(is_escape)
}

/// `=3D` becomes `=`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut plain, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'=', Some(high), Some(low)) => {
                plain.push((16 * high + low) as u8);
                at += 3;
            }
            (other, ..) => {
                plain.push(other);
                at += 1;
            }
        }
    }
    plain
}
