//! `events.jsonl`: the records of runs, one JSON object per line. A line is on the disk before the next frame's is written.
//!
//! The file is closed when it has grown to an eighth of the budget or is a week old: it becomes
//! `events-YYYYmmddTHHMMSSmmmZ.jsonl`, and the oldest of those are deleted, so that all together stay within the budget
//! ([`super::segmented_log`]).

use super::segmented_log::{Layout, SegmentedLog};
use super::tail::LONGEST;
use crate::storage;
use crate::telemetry::{Record, json_line};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const LAYOUT: Layout = Layout::Stamped("events");
/// How much of the end of a file is compared with the broker's queue, in bytes.
const COMPARED: u64 = 1 << 18;
/// A file is closed at this age.
const WEEK: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// The open record file.
pub struct EventLog {
    folder: PathBuf,
    log: SegmentedLog,
    /// When the file was begun.
    begun: jiff::Timestamp,
    budget: u64,
    /// The start record of the run, with which later files begin.
    header: Option<Record>,
}

impl EventLog {
    /// Opens `events.jsonl` in `folder` for appending; both are created if missing. What a crash left of the last line is cut
    /// off; a file that holds no record is moved aside. `budget` is in bytes, for all files together.
    ///
    /// # Errors
    /// If the folder or the file cannot be created or written, or a link, a FIFO or the like has its name.
    pub fn open(folder: &Path, budget: u64) -> io::Result<EventLog> {
        let (log, repairs) = SegmentedLog::open(folder, LAYOUT, budget)?;
        let path = EventLog::path_in(folder);
        repairs.log(&path);
        let begun = first_time(&path).unwrap_or_else(jiff::Timestamp::now);
        let mut log = EventLog { folder: folder.to_path_buf(), log, begun, budget, header: None };
        log.make_room()?;
        Ok(log)
    }

    /// The path of the file that is being written in a folder.
    pub fn path_in(folder: &Path) -> PathBuf {
        LAYOUT.active_path(folder)
    }

    /// The path of the file that is being written.
    pub fn path(&self) -> PathBuf {
        EventLog::path_in(&self.folder)
    }

    /// Appends the record with which a run starts. Files that the run begins later start with it, as a record `goes_on`, so
    /// that each can be read alone.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn start(&mut self, record: Record) -> io::Result<()> {
        self.append(&record)?;
        self.resume(record);
        Ok(())
    }

    /// Continues a run whose start record is in the folder.
    pub fn resume(&mut self, start: Record) {
        self.header = Some(start);
    }

    /// Appends one record and waits until it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written; the file then ends with the record before.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let line = json_line(record, false);
        let length = self.length();
        let is_old = length > 0 && jiff::Timestamp::now().duration_since(self.begun) > WEEK;
        if is_old || self.log.is_full_for(&line) {
            // If the next file cannot be created, because the disk is full for example, this one grows on for a while.
            let limit = 2 * self.log.segment_bytes();
            self.begin_next().or_else(|error| if length < limit { Ok(()) } else { Err(error) })?;
        }
        self.log.append(&line)
    }

    /// Closes the file and begins the next.
    fn begin_next(&mut self) -> io::Result<()> {
        let header = self.header.as_ref().map(|start| json_line(&start.again_as("goes_on"), false) + "\n");
        self.log.rotate(&header.unwrap_or_default())?;
        self.begun = jiff::Timestamp::now();
        self.make_room()
    }

    /// Deletes the oldest closed files until there is room for the one that is being written to grow.
    fn make_room(&mut self) -> io::Result<()> {
        let reserved = self.log.segment_bytes().max(self.length());
        for id in self.log.beyond(self.budget.saturating_sub(reserved)) {
            self.log.remove(id)?;
        }
        Ok(())
    }

    /// Bytes of the file that is being written.
    fn length(&self) -> u64 {
        self.log.active().map_or(0, |active| active.length)
    }
}

/// The record files of a folder, the oldest first; the last one is being written.
///
/// # Errors
/// If the folder cannot be read.
pub fn record_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = LAYOUT.paths_in(folder)?;
    files.push(EventLog::path_in(folder));
    // Whoever reads them must not follow a link, nor wait for the writer of a FIFO.
    files.retain(|path| path.symlink_metadata().is_ok_and(|about| about.is_file()));
    Ok(files)
}

/// The records at the end of the two newest files that a broker gets as well, in order, one line each.
#[cfg_attr(not(feature = "mqtt"), allow(dead_code))]
pub(super) fn last_lines(folder: &Path) -> Vec<String> {
    let files = record_files(folder).unwrap_or_default();
    files[files.len().saturating_sub(2)..].iter().flat_map(|path| lines_at_end(path).unwrap_or_default()).collect()
}

fn lines_at_end(path: &Path) -> io::Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct AnyRecord<'a> {
        #[serde(borrow)]
        record: std::borrow::Cow<'a, str>,
    }
    let mut file = storage::open_to_read(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(COMPARED)))?;
    let mut bytes = Vec::new();
    file.take(COMPARED).read_to_end(&mut bytes)?;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let sent = lines.filter(|line| {
        let record = serde_json::from_slice::<AnyRecord>(line);
        record.is_ok_and(|record| !["status", "goes_on"].contains(&&*record.record))
    });
    Ok(sent.filter_map(|line| String::from_utf8(line.to_vec()).ok()).collect())
}

/// The time of the first record.
fn first_time(path: &Path) -> Option<jiff::Timestamp> {
    let mut line = String::new();
    // No more than the file's length: a device has no end.
    let file = storage::open_to_read(path).ok()?;
    let length = file.metadata().ok()?.len().min(LONGEST);
    BufReader::new(file.take(length)).read_line(&mut line).ok()?;
    let record: serde_json::Value = serde_json::from_str(&line).ok()?;
    record["time"].as_str()?.parse().ok()
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
