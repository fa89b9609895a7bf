//! A version of a bundle that is judged beside the active one: after the verdict was given, without any effect on verdict or page, and in
//! the time that is left. Where none ever is, as with a camera that is as fast as the board or faster, a small share of the time is its.

use crate::task::anomaly::Verdict;
use crate::task::{Judge, TaskError};
use lineside_picture::Picture;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// At most one verdict that differs is recorded in so long, with its frame: a version that is wrong about everything must not fill the
/// disk. All are counted.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// By which part the time between frames may seem to grow with each, where one was late.
const LENGTHENING: u32 = 16;
/// By which part the time of a judgement is taken to be shorter with each frame for which it seems too long: one of ten times its length
/// is tried again after some hundred frames, and then holds up one.
const FORGETTING: u32 = 256;
/// Where no time is left it is judged once in so many times its length: one verdict of many comes later by one judgement. Without that
/// a camera at the pace of its board would never have it judged anything.
const SHARE: u32 = 32;

/// A version that is judged beside the active one.
pub struct Shadow {
    judge: Judge,
    verdict: Verdict,
    /// The fingerprint of the active version.
    beside: Arc<str>,
    /// How long it took last.
    took: Duration,
    /// When it judged a frame last.
    judged: Option<Instant>,
    /// When a verdict that differs was recorded last.
    recorded: Option<Instant>,
}

/// The pace of a source: when its newest frame was captured, and the time between frames.
#[derive(Debug, Default)]
pub(super) struct Pace {
    captured: Option<Instant>,
    period: Option<Duration>,
}

/// What the shadow says of a frame of which the active version says otherwise.
#[derive(Debug, Clone)]
pub struct ShadowVerdict {
    /// The fingerprint of its bundle.
    pub bundle: Arc<str>,
    /// The task that it is judged beside, where the line has several.
    pub task: Option<Arc<str>>,
    /// Its score.
    pub score: f64,
    /// Its severity.
    pub severity: f64,
    /// Its threshold.
    pub threshold: f64,
    /// Whether the frame counts as defect for it.
    pub defect: bool,
}

/// Frames that the active version judged, by what the shadow made of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShadowCounts {
    /// Judged by both.
    pub judged: u64,
    /// Of these: a defect for one of them and none for the other.
    pub differing: u64,
    /// Not judged by the shadow, because the next frame was due.
    pub skipped: u64,
    /// Not judged by the shadow, because it failed.
    pub failed: u64,
}

/// What became of one frame with one shadow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShadowFate {
    Agrees,
    Differs,
    Skipped,
    Failed,
}

impl Pace {
    /// Notes when a frame was captured.
    pub(super) fn note(&mut self, captured: Instant) {
        if let Some(before) = self.captured.replace(captured) {
            let between = captured.saturating_duration_since(before);
            // Frames that were dropped in between, or a part that came late, do not make the source slower.
            let longest = self.period.map_or(between, |period| period + period / LENGTHENING);
            self.period = Some(between.min(longest));
        }
    }

    /// The time until the next frame is due; `None` where that is not known yet.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let since = now.saturating_duration_since(self.captured?);
        Some(self.period?.saturating_sub(since))
    }
}

impl Shadow {
    /// Judges a frame of this width and height, so that all buffers are made before the line runs. `beside`: the fingerprint of the
    /// active version.
    ///
    /// # Errors
    /// [`TaskError`] where it cannot judge such frames.
    pub fn new(judge: Judge, beside: &str, frame: &Picture) -> Result<Shadow, TaskError> {
        let mut verdict = Verdict::default();
        verdict.regions.reserve(64);
        let beside = beside.into();
        let mut shadow = Shadow { judge, verdict, beside, took: Duration::ZERO, judged: None, recorded: None };
        shadow.judge_frame(frame)?;
        Ok(shadow)
    }

    /// The fingerprint of the active version.
    pub(super) fn beside(&self) -> &str {
        &self.beside
    }

    /// Whether the next frame is due before it would have judged one.
    pub(super) fn is_out_of_time(&mut self, left: Option<Duration>) -> bool {
        let is_out = left.is_some_and(|left| left < self.took);
        if is_out {
            // One judgement that took long, as on a board that was busy, is forgotten, and it is tried again.
            self.took -= self.took / FORGETTING;
        }
        is_out
    }

    /// Whether it is to be judged although no time is left for it: once in [`SHARE`] times the length of a judgement.
    pub(super) fn is_owed(&self, now: Instant) -> bool {
        self.judged.is_none_or(|before| now.saturating_duration_since(before) >= self.took.saturating_mul(SHARE))
    }

    /// Judges a frame.
    pub(super) fn judge(&mut self, frame: &Picture, active: &Verdict) -> ShadowFate {
        let begun = Instant::now();
        let judged = self.judge_frame(frame);
        let ended = Instant::now();
        (self.took, self.judged) = (ended.saturating_duration_since(begun), Some(ended));
        match judged {
            Err(_) => ShadowFate::Failed,
            Ok(()) if self.verdict.defect == active.defect => ShadowFate::Agrees,
            Ok(()) => ShadowFate::Differs,
        }
    }

