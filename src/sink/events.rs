//! `events.jsonl`: the records of runs, one JSON object per line. A line is on the disk before the next frame's is written.
//!
//! The file is closed when it has grown to an eighth of the budget or is a week old: it becomes
//! `events-YYYYmmddTHHMMSSmmmZ.jsonl`, and the oldest of those are deleted, so that all together stay within the budget
//! ([`super::segmented_log`]).

use super::segmented_log::{Layout, SegmentedLog};
use super::tail::LONGEST;
use crate::telemetry::{Record, json_line};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

const LAYOUT: Layout = Layout::Stamped("events");
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
    /// off. `budget` is in bytes, for all files together.
    ///
    /// # Errors
    /// If the folder or the file cannot be created or written.
    pub fn open(folder: &Path, budget: u64) -> io::Result<EventLog> {
        let (log, cut) = SegmentedLog::open(folder, LAYOUT, budget)?;
        let path = EventLog::path_in(folder);
        if cut > 0 {
            log::warn!(file = path.display().to_string().as_str(), bytes = cut; "torn_line_cut_off");
        }
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
    files.extend(Some(EventLog::path_in(folder)).filter(|path| path.is_file()));
    Ok(files)
}

/// The time of the first record.
fn first_time(path: &Path) -> Option<jiff::Timestamp> {
    let mut line = String::new();
    // No more than the file's length: a device has no end.
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len().min(LONGEST);
    BufReader::new(file.take(length)).read_line(&mut line).ok()?;
    let record: serde_json::Value = serde_json::from_str(&line).ok()?;
    record["time"].as_str()?.parse().ok()
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
