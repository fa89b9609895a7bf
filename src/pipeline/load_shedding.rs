//! What the threads skip while the board is too hot. The run's observer sets it; every thread reads it.

use crate::board::heat::DegradeStep;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long to wait for an inspection that goes on, before looking again.
const MOMENT: Duration = Duration::from_millis(5);

/// What is skipped now; nothing at first.
#[derive(Debug)]
pub struct LoadShedding {
    /// One of this many frames is inspected while the rate is lowered.
    one_in: u32,
    /// The same, at present: 1 while the rate is not lowered.
    every: AtomicU32,
    only_defects: AtomicBool,
    smaller: AtomicBool,
    turn: Mutex<Turn>,
}

/// Which frame is inspected next while the rate is lowered.
#[derive(Debug, Clone, Copy, Default)]
struct Turn {
    /// Frames that were skipped since the last one that was not.
    skipped: u32,
    /// A frame was let through and has not been inspected yet.
    busy: bool,
    /// No frame is let through before.
    cooldown_until: Option<Instant>,
}

impl Default for LoadShedding {
    fn default() -> Self {
        LoadShedding::new(2)
    }
}

impl LoadShedding {
    /// One of `one_in` frames is inspected while the rate is lowered.
    pub fn new(one_in: u32) -> LoadShedding {
        LoadShedding {
            one_in: one_in.max(1),
            every: AtomicU32::new(1),
            only_defects: AtomicBool::default(),
            smaller: AtomicBool::default(),
            turn: Mutex::default(),
        }
    }

    /// Applies these steps, and no others.
    pub fn set_steps(&self, steps: &[DegradeStep]) {
        self.every.store(if steps.contains(&DegradeStep::Rate) { self.one_in } else { 1 }, Relaxed);
        self.only_defects.store(steps.contains(&DegradeStep::Spots), Relaxed);
        self.smaller.store(steps.contains(&DegradeStep::Size), Relaxed);
    }

    /// Whether the whole of a frame is enlarged only where it has a defect.
    pub(super) fn enlarges_only_defects(&self) -> bool {
        self.only_defects.load(Relaxed)
    }

    /// Whether frames are to be smaller.
    pub(super) fn uses_smaller_frames(&self) -> bool {
        self.smaller.load(Relaxed)
    }

    /// Whether a frame of a live source that arrives now is skipped: every n-th is inspected, and no more than an n-th of the
    /// time is spent on inspection. The second is for a board that is slower than its camera: there, every n-th frame would
    /// still be all that it can do.
    pub(super) fn should_skip(&self, now: Instant) -> bool {
        let every = self.every.load(Relaxed);
        let mut turn = self.turn();
        if every == 1 {
            *turn = Turn::default();
            return false;
        }
        let out = turn.busy || turn.skipped + 1 < every || turn.cooldown_until.is_some_and(|until| now < until);
        turn.skipped = if out { turn.skipped.saturating_add(1) } else { 0 };
        turn.busy |= !out;
        out
    }

    /// How long a source without a pace of its own, of which no frame is skipped, has to wait at least before it delivers
    /// the next one: no more than an n-th of the time is spent on inspection.
    pub(super) fn cooldown(&self, now: Instant) -> Duration {
        let every = self.every.load(Relaxed);
        let mut turn = self.turn();
        if every == 1 {
            *turn = Turn::default();
        }
        match turn.cooldown_until {
            _ if turn.busy => MOMENT,
            Some(until) => until.saturating_duration_since(now),
            None => Duration::ZERO,
        }
    }

    /// Notes that such a source is about to deliver a frame.
    pub(super) fn begin_frame(&self) {
        self.turn().busy = self.every.load(Relaxed) > 1;
    }

    /// Notes when inspection of a frame began and that it is over now.
    pub(super) fn inspected(&self, begun: Instant, now: Instant) {
        let every = self.every.load(Relaxed);
        let mut turn = self.turn();
        turn.busy = false;
        turn.cooldown_until = (every > 1).then(|| begun + (now - begun) * every);
    }

