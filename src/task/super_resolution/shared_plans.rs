//! Plans that several enlargers run, each in its own workspace.

use lineside_engine::Plan;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The plans of several enlargers, as long as one of them uses each: by bundle and size.
#[derive(Clone, Default)]
pub struct EnlargerPlans(Arc<Mutex<Vec<SharedPlan>>>);

/// The bundle's fingerprint, the pixels that a tile contributes, and their plan.
type SharedPlan = (String, (usize, usize), Weak<Plan>);

impl EnlargerPlans {
    pub(super) fn find(&self, bundle: &str, kept: (usize, usize)) -> Option<Arc<Plan>> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.iter().find(|plan| plan.0 == bundle && plan.1 == kept)?.2.upgrade()
    }

    pub(super) fn keep(&self, bundle: &str, kept: (usize, usize), plan: &Arc<Plan>) {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|plan| plan.2.strong_count() > 0);
        plans.push((bundle.into(), kept, Arc::downgrade(plan)));
    }
}
