//! Which part gets which result: a state machine that knows neither threads nor clocks. Every event comes with its time.
//!
//! - An edge of the trigger announces a part. Parts are numbered in the order of their edges, those whose edge the kernel lost
//!   included.
//! - A frame belongs to the part whose edge is the newest at or before its capture, and only the first such frame counts. So no
//!   part gets the verdict on another one, however fast the edges come: a part that is followed by the next one before a frame
//!   was captured is overtaken.
//! - A part without a verdict when its window closes has no result. What is said of it later counts as late and changes nothing.
//! - Results come out in the order of the parts: a part that is decided waits for those before it, none of which waits longer than
//!   its own window.

use super::counts::{PartCounts, PartTable};
use super::outcome::{NoResultReason, PartOutcome, PartResult, PartVerdict};
use super::unjudged::UnjudgedParts;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Parts that may be in flight: with 200 a second, those of five seconds.
pub const MAX_IN_FLIGHT: usize = 1024;
/// Lost edges in a row that are given results of their own; if there were more the line has not been served for minutes.
const MAX_LOST: u64 = MAX_IN_FLIGHT as u64 / 2;

/// A part that has got its result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecidedPart {
    /// Its result.
    pub outcome: PartOutcome,
    /// What was said of its frame; nothing where it has no result.
    pub verdict: Option<PartVerdict>,
    /// The code of the product that it counts under.
    pub product: Option<u16>,
    /// Its edge.
    pub at: Instant,
    /// When the lines must show it at the latest.
    pub due: Instant,
    /// The encoder's count at its edge.
    pub position: u64,
}

/// The parts of a run.
pub(super) struct PartLedger {
    /// From the edge until the lines must show the result.
    deadline: Duration,
    /// From the edge until the result must be known.
    window: Duration,
    /// The id of the first of [`Self::parts`].
    first: u64,
    /// In flight, in the order of their edges.
    parts: VecDeque<Part>,
    /// With a result that the lines have not got yet.
    decided: VecDeque<DecidedPart>,
    /// The newest edge.
    newest: Option<Instant>,
    pub counts: PartCounts,
    pub table: PartTable,
    pub unjudged: UnjudgedParts,
    pub without_frame: WithoutFrame,
}

/// Parts for which no frame was taken, since the source asked last: it counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WithoutFrame {
    /// Another part was there first.
    pub passed_over: u64,
    /// None came in time.
    pub expired: u64,
}

type Decision = Result<PartVerdict, NoResultReason>;

struct Part {
    at: Instant,
    position: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// For its frame.
    Waiting,
    /// For the verdict on its frame.
    Taken,
    Decided(Decision),
}

impl PartLedger {
    /// No part yet. A part's result must be known within `window` of its edge, and on the lines within `deadline`.
    pub fn new(deadline: Duration, window: Duration, table: PartTable) -> PartLedger {
        PartLedger {
            deadline,
            window: window.min(deadline),
            first: 1,
            parts: VecDeque::with_capacity(MAX_IN_FLIGHT),
            decided: VecDeque::with_capacity(2 * MAX_IN_FLIGHT),
            newest: None,
            counts: PartCounts::default(),
            table,
            unjudged: UnjudgedParts::default(),
            without_frame: WithoutFrame::default(),
        }
    }

    /// The id of the next part.
    pub fn next_id(&self) -> u64 {
        self.first + self.parts.len() as u64
    }

    /// The ids go on from here; only before the first part.
    pub fn begin_at(&mut self, id: u64) {
        if self.counts.parts == 0 {
            self.first = id;
        }
    }

    /// An edge announced a part, while the encoder stood at `position`; returns its id.
    pub fn announce(&mut self, at: Instant, position: u64, now: Instant) -> u64 {
        if self.parts.len() >= MAX_IN_FLIGHT {
            // The oldest is not waited for any longer, so that it keeps its place.
            self.decide(0, Err(NoResultReason::TooMany));
            self.release(now);
        }
        // Edges of one line are in order; what their time stamps lose to rounding does not matter.
        let at = self.newest.map_or(at, |newest| newest.max(at));
        self.newest = Some(at);
        let id = self.next_id();
        self.parts.push_back(Part { at, position, state: State::Waiting });
        self.counts.parts += 1;
        self.counts.in_flight += 1;
        id
    }

    /// The kernel lost so many edges before the one at `at`. Their parts have no result. Of more than the lines could ever show, the
    /// last get one; the others keep their ids and are counted.
    pub fn announce_lost(&mut self, count: u64, at: Instant, position: u64, now: Instant) {
        let unshown = count.saturating_sub(MAX_LOST);
        if unshown > 0 {
            self.decide_all(NoResultReason::EdgeLost);
            self.release(now);
            self.counts.parts += unshown;
            self.counts.results[PartResult::NoResult as usize] += unshown;
            self.table.add(PartResult::NoResult, unshown);
            self.unjudged.add(self.first, unshown, NoResultReason::EdgeLost, now);
            self.without_frame.passed_over += unshown;
            self.first += unshown;
        }
        for _ in unshown..count {
            self.announce(at, position, now);
            self.decide(self.parts.len() - 1, Err(NoResultReason::EdgeLost));
            self.release(now);
        }
    }