    /// Notes that a frame that was let through is not inspected: the next one takes its place.
    pub(super) fn passed_over(&self) {
        let every = self.every.load(Relaxed);
        let mut turn = self.turn();
        turn.busy = false;
        turn.skipped = every - 1;
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
    fn inspected(shedding: &LoadShedding, frame: u64, inspection: u64) -> u64 {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut count, mut waiting, mut busy) = (0, None, None);
        for ms in 0..12_000 {
            if busy.is_some_and(|begun| begun + inspection <= ms) {
                shedding.inspected(at(busy.take().unwrap()), at(ms));
                count += 1;
            }
            if ms % frame == 0 && !shedding.should_skip(at(ms)) {
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
            let full = inspected(&LoadShedding::new(3), frame, inspection);
            let shedding = LoadShedding::new(3);
            shedding.set_steps(&[DegradeStep::Rate]);
            let lowered = inspected(&shedding, frame, inspection);
            let share = lowered as f64 / full as f64;
            assert!((0.28..=0.345).contains(&share), "{frame} ms, {inspection} ms: {lowered} of {full}");
            // And back.
            shedding.set_steps(&[]);
            assert_eq!(inspected(&shedding, frame, inspection).abs_diff(full) / 2, 0);
        }
    }

    #[test]
    fn a_source_that_waits_is_slowed_down_instead_of_skipped() {
        let (shedding, start) = (LoadShedding::new(4), Instant::now());
        let ms = Duration::from_millis;
        shedding.inspected(start, start + ms(10));
        assert_eq!(shedding.cooldown(start + ms(10)), Duration::ZERO);
        shedding.set_steps(&[DegradeStep::Rate]);
        assert_eq!(shedding.cooldown(start + ms(10)), Duration::ZERO, "nothing was inspected since");
        shedding.inspected(start + ms(10), start + ms(20));
        assert_eq!(shedding.cooldown(start + ms(20)), ms(30));
        assert_eq!(shedding.cooldown(start + ms(60)), Duration::ZERO);
        shedding.begin_frame();
        assert_eq!(shedding.cooldown(start + ms(61)), MOMENT, "it is not known yet how long this one takes");
        shedding.inspected(start + ms(60), start + ms(70));
        assert_eq!(shedding.cooldown(start + ms(70)), ms(30));
        shedding.begin_frame();
        shedding.set_steps(&[]);
        assert_eq!(shedding.cooldown(start + ms(20)), Duration::ZERO);
    }

    #[test]
    fn a_frame_that_is_passed_over_holds_the_next_one_not_up() {
        let (shedding, start) = (LoadShedding::new(3), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        shedding.set_steps(&[DegradeStep::Rate]);
        assert_eq!([0, 1, 2].map(|ms| shedding.should_skip(at(ms))), [true, true, false]);
        assert!(shedding.should_skip(at(3)), "it is not known yet what becomes of that one");
        shedding.passed_over();
        assert!(!shedding.should_skip(at(4)));
        shedding.inspected(at(4), at(5));
        assert_eq!([6, 7, 8].map(|ms| shedding.should_skip(at(ms))), [true, true, false]);
        // The same for a source that waits.
        shedding.begin_frame();
        shedding.passed_over();
        assert_eq!(shedding.cooldown(at(60)), Duration::ZERO);
    }

    #[test]
    fn each_step_works_by_itself_and_with_the_others() {
        let shedding = LoadShedding::new(2);
        for steps in [
            &[][..],
            &[DegradeStep::Rate],
            &[DegradeStep::Spots],
            &[DegradeStep::Spots, DegradeStep::Size],
            &[DegradeStep::Size],
        ] {
            shedding.set_steps(steps);
            assert_eq!(shedding.every.load(Relaxed) == 2, steps.contains(&DegradeStep::Rate));
            assert_eq!(shedding.enlarges_only_defects(), steps.contains(&DegradeStep::Spots));
            assert_eq!(shedding.uses_smaller_frames(), steps.contains(&DegradeStep::Size));
        }
    }
}
