//! How a record is written: one line, `key=value` for people and journals or one JSON object for programs.

use super::{Record, Value};
use crate::escape;
use log::Level;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt::Write as _;

/// `time=… level=… record=… run=… key=value …`
pub fn text_line(record: &Record) -> String {
    let mut line = format!("time={:.3} level={} ", record.time, record.level.as_str().to_ascii_lowercase());
    line.push_str(&message(record));
    line
}

/// For people at a terminal: `warning: kind key=value …`, without time, level and run; in colours where `coloured`.
pub(super) fn short_line(record: &Record, coloured: bool) -> String {
    let (style, word) = match record.level {
        Level::Error => ("\x1b[1;31m", "error: "),
        Level::Warn => ("\x1b[33m", "warning: "),
        _ => ("", ""),
    };
    let mut line = match coloured && !word.is_empty() {
        true => format!("{style}{word}\x1b[0m"),
        false => word.to_string(),
    };
    line.push_str(&escape::one_line(&record.kind));
    each_pair(record, |name, value| {
        if name != "record" && name != "run" {
            line.push(' ');
            push_pair(&mut line, name, &value);
        }
    });
    line
}

/// The line without its time and level, which the journal has of its own.
pub(super) fn message(record: &Record) -> String {
    let mut line = String::new();
    each_pair(record, |name, value| push_pair(&mut line, name, &value));
    line
}

/// Kind, run and fields as text, each with its name.
pub(super) fn each_pair(record: &Record, mut pair: impl FnMut(&str, String)) {
    pair("record", record.kind.to_string());
    if let Some(run) = record.run {
        pair("run", format!("{run:08x}"));
    }
    if let Some(camera) = &record.camera {
        pair("camera", camera.to_string());
    }
    for (name, value) in &record.fields {
        match value {
            Value::Group(members) => members.iter().for_each(|(name, text)| pair(name, text.clone())),
            other => pair(name, other.to_string()),
        }
    }
}

/// The record as one JSON object in one line; with its level for a log, without for `events.jsonl`.
pub fn json_line(record: &Record, with_level: bool) -> String {
    // Every key is a string and every value a plain one, so this cannot fail.
    escape::json(&serde_json::to_string(&Object { record, with_level }).unwrap_or_default()).into_owned()
}

struct Object<'a> {
    record: &'a Record,
    with_level: bool,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.record;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &format_args!("{:.3}", record.time))?;
        if self.with_level {
            map.serialize_entry("level", &record.level.as_str().to_ascii_lowercase())?;
        }
        map.serialize_entry("record", &record.kind)?;
        if let Some(run) = record.run {
            map.serialize_entry("run", &format_args!("{run:08x}"))?;
        }
        if let Some(camera) = &record.camera {
            map.serialize_entry("camera", &**camera)?;
        }
        for (name, value) in &record.fields {
            match value {
                Value::Count(count) => map.serialize_entry(name, count)?,
                Value::Whole(number) => map.serialize_entry(name, number)?,
                Value::Number(number) => map.serialize_entry(name, number)?,
                Value::Truth(truth) => map.serialize_entry(name, truth)?,
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Areas(areas) => map.serialize_entry(name, areas)?,
                Value::Group(members) => map.serialize_entry(name, &Members(members))?,
            }
        }
        map.end()
    }
}

struct Members<'a>(&'a [(&'static str, String)]);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}

/// A value stands bare where it cannot be misread, else quoted with `\"`, `\\`, `\n` and control characters (`\u{1b}`) escaped.
fn push_pair(line: &mut String, key: &str, value: &str) {
    if !line.is_empty() {
        line.push(' ');
    }
    // Writing to a String cannot fail.
    let _ = write!(line, "{key}=");
    let bare = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '=' && c != '\\');
    if bare {
        line.push_str(value);
        return;
    }
    line.push('"');
    for c in value.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            c => escape::push(line, c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    fn record() -> Record {
        let mut record = Record::new(Level::Warn, "event").at("2026-11-21T04:00:00.123Z".parse().unwrap());
        record.run = Some(0xBEEF);
        record
            .with("frame", "a b.png")
            .with("captured", 7u64)
            .with("fps", 9.5)
            .with("shift", -3i64)
            .with_known("temperature_c", None::<f64>)
            .with("regions", Value::Areas(vec![[1, 2, 3, 4], [5, 6, 7, 8]]))
            .with("files", Value::Group(vec![("annotated", "x.png".into()), ("spot", String::new())]))
    }

    #[test]
    fn a_record_is_one_line_of_pairs() {
        let expected = "time=2026-11-21T04:00:00.123Z level=warn record=event run=0000beef frame=\"a b.png\" captured=7 \
                        fps=9.5 shift=-3 regions=1,2,3,4;5,6,7,8 annotated=x.png spot=\"\"";
        assert_eq!(text_line(&record()), expected);
        assert_eq!(message(&record()), &expected[expected.find("record").unwrap()..]);
    }

    #[test]
    fn json_keeps_order_and_numbers_as_numbers() {
        let expected = "{\"time\":\"2026-11-21T04:00:00.123Z\",\"level\":\"warn\",\"record\":\"event\",\
                        \"run\":\"0000beef\",\"frame\":\"a b.png\",\"captured\":7,\"fps\":9.5,\"shift\":-3,\
                        \"regions\":[[1,2,3,4],[5,6,7,8]],\"files\":{\"annotated\":\"x.png\",\"spot\":\"\"}}";
        assert_eq!(json_line(&record(), true), expected);
        assert_eq!(json_line(&record(), false), expected.replace("\"level\":\"warn\",", ""));
    }

    #[test]
    fn hostile_values_stay_on_their_line() {
        let mut line = String::new();
        push_pair(&mut line, "name", "x\ny=\"z\"\u{1b}[31m");
        assert_eq!(line, "name=\"x\\ny=\\\"z\\\"\\u{1b}[31m\"");
        push_pair(&mut line, "more", "");
        assert!(line.ends_with("m\" more=\"\""), "{line}");
        let odd = Record::info("x").with("v", f64::NAN).with("t", "a\u{0}\u{2028}\u{9b}\n");
        assert_eq!(json_line(&odd, false).lines().count(), 1);
        assert!(
            json_line(&odd, false).contains("\"v\":null,\"t\":\"a\\u0000\\u2028\\u009b\\n\""),
            "{}",
            json_line(&odd, false)
        );
    }
}
