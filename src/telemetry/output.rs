//! Where log lines go: stderr as text or JSON, or the journal with fields of its own.

use super::Record;
use super::form::{each_pair, json_line, message, short_line, text_line};
use crate::escape::one_line;
use env_logger::{Builder, Logger, Target};
use log::{LevelFilter, Log as _, Metadata};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// `time=… level=… record=… key=value …`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// For people at a terminal: `warning: kind key=value …`
    #[value(skip)]
    Short {
        /// Whether the terminal is to show colours.
        coloured: bool,
    },
}

/// Where log lines are written to.
pub enum LogTarget {
    /// To stderr; where stderr leads to the journal, to the journal, with the records' fields.
    Stderr,
    /// To a writer, a whole line at a time.
    Writer(Box<dyn Write + Send>),
}

/// What of the log is written, how, and where to.
pub struct LogSettings {
    /// The form of a line.
    pub format: LogFormat,
    /// The level (`error`, `warn`, `info`, `debug`, `trace`) of this program's lines, as in `LINESIDE_LOG`; `info` where
    /// there is none. `LEVEL,MODULE=LEVEL` sets that of a library, too.
    pub filter: Option<String>,
    /// Where lines go.
    pub target: LogTarget,
}

/// The target of this program's own records.
pub(super) const TARGET: &str = env!("CARGO_PKG_NAME");

pub(super) struct LogOutput {
    logger: Logger,
    format: LogFormat,
    journal: Option<JournalLog>,
    /// Lines that could not be written.
    dropped: Arc<AtomicU64>,
}

impl LogOutput {
    /// The output, and what is wrong with the filter of the settings, which then does not apply.
    pub(super) fn new(settings: LogSettings) -> (LogOutput, Option<String>) {
        let dropped = Arc::<AtomicU64>::default();
        let mut builder = Builder::new();
        // tract and the decoders log for their own developers; below a warning that is not for the field.
        builder.filter_level(LevelFilter::Warn).filter_module(TARGET, LevelFilter::Info);
        let mut unusable = None;
        if let Some(filter) = &settings.filter {
            let filter = format!("warn,{TARGET}={filter}");
            match env_filter::Builder::new().try_parse(&filter) {
                Ok(_) => drop(builder.parse_filters(&filter)),
                Err(error) => unusable = Some(error.to_string()),
            }
        }
        let (writer, journal): (Box<dyn Write + Send>, _) = match settings.target {
            LogTarget::Stderr => (Box::new(io::stderr()), connected_to_journal().then(JournalLog::empty)),
            LogTarget::Writer(writer) => (writer, None),
        };
        let journal = journal.and_then(Result::ok).map(|journal| journal.with_syslog_identifier("lineside".into()));
        // The message is the whole line: its form is made before, for the journal as well.
        builder.format(|buffer, line| writeln!(buffer, "{}", line.args()));
        builder.target(Target::Pipe(Box::new(CountingWriter { writer, dropped: Arc::clone(&dropped) })));
        (LogOutput { logger: builder.build(), format: settings.format, journal, dropped }, unusable)
    }

    /// The highest level that passes.
    pub(super) fn max_level(&self) -> LevelFilter {
        self.logger.filter()
    }

    pub(super) fn enabled(&self, metadata: &Metadata) -> bool {
        self.logger.enabled(metadata)
    }

    pub(super) fn matches(&self, record: &log::Record) -> bool {
        self.logger.matches(record)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Counts a line that was not written.
    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// Writes a record as one line.
    pub(super) fn write(&self, record: &Record, target: &str) {
        if let Some(journal) = &self.journal {
            if send(journal, record).is_err() {
                self.count_dropped();
            }
            return;
        }
        let line = match self.format {
            LogFormat::Text => text_line(record),
            LogFormat::Json => json_line(record, true),
            LogFormat::Short { coloured } => short_line(record, coloured),
        };
        let mut entry = log::Record::builder();
        self.logger.log(&entry.level(record.level()).target(target).args(format_args!("{line}")).build());
    }
}

/// Counts the lines that it cannot write. Each line arrives in one piece, so that lines of several threads and processes
/// stay whole.
struct CountingWriter {
    writer: Box<dyn Write + Send>,
    dropped: Arc<AtomicU64>,
}

impl Write for CountingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.writer.write_all(line).and_then(|()| self.writer.flush());
        if written.is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn send(journal: &JournalLog, record: &Record) -> io::Result<()> {
    let mut fields: Vec<(String, String)> = Vec::new();
    // journalctl prints the fields of `--all` and of some formats as they are.
    each_pair(record, |name, value| {
        fields.push((format!("LINESIDE_{}", name.to_ascii_uppercase()), one_line(&value).into_owned()));
    });
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

#[cfg(test)]
mod tests {
    use super::super::{Record, Telemetry};
    use super::*;
    use log::Level;
    use std::sync::{Mutex, PoisonError};

    /// A log in memory; it can be broken.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Option<Vec<u8>>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(written) = shared.as_mut() else { return Err(io::ErrorKind::StorageFull.into()) };
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Shared {
        fn take(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().replace(Vec::new()).unwrap_or_default()).unwrap()
        }
    }

    fn telemetry(filter: Option<&str>, format: LogFormat) -> (Telemetry, Shared) {
        let log = Shared::default();
        log.take();
        let target = LogTarget::Writer(Box::new(log.clone()));
        (Telemetry::new(LogSettings { format, filter: filter.map(String::from), target }), log)
    }

    #[test]
    fn the_filter_applies_and_one_that_is_unusable_is_named() {
        let (telemetry, log) = telemetry(Some("debug"), LogFormat::Text);
        telemetry.log(Record::new(Level::Trace, "x"));
        assert_eq!(log.take(), "");
        telemetry.log(Record::new(Level::Debug, "x"));
        assert!(log.take().ends_with("Z level=debug record=x\n"));
        let (telemetry, log) = self::telemetry(Some("loud"), LogFormat::Json);
        let line = log.take();
        assert!(line.contains("\"level\":\"warn\",\"record\":\"LINESIDE_LOG_is_unusable\",\"error\":"), "{line}");
        telemetry.log(Record::new(Level::Debug, "x"));
        telemetry.log(Record::info("y"));
        assert_eq!(log.take().lines().count(), 1);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let (telemetry, log) = telemetry(None, LogFormat::Text);
        telemetry.log(Record::info("x"));
        *log.0.lock().unwrap() = None;
        (0..3).for_each(|_| telemetry.log(Record::info("x")));
        assert_eq!(telemetry.dropped_log_lines(), 3);
        log.take();
        telemetry.log(Record::info("y"));
        assert_eq!((telemetry.dropped_log_lines(), log.take().lines().count()), (3, 1));
    }
}
