//! The versions that are judged beside active ones, where the homes of the line's bundles have some.

use super::bill;
use super::bundles;
use super::models::{Floats, loading_bytes};
use super::tasks::{HomeInUse, homes_in_use};
use super::trial_picture::trial_picture;
use crate::bundle::Bundle;
use crate::config::Config;
use crate::memory::{Bill, heap_use};
use crate::pipeline::Shadow;
use crate::task::Judge;
use crate::telemetry::Telemetry;
use anyhow::{Context, ensure};
use bytesize::ByteSize;
use lineside_engine::Workspace;
use log::Level;

/// Frames of unknown size are taken to have this one until the first arrives.
const UNKNOWN_SIZE: (usize, usize) = (64, 48);

/// Loads the shadows and puts them on the bill; with the words by which records name their bundles. `loaded`: the fingerprints of the
/// bundles that judge. A shadow that cannot be used is reported and left out: it must not keep the line from inspecting.
pub(super) fn load_all(
    config: &Config,
    size: Option<(usize, usize)>,
    loaded: &[&str],
    workspace: &Workspace,
    telemetry: &Telemetry,
    bill: &mut Bill,
) -> Vec<(Shadow, String)> {
    let mut shadows = Vec::new();
    for HomeInUse { home, thresholds } in homes_in_use(config) {
        let Some(version) = home.state().shadow.as_deref() else { continue };
        let mut judged_beside = || {
            let active = &home.state().active;
            let beside = loaded.iter().find(|loaded| loaded.starts_with(active.as_str()));
            let beside = beside.context("the version that it is to be judged beside is not loaded")?;
            let [threshold, others @ ..] = thresholds.as_slice() else { anyhow::bail!("nothing judges by it") };
            ensure!(
                others.iter().all(|other| other == threshold),
                "tasks or products with different thresholds judge by {}: which one its own is to be compared with is not known",
                home.name()
            );
            let bundle = home.version(version)?.within(budget(config));
            try_load(config, *threshold, (&home.name(), bundle, beside), size, workspace, bill)
        };
        match judged_beside() {
            Ok(shadow) => shadows.push(shadow),
            Err(error) => {
                let record = telemetry.record(Level::Warn, "shadow_refused").with("bundle", home.name());
                telemetry.log(record.with("version", version).with("error", format!("{error:#}")));
            }
        }
    }
    shadows
}

fn budget(config: &Config) -> u64 {
    config.budget.memory.get_ref().as_u64()
}

fn try_load(
    config: &Config,
    threshold: Option<f64>,
    (home, bundle, beside): (&str, Bundle, &str),
    size: Option<(usize, usize)>,
    workspace: &Workspace,
    bill: &mut Bill,
) -> anyhow::Result<(Shadow, String)> {
    let fits = |bill: &Bill, more: u64| {
        let heap = heap_use();
        let wanted = bill.total() + more + workspace.bytes() + (heap.peak - heap.in_use) as u64;
        let (wanted, budget) = (ByteSize(wanted), ByteSize(budget(config)));
        let problem = "are needed: raise it for as long as the shadow is tried";
        ensure!(wanted <= budget, "with it {wanted} of budget.memory = {budget} {problem}");
        Ok(())
    };
    // What it takes is known when it is loaded, as its self-test does, too: where it could not be, it is not even tried.
    fits(bill, loading_bytes(&bundle))?;
    let bundle = bundles::test(bundle, &config.bundles)?;
    let judge = Judge::in_workspace(&bundle, threshold, &workspace.on_threads(config.anomaly_threads()))?;
    Floats::of(judge.plans()).allowed(config, &bundle)?;
    let mut item = Bill::default();
    bill::add_shadow(&mut item, home, &judge);
    fits(bill, item.total())?;
    let size = size.or(judge.frame_size()).unwrap_or(UNKNOWN_SIZE);
    let shadow = Shadow::new(judge, beside, &trial_picture(size))?;
    bill.append(item);
    Ok((shadow, bundles::title(&bundle)))
}
