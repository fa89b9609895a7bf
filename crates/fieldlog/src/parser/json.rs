//! One JSON object per line: JSON log lines, those of `events.jsonl`, and `journalctl -o json`.
//!
//! A scanner for flat objects, not a JSON library: it points into the line where it can, copies only strings with escapes,
//! and keeps the fields before a truncation. Nested objects are flattened, as `files` of events needs it.

use super::fields::Fields;
use super::text::ParseResult;
use std::ops::Range;

/// How deep objects may be nested.
const DEPTH: usize = 8;

/// Reads `line`, which begins with `{`, and appends its fields.
pub fn read(line: &[u8], fields: &mut Fields) -> ParseResult {
    read_to(line, fields).0
}

/// The same, and where the object ends in the line, or breaks off.
pub fn read_to(line: &[u8], fields: &mut Fields) -> (ParseResult, usize) {
    let from = fields.append(line);
    let mut scanner = Scanner { line, from, at: 0 };
    match scanner.object(fields, DEPTH) {
        Some(()) => (ParseResult::Complete, scanner.at),
        None => (ParseResult::Truncated { at: scanner.at }, scanner.at),
    }
}

struct Scanner<'a> {
    line: &'a [u8],
    /// Where the line begins in the fields' bytes.
    from: usize,
    at: usize,
}

impl Scanner<'_> {
    fn object(&mut self, fields: &mut Fields, depth: usize) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.spaces();
            let key = self.string()?;
            self.expect(b':')?;
            self.value(key.0, fields, depth)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn value(&mut self, key: Range<usize>, fields: &mut Fields, depth: usize) -> Option<()> {
        let named = self.from + key.start..self.from + key.end;
        match self.peek()? {
            b'"' => match self.string()? {
                (value, false) => fields.push_range(named, self.from + value.start..self.from + value.end),
                (value, true) => {
                    let raw = &self.line[value];
                    fields.push_with(named, |bytes| unescape(raw, bytes));
                }
            },
            b'{' if depth > 0 => self.object(fields, depth - 1)?,
            b'[' => {
                let value = self.array()?;
                // The journal writes a field that is not UTF-8 as an array of bytes.
                match bytes_of(&self.line[value.clone()])
                    .filter(|_| self.line[key.clone()].is_ascii() && is_upper(&self.line[key]))
                {
                    Some(raw) => fields.push_with(named, |bytes| bytes.extend_from_slice(&raw)),
                    None => fields.push_range(named, self.from + value.start..self.from + value.end),
                }
            }
            _ => {
                let value = self.bare()?;
                if &self.line[value.clone()] != b"null" {
                    fields.push_range(named, self.from + value.start..self.from + value.end);
                }
            }
        }
        Some(())
    }

    /// A string's inside, and whether it has escapes.
    fn string(&mut self) -> Option<(Range<usize>, bool)> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let found = self.at + memchr::memchr2(b'"', b'\\', self.line.get(self.at..)?)?;
            if self.line[found] == b'"' {
                self.at = found + 1;
                return Some((start..found, escaped));
            }
            escaped = true;
            self.at = found + 2;
        }
    }

    /// An array with all that is in it.
    fn array(&mut self) -> Option<Range<usize>> {
        let (start, mut open) = (self.at, 0);
        loop {
            match self.line.get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'[' | b'{' => open += 1,
                b']' | b'}' => open -= 1,
                _ => (),
            }
            self.at += 1;
            if open == 0 {
                return Some(start..self.at);
            }
        }
    }

    /// A number or a word. It ends before a comma or a bracket; at the end of the line it may be cut.
    fn bare(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        loop {
            match self.line.get(self.at)? {
                b',' | b'}' | b' ' if self.at > start => return Some(start..self.at),
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'-' | b'+' => self.at += 1,
                _ => return None,
            }
        }
    }

    fn spaces(&mut self) {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.spaces();
        self.line.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }
}

fn is_upper(key: &[u8]) -> bool {
    key.iter().any(u8::is_ascii_uppercase)
}

/// The bytes of `[76,105,…]`, where all elements are bytes.
fn bytes_of(array: &[u8]) -> Option<Vec<u8>> {
    let inside = array.strip_prefix(b"[")?.strip_suffix(b"]")?;
    inside.split(|byte| *byte == b',').map(|element| std::str::from_utf8(element).ok()?.trim().parse().ok()).collect()
}

/// Writes a JSON string without its escapes. Lone surrogates become U+FFFD.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        at += 1;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some(escape) = raw.get(at) else { return };
        at += 1;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => {
                let mut code = hex4(raw, at).unwrap_or(0xfffd);
                at += 4;
                if (0xd800..0xdc00).contains(&code)
                    && raw.get(at..at + 2) == Some(b"\\u")
                    && let Some(low @ 0xdc00..0xe000) = hex4(raw, at + 2)
                {
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                    at += 6;
                }
                let c = char::from_u32(code).unwrap_or('\u{fffd}');
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(*other),
        }
    }
}

