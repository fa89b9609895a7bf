//! The ejector: bad parts are on their way to it, and it is set when they are there.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bad parts that may be on their way.
pub const MAX_REJECTS: usize = 256;

/// How far the ejector is from the trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectDistance {
    /// In time.
    Time(Duration),
    /// In edges of an encoder.
    Edges(u64),
}

/// Counts of rejects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RejectCounts {
    /// The line was set for so many parts.
    pub given: u64,
    /// So many had passed the ejector when their result was known.
    pub late: u64,
    /// For so many there was no room, or the run ended while they were on their way.
    pub lost: u64,
    /// So many are on their way.
    pub pending: u64,
}

/// Bad parts on their way to the ejector.
pub(super) struct RejectQueue {
    distance: RejectDistance,
    pulse: Duration,
    pending: VecDeque<Place>,
    /// The line is on until then.
    until: Option<Instant>,
    pub counts: RejectCounts,
}

/// When or where a part is at the ejector.
#[derive(Debug, Clone, Copy)]
enum Place {
    At(Instant),
    Count(u64),
}

impl Place {
    fn is_reached(self, now: Instant, position: u64) -> bool {
        match self {
            Place::At(time) => now >= time,
            Place::Count(count) => position >= count,
        }
    }

    fn is_passed(self, now: Instant, position: u64) -> bool {
        match self {
            Place::At(time) => now > time,
            Place::Count(count) => position > count,
        }
    }
}

impl RejectQueue {
    pub fn new(distance: RejectDistance, pulse: Duration) -> RejectQueue {
        let (pending, counts) = (VecDeque::with_capacity(MAX_REJECTS), RejectCounts::default());
        RejectQueue { distance, pulse, pending, until: None, counts }
    }

    /// A part is bad whose edge was at `at`, when the encoder stood at `then`; it stands at `position` now. One that has passed the
    /// ejector is only counted: to set the line now would hit another part.
    pub fn push(&mut self, at: Instant, then: u64, now: Instant, position: u64) {
        let place = match self.distance {
            RejectDistance::Time(delay) => Place::At(at + delay),
            RejectDistance::Edges(edges) => Place::Count(then.saturating_add(edges)),
        };
        if place.is_passed(now, position) {
            self.counts.late += 1;
        } else if self.pending.len() >= MAX_REJECTS {
            self.counts.lost += 1;
        } else {
            self.pending.push_back(place);
            self.counts.pending += 1;
        }
    }

    /// Whether the line is to be on.
    pub fn tick(&mut self, now: Instant, position: u64) -> bool {
        while self.pending.front().is_some_and(|place| place.is_reached(now, position)) {
            self.pending.pop_front();
            self.counts.pending -= 1;
            self.counts.given += 1;
            self.until = Some(now + self.pulse);
        }
        if self.until.is_some_and(|until| now >= until) {
            self.until = None;
        }
        self.until.is_some()
    }

    /// When [`Self::tick`] has something to do; edges of the encoder come of their own.
    pub fn next(&self) -> Option<Instant> {
        let due = match self.pending.front() {
            Some(Place::At(time)) => Some(*time),
            _ => None,
        };
        [due, self.until].into_iter().flatten().min()
    }

    /// The run ends: what is on its way is not rejected.
    pub fn stop(&mut self) {
        self.counts.lost += std::mem::take(&mut self.counts.pending);
        self.pending.clear();
        self.until = None;
    }
}
