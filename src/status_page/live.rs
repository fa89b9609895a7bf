//! What the inspection thread leaves for the page: each score, and a frame where somebody looks. It never waits: a frame
//! changes hands by swapping buffers, numbers are atomic, and a lock that the page holds just then is passed by.

use crate::sink::VerdictObserver;
use crate::task::anomaly::Verdict;
use lineside_picture::{Layout, Picture};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Verdicts that are remembered, for the chart.
pub const REMEMBERED: usize = 240;

/// Shared by the inspection thread and the page.
pub struct LiveFeed {
    /// Of frames, where it is known.
    size: Option<(usize, usize)>,
    wanted: AtomicBool,
    slot: Mutex<FrameSlot>,
    verdicts: AtomicU64,
    ring: [AtomicU64; REMEMBERED],
    threshold: AtomicU64,
}

struct FrameSlot {
    shot: LiveFrame,
    fresh: bool,
}

/// A frame with its verdict.
#[derive(Default)]
pub struct LiveFrame {
    /// The pixels.
    pub frame: Picture,
    /// What was said of them.
    pub verdict: Verdict,
}

impl LiveFrame {
    fn with_room(size: Option<(usize, usize)>) -> LiveFrame {
        let mut shot = LiveFrame::default();
        shot.verdict.regions.reserve(64);
        shot.verdict.heat.reshape(Layout::Grey, 64, 64);
        if let Some((width, height)) = size {
            shot.frame.reshape(Layout::Rgb, width, height);
        }
        shot
    }
}

/// One verdict, as it is remembered: its score, how long it took, whether it was a defect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreSample {
    /// 0..1.
    pub score: f32,
    /// From capture to verdict, in microseconds.
    pub micros: u32,
    /// Whether the frame counted as defect.
    pub defect: bool,
}

impl ScoreSample {
    /// The score above, then 31 bits of time, then the defect: one word, so that no reader sees half of it.
    fn pack(self) -> u64 {
        u64::from(self.score.to_bits()) << 32 | u64::from(self.micros.min(u32::MAX >> 1)) << 1 | u64::from(self.defect)
    }

    fn unpack(word: u64) -> ScoreSample {
        let low = word as u32;
        ScoreSample { score: f32::from_bits((word >> 32) as u32), micros: low >> 1, defect: low & 1 == 1 }
    }
}

impl LiveFeed {
    /// With room for frames of a size, where that is known, so that the inspection thread need not make any.
    pub fn new(size: Option<(usize, usize)>) -> LiveFeed {
        let slot = FrameSlot { shot: LiveFrame::with_room(size), fresh: false };
        LiveFeed {
            size,
            wanted: AtomicBool::new(false),
            slot: Mutex::new(slot),
            verdicts: AtomicU64::new(0),
            ring: [const { AtomicU64::new(0) }; REMEMBERED],
            threshold: AtomicU64::new(0),
        }
    }

    /// Buffers to take a frame with; they go to the inspection thread in exchange for its own.
    pub fn spare(&self) -> LiveFrame {
        LiveFrame::with_room(self.size)
    }

    /// Asks for the next frame that is judged.
    pub fn want(&self) {
        self.wanted.store(true, Relaxed);
    }

    /// Takes the frame that came since [`LiveFeed::want`], in exchange for the buffers of an old one; false where none came.
    pub fn take(&self, shot: &mut LiveFrame) -> bool {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.fresh {
            std::mem::swap(&mut slot.shot, shot);
        }
        std::mem::take(&mut slot.fresh)
    }

    /// Verdicts so far, and the last of them, oldest first.
    pub fn remembered(&self, most: usize) -> (u64, Vec<ScoreSample>) {
        let end = self.verdicts.load(Acquire);
        let begin = end.saturating_sub(most.min(REMEMBERED) as u64);
        let at = |number: u64| ScoreSample::unpack(self.ring[number as usize % REMEMBERED].load(Relaxed));
        (end, (begin..end).map(at).collect())
    }

    /// The score from which on the last frame would have counted as defect; 0 before the first.
    pub fn threshold(&self) -> f64 {
        f64::from_bits(self.threshold.load(Relaxed))
    }
}

impl VerdictObserver for LiveFeed {
    fn observe(&self, frame: &mut Picture, verdict: &Verdict, latency: Duration) {
        let micros = latency.as_micros().min(u128::from(u32::MAX)) as u32;
        let number = self.verdicts.load(Relaxed);
        let remembered = ScoreSample { score: verdict.score as f32, micros, defect: verdict.defect };
        self.ring[number as usize % REMEMBERED].store(remembered.pack(), Relaxed);
        self.threshold.store(verdict.threshold.to_bits(), Relaxed);
        // One thread writes; the page, which reads it first, sees what was stored before.
        self.verdicts.store(number + 1, Release);
        if !self.wanted.load(Relaxed) {
            return;
        }
        let Ok(mut slot) = self.slot.try_lock() else { return };
        let FrameSlot { shot, fresh } = &mut *slot;
        std::mem::swap(&mut shot.frame, frame);
        shot.verdict.heat.copy_from(&verdict.heat);
        shot.verdict.regions.clone_from(&verdict.regions);
        (shot.verdict.score, shot.verdict.threshold) = (verdict.score, verdict.threshold);
        (shot.verdict.defect, shot.verdict.peak) = (verdict.defect, verdict.peak);
        *fresh = true;
        self.wanted.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(live: &LiveFeed, score: f64, grey: u8, millis: u64) {
        let mut frame = Picture::new(Layout::Rgb, 8, 6);
        frame.data_mut().fill(grey);
        let verdict = Verdict { score, threshold: 0.5, defect: score >= 0.5, ..Verdict::default() };
        live.observe(&mut frame, &verdict, Duration::from_millis(millis));
    }

    #[test]
    fn a_frame_changes_hands_only_where_it_is_wanted() {
        let live = LiveFeed::new(Some((8, 6)));
        let mut shot = LiveFrame::default();
        show(&live, 0.1, 1, 3);
        assert!(!live.take(&mut shot));
        live.want();
        show(&live, 0.9, 2, 3);
        show(&live, 0.2, 3, 3);
        assert!(live.take(&mut shot), "the first one after it was asked for");
        assert_eq!((shot.frame.data()[0], shot.verdict.score, shot.verdict.defect), (2, 0.9, true));
        assert!(!live.take(&mut shot));
    }

    #[test]
    fn the_inspection_thread_passes_a_lock_by() {
        let live = LiveFeed::new(None);
        live.want();
        let held = live.slot.lock().unwrap();
        show(&live, 0.3, 1, 3);
        drop(held);
        assert!(!live.take(&mut LiveFrame::default()), "it did not wait");
        assert_eq!(live.remembered(9).1.len(), 1, "the score is there all the same");
    }

    #[test]
    fn the_last_scores_are_remembered_in_order() {
        let live = LiveFeed::new(None);
        (0..REMEMBERED + 10).for_each(|i| show(&live, i as f64 / 1000.0, 0, i as u64));
        let (end, last) = live.remembered(3);
        assert_eq!(end, REMEMBERED as u64 + 10);
        let expected: Vec<f32> = [247, 248, 249].map(|i| i as f32 / 1000.0).to_vec();
        assert_eq!(last.iter().map(|one| one.score).collect::<Vec<_>>(), expected);
        assert_eq!((last[2].micros, last[2].defect), (249_000, false));
        assert_eq!(live.remembered(usize::MAX).1.len(), REMEMBERED);
    }
}
