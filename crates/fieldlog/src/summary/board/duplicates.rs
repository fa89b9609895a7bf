//! Removes duplicates: a log and `events.jsonl` hold the same records, and exports of a journal may overlap.

use crate::parser::{Entry, EntryKind, Millis};
use crate::summary::line_ref::LineRef;
use std::collections::VecDeque;

/// Entries that are remembered.
const REMEMBERED: usize = 256;
/// By how much the times of one entry in two inputs may differ, in milliseconds: the journal has the time of receipt, in
/// its short forms to the second, and the record itself when it was made.
const MAX_APART: Millis = 2000;
/// The same for a frame, which has a name: the record has the time of its capture.
const FRAMES_MAX_APART: Millis = 60_000;

/// FNV-1a.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Recent entries, so that an entry in several inputs counts once.
#[derive(Default)]
pub(super) struct DuplicateFilter {
    last: VecDeque<KnownEntry>,
}

struct KnownEntry {
    hash: u64,
    time: Millis,
    /// The inputs that contain it. An input contains an entry once: a repetition in the same input is another, similar entry.
    inputs: Vec<u32>,
}

impl DuplicateFilter {
    /// Whether an entry was seen before; remembers it if not.
    pub(super) fn is_duplicate(&mut self, entry: &Entry, line_ref: LineRef) -> bool {
        const IDENTIFYING: [&str; 12] = [
            "record",
            "run",
            "frame",
            "score",
            "fault",
            "state",
            "cause",
            "count",
            "review",
            "statistic",
            "reason",
            "rung",
        ];
        let Some(time) = line_ref.time else { return false };
        let hash = match entry.kind {
            EntryKind::Record => IDENTIFYING
                .iter()
                .fold(0_u64, |hash, key| hash.wrapping_mul(31).wrapping_add(entry.fields.get(key).map_or(0, fnv))),
            // Short forms set further lines of a message in, below the first.
            _ => fnv(entry.message.lines().next().unwrap_or_default().as_bytes()),
        };
        let apart = if entry.record() == b"event" { FRAMES_MAX_APART } else { MAX_APART };
        let same = |known: &&mut KnownEntry| {
            let elsewhere = !known.inputs.contains(&line_ref.input) && (known.time - time).abs() < apart;
            // Of files that were joined one input may hold it twice, if its times are finer than seconds.
            let twice = known.time == time && time % 1000 != 0;
            known.hash == hash && (twice || elsewhere)
        };
        if let Some(known) = self.last.iter_mut().find(same) {
            known.inputs.push(line_ref.input);
            return true;
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(KnownEntry { hash, time, inputs: vec![line_ref.input] });
        false
    }
}
