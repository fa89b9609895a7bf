//! Telemetry: records, faults and where they go. `docs/field-log.md` lists every kind of record and every field.
//!
//! ```text
//! Telemetry::log(record)     --+                    +-- a line of text, or a JSON object, on stderr
//! log::info!(…) of a library --+--> rate limiter ---+-- the journal, with fields of its own
//! Telemetry::fail(cause, …) ---> log and persist
//! Telemetry::persist(record) --> a bounded queue --> the writer's events.jsonl
//! ```
//!
//! A [`Telemetry`] is one value, made once for a line and handed down to every room that reports something: it knows the
//! run, its event ids, which faults are active and how many lines were suppressed or dropped. Two of them in one process
//! share nothing, but that those of several cameras ([`Telemetry::of_camera`]) write one log. Only the logger of `log`'s macros is one for the whole process; [`Telemetry::install_logger`] makes their
//! lines belong to one telemetry. Logs go to stderr or the journal; stdout belongs to the command's result.

mod cause;
mod episode;
mod fault;
mod form;
mod limit;
mod macros;
mod output;
mod record;

pub use cause::{Cause, FAULT_WORDS};
pub use episode::FAULT;
pub use form::{json_line, text_line};
pub use output::{LogFormat, LogSettings, LogTarget};
pub use record::{Record, Value};

use crate::threads::NonBlocking;
use crate::times::LAST_LINES;
use fault::FaultTracker;
use limit::RateLimiter;
use log::{Level, Metadata};
use macros::MacroLogger;
use output::{LogOutput, TARGET};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Records that may wait for the writer. It looks ten times a second, and faults are reported once a minute each.
const QUEUE: usize = 64;
/// The name of the thread that writes the log.
pub const LOG_THREAD: &str = "log";

/// What a line reports: a handle that is cheap to clone, safe to use from any thread, and never waits for a disk but the
/// log's, and not for that one while a thread writes it ([`Telemetry::start_log_thread`]). The default writes no log.
#[derive(Clone, Default)]
pub struct Telemetry {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The run's id; 0 while there is none.
    run: AtomicU64,
    /// Ids given to events of the run.
    events: AtomicU64,
    faults: FaultTracker,
    limiter: Mutex<RateLimiter>,
    /// Lines that the limiter suppressed.
    suppressed: AtomicU64,
    /// The way to `events.jsonl`, while somebody writes it.
    sink: Mutex<Option<SyncSender<Record>>>,
    log: Arc<LogOutlet>,
    /// The camera whose records these are, where a file has several.
    camera: Option<Arc<str>>,
    /// Whether there is one for each of several cameras beside this one.
    has_cameras: AtomicBool,
}

/// Where the log goes.
#[derive(Default)]
struct LogOutlet {
    output: Option<Arc<LogOutput>>,
    /// Writes the log, while a line runs.
    thread: Mutex<Option<Arc<NonBlocking<LogLine>>>>,
}

/// A record on its way to the log, and the target that it passed the filter with.
type LogLine = (Record, String);

/// While it lives a thread of its own writes the log. At its end what waits is written, unless the log hangs.
#[must_use]
pub struct LogThread<'a>(&'a Telemetry);

impl Drop for LogThread<'_> {
    fn drop(&mut self) {
        let log = self.0.log_thread();
        let is_written = log.is_some_and(|log| log.flush_unless_hanging(LAST_LINES));
        // Whoever writes to a log that hangs would hang, too: then the thread stays, to the end of the process.
        if is_written {
            self.0.set_log_thread(None);
        }
    }
}

impl Telemetry {
    /// Telemetry that writes a log. A filter that is unusable is reported in it.
    pub fn new(settings: LogSettings) -> Telemetry {
        let (output, unusable) = LogOutput::new(settings);
        let log = Arc::new(LogOutlet { output: Some(Arc::new(output)), thread: Mutex::default() });
        let shared = Shared { log, ..Shared::default() };
        let telemetry = Telemetry { shared: Arc::new(shared) };
        if let Some(error) = unusable {
            telemetry.log(Record::new(Level::Warn, "LINESIDE_LOG_is_unusable").with("error", error));
        }
        telemetry
    }

