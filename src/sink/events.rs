//! `events.jsonl`: one JSON object a line, appended; a line is on the disk before the next frame's is written.
//!
//! The file is closed when it has grown to an eighth of the budget or is a week old: it becomes
//! `events-YYYYmmddTHHMMSSmmmZ.jsonl`, and the oldest of those are deleted, so that all together stay within the budget.
//! Whenever the power goes, there are whole lines and nothing else: a line that could not be written to its end is cut off,
//! at once where the disk is full and at the next start otherwise, and a file is renamed only when the next one is there.

use super::stamp::{is_stamp, stamp};
use super::tail::{LONGEST, truncate_partial_line};
use crate::telemetry::{Record, json_line};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// The file that is being written.
const NAME: &str = "events.jsonl";
/// The next one, until it takes its place.
const NEXT: &str = ".events.jsonl.part";
/// Files that the budget is shared by.
const FILES: u64 = 8;
/// A file is closed at this age.
const WEEK: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// The open record file.
pub struct EventLog {
    folder: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    /// When it was begun.
    begun: jiff::Timestamp,
    budget: u64,
    /// What a new file begins with.
    head: Option<Record>,
}

impl EventLog {
    /// Opens `events.jsonl` in `folder` for appending; both are made where missing. What a crash left of the last line is cut
    /// off. `budget` is in bytes, for all files together.
    ///
    /// # Errors
    /// Where the folder or the file cannot be made or written.
    pub fn open(folder: &Path, budget: u64) -> io::Result<EventLog> {
        fs::create_dir_all(folder)?;
        let path = folder.join(NAME);
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let cut = truncate_partial_line(&file)?;
        if cut > 0 {
            log::warn!(file = path.display().to_string().as_str(), bytes = cut; "torn_line_cut_off");
        }
        let length = file.metadata()?.len();
        let begun = first_time(&path).unwrap_or_else(jiff::Timestamp::now);
        // Left where the power went while a file was being changed for the next.
        let _ = fs::remove_file(folder.join(NEXT));
        let log = EventLog { folder: folder.to_path_buf(), file, length, begun, budget, head: None };
        log.make_room()?;
        Ok(log)
    }

    /// The path of the file that is being written in a folder.
    pub fn path_in(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }

    /// The path of the file that is being written.
    pub fn path(&self) -> PathBuf {
        EventLog::path_in(&self.folder)
    }

    /// Appends the record with which a run starts. Files that the run begins later start with it, as a record `goes_on`, so
    /// that each tells by itself what it is about.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn start(&mut self, record: Record) -> io::Result<()> {
        self.append(&record)?;
        self.go_on(record);
        Ok(())
    }

    /// Goes on with a run whose start stands in the folder.
    pub fn go_on(&mut self, start: Record) {
        self.head = Some(start);
    }

    /// Appends one record and waits until it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be written; the file then ends with the record before.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = json_line(record, false);
        line.push('\n');
        let grown = self.length + line.len() as u64 > self.budget / FILES;
        let old = jiff::Timestamp::now().duration_since(self.begun) > WEEK;
        if self.length > 0 && (grown || old) {
            // Where there is no next one, of a full disk, say, this one goes on for a while.
            let most = 2 * (self.budget / FILES);
            self.begin_next().or_else(|error| if self.length < most { Ok(()) } else { Err(error) })?;
        }
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A full disk takes a part of a line. Where even this fails, it is cut off when the file is opened again.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Closes the file and begins the next.
    fn begin_next(&mut self) -> io::Result<()> {
        let (path, next) = (self.path(), self.folder.join(NEXT));
        let closed = self.folder.join(self.name_of_closed()?);
        let head = self.head.as_ref().map(|head| json_line(&head.again_as("goes_on"), false) + "\n");
        let head = head.unwrap_or_default();
        let begun = (|| {
            let _ = fs::remove_file(&next);
            let mut file = OpenOptions::new().read(true).append(true).create_new(true).open(&next)?;
            file.write_all(head.as_bytes())?;
            file.sync_all()?;
            fs::rename(&path, &closed)?;
            fs::rename(&next, &path).inspect_err(|_| {
                // Back to where it was; both names are ours, so what failed once may fail again.
                let _ = fs::rename(&closed, &path);
            })?;
            File::open(&self.folder)?.sync_all()?;
            Ok(file)
        })();
        self.file = begun.inspect_err(|_: &io::Error| {
            let _ = fs::remove_file(&next);
        })?;
        (self.length, self.begun) = (head.len() as u64, jiff::Timestamp::now());
        self.make_room()
    }

    /// By the time; but after the newest that is there, so that the order of names is that of age even where the clock went
    /// back.
    fn name_of_closed(&self) -> io::Result<String> {
        let name = |time: jiff::Timestamp| format!("events-{}.jsonl", stamp(time));
        let now = jiff::Timestamp::now();
        let Some(newest) = closed_files(&self.folder)?.pop() else { return Ok(name(now)) };
        let newest = newest.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name(now) > newest {
            return Ok(name(now));
        }
        let stamp = &newest["events-".len()..newest.len() - ".jsonl".len()];
        // `%3fZ` is read as a fraction only after a dot.
        let (seconds, millis) = stamp.split_at(stamp.len() - "mmmZ".len());
        let dotted = format!("{seconds}.{}", millis.trim_end_matches('Z'));
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.f", dotted).map_err(io::Error::other)?;
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).map_err(io::Error::other)?.timestamp();
        Ok(name(time + jiff::SignedDuration::from_millis(1)))
    }

    /// Deletes the oldest closed files until there is room for the one that is being written to grow.
    fn make_room(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for path in closed_files(&self.folder)? {
            let bytes = fs::metadata(&path)?.len();
            files.push((path, bytes));
        }
        let mut sum: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let allowed = self.budget - (self.budget / FILES).max(self.length).min(self.budget);
        for (path, bytes) in files {
            if sum <= allowed {
                break;
            }
            fs::remove_file(path)?;
            sum -= bytes;
        }
        Ok(())
    }
}

/// The files of records in a folder, the oldest first; the last is being written.
///
/// # Errors
/// Where the folder cannot be read.
pub fn record_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = closed_files(folder)?;
    files.extend(Some(EventLog::path_in(folder)).filter(|path| path.is_file()));
    Ok(files)
}

/// The closed files in a folder, the oldest first.
fn closed_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stamp = name.strip_prefix("events-").and_then(|name| name.strip_suffix(".jsonl"));
        if stamp.is_some_and(is_stamp) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The time of the first record.
fn first_time(path: &Path) -> Option<jiff::Timestamp> {
    let mut line = String::new();
    // Not more than is there: a device is as long as one reads it.
    let file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len().min(LONGEST);
    BufReader::new(file.take(length)).read_line(&mut line).ok()?;
    let record: serde_json::Value = serde_json::from_str(&line).ok()?;
    record["time"].as_str()?.parse().ok()
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
