//! A durable log of JSON lines in several files ("segments"), of which the oldest are deleted to stay within a budget.
//!
//! Both the records of a run (`events.rs`) and the queue for a broker (`mqtt/queue.rs`) are such logs; they differ in how their
//! files are named ([`Layout`]). A line is on the disk when [`SegmentedLog::append`] returns. After a power cut the log holds
//! whole lines: what is torn after the last one is cut off when the log is opened, and a file takes its place in the log only once
//! it is complete. A file without a single record is somebody else's: it is moved aside and never cut. Only regular files are
//! opened ([`storage`]).

use super::stamp::{is_stamp, next_stamp, number_of_stamp, stamp, stamp_of_number};
use super::tail::{is_ours, repair_tail};
use crate::storage;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// How many segments share the budget: a segment is closed when it has grown to this part of it.
pub const SEGMENTS: u64 = 8;
/// The id of a segment that gets its own when it is closed.
const UNSTAMPED: u64 = u64::MAX;

/// How the files of a log are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `0000000001.jsonl`: each segment has a number from the start; the one with the highest is being written.
    Numbered,
    /// `NAME.jsonl` is being written. When it is closed it becomes `NAME-YYYYmmddTHHMMSSmmmZ.jsonl`. Holds NAME.
    Stamped(&'static str),
}

impl Layout {
    fn file_name(self, id: u64) -> String {
        match self {
            Layout::Numbered => format!("{id:010}.jsonl"),
            Layout::Stamped(name) if id == UNSTAMPED => format!("{name}.jsonl"),
            Layout::Stamped(name) => format!("{name}-{}.jsonl", stamp_of_number(id)),
        }
    }

    /// The id of a numbered or closed segment; `None` for other files.
    fn id_of(self, file_name: &str) -> Option<u64> {
        let stem = file_name.strip_suffix(".jsonl")?;
        match self {
            Layout::Numbered => {
                let is_number = stem.len() == 10 && stem.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then(|| stem.parse().ok()).flatten()
            }
            Layout::Stamped(name) => {
                let stamp = stem.strip_prefix(name)?.strip_prefix('-').filter(|stamp| is_stamp(stamp))?;
                number_of_stamp(stamp)
            }
        }
    }

    /// The file that is being written in a folder, for stamped segments.
    pub fn active_path(self, folder: &Path) -> PathBuf {
        folder.join(self.file_name(UNSTAMPED))
    }

    /// The file that takes the place of the active one.
    fn next_path(self, folder: &Path) -> PathBuf {
        folder.join(format!(".{}.part", self.file_name(UNSTAMPED)))
    }

    /// The numbered or closed segments of a folder, the oldest first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn paths_in(self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.ids_in(folder)?.into_iter().map(|id| folder.join(self.file_name(id))).collect())
    }

    fn ids_in(self, folder: &Path) -> io::Result<Vec<u64>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(folder)? {
            ids.extend(entry?.file_name().to_str().and_then(|name| self.id_of(name)));
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

/// A file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its number or stamp; segments are ordered by it.
    pub id: u64,
    /// Bytes of whole lines.
    pub length: u64,
}

/// What was wrong with the last file of a log when it was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Bytes of a torn line that were cut off.
    pub cut: u64,
    /// Where a file was moved that holds no record.
    pub moved: Option<PathBuf>,
}

impl Repairs {
    /// Reports them in the log; `path` is the file's.
    pub fn log(&self, path: &Path) {
        let file = path.display().to_string();
        if let Some(moved) = &self.moved {
            log::warn!(file = file.as_str(), moved_to = moved.display().to_string().as_str(); "foreign_file_moved_aside");
        }
        if self.cut > 0 {
            log::warn!(file = file.as_str(), bytes = self.cut; "torn_line_cut_off");
        }
    }
}

/// An open log. Nothing else may write to its files.
pub struct SegmentedLog {
    folder: PathBuf,
    layout: Layout,
    /// Bytes of all segments together.
    budget: u64,
    /// The oldest first; the last one is being written.
    segments: VecDeque<Segment>,
    /// The last segment, once it was written to.
    writer: Option<File>,
    /// The number of the next numbered segment.
    next_number: u64,
}

