//! Who judges frames: a model of normal frames that was taught, or a network that people brought.

use super::anomaly::{Aligner, ImageStats, Inspector, RegionOfInterest, Verdict};
use super::error::TaskError;
use super::own_model::OwnModel;
use crate::bundle::{Bundle, Task, ViewSize};
use lineside_engine::{Plan, Workspace};
use lineside_picture::Picture;
use std::sync::Arc;
use std::time::Duration;

/// Judges frames by one bundle.
pub enum Judge {
    /// Taught with good parts.
    Anomaly(Box<Inspector>),
    /// A network of another origin.
    Own(Box<OwnModel>),
}

impl Judge {
    /// Loads a bundle, with runs that `threads` threads share; the verdicts are the same for any number. `threshold` overrides the
    /// bundle's own.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the bundle judges no frames, or its parts do not fit each other.
    pub fn new(bundle: &Bundle, threshold: Option<f64>, threads: usize) -> Result<Judge, TaskError> {
        Judge::in_workspace(bundle, threshold, &Workspace::new(threads)?)
    }

    /// As [`Judge::new`], with runs in a workspace, which may be shared with other networks that run before or after.
    ///
    /// # Errors
    /// As [`Judge::new`].
    pub fn in_workspace(bundle: &Bundle, threshold: Option<f64>, workspace: &Workspace) -> Result<Judge, TaskError> {
        Ok(match bundle.manifest().task {
            Task::Anomaly => Judge::Anomaly(Inspector::in_workspace(bundle, threshold, workspace)?.into()),
            _ => Judge::Own(OwnModel::in_workspace(bundle, threshold, workspace)?.into()),
        })
    }

    /// As [`Judge::new`], on one thread, with the kernel set of this name ([`lineside_engine::kernel_names`]).
    ///
    /// # Errors
    /// As [`Judge::new`].
    pub fn on_kernel(bundle: &Bundle, threshold: Option<f64>, kernel: &str) -> Result<Judge, TaskError> {
        Ok(match bundle.manifest().task {
            Task::Anomaly => Judge::Anomaly(Inspector::on_kernel(bundle, threshold, kernel)?.into()),
            _ => Judge::Own(OwnModel::on_kernel(bundle, threshold, kernel)?.into()),
        })
    }

    /// Another judge by the same bundle, for another thread and another workspace: the two share the packed weights and nothing else.
    /// With the same `threshold` their verdicts are the same.
    ///
    /// # Errors
    /// As [`Judge::new`].
    pub fn beside(&self, bundle: &Bundle, threshold: Option<f64>, workspace: &Workspace) -> Result<Judge, TaskError> {
        Judge::of_plans(bundle, threshold, workspace, &self.shared_plans())
    }

    /// As [`Judge::in_workspace`], by the plans of another judge by the same bundle ([`Judge::shared_plans`]).
    ///
    /// # Errors
    /// As [`Judge::new`].
    pub fn of_plans(
        bundle: &Bundle,
        threshold: Option<f64>,
        workspace: &Workspace,
        plans: &[Arc<Plan>],
    ) -> Result<Judge, TaskError> {
        Ok(match (bundle.manifest().task, plans) {
            (Task::Anomaly, _) => Judge::Anomaly(Inspector::of_plans(bundle, threshold, workspace, plans)?.into()),
            (_, [plan]) => Judge::Own(OwnModel::of_plan(bundle, threshold, workspace, plan)?.into()),
            _ => return Judge::in_workspace(bundle, threshold, workspace),
        })
    }

    /// The score from which on a frame counts as defect.
    pub fn threshold(&self) -> f64 {
        match self {
            Judge::Anomaly(inspector) => inspector.threshold(),
            Judge::Own(model) => model.threshold(),
        }
    }

    /// The fingerprint of the bundle.
    pub fn bundle(&self) -> &Arc<str> {
        match self {
            Judge::Anomaly(inspector) => inspector.bundle(),
            Judge::Own(model) => model.bundle(),
        }
    }

