//! The models of a line: loaded, run once, put on the bill. Models that would run in floats unasked are refused.

use super::bill;
use super::enlarging::EnlargingPlan;
use super::first_picture::first_picture;
use super::mode::Mode;
use super::on_request;
use super::products;
use super::region::{check_product_region, check_region};
use super::shared_models::SharedModels;
use super::tasks::{check_condition, describe, require_one_size, wanted};
use super::trial_picture::trial_picture;
use super::verdict_cost::VerdictCost;
use crate::bundle::{Bundle, Tolerance};
use crate::config::Config;
use crate::memory::Bill;
use crate::pipeline::{Enlargement, Smaller};
use crate::source::FrameSource;
use crate::status_page::PictureJudge;
use crate::task::anomaly::{Baseline, Verdict};
use crate::task::super_resolution::{Enlarger, When};
use crate::task::{Judge, NamedTask, TaskError, Tasks};
use anyhow::Context;
use lineside_engine::{Plan, Workspace};

/// Frames of unknown size are taken to have this one until the first arrives.
const UNKNOWN_SIZE: (usize, usize) = (64, 48);

/// The models of a line, and what is known of them.
pub(super) struct Models {
    pub(super) tasks: Tasks,
    /// The same tasks for pictures that are posted to the status page, where that is asked for.
    pub(super) on_request: Option<PictureJudge>,
    /// Describe the tasks, where there are several.
    pub(super) described: Vec<String>,
    pub(super) enlargement: Option<Enlargement>,
    pub(super) smaller: Option<Smaller>,
    /// Name, version and fingerprint of each bundle.
    pub(super) bundles: Vec<String>,
    /// How far good frames may vary beyond those taught, where the anomaly bundle was taught with that.
    pub(super) tolerance: Option<Tolerance>,
    /// What a verdict takes here; measured where the line is checked.
    pub(super) cost: Option<VerdictCost>,
    /// The kernel set that runs them.
    pub(super) kernel: &'static str,
    /// What drift is measured against, where the bundle has it.
    pub(super) baseline: Option<Baseline>,
    /// What enlarging takes here, where something is enlarged.
    pub(super) enlarging: Option<EnlargingPlan>,
    /// Bytes of one enlargement and what it was made of.
    pub(super) enlarged: u64,
}

/// The memory and the threads of all networks of a line: they run one after the other, on the thread that inspects.
pub(super) fn workspace(config: &Config) -> anyhow::Result<Workspace> {
    let enlarging_threads = if config.super_resolution.when == When::Never { 1 } else { config.engine_threads() };
    Ok(Workspace::new(config.anomaly_threads().max(enlarging_threads))?)
}

/// Loads the models that a configuration names; `find` finds a bundle and tests it.
pub(super) fn load(
    config: &Config,
    mode: Mode,
    source: &dyn FrameSource,
    find: &dyn Fn(&str) -> anyhow::Result<Bundle>,
    shared: Option<&SharedModels>,
    workspace: &Workspace,
    bill: &mut Bill,
) -> anyhow::Result<Models> {
    let mut names = Vec::new();
    let (mut tasks, mut bundles) = (Vec::new(), Vec::new());
    for (at, wanted) in wanted(config).into_iter().enumerate() {
        let product = products::first(config).map(|(_, product)| product);
        let bundle = match product {
            Some(product) => products::tested(find, product)?,
            None => find(wanted.bundle)?,
        };
        // In the size of the frames, so that what depends on it is made now and not while the line runs.
        let judge = load_judge(config, &bundle, wanted.threshold, source.frame_size(), shared, workspace, bill)?;
        if let Some(size) = source.frame_size() {
            require_taught_size(&bundle, &judge, size, "")?;
        } else if mode == Mode::Check
            && let Some((file, size)) = first_picture(config)
        {
            require_taught_size(&bundle, &judge, size, &format!("{file}: "))?;
        }
        if let Some(product) = product {
            check_product_region(config, product, &bundle, &judge)?;
        } else if config.task.is_empty() {
            check_region(config, &bundle, &judge)?;
        }
        check_condition(config, at, wanted.condition.as_ref(), &tasks)?;
        names.push(identity(&bundle));
        bundles.push(bundle);
        tasks.push(NamedTask { name: wanted.name.into(), judge, condition: wanted.condition });
    }
    let mut tasks = tasks.into_iter();
    let (Some(first), Some(bundle)) = (tasks.next(), bundles.first()) else { anyhow::bail!("the line has no task") };
    let mut tasks = Tasks::new(first, tasks.collect());
    require_one_size(&tasks, &bundles)?;
    let on_request = on_request::load(config, source, &tasks, &bundles, bill)?;
    let described = if tasks.count() > 1 { describe(&tasks, &names) } else { Vec::new() };
    // Scores of several products have no common baseline.
    let baseline = if config.product.len() > 1 { None } else { Baseline::of(bundle)? };
    let kernel = tasks.plans().next().map_or("", Plan::kernel);
    let threads = config.anomaly_threads();
    let measure = || VerdictCost::measure(&mut tasks, source.frame_size(), threads);
    let cost = (mode == Mode::Check).then(measure).transpose()?;
    let tolerance = bundle.manifest().anomaly.as_ref().and_then(|section| section.tolerance);
    let (enlargement, smaller, enlarging, enlarged) = (None, None, None, 0);
    let bundles = names;
    let mut models = Models {
        tasks,
        on_request,
        described,
        cost,
        enlargement,
        smaller,
        bundles,
        tolerance,
        kernel,
        baseline,
        enlarging,
        enlarged,
    };
    if config.super_resolution.when != When::Never {
        models.add_enlarger(config, source, find, shared, workspace, bill)?;
    }
    if let Some(smaller) = &config.heat.smaller {
        let (bundle, size) = (find(smaller.bundle.get_ref())?, smaller.size());
        models.bundles.push(identity(&bundle));
        let judge =
            load_judge(config, &bundle, config.anomaly.wanted_threshold(), Some(size), shared, workspace, bill)?;
        require_taught_size(&bundle, &judge, size, "[heat.smaller]: ")?;
        models.smaller = Some(Smaller { size, tasks: Tasks::one("anomaly", judge) });
    }
    Ok(models)
}

