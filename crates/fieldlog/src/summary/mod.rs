//! Summarizes the entries by board and run. Memory does not grow with the length of a log.
//!
//! ```text
//! entries, in the order of time --> Summary --+-- which board? (host and camera, run)
//!                                             +-- Board --+-- which run? --> Run --> RunSummary, once it has ended
//!                                                         +-- Series of Buckets, faults, notable frames …
//! ```

mod board;
mod bucket;
mod event_numbers;
mod exit_reason;
mod faults;
mod latency;
mod line_ref;
mod memory_trend;
mod notable_frames;
mod run;
mod run_list;
mod series;
mod status;
mod system_event;

pub use board::{Board, Taken};
pub use bucket::Bucket;
pub use exit_reason::ExitReason;
pub use faults::{Fault, OTHER_KINDS, is_frozen};
pub use latency::{Latency, Percentiles};
pub use line_ref::{LineRef, Occurrences};
pub use notable_frames::EventFrame;
pub use run::Discontinuity;
pub use series::Merge;
pub use status::{BINS, FrameCounts, SEVEREST, STAGES};
pub use system_event::SystemEvent;

use super::input::DamageKind;
use super::merge::{Input, MergedReader};
use super::parser::{Entry, EntryKind, Millis};
use super::time_range::TimeRange;
use std::collections::HashMap;

/// Runs whose board is remembered.
const KNOWN: usize = 4096;
/// Boards that are distinguished.
const BOARDS: usize = 256;

/// What further boards count as, together.
const OTHER_BOARDS: &str = "other boards";
/// The longest name of a host is 64 bytes on Linux.
const HOST: usize = 255;

/// What happened.
pub struct Summary {
    /// By board, in the order of their first lines.
    pub boards: Vec<Board>,
    /// What was read.
    pub inputs: Vec<Input>,
    range: TimeRange,
    /// The board of a run.
    runs: HashMap<Vec<u8>, usize>,
    /// The board of each input's last entry.
    current_board: Vec<Option<usize>>,
    /// The last time in each input, for lines without one, such as a panic.
    now: Vec<Option<Millis>>,
}

impl Summary {
    /// Reads all of `merged`; `progress` is called from time to time with the number of stored bytes that were read.
    pub fn read(mut merged: MergedReader, range: TimeRange, progress: &mut dyn FnMut(u64)) -> Summary {
        let current_board = vec![None; merged.inputs.len()];
        // Rotated files belong to the same board.
        let families: Vec<String> = merged.inputs.iter().map(Input::family).collect();
        let now = vec![None; merged.inputs.len()];
        let mut summary =
            Summary { boards: Vec::new(), inputs: Vec::new(), range, runs: HashMap::new(), current_board, now };
        let mut entries = 0_u32;
        while let Some((input, entry)) = merged.next() {
            let (taken, line) = (summary.take(input, entry, &families[input]), entry.line);
            if taken.backwards {
                merged.note(DamageKind::ClockBackwards, line);
            }
            if let Some(other) = taken.seen_in {
                merged.note_repeated(input, other as usize);
            }
            entries = entries.wrapping_add(1);
            if entries.is_multiple_of(4096) {
                progress(merged.read_bytes());
            }
        }
        progress(merged.read_bytes());
        summary.inputs = merged.finish();
        for board in &mut summary.boards {
            if let (false, Some(first)) = (board.named, board.first) {
                let input = &summary.inputs[first.input as usize];
                board.name = format!("the board of {}", input.name);
            }
            board.finish();
        }
        summary.boards.retain(|board| !board.runs.is_empty());
        summary
    }