impl SegmentedLog {
    /// Opens the log in a folder, which is created if missing, and repairs the end of its last segment. `budget` is in bytes, for
    /// all segments together.
    ///
    /// # Errors
    /// If the folder or a file cannot be created, read or repaired, or something else than a regular file has the name of one
    /// ([`storage::is_refusal`]).
    pub fn open(folder: &Path, layout: Layout, budget: u64) -> io::Result<(SegmentedLog, Repairs)> {
        storage::create_results_folder(folder)?;
        let mut log = SegmentedLog {
            folder: folder.into(),
            layout,
            budget,
            segments: VecDeque::new(),
            writer: None,
            next_number: 0,
        };
        let mut repairs = Repairs::default();
        if let Layout::Stamped(_) = layout {
            let file = repaired(&layout.active_path(folder), &mut repairs)?;
            let length = file.metadata()?.len();
            // Left over if the power went while a segment was being closed.
            let _ = storage::remove(&layout.next_path(folder));
            log.segments.push_back(Segment { id: UNSTAMPED, length });
            log.writer = Some(file);
        }
        log.scan()?;
        if let (Layout::Numbered, Some(last)) = (layout, log.segments.back_mut()) {
            let file = repaired(&folder.join(layout.file_name(last.id)), &mut repairs)?;
            last.length = file.metadata()?.len();
            log.next_number = last.id + 1;
        }
        Ok((log, repairs))
    }