impl Models {
    fn add_enlarger(
        &mut self,
        config: &Config,
        source: &dyn FrameSource,
        find: &dyn Fn(&str) -> anyhow::Result<Bundle>,
        shared: Option<&SharedModels>,
        workspace: &Workspace,
        bill: &mut Bill,
    ) -> anyhow::Result<()> {
        let when = config.super_resolution.when;
        let bundle = find(config.super_resolution.bundle.get_ref())?;
        self.bundles.push(identity(&bundle));
        let mut enlarger = Enlarger::new(bundle)?.in_workspace(&workspace.on_threads(config.engine_threads()));
        if let Some(shared) = shared {
            enlarger = enlarger.sharing(shared.enlargers());
        }
        let fitted = EnlargingPlan::fit(config, source, &mut self.tasks, &mut enlarger)?;
        let (side, pixels) = (fitted.side(), source.max_pixels());
        let size = match (when, source.frame_size()) {
            (When::Always, Some(size)) => size,
            // As if square: what counts is the number of pixels.
            (When::Always, None) => (pixels.isqrt(), pixels.isqrt()),
            _ => (side, side),
        };
        let floats = Floats::of([enlarger.plan_for(size.0, size.1)?]);
        floats.allowed(config, enlarger.bundle())?;
        let scale = enlarger.scale() as u64;
        let is_shared = enlarger.shares_plan_for(size.0, size.1)?;
        let plan = enlarger.plan_for(size.0, size.1)?;
        self.enlarged = bill::add_enlarger(bill, config, (plan, is_shared), size, pixels as u64, scale);
        self.enlarging = Some(fitted);
        self.enlargement = Some(Enlargement { enlarger, when, spot: side, limit: fitted.limit() });
        Ok(())
    }
}

/// What loading a bundle takes at most, in bytes, and may leave with the allocator: packed weights and scorers take 2.3 times the file of
/// the shipped bundles.
pub(super) fn loading_bytes(bundle: &Bundle) -> u64 {
    let file = bundle.folder().join(&bundle.manifest().model);
    3 * std::fs::metadata(file).map_or(0, |file| file.len())
}

/// Loads a bundle that judges frames of a size, where that is known, judges one, and puts it on the bill.
pub(super) fn load_judge(
    config: &Config,
    bundle: &Bundle,
    threshold: Option<f64>,
    size: Option<(usize, usize)>,
    shared: Option<&SharedModels>,
    workspace: &Workspace,
    bill: &mut Bill,
) -> anyhow::Result<Judge> {
    let workspace = workspace.on_threads(config.anomaly_threads());
    let (mut judge, is_shared) = match shared {
        Some(shared) => shared.judge(bundle, threshold, &workspace)?,
        None => (Judge::in_workspace(bundle, threshold, &workspace)?, false),
    };
    Floats::of(judge.plans()).allowed(config, bundle)?;
    bill::add_judge(bill, &bundle.manifest().name, &judge, is_shared);
    let size = size.or(judge.frame_size()).unwrap_or(UNKNOWN_SIZE);
    match judge.prepare(&trial_picture(size)) {
        Err(TaskError::OtherSize(problem)) => return Err(bundle.blame("bundle.toml", problem).into()),
        other => other?,
    }
    match judge.judge(size, &mut Verdict::default()) {
        Err(TaskError::Output(problem)) => Err(bundle.blame(&bundle.manifest().model, problem).into()),
        other => Ok(other.map(|_| judge)?),
    }
}

