//! The parts of a run, as the threads share them. The lock is held for a few steps of computing, never while anything is read,
//! written or set.

use super::counts::{CountedProduct, PartCounts, PartRow, PartTable};
use super::ledger::{DecidedPart, PartLedger, WithoutFrame};
use super::outcome::{NoResultReason, PartOutcome, PartResult, PartVerdict};
use super::pulses::PulseCounts;
use super::reject::RejectCounts;
use super::unjudged::UnjudgedRun;
use crate::times::BEAT;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The result must be known so long before it must be on the lines: the thread that sets them wakes up and sets them in that time.
const WAKE_UP: Duration = Duration::from_millis(1);
/// An edge is in the kernel's queue so long after its time stamp, which an interrupt takes and a thread puts there.
const QUEUEING: Duration = Duration::from_millis(1);
/// How often a frame asks whether all edges before it are known.
const LOOK: Duration = Duration::from_micros(50);

/// Counts of what the lines showed, and of rejects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartLineCounts {
    /// Of results on the lines.
    pub pulses: PulseCounts,
    /// Of rejects.
    pub rejects: RejectCounts,
}

/// What can be told of the parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartStatus {
    /// Counts by result.
    pub counts: PartCounts,
    /// Counts of the lines.
    pub lines: PartLineCounts,
}

/// The parts of a run.
pub struct Parts {
    state: Mutex<PartState>,
    announced: Condvar,
    /// Wakes the thread that serves the lines.
    wake: OwnedFd,
    /// All edges until then are announced, in nanoseconds after [`Self::base`].
    known: AtomicU64,
    base: Instant,
    stopping: AtomicBool,
    beats: AtomicU64,
}

struct PartState {
    ledger: PartLedger,
    lines: PartLineCounts,
}

impl Parts {
    /// No part yet. The lines must show a part's result within `deadline` of its edge, `setup` after they are set. Parts count by
    /// product and shift; either list may be empty.
    ///
    /// # Errors
    /// Where the system has no file handle left.
    pub fn new(
        deadline: Duration,
        setup: Duration,
        products: Vec<CountedProduct>,
        shifts: Vec<String>,
    ) -> io::Result<Parts> {
        let window = deadline.saturating_sub(setup + WAKE_UP);
        let ledger = PartLedger::new(deadline, window, PartTable::new(products, shifts));
        Ok(Parts {
            state: Mutex::new(PartState { ledger, lines: PartLineCounts::default() }),
            announced: Condvar::new(),
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            known: AtomicU64::new(0),
            base: Instant::now(),
            stopping: AtomicBool::new(false),
            beats: AtomicU64::new(0),
        })
    }

    /// The ids go on from here; only before the first part.
    pub fn begin_at(&self, id: u64) {
        self.lock().ledger.begin_at(id);
    }

    /// The id of the next part.
    pub fn next_id(&self) -> u64 {
        self.lock().ledger.next_id()
    }

    /// What can be told of them.
    pub fn status(&self) -> PartStatus {
        let state = self.lock();
        PartStatus { counts: state.ledger.counts, lines: state.lines }
    }

    /// Results by product and shift.
    pub fn rows(&self) -> Vec<PartRow> {
        self.lock().ledger.table.rows()
    }

    /// From now on parts count under this shift.
    pub fn set_shift(&self, shift: usize) {
        self.lock().ledger.table.set_shift(shift);
    }

    /// Parts count under the product of this code, until one is judged as another.
    pub fn set_product(&self, code: Option<u16>) {
        self.lock().ledger.table.set_product(code);
    }

    /// Moves the runs of parts without a verdict that are not recorded yet to `into`, which must have room for all; returns the
    /// number of parts that are in none. `None` where the oldest is younger than `age`.
    pub fn take_unjudged(&self, age: Duration, into: &mut Vec<UnjudgedRun>) -> Option<u64> {
        let mut state = self.lock();
        let is_due = state.ledger.unjudged.since().is_some_and(|since| since.elapsed() >= age);
        is_due.then(|| state.ledger.unjudged.take(into))
    }

    /// The edge of the oldest part that waits for a frame; waits for `patience` where there is none.
    pub fn wanted(&self, patience: Duration) -> Option<Instant> {
        let none = |state: &mut PartState| state.ledger.wanted().is_none();
        let waited = self.announced.wait_timeout_while(self.lock(), patience, none);
        waited.unwrap_or_else(PoisonError::into_inner).0.ledger.wanted()
    }

