//! How far a job is, or what came of it.

use super::order::{FramesFrom, TeachingKind, TeachingOrder};
use crate::background::BackgroundProgress;
use crate::status_page::line_controls::NewRole;
use serde::Serialize;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TeachingState {
    /// It takes frames of the camera.
    Collecting,
    /// The command works.
    Running,
    /// There is a new version.
    Done,
    /// It failed; `problem` says why.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// The line ended, or was reloaded, before it was done.
    Stopped,
}

impl TeachingState {
    /// Whether it goes on.
    pub fn is_running(self) -> bool {
        matches!(self, TeachingState::Collecting | TeachingState::Running)
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            TeachingState::Collecting => "collecting",
            TeachingState::Running => "running",
            TeachingState::Done => "done",
            TeachingState::Failed => "failed",
            TeachingState::Cancelled => "cancelled",
            TeachingState::Stopped => "stopped",
        }
    }
}

/// The newest job, as clients get it.
#[derive(Debug, Clone, Serialize)]
pub struct TeachingReport {
    pub state: TeachingState,
    pub what: TeachingKind,
    pub frames: FramesFrom,
    pub role: Option<&'static str>,
    /// When it was begun.
    pub begun: jiff::Timestamp,
    /// Frames of the camera that were taken, of those that are wanted, and how many of them the bundle in use counts as defects.
    pub taken: u64,
    pub count: u64,
    pub defects: u64,
    /// What the command does, and how much of that is done.
    pub step: Option<&'static str>,
    pub percent: Option<u8>,
    /// Why it failed.
    pub problem: Option<String>,
    /// What the command warned of: the first ones, and how many there are.
    pub warnings: Vec<String>,
    pub warned: u64,
    /// The id in the home of the new version, or of the one that judged.
    pub version: Option<String>,
    /// The command's report, as `--json` prints it.
    pub result: Value,
}

impl TeachingReport {
    pub fn new(order: &TeachingOrder) -> TeachingReport {
        let state = match order.frames {
            FramesFrom::Camera => TeachingState::Collecting,
            FramesFrom::Marks => TeachingState::Running,
        };
        let count = if order.frames == FramesFrom::Camera { order.count } else { 0 };
        TeachingReport {
            state,
            what: order.what,
            frames: order.frames,
            role: order.role.map(NewRole::word),
            begun: jiff::Timestamp::now(),
            taken: 0,
            count,
            defects: 0,
            step: None,
            percent: None,
            problem: None,
            warnings: Vec::new(),
            warned: 0,
            version: None,
            result: Value::Null,
        }
    }

    /// Adds a warning.
    pub fn warn(&mut self, warning: String) {
        self.warned += 1;
        self.warnings.push(warning);
    }

    pub fn set_progress(&mut self, progress: Option<BackgroundProgress>) {
        (self.step, self.percent) = (progress.map(|now| now.step), progress.map(|now| now.percent));
    }
}

/// The newest job of a line, over its runs: what came of one is known after the reload that follows it.
#[derive(Debug, Clone, Default)]
pub struct TeachingMemory(Arc<Mutex<Option<TeachingReport>>>);

impl TeachingMemory {
    /// The newest job, where there was one.
    pub fn report(&self) -> Option<TeachingReport> {
        self.lock().clone()
    }

    /// Begins with a job, unless one runs.
    pub fn begin(&self, report: TeachingReport) -> bool {
        let mut known = self.lock();
        let is_free = !known.as_ref().is_some_and(|known| known.state.is_running());
        if is_free {
            *known = Some(report);
        }
        is_free
    }

    /// Changes the report of the job.
    pub fn update(&self, change: impl FnOnce(&mut TeachingReport)) {
        if let Some(report) = self.lock().as_mut() {
            change(report);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<TeachingReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_job_runs_at_a_time_and_the_newest_is_known() {
        let memory = TeachingMemory::default();
        assert!(memory.report().is_none());
        let order = TeachingOrder {
            what: TeachingKind::Recalibrate,
            frames: FramesFrom::Camera,
            count: 20,
            every: 1.0,
            role: Some(NewRole::Shadow),
            of: "ab".into(),
        };
        assert!(memory.begin(TeachingReport::new(&order)) && !memory.clone().begin(TeachingReport::new(&order)));
        let now = serde_json::to_value(memory.report()).unwrap();
        assert_eq!((&now["state"], &now["count"], &now["role"]), (&"collecting".into(), &20.into(), &"shadow".into()));
        memory.update(|report| report.state = TeachingState::Failed);
        let marks = TeachingOrder { frames: FramesFrom::Marks, ..order };
        assert!(memory.begin(TeachingReport::new(&marks)), "the one before has ended");
        assert_eq!(memory.report().unwrap().state, TeachingState::Running);
    }
}
