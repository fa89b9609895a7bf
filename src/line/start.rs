//! Starts what a file configures: one line, or one for each of several cameras.

use super::cameras;
use super::plan::configurations;
use super::run::{CameraOutcome, Line, run_one};

/// Runs what a file configures until all of it has ended.
///
/// # Errors
/// As [`super::run`], and where the cameras cannot be planned together.
pub fn run_all(line: Line) -> anyhow::Result<Vec<CameraOutcome>> {
    let mut configs = configurations(line.path)?;
    match configs.pop() {
        Some(config) if config.camera.is_none() => {
            let outcome = run_one(line, config)?;
            Ok(vec![CameraOutcome { camera: None, outcome: Some(outcome), failure: None }])
        }
        last => {
            configs.extend(last);
            cameras::run(line, configs)
        }
    }
}
