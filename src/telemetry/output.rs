//! Where log lines go: stderr as text or JSON, or the journal with fields of its own.

use super::form::{each_pair, json_line, message, text_line};
use super::limit::Limiter;
use super::{RUN, Record, Value, fault};
use env_filter::Filter;
use log::LevelFilter;
use log::kv::{self, Key, VisitSource, VisitValue};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// `time=… level=… record=… key=value …`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What this program's own records are told by.
const TARGET: &str = env!("CARGO_PKG_NAME");

static OUTPUT: OnceLock<Output> = OnceLock::new();
static HELD_BACK: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

struct Output {
    filter: Filter,
    format: LogFormat,
    journal: Option<JournalLog>,
    limiter: Mutex<Limiter>,
}

/// Installs the logger. `LINESIDE_LOG` overrides the level (`error`, `warn`, `info`, `debug`, `trace`). Where stderr leads
/// to the journal, records go there with their fields.
pub fn init(format: LogFormat) {
    let mut filter = env_filter::Builder::new();
    // tract and the decoders log for their own developers; below a warning that is not for the field.
    filter.filter_level(LevelFilter::Warn).filter_module(TARGET, LevelFilter::Info);
    let asked = std::env::var("LINESIDE_LOG").ok();
    let unusable = asked.and_then(|asked| filter.try_parse(&format!("warn,{TARGET}={asked}")).err());
    let journal = connected_to_journal().then(|| JournalLog::empty().ok()).flatten();
    let journal = journal.map(|journal| journal.with_syslog_identifier("lineside".into()));
    let output = Output { filter: filter.build(), format, journal, limiter: Mutex::new(Limiter::new()) };
    let level = output.filter.filter();
    if OUTPUT.set(output).is_ok() && log::set_logger(&FromMacros).is_ok() {
        log::set_max_level(level);
        if let Some(error) = unusable {
            log::warn!(error = error.to_string().as_str(); "LINESIDE_LOG_is_unusable");
        }
    }
}

/// Lines that were held back since the start of the process, because there were too many of their cause.
pub fn held_back() -> u64 {
    HELD_BACK.load(Relaxed)
}

/// Lines that could not be written since the start of the process.
pub fn lost() -> u64 {
    LOST.load(Relaxed)
}

/// Writes a record of this program's own.
pub(super) fn log(record: Record) {
    let target = log::Metadata::builder().level(record.level()).target(TARGET).build();
    if let Some(output) = OUTPUT.get().filter(|output| output.filter.enabled(&target)) {
        output.tell(record, None);
    }
}

/// What comes by `log`'s macros, from here or from a library.
struct FromMacros;

impl log::Log for FromMacros {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        OUTPUT.get().is_some_and(|output| output.filter.enabled(metadata))
    }

    fn log(&self, record: &log::Record) {
        let Some(output) = OUTPUT.get().filter(|output| output.filter.matches(record)) else { return };
        // A library's messages have no kinds, so that all of a module count as one cause.
        let ours = record.target().starts_with(TARGET);
        output.tell(Record::from(record), (!ours).then(|| record.target()));
    }

    fn flush(&self) {}
}

impl Output {
    fn tell(&self, mut record: Record, cause: Option<&str>) {
        // What is told outside of runs is told by people's doing, and wanted; faults are held back by their own rules.
        if RUN.load(Relaxed) != 0 && record.kind != fault::KIND {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            let passed = limiter.pass(cause.unwrap_or(&record.kind), Instant::now());
            drop(limiter);
            match passed {
                None => {
                    HELD_BACK.fetch_add(1, Relaxed);
                    return;
                }
                Some(0) => {}
                Some(held_back) => record.add("held_back", held_back),
            }
        }
        let written = match &self.journal {
            Some(journal) => send(journal, &record),
            None => {
                let mut line = match self.format {
                    LogFormat::Text => text_line(&record),
                    LogFormat::Json => json_line(&record, true),
                };
                line.push('\n');
                // In one piece, so that lines of several threads and processes stay whole.
                std::io::stderr().lock().write_all(line.as_bytes())
            }
        };
        if written.is_err() {
            LOST.fetch_add(1, Relaxed);
        }
    }
}

fn send(journal: &JournalLog, record: &Record) -> std::io::Result<()> {
    let mut fields: Vec<(String, String)> = Vec::new();
    each_pair(record, |name, value| fields.push((format!("LINESIDE_{}", name.to_ascii_uppercase()), value)));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    journal.journal_send(
        &log::Record::builder()
            .level(record.level())
            .target(TARGET)
            .key_values(&fields)
            .args(format_args!("{}", message(record)))
            .build(),
    )
}

impl From<&log::Record<'_>> for Record {
    fn from(told: &log::Record) -> Record {
        let mut record = Record::new(told.level(), told.args().to_string());
        // The visitor has no errors of its own.
        let _ = told.key_values().visit(&mut Fields(&mut record));
        record
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
    use super::*;

    #[test]
    fn what_the_macros_tell_is_a_record_like_any_other() {
        let fields = [
            ("file", kv::Value::from("a b.png")),
            ("captured", kv::Value::from(7u64)),
            ("change", kv::Value::from(-7i32)),
            ("fps", kv::Value::from(9.5)),
            ("late", kv::Value::from(true)),
            ("temperature_c", kv::Value::null()),
        ];
        let source: &[(&str, kv::Value)] = &fields;
        let told = log::Record::builder().level(log::Level::Warn).key_values(&source).args(format_args!("x")).build();
        let line = text_line(&Record::from(&told));
        assert!(line.contains(" level=warn record=x "), "{line}");
        assert!(line.ends_with("file=\"a b.png\" captured=7 change=-7 fps=9.5 late=true"), "{line}");
    }
}
