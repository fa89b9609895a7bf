//! The records of one run. Its start record comes first, even if the disk takes it only later.

use super::EventLog;
use crate::telemetry::Record;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// Writes a run's records. A full or read-only disk may recover during the run, so each record tries again.
pub struct RunLog {
    folder: PathBuf,
    budget: u64,
    start: Record,
    /// Whether the start is written.
    started: bool,
    /// `None` before it is opened, and after a record that could not be written.
    events: Option<EventLog>,
}

impl RunLog {
    /// Begins a run's records in a folder, with its start record; `budget` is in bytes, as in [`EventLog::open`]. Also returns
    /// the error of a disk that may recover.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn begin(folder: &Path, budget: u64, start: Record) -> io::Result<(RunLog, Option<io::Error>)> {
        let mut log = RunLog { folder: folder.to_path_buf(), budget, start, started: false, events: None };
        match log.open() {
            Ok(events) => log.events = Some(events),
            Err(error) if is_temporary(&error) => return Ok((log, Some(error))),
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
    /// If it cannot be written; no part of it is on the disk then.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        if let Some(mut events) = self.events.take() {
            match events.append(record) {
                Ok(()) => {
                    self.events = Some(events);
                    return Ok(());
                }
                // Others moved or deleted the file: the next takes the record.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // After an error the file is opened again, which cuts off a partial record.
        let mut events = self.open()?;
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

/// Whether the state of the disk causes the error and not the path: full, read-only (as the kernel makes a damaged file system),
/// or failing.
fn is_temporary(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
        || Errno::from_io_error(error) == Some(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::faults::{Fault, FaultyDisk};
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
        let (mut log, disk_error) = begin(folder.path());
        assert!(disk_error.is_none());
        log.append(&Record::info("event")).unwrap();
        assert_eq!(kinds(&log), ["start", "event"]);
    }

    #[test]
    fn the_start_is_written_as_soon_as_a_full_disk_has_room() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        for fault in [Fault::Error(Errno::NOSPC), Fault::Short] {
            disk.fail_always(Some(fault));
            let (mut log, disk_error) = begin(folder.path());
            assert_eq!(disk_error.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
            assert_eq!(log.append(&Record::info("event")).unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        let (mut log, _) = begin(folder.path());
        disk.fail_always(None);
        log.append(&Record::info("event")).unwrap();
        log.append(&Record::info("stop")).unwrap();
        assert_eq!(kinds(&log), ["start", "event", "stop"]);
    }

    #[test]
    fn a_partial_record_is_cut_off_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = begin(folder.path());
        // As after a write that failed and could not be undone either.
        fs::OpenOptions::new().append(true).open(log.path()).unwrap().write_all(b"{\"rec").unwrap();
        log.events = None;
        log.append(&Record::info("event")).unwrap();
        assert_eq!(kinds(&log), ["start", "event"]);
    }

    #[test]
    fn a_file_that_others_moved_or_deleted_is_begun_again_and_no_record_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = begin(folder.path());
        log.append(&Record::info("a")).unwrap();
        fs::rename(log.path(), folder.path().join("taken")).unwrap();
        log.append(&Record::info("b")).unwrap();
        assert_eq!(kinds(&log), ["b"]);
        fs::remove_file(log.path()).unwrap();
        log.append(&Record::info("c")).unwrap();
        log.append(&Record::info("d")).unwrap();
        assert_eq!(kinds(&log), ["c", "d"]);
        assert_eq!(fs::read_to_string(folder.path().join("taken")).unwrap().lines().count(), 2);
    }

    #[test]
    fn what_is_not_ours_is_neither_followed_nor_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (EventLog::path_in(folder.path()), folder.path().join("victim"));
        fs::write(&victim, "theirs\n").unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let refused = RunLog::begin(folder.path(), 1 << 20, Record::info("start")).err().unwrap().to_string();
        assert!(refused.contains("events.jsonl is a symbolic link") && refused.contains("move it away"), "{refused}");
        assert_eq!(fs::read(&victim).unwrap(), b"theirs\n");
        fs::rename(&victim, &path).unwrap();
        for content in ["theirs\n", "{\"a\":1}\n", "", "no line end"] {
            fs::write(&path, content).unwrap();
            let (log, _) = begin(folder.path());
            assert_eq!(kinds(&log), ["start"]);
        }
        let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let aside = entries.filter(|path| path.to_string_lossy().contains("/events.jsonl.foreign-2"));
        let mut aside: Vec<String> = aside.map(|path| fs::read_to_string(path).unwrap()).collect();
        aside.sort();
        assert_eq!(aside, ["no line end", "theirs\n", "{\"a\":1}\n"]);
    }

    #[test]
    fn a_path_that_is_no_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(RunLog::begin(&folder.path().join("file"), 1 << 20, Record::info("start")).is_err());
    }
}
