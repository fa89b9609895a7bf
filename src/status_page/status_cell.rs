//! What the main thread tells the page, and whether inspection gets on.

use super::stages::StageTotals;
use crate::board::heat::Reading;
use crate::field::Interval;
use crate::pipeline::Status;
use crate::source::SourceState;
use crate::times::FEED;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Without a sign of life for so long, inspection does not get on.
const PATIENCE: Duration = FEED.saturating_mul(3);
/// The rate is that of at least this time.
const STRETCH: Duration = Duration::from_secs(2);

/// Shared by the main thread and the page.
pub struct StatusCell {
    now: Mutex<StatusSnapshot>,
}

/// How things stood when they were told last.
#[derive(Debug, Clone, Copy)]
pub struct StatusSnapshot {
    /// What the pipeline did.
    pub status: Status,
    /// What the board's sensors show.
    pub heat: Reading,
    /// The rung of what is given up for heat.
    pub rung: Option<u8>,
    /// Frames captured a second, once that is known.
    pub fps: Option<f64>,
    /// How long frames take.
    pub stages: StageTotals,
    alive: Instant,
    last_defect: Option<Instant>,
    stretch: (Instant, u64),
}

impl StatusCell {
    /// Nothing yet.
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
                alive: now,
                last_defect: None,
                stretch: (now, 0),
            }),
        }
    }

    /// Many times a second; where the page reads just then, it is told the next time.
    pub fn update(&self, status: &Status, alive: bool, heat: &Reading, rung: Option<u8>) {
        let Ok(mut told) = self.now.try_lock() else { return };
        let now = Instant::now();
        if status.defects > told.status.defects {
            told.last_defect = Some(now);
        }
        (told.status, told.heat, told.rung) = (*status, *heat, rung);
        if alive {
            told.alive = now;
        }
        let (since, captured) = told.stretch;
        let time = now - since;
        if time >= STRETCH {
            told.fps = Some((status.counts.captured - captured) as f64 / time.as_secs_f64());
            told.stretch = (now, status.counts.captured);
        }
    }

    /// With each status: how long frames took since the last one.
    pub fn record_interval(&self, stretch: &Interval) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).stages.add(stretch);
    }

    /// How things stood.
    pub fn now(&self) -> StatusSnapshot {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StatusSnapshot {
    /// How long ago the last defect was seen.
    pub fn since_defect(&self) -> Option<Duration> {
        self.last_defect.map(|seen| seen.elapsed())
    }

    /// Why inspection does not get on, where it does not.
    pub fn problem(&self) -> Option<String> {
        let still = self.alive.elapsed();
        if still >= PATIENCE {
            return Some(format!("capture or inspection has stood still for {} s", still.as_secs()));
        }
        (self.status.source.state == SourceState::Away).then(|| "the source gives no frames".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspection_gets_on_while_threads_beat_and_frames_come() {
        let cell = StatusCell::new();
        let mut status = Status::default();
        let update = |status: &Status, alive| cell.update(status, alive, &Reading::default(), None);
        update(&status, true);
        assert_eq!(cell.now().problem(), None);
        status.source.state = SourceState::Away;
        update(&status, true);
        assert_eq!(cell.now().problem().unwrap(), "the source gives no frames");
        status.source.state = SourceState::Frozen;
        update(&status, true);
        assert_eq!(cell.now().problem(), None, "they are inspected all the same");
        assert_eq!(cell.now().since_defect(), None);
        status.defects = 1;
        update(&status, true);
        assert!(cell.now().since_defect().unwrap() < Duration::from_secs(9));
        let mut now = cell.now();
        now.alive -= PATIENCE;
        assert_eq!(now.problem().unwrap(), "capture or inspection has stood still for 3 s");
    }
}
