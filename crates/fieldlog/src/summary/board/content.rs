//! What a record says, in a form in which two copies of it can be compared: a line of text, JSON, the journal's fields.

use crate::hash::fnv;
use crate::parser::{Fields, is_time_name};
use std::borrow::Cow;

/// Fields that are remembered of a record: the program writes fewer, but for a status.
const REMEMBERED: usize = 64;

/// Hashes of all that a record says, but for its time and how it came into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordContent {
    /// Of kind and run.
    subject: u64,
    /// Of all fields.
    whole: u64,
    /// Key and value of each, in the order of the keys.
    fields: Box<[(u32, u32)]>,
}

impl RecordContent {
    /// The content of a record's fields.
    pub fn of(fields: &Fields) -> RecordContent {
        let short = |bytes: &[u8]| fnv(bytes) as u32;
        let mut pairs: Vec<(u32, u32)> = fields
            .iter()
            .filter(|(key, _)| is_content(key))
            .map(|(key, value)| (key, comparable(value)))
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (short(key), short(&value)))
            .collect();
        // Of a key that stands there twice the first value counts: the sort keeps their order.
        pairs.sort_by_key(|(key, _)| *key);
        pairs.dedup_by_key(|(key, _)| *key);
        let subject = ["record", "run"].map(|key| fields.get(key).map_or(0, fnv).to_le_bytes()).concat();
        let mut all = subject.clone();
        all.extend(pairs.iter().flat_map(|(key, value)| [key.to_le_bytes(), value.to_le_bytes()].concat()));
        pairs.truncate(REMEMBERED);
        RecordContent { subject: fnv(subject), whole: fnv(all), fields: pairs.into() }
    }

    /// One hash of it: equal for records that say the same in all they say.
    pub fn hash(&self) -> u64 {
        self.whole
    }

    /// Whether both may be copies of one record: no field has another value. What collects logs adds fields of its own, a line
    /// that was cut lacks some, and the log has how many lines were held back before, which the file of records has not.
    pub fn agrees_with(&self, other: &RecordContent) -> bool {
        let (mut a, mut b) = (self.fields.iter().peekable(), other.fields.iter().peekable());
        if self.subject != other.subject {
            return false;
        }
        while let (Some((key, value)), Some((other_key, other_value))) = (a.peek(), b.peek()) {
            if key == other_key && value != other_value {
                return false;
            }
            // Both where the keys are the same.
            let (next_a, next_b) = (key <= other_key, other_key <= key);
            if next_a {
                a.next();
            }
            if next_b {
                b.next();
            }
        }
        true
    }
}

/// Whether a field is of the record itself: its names are small letters. Times are compared apart, to within what may lie between
/// two copies, and not every copy has the level and `held_back`.
fn is_content(key: &[u8]) -> bool {
    let is_ours = key.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_');
    is_ours && !matches!(key, b"level" | b"held_back") && !is_time_name(&String::from_utf8_lossy(key))
}

/// A value as it is the same in all forms: `1.0` of JSON is `1` in text, `[[1,2,3,4],[5,6,7,8]]` is `1,2,3,4;5,6,7,8`. Empty for
/// a field without a value, which some forms leave out.
fn comparable(value: &[u8]) -> Cow<'_, [u8]> {
    const LONGEST_NUMBER: usize = 32;
    if value.first() == Some(&b'[') && value.iter().all(|byte| byte.is_ascii_digit() || b"[], ".contains(byte)) {
        let mut areas = Vec::with_capacity(value.len());
        for byte in value {
            match byte {
                b'[' | b' ' => (),
                b']' => areas.push(b';'),
                // Between two areas, behind the first one's end.
                b',' if areas.last() == Some(&b';') => (),
                byte => areas.push(*byte),
            }
        }
        while areas.last() == Some(&b';') {
            areas.pop();
        }
        return Cow::Owned(areas);
    }
    // A whole number may be a name, and is the same in all forms.
    let is_broken = value.len() <= LONGEST_NUMBER && value.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    match crate::parser::number(value).filter(|_| is_broken) {
        Some(number) => Cow::Owned(number.to_string().into_bytes()),
        None => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(pairs: &[(&str, &str)]) -> RecordContent {
        let mut fields = Fields::default();
        for (key, value) in pairs {
            fields.push(key.as_bytes(), value.as_bytes());
        }
        RecordContent::of(&fields)
    }

    #[test]
    fn the_form_makes_no_difference() {
        let text = [
            ("time", "2026-11-21T04:00:00.123Z"),
            ("level", "info"),
            ("record", "event"),
            ("run", "0a1b2c3d"),
            ("score", "1"),
            ("share", "0.0000001"),
            ("regions", "1,2,3,4;5,6,7,8"),
            ("spot", ""),
        ];
        let json = [
            ("regions", "[[1,2,3,4],[5,6,7,8]]"),
            ("share", "1e-7"),
            ("score", "1.0"),
            ("run", "0a1b2c3d"),
            ("record", "event"),
        ];
        assert_eq!(content(&text), content(&json));
        // The journal's and a collector's own fields.
        let mut more = json.to_vec();
        more.extend([("_PID", "812"), ("MESSAGE", "x"), ("@timestamp", "1"), ("timestamp", "2"), ("held_back", "7")]);
        assert_eq!(content(&more), content(&text));
        more.push(("stream", "stderr"));
        assert!(content(&more) != content(&text) && content(&more).agrees_with(&content(&text)));
    }

    #[test]
    fn one_field_makes_the_difference() {
        let base = [("record", "command"), ("run", "0a1b2c3d"), ("by", "gpio"), ("product", "7")];
        for (key, value) in [("record", "marked"), ("run", "0a1b2c3e"), ("by", "modbus"), ("product", "07")] {
            let other = base.map(|(name, old)| (name, if name == key { value } else { old }));
            let (base, other) = (content(&base), content(&other));
            assert!(base.hash() != other.hash() && !base.agrees_with(&other) && !other.agrees_with(&base), "{key}");
        }
        let refused: Vec<_> = base.into_iter().chain([("refused", "no such product")]).collect();
        assert_ne!(content(&base).hash(), content(&refused).hash());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut fields = Fields::default();
        (0..10_000).for_each(|number| fields.push(format!("key_{number}").as_bytes(), b"x"));
        let content = RecordContent::of(&fields);
        assert_eq!(content.fields.len(), REMEMBERED);
        fields.push(b"another", b"x");
        assert_ne!(RecordContent::of(&fields).hash(), content.hash());
    }
}
