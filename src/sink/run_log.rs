//! The records of one run: they begin with its start, as soon as the disk takes it.

use super::EventLog;
use crate::telemetry::Record;
use std::io;
use std::path::{Path, PathBuf};

/// Writes a run's records. A disk that is full or read-only may be mended while the run goes on: each record tries again.
pub struct RunLog {
    folder: PathBuf,
    budget: u64,
    start: Record,
    /// Whether the start is written.
    started: bool,
    /// `None` until it could be opened, and after a record that could not be written.
    events: Option<EventLog>,
}

impl RunLog {
    /// Begins a run's records in a folder, with its start record; `budget` is in bytes, as in [`EventLog::open`]. Also
    /// gives what is wrong with the disk, where that may pass.
    ///
    /// # Errors
    /// Where the place that was named cannot be written to.
    pub fn begin(folder: &Path, budget: u64, start: Record) -> io::Result<(RunLog, Option<io::Error>)> {
        let mut log = RunLog { folder: folder.to_path_buf(), budget, start, started: false, events: None };
        match log.open() {
            Ok(events) => log.events = Some(events),
            Err(error) if may_pass(&error) => return Ok((log, Some(error))),
            Err(error) => return Err(error),
        }
        Ok((log, None))
    }

    /// The path of the file that is being written.
    pub fn path(&self) -> PathBuf {
        EventLog::path_in(&self.folder)
    }

    /// Appends one record and waits until it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written; nothing of it is there then.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut events = match self.events.take() {
            Some(events) => events,
            None => self.open()?,
        };
        // After an error the file is opened anew, which cuts off whatever was left of the record.
        events.append(record)?;
        self.events = Some(events);
        Ok(())
    }

    fn open(&mut self) -> io::Result<EventLog> {
        let mut events = EventLog::open(&self.folder, self.budget)?;
        if self.started {
            events.resume(self.start.clone());
        } else {
            events.start(self.start.clone())?;
            self.started = true;
        }
        Ok(events)
    }
}

/// Whether the disk's state is at fault, and not the place that was named: full, read-only (as the kernel makes a file system
/// in which it finds a fault), or failing.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem) || error.raw_os_error() == Some(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn begin(folder: &Path) -> (RunLog, Option<io::Error>) {
        RunLog::begin(folder, 1 << 20, Record::info("start")).unwrap()
    }

    fn kinds(log: &RunLog) -> Vec<String> {
        let text = fs::read_to_string(log.path()).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        records.map(|record| record["record"].as_str().unwrap().to_string()).collect()
    }

    #[test]
    fn a_run_begins_with_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, trouble) = begin(folder.path());
        assert!(trouble.is_none());
        log.append(&Record::info("event")).unwrap();
        assert_eq!(kinds(&log), ["start", "event"]);
    }

    #[test]
    fn a_full_disk_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = EventLog::path_in(folder.path());
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let (mut log, trouble) = begin(folder.path());
        assert_eq!(trouble.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
        assert_eq!(log.append(&Record::info("event")).unwrap_err().kind(), io::ErrorKind::StorageFull);
        fs::remove_file(&path).unwrap();
        log.append(&Record::info("event")).unwrap();
        log.append(&Record::info("stop")).unwrap();
        assert_eq!(kinds(&log), ["start", "event", "stop"]);
    }

    #[test]
    fn what_a_failed_write_left_is_cut_off_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = begin(folder.path());
        // As after a write that failed and could not be undone either.
        fs::OpenOptions::new().append(true).open(log.path()).unwrap().write_all(b"{\"rec").unwrap();
        log.events = None;
        log.append(&Record::info("event")).unwrap();
        assert_eq!(kinds(&log), ["start", "event"]);
    }

    #[test]
    fn a_place_that_nothing_can_be_written_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(RunLog::begin(&folder.path().join("file"), 1 << 20, Record::info("start")).is_err());
    }
}
