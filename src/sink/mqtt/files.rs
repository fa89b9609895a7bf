//! SpoolFiles of JSON lines, called by a number that grows; `acked` says up to where the broker has them.
//!
//! A line that a power cut left in part is cut off at the next start. Where `acked` is older than it should be, as after a power
//! cut, what it does not know of goes to the broker once more.

use crate::sink::tail::truncate_partial_line;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Up to where the broker has acknowledged: number of a file, a place in it, and how many records were given up so far.
pub const MARK: &str = "acked";
/// SpoolFiles that the budget is shared by.
pub const FILES: u64 = 8;

/// Where a line ends.
#[derive(Debug, Clone, Copy)]
pub struct LogPosition {
    /// Of the file.
    pub number: u64,
    offset: u64,
}

/// The open files of a folder.
pub struct SpoolFiles {
    folder: PathBuf,
    mark: File,
    /// The oldest first; the last one is being written.
    files: VecDeque<Segment>,
    pub(super) writer: Option<File>,
    acked: LogPosition,
    next: LogPosition,
    reader: Option<(u64, BufReader<File>)>,
}

struct Segment {
    number: u64,
    length: u64,
    /// Lines that are not acknowledged.
    left: u64,
}

impl SpoolFiles {
    /// Opens the files of a folder, which is made where missing. Also gives how many records were given up and not told.
    ///
    /// # Errors
    /// Where another process has them (`ResourceBusy`), or the disk does not do it.
    pub fn open(folder: &Path) -> io::Result<(SpoolFiles, u64)> {
        fs::create_dir_all(folder)?;
        let mut mark =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(MARK))?;
        mark.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another process uses it"),
            TryLockError::Error(error) => error,
        })?;
        let mut text = String::new();
        // What is no text is no mark either.
        let _ = (&mut mark).take(256).read_to_string(&mut text);
        let mut words = text.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let (number, offset) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
        let dropped = words.next().unwrap_or(0);

        let mut numbers = numbers_in(folder)?;
        for old in numbers.extract_if(.., |at| *at < number) {
            fs::remove_file(path_in(folder, old))?;
        }
        let mut acked = LogPosition { number, offset };
        match numbers.first() {
            Some(&first) if first > number => acked = LogPosition { number: first, offset: 0 },
            Some(_) => {}
            // No number twice, so that an old mark never means a new file.
            None => acked = LogPosition { number: number + 1, offset: 0 },
        }
        let mut files = VecDeque::new();
        for (at, number) in numbers.iter().copied().enumerate() {
            let file = OpenOptions::new().read(true).append(true).open(path_in(folder, number))?;
            if at + 1 == numbers.len() {
                truncate_partial_line(&file)?;
            }
            if number == acked.number && !is_begin_of_line(&file, acked.offset)? {
                acked.offset = 0;
            }
            let from = if number == acked.number { acked.offset } else { 0 };
            files.push_back(Segment { number, length: file.metadata()?.len(), left: lines(&file, from)? });
        }
        let mut disk =
            SpoolFiles { folder: folder.into(), mark, files, writer: None, acked, next: acked, reader: None };
        disk.remove_finished();
        Ok((disk, dropped))
    }

    fn path(&self, number: u64) -> PathBuf {
        path_in(&self.folder, number)
    }

    /// Appends a line and waits until it is on the disk. A file is closed at `longest` bytes.
    pub fn append(&mut self, line: &str, longest: u64) -> io::Result<()> {
        let bytes = [line.as_bytes(), b"\n"].concat();
        let last = self.files.back().map(|file| (file.number, file.length));
        let number = match last {
            Some((number, length)) if length + bytes.len() as u64 <= longest || length == 0 => number,
            Some((number, _)) => number + 1,
            None => self.acked.number,
        };
        if last.is_none_or(|(last, _)| last != number) {
            // Left where there was room for its name and nothing else.
            let _ = fs::remove_file(self.path(number));
            let file = OpenOptions::new().append(true).create_new(true).open(self.path(number))?;
            File::open(&self.folder)?.sync_all()?;
            self.writer = Some(file);
            self.files.push_back(Segment { number, length: 0, left: 0 });
            self.remove_finished();
        }
        let length = self.files.back().map_or(0, |file| file.length);
        let file = match &mut self.writer {
            Some(file) => file,
            empty => empty.insert(OpenOptions::new().append(true).open(path_in(&self.folder, number))?),
        };
        file.write_all(&bytes).and_then(|()| file.sync_data()).inspect_err(|_| {
            // A full disk takes a part of a line.
            let _ = file.set_len(length);
        })?;
        if let Some(segment) = self.files.back_mut() {
            segment.length += bytes.len() as u64;
            segment.left += 1;
        }
        Ok(())
    }

    /// Whether the last file ends with a whole line, also after one that could not be appended.
    pub fn is_whole(&self) -> bool {
        let length = |file: &Segment| fs::metadata(self.path(file.number)).map(|file| file.len());
        self.files.back().is_none_or(|file| length(file).is_ok_and(|length| length == file.length))
    }

    /// Whether there is one more line to be read.
    pub fn has_next(&self) -> bool {
        self.files.iter().any(|file| {
            file.number > self.next.number && file.length > 0
                || file.number == self.next.number && file.length > self.next.offset
        })
    }

    /// The number of the file that the next line is read from.
    pub fn next(&self) -> u64 {
        self.next.number
    }

    /// Lines that are not acknowledged.
    pub fn left(&self) -> u64 {
        self.files.iter().map(|file| file.left).sum()
    }

    /// What was read and not acknowledged is read again.
    pub fn rewind(&mut self) {
        (self.next, self.reader) = (self.acked, None);
    }

    /// The number of the first file that stays where all together may take `budget` bytes. The last one stays.
    pub fn first_within(&self, budget: u64) -> u64 {
        let mut sum: u64 = self.files.iter().map(|file| file.length).sum();
        let mut keep = 0;
        for file in self.files.iter().take(self.files.len().saturating_sub(1)) {
            if sum <= budget {
                break;
            }
            sum -= file.length;
            keep = file.number + 1;
        }
        keep
    }

    /// Removes files, by their numbers; gives how many lines in them were not acknowledged.
    pub fn remove(&mut self, goes: impl Fn(u64) -> bool) -> u64 {
        let mut gone = 0;
        let folder = &self.folder;
        self.files.retain(|file| {
            if goes(file.number) {
                gone += file.left;
                let _ = fs::remove_file(path_in(folder, file.number));
            }
            !goes(file.number)
        });
        if self.files.is_empty() {
            self.writer = None;
        }
        for place in [&mut self.acked, &mut self.next] {
            while goes(place.number) {
                *place = LogPosition { number: place.number + 1, offset: 0 };
            }
        }
        gone
    }

    /// The next line and where it ends.
    pub fn read(&mut self) -> io::Result<(String, LogPosition)> {
        let at = |place: LogPosition| move |file: &&Segment| file.number == place.number && file.length > place.offset;
        if !self.files.iter().any(|file| at(self.next)(&file)) {
            let next = self.files.iter().find(|file| file.number > self.next.number);
            self.next = LogPosition { number: next.map_or(self.next.number, |file| file.number), offset: 0 };
        }
        let number = self.next.number;
        let reader = match &mut self.reader {
            Some((open, reader)) if *open == number => reader,
            other => {
                let mut file = File::open(path_in(&self.folder, number))?;
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

    /// The broker has everything up to there.
    pub fn forget(&mut self, end: LogPosition, dropped: u64) {
        self.acked = end;
        for file in self.files.iter_mut().filter(|file| file.number == end.number) {
            file.left = file.left.saturating_sub(1);
        }
        self.write_mark(dropped);
        self.remove_finished();
    }

    /// Removes files that the broker has whole, but the one that is being written.
    fn remove_finished(&mut self) {
        while self.files.len() > 1 && self.files.front().is_some_and(|file| file.left == 0) {
            if let Some(file) = self.files.pop_front() {
                let _ = fs::remove_file(self.path(file.number));
            }
        }
    }

    /// Not synced: an older mark only sends again what was sent.
    pub fn write_mark(&self, dropped: u64) {
        let mark = format!("{:020} {:020} {:020}\n", self.acked.number, self.acked.offset, dropped);
        let _ = self.mark.write_all_at(mark.as_bytes(), 0);
    }
}

fn path_in(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.jsonl"))
}

/// The numbers of the files in a folder, in order.
fn numbers_in(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
        numbers.extend(stem.filter(|stem| stem.len() == 10).and_then(|stem| stem.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn is_begin_of_line(file: &File, offset: u64) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut before = [0];
    Ok(offset == 0 || offset <= length && file.read_at(&mut before, offset - 1)? == 1 && before == *b"\n")
}

fn lines(mut file: &File, from: u64) -> io::Result<u64> {
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