    /// Lists the numbered or closed segments anew.
    fn scan(&mut self) -> io::Result<()> {
        let mut segments = VecDeque::new();
        for id in self.layout.ids_in(&self.folder)? {
            let path = self.path(id);
            storage::check_regular(&path)?;
            match fs::metadata(path) {
                Ok(file) => segments.push_back(Segment { id, length: file.len() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        segments.extend(self.active().filter(|active| active.id == UNSTAMPED));
        self.segments = segments;
        Ok(())
    }

    /// Numbered segments that begin later get this number or a higher one.
    pub fn skip_numbers_below(&mut self, number: u64) {
        self.next_number = self.next_number.max(number);
    }

    /// The path of a segment.
    pub fn path(&self, id: u64) -> PathBuf {
        self.folder.join(self.layout.file_name(id))
    }

    /// The segments, the oldest first; the last one is being written.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment> {
        self.segments.iter().copied()
    }

    /// The segment that is being written; `None` before the first.
    pub fn active(&self) -> Option<Segment> {
        self.segments.back().copied()
    }

    /// How large a segment may become, in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.budget / SEGMENTS
    }

    /// Whether a line (without its end) makes the active segment too large, so that it belongs into the next. One that is
    /// empty takes a line of any length.
    pub fn is_full_for(&self, line: &str) -> bool {
        let length = self.active().map_or(0, |active| active.length);
        length > 0 && length + line.len() as u64 + 1 > self.segment_bytes()
    }

    /// Appends a line, given without its end, to the active segment and waits until it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written; nothing of it is followed by a line then. `NotFound` if others moved, cut or deleted the segment:
    /// the log has to be opened again.
    pub fn append(&mut self, line: &str) -> io::Result<()> {
        let Some(Segment { id, length }) = self.active() else {
            self.rotate("")?;
            return self.append(line);
        };
        let path = self.path(id);
        let file = match &mut self.writer {
            Some(file) => file,
            none => none.insert(storage::open_regular(&path, OpenOptions::new().append(true))?),
        };
        let there = file.metadata()?.len();
        if there < length || !storage::is_at(file, &path) {
            let text = format!("{} was moved, cut or deleted while it was being written", path.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        if there > length {
            // What an append left that failed and could not be undone.
            storage::truncate(file, length)?;
        }
        let bytes = [line.as_bytes(), b"\n"].concat();
        storage::append(file, &bytes).and_then(|()| storage::sync(file)).inspect_err(|_| {
            // A full disk takes a part of a line. If even this fails, the rest is cut off before the next line.
            let _ = storage::truncate(file, length);
        })?;
        if let Some(active) = self.segments.back_mut() {
            active.length += bytes.len() as u64;
        }
        Ok(())
    }

    /// Closes the active segment and begins the next with `header`, whole lines.
    ///
    /// # Errors
    /// If a file cannot be created or renamed; the log then goes on as it was.
    pub fn rotate(&mut self, header: &str) -> io::Result<()> {
        let (id, file) = match self.layout {
            Layout::Numbered => self.begin_numbered(header)?,
            Layout::Stamped(_) => self.begin_stamped(header)?,
        };
        self.writer = Some(file);
        self.segments.push_back(Segment { id, length: header.len() as u64 });
        Ok(())
    }

    fn begin_numbered(&mut self, header: &str) -> io::Result<(u64, File)> {
        let number = self.next_number;
        let path = self.path(number);
        // Left over if there was room for its name and nothing else.
        let _ = storage::remove(&path);
        let file = storage::create_new(&path)?;
        storage::append(&file, header.as_bytes())?;
        storage::sync_folder(&self.folder)?;
        self.next_number = number + 1;
        Ok((number, file))
    }

    /// The next file is complete before the old one is renamed, so that a power cut between any two steps loses no line.
    fn begin_stamped(&mut self, header: &str) -> io::Result<(u64, File)> {
        // Others may have deleted closed segments.
        self.scan()?;
        let id = self.next_stamp()?;
        let (active, next, closed) = (self.path(UNSTAMPED), self.layout.next_path(&self.folder), self.path(id));
        let begun = (|| {
            let _ = storage::remove(&next);
            let file = storage::create_new(&next)?;
            storage::append(&file, header.as_bytes())?;
            storage::sync(&file)?;
            storage::rename(&active, &closed)?;
            // On the disk before its old name is given away: not all file systems keep the order of two renames.
            let renamed = storage::sync_folder(&self.folder).and_then(|()| storage::rename(&next, &active));
            renamed.inspect_err(|_| {
                // Back to where it was; both names are ours, so what failed once may fail again.
                let _ = storage::rename(&closed, &active);
            })?;
            storage::sync_folder(&self.folder)?;
            Ok(file)
        })();
        let file = begun.inspect_err(|_: &io::Error| {
            let _ = storage::remove(&next);
        })?;
        if let Some(segment) = self.segments.back_mut() {
            segment.id = id;
        }
        Ok((UNSTAMPED, file))
    }

    /// The time as a stamp, but after the newest segment, so that names sort by age even if the clock was set back.
    fn next_stamp(&self) -> io::Result<u64> {
        let newest = self.segments.iter().rev().find(|segment| segment.id != UNSTAMPED).map(|segment| segment.id);
        let now = number_of_stamp(&stamp(jiff::Timestamp::now())).unwrap_or(0);
        match newest.filter(|newest| *newest >= now) {
            None => Ok(now),
            Some(newest) => {
                let next = next_stamp(&stamp_of_number(newest))?;
                number_of_stamp(&next).ok_or_else(|| io::Error::other(format!("{next} is not a time")))
            }
        }
    }

    /// The ids of the oldest segments that have to go for all others but the active one to take at most `bytes`.
    pub fn beyond(&self, bytes: u64) -> Vec<u64> {
        let closed = self.segments.len().saturating_sub(1);
        let mut sum: u64 = self.segments.iter().take(closed).map(|segment| segment.length).sum();
        let excess = self.segments.iter().take(closed).take_while(|segment| {
            let goes = sum > bytes;
            sum -= segment.length;
            goes
        });
        excess.map(|segment| segment.id).collect()
    }

    /// Deletes a segment. It leaves the log in any case.
    ///
    /// # Errors
    /// If its file cannot be deleted; one that is not there is none.
    pub fn remove(&mut self, id: u64) -> io::Result<()> {
        if self.active().is_some_and(|active| active.id == id) {
            self.writer = None;
        }
        self.segments.retain(|segment| segment.id != id);
        storage::remove(&self.path(id))
    }
}

/// Opens the last file of a log, created if missing, with its end repaired. One without a record is moved aside before.
fn repaired(path: &Path, repairs: &mut Repairs) -> io::Result<File> {
    let mut file = storage::open_or_create(path)?;
    if !is_ours(&file)? {
        let aside = name_aside(path)?;
        storage::rename(path, &aside)?;
        storage::sync_folder(storage::folder_of(path))?;
        repairs.moved = Some(aside);
        file = storage::open_or_create(path)?;
    }
    repairs.cut = repair_tail(&file)?;
    // Its name may not be on the disk yet, where the last attempt to sync it failed.
    storage::sync_folder(storage::folder_of(path))?;
    Ok(file)
}

/// `NAME.foreign-STAMP`, which nothing has yet.
fn name_aside(path: &Path) -> io::Result<PathBuf> {
    let mut stamp = stamp(jiff::Timestamp::now());
    loop {
        let mut name = path.as_os_str().to_os_string();
        name.push(format!(".foreign-{stamp}"));
        let aside = PathBuf::from(name);
        if fs::symlink_metadata(&aside).is_err() {
            return Ok(aside);
        }
        stamp = next_stamp(&stamp)?;
    }
}

#[cfg(test)]
#[path = "segmented_log_tests.rs"]
mod tests;