    /// Takes a frame for the part that was before the lens when it was captured; `None` where there is none, or the part has had
    /// its frame.
    pub fn claim(self: &Arc<Self>, captured: Instant) -> Option<PartTicket> {
        if !self.wait_until_known(captured) {
            return None;
        }
        let id = self.lock().ledger.claim(captured, Instant::now());
        // Parts before it may have been overtaken.
        self.wake();
        Some(PartTicket { id: id?, parts: Some(Arc::clone(self)) })
    }

    /// Parts for which no frame was taken since the last time.
    pub fn take_without_frame(&self) -> WithoutFrame {
        std::mem::take(&mut self.lock().ledger.without_frame)
    }

    /// Whether the thread that serves the lines has worked since `seen`, which is updated.
    pub fn has_beaten(&self, seen: &mut u64) -> bool {
        let beats = self.beats.load(Relaxed);
        std::mem::replace(seen, beats) != beats
    }

    /// Waits until all edges up to `captured` are announced: an edge that is only in the kernel's queue could claim the frame.
    fn wait_until_known(&self, captured: Instant) -> bool {
        let begun = Instant::now();
        let needed = captured.min(begun).saturating_duration_since(self.base).as_nanos() as u64;
        while self.known.load(Acquire) < needed {
            if begun.elapsed() > BEAT {
                return false;
            }
            self.wake();
            std::thread::sleep(LOOK);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, PartState> {
        // Counts and states are whole after each step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // It only fails where it is awake for long.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

/// For the thread that serves the lines.
impl Parts {
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Relaxed);
    }

    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// It is awake.
    pub(super) fn clear_wake(&self) {
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }

    /// Edges were read: each with the number of those that were lost before it, and the encoder's count. The queue was empty at `known`.
    pub(super) fn announce(&self, edges: impl Iterator<Item = (Instant, u64, u64)>, known: Option<Instant>) {
        let (mut any, now) = (false, Instant::now());
        let mut state = self.lock();
        for (at, lost, position) in edges {
            any = true;
            if lost > 0 {
                state.ledger.announce_lost(lost, at, position, now);
            }
            state.ledger.announce(at, position, now);
        }
        drop(state);
        if let Some(known) = known {
            let known = known.checked_sub(QUEUEING).unwrap_or(self.base);
            self.known.store(known.saturating_duration_since(self.base).as_nanos() as u64, Release);
        }
        if any {
            self.announced.notify_all();
        }
    }

    /// Closes the windows that are over, hands what is decided to `show`, and returns when the next window closes.
    pub(super) fn serve(&self, now: Instant, mut show: impl FnMut(DecidedPart)) -> Option<Instant> {
        let mut state = self.lock();
        state.ledger.expire(now);
        while let Some(part) = state.ledger.take_decided() {
            show(part);
        }
        state.ledger.next_expiry()
    }

    /// No part in flight gets a verdict any more.
    pub(super) fn end(&self, now: Instant) {
        self.lock().ledger.stop(now);
    }

    pub(super) fn set_lines(&self, lines: PartLineCounts) {
        self.lock().lines = lines;
    }

    pub(super) fn ask_to_stop(&self) {
        self.stopping.store(true, Release);
        self.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Acquire)
    }
}

/// Travels with a frame from capture to verdict. A frame that is dropped on the way leaves its part without a result at once.
#[derive(Debug)]
pub struct PartTicket {
    id: u64,
    /// `None` once the part has its result.
    parts: Option<Arc<Parts>>,
}

impl PartTicket {
    /// The part.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its frame was judged; returns the result that the part gets by that, or has got before.
    pub fn judge(mut self, verdict: PartVerdict, now: Instant) -> PartOutcome {
        let late = PartOutcome { id: self.id, result: PartResult::NoResult, reason: Some(NoResultReason::Late) };
        let Some(parts) = self.parts.take() else { return late };
        let outcome = parts.lock().ledger.judge(self.id, verdict, now);
        parts.wake();
        outcome
    }

    /// Its frame cannot be judged.
    pub fn fail(mut self, reason: NoResultReason) {
        self.settle(reason);
    }

    fn settle(&mut self, reason: NoResultReason) {
        if let Some(parts) = self.parts.take() {
            parts.lock().ledger.fail(self.id, reason, Instant::now());
            parts.wake();
        }
    }
}

impl Drop for PartTicket {
    fn drop(&mut self) {
        self.settle(NoResultReason::Dropped);
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}
