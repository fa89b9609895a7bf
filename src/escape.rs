//! Text from outside, made harmless for terminals and log lines: names of files, models, hosts and users, reasons of a broker,
//! values of a configuration, and whatever else somebody else has written.
//!
//! A control character in it could move the cursor, change the title of a window or forge a line; a character that changes the
//! direction of text lets one name look like another. Each of them is written as Rust and most shells read it: `\n`, `\u{1b}`. In
//! JSON it is written as JSON reads it: `\n`, `\u001b`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Whether a character must reach no terminal as it is: the control characters (C0, DEL, C1), separators of lines and
/// paragraphs, and those that change the direction of text (<https://www.unicode.org/reports/tr9/>).
pub fn is_unprintable(c: char) -> bool {
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    let directs = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || separates || directs
}

/// A text in one line, without anything that a terminal obeys.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unprintable)
}

/// Several lines or a table: the same but for ends of lines and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unprintable(c) && !matches!(c, '\n' | '\t'))
}

/// Serialized JSON in which strings have no such character either: JSON itself escapes only those below U+0020.
pub fn json(text: &str) -> Cow<'_, str> {
    let above = |c: char| c >= '\u{7f}' && is_unprintable(c);
    if !text.contains(above) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        // All are in the basic plane: four digits. Outside of strings JSON has none of them.
        let written = if above(c) { write!(escaped, "\\u{:04x}", c as u32) } else { escaped.write_char(c) };
        // Writing to a String cannot fail.
        let _ = written;
    }
    Cow::Owned(escaped)
}

/// Appends a character so that it stays on its line.
pub fn push(text: &mut String, c: char) {
    if is_unprintable(c) { text.extend(c.escape_default()) } else { text.push(c) }
}

fn escaped(text: &str, must: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&must) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if must(c) { push(&mut escaped, c) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// A terminal's writer that escapes what it is given, as [`lines`] does. Each call brings whole characters.
pub struct EscapingWriter<W>(pub W);

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(lines(&String::from_utf8_lossy(bytes)).as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_obeys_is_written_as_its_code() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\n\tc\u{7f}\u{9b}1m"), "a\\u{1b}[2Jb\\r\\n\\tc\\u{7f}\\u{9b}1m");
        assert_eq!(one_line("gpj\u{202e}exe.png\u{2028}"), "gpj\\u{202e}exe.png\\u{2028}");
        assert!(matches!(one_line("Prüfteil 7 — \\ \"ok\".png"), Cow::Borrowed(_)));
        assert_eq!(lines("a\tb\n\u{7}\u{1b}c"), "a\tb\n\\u{7}\\u{1b}c");
    }

    #[test]
    fn a_writer_escapes_what_it_is_given() {
        let mut terminal = EscapingWriter(Vec::new());
        let name = "a\u{1b}]0;x\u{7}";
        writeln!(terminal, "{name}  {:.1}", 1.0_f32).unwrap();
        terminal.write_all(b"\xff\x9b").unwrap();
        assert_eq!(String::from_utf8(terminal.0).unwrap(), "a\\u{1b}]0;x\\u{7}  1.0\n\u{fffd}\u{fffd}");
    }

    proptest! {
        #[test]
        fn json_stays_the_same_value(text in any::<String>(), more in "[\u{0}-\u{ff}\u{2020}-\u{2070}]{0,20}") {
            let value = serde_json::json!({ text.clone(): [more.clone()], "x": text });
            let written = serde_json::to_string_pretty(&value).unwrap();
            let escaped = json(&written);
            prop_assert!(!escaped.contains(|c: char| c != '\n' && is_unprintable(c)));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
            prop_assert!(!one_line(&more).contains(is_unprintable));
        }
    }
}
