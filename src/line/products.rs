//! The products of a line: loaded beside each other where they fit the budget, followed where one is asked for that is not loaded.

use super::bundles::title;
use super::mode::Mode;
use super::models::{load_judge, require_taught_size};
use super::product_lines::ProductLines;
use super::region::check_product_region;
use crate::bundle::Bundle;
use crate::config::{Config, ProductConfig};
use crate::memory::Bill;
use crate::pipeline::{ChosenProduct, Commands, ProductKey, ProductSwitch};
use crate::sink::AlarmLatch;
use crate::source::FrameSource;
use crate::task::Tasks;
use crate::telemetry::{Cause, Telemetry};
use anyhow::Context;
use lineside_engine::Workspace;
use std::sync::Arc;
use std::time::Instant;

/// The names and codes of the products, in the order of the file.
fn keys(config: &Config) -> Vec<ProductKey> {
    let key =
        |product: &ProductConfig| ProductKey { name: product.name.get_ref().clone(), code: *product.code.get_ref() };
    config.product.iter().map(key).collect()
}

/// The commands of a run. Where lines say which product comes, none is known until they have settled.
pub(super) fn commands(config: &Config, latch: Option<Arc<AlarmLatch>>, telemetry: &Telemetry) -> Arc<Commands> {
    let first = match config.first_product() {
        ChosenProduct::Known(_) if !config.products.lines.get_ref().is_empty() => ChosenProduct::Unknown,
        first => first,
    };
    Arc::new(Commands::new(keys(config), first, latch, telemetry.clone()))
}

/// The product whose bundle is loaded first, which judges; that of an unknown one is the first of the file.
pub(super) fn first(config: &Config) -> Option<(usize, &ProductConfig)> {
    let at = match config.first_product() {
        ChosenProduct::Known(at) => at,
        _ => 0,
    };
    Some((at, config.product.get(at)?))
}

/// What is loaded beside the first.
pub(super) struct LoadedProducts {
    /// Switches between them; `None` where the line has no products.
    pub(super) switch: Option<ProductSwitch>,
    /// By product: whether it is loaded.
    pub(super) loaded: Vec<bool>,
    /// By product: what it is, for `check`.
    pub(super) described: Vec<String>,
    /// Names, versions and fingerprints of the bundles.
    pub(super) bundles: Vec<String>,
}

/// Loads the other products, as long as they fit into what the bill leaves of the budget, and tests all of them. Where one does not
/// fit, none but the first stays: a switch then takes a new start, of which it is known before that it takes its time.
pub(super) fn load_others(
    config: &Config,
    mode: Mode,
    source: &dyn FrameSource,
    find: &dyn Fn(&str) -> anyhow::Result<Bundle>,
    workspace: &Workspace,
    commands: &Arc<Commands>,
    bill: &mut Bill,
) -> anyhow::Result<LoadedProducts> {
    let Some((first, _)) = first(config) else {
        let (loaded, described, bundles) = (Vec::new(), Vec::new(), Vec::new());
        return Ok(LoadedProducts { switch: None, loaded, described, bundles });
    };
    let budget = config.budget.memory.get_ref().as_u64();
    let (mut others, mut bundles, mut items, mut all_fit) = (Vec::new(), Vec::new(), Bill::default(), true);
    for (at, product) in config.product.iter().enumerate().filter(|(at, _)| *at != first) {
        let bundle = tested(find, product)?;
        let taken = || bill.total() + items.total() + workspace.bytes();
        // What it will take is known when it is loaded; where its file alone is too much, it is not even tried.
        let file = std::fs::metadata(bundle.folder().join(&bundle.manifest().model)).map_or(0, |file| file.len());
        all_fit = all_fit && taken() + file <= budget;
        bundles.push(title(&bundle));
        if !all_fit && mode == Mode::Run {
            continue;
        }
        let mut item = Bill::default();
        let judge = load_judge(config, &bundle, product.wanted_threshold(), source.frame_size(), workspace, &mut item);
        let judge = judge.with_context(|| describe(product))?;
        check_product_region(config, product, &bundle, &judge)?;
        if let Some(size) = source.frame_size() {
            require_taught_size(&bundle, &judge, size, "").with_context(|| describe(product))?;
        }
        all_fit = all_fit && taken() + item.total() <= budget;
        items.append(item);
        if all_fit {
            others.push((at, Tasks::one("anomaly", judge)));
        }
    }
    if all_fit {
        bill.append(items);
    } else {
        others.clear();
    }
    let loaded: Vec<bool> = (0..config.product.len()).map(|at| at == first || all_fit).collect();
    let described = config.product.iter().zip(&loaded).map(|(product, loaded)| {
        let (name, code) = (product.name.get_ref(), product.code.get_ref());
        let how = if *loaded { "loaded" } else { "by a new start: budget.memory does not hold all products together" };
        format!("{name}, code {code}: {}, {how}", product.bundle.get_ref())
    });
    let described = described.collect();
    let switch = Some(ProductSwitch::new(Arc::clone(commands), first, others));
    Ok(LoadedProducts { switch, loaded, described, bundles })
}

/// Finds the bundle of a product, and tests it.
pub(super) fn tested(find: &dyn Fn(&str) -> anyhow::Result<Bundle>, product: &ProductConfig) -> anyhow::Result<Bundle> {
    find(product.bundle.get_ref()).with_context(|| describe(product))
}

fn describe(product: &ProductConfig) -> String {
    format!("[[product]] \"{}\"", product.name.get_ref())
}

/// Follows what is asked for, on the main thread: reads the lines, reports a product that is unknown, and knows when another start is
/// needed.
pub(super) struct ProductWatch {
    commands: Arc<Commands>,
    loaded: Vec<bool>,
    lines: Option<ProductLines>,
    /// Whether an unknown product is reported.
    is_unknown: bool,
}

impl ProductWatch {
    pub(super) fn new(commands: Arc<Commands>, loaded: Vec<bool>, lines: Option<ProductLines>) -> ProductWatch {
        ProductWatch { commands, loaded, lines, is_unknown: false }
    }

    /// To be called many times a second.
    pub(super) fn poll(&mut self, now: Instant, telemetry: &Telemetry) {
        if let Some(lines) = &mut self.lines {
            lines.poll(now, &self.commands, telemetry);
        }
        // Until the lines have settled nobody has asked for anything.
        let is_asked = self.lines.as_ref().is_none_or(ProductLines::have_settled);
        let is_unknown = is_asked && self.commands.wanted() == ChosenProduct::Unknown;
        if is_unknown && !self.is_unknown {
            let known: Vec<&str> = self.commands.products().iter().map(|key| key.name.as_str()).collect();
            let text = format!("the product is unknown: every part is NOK until one is chosen of {}", known.join(", "));
            telemetry.fail(Cause::Product, &text);
        } else if !is_unknown {
            telemetry.resolve(Cause::Product);
        }
        self.is_unknown = is_unknown;
    }

    /// The name of the product that is asked for and not loaded.
    pub(super) fn missing(&self) -> Option<&str> {
        let ChosenProduct::Known(at) = self.commands.wanted() else { return None };
        let key = self.commands.products().get(at)?;
        self.loaded.get(at).is_some_and(|loaded| !loaded).then_some(key.name.as_str())
    }

    /// The commands of the run.
    pub(super) fn commands(&self) -> &Commands {
        &self.commands
    }
}
