//! The queue of records for the broker: on the disk from when they are enqueued until the broker has acknowledged them.
//!
//! While the disk takes nothing, the newest records are kept in memory.

use super::queue::{DiskQueue, LogPosition};
use crate::storage;
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
    /// Damaged by the disk and not reported yet.
    damaged: u64,
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
    /// If another process uses the folder, or a link or the like has the name of one of its files.
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
            damaged: 0,
        };
        match spool.open_disk() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy || storage::is_refusal(&error) => {
                return Err(error);
            }
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

    /// Whether records wait in memory, because the disk did not take them.
    pub fn has_memory(&self) -> bool {
        !self.memory.is_empty()
    }

    /// Enqueues those of the lines that were written to the record file, but never came here: the process was killed, or the
    /// disk was full, between the two.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn reconcile(&mut self, written: &[String]) -> io::Result<u64> {
        let Some(disk) = &self.disk else { return Ok(0) };
        let missing = disk.missing(written)?;
        missing.iter().try_for_each(|line| self.push(line.clone()))?;
        Ok(missing.len() as u64)
    }

    /// Writes what is in memory to the disk, also what is in flight from there.
    ///
    /// # Errors
    /// If the disk does not take all of it.
    pub fn write_memory(&mut self) -> io::Result<()> {
        let mut is_second_try = false;
        while let Some(line) = self.memory.front() {
            let Some(disk) = &mut self.disk else {
                self.open_disk()?;
                continue;
            };
            // Else what follows was not handed out yet, and goes first.
            let caught_up = !disk.has_next();
            match disk.append(line) {
                Ok(end) => {
                    self.memory.pop_front();
                    self.memory_in_flight_is_at(end, caught_up);
                    self.keep_budget();
                }
                // Others moved the file away: it is begun again.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_second_try => {
                    is_second_try = true;
                    self.disk = None;
                    self.in_flight.retain(|out| out.end.is_none());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The oldest record in flight from memory, if there is one, is on the disk now.
    fn memory_in_flight_is_at(&mut self, end: LogPosition, caught_up: bool) {
        if self.memory_in_flight == 0 {
            return;
        }
        self.memory_in_flight -= 1;
        let Some(at) = self.in_flight.iter().position(|out| out.end.is_none()) else { return };
        match &mut self.disk {
            Some(disk) if caught_up => {
                self.in_flight[at].end = Some(end);
                disk.pass(end);
            }
            // It is handed out again, behind what comes before it.
            _ => drop(self.in_flight.remove(at)),
        }
    }

    /// Hands out the next record, in order, with a ticket by which it is acknowledged.
    pub fn next(&mut self) -> Option<(u64, String)> {
        while let Some(disk) = self.disk.as_mut().filter(|disk| disk.has_next()) {
            match disk.read() {
                Ok((Some(line), end)) => return Some((self.hand_out(Some(end)), line)),
                Ok((None, end)) => {
                    let ticket = self.hand_out(Some(end));
                    self.pass_damaged(ticket);
                }
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

    /// What was handed out is no record: the disk damaged it.
    pub fn pass_damaged(&mut self, ticket: u64) {
        self.damaged += 1;
        self.acknowledge(ticket);
    }

    /// Damaged records since the last call.
    pub fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
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