    /// Telemetry of one of several cameras: the same log, and all else of its own. Each of its records has the camera's name.
    pub fn of_camera(&self, name: &str) -> Telemetry {
        self.shared.has_cameras.store(true, Relaxed);
        let shared = Shared { log: Arc::clone(&self.shared.log), camera: Some(name.into()), ..Shared::default() };
        Telemetry { shared: Arc::new(shared) }
    }

    /// The name of the camera whose records these are, where a file has several.
    pub fn camera(&self) -> Option<&str> {
        self.shared.camera.as_deref()
    }

    /// From now on the lines of `log`'s macros belong to this telemetry: to be called once a process.
    ///
    /// # Errors
    /// Where a logger is installed already.
    pub fn install_logger(&self) -> Result<(), log::SetLoggerError> {
        log::set_boxed_logger(Box::new(MacroLogger(self.clone())))?;
        log::set_max_level(self.output().map_or(log::LevelFilter::Off, |output| output.max_level()));
        Ok(())
    }

    /// From now on a thread of its own writes the log, and a log that hangs (a terminal that was stopped, a pipe that nobody reads)
    /// holds nobody up: lines for which there is no room are dropped and counted.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start_log_thread(&self) -> io::Result<LogThread<'_>> {
        if let Some(output) = self.output() {
            let output = Arc::clone(output);
            let log = NonBlocking::start(LOG_THREAD, move |(record, target): LogLine| output.write(&record, &target))?;
            self.set_log_thread(Some(Arc::new(log)));
        }
        Ok(LogThread(self))
    }

    /// Whether the thread that writes the log has failed.
    pub fn has_log_failed(&self) -> bool {
        self.log_thread().is_some_and(|log| log.has_failed())
    }

    /// From now on records and faults belong to a new run, which is named by the first eight hexadecimal digits of `id`.
    /// No fault is active. Records that are persisted arrive at the receiver.
    pub fn begin_run(&self, id: u64) -> Receiver<Record> {
        let (sender, records) = sync_channel(QUEUE);
        self.shared.faults.forget();
        self.shared.run.store(id.max(1), Relaxed);
        self.shared.events.store(0, Relaxed);
        *self.sink() = Some(sender);
        records
    }

    /// Nobody writes records any more.
    pub fn remove_sink(&self) {
        *self.sink() = None;
    }

    /// A new id for an event, unique in a fleet and over years: the 16 digits of the run's id, and a number.
    pub fn event_id(&self) -> String {
        let number = self.shared.events.fetch_add(1, Relaxed) + 1;
        format!("{:016x}-{number}", self.shared.run.load(Relaxed))
    }

    /// A record of a kind, as of now, of the present run.
    pub fn record(&self, level: Level, kind: &'static str) -> Record {
        self.stamp(Record::new(level, kind))
    }

    /// A record of level `info`.
    pub fn info(&self, kind: &'static str) -> Record {
        self.record(Level::Info, kind)
    }

    /// Writes a record to the log, unless too many of its kind were written just before. One without a run gets the
    /// present one.
    pub fn log(&self, record: Record) {
        let metadata = Metadata::builder().level(record.level()).target(TARGET).build();
        if self.output().is_some_and(|output| output.enabled(&metadata)) {
            self.write(record, TARGET, None);
        }
    }

    /// Writes a record to the log however many of its kind were written just before: it is in no file.
    pub fn log_unlimited(&self, record: Record) {
        let metadata = Metadata::builder().level(record.level()).target(TARGET).build();
        if let Some(output) = self.output().filter(|output| output.enabled(&metadata)) {
            self.emit(output, self.stamp(record), TARGET);
        }
    }

    /// As [`Telemetry::log`], but outside of a run, too, too many of a kind are suppressed: for what another program says.
    pub fn log_limited(&self, record: Record) {
        let metadata = Metadata::builder().level(record.level()).target(TARGET).build();
        if let Some(output) = self.output().filter(|output| output.enabled(&metadata))
            && let Some(record) = self.limited(self.stamp(record), None)
        {
            self.emit(output, record, TARGET);
        }
    }

    /// Hands a record to the writer of `events.jsonl`. Returns whether it could: one for which there is no room is not written,
    /// nor where nobody writes.
    pub fn persist(&self, record: Record) -> bool {
        // Full only where the disk has been stuck for long; whoever calls must not get stuck with it.
        self.sink().as_ref().is_some_and(|sink| sink.try_send(self.stamp(record)).is_ok())
    }

    /// Writes a record to the log, and hands it to the writer of `events.jsonl`.
    pub fn log_and_persist(&self, record: Record) {
        let record = self.stamp(record);
        let in_run = self.shared.run.load(Relaxed) != 0;
        if self.persist(record.clone()) || !in_run {
            self.log(record);
        } else {
            self.log_unlimited(record);
        }
    }

    /// Log lines that were suppressed so far, because there were too many of their kind.
    pub fn suppressed_log_lines(&self) -> u64 {
        self.shared.suppressed.load(Relaxed)
    }

    /// Log lines that could not be written so far.
    pub fn dropped_log_lines(&self) -> u64 {
        self.output().map_or(0, |output| output.dropped())
    }

    fn output(&self) -> Option<&Arc<LogOutput>> {
        self.shared.log.output.as_ref()
    }

    fn log_thread(&self) -> Option<Arc<NonBlocking<LogLine>>> {
        self.shared.log.thread.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_log_thread(&self, log: Option<Arc<NonBlocking<LogLine>>>) {
        *self.shared.log.thread.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }

    /// Hands a line to the log's thread, where there is one, and writes it where not.
    fn emit(&self, output: &LogOutput, record: Record, target: &str) {
        match self.log_thread() {
            None => output.write(&record, target),
            Some(log) if log.push((record, target.into())).is_ok() => {}
            Some(_) => output.count_dropped(),
        }
    }

    fn sink(&self) -> MutexGuard<'_, Option<SyncSender<Record>>> {
        self.shared.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self, mut record: Record) -> Record {
        let run = self.shared.run.load(Relaxed);
        if record.run.is_none() && run != 0 {
            record.run = Some((run >> 32) as u32);
        }
        if record.camera.is_none() {
            record.camera.clone_from(&self.shared.camera);
        }
        record
    }

    /// Writes a record that passed the filter; `cause` is what its lines are counted by, the kind where there is none.
    fn write(&self, record: Record, target: &str, cause: Option<&str>) {
        let Some(output) = self.output() else { return };
        let record = self.stamp(record);
        // Lines outside of runs answer people, who want them; faults have limits of their own.
        let in_run = self.shared.run.load(Relaxed) != 0 || self.shared.has_cameras.load(Relaxed);
        let is_limited = in_run && record.kind != FAULT;
        let passed = if is_limited { self.limited(record, cause) } else { Some(record) };
        if let Some(record) = passed {
            self.emit(output, record, target);
        }
    }

    /// A record of which not too many of its cause were written just before, with the number of those that were suppressed.
    fn limited(&self, mut record: Record, cause: Option<&str>) -> Option<Record> {
        let mut limiter = self.shared.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = limiter.pass(cause.unwrap_or(&record.kind), Instant::now());
        drop(limiter);
        match passed {
            None => {
                self.shared.suppressed.fetch_add(1, Relaxed);
                return None;
            }
            Some(0) => {}
            Some(suppressed) => record.add("held_back", suppressed),
        }
        Some(record)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_telemetries_share_nothing() {
        let to_nowhere = || {
            let target = LogTarget::Writer(Box::new(std::io::sink()));
            Telemetry::new(LogSettings { format: LogFormat::Text, filter: None, target })
        };
        let (a, b) = (to_nowhere(), to_nowhere());
        let kept = [a.begin_run(0xAAAA_AAAA_0000_0001), b.begin_run(0xBBBB_BBBB_0000_0002)];
        assert_eq!((a.event_id(), a.event_id()), ("aaaaaaaa00000001-1".into(), "aaaaaaaa00000001-2".into()));
        assert_eq!(b.event_id(), "bbbbbbbb00000002-1");
        a.fail(Cause::Camera, "gone");
        b.fail(Cause::Mqtt, "gone");
        assert_eq!((a.active_faults(), b.active_faults()), (Some("camera".into()), Some("mqtt".into())));
        a.resolve(Cause::Mqtt);
        assert_eq!(b.active_faults().as_deref(), Some("mqtt"));
        // A flood on one is suppressed there, and does not use up what the other may write.
        (0..100).for_each(|_| a.log(Record::info("event")));
        b.log(Record::info("event"));
        assert!(a.suppressed_log_lines() >= 30 && b.suppressed_log_lines() == 0);
        // What is persisted reaches its own writer, with its own run; a clone is the same telemetry.
        b.clone().persist(Record::info("review"));
        let [a_lines, b_lines] = kept.map(|kept| kept.try_iter().map(|record| text_line(&record)).collect::<Vec<_>>());
        assert!(a_lines.len() == 1 && a_lines[0].contains("run=aaaaaaaa fault=camera"), "{a_lines:?}");
        assert!(b_lines[0].contains("run=bbbbbbbb fault=mqtt") && b_lines.len() == 2, "{b_lines:?}");
        assert!(b_lines[1].contains("record=review run=bbbbbbbb"));
        // A new run begins without faults, and with the first event.
        let _kept = b.begin_run(3 << 32);
        assert_eq!((b.active_faults(), b.event_id()), (None, "0000000300000000-1".into()));
    }

    #[test]
    fn records_of_several_cameras_have_their_names_and_share_the_log_alone() {
        let all = Telemetry::default();
        let (top, side) = (all.of_camera("top"), all.of_camera("side"));
        let kept = [top.begin_run(1 << 32), side.begin_run(2 << 32)];
        top.fail(Cause::Camera, "gone");
        assert_eq!(
            (top.active_faults().as_deref(), side.active_faults(), all.active_faults()),
            (Some("camera"), None, None)
        );
        side.persist(Record::info("review"));
        let lines = kept.map(|kept| kept.try_iter().map(|record| json_line(&record, false)).collect::<String>());
        assert!(lines[0].contains("\"run\":\"00000001\",\"camera\":\"top\",\"fault\""), "{lines:?}");
        assert!(lines[1].contains("\"record\":\"review\",\"run\":\"00000002\",\"camera\":\"side\""), "{lines:?}");
        assert!(text_line(&side.info("x")).ends_with("record=x run=00000002 camera=side"));
        assert!(!text_line(&all.info("x")).contains("camera="));
        assert_eq!((top.camera(), all.camera()), (Some("top"), None));
    }

    #[test]
    fn what_is_in_no_file_is_never_suppressed_in_the_log() {
        let log = std::sync::Arc::new(Mutex::new(Vec::new()));
        struct Lines(std::sync::Arc<Mutex<Vec<u8>>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let target = LogTarget::Writer(Box::new(Lines(std::sync::Arc::clone(&log))));
        let telemetry = Telemetry::new(LogSettings { format: LogFormat::Text, filter: None, target });
        let kept = telemetry.begin_run(1 << 32);
        let lines = || log.lock().unwrap().iter().filter(|byte| **byte == b'\n').count();
        // The writer takes none: from the first that finds no room on, all are in the log.
        (0..500).for_each(|_| telemetry.log_and_persist(Record::info("review")));
        assert_eq!(kept.try_iter().count(), QUEUE);
        assert!(lines() >= 500 - QUEUE, "{}", lines());
        let before = lines();
        (0..500).for_each(|_| telemetry.log_unlimited(Record::info("event")));
        assert_eq!(lines() - before, 500);
    }

    #[test]
    fn records_outside_of_a_run_have_none_and_are_not_limited() {
        let telemetry = Telemetry::default();
        assert!(!text_line(&telemetry.info("x")).contains("run="));
        (0..100).for_each(|_| telemetry.log(Record::info("x")));
        telemetry.persist(Record::info("x"));
        assert_eq!((telemetry.suppressed_log_lines(), telemetry.dropped_log_lines()), (0, 0));
    }
}
