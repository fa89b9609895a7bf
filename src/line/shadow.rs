//! The version that is judged beside the active one, where the home of the line's bundle has one.

use super::bill;
use super::bundles;
use super::models::Floats;
use super::tasks::only_task;
use super::trial_picture::trial_picture;
use crate::bundle::{self, Bundle, Home};
use crate::config::Config;
use crate::memory::Bill;
use crate::pipeline::Shadow;
use crate::task::Judge;
use crate::telemetry::Telemetry;
use lineside_engine::Workspace;
use log::Level;

/// Frames of unknown size are taken to have this one until the first arrives.
const UNKNOWN_SIZE: (usize, usize) = (64, 48);

/// Loads the shadow and puts it on the bill; with the words by which records name its bundle. One that cannot be used is reported and
/// left out: it must not keep the line from inspecting.
pub(super) fn load(
    config: &Config,
    size: Option<(usize, usize)>,
    workspace: &Workspace,
    telemetry: &Telemetry,
    bill: &mut Bill,
) -> Option<(Shadow, String)> {
    // Of several tasks on a frame the worst decides; the shadow of one cannot be compared with that, nor with another product.
    let task = only_task(config)?;
    let home = Home::open(&bundle::locate(task.bundle).ok()?).ok().flatten()?;
    let version = home.state().shadow.clone()?;
    match try_load(config, task.threshold, (&home, &version), size, workspace, bill) {
        Ok(loaded) => Some(loaded),
        Err(error) => {
            let record = telemetry.record(Level::Warn, "shadow_refused").with("bundle", home.name());
            telemetry.log(record.with("version", version).with("error", format!("{error:#}")));
            None
        }
    }
}

fn try_load(
    config: &Config,
    threshold: Option<f64>,
    (home, version): (&Home, &str),
    size: Option<(usize, usize)>,
    workspace: &Workspace,
    bill: &mut Bill,
) -> anyhow::Result<(Shadow, String)> {
    let budget = config.budget.memory.get_ref().as_u64();
    let bundle: Bundle = bundles::test(home.version(version)?.within(budget), &config.bundles)?;
    let judge = Judge::in_workspace(&bundle, threshold, &workspace.on_threads(config.anomaly_threads()))?;
    Floats::of(judge.plans()).allowed(config, &bundle)?;
    let mut item = Bill::default();
    bill::add_shadow(&mut item, &home.name(), &judge);
    let size = size.or(judge.frame_size()).unwrap_or(UNKNOWN_SIZE);
    let shadow = Shadow::new(judge, &trial_picture(size))?;
    bill.append(item);
    Ok((shadow, bundles::title(&bundle)))
}
