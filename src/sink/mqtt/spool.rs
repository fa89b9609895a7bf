//! Records on their way to the broker, on the disk from the moment they are told until the broker has acknowledged them.
//!
//! Where the disk takes nothing, the last records wait in memory.

use super::files::{FILES, LogPosition, SpoolFiles};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// Records that wait in memory where the disk takes none.
const IN_MEMORY: usize = 64;

/// The queue.
pub struct Spool {
    folder: PathBuf,
    budget: u64,
    /// `None` while it cannot be opened.
    disk: Option<SpoolFiles>,
    /// What the disk did not take. Newer than everything there.
    memory: VecDeque<String>,
    /// How many of these have been handed out.
    memory_out: usize,
    /// What was handed out and is not acknowledged, the oldest first.
    out: VecDeque<InFlight>,
    next_ticket: u64,
    /// Given up and not told yet.
    dropped: u64,
    /// Whether what an earlier run gave up is among them.
    knows_mark: bool,
}

/// A record that was handed out.
struct InFlight {
    ticket: u64,
    acknowledge: bool,
    /// Where it ends on the disk; `None` in memory.
    end: Option<LogPosition>,
}

impl Spool {
    /// Opens the queue in a folder, which is made where missing. `budget` is in bytes. Also gives what is wrong with the disk.
    ///
    /// # Errors
    /// Where another process has it.
    pub fn open(folder: &Path, budget: u64) -> io::Result<(Spool, Option<io::Error>)> {
        let mut spool = Spool {
            folder: folder.into(),
            budget,
            disk: None,
            memory: VecDeque::new(),
            memory_out: 0,
            out: VecDeque::new(),
            next_ticket: 0,
            dropped: 0,
            knows_mark: false,
        };
        match spool.open_disk() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => return Err(error),
            Err(error) => return Ok((spool, Some(error))),
        }
        Ok((spool, None))
    }

    /// Takes a record, one line of JSON without its end. It is on the disk then.
    ///
    /// # Errors
    /// Where the disk does not take it; it waits in memory.
    pub fn push(&mut self, line: String) -> io::Result<()> {
        self.memory.push_back(line);
        let written = self.empty_memory();
        while self.memory.len() > IN_MEMORY {
            self.memory.pop_front();
            self.dropped += 1;
            if self.memory_out > 0 {
                self.memory_out -= 1;
                // The first that was handed out from memory is the one that went.
                if let Some(at) = self.out.iter().position(|out| out.end.is_none()) {
                    self.out.remove(at);
                }
            }
        }
        written
    }

    fn open_disk(&mut self) -> io::Result<()> {
        let (disk, dropped) = SpoolFiles::open(&self.folder)?;
        if !std::mem::replace(&mut self.knows_mark, true) {
            self.dropped += dropped;
        }
        disk.write_mark(self.dropped);
        self.disk = Some(disk);
        Ok(())
    }

    /// Writes down what waits in memory, unless some of it is on its way: what follows must come after it.
    fn empty_memory(&mut self) -> io::Result<()> {
        if self.memory_out > 0 {
            return Ok(());
        }
        if self.disk.is_none() {
            self.open_disk()?;
        }
        while let (Some(line), Some(disk)) = (self.memory.front(), &mut self.disk) {
            if let Err(error) = disk.append(line, self.budget / FILES) {
                // What could not be cut off now is when it is opened again.
                if !disk.is_whole() {
                    self.disk = None;
                    self.out.retain(|out| out.end.is_none());
                }
                return Err(error);
            }
            self.memory.pop_front();
            self.keep_budget();
        }
        Ok(())
    }

    /// The next record, in order, with a ticket by which it is acknowledged.
    pub fn next(&mut self) -> Option<(u64, String)> {
        while let Some(disk) = self.disk.as_mut().filter(|disk| disk.has_next()) {
            match disk.read() {
                Ok((line, end)) => return Some((self.hand_out(Some(end)), line)),
                // A file that the disk cannot give back any more must not be in the way of those behind it.
                Err(_) => {
                    let unreadable = disk.next();
                    self.give_up(|number| number == unreadable);
                }
            }
        }
        let line = self.memory.get(self.memory_out)?.clone();
        self.memory_out += 1;
        Some((self.hand_out(None), line))
    }

    fn hand_out(&mut self, end: Option<LogPosition>) -> u64 {
        self.next_ticket += 1;
        self.out.push_back(InFlight { ticket: self.next_ticket, acknowledge: false, end });
        self.next_ticket
    }

    /// The broker has acknowledged a record: it is forgotten, once all before it are.
    pub fn acknowledge(&mut self, ticket: u64) {
        if let Some(out) = self.out.iter_mut().find(|out| out.ticket == ticket) {
            out.acknowledge = true;
        }
        while self.out.front().is_some_and(|out| out.acknowledge) {
            let end = self.out.pop_front().and_then(|out| out.end);
            match (end, &mut self.disk) {
                (Some(end), Some(disk)) => disk.forget(end, self.dropped),
                (Some(_), None) => {}
                (None, _) => {
                    self.memory.pop_front();
                    self.memory_out = self.memory_out.saturating_sub(1);
                }
            }
        }
    }

    /// The connection is gone: what was handed out and not acknowledged is handed out again.
    pub fn rewind(&mut self) {
        self.out.clear();
        self.memory_out = 0;
        if let Some(disk) = &mut self.disk {
            disk.rewind();
        }
    }

    /// Records that the broker has not acknowledged.
    pub fn left(&self) -> u64 {
        self.memory.len() as u64 + self.disk.as_ref().map_or(0, SpoolFiles::left)
    }

    /// Records that were given up and not told yet, also in a run that was cut.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// It was told that so many were given up.
    pub fn mark_dropped_reported(&mut self, told: u64) {
        self.dropped -= told.min(self.dropped);
        if let Some(disk) = &self.disk {
            disk.write_mark(self.dropped);
        }
    }

    fn keep_budget(&mut self) {
        let Some(disk) = &self.disk else { return };
        let keep = disk.first_within(self.budget);
        self.give_up(|number| number < keep);
    }

    /// Gives up files, by their numbers.
    fn give_up(&mut self, goes: impl Fn(u64) -> bool) {
        let Some(disk) = &mut self.disk else { return };
        let gone = disk.remove(&goes);
        self.out.retain(|out| out.end.is_none_or(|end| !goes(end.number)));
        if gone > 0 {
            self.dropped += gone;
            disk.write_mark(self.dropped);
        }
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
