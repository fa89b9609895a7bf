//! From a configuration to everything that a line needs: opened, loaded, run once and within its budget.

use super::bill;
use super::broker::broker;
use super::bundles;
use super::enlarging::EnlargingPlan;
use super::heat;
use super::modbus;
use super::mode::Mode;
use super::models;
use super::page::{self, PagePlan};
use super::parts;
use super::process::program_plan;
use super::product_lines::ProductLines;
use super::product_loading;
use super::products;
use super::shadow;
use super::shared_models::SharedModels;
use super::signals::{open_signals, triggered};
use super::source::open_source;
use super::trial::TrialWatch;
use super::verdict_cost::VerdictCost;
use crate::bundle::{self, Tolerance};
use crate::config::Config;
use crate::memory::{Bill, reset_peak};
use crate::modbus::ModbusSettings;
use crate::pipeline::{Commands, Inspection, LoadShedding, Pipeline, ProductSwitch, Shadow};
use crate::sink::part::PartLine;
use crate::sink::{AlarmLatch, LastResult, VerdictObserver, check_writable, mqtt};
use crate::task::anomaly::Baseline;
use crate::task::{Judge, Tasks};
use crate::telemetry::Telemetry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line that is ready to run, and its bill.
pub struct LinePlan {
    /// The threads' work.
    pub pipeline: Pipeline,
    /// What it takes of the memory.
    pub bill: Bill,
    /// Describes the source.
    pub source: String,
    /// The command of the program that delivers its frames, where there is one.
    pub command: Option<String>,
    /// Describe the GPIO lines.
    pub lines: Vec<String>,
    /// Describes the sensors, and what is done against heat.
    pub heat: String,
    /// What serves the parts, where they get results.
    pub parts: Option<PartLine>,
    /// The status page, where there is one.
    pub page: Option<PagePlan>,
    /// Name, version and fingerprint of each bundle.
    pub bundles: Vec<String>,
    /// Describe the tasks, where there are several.
    pub tasks: Vec<String>,
    /// The part of the frame that is inspected, where it is not all of it.
    pub region: Option<String>,
    /// By what frames are brought into place, where they are.
    pub alignment: Option<String>,
    /// How far good frames may vary beyond those taught, where the bundle was taught with that.
    pub tolerance: Option<Tolerance>,
    /// What a verdict takes here; measured where the line is checked.
    pub cost: Option<VerdictCost>,
    /// What enlarging takes here, where something is enlarged.
    pub enlarging: Option<EnlargingPlan>,
    /// The folder of results.
    pub output: PathBuf,
    /// The kernel set that runs the models.
    pub kernel: &'static str,
    /// What drift is measured against, where the bundle has it.
    pub baseline: Option<Baseline>,
    /// The broker's address and how to log in, where there is one.
    pub broker: Option<mqtt::BrokerSettings>,
    /// Where PLCs are served, where they are.
    pub modbus: Option<ModbusSettings>,
    /// What may be asked of the line while it runs.
    pub commands: Arc<Commands>,
    /// Describe the products.
    pub products: Vec<String>,
    /// By product: whether it is loaded, so that a switch takes no time.
    pub loaded: Vec<bool>,
    /// Versions that are on trial.
    pub(super) trials: Vec<TrialWatch>,
    /// The lines that choose one.
    pub product_lines: Option<ProductLines>,
    /// Its newest result.
    pub last_result: Arc<LastResult>,
}

/// Reads the configuration; without one, the demo's.
///
/// # Errors
/// Where it cannot be read or is invalid.
pub fn configuration(path: Option<&Path>) -> anyhow::Result<Config> {
    match path {
        Some(path) => Ok(Config::load(path)?),
        None => Ok(Config::demo(bundle::find("inspect-demo")?.folder().join("frames"))),
    }
}

/// Reads the configuration: one, or one for each of several cameras; without a file, the demo's.
///
/// # Errors
/// As [`configuration`].
pub fn configurations(path: Option<&Path>) -> anyhow::Result<Vec<Config>> {
    match path {
        Some(path) => Ok(Config::load_all(path)?),
        None => Ok(vec![configuration(None)?]),
    }
}

/// Opens the source, loads the bundles, runs each model once, and adds up the bill. Faults are reported to `telemetry`.
///
/// # Errors
/// Where something cannot be opened or loaded, is over budget, or would run in floats unasked.
pub fn plan(config: &Config, mode: Mode, telemetry: &Telemetry) -> anyhow::Result<LinePlan> {
    reset_peak();
    let mut bill = Bill::default();
    bill::add_program(&mut bill);
    let mut plan = plan_on(config, mode, telemetry, None, bill)?;
    bill::add_loading(&mut plan.bill);
    check_budget(config, &plan.bill)?;
    let budget = config.budget.memory.get_ref().as_u64();
    plan.pipeline.source.limit_file_bytes(bill::file_bytes(budget - plan.bill.total()));
    Ok(plan)
}

/// Compares a bill with the budget.
pub(super) fn check_budget(config: &Config, bill: &Bill) -> anyhow::Result<()> {
    bill.check(config.budget.memory.get_ref().as_u64()).map_err(|error| match config.budget.memory.span() {
        span if span.is_empty() => anyhow::Error::from(error),
        _ => config.error_at(&config.budget.memory, error).into(),
    })
}

