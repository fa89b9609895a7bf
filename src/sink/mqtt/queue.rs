//! The queue on the disk: a log that is read once, and whose segments are deleted when the broker has acknowledged them.
//!
//! The file `acked` holds the acknowledged position. It is not synced: if it is older than it should be, as after a power cut,
//! the records behind it are sent once more.

use crate::sink::segmented_log::{Layout, Segment, SegmentedLog};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The acknowledged position, the number of a segment and an offset in it, and how many records were dropped so far.
pub const MARK: &str = "acked";

/// Where a line ends.
#[derive(Debug, Clone, Copy)]
pub struct LogPosition {
    /// The number of the segment.
    pub segment: u64,
    offset: u64,
}

/// The open queue of a folder.
pub struct DiskQueue {
    pub(super) log: SegmentedLog,
    mark: File,
    /// Unacknowledged lines of each segment.
    left: BTreeMap<u64, u64>,
    acknowledged: LogPosition,
    next: LogPosition,
    reader: Option<(u64, BufReader<File>)>,
}

impl DiskQueue {
    /// Opens the queue of a folder, which is created if missing; `budget` is in bytes. Also returns how many records were
    /// dropped without having been reported.
    ///
    /// # Errors
    /// If another process uses the folder (`ResourceBusy`), or the disk fails.
    pub fn open(folder: &Path, budget: u64) -> io::Result<(DiskQueue, u64)> {
        fs::create_dir_all(folder)?;
        let mut mark =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(MARK))?;
        mark.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another process uses it"),
            TryLockError::Error(error) => error,
        })?;
        let mut text = String::new();
        // A mark that is not text counts as none.
        let _ = (&mut mark).take(256).read_to_string(&mut text);
        let mut words = text.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let (number, offset) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
        let dropped = words.next().unwrap_or(0);

        let (mut log, _) = SegmentedLog::open(folder, Layout::Numbered, budget)?;
        let finished: Vec<u64> = log.segments().map(|segment| segment.id).filter(|id| *id < number).collect();
        finished.into_iter().try_for_each(|id| log.remove(id))?;
        let first = log.segments().next().map(|segment| segment.id);
        let mut acknowledged = match first {
            Some(first) if first > number => LogPosition { segment: first, offset: 0 },
            Some(_) => LogPosition { segment: number, offset },
            // No number is used twice, so that an old mark never refers to a new segment.
            None => LogPosition { segment: number + 1, offset: 0 },
        };
        log.skip_numbers_below(acknowledged.segment);
        let mut left = BTreeMap::new();
        for Segment { id, .. } in log.segments() {
            let file = File::open(log.path(id))?;
            if id == acknowledged.segment && !is_line_start(&file, acknowledged.offset)? {
                acknowledged.offset = 0;
            }
            let from = if id == acknowledged.segment { acknowledged.offset } else { 0 };
            left.insert(id, count_lines(&file, from)?);
        }
        let mut queue = DiskQueue { log, mark, left, acknowledged, next: acknowledged, reader: None };
        queue.remove_finished();
        Ok((queue, dropped))
    }

    /// Appends a line and waits until it is on the disk.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn append(&mut self, line: &str) -> io::Result<()> {
        // The active segment may have been removed as unreadable: nothing is appended before what was read already.
        let is_passed = self.log.active().is_none_or(|active| active.id < self.next.segment);
        if is_passed || self.log.is_full_for(line) {
            self.log.rotate("")?;
            self.remove_finished();
        }
        self.log.append(line)?;
        if let Some(active) = self.log.active() {
            *self.left.entry(active.id).or_default() += 1;
        }
        Ok(())
    }

    /// Whether the last segment ends with a whole line, also after a line that could not be appended.
    pub fn is_whole(&self) -> bool {
        self.log.is_whole()
    }

    /// Whether there is a line to read.
    pub fn has_next(&self) -> bool {
        let LogPosition { segment, offset } = self.next;
        self.log.segments().any(|at| at.id > segment && at.length > 0 || at.id == segment && at.length > offset)
    }

    /// The number of the segment that the next line is read from.
    pub fn next_segment(&self) -> u64 {
        self.next.segment
    }

    /// Lines that are not acknowledged.
    pub fn left(&self) -> u64 {
        self.left.values().sum()
    }

    /// Continues to read at the acknowledged position.
    pub fn rewind(&mut self) {
        (self.next, self.reader) = (self.acknowledged, None);
    }

    /// The oldest segments that have to go for all together to take at most `budget` bytes. The last one stays.
    pub fn beyond(&self, budget: u64) -> Vec<u64> {
        let active = self.log.active().map_or(0, |active| active.length);
        self.log.beyond(budget.saturating_sub(active))
    }

    /// Removes a segment, and returns how many unacknowledged lines it had.
    pub fn remove(&mut self, segment: u64) -> u64 {
        // A file that cannot be deleted must not block those behind it either.
        let _ = self.log.remove(segment);
        for position in [&mut self.acknowledged, &mut self.next] {
            if position.segment == segment {
                *position = LogPosition { segment: segment + 1, offset: 0 };
            }
        }
        self.left.remove(&segment).unwrap_or(0)
    }

    /// Reads the next line; also returns where it ends.
    ///
    /// # Errors
    /// If there is none, or the disk cannot read it.
    pub fn read(&mut self) -> io::Result<(String, LogPosition)> {
        let has_more = |at: Segment| at.id == self.next.segment && at.length > self.next.offset;
        if !self.log.segments().any(has_more) {
            let segment = self.log.segments().find(|at| at.id > self.next.segment);
            self.next = LogPosition { segment: segment.map_or(self.next.segment, |at| at.id), offset: 0 };
        }
        let number = self.next.segment;
        let reader = match &mut self.reader {
            Some((open, reader)) if *open == number => reader,
            other => {
                let mut file = File::open(self.log.path(number))?;
                file.seek(SeekFrom::Start(self.next.offset))?;
                &mut other.insert((number, BufReader::new(file))).1
            }
        };
        let mut line = String::new();
        let length = reader.read_line(&mut line)? as u64;
        if line.pop() != Some('\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.next.offset += length;
        Ok((line, self.next))
    }

    /// The broker has acknowledged one more line, and with it everything up to `end`.
    pub fn acknowledge(&mut self, end: LogPosition, dropped: u64) {
        self.acknowledged = end;
        if let Some(left) = self.left.get_mut(&end.segment) {
            *left = left.saturating_sub(1);
        }
        self.write_mark(dropped);
        self.remove_finished();
    }

    /// Removes the first segments as far as they are acknowledged, but not the one that is being written.
    fn remove_finished(&mut self) {
        while let Some(id) = self.first_finished() {
            let _ = self.log.remove(id);
            self.left.remove(&id);
        }
    }

    fn first_finished(&self) -> Option<u64> {
        let first = self.log.segments().next().filter(|first| self.log.active() != Some(*first))?;
        self.left.get(&first.id).is_none_or(|left| *left == 0).then_some(first.id)
    }

    /// Writes the acknowledged position, and how many records were dropped.
    pub fn write_mark(&self, dropped: u64) {
        let LogPosition { segment, offset } = self.acknowledged;
        let mark = format!("{segment:020} {offset:020} {dropped:020}\n");
        let _ = self.mark.write_all_at(mark.as_bytes(), 0);
    }
}

fn is_line_start(file: &File, offset: u64) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut before = [0];
    Ok(offset == 0 || offset <= length && file.read_at(&mut before, offset - 1)? == 1 && before == *b"\n")
}

fn count_lines(mut file: &File, from: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(from))?;
    let (mut reader, mut count) = (BufReader::new(file), 0);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(count);
        }
        count += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let read = bytes.len();
        reader.consume(read);
    }
}
