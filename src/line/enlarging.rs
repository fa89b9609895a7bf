//! The area of a frame that is enlarged, the time that takes on this machine, and its limit.

use super::verdict_cost::time_of_verdict;
use crate::config::Config;
use crate::source::FrameSource;
use crate::task::super_resolution::{Enlarger, When};
use crate::task::{TaskError, Tasks};
use crate::telemetry::Telemetry;
use std::fmt;
use std::time::Duration;

/// The share of a frame's time that enlarging gets even where the verdict takes all of it.
const LEAST_SHARE: u32 = 4;

/// What is enlarged of a frame.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct EnlargingPlan {
    /// Side of the square around the hottest place, in pixels; none where frames are enlarged whole.
    pub spot: Option<usize>,
    /// The side that was asked for.
    pub wanted: usize,
    /// How long it takes here, in milliseconds; unknown for whole frames of unknown size.
    pub ms: Option<f64>,
    /// The limit for that.
    pub max_ms: Option<f64>,
}

impl EnlargingPlan {
    /// Chooses the spot's size so that it is enlarged in the time there is, and measures what it takes.
    pub(super) fn fit(
        config: &Config,
        source: &dyn FrameSource,
        tasks: &mut Tasks,
        enlarger: &mut Enlarger,
    ) -> Result<EnlargingPlan, TaskError> {
        let section = &config.super_resolution;
        let limit = match (&section.max_ms, config.source.fps()) {
            (Some(ms), _) => Some(Duration::from_secs_f64(ms.get_ref() / 1e3)),
            (None, Some(fps)) => {
                let frame = Duration::from_secs_f64(1.0 / fps);
                let verdict = time_of_verdict(tasks, source.frame_size())?.mul_f64(config.crowding());
                Some(frame.saturating_sub(verdict).max(frame / LEAST_SHARE))
            }
            (None, None) => None,
        };
        let wanted = *section.spot.get_ref();
        let (spot, time) = match section.when {
            When::Always => (None, source.frame_size().map(|(w, h)| enlarger.time_of(w, h)).transpose()?),
            _ => {
                // It is measured alone, and runs beside the other cameras of the file.
                let alone = limit.map(|limit| limit.div_f64(config.crowding()));
                let (side, time) = enlarger.fit_spot(wanted, alone)?;
                (Some(side), Some(time))
            }
        };
        let ms = |time: Duration| (time.as_secs_f64() * 1e5).round() / 100.0;
        Ok(EnlargingPlan { spot, wanted, ms: time.map(ms), max_ms: limit.map(ms) })
    }

    /// Side of the square that is enlarged, in pixels; the one asked for where frames are enlarged whole.
    pub fn side(&self) -> usize {
        self.spot.unwrap_or(self.wanted)
    }

    /// How long it may take.
    pub fn limit(&self) -> Option<Duration> {
        self.max_ms.map(|ms| Duration::from_secs_f64(ms / 1e3))
    }

    /// Whether it takes longer than it may.
    fn is_late(&self) -> bool {
        matches!((self.ms, self.max_ms), (Some(ms), Some(max)) if ms > max)
    }

    /// Logs at the start of a run what is enlarged, and warns where that is less than was asked for or takes too long.
    pub fn log(&self, telemetry: &Telemetry) {
        let area = self.spot.map_or("frame".into(), |side| format!("{side}x{side}"));
        let or = |ms: Option<f64>, otherwise: &str| ms.map_or(otherwise.to_string(), |ms| ms.to_string());
        let (ms, max_ms) = (or(self.ms, "unknown"), or(self.max_ms, "none"));
        let less = self.spot.is_some_and(|spot| spot < self.wanted);
        if less || self.is_late() {
            let wanted = self.spot.map_or("frame".into(), |_| format!("{0}x{0}", self.wanted));
            let record = telemetry.record(log::Level::Warn, "enlarging_limited").with("area", area);
            telemetry.log(record.with("wanted", wanted).with("ms", ms).with("max_ms", max_ms));
        } else {
            telemetry.log(telemetry.info("enlarging").with("area", area).with("ms", ms).with("max_ms", max_ms));
        }
    }
}

impl fmt::Display for EnlargingPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spot {
            Some(side) => write!(f, "the spot, {side}x{side}")?,
            None => write!(f, "every frame")?,
        }
        if self.spot.is_some_and(|spot| spot < self.wanted) {
            write!(f, " instead of {0}x{0}", self.wanted)?;
        }
        if let Some(ms) = self.ms {
            write!(f, ", in {ms:.1} ms")?;
        }
        match self.max_ms {
            Some(max) if self.is_late() => write!(f, ": longer than the {max:.1} ms it may take"),
            Some(max) => write!(f, " of {max:.1} ms"),
            None => Ok(()),
        }
    }
}
