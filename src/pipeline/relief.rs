//! What the threads leave out while the board is too hot: told by whoever looks after the run, seen by each thread.

use crate::board::heat::Rung;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait for an inspection that goes on, before looking again.
const MOMENT: Duration = Duration::from_millis(5);

/// What is given up now; nothing at first.
#[derive(Debug)]
pub struct Relief {
    /// The share of frames that is inspected on the rung `rate`: one in so many.
    one_in: u32,
    /// The same, as it holds now: 1 while the rate is not lowered.
    every: AtomicU32,
    only_defects: AtomicBool,
    smaller: AtomicBool,
    turn: Mutex<Turn>,
}

/// Whose turn it is while the rate is lowered.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    /// Frames that were left out since the last one that was not.
    left_out: u32,
    /// A frame was let through and has not been inspected yet.
    busy: bool,
    /// No frame before.
    rest_until: Option<Instant>,
}

impl Default for Relief {
    fn default() -> Self {
        Relief::new(2)
    }
}

impl Relief {
    /// Of `one_in` frames one is inspected while the rate is lowered.
    pub fn new(one_in: u32) -> Relief {
        Relief {
            one_in: one_in.max(1),
            every: AtomicU32::new(1),
            only_defects: AtomicBool::default(),
            smaller: AtomicBool::default(),
            turn: Mutex::default(),
        }
    }

    /// Gives up these, and no others.
    pub fn give_up(&self, rungs: &[Rung]) {
        self.every.store(if rungs.contains(&Rung::Rate) { self.one_in } else { 1 }, Relaxed);
        self.only_defects.store(rungs.contains(&Rung::Spots), Relaxed);
        self.smaller.store(rungs.contains(&Rung::Size), Relaxed);
    }

    /// Whether the whole of a frame is enlarged only where it has a defect.
    pub(super) fn only_defects(&self) -> bool {
        self.only_defects.load(Relaxed)
    }

    /// Whether frames are to be smaller.
    pub(super) fn smaller(&self) -> bool {
        self.smaller.load(Relaxed)
    }

    /// Whether a frame of a live source that came now is left out: every n-th is inspected, and no more than an n-th of the
    /// time is spent on inspecting. The second is for a board that is slower than its camera: there, every n-th frame would
    /// still be all that it can do.
    pub(super) fn leaves_out(&self, now: Instant) -> bool {
        let every = self.every.load(Relaxed);
        let mut turn = self.turn();
        if every == 1 {
            *turn = Turn::default();
            return false;
        }
        let out = turn.busy || turn.left_out + 1 < every || turn.rest_until.is_some_and(|until| now < until);
        turn.left_out = if out { turn.left_out.saturating_add(1) } else { 0 };
        turn.busy |= !out;
        out
    }

    /// How long a source without a pace of its own, of which no frame is left out, has to wait at least before it gives the
    /// next one: no more than an n-th of the time is spent on inspecting.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        let every = self.every.load(Relaxed);
        let mut turn = self.turn();
        if every == 1 {
            *turn = Turn::default();
        }
        match turn.rest_until {
            _ if turn.busy => MOMENT,
            Some(until) => until.saturating_duration_since(now),
            None => Duration::ZERO,
        }
    }

    /// Notes that such a source is about to give a frame.
    pub(super) fn gives(&self) {
        self.turn().busy = self.every.load(Relaxed) > 1;
    }

    /// Notes when inspection of a frame began and that it is over now.
    pub(super) fn inspected(&self, begun: Instant, now: Instant) {
        let every = self.every.load(Relaxed);
        let mut turn = self.turn();
        turn.busy = false;
        turn.rest_until = (every > 1).then(|| begun + (now - begun) * every);
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Three plain values: whatever a panicking thread left is good enough.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the frames that come every `frame` ms are inspected in 12 s, where that takes `inspection` ms.
    fn inspected(relief: &Relief, frame: u64, inspection: u64) -> u64 {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut count, mut waiting, mut busy) = (0, None, None);
        for ms in 0..12_000 {
            if busy.is_some_and(|begun| begun + inspection <= ms) {
                relief.inspected(at(busy.take().unwrap()), at(ms));
                count += 1;
            }
            if ms % frame == 0 && !relief.leaves_out(at(ms)) {
                waiting = Some(ms);
            }
            if busy.is_none() && waiting.take().is_some() {
                busy = Some(ms);
            }
        }
        count
    }

    #[test]
    fn the_rate_falls_to_its_share_whether_camera_or_board_is_the_slower() {
        for (frame, inspection) in [(100, 20), (100, 99), (40, 100), (10, 100), (33, 33)] {
            let full = inspected(&Relief::new(3), frame, inspection);
            let relief = Relief::new(3);
            relief.give_up(&[Rung::Rate]);
            let lowered = inspected(&relief, frame, inspection);
            let share = lowered as f64 / full as f64;
            assert!((0.28..=0.345).contains(&share), "{frame} ms, {inspection} ms: {lowered} of {full}");
            // And back.
            relief.give_up(&[]);
            assert_eq!(inspected(&relief, frame, inspection).abs_diff(full) / 2, 0);
        }
    }

    #[test]
    fn a_source_that_waits_rests_instead_of_leaving_out() {
        let (relief, start) = (Relief::new(4), Instant::now());
        let ms = Duration::from_millis;
        relief.inspected(start, start + ms(10));
        assert_eq!(relief.rest(start + ms(10)), Duration::ZERO);
        relief.give_up(&[Rung::Rate]);
        assert_eq!(relief.rest(start + ms(10)), Duration::ZERO, "nothing was inspected since");
        relief.inspected(start + ms(10), start + ms(20));
        assert_eq!(relief.rest(start + ms(20)), ms(30));
        assert_eq!(relief.rest(start + ms(60)), Duration::ZERO);
        relief.gives();
        assert_eq!(relief.rest(start + ms(61)), MOMENT, "it is not known yet how long this one takes");
        relief.inspected(start + ms(60), start + ms(70));
        assert_eq!(relief.rest(start + ms(70)), ms(30));
        relief.gives();
        relief.give_up(&[]);
        assert_eq!(relief.rest(start + ms(20)), Duration::ZERO);
    }

    #[test]
    fn each_rung_is_given_up_by_itself_and_with_the_others() {
        let relief = Relief::new(2);
        for rungs in [&[][..], &[Rung::Rate], &[Rung::Spots], &[Rung::Spots, Rung::Size], &[Rung::Size]] {
            relief.give_up(rungs);
            assert_eq!(relief.every.load(Relaxed) == 2, rungs.contains(&Rung::Rate));
            assert_eq!(relief.only_defects(), rungs.contains(&Rung::Spots));
            assert_eq!(relief.smaller(), rungs.contains(&Rung::Size));
        }
    }
}
