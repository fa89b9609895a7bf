//! The status of the run, as the main thread last stored it, and whether inspection makes progress.

use super::stages::StageTotals;
use crate::board::heat::Reading;
use crate::field::Interval;
use crate::pipeline::Status;
use crate::source::SourceState;
use crate::telemetry::FAULT_WORDS;
use crate::times::FEED;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Inspection counts as stalled after so long without progress.
const PATIENCE: Duration = FEED.saturating_mul(3);
/// The frame rate is measured over at least this time.
const RATE_INTERVAL: Duration = Duration::from_secs(2);

/// What asks for somebody, beside the counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions {
    /// Whether each of [`FAULT_WORDS`] is active.
    pub faults: [bool; FAULT_WORDS.len()],
    /// Distance of the scores to the bundle's baseline and shift of their median, once there are frames enough.
    pub drift: Option<(f64, f64)>,
    /// Whether the line no longer shows what the bundle was taught.
    pub review_needed: bool,
    /// Records that wait for the broker, where there is one.
    pub broker_waiting: Option<u64>,
}

/// Written by the main thread, read by the page.
pub struct StatusCell {
    now: Mutex<StatusSnapshot>,
}

/// The status at the last update.
#[derive(Debug, Clone, Copy)]
pub struct StatusSnapshot {
    /// Counts of the pipeline.
    pub status: Status,
    /// Readings of the board's sensors.
    pub heat: Reading,
    /// The active degradation step against heat.
    pub rung: Option<u8>,
    /// Captured frames per second, once measured.
    pub fps: Option<f64>,
    /// Durations by stage.
    pub stages: StageTotals,
    /// Faults, drift, and the queue for the broker.
    pub conditions: Conditions,
    last_progress: Instant,
    last_defect: Option<Instant>,
    /// When the measurement of the frame rate began, and the frames captured until then.
    rate_start: (Instant, u64),
}

impl StatusCell {
    /// The status before the first frame.
    pub fn new() -> StatusCell {
        let now = Instant::now();
        let (heat, status, stages) = (Reading::default(), Status::default(), StageTotals::default());
        StatusCell {
            now: Mutex::new(StatusSnapshot {
                status,
                heat,
                rung: None,
                fps: None,
                stages,
                conditions: Conditions::default(),
                last_progress: now,
                last_defect: None,
                rate_start: (now, 0),
            }),
        }
    }

    /// Called many times per second, never waits: while the page reads, an update is skipped.
    pub fn update(&self, status: &Status, alive: bool, heat: &Reading, rung: Option<u8>) {
        let Ok(mut snapshot) = self.now.try_lock() else { return };
        let now = Instant::now();
        if status.defects > snapshot.status.defects {
            snapshot.last_defect = Some(now);
        }
        (snapshot.status, snapshot.heat, snapshot.rung) = (*status, *heat, rung);
        if alive {
            snapshot.last_progress = now;
        }
        let (since, captured) = snapshot.rate_start;
        let time = now - since;
        if time >= RATE_INTERVAL {
            snapshot.fps = Some((status.counts.captured - captured) as f64 / time.as_secs_f64());
            snapshot.rate_start = (now, status.counts.captured);
        }
    }

    /// Called like [`StatusCell::update`], and never waits either.
    pub fn set_conditions(&self, conditions: &Conditions) {
        if let Ok(mut snapshot) = self.now.try_lock() {
            snapshot.conditions = *conditions;
        }
    }

    /// Adds the durations of the interval since the last status record.
    pub fn record_interval(&self, interval: &Interval) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).stages.add(interval);
    }

    /// The status at the last update.
    pub fn now(&self) -> StatusSnapshot {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StatusSnapshot {
    /// Time since the last defect.
    pub fn since_defect(&self) -> Option<Duration> {
        self.last_defect.map(|seen| seen.elapsed())
    }

    /// Why inspection makes no progress, if so.
    pub fn problem(&self) -> Option<String> {
        let still = self.last_progress.elapsed();
        if still >= PATIENCE {
            return Some(format!("capture or inspection has stood still for {} s", still.as_secs()));
        }
        (self.status.source.state == SourceState::Away).then(|| "the source delivers no frames".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspection_is_healthy_while_threads_make_progress_and_frames_arrive() {
        let cell = StatusCell::new();
        let mut status = Status::default();
        let update = |status: &Status, alive| cell.update(status, alive, &Reading::default(), None);
        update(&status, true);
        assert_eq!(cell.now().problem(), None);
        status.source.state = SourceState::Away;
        update(&status, true);
        assert_eq!(cell.now().problem().unwrap(), "the source delivers no frames");
        status.source.state = SourceState::Frozen;
        update(&status, true);
        assert_eq!(cell.now().problem(), None, "they are inspected nevertheless");
        assert_eq!(cell.now().since_defect(), None);
        status.defects = 1;
        update(&status, true);
        assert!(cell.now().since_defect().unwrap() < Duration::from_secs(9));
        let mut now = cell.now();
        now.last_progress -= PATIENCE;
        assert_eq!(now.problem().unwrap(), "capture or inspection has stood still for 3 s");
    }
}
