//! The products of a line: which it knows, which it starts with, and what is asked for while it runs.

use super::product_lines::ProductLines;
use crate::bundle::Bundle;
use crate::config::{Config, ProductConfig};
use crate::pipeline::{ChosenProduct, Commands, ProductKey};
use crate::sink::AlarmLatch;
use crate::source::camera::ProductControls;
use crate::telemetry::{Cause, Telemetry};
use anyhow::Context;
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

/// The camera's controls by product, where products have some.
pub(super) fn controls(config: &Config, commands: &Arc<Commands>) -> Option<Arc<ProductControls>> {
    let (sets, settle) = config.product_controls()?;
    let (commands, first) = (Arc::clone(commands), first(config).map(|(at, _)| at));
    let wanted = move || match commands.wanted() {
        ChosenProduct::Known(at) => Some(at),
        // Until something is chosen the camera has what judges.
        _ => first,
    };
    Some(Arc::new(ProductControls::new(sets, settle, Box::new(wanted))))
}

/// Those of the product that the configuration starts with, and no others.
pub fn first_controls(config: &Config) -> Option<Arc<ProductControls>> {
    let (sets, settle) = config.product_controls()?;
    let (at, _) = first(config)?;
    let set = sets.into_iter().nth(at)?;
    Some(Arc::new(ProductControls::new(vec![set], settle, Box::new(|| Some(0)))))
}

/// The product whose bundle is loaded first, which judges; that of an unknown one is the first of the file.
pub(super) fn first(config: &Config) -> Option<(usize, &ProductConfig)> {
    let at = match config.first_product() {
        ChosenProduct::Known(at) => at,
        _ => 0,
    };
    Some((at, config.product.get(at)?))
}

/// Finds the bundle of a product, and tests it.
pub(super) fn tested(find: &dyn Fn(&str) -> anyhow::Result<Bundle>, product: &ProductConfig) -> anyhow::Result<Bundle> {
    find(product.bundle.get_ref()).with_context(|| describe(product))
}

/// A product in an error.
pub(super) fn describe(product: &ProductConfig) -> String {
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
