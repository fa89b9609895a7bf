//! How a log record is written: one line, `key=value` for people and journals or one JSON object for programs.
//!
//! A record is a call of `log`'s macros whose message is the record's kind and whose key-values are its fields:
//! `info!(captured = 7, dropped = 0; "status")`. A field that is `None` is left out. Logs go to stderr; stdout belongs to the command's result.

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use std::fmt::Write as _;
use std::io::Write as _;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// `time=… level=… record=… key=value …`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Installs the logger. `LINESIDE_LOG` overrides the level (`error`, `warn`, `info`, `debug`, `trace`).
pub fn init(format: LogFormat) {
    let mut builder = env_logger::Builder::new();
    // tract and the decoders log for their own developers; below a warning that is not for the field.
    builder.parse_filters("warn,lineside=info");
    if let Ok(filters) = std::env::var("LINESIDE_LOG") {
        builder.parse_filters(&format!("warn,lineside={filters}"));
    }
    builder.format(move |out, record| {
        let line = match format {
            LogFormat::Text => text_line(jiff::Timestamp::now(), record),
            LogFormat::Json => json_line(jiff::Timestamp::now(), record),
        };
        writeln!(out, "{line}")
    });
    builder.init();
}

fn text_line(time: jiff::Timestamp, record: &log::Record) -> String {
    let mut line = format!("time={time:.3} level={}", level(record));
    push_pair(&mut line, "record", &record.args().to_string());
    let _ = record.key_values().visit(&mut TextFields(&mut line));
    line
}

fn json_line(time: jiff::Timestamp, record: &log::Record) -> String {
    let mut fields = serde_json::Map::new();
    fields.insert("time".into(), format!("{time:.3}").into());
    fields.insert("level".into(), level(record).into());
    fields.insert("record".into(), record.args().to_string().into());
    let _ = record.key_values().visit(&mut JsonFields(&mut fields));
    serde_json::Value::Object(fields).to_string()
}

fn level(record: &log::Record) -> String {
    record.level().as_str().to_ascii_lowercase()
}

struct TextFields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if !is_none(&value) {
            push_pair(self.0, key.as_str(), &value.to_string());
        }
        Ok(())
    }
}

struct JsonFields<'a>(&'a mut serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for JsonFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        if is_none(&value) {
            return Ok(());
        }
        let json = if let Some(number) = value.to_u64() {
            number.into()
        } else if let Some(number) = value.to_i64() {
            number.into()
        } else if let Some(number) = value.to_f64() {
            number.into()
        } else if let Some(truth) = value.to_bool() {
            truth.into()
        } else {
            value.to_string().into()
        };
        self.0.insert(key.as_str().into(), json);
        Ok(())
    }
}

/// Whether it is an `Option` without a value.
fn is_none(value: &Value) -> bool {
    struct Null(bool);
    impl VisitValue<'_> for Null {
        fn visit_any(&mut self, _: Value) -> Result<(), kv::Error> {
            Ok(())
        }
        fn visit_null(&mut self) -> Result<(), kv::Error> {
            self.0 = true;
            Ok(())
        }
    }
    let mut null = Null(false);
    let _ = value.visit(&mut null);
    null.0
}

/// A value stands bare where it cannot be misread, else quoted with `\"`, `\\` and `\n` escaped.
fn push_pair(line: &mut String, key: &str, value: &str) {
    let _ = write!(line, " {key}=");
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
            c if c.is_control() => line.push('\u{fffd}'),
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_record(check: impl Fn(&log::Record)) {
        let fields = [("file", Value::from("a b.png")), ("captured", Value::from(7u64)), ("fps", Value::from(9.5))];
        let source: &[(&str, Value)] = &fields;
        check(
            &log::Record::builder()
                .level(log::Level::Warn)
                .key_values(&source)
                .args(format_args!("frame_failed"))
                .build(),
        );
    }

    #[test]
    fn a_record_is_one_line_of_pairs() {
        let time: jiff::Timestamp = "2026-11-21T04:00:00.123Z".parse().unwrap();
        with_record(|record| {
            let expected =
                "time=2026-11-21T04:00:00.123Z level=warn record=frame_failed file=\"a b.png\" captured=7 fps=9.5";
            assert_eq!(text_line(time, record), expected);
        });
    }

    #[test]
    fn json_keeps_numbers_as_numbers() {
        let time: jiff::Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
        with_record(|record| {
            let json: serde_json::Value = serde_json::from_str(&json_line(time, record)).unwrap();
            assert_eq!(json["captured"], 7);
            assert_eq!(json["fps"], 9.5);
            assert_eq!(json["file"], "a b.png");
            assert_eq!(json["level"], "warn");
        });
    }

    #[test]
    fn hostile_values_stay_on_their_line() {
        let mut line = String::new();
        push_pair(&mut line, "name", "x\ny=\"z\"\u{1b}[31m");
        assert_eq!(line, " name=\"x\\ny=\\\"z\\\"\u{fffd}[31m\"");
        let mut line = String::new();
        push_pair(&mut line, "name", "");
        assert_eq!(line, " name=\"\"");
    }
}