    /// The part of a frame that it inspects; `None`: all of it.
    pub fn region(&self) -> Option<&Arc<RegionOfInterest>> {
        match self {
            Judge::Anomaly(inspector) => inspector.region(),
            Judge::Own(_) => None,
        }
    }

    /// By what it brings frames into place; `None`: it takes them as they are.
    pub fn aligner(&self) -> Option<&Aligner> {
        match self {
            Judge::Anomaly(inspector) => inspector.aligner(),
            Judge::Own(_) => None,
        }
    }

    /// The only size of frames that it takes: width and height in pixels; `None` where it takes others.
    pub fn frame_size(&self) -> Option<(usize, usize)> {
        match self {
            Judge::Anomaly(inspector) => inspector.frame_size(),
            Judge::Own(_) => None,
        }
    }

    /// Checks that it takes frames of this width and height.
    ///
    /// # Errors
    /// [`TaskError::OtherSize`], which says what to do.
    pub fn require_taught_size(&self, size: (usize, usize)) -> Result<(), TaskError> {
        match self {
            Judge::Anomaly(inspector) => inspector.require_taught_size(size),
            Judge::Own(_) => Ok(()),
        }
    }

    /// The plans of its networks.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        let (inspector, model) = match self {
            Judge::Anomaly(inspector) => (Some(inspector.plans()), None),
            Judge::Own(model) => (None, Some(model.plan())),
        };
        inspector.into_iter().flatten().chain(model)
    }

    /// The same plans, to be shared.
    pub fn shared_plans(&self) -> Vec<Arc<Plan>> {
        match self {
            Judge::Anomaly(inspector) => inspector.shared_plans(),
            Judge::Own(model) => vec![model.shared_plan()],
        }
    }

    /// The sizes to which a frame is resized.
    pub fn view_sizes(&self) -> Vec<ViewSize> {
        match self {
            Judge::Anomaly(inspector) => inspector.view_sizes().collect(),
            Judge::Own(model) => vec![model.view_size()],
        }
    }

    /// The names that it may recognise; empty where it knows none.
    pub fn names(&self) -> &[String] {
        match self {
            Judge::Anomaly(_) => &[],
            Judge::Own(model) => model.names(),
        }
    }

    /// Size of what it knows beside its networks, in bytes.
    pub fn statistics_bytes(&self) -> usize {
        match self {
            Judge::Anomaly(inspector) => inspector.statistics_bytes(),
            Judge::Own(model) => model.statistics_bytes(),
        }
    }

    /// Makes of a frame what it looks at.
    ///
    /// # Errors
    /// [`TaskError`] where it cannot be used.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        match self {
            Judge::Anomaly(inspector) => inspector.prepare(frame),
            Judge::Own(model) => model.prepare(frame),
        }
    }

    /// Brightness and sharpness of the frame that was prepared last.
    pub fn image_stats(&self) -> &ImageStats {
        match self {
            Judge::Anomaly(inspector) => inspector.image_stats(),
            Judge::Own(model) => model.image_stats(),
        }
    }

    /// Mean absolute difference between the frame prepared last and the one judged last, in grey levels; infinite where they cannot be
    /// compared.
    pub fn change(&self) -> f64 {
        match self {
            Judge::Anomaly(inspector) => inspector.change(),
            Judge::Own(model) => model.change(),
        }
    }

    /// Judges the frame that was prepared last; returns the time that its networks took. `frame_size` is its size before resizing.
    ///
    /// # Errors
    /// [`TaskError`] where a network fails, or no verdict follows from what it gives.
    pub fn judge(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) -> Result<Duration, TaskError> {
        match self {
            Judge::Anomaly(inspector) => inspector.judge_timed(frame_size, verdict),
            Judge::Own(model) => model.judge(frame_size, verdict),
        }
    }

    /// Writes the verdict on the frame judged last again, for a frame of the given size.
    pub fn repeat_verdict(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) {
        match self {
            Judge::Anomaly(inspector) => inspector.repeat_verdict(frame_size, verdict),
            Judge::Own(model) => model.repeat_verdict(frame_size, verdict),
        }
    }
}