    /// The part of a frame that was captured at a time, where it is the first of one that waits. Older parts that wait are overtaken.
    /// To be called once all edges up to that time are announced.
    pub fn claim(&mut self, captured: Instant, now: Instant) -> Option<u64> {
        self.expire(now);
        let owner = self.parts.partition_point(|part| part.at <= captured).checked_sub(1)?;
        for at in 0..owner {
            if self.parts[at].state == State::Waiting {
                self.decide(at, Err(NoResultReason::Overtaken));
            }
        }
        let is_first = self.parts[owner].state == State::Waiting;
        if is_first {
            self.parts[owner].state = State::Taken;
        }
        let id = self.first + owner as u64;
        self.release(now);
        is_first.then_some(id)
    }

    /// The verdict on a part's frame; returns the result that the part gets by it, or has got before.
    pub fn judge(&mut self, id: u64, verdict: PartVerdict, now: Instant) -> PartOutcome {
        self.expire(now);
        let Some(at) = self.pending(id) else {
            self.counts.late += 1;
            return outcome(id, Err(NoResultReason::Late));
        };
        self.decide(at, Ok(verdict));
        self.release(now);
        outcome(id, Ok(verdict))
    }

    /// There will be no verdict on a part.
    pub fn fail(&mut self, id: u64, reason: NoResultReason, now: Instant) {
        self.expire(now);
        if let Some(at) = self.pending(id) {
            self.decide(at, Err(reason));
            self.release(now);
        }
    }

    /// Parts whose window has closed have no result.
    pub fn expire(&mut self, now: Instant) {
        for at in 0..self.parts.len() {
            let part = &self.parts[at];
            if part.at + self.window > now {
                break;
            }
            let reason = if part.state == State::Waiting { NoResultReason::NoFrame } else { NoResultReason::Late };
            self.decide(at, Err(reason));
        }
        self.release(now);
    }

    /// The run ends: no part in flight is judged any more.
    pub fn stop(&mut self, now: Instant) {
        self.decide_all(NoResultReason::Stopped);
        self.release(now);
    }

    /// The edge of the oldest part that waits for a frame.
    pub fn wanted(&self) -> Option<Instant> {
        self.parts.iter().find(|part| part.state == State::Waiting).map(|part| part.at)
    }

    /// When the next window closes.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.parts.iter().find(|part| !matches!(part.state, State::Decided(..))).map(|part| part.at + self.window)
    }

    /// The next part, in order, that has got its result.
    pub fn take_decided(&mut self) -> Option<DecidedPart> {
        self.decided.pop_front()
    }

    /// Where the part stands that has no result yet.
    fn pending(&self, id: u64) -> Option<usize> {
        let at = usize::try_from(id.checked_sub(self.first)?).ok()?;
        let part = self.parts.get(at)?;
        (!matches!(part.state, State::Decided(..))).then_some(at)
    }

    /// Decides about a part unless that was done before.
    fn decide(&mut self, at: usize, decision: Decision) {
        let state = &mut self.parts[at].state;
        if matches!(state, State::Decided(..)) {
            return;
        }
        if *state == State::Waiting {
            match decision {
                Err(NoResultReason::NoFrame | NoResultReason::Stopped) => self.without_frame.expired += 1,
                _ => self.without_frame.passed_over += 1,
            }
        }
        *state = State::Decided(decision);
    }

    fn decide_all(&mut self, reason: NoResultReason) {
        for at in 0..self.parts.len() {
            self.decide(at, Err(reason));
        }
    }

    /// Lets the parts go that are decided and have no undecided one before them.
    fn release(&mut self, now: Instant) {
        while let Some(&Part { at, position, state: State::Decided(decision) }) = self.parts.front() {
            let outcome = outcome(self.first, decision);
            self.parts.pop_front();
            self.first += 1;
            self.counts.in_flight -= 1;
            self.counts.results[outcome.result as usize] += 1;
            if let Ok(verdict) = decision {
                self.table.set_product(verdict.product);
            }
            self.table.add(outcome.result, 1);
            if let Some(reason) = outcome.reason {
                self.unjudged.add(outcome.id, 1, reason, now);
            }
            let (verdict, product, due) = (decision.ok(), self.table.product(), at + self.deadline);
            self.decided.push_back(DecidedPart { outcome, verdict, product, at, due, position });
        }
    }
}

fn outcome(id: u64, decision: Decision) -> PartOutcome {
    let (result, reason) = match decision {
        Ok(PartVerdict { defect: false, .. }) => (PartResult::Ok, None),
        Ok(PartVerdict { defect: true, .. }) => (PartResult::Nok, None),
        Err(reason) => (PartResult::NoResult, Some(reason)),
    };
    PartOutcome { id, result, reason }
}
