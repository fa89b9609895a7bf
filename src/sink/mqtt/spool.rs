//! The queue of records for the broker: on the disk from when they are enqueued until the broker has acknowledged them.
//!
//! While the disk takes nothing, the newest records are kept in memory.

use super::queue::{DiskQueue, LogPosition};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// The most records that are kept in memory while the disk takes none.
const IN_MEMORY: usize = 64;

/// The queue, on the disk and in memory.
pub struct Spool {
    folder: PathBuf,
    budget: u64,
    /// `None` while it cannot be opened.
    disk: Option<DiskQueue>,
    /// What the disk did not take; newer than everything on the disk.
    memory: VecDeque<String>,
    /// How many of these are in flight.
    memory_in_flight: usize,
    /// Handed out and not acknowledged, the oldest first.
    in_flight: VecDeque<InFlight>,
    next_ticket: u64,
    /// Dropped and not reported yet.
    dropped: u64,
    /// Whether those that an earlier run dropped are included.
    mark_read: bool,
}

/// A record that was handed out and is not acknowledged.
struct InFlight {
    ticket: u64,
    acknowledged: bool,
    /// Where it ends on the disk; `None` for one in memory.
    end: Option<LogPosition>,
}

impl Spool {
    /// Opens the queue in a folder, which is created if missing. `budget` is in bytes. Also returns what is wrong with the disk;
    /// the queue works in memory then.
    ///
    /// # Errors
    /// If another process uses the folder.
    pub fn open(folder: &Path, budget: u64) -> io::Result<(Spool, Option<io::Error>)> {
        let mut spool = Spool {
            folder: folder.into(),
            budget,
            disk: None,
            memory: VecDeque::new(),
            memory_in_flight: 0,
            in_flight: VecDeque::new(),
            next_ticket: 0,
            dropped: 0,
            mark_read: false,
        };
        match spool.open_disk() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => return Err(error),
            Err(error) => return Ok((spool, Some(error))),
        }
        Ok((spool, None))
    }

    /// Appends a record, one line of JSON without its end, and waits until it is on the disk.
    ///
    /// # Errors
    /// If the disk does not take it; it is kept in memory.
    pub fn push(&mut self, line: String) -> io::Result<()> {
        self.memory.push_back(line);
        let written = self.write_memory();
        while self.memory.len() > IN_MEMORY {
            self.memory.pop_front();
            self.dropped += 1;
            if self.memory_in_flight > 0 {
                self.memory_in_flight -= 1;
                // The oldest in flight from memory is the one that was dropped.
                if let Some(at) = self.in_flight.iter().position(|out| out.end.is_none()) {
                    self.in_flight.remove(at);
                }
            }
        }
        written
    }

    fn open_disk(&mut self) -> io::Result<()> {
        let (disk, dropped) = DiskQueue::open(&self.folder, self.budget)?;
        if !std::mem::replace(&mut self.mark_read, true) {
            self.dropped += dropped;
        }
        disk.write_mark(self.dropped);
        self.disk = Some(disk);
        Ok(())
    }

    /// Writes what is in memory to the disk, unless some of it is in flight: what follows must come after it.
    fn write_memory(&mut self) -> io::Result<()> {
        if self.memory_in_flight > 0 {
            return Ok(());
        }
        if self.disk.is_none() {
            self.open_disk()?;
        }
        while let (Some(line), Some(disk)) = (self.memory.front(), &mut self.disk) {
            if let Err(error) = disk.append(line) {
                // A partial line that could not be cut off now is when the queue is opened again.
                if !disk.is_whole() {
                    self.disk = None;
                    self.in_flight.retain(|out| out.end.is_none());
                }
                return Err(error);
            }
            self.memory.pop_front();
            self.keep_budget();
        }
        Ok(())
    }

    /// Hands out the next record, in order, with a ticket by which it is acknowledged.
    pub fn next(&mut self) -> Option<(u64, String)> {
        while let Some(disk) = self.disk.as_mut().filter(|disk| disk.has_next()) {
            match disk.read() {
                Ok((line, end)) => return Some((self.hand_out(Some(end)), line)),
                // A segment that cannot be read any more must not block those behind it.
                Err(_) => {
                    let unreadable = disk.next_segment();
                    self.drop_segments(&[unreadable]);
                }
            }
        }
        let line = self.memory.get(self.memory_in_flight)?.clone();
        self.memory_in_flight += 1;
        Some((self.hand_out(None), line))
    }

    fn hand_out(&mut self, end: Option<LogPosition>) -> u64 {
        self.next_ticket += 1;
        self.in_flight.push_back(InFlight { ticket: self.next_ticket, acknowledged: false, end });
        self.next_ticket
    }

    /// The broker has acknowledged a record: it is deleted once all before it are acknowledged, too.
    pub fn acknowledge(&mut self, ticket: u64) {
        if let Some(out) = self.in_flight.iter_mut().find(|out| out.ticket == ticket) {
            out.acknowledged = true;
        }
        while self.in_flight.front().is_some_and(|out| out.acknowledged) {
            let end = self.in_flight.pop_front().and_then(|out| out.end);
            match (end, &mut self.disk) {
                (Some(end), Some(disk)) => disk.acknowledge(end, self.dropped),
                (Some(_), None) => {}
                (None, _) => {
                    self.memory.pop_front();
                    self.memory_in_flight = self.memory_in_flight.saturating_sub(1);
                }
            }
        }
    }

    /// The connection is lost: what is in flight is handed out again.
    pub fn rewind(&mut self) {
        self.in_flight.clear();
        self.memory_in_flight = 0;
        if let Some(disk) = &mut self.disk {
            disk.rewind();
        }
    }

    /// Records that the broker has not acknowledged.
    pub fn left(&self) -> u64 {
        self.memory.len() as u64 + self.disk.as_ref().map_or(0, DiskQueue::left)
    }

    /// Records that were dropped and not reported yet, also by an earlier run.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// So many dropped records were reported.
    pub fn mark_dropped_reported(&mut self, reported: u64) {
        self.dropped -= reported.min(self.dropped);
        if let Some(disk) = &self.disk {
            disk.write_mark(self.dropped);
        }
    }

    fn keep_budget(&mut self) {
        let Some(disk) = &self.disk else { return };
        let excess = disk.beyond(self.budget);
        self.drop_segments(&excess);
    }

    fn drop_segments(&mut self, segments: &[u64]) {
        let Some(disk) = &mut self.disk else { return };
        let gone: u64 = segments.iter().map(|segment| disk.remove(*segment)).sum();
        self.in_flight.retain(|out| out.end.is_none_or(|end| !segments.contains(&end.segment)));
        if gone > 0 {
            self.dropped += gone;
            disk.write_mark(self.dropped);
        }
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
