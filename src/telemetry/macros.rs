//! Lines that come by `log`'s macros, from the rooms or from a library, as records.

use super::output::TARGET;
use super::{Record, Telemetry, Value};
use log::kv::{self, Key, VisitSource, VisitValue};

/// The process's logger: what it receives belongs to one telemetry.
pub(super) struct MacroLogger(pub(super) Telemetry);

impl log::Log for MacroLogger {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        self.0.output().is_some_and(|output| output.enabled(metadata))
    }

    fn log(&self, record: &log::Record) {
        if self.0.output().is_some_and(|output| output.matches(record)) {
            // A library's messages have no kinds: all lines of a module count as one cause.
            let library = !record.target().starts_with(TARGET);
            self.0.write(Record::from(record), record.target(), library.then(|| record.target()));
        }
    }

    fn flush(&self) {}
}

impl From<&log::Record<'_>> for Record {
    fn from(record: &log::Record) -> Record {
        let mut ours = Record::new(record.level(), record.args().to_string());
        // The visitor has no errors of its own.
        let _ = record.key_values().visit(&mut Fields(&mut ours));
        ours
    }
}

struct Fields<'a>(&'a mut Record);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let value = if let Some(number) = value.to_u64() {
            Value::Count(number)
        } else if let Some(number) = value.to_i64() {
            Value::Whole(number)
        } else if let Some(number) = value.to_f64() {
            Value::Number(number)
        } else if let Some(truth) = value.to_bool() {
            Value::Truth(truth)
        } else if is_none(&value) {
            return Ok(());
        } else {
            Value::Text(value.to_string())
        };
        self.0.add(key.as_str().to_string(), value);
        Ok(())
    }
}

/// Whether it is an `Option` without a value: a field that is not known is left out.
fn is_none(value: &kv::Value) -> bool {
    struct Null(bool);
    impl VisitValue<'_> for Null {
        fn visit_any(&mut self, _: kv::Value) -> Result<(), kv::Error> {
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

#[cfg(test)]
mod tests {
    use super::super::text_line;
    use super::*;

    #[test]
    fn a_line_of_the_macros_is_a_record_like_any_other() {
        let fields = [
            ("file", kv::Value::from("a b.png")),
            ("captured", kv::Value::from(7u64)),
            ("change", kv::Value::from(-7i32)),
            ("fps", kv::Value::from(9.5)),
            ("late", kv::Value::from(true)),
            ("temperature_c", kv::Value::null()),
        ];
        let source: &[(&str, kv::Value)] = &fields;
        let source_record =
            log::Record::builder().level(log::Level::Warn).key_values(&source).args(format_args!("x")).build();
        let line = text_line(&Record::from(&source_record));
        assert!(line.contains(" level=warn record=x "), "{line}");
        assert!(line.ends_with("file=\"a b.png\" captured=7 change=-7 fps=9.5 late=true"), "{line}");
    }
}