/// Refuses frames of a size that a bundle was not taught with; `origin` says which frames.
pub(super) fn require_taught_size(
    bundle: &Bundle,
    judge: &Judge,
    size: (usize, usize),
    origin: &str,
) -> anyhow::Result<()> {
    let result = judge.require_taught_size(size);
    Ok(result.map_err(|problem| bundle.blame("bundle.toml", format!("{origin}{problem}")))?)
}

/// What of a bundle's networks is not computed in integers.
pub(super) struct Floats {
    /// The share of multiply-accumulates in integers, 0 to 1; of ops for a plan without any.
    coverage: f64,
    /// Whether the plan of that share has multiply-accumulates.
    multiplies: bool,
    /// Ops that are left to tract, and one of them by name.
    islands: usize,
    island: String,
}

impl Floats {
    pub(super) fn of<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Floats {
        let mut floats = Floats { coverage: 1.0, multiplies: true, islands: 0, island: String::new() };
        for plan in plans {
            if plan.integer_coverage() < floats.coverage {
                (floats.coverage, floats.multiplies) = (plan.integer_coverage(), plan.macs() > 0);
            }
            floats.islands += plan.islands().count();
            if let Some(op) = plan.islands().next() {
                floats.island.clone_from(&op.name);
            }
        }
        floats
    }

    /// Refuses what the configuration does not allow: floats take several times as long, and what runs through tract may give other
    /// bits on another CPU.
    pub(super) fn allowed(&self, config: &Config, bundle: &Bundle) -> anyhow::Result<()> {
        if config.engine.allow_float || (self.coverage >= 1.0 && self.islands == 0) {
            return Ok(());
        }
        let problem = if self.islands > 0 {
            format!(
                "{} of its ops run through tract (\"{}\"), where floats may differ from CPU to CPU; set engine.allow_float = true \
                 to run it all the same",
                self.islands, self.island
            )
        } else if !self.multiplies {
            format!(
                "{:.0} % of its ops run in integers, the rest in floats, and it has no multiply-accumulates that could be quantized: \
                 the same result on every CPU; set engine.allow_float = true to run it as it is",
                self.coverage * 100.0
            )
        } else {
            format!(
                "{:.0} % of its multiply-accumulates run in integers, the rest in floats: the same result on every CPU, but several \
                 times as long; quantize it (lineside quantize), or set engine.allow_float = true to run it as it is",
                self.coverage * 100.0
            )
        };
        Err(bundle.blame(&bundle.manifest().model, problem)).context("float model refused")
    }
}

fn identity(bundle: &Bundle) -> String {
    let manifest = bundle.manifest();
    format!("{} {} {}", manifest.name, manifest.version, bundle.fingerprint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_partly_runs_in_floats_is_refused_unless_allowed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/inspect-demo");
        let bundle = Bundle::open(&folder).unwrap();
        let mut config = Config::demo("out".into());
        let floats = |coverage, islands| Floats { coverage, multiplies: true, islands, island: "Einsum_3".into() };
        assert!(floats(1.0, 0).allowed(&config, &bundle).is_ok());
        let problem = format!("{:#}", floats(0.994, 0).allowed(&config, &bundle).unwrap_err());
        assert!(problem.contains("99 % of its multiply-accumulates"), "{problem}");
        assert!(problem.contains("set engine.allow_float = true"), "{problem}");
        let without = Floats { multiplies: false, ..floats(0.0, 0) };
        let problem = format!("{:#}", without.allowed(&config, &bundle).unwrap_err());
        assert!(problem.contains("0 % of its ops run in integers"), "{problem}");
        let problem = format!("{:#}", floats(1.0, 2).allowed(&config, &bundle).unwrap_err());
        assert!(problem.contains("2 of its ops run through tract (\"Einsum_3\")"), "{problem}");
        config.engine.allow_float = true;
        assert!(floats(0.994, 2).allowed(&config, &bundle).is_ok());
    }
}
