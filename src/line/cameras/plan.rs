//! From the configurations of several cameras to their plans: models are loaded once, and one bill is compared with one budget.

use crate::config::{Config, ConfigError};
use crate::line::LinePlan;
use crate::line::bill;
use crate::line::mode::Mode;
use crate::line::plan::{check_budget, plan_on};
use crate::line::shared_models::SharedModels;
use crate::memory::{Bill, reset_peak};
use crate::telemetry::Telemetry;
use std::sync::Arc;

/// The plans of several cameras, and what they take.
pub struct CamerasPlan {
    /// In the order of the file. The bill of each is that of all: the process has one budget.
    pub lines: Vec<LinePlan>,
    /// What each takes alone; a network's weights stand with the first camera that uses it.
    pub bills: Vec<Bill>,
    /// What they take together, with what the process takes for all of them.
    pub bill: Bill,
    /// What one that is started again takes from the others.
    pub(super) models: Arc<SharedModels>,
}

/// Plans all cameras of a file; `telemetries` has one for each.
///
/// # Errors
/// As [`crate::line::plan`], of the first camera that cannot be planned, and where all of them together are over budget.
pub fn plan_cameras(configs: &[Config], mode: Mode, telemetries: &[Telemetry]) -> anyhow::Result<CamerasPlan> {
    reset_peak();
    let models = Arc::<SharedModels>::default();
    let mut lines = Vec::with_capacity(configs.len());
    for (config, telemetry) in configs.iter().zip(telemetries) {
        let beside = lines.iter().map(|line: &LinePlan| line.bill.total()).sum();
        lines.push(plan_camera(config, mode, telemetry, &models, beside)?);
    }
    models.forget_bundles();
    let mut bill = Bill::default();
    bill::add_program(&mut bill);
    bill::add_output_stacks(&mut bill);
    let bills: Vec<Bill> = lines.iter().map(|line| line.bill.clone()).collect();
    for (config, own) in configs.iter().zip(&bills) {
        bill.append_of(name(config), own);
    }
    bill::add_loading(&mut bill);
    if let Some(config) = configs.first() {
        check_budget(config, &bill)?;
    }
    let mut plan = CamerasPlan { lines, bills, bill, models };
    for (line, config) in plan.lines.iter_mut().zip(configs) {
        finish(line, config, &plan.bill);
    }
    Ok(plan)
}

/// Plans one camera beside others, which take so many bytes; its bill has nothing of the process, nor of what is shared with cameras that
/// were planned before.
pub(super) fn plan_camera(
    config: &Config,
    mode: Mode,
    telemetry: &Telemetry,
    models: &SharedModels,
    beside: u64,
) -> anyhow::Result<LinePlan> {
    let _alone = models.plan_alone(beside);
    plan_on(config, mode, telemetry, Some(models), Bill::default()).map_err(|error| match error.is::<ConfigError>() {
        // It names the camera, and the line of the file.
        true => error,
        false => error.context(format!("camera {}", name(config))),
    })
}

/// Gives a camera's plan the bill of all, and its share of what that leaves.
pub(super) fn finish(line: &mut LinePlan, config: &Config, bill: &Bill) {
    line.bill = bill.clone();
    let left = config.budget.memory.get_ref().as_u64().saturating_sub(bill.total());
    line.pipeline.source.limit_file_bytes(bill::file_bytes(left / config.cameras() as u64));
}

/// The name of a camera.
pub(super) fn name(config: &Config) -> &str {
    config.camera.as_ref().map_or("", |camera| camera.name.as_str())
}