    /// What it said of the frame judged last, where that is to be recorded; `task`: the one it is judged beside, where there are several.
    pub(super) fn record(&mut self, now: Instant, task: Option<Arc<str>>) -> Option<ShadowVerdict> {
        if self.recorded.is_some_and(|before| now.saturating_duration_since(before) < RECORD_EVERY) {
            return None;
        }
        self.recorded = Some(now);
        let Verdict { score, severity, threshold, defect, .. } = self.verdict;
        Some(ShadowVerdict { bundle: Arc::clone(self.judge.bundle()), task, score, severity, threshold, defect })
    }

    fn judge_frame(&mut self, frame: &Picture) -> Result<(), TaskError> {
        let size = (frame.width(), frame.height());
        self.judge.require_taught_size(size)?;
        self.judge.prepare(frame)?;
        self.judge.judge(size, &mut self.verdict)?;
        Ok(())
    }
}

impl ShadowCounts {
    pub(super) fn add(&mut self, fate: ShadowFate) {
        match fate {
            ShadowFate::Agrees => self.judged += 1,
            ShadowFate::Differs => {
                self.judged += 1;
                self.differing += 1;
            }
            ShadowFate::Skipped => self.skipped += 1,
            ShadowFate::Failed => self.failed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use lineside_picture::Layout;
    use std::path::Path;

    fn shadow() -> Shadow {
        let bundle = Bundle::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/inspect-demo")).unwrap();
        Shadow::new(Judge::new(&bundle, Some(0.0), 1).unwrap(), "active", &Picture::new(Layout::Rgb, 320, 240)).unwrap()
    }

    #[test]
    fn it_judges_only_in_the_time_that_is_left() {
        let (mut shadow, mut pace) = (shadow(), Pace::default());
        let (begin, ms) = (Instant::now(), Duration::from_millis);
        shadow.took = ms(30);
        let mut out = |captured: u64, now: u64| {
            pace.note(begin + ms(captured));
            shadow.is_out_of_time(pace.left(begin + ms(now)))
        };
        // Nothing is known of the source's pace before the second frame.
        assert!(!out(0, 90));
        // 100 ms between frames: 70 are left, then 20.
        assert!(!out(100, 130));
        assert!(out(200, 280));
        // Frames that were dropped do not make the source slower.
        assert!(out(900, 980));
        // A source that has become slower is one after a while.
        let mut slow = 0;
        while out(1000 * (slow + 1), 1000 * (slow + 1) + 300) {
            slow += 1;
        }
        assert!((5..40).contains(&slow), "{slow}");
    }

    #[test]
    fn a_judgement_that_took_long_once_is_tried_again() {
        let mut shadow = shadow();
        let left = Some(Duration::from_millis(40));
        shadow.took = Duration::from_millis(5);
        assert!((0..100).all(|_| !shadow.is_out_of_time(left)));
        shadow.took = Duration::from_millis(400);
        let skipped = (100..2000).take_while(|_| shadow.is_out_of_time(left)).count();
        assert!((300..900).contains(&skipped), "{skipped}: neither at once nor never");
    }

    #[test]
    fn where_no_time_is_ever_left_a_small_share_of_it_is_its() {
        let (mut shadow, start, ms) = (shadow(), Instant::now(), Duration::from_millis);
        // A frame each 50 ms, which takes all of them, and a judgement of 40.
        let mut judged = Vec::new();
        for frame in 0..2000_u32 {
            let now = start + (frame + 1) * ms(50);
            if !shadow.is_out_of_time(Some(ms(0))) || shadow.is_owed(now) {
                (shadow.took, shadow.judged) = (ms(40), Some(now + ms(40)));
                judged.push(frame);
            }
        }
        // The first at once, then one each 1.28 s and less, as what is skipped makes it seem shorter.
        assert_eq!(judged[0], 0);
        assert!((60..=90).contains(&judged.len()), "{judged:?}");
        assert!(judged.windows(2).all(|pair| pair[1] - pair[0] >= 20), "{judged:?}");
    }

    #[test]
    fn what_differs_is_counted_always_and_recorded_once_a_second() {
        let mut shadow = shadow();
        let frame = Picture::new(Layout::Rgb, 320, 240);
        let (mut counts, now) = (ShadowCounts::default(), Instant::now());
        // Every frame is a defect with a threshold of 0.
        for active in [Verdict::default(), Verdict { defect: true, ..Verdict::default() }] {
            counts.add(shadow.judge(&frame, &active));
        }
        counts.add(shadow.judge(&Picture::new(Layout::Rgb, 2, 2), &Verdict::default()));
        counts.add(ShadowFate::Skipped);
        assert_eq!(counts, ShadowCounts { judged: 2, differing: 1, skipped: 1, failed: 1 });
        let recorded: Vec<bool> =
            [0, 500, 999, 1000, 1500].map(|ms| shadow.record(now + Duration::from_millis(ms), None).is_some()).into();
        assert_eq!(recorded, [true, false, false, true, false]);
    }
}