/// A plan, whose bill is not yet compared with the budget and lacks what loading left over. With `shared`, it is that of one of several
/// cameras, and its bill has nothing of what they share.
pub(super) fn plan_on(
    config: &Config,
    mode: Mode,
    telemetry: &Telemetry,
    shared: Option<&SharedModels>,
    mut bill: Bill,
) -> anyhow::Result<LinePlan> {
    let latch = config.alarm.as_ref().filter(|alarm| alarm.latch);
    let latch = latch.map(|alarm| Arc::new(AlarmLatch::new(alarm.latched)));
    let commands = products::commands(config, latch.clone(), telemetry);
    let controls = products::controls(config, &commands);
    let source = open_source(config, controls.as_ref(), mode, telemetry)?;
    // With results for parts, their thread reads the trigger.
    let (source, mut parts) = match &config.part {
        Some(_) => parts::open(config, source, telemetry)?,
        None => (triggered(config, source, telemetry)?, None),
    };
    let product_lines = ProductLines::open(config)?;
    let mut signals = open_signals(config, latch.as_ref(), telemetry)?;
    let pixels = source.max_pixels() as u64;
    let open = |name: &str| bundles::open(name, config, mode, telemetry);
    let find = |name: &str| shared.map_or_else(|| open(name), |shared| shared.bundle(name, &open));
    let workspace = models::workspace(config)?;
    // Before anything is loaded: a test beside what is would need room for both.
    let other_products = product_loading::test_others(config, &find)?;
    let mut models = models::load(config, mode, source.as_ref(), &find, shared, &workspace, &mut bill)?;
    if mode == Mode::Check {
        check_output(config, bill::evidence_bytes(pixels, models.enlarged))?;
    }
    let program = program_plan(config)?;
    bill::add_frames(&mut bill, config, pixels, models.enlarged);
    if let Some(program) = &program {
        bill::add_program_source(&mut bill, program.mode);
    }
    let broker = broker(config, mode, &commands, &mut bill)?;
    let modbus = modbus::plan(config, &mut bill);
    if parts.is_some() {
        parts::add_to_bill(&mut bill);
    }
    bill::add_stacks(&mut bill, shared.is_some());
    let page = page::plan(config, source.as_ref(), models.on_request.take(), &commands, &mut bill)?;
    let room = (shared, &workspace);
    let others = product_loading::load_others(config, source.as_ref(), other_products, room, &commands, &mut bill)?;
    models.bundles.extend(others.bundles);
    let products = others.switch.iter().flat_map(ProductSwitch::tasks);
    let loaded: Vec<&str> =
        products.chain([&models.tasks]).flat_map(Tasks::iter).map(|task| &**task.judge.bundle()).collect();
    let shadows = shadow::load_all(config, source.frame_size(), &loaded, &workspace, telemetry, &mut bill);
    let trials = TrialWatch::find_all(config, &loaded);
    let counted = trials.iter().map(|trial| Arc::clone(&trial.counts)).collect();
    let (shadows, titles): (Vec<Shadow>, Vec<String>) = shadows.into_iter().unzip();
    models.bundles.extend(titles);
    bill::add_workspace(&mut bill, &workspace);

    signals.described.extend(parts::describe(config, models.cost.as_ref().map(|cost| cost.ms)));
    let judges = || models.tasks.iter().map(|task| &task.judge);
    let region = judges().find_map(Judge::region).map(ToString::to_string);
    let alignment = judges().find_map(Judge::aligner).map(ToString::to_string);

    let (results, last_result) = LastResult::channel();
    let mut results = Some(results);
    if let Some(line) = &mut parts {
        // A part's result is published when it is decided, in the order of the parts.
        line.results = results.take();
        line.parts.set_product(commands.active_product().map(|product| product.code));
    }

    Ok(LinePlan {
        source: source.describe(),
        command: program.map(|program| program.command.to_string()),
        lines: signals.described,
        heat: heat::describe(config),
        bundles: models.bundles,
        region,
        alignment,
        tasks: models.described,
        tolerance: models.tolerance,
        cost: models.cost,
        enlarging: models.enlarging,
        output: config.output.folder.get_ref().clone(),
        parts,
        kernel: models.kernel,
        baseline: models.baseline,
        broker,
        modbus,
        commands,
        products: others.described,
        loaded: others.loaded,
        trials,
        product_lines,
        last_result,
        bill,
        pipeline: Pipeline {
            source,
            inspection: Inspection {
                tasks: models.tasks,
                products: others.switch.map(|switch| switch.with_controls(controls)),
                smaller: models.smaller,
                enlargement: models.enlargement,
                shadows,
                trials: counted,
                skip_similar: *config.anomaly.skip_similar.get_ref(),
                normal_every: *config.output.normal_every.get_ref(),
                signals: signals.lines,
                viewer: page.as_ref().map(|page| page.viewer() as Arc<dyn VerdictObserver>),
                results,
            },
            shedding: Arc::new(LoadShedding::new(*config.heat.every.get_ref() as u32)),
            frames: None,
            telemetry: telemetry.clone(),
        },
        page,
    })
}

/// Whether the pictures of one defect could be written now.
pub(super) fn check_output(config: &Config, bytes: u64) -> anyhow::Result<()> {
    let output = &config.output.folder;
    let Err(error) = check_writable(output.get_ref(), bytes as usize) else { return Ok(()) };
    let problem = format!("{}: cannot write results there (output.folder): {error}", output.get_ref().display());
    // Not for ever: a disk may be emptied, and a folder given to another user.
    let is_default = output.span().is_empty();
    Err(anyhow::Error::msg(if is_default { problem } else { config.error_at(output, problem).to_string() }))
}
