//! What happened, board by board, as the records tell it. Memory does not grow with the length of a log.
//!
//! ```text
//! entries, in the order of time --> Story --+-- which board? (host, run)
//!                                           +-- Board --+-- which run? --> Run --> Row, once it is over
//!                                                       +-- Series of Buckets, faults, worst frames …
//! ```

mod board;
mod bucket;
mod ending;
mod faults;
mod growth;
mod latency;
mod manager;
mod place;
mod run;
mod runs;
mod series;
mod status;
mod worst;

pub use board::Board;
pub use bucket::Bucket;
pub use ending::Ending;
pub use faults::{Fault, is_frozen};
pub use latency::{Latency, Percentiles};
pub use manager::Said;
pub use place::{Place, Seen};
pub use run::Break;
pub use series::Merge;
pub use status::{BINS, Frames, STAGES};
pub use worst::EventFrame;

use super::form::{Entry, Millis, Voice};
use super::input::{Hurt, Input, Merged};
use super::time_range::TimeRange;
use std::collections::HashMap;

/// Runs whose board is remembered.
const KNOWN: usize = 4096;
/// Boards that are told apart.
const BOARDS: usize = 256;

/// What happened.
pub struct Story {
    /// By board, in the order in which they were met.
    pub boards: Vec<Board>,
    /// What was read.
    pub inputs: Vec<Input>,
    range: TimeRange,
    /// The board of a run.
    runs: HashMap<Vec<u8>, usize>,
    /// The board that each input speaks of.
    speaking: Vec<Option<usize>>,
    /// The last time that each input told: that of lines without one, as a panic has none.
    now: Vec<Option<Millis>>,
}

impl Story {
    /// Reads all of `merged`; `progress` is told now and then how many stored bytes were read.
    pub fn read(mut merged: Merged, range: TimeRange, progress: &mut dyn FnMut(u64)) -> Story {
        let speaking = vec![None; merged.inputs.len()];
        // Files that were rotated speak of the same board.
        let families: Vec<String> = merged.inputs.iter().map(Input::family).collect();
        let now = vec![None; merged.inputs.len()];
        let mut story = Story { boards: Vec::new(), inputs: Vec::new(), range, runs: HashMap::new(), speaking, now };
        let mut entries = 0_u32;
        while let Some((input, entry)) = merged.next() {
            let (backwards, line) = (story.take(input, entry, &families[input]), entry.line);
            if backwards {
                merged.note(Hurt::Backwards, line);
            }
            entries = entries.wrapping_add(1);
            if entries.is_multiple_of(4096) {
                progress(merged.read_bytes());
            }
        }
        progress(merged.read_bytes());
        story.inputs = merged.inputs;
        for board in &mut story.boards {
            if let (false, Some(first)) = (board.named, board.first) {
                let input = &story.inputs[first.input as usize];
                board.name = format!("the board of {}", input.name);
            }
            board.close();
        }
        story.boards.retain(|board| !board.rows.is_empty());
        story
    }

    /// Takes in an entry; gives whether the clock goes backwards.
    fn take(&mut self, input: usize, entry: &Entry, name: &str) -> bool {
        self.now[input] = entry.time.or(self.now[input]);
        let time = if entry.voice == Voice::Record { entry.time } else { self.now[input] };
        let place = Place { input: input as u32, line: entry.line, time };
        let kind = entry.record();
        let after = |limit: Option<Millis>| limit.zip(time).is_some_and(|(limit, time)| time > limit);
        let before = |limit: Option<Millis>| limit.zip(time).is_some_and(|(limit, time)| time < limit);
        if after(self.range.until) {
            return false;
        }
        let Some(board) = self.board(input, entry, name) else { return false };
        let board = &mut self.boards[board];
        if before(self.range.since) {
            if entry.voice == Voice::Record {
                board.earlier(kind, entry, place);
            }
            return false;
        }
        match entry.voice {
            Voice::Record => return board.record(kind, entry, place),
            _ => board.outside(entry, place),
        }
        false
    }

    /// The board that an entry is of: that of its run, else of its host, else the one that the input speaks of.
    fn board(&mut self, input: usize, entry: &Entry, name: &str) -> Option<usize> {
        let is_start = matches!(entry.record(), b"start" | b"goes_on");
        let run = entry.fields.get("run").filter(|_| entry.voice == Voice::Record);
        if let Some(board) = run.filter(|_| !is_start).and_then(|run| self.runs.get(run)) {
            self.speaking[input] = Some(*board);
            return Some(*board);
        }
        let told = if is_start { entry.fields.text("host").unwrap_or_default() } else { Default::default() };
        let host = if told.is_empty() { entry.host.as_str() } else { &told };
        let board = if host.is_empty() {
            let known = run.and_then(|run| self.runs.get(run)).copied();
            match known.or(self.speaking[input]) {
                Some(board) => board,
                // The journal says that the machine was started, before anybody spoke.
                None if entry.voice != Voice::Record => return None,
                None => match self.boards.iter().position(|board| !board.named && board.name == name) {
                    Some(board) => board,
                    None => self.add(name, false),
                },
            }
        } else {
            match self.boards.iter().position(|board| board.named && board.name == host) {
                Some(board) => board,
                None if matches!(entry.voice, Voice::Kernel | Voice::Boot) => return None,
                None => match self.speaking[input].filter(|board| !self.boards[*board].named) {
                    // The log began in the middle of a run; now it says whose it is.
                    Some(board) => {
                        host.clone_into(&mut self.boards[board].name);
                        self.boards[board].named = true;
                        board
                    }
                    None => self.add(host, true),
                },
            }
        };
        self.speaking[input] = Some(board);
        if let Some(run) = run.filter(|run| run.len() <= 64) {
            if self.runs.len() >= KNOWN {
                self.runs.clear();
            }
            self.runs.insert(run.to_vec(), board);
        }
        Some(board)
    }

    fn add(&mut self, name: &str, named: bool) -> usize {
        if self.boards.len() >= BOARDS {
            return BOARDS - 1;
        }
        self.boards.push(Board::new(name.to_string(), named, self.range.since));
        self.boards.len() - 1
    }

    /// Frames by fate, over all boards.
    pub fn frames(&self) -> Frames {
        self.boards.iter().fold(Frames::default(), |sum, board| sum.plus(&board.frames))
    }

    /// The first and the last time.
    pub fn span(&self) -> Option<(Millis, Millis)> {
        let first = self.boards.iter().filter_map(|board| board.first?.time).min()?;
        let last = self.boards.iter().filter_map(|board| board.last?.time).max()?;
        Some((first, last))
    }
}
