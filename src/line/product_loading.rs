//! The products that are loaded beside the one that judges, where they fit the budget together.

use super::bundles::title;
use super::models::{load_judge, loading_bytes, require_taught_size};
use super::products::{describe, first, tested};
use super::region::check_product_region;
use super::shared_models::SharedModels;
use crate::bundle::Bundle;
use crate::config::{Config, ProductConfig};
use crate::memory::{Bill, heap_use};
use crate::pipeline::{Commands, ProductSwitch};
use crate::source::FrameSource;
use crate::task::Tasks;
use anyhow::Context;
use bytesize::ByteSize;
use lineside_engine::Workspace;
use std::sync::Arc;

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

/// Tests the bundles of all products but the first, by their places in the configuration.
pub(super) fn test_others(
    config: &Config,
    find: &dyn Fn(&str) -> anyhow::Result<Bundle>,
) -> anyhow::Result<Vec<(usize, Bundle)>> {
    let Some((first, _)) = first(config) else { return Ok(Vec::new()) };
    let others = config.product.iter().enumerate().filter(|(at, _)| *at != first);
    others.map(|(at, product)| Ok((at, tested(find, product)?))).collect()
}

/// Loads the other products, whose bundles are tested, as long as they fit into what the bill leaves of the budget. Where one does not
/// fit, none but the first stays: a switch then takes a new start, of which it is known before that it takes its time.
///
/// # Errors
/// Where a bundle cannot be used, and where a product of one of several cameras does not fit: a new start of one could take room that the
/// others count on.
pub(super) fn load_others(
    config: &Config,
    source: &dyn FrameSource,
    tested: Vec<(usize, Bundle)>,
    (shared, workspace): (Option<&SharedModels>, &Workspace),
    commands: &Arc<Commands>,
    bill: &mut Bill,
) -> anyhow::Result<LoadedProducts> {
    let Some((first, _)) = first(config) else {
        let (loaded, described, bundles) = (Vec::new(), Vec::new(), Vec::new());
        return Ok(LoadedProducts { switch: None, loaded, described, bundles });
    };
    let budget = config.budget.memory.get_ref().as_u64();
    let (mut others, mut bundles, mut items, mut all_fit) = (Vec::new(), Vec::new(), Bill::default(), true);
    // Of several cameras, what loading left over is on the bill of all.
    let beside = || {
        let heap = heap_use();
        shared.map_or((heap.peak - heap.in_use) as u64, SharedModels::beside)
    };
    let does_not_fit = |product: &ProductConfig, bytes: u64| {
        let problem = format!(
            "product \"{}\" does not fit: with it {} of budget.memory = {} are needed, and of several cameras all products are loaded: \
             raise budget.memory, or run a line of its own for this camera",
            product.name.get_ref(),
            ByteSize(bytes),
            ByteSize(budget)
        );
        config.error_at(&product.name, problem)
    };
    for (at, bundle) in tested {
        let product = &config.product[at];
        bundles.push(title(&bundle));
        // What it takes is known when it is loaded: where it could not be, it is not even tried.
        let taken = || bill.total() + items.total() + workspace.bytes() + beside();
        let loading = if shared.is_some_and(|shared| shared.has(&bundle)) { 0 } else { loading_bytes(&bundle) };
        let wanted = taken() + loading;
        all_fit = all_fit && wanted <= budget;
        if !all_fit {
            shared.map_or(Ok(()), |_| Err(does_not_fit(product, wanted)))?;
            continue;
        }
        let mut item = Bill::default();
        let judge =
            load_judge(config, &bundle, product.wanted_threshold(), source.frame_size(), shared, workspace, &mut item);
        let judge = judge.with_context(|| describe(product))?;
        check_product_region(config, product, &bundle, &judge)?;
        if let Some(size) = source.frame_size() {
            require_taught_size(&bundle, &judge, size, "").with_context(|| describe(product))?;
        }
        let wanted = taken() + item.total();
        all_fit = all_fit && wanted <= budget;
        if !all_fit {
            shared.map_or(Ok(()), |_| Err(does_not_fit(product, wanted)))?;
        }
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
