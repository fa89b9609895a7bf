//! Hands severities and requested frames from the inspection thread to the page. The inspection thread never waits: frames are
//! handed over by swapping buffers, figures are atomic, and a lock that the page holds is skipped.

use crate::sink::VerdictObserver;
use crate::task::anomaly::Verdict;
use lineside_picture::{Layout, Picture};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many severities are kept for the chart.
pub const SEVERITIES: usize = 240;

/// Shared by the inspection thread and the page.
pub struct LiveFeed {
    /// Width and height of frames, where known.
    size: Option<(usize, usize)>,
    requested: AtomicBool,
    slot: Mutex<FrameSlot>,
    /// Frames for teaching, where that is done on the page.
    samples: Option<SampleSlot>,
    verdicts: AtomicU64,
    ring: [AtomicU64; SEVERITIES],
    threshold: AtomicU64,
}

struct FrameSlot {
    frame: LiveFrame,
    is_new: bool,
}

/// The next frame for teaching.
struct SampleSlot {
    requested: AtomicBool,
    sample: Mutex<(Sample, bool)>,
}

/// A frame for teaching.
#[derive(Default)]
pub struct Sample {
    /// The pixels, as they were judged.
    pub picture: Picture,
    /// Whether the bundle in use counts it as a defect.
    pub defect: bool,
}

/// A frame with its verdict.
#[derive(Default)]
pub struct LiveFrame {
    /// The pixels.
    pub picture: Picture,
    /// The verdict on it.
    pub verdict: Verdict,
}

impl LiveFrame {
    fn with_capacity(size: Option<(usize, usize)>) -> LiveFrame {
        let mut frame = LiveFrame::default();
        frame.verdict.regions.reserve(64);
        frame.verdict.heat.reshape(Layout::Grey, 64, 64);
        if let Some((width, height)) = size {
            frame.picture.reshape(Layout::Rgb, width, height);
        }
        frame
    }
}

/// The figures of one verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeveritySample {
    /// The severity: 0 like what was taught, 1 at the threshold.
    pub severity: f32,
    /// From capture to verdict, in microseconds.
    pub micros: u32,
    /// Whether the frame was a defect.
    pub defect: bool,
}

impl SeveritySample {
    /// One word, so that it is read and written atomically: 32 bits of severity, 31 of time, one for the defect.
    fn pack(self) -> u64 {
        u64::from(self.severity.to_bits()) << 32
            | u64::from(self.micros.min(u32::MAX >> 1)) << 1
            | u64::from(self.defect)
    }

    fn unpack(word: u64) -> SeveritySample {
        let low = word as u32;
        SeveritySample { severity: f32::from_bits((word >> 32) as u32), micros: low >> 1, defect: low & 1 == 1 }
    }
}

impl LiveFeed {
    /// With buffers for frames of `size`, where known, so that the inspection thread need not allocate.
    pub fn new(size: Option<(usize, usize)>) -> LiveFeed {
        let slot = FrameSlot { frame: LiveFrame::with_capacity(size), is_new: false };
        LiveFeed {
            size,
            requested: AtomicBool::new(false),
            slot: Mutex::new(slot),
            samples: None,
            verdicts: AtomicU64::new(0),
            ring: [const { AtomicU64::new(0) }; SEVERITIES],
            threshold: AtomicU64::new(0),
        }
    }

    /// With a buffer for frames for teaching.
    pub fn with_samples(mut self) -> LiveFeed {
        let sample = Mutex::new((self.new_sample(), false));
        self.samples = Some(SampleSlot { requested: AtomicBool::new(false), sample });
        self
    }

    /// A buffer for [`LiveFeed::take_sample`]; the inspection thread gets it in exchange for its own.
    pub fn new_sample(&self) -> Sample {
        Sample { picture: LiveFrame::with_capacity(self.size).picture, defect: false }
    }

    /// Requests the next inspected frame for teaching.
    pub fn request_sample(&self) {
        if let Some(samples) = &self.samples {
            samples.requested.store(true, Relaxed);
        }
    }

    /// Takes the frame that arrived since [`LiveFeed::request_sample`], in exchange for the buffer of an old one; returns whether one
    /// did.
    pub fn take_sample(&self, sample: &mut Sample) -> bool {
        let Some(samples) = &self.samples else { return false };
        let mut slot = samples.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let (there, is_new) = &mut *slot;
        if *is_new {
            std::mem::swap(there, sample);
        }
        std::mem::take(is_new)
    }

    /// Buffers for [`LiveFeed::take`]; the inspection thread gets them in exchange for its own.
    pub fn new_frame(&self) -> LiveFrame {
        LiveFrame::with_capacity(self.size)
    }

    /// Requests the next inspected frame.
    pub fn request(&self) {
        self.requested.store(true, Relaxed);
    }

    /// Takes the frame that arrived since [`LiveFeed::request`], in exchange for the buffers of an old one; returns whether one
    /// did.
    pub fn take(&self, frame: &mut LiveFrame) -> bool {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_new {
            std::mem::swap(&mut slot.frame, frame);
        }
        std::mem::take(&mut slot.is_new)
    }

    /// The number of verdicts so far, and the last `most` of them, the oldest first.
    pub fn last_severities(&self, most: usize) -> (u64, Vec<SeveritySample>) {
        let end = self.verdicts.load(Acquire);
        let begin = end.saturating_sub(most.min(SEVERITIES) as u64);
        let at = |number: u64| SeveritySample::unpack(self.ring[number as usize % SEVERITIES].load(Relaxed));
        (end, (begin..end).map(at).collect())
    }

