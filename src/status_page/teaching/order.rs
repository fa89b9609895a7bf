//! What is asked for.

use crate::status_page::line_controls::NewRole;
use crate::task::anomaly::recalibration::MIN_FRAMES;
use crate::task::anomaly::teach::MIN_DISTINCT;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The most frames of the live camera that one job takes.
pub const MOST_FRAMES: u64 = 500;
/// Seconds between two frames of the live camera.
pub const EVERY: RangeInclusive<f64> = 0.0..=60.0;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TeachingKind {
    /// A bundle is taught from nothing but these frames.
    Teach,
    /// The frames are taken into the bundle.
    Recalibrate,
    /// A version judges the marked frames: its scores are compared with another's, and no version is made.
    #[serde(skip_deserializing)]
    Judge,
}

/// Where the good frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FramesFrom {
    /// Those that people marked as good.
    Marks,
    /// The next ones of the line.
    Camera,
}

/// A job that somebody asked for.
#[derive(Debug, Clone)]
pub struct TeachingOrder {
    /// What is done.
    pub what: TeachingKind,
    /// With which frames.
    pub frames: FramesFrom,
    /// How many of the camera.
    pub count: u64,
    /// Seconds between two of the camera.
    pub every: f64,
    /// What the new version is to be, where one is made.
    pub role: Option<NewRole>,
    /// The active version that whoever asks has seen; the version that judges.
    pub of: String,
}

impl TeachingKind {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            TeachingKind::Teach => "teach",
            TeachingKind::Recalibrate => "recalibrate",
            TeachingKind::Judge => "judge",
        }
    }

    /// Frames without which it is refused.
    pub fn least(self) -> usize {
        match self {
            TeachingKind::Teach => MIN_DISTINCT,
            TeachingKind::Recalibrate => MIN_FRAMES,
            TeachingKind::Judge => 1,
        }
    }
}

impl FramesFrom {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            FramesFrom::Marks => "marks",
            FramesFrom::Camera => "camera",
        }
    }
}

impl TeachingOrder {
    /// What is wrong with the numbers, if anything.
    pub fn fault(&self) -> Option<String> {
        if self.frames == FramesFrom::Marks {
            return None;
        }
        let (count, every, least) = (self.count, self.every, self.what.least() as u64);
        if !(least..=MOST_FRAMES).contains(&count) {
            return Some(format!("count must lie in {least}..{MOST_FRAMES}, found {count}"));
        }
        let (low, high) = (EVERY.start(), EVERY.end());
        (!EVERY.contains(&every)).then(|| format!("every_s must lie in {low}..{high}, found {every}"))
    }
}