fn hex4(raw: &[u8], at: usize) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(raw.get(at..at + 4)?).ok()?, 16).ok()
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
    fn reads_a_record_and_flattens_what_is_inside() {
        let (fields, read) = fields(
            r#"{"time":"2026-11-21T04:00:00Z","record":"event","score":0.99,"regions":[[1,2,3,4],[5,6,7,8]],"files":{"annotated":"a.png","spot":""},"on":true,"none":null}"#,
        );
        assert_eq!(read, ParseResult::Complete);
        assert_eq!(fields.number("score"), Some(0.99));
        assert_eq!(fields.get("regions"), Some(&b"[[1,2,3,4],[5,6,7,8]]"[..]));
        assert_eq!(fields.get("annotated"), Some(&b"a.png"[..]));
        assert_eq!(fields.get("spot"), Some(&b""[..]));
        assert_eq!(fields.get("on"), Some(&b"true"[..]));
        assert_eq!(fields.get("none"), None);
    }

    #[test]
    fn escapes_are_undone() {
        let (fields, read) = fields(r#" { "a" : "x\"\\\/\n\u00e9\ud83d\ude00\ud800" , "b" : 1 }"#.trim_start());
        assert_eq!(read, ParseResult::Complete);
        assert_eq!(fields.text("a").unwrap(), "x\"\\/\né😀\u{fffd}");
        assert_eq!(fields.count("b"), Some(1));
    }

    #[test]
    fn the_journals_bytes_become_text() {
        let (fields, _) = fields(r#"{"MESSAGE":[116,105,109,101,61,255],"_PID":"812","regions":[1,2]}"#);
        assert_eq!(fields.get("MESSAGE"), Some(&b"time=\xff"[..]));
        assert_eq!(fields.get("regions"), Some(&b"[1,2]"[..]));
    }

    #[test]
    fn a_cut_object_keeps_whole_fields_only() {
        let line = r#"{"record":"status","captured":12,"inspected":34"#;
        let (whole, read) = fields(line);
        assert!(matches!(read, ParseResult::Truncated { .. }));
        assert_eq!(whole.count("captured"), Some(12));
        assert_eq!(whole.get("inspected"), None, "34 may be the beginning of 345");
        for end in 1..line.len() {
            let _ = fields(&line[..end]);
        }
    }

    #[test]
    fn hostile_nesting_ends() {
        let deep = format!("{{\"a\":{}", "{\"a\":".repeat(100_000));
        assert!(matches!(fields(&deep).1, ParseResult::Truncated { .. }));
        let arrays = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(matches!(fields(&arrays).1, ParseResult::Truncated { .. }));
    }

    use proptest::prelude::*;
    use serde_json::{Map, Value};

    /// Any value; objects are nested less deep than the scanner allows.
    fn value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<u8>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
        ];
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            any::<String>().prop_map(Value::from),
            // Escapes of all kinds are rare in arbitrary text.
            "[\"\\\\/\\n\\t\\x00-\\x1f\u{e9}\u{1f600}{}\\[\\],:a]{0,12}".prop_map(Value::from),
            prop::collection::vec(any::<u8>(), 0..4).prop_map(Value::from),
        ];
        scalar.prop_recursive(DEPTH as u32 - 1, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                object(inner).prop_map(Value::Object),
            ]
        })
    }

    fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::vec(("[a-z_]{1,6}|[A-Z_]{1,6}", value), 0..5).prop_map(|pairs| pairs.into_iter().collect())
    }

    /// The fields that the rules at the top of this file make of an object.
    fn flattened(object: &Map<String, Value>, fields: &mut Vec<(String, Vec<u8>)>) {
        for (key, value) in object {
            let bytes = match value {
                Value::Null => continue,
                Value::Object(inner) => {
                    flattened(inner, fields);
                    continue;
                }
                Value::String(text) => text.clone().into_bytes(),
                Value::Array(elements) if !elements.is_empty() && key.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                    let bytes: Option<Vec<u8>> =
                        elements.iter().map(|element| u8::try_from(element.as_u64()?).ok()).collect();
                    bytes.unwrap_or_else(|| value.to_string().into_bytes())
                }
                other => other.to_string().into_bytes(),
            };
            fields.push((key.clone(), bytes));
        }
    }

    proptest! {
        #[test]
        fn whole_lines_are_read_as_serde_json_reads_them(object in object(value()), behind in "[ \\t]{0,3}") {
            let line = Value::Object(object).to_string() + &behind;
            // Read back by serde_json: what the line holds, not what it was made of.
            let object: Map<String, Value> = serde_json::from_str(&line).unwrap();
            let mut expected = Vec::new();
            flattened(&object, &mut expected);
            let (fields, result) = fields(&line);
            prop_assert_eq!(result, ParseResult::Complete, "{}", line);
            let found: Vec<(String, Vec<u8>)> =
                fields.iter().map(|(key, value)| (String::from_utf8_lossy(key).into_owned(), value.to_vec())).collect();
            prop_assert_eq!(found, expected, "{}", line);
        }
    }
}
