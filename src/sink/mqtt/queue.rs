//! The queue on the disk: a log that is read once, and whose segments are deleted when the broker has acknowledged them.
//!
//! Every line has a checksum (`checksum.rs`). The file `acked` holds the acknowledged position. It is not synced: if it is older
//! than it should be, as after a power cut, or damaged, the records behind it are sent once more.

use crate::sink::checksum::{with_checksum, without_checksum};
use crate::sink::segmented_log::{Layout, Segment, SegmentedLog};
use crate::storage;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The acknowledged position, the number of a segment and an offset in it, and how many records were dropped so far.
pub const MARK: &str = "acked";

/// How much of the end of the newest segment is compared with the records, in bytes.
const COMPARED: u64 = 1 << 20;

/// Where a line ends.
#[derive(Debug, Clone, Copy)]
pub struct LogPosition {
    /// The number of the segment.
    pub segment: u64,
    offset: u64,
}

/// The open queue of a folder.
pub struct DiskQueue {
    log: SegmentedLog,
    mark: File,
    /// Unacknowledged lines of each segment.
    left: BTreeMap<u64, u64>,
    acknowledged: LogPosition,
    next: LogPosition,
    reader: Option<(u64, BufReader<File>)>,
    /// Whether the last line could not be appended.
    failed: bool,
}

impl DiskQueue {
    /// Opens the queue of a folder, which is created if missing; `budget` is in bytes. Also returns how many records were
    /// dropped without having been reported.
    ///
    /// # Errors
    /// If another process uses the folder (`ResourceBusy`), a link or the like has the name of a file of it
    /// ([`storage::is_refusal`]), or the disk fails.
    pub fn open(folder: &Path, budget: u64) -> io::Result<(DiskQueue, u64)> {
        if fs::symlink_metadata(folder).is_ok_and(|about| about.is_symlink()) {
            let text = format!(
                "{} is a symbolic link, where lineside keeps a folder of its own: move it away",
                folder.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        storage::create_results_folder(folder)?;
        let mut mark = storage::open_or_create_with(&folder.join(MARK), OpenOptions::new().read(true).write(true))?;
        mark.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another process uses it"),
            TryLockError::Error(error) => error,
        })?;
        let mut text = String::new();
        // A mark that is not text counts as none.
        let _ = (&mut mark).take(256).read_to_string(&mut text);
        let text = text.lines().next().and_then(|line| without_checksum(line.as_bytes())).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        let mut words = text.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let (number, offset) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
        let dropped = words.next().unwrap_or(0);

        let (mut log, repairs) = SegmentedLog::open(folder, Layout::Numbered, budget)?;
        repairs.log(&log.active().map_or(folder.into(), |active| log.path(active.id)));
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
            let file = storage::open_to_read(&log.path(id))?;
            if id == acknowledged.segment && !is_line_start(&file, acknowledged.offset)? {
                acknowledged.offset = 0;
            }
            let from = if id == acknowledged.segment { acknowledged.offset } else { 0 };
            left.insert(id, count_lines(&file, from)?);
        }
        let mut queue = DiskQueue { log, mark, left, acknowledged, next: acknowledged, reader: None, failed: false };
        queue.remove_finished();
        Ok((queue, dropped))
    }

    /// Appends a line and waits until it is on the disk; returns where it ends.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn append(&mut self, line: &str) -> io::Result<LogPosition> {
        let line = with_checksum(line);
        // The active segment may have been removed as unreadable: nothing is appended before what was read already.
        let is_passed = self.log.active().is_none_or(|active| active.id < self.next.segment);
        if is_passed || self.log.is_full_for(&line) {
            self.log.rotate("")?;
            self.remove_finished();
        }
        let written = self.log.append(&line);
        if written.is_err() || self.failed {
            // The reader may have seen a part of a line that is cut off again.
            self.reader = None;
        }
        self.failed = written.is_err();
        written?;
        let active = self.log.active().ok_or(io::ErrorKind::NotFound)?;
        *self.left.entry(active.id).or_default() += 1;
        Ok(LogPosition { segment: active.id, offset: active.length })
    }

    /// The line that ends there was handed out already, from memory.
    pub fn pass(&mut self, end: LogPosition) {
        (self.next, self.reader) = (end, None);
    }

    /// Of lines that were written elsewhere, in order, those behind the last one that is in the newest segment: they never
    /// came here. None where that segment has none of them.
    ///
    /// # Errors
    /// If the disk cannot read it.
    pub fn missing<'a>(&self, written: &'a [String]) -> io::Result<&'a [String]> {
        let Some(active) = self.log.segments().rev().find(|segment| segment.length > 0) else { return Ok(&[]) };
        let file = storage::open_to_read(&self.log.path(active.id))?;
        let from = active.length.saturating_sub(COMPARED);
        let mut bytes = vec![0; (active.length - from) as usize];
        file.read_exact_at(&mut bytes, from)?;
        let here: HashSet<&[u8]> = bytes.split(|byte| *byte == b'\n').filter_map(without_checksum).collect();
        let last = written.iter().rposition(|line| here.contains(line.as_bytes()));
        Ok(last.map_or(&[], |last| &written[last + 1..]))
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

    /// Reads the next line; also returns where it ends. `None` for one that the disk damaged.
    ///
    /// # Errors
    /// If there is none, or the disk cannot read it.
    pub fn read(&mut self) -> io::Result<(Option<String>, LogPosition)> {
        let has_more = |at: Segment| at.id == self.next.segment && at.length > self.next.offset;
        if !self.log.segments().any(has_more) {
            let segment = self.log.segments().find(|at| at.id > self.next.segment);
            self.next = LogPosition { segment: segment.map_or(self.next.segment, |at| at.id), offset: 0 };
        }
        let number = self.next.segment;
        let reader = match &mut self.reader {
            Some((open, reader)) if *open == number => reader,
            other => {
                let mut file = storage::open_to_read(&self.log.path(number))?;
                file.seek(SeekFrom::Start(self.next.offset))?;
                &mut other.insert((number, BufReader::new(file))).1
            }
        };
        let mut line = Vec::new();
        let length = reader.read_until(b'\n', &mut line)? as u64;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.next.offset += length;
        let line = without_checksum(&line).and_then(|line| String::from_utf8(line.to_vec()).ok());
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
        let mark = with_checksum(&format!("{segment:020} {offset:020} {dropped:020}")) + "\n";
        let _ = storage::write_at(&self.mark, 0, mark.as_bytes());
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