    /// The threshold of the last verdict; 0 before the first.
    pub fn threshold(&self) -> f64 {
        f64::from_bits(self.threshold.load(Relaxed))
    }
}

impl VerdictObserver for LiveFeed {
    fn observe(&self, frame: &mut Picture, verdict: &Verdict, latency: Duration) {
        let micros = latency.as_micros().min(u128::from(u32::MAX)) as u32;
        let number = self.verdicts.load(Relaxed);
        let sample = SeveritySample { severity: verdict.severity as f32, micros, defect: verdict.defect };
        self.ring[number as usize % SEVERITIES].store(sample.pack(), Relaxed);
        self.threshold.store(verdict.threshold.to_bits(), Relaxed);
        // Only this thread writes. The page reads the count first, and so sees what was stored before.
        self.verdicts.store(number + 1, Release);
        // Its pixels are gone with that: a viewer gets the next one.
        if let Some(samples) = self.samples.as_ref().filter(|samples| samples.requested.load(Relaxed))
            && let Ok(mut slot) = samples.sample.try_lock()
        {
            let (sample, is_new) = &mut *slot;
            std::mem::swap(&mut sample.picture, frame);
            (sample.defect, *is_new) = (verdict.defect, true);
            samples.requested.store(false, Relaxed);
            return;
        }
        if !self.requested.load(Relaxed) {
            return;
        }
        let Ok(mut slot) = self.slot.try_lock() else { return };
        let FrameSlot { frame: kept, is_new } = &mut *slot;
        std::mem::swap(&mut kept.picture, frame);
        kept.verdict.heat.copy_from(&verdict.heat);
        kept.verdict.regions.clone_from(&verdict.regions);
        kept.verdict.inspected.clone_from(&verdict.inspected);
        kept.verdict.placement = verdict.placement;
        kept.verdict.recognition.clone_from(&verdict.recognition);
        (kept.verdict.score, kept.verdict.threshold) = (verdict.score, verdict.threshold);
        kept.verdict.severity = verdict.severity;
        (kept.verdict.defect, kept.verdict.peak) = (verdict.defect, verdict.peak);
        *is_new = true;
        self.requested.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(live: &LiveFeed, severity: f64, grey: u8, millis: u64) {
        let mut frame = Picture::new(Layout::Rgb, 8, 6);
        frame.data_mut().fill(grey);
        let verdict = Verdict { severity, threshold: 0.5, defect: severity >= 0.5, ..Verdict::default() };
        live.observe(&mut frame, &verdict, Duration::from_millis(millis));
    }

    #[test]
    fn a_frame_is_handed_over_only_on_request() {
        let live = LiveFeed::new(Some((8, 6)));
        let mut taken = LiveFrame::default();
        observe(&live, 0.1, 1, 3);
        assert!(!live.take(&mut taken));
        live.request();
        observe(&live, 0.9, 2, 3);
        observe(&live, 0.2, 3, 3);
        assert!(live.take(&mut taken), "the first one after the request");
        assert_eq!((taken.picture.data()[0], taken.verdict.severity, taken.verdict.defect), (2, 0.9, true));
        assert!(!live.take(&mut taken));
    }

    #[test]
    fn a_frame_for_teaching_is_taken_once_and_a_viewer_gets_the_next() {
        let live = LiveFeed::new(Some((8, 6))).with_samples();
        let (mut sample, mut taken) = (live.new_sample(), LiveFrame::default());
        live.request();
        live.request_sample();
        observe(&live, 0.9, 1, 3);
        assert!(!live.take(&mut taken) && live.take_sample(&mut sample));
        assert_eq!((sample.picture.data()[0], sample.defect), (1, true));
        observe(&live, 0.1, 2, 3);
        assert!(live.take(&mut taken) && taken.picture.data()[0] == 2, "not the pixels that were taken");
        assert!(!live.take_sample(&mut sample), "one was asked for");
        let without = LiveFeed::new(None);
        without.request_sample();
        observe(&without, 0.1, 1, 3);
        assert!(!without.take_sample(&mut sample));
    }

    #[test]
    fn the_inspection_thread_skips_a_held_lock() {
        let live = LiveFeed::new(None);
        live.request();
        let held = live.slot.lock().unwrap();
        observe(&live, 0.3, 1, 3);
        drop(held);
        assert!(!live.take(&mut LiveFrame::default()), "it did not wait");
        assert_eq!(live.last_severities(9).1.len(), 1, "the severity is kept nevertheless");
    }

    #[test]
    fn the_last_severities_are_kept_in_order() {
        let live = LiveFeed::new(None);
        (0..SEVERITIES + 10).for_each(|i| observe(&live, i as f64 / 1000.0, 0, i as u64));
        let (end, last) = live.last_severities(3);
        assert_eq!(end, SEVERITIES as u64 + 10);
        let expected: Vec<f32> = [247, 248, 249].map(|i| i as f32 / 1000.0).to_vec();
        assert_eq!(last.iter().map(|one| one.severity).collect::<Vec<_>>(), expected);
        assert_eq!((last[2].micros, last[2].defect), (249_000, false));
        assert_eq!(live.last_severities(usize::MAX).1.len(), SEVERITIES);
    }
}
