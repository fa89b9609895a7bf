//! Parts without a verdict, on their way to the records: runs of them with the same reason are one, so that a camera that is away
//! for a night is no flood.

use super::outcome::NoResultReason;
use std::time::Instant;

/// Runs that may wait; a second takes far fewer.
const ROOM: usize = 64;

/// Parts in a row that have no result, for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnjudgedRun {
    /// The first of them.
    pub first: u64,
    /// How many they are.
    pub count: u64,
    /// Why.
    pub reason: NoResultReason,
    /// When the first of them got its result.
    pub since: Instant,
}

/// Runs that are not recorded yet. Of the oldest for which there is no room only the number of parts is kept.
#[derive(Debug)]
pub(super) struct UnjudgedParts {
    runs: Vec<UnjudgedRun>,
    forgotten: u64,
}

impl Default for UnjudgedParts {
    fn default() -> Self {
        UnjudgedParts { runs: Vec::with_capacity(ROOM), forgotten: 0 }
    }
}

impl UnjudgedParts {
    pub fn add(&mut self, first: u64, count: u64, reason: NoResultReason, now: Instant) {
        let has_room = self.runs.len() < ROOM;
        match self.runs.last_mut() {
            Some(last) if last.reason == reason && last.first + last.count == first => last.count += count,
            _ if has_room => self.runs.push(UnjudgedRun { first, count, reason, since: now }),
            _ => self.forgotten += count,
        }
    }

    /// Moves all runs to `into`, which has room for them, and returns the number of parts that are in none.
    pub fn take(&mut self, into: &mut Vec<UnjudgedRun>) -> u64 {
        into.clear();
        into.append(&mut self.runs);
        std::mem::take(&mut self.forgotten)
    }

    /// When the first run that waits began.
    pub fn since(&self) -> Option<Instant> {
        self.runs.first().map(|run| run.since)
    }
}
