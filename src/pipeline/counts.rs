//! Counts of frames by fate, and the times of verdicts.

use super::shadow::{ShadowCounts, ShadowFate};
use crate::field::{FrameStats, Interval, Stage};
use crate::source::SourceCondition;
use crate::task::anomaly::Verdict;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Frames by fate. A frame counts as captured once its fate is known, so the sum is exact at any time:
/// `captured = inspected + skipped_similar + dropped_stale + failed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All frames that the source delivered or should have delivered.
    pub captured: u64,
    /// Judged by the model.
    pub inspected: u64,
    /// Nearly equal to the frame before, whose verdict they got.
    pub skipped_similar: u64,
    /// Replaced by a newer frame before they were inspected.
    pub dropped_stale: u64,
    /// Could not be read, decoded or judged.
    pub failed: u64,
}

/// The fate of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // as in `Counts`
pub enum Fate {
    Inspected,
    SkippedSimilar,
    DroppedStale,
    Failed,
}

/// The progress of a run, shared between its threads.
pub struct Progress {
    state: Mutex<Status>,
    /// Since it was taken last.
    interval: Mutex<Box<Interval>>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress { state: Mutex::default(), interval: Mutex::new(Interval::new()) }
    }
}

/// The times of a verdict.
#[derive(Debug, Clone, Copy)]
pub struct VerdictTimes {
    /// From capture to verdict.
    pub verdict: Duration,
    /// From capture to the beginning of inspection.
    pub wait: Duration,
    /// Inspection itself.
    pub judge: Duration,
}

/// A snapshot of [`Progress`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Status {
    /// Frames by fate.
    pub counts: Counts,
    /// Frames that counted as defect.
    pub defects: u64,
    /// The last score.
    pub score: f64,
    /// The last severity.
    pub severity: f64,
    /// The code of the product that the last frame was judged as, 0: of an unknown one; `None` where the line knows no products.
    pub product: Option<u16>,
    /// The sum of all frame-to-verdict times.
    pub total_latency: Duration,
    /// The longest frame-to-verdict time.
    pub longest_latency: Duration,
    /// Enlargements.
    pub enlarging: Enlarging,
    /// What the shadow made of the frames, where there is one.
    pub shadow: Option<ShadowCounts>,
    /// The condition of the source.
    pub source: SourceCondition,
    /// Verdicts whose record or pictures were to be kept, but had to be dropped: the disk did not take the ones before them.
    pub unrecorded: u64,
    /// Verdicts that were to be printed, but had to be dropped for the same reason.
    pub unprinted: u64,
    /// Verdicts to be kept that the writer has not finished yet.
    pub waiting: u64,
    /// Verdicts that the writer has finished.
    pub written: u64,
}

/// The times of enlargements.
#[derive(Debug, Clone, Copy, Default)]
pub struct Enlarging {
    /// Spots or frames that were enlarged.
    pub done: u64,
    /// Those of them that took longer than the limit.
    pub late: u64,
    /// The sum of their times.
    pub total: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Progress {
    /// Counts one frame.
    pub fn frame(&self, fate: Fate) {
        let counts = &mut self.lock().counts;
        counts.captured += 1;
        match fate {
            Fate::Inspected => counts.inspected += 1,
            Fate::SkippedSimilar => counts.skipped_similar += 1,
            Fate::DroppedStale => counts.dropped_stale += 1,
            Fate::Failed => counts.failed += 1,
        }
    }

    /// Notes the condition of the source; frames that it passed over since the last time count as stale.
    pub fn source(&self, condition: SourceCondition) {
        let mut state = self.lock();
        let passed_over = condition.passed_over - state.source.passed_over;
        state.counts.captured += passed_over;
        state.counts.dropped_stale += passed_over;
        state.source = condition;
    }

    /// Notes a verdict.
    pub fn verdict(&self, stats: &FrameStats, verdict: &Verdict, times: VerdictTimes) {
        let mut interval = self.interval();
        interval.add_frame(stats);
        interval.add_severity(verdict.severity);
        interval.add_time(Stage::Verdict, times.verdict);
        interval.add_time(Stage::Wait, times.wait);
        interval.add_time(Stage::Judge, times.judge);
        drop(interval);
        let mut state = self.lock();
        (state.score, state.severity) = (verdict.score, verdict.severity);
        state.defects += u64::from(verdict.defect);
        state.total_latency += times.verdict;
        state.longest_latency = state.longest_latency.max(times.verdict);
    }

    /// Notes the code of the product that a frame was judged as; 0: it is unknown.
    pub fn product(&self, code: u16) {
        self.lock().product = Some(code);
    }

    /// Notes an enlargement.
    pub fn enlarged(&self, time: Duration, late: bool) {
        self.interval().add_time(Stage::Enlarge, time);
        let enlarging = &mut self.lock().enlarging;
        enlarging.done += 1;
        enlarging.late += u64::from(late);
        enlarging.total += time;
        enlarging.longest = enlarging.longest.max(time);
    }

    /// Notes what the shadow made of a frame.
    pub(super) fn shadow(&self, fate: ShadowFate) {
        self.lock().shadow.get_or_insert_default().add(fate);
    }

    /// A verdict to be kept goes to the writer.
    pub fn hand_over(&self) {
        self.lock().waiting += 1;
    }

    /// It did not get there.
    pub fn take_back(&self) {
        self.lock().waiting -= 1;
    }

    /// Notes a verdict that reaches nobody; `is_evidence`: it was to be kept, and not only to be printed.
    pub fn drop_verdict(&self, is_evidence: bool) {
        let state = &mut *self.lock();
        *(if is_evidence { &mut state.unrecorded } else { &mut state.unprinted }) += 1;
    }

    /// Notes that a verdict was written; `is_evidence`: that it was handed over to be kept.
    pub fn wrote(&self, is_evidence: bool, time: Duration) {
        self.interval().add_time(Stage::Write, time);
        let mut state = self.lock();
        state.written += 1;
        state.waiting -= u64::from(is_evidence);
    }

    /// Nobody waits for the writer any longer: what it has not finished counts as dropped.
    pub fn give_up_waiting(&self) {
        let state = &mut *self.lock();
        state.unrecorded += std::mem::take(&mut state.waiting);
    }

    /// Exchanges what happened since the last time for an empty interval.
    pub fn take(&self, empty: &mut Box<Interval>) {
        std::mem::swap(&mut *self.interval(), empty);
    }

    /// A snapshot.
    pub fn status(&self) -> Status {
        *self.lock()
    }

    fn interval(&self) -> MutexGuard<'_, Box<Interval>> {
        self.interval.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // A panic between two additions leaves numbers, not broken memory: read on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Enlarging {
    /// The mean time in milliseconds; 0 before the first.
    pub fn mean_ms(&self) -> f64 {
        if self.done == 0 { 0.0 } else { self.total.as_secs_f64() * 1e3 / self.done as f64 }
    }
}

impl Status {
    /// The mean frame-to-verdict time in milliseconds; 0 before the first verdict.
    pub fn mean_latency_ms(&self) -> f64 {
        let verdicts = self.counts.inspected + self.counts.skipped_similar;
        if verdicts == 0 { 0.0 } else { self.total_latency.as_secs_f64() * 1e3 / verdicts as f64 }
    }
}