    /// Adds an entry.
    fn take(&mut self, input: usize, entry: &Entry, name: &str) -> Taken {
        self.now[input] = entry.time.or(self.now[input]);
        let time = if entry.kind == EntryKind::Record { entry.time } else { self.now[input] };
        let line_ref = LineRef { input: input as u32, line: entry.line, time };
        let kind = entry.record();
        let after = |limit: Option<Millis>| limit.zip(time).is_some_and(|(limit, time)| time > limit);
        let before = |limit: Option<Millis>| limit.zip(time).is_some_and(|(limit, time)| time < limit);
        if after(self.range.until) {
            return Taken::default();
        }
        let Some(board) = self.board(input, entry, name) else { return Taken::default() };
        let board = &mut self.boards[board];
        if before(self.range.since) {
            if entry.kind == EntryKind::Record {
                board.record_before_range(kind, entry, line_ref);
            }
            return Taken::default();
        }
        match entry.kind {
            EntryKind::Record => board.record(kind, entry, line_ref),
            _ => Taken { backwards: false, seen_in: board.message(entry, line_ref) },
        }
    }

    /// The board of an entry: that of its run, else of its host, else of the previous entry in the input.
    fn board(&mut self, input: usize, entry: &Entry, name: &str) -> Option<usize> {
        let is_start = matches!(entry.record(), b"start" | b"goes_on");
        let run = entry.fields.get("run").filter(|_| entry.kind == EntryKind::Record);
        if let Some(board) = run.filter(|_| !is_start).and_then(|run| self.runs.get(run)) {
            self.current_board[input] = Some(*board);
            return Some(*board);
        }
        let host_field = if is_start { entry.fields.short_text("host") } else { String::new() };
        let host = if host_field.is_empty() { entry.host.as_str() } else { &host_field };
        let host = &host[..host.floor_char_boundary(HOST)];
        // Each camera of a board has a story of its own.
        let of_camera = camera(entry).map(|camera| format!("{host}/{camera}")).filter(|_| !host.is_empty());
        let host = of_camera.as_deref().unwrap_or(host);
        let board = if host.is_empty() {
            let known = run.and_then(|run| self.runs.get(run)).copied();
            match known.or(self.current_board[input]) {
                Some(board) => board,
                // The journal reports a boot before the first record.
                None if entry.kind != EntryKind::Record => return None,
                None => match self.boards.iter().position(|board| !board.named && board.name == name) {
                    Some(board) => board,
                    None => self.add(name, false),
                },
            }
        } else {
            match self.boards.iter().position(|board| board.named && board.name == host) {
                Some(board) => board,
                None if matches!(entry.kind, EntryKind::Kernel | EntryKind::Boot) => return None,
                None => match self.current_board[input].filter(|board| !self.boards[*board].named) {
                    // The log began in the middle of a run; now the host is known.
                    Some(board) => {
                        host.clone_into(&mut self.boards[board].name);
                        self.boards[board].named = true;
                        board
                    }
                    None => self.add(host, true),
                },
            }
        };
        self.current_board[input] = Some(board);
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
        // The last one stands for all that come after it.
        let (name, named) = if self.boards.len() == BOARDS - 1 { (OTHER_BOARDS, true) } else { (name, named) };
        self.boards.push(Board::new(name.to_string(), named, self.range.since));
        self.boards.len() - 1
    }

    /// Frames by fate, over all boards.
    pub fn frames(&self) -> FrameCounts {
        self.boards.iter().fold(FrameCounts::default(), |sum, board| sum.plus(&board.frames))
    }

    /// The first and the last time.
    pub fn span(&self) -> Option<(Millis, Millis)> {
        let first = self.boards.iter().filter_map(|board| board.first?.time).min()?;
        let last = self.boards.iter().filter_map(|board| board.last?.time).max()?;
        Some((first, last))
    }
}

/// The name of the camera that a record is about, where the board has several.
fn camera(entry: &Entry) -> Option<String> {
    const LONGEST: usize = 64;
    // Of the only camera this one has the device's name there.
    let is_device = entry.record() == b"camera_streams" && entry.fields.get("device").is_none();
    let name = entry.fields.get("camera").filter(|name| !is_device && !name.is_empty() && name.len() <= LONGEST)?;
    (entry.kind == EntryKind::Record).then(|| String::from_utf8_lossy(name).into_owned())
}
