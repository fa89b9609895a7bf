//! What several cameras of one process share of their models: each network's packed weights are there once.

use crate::bundle::Bundle;
use crate::task::super_resolution::EnlargerPlans;
use crate::task::{Judge, TaskError};
use lineside_engine::{Plan, Workspace};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The plans that cameras run, as long as one of them uses each. Arenas and everything that a run writes to are each camera's own: they
/// inspect at the same time, and none waits for another.
#[derive(Default)]
pub(super) struct SharedModels {
    /// Bundles that were found and tested, by the name in the configuration, while the cameras are being planned.
    bundles: Mutex<HashMap<String, Bundle>>,
    /// By the fingerprint of the bundle.
    judges: Mutex<HashMap<String, Vec<Weak<Plan>>>>,
    enlargers: EnlargerPlans,
    /// Held by the camera that is being planned.
    planning: Mutex<()>,
    /// What all but that camera take, in bytes, as far as it is known.
    beside: AtomicU64,
}

impl SharedModels {
    /// One camera is planned at a time: loading takes memory beside what stays. The others take `beside` bytes.
    pub(super) fn plan_alone(&self, beside: u64) -> MutexGuard<'_, ()> {
        let alone = lock(&self.planning);
        self.beside.store(beside, Relaxed);
        alone
    }

    /// What all cameras but the one that is being planned take, in bytes.
    pub(super) fn beside(&self) -> u64 {
        self.beside.load(Relaxed)
    }

    /// Whether a bundle's networks are loaded.
    pub(super) fn has(&self, bundle: &Bundle) -> bool {
        let judges = lock(&self.judges);
        judges.get(bundle.fingerprint()).is_some_and(|plans| plans.iter().all(|plan| plan.strong_count() > 0))
    }

    /// Finds a bundle and tests it by `open`, once for all cameras.
    pub(super) fn bundle(&self, name: &str, open: &dyn Fn(&str) -> anyhow::Result<Bundle>) -> anyhow::Result<Bundle> {
        if let Some(bundle) = lock(&self.bundles).get(name) {
            return Ok(bundle.clone());
        }
        let bundle = open(name)?;
        lock(&self.bundles).insert(name.into(), bundle.clone());
        Ok(bundle)
    }

    /// From now on a bundle is found and tested again: whoever is started anew takes what is there then.
    pub(super) fn forget_bundles(&self) {
        lock(&self.bundles).clear();
    }

    /// Who judges by a bundle, and whether the plans are those of another camera.
    pub(super) fn judge(
        &self,
        bundle: &Bundle,
        threshold: Option<f64>,
        workspace: &Workspace,
    ) -> Result<(Judge, bool), TaskError> {
        let mut judges = lock(&self.judges);
        let plans = judges.get(bundle.fingerprint()).map(|plans| plans.iter().map(Weak::upgrade));
        if let Some(plans) = plans.and_then(|plans| plans.collect::<Option<Vec<Arc<Plan>>>>()) {
            return Ok((Judge::of_plans(bundle, threshold, workspace, &plans)?, true));
        }
        let judge = Judge::in_workspace(bundle, threshold, workspace)?;
        let plans = judge.shared_plans().iter().map(Arc::downgrade).collect();
        judges.insert(bundle.fingerprint().into(), plans);
        Ok((judge, false))
    }

    /// What enlargers share.
    pub(super) fn enlargers(&self) -> &EnlargerPlans {
        &self.enlargers
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
