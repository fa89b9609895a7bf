//! `lineside eval`: how well a bundle does on pictures whose answer is known.

mod anomaly;
mod arguments;
mod batch;
mod classes;
mod scored;
mod scores;
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
    if let Some(folder) = arguments.classes.as_ref().filter(|_| bundle.manifest().task.judges_frames()) {
        return classes::run(&bundle, folder, arguments);
    }
    match (bundle.manifest().task, &arguments.normal, &arguments.hr) {
        (task, Some(normal), None) if task.judges_frames() => anomaly::run(&bundle, normal, arguments),
        (Task::SuperResolution, None, Some(hr)) => super_resolution::run(bundle, hr, arguments),
        (Task::SuperResolution, ..) => {
            Err(WrongArguments("this bundle is for super-resolution: --hr DIR is needed".into()).into())
        }
        (Task::Backbone, ..) => Err(WrongArguments(
            "this bundle is a backbone, which has no task of its own: use a bundle that was trained with it".into(),
        )
        .into()),
        _ => Err(WrongArguments(
            "this bundle judges frames: --normal DIR is needed, and --defect DIR for pictures with defects, or --classes DIR"
                .into(),
        )
        .into()),
    }
}

/// Fails where pictures could not be used: the figures are of the others.
fn complete(broken: &[String]) -> anyhow::Result<ExitCode> {
    match broken.first() {
        Some(first) => {
            anyhow::bail!("the figures are without {} pictures that could not be used, such as {first}", broken.len())
        }
        None => Ok(ExitCode::SUCCESS),
    }
}
