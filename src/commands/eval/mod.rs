//! `lineside eval`: how well a bundle does on pictures whose answer is known.

mod anomaly;
mod arguments;
mod sizes;
mod super_resolution;

pub use arguments::EvalArguments;

use super::WrongArguments;
use crate::bundle::{self, Task};
use std::process::ExitCode;

pub fn run(arguments: &EvalArguments) -> anyhow::Result<ExitCode> {
    let name = match arguments.bundle.as_str() {
        super_resolution::SHIPPED => super_resolution::shipped(arguments.scale),
        other => other.to_string(),
    };
    let bundle = bundle::find(&name)?;
    match (bundle.manifest().task, &arguments.normal, &arguments.hr) {
        (
            Task::Anomaly | Task::AnomalyMap | Task::Reconstruction | Task::Classify | Task::Embed,
            Some(normal),
            None,
        ) => anomaly::run(&bundle, normal, arguments),
        (Task::SuperResolution, None, Some(hr)) => super_resolution::run(bundle, hr, arguments),
        (Task::SuperResolution, ..) => {
            Err(WrongArguments("this bundle is for super-resolution: --hr DIR is needed".into()).into())
        }
        (Task::Backbone, ..) => Err(WrongArguments(
            "this bundle is a backbone, which has no task of its own: use a bundle that was trained with it".into(),
        )
        .into()),
        _ => Err(WrongArguments(
            "this bundle judges frames: --normal DIR is needed, and --defect DIR for pictures with defects".into(),
        )
        .into()),
    }
}
