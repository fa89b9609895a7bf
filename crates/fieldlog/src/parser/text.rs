//! The text form of a record: `time=… level=… record=… key=value key="quoted value"`.

use super::fields::Fields;

/// How a line was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseResult {
    /// To its end.
    Complete,
    /// Up to where it was cut or damaged; the fields before are there.
    Truncated {
        /// The byte of the line at which it broke off.
        at: usize,
    },
}

/// Reads `line`, which begins with a key, and appends its fields. A bare value never holds `=` or `"` (see
/// `record/form.rs`): where one does, the line was cut and another was written behind it.
pub fn read(line: &[u8], fields: &mut Fields) -> ParseResult {
    let from = fields.append(line);
    let mut at = 0;
    loop {
        while line.get(at) == Some(&b' ') {
            at += 1;
        }
        if at >= line.len() {
            return ParseResult::Complete;
        }
        let key = at;
        while at < line.len() && (line[at].is_ascii_lowercase() || line[at] == b'_' || line[at].is_ascii_digit()) {
            at += 1;
        }
        if at == key || line.get(at) != Some(&b'=') {
            return ParseResult::Truncated { at: key };
        }
        let key = from + key..from + at;
        at += 1;
        if line.get(at) == Some(&b'"') {
            let Some(end) = quoted(line, at + 1, key, from, fields) else { return ParseResult::Truncated { at } };
            // Another record was written right behind it.
            if line.get(end).is_some_and(|next| *next != b' ') {
                return ParseResult::Truncated { at: end };
            }
            at = end;
            continue;
        }
        // `capturtime=2026-…`: the line was cut within a key.
        let name = &line[key.start - from..key.end - from];
        if name.len() > 4
            && name.ends_with(b"time")
            && line[at..].starts_with(b"20")
            && line.get(at + 10) == Some(&b'T')
        {
            return ParseResult::Truncated { at: at - 5 };
        }
        let value = at;
        while at < line.len() && line[at] != b' ' {
            if line[at] == b'=' || line[at] == b'"' {
                return ParseResult::Truncated { at: value };
            }
            at += 1;
        }
        fields.push_range(key, from + value..from + at);
    }
}

/// The character of `{1b}` at the beginning of some bytes, and their number.
fn code_point(bytes: &[u8]) -> Option<(char, usize)> {
    let digits = bytes.strip_prefix(b"{")?;
    let length = digits.iter().take(7).position(|byte| *byte == b'}')?;
    let number = u32::from_str_radix(std::str::from_utf8(&digits[..length]).ok()?, 16).ok()?;
    Some((char::from_u32(number)?, length + 2))
}

/// Parses a quoted value after its opening quote. Returns the position after the closing quote.
fn quoted(line: &[u8], value: usize, key: std::ops::Range<usize>, from: usize, fields: &mut Fields) -> Option<usize> {
    let end = value + memchr::memchr2(b'"', b'\\', &line[value..])?;
    if line[end] == b'"' {
        fields.push_range(key, from + value..from + end);
        return Some(end + 1);
    }
    // The value has escapes: it is copied without them.
    let mut at = value;
    let mut unescaped = Vec::new();
    loop {
        match line.get(at)? {
            b'"' => break,
            b'\\' => {
                let (escape, rest) = line[at + 1..].split_first()?;
                at += 2;
                match (escape, code_point(rest)) {
                    (b'n', _) => unescaped.push(b'\n'),
                    (b'r', _) => unescaped.push(b'\r'),
                    (b't', _) => unescaped.push(b'\t'),
                    (b'u', Some((c, length))) => {
                        unescaped.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        at += length;
                    }
                    (other, _) => unescaped.push(*other),
                }
            }
            other => {
                unescaped.push(*other);
                at += 1;
            }
        }
    }
    fields.push_with(key, |bytes| bytes.extend_from_slice(&unescaped));
    Some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> (Fields, ParseResult) {
        let mut fields = Fields::default();
        let read = read(line.as_bytes(), &mut fields);
        (fields, read)
    }

    #[test]
    fn reads_bare_and_quoted_values() {
        let (fields, read) =
            fields(r#"time=2026-11-21T04:00:00.123Z record=event frame="a \"b\"\\ c\nd" empty="" n=7"#);
        assert_eq!(read, ParseResult::Complete);
        assert_eq!(fields.get("frame"), Some(&b"a \"b\"\\ c\nd"[..]));
        assert_eq!(fields.get("empty"), Some(&b""[..]));
        assert_eq!(fields.count("n"), Some(7));
    }

    #[test]
    fn control_characters_come_back_from_their_codes() {
        let (fields, read) = fields(r#"record=event frame="a\u{1b}[2J\r\t\u{9b}\\u{1b}" odd="\u{110000}\u{\u""#);
        assert_eq!(read, ParseResult::Complete);
        assert_eq!(fields.get("frame"), Some("a\u{1b}[2J\r\t\u{9b}\\u{1b}".as_bytes()));
        assert_eq!(fields.get("odd"), Some(&b"u{110000}u{u"[..]));
    }

    #[test]
    fn a_cut_line_keeps_what_stands_before_the_cut() {
        let (fields, read) = fields("record=status captured=12 file=\"half of a na");
        assert!(matches!(read, ParseResult::Truncated { .. }));
        assert_eq!(fields.count("captured"), Some(12));
        assert_eq!(fields.get("file"), None);
    }

    #[test]
    fn a_line_written_behind_a_cut_one_is_noticed_and_the_cut_value_dropped() {
        let line = "record=status captured=1time=2026-11-21T04:00:00.123Z record=start";
        let (fields, read) = fields(line);
        assert_eq!(read, ParseResult::Truncated { at: line.find("1time").unwrap() });
        assert_eq!(fields.get("captured"), None);
        let line = "record=status capturtime=2026-11-21T04:00:00.123Z record=start";
        assert_eq!(self::fields(line).1, ParseResult::Truncated { at: line.find("time=").unwrap() });
    }

    #[test]
    fn never_panics() {
        let line = br#"time=1 a="x\"y" b=2"#;
        for end in 0..line.len() {
            let _ = read(&line[..end], &mut Fields::default());
        }
        for hostile in [&b"="[..], b"a=\"\\", b"a=\"", b"  ", b"\xff=1", b"a==b"] {
            let _ = read(hostile, &mut Fields::default());
        }
    }
}
