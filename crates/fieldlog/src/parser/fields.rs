//! The fields of one record, as bytes: keys and values are ranges of one buffer that is used again for the next record.

use super::kinds::is_kind;
#[cfg(test)]
use std::borrow::Cow;
use std::ops::Range;

/// Keys and values, in the order in which they stood.
#[derive(Clone, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    pairs: Vec<Pair>,
}

#[derive(Clone)]
struct Pair {
    key: Range<u32>,
    value: Range<u32>,
}

impl Fields {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.pairs.clear();
    }

    /// The memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.pairs.len() * size_of::<Pair>()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Appends the text that [`Fields::push_range`] refers to. Returns where it begins in the buffer.
    pub(super) fn append(&mut self, text: &[u8]) -> usize {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(text);
        from
    }

    /// A field whose key and value are ranges of the appended text.
    pub(super) fn push_range(&mut self, key: Range<usize>, value: Range<usize>) {
        let short = |range: Range<usize>| range.start as u32..range.end as u32;
        self.pairs.push(Pair { key: short(key), value: short(value) });
    }

    /// A field with bytes of its own.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        let from = self.append(key);
        let middle = self.append(value);
        self.push_range(from..middle, middle..middle + value.len());
    }

    /// A field whose key is a range of the appended text and whose value `write` appends.
    pub(super) fn push_with(&mut self, key: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.bytes.len();
        write(&mut self.bytes);
        self.push_range(key, from..self.bytes.len());
    }

    /// The loaded bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Drops the last field: it may be cut.
    pub(super) fn pop(&mut self) {
        self.pairs.pop();
    }

    /// `LINESIDE_CAPTURED` of the journal's native fields becomes `captured`.
    pub(super) fn strip_native_prefix(&mut self) {
        const PREFIX: &[u8] = b"LINESIDE_";
        for pair in &mut self.pairs {
            let key = &mut self.bytes[pair.key.start as usize..pair.key.end as usize];
            if key.starts_with(PREFIX) {
                key.make_ascii_lowercase();
                pair.key.start += PREFIX.len() as u32;
            }
        }
    }

    /// `lineside.record`, `LINESIDE_RECORD` and the like: all keys lose what stands before `record` there. Whether it was so.
    pub(super) fn strip_prefix_of_record(&mut self) -> bool {
        const KEY: usize = b"record".len();
        let found = self.pairs.iter().find_map(|pair| {
            let key = self.slice(&pair.key);
            let (prefix, name) = key.split_at_checked(key.len().checked_sub(KEY)?)?;
            let apart = prefix.last().is_some_and(|last| b"._-:/".contains(last));
            let is_record = apart && name.eq_ignore_ascii_case(b"record") && is_kind(self.slice(&pair.value));
            is_record.then(|| prefix.to_vec())
        });
        let Some(prefix) = found else { return false };
        for pair in &mut self.pairs {
            let key = &mut self.bytes[pair.key.start as usize..pair.key.end as usize];
            if key.starts_with(&prefix) {
                key.make_ascii_lowercase();
                pair.key.start += prefix.len() as u32;
            }
        }
        true
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pairs.iter().map(|pair| (self.slice(&pair.key), self.slice(&pair.value)))
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let pair = self.pairs.iter().find(|pair| self.slice(&pair.key) == key.as_bytes())?;
        Some(self.slice(&pair.value))
    }

    /// The value as text; what is not UTF-8 is replaced.
    #[cfg(test)]
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).map(String::from_utf8_lossy)
    }

    /// The beginning of the value as text, for what is kept: a log may hold a megabyte where the program writes a word.
    pub fn short_text(&self, key: &str) -> String {
        const MAX: usize = 500;
        let value = self.get(key).unwrap_or_default();
        let mut text = String::from_utf8_lossy(&value[..value.len().min(MAX + 4)]).into_owned();
        text.truncate(text.floor_char_boundary(MAX));
        text
    }

    /// The value as a number, where it is one.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(number)
    }

    /// The value as a count.
    pub fn count(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(count)
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }
}

/// A finite number.
pub fn number(value: &[u8]) -> Option<f64> {
    // Most are short whole numbers: no need for the full parser.
    if let Some(whole) = count(value) {
        return Some(whole as f64);
    }
    std::str::from_utf8(value).ok()?.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A whole number of at most 18 digits.
pub fn count(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    let mut sum = 0;
    for digit in value {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum = sum * 10 + u64::from(digit - b'0');
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_what_is_none_is_not() {
        assert_eq!(number(b"17"), Some(17.0));
        assert_eq!(number(b"-0.25"), Some(-0.25));
        assert_eq!(number(b"1e3"), Some(1000.0));
        for none in [&b""[..], b"NaN", b"inf", b"12x", b"\xff", b"0x10"] {
            assert_eq!(number(none), None, "{none:?}");
        }
        assert_eq!(count(b"9999999999999999999"), None);
    }

    #[test]
    fn native_fields_get_their_plain_names() {
        let mut fields = Fields::default();
        fields.push(b"LINESIDE_RECORD", b"status");
        fields.push(b"_PID", b"7");
        fields.strip_native_prefix();
        assert_eq!(fields.get("record"), Some(&b"status"[..]));
        assert_eq!(fields.count("_PID"), Some(7));
    }
}
