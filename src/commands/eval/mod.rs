//! `lineside eval`: how well a bundle does on pictures whose answer is known.

mod anomaly;
mod super_resolution;

use super::WrongArguments;
use crate::bundle::{self, Task};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Arguments {
    /// A bundle's name or folder
    bundle: String,
    /// Anomaly: a folder of normal pictures
    #[arg(long, value_name = "DIR")]
    normal: Option<PathBuf>,
    /// Anomaly: a folder of pictures with defects; sub-folders are kinds of defect
    #[arg(long, value_name = "DIR")]
    defect: Option<PathBuf>,
    /// Anomaly: a folder of masks, one for each picture with a defect, at the same path inside; defects are over 127
    #[arg(long, value_name = "DIR", requires = "defect")]
    masks: Option<PathBuf>,
    /// Super-resolution: a folder of large pictures
    #[arg(long, value_name = "DIR")]
    hr: Option<PathBuf>,
    /// Super-resolution: the same pictures, small, in the same order; without it they are made by bicubic reduction
    #[arg(long, value_name = "DIR", requires = "hr")]
    lr: Option<PathBuf>,
    /// Anomaly: writes a sheet (PNG) of the normal pictures that score highest and the defects that score lowest
    #[arg(long, value_name = "FILE", requires = "normal")]
    sheet: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let bundle = bundle::find(&arguments.bundle)?;
    match (bundle.manifest().task, &arguments.normal, &arguments.hr) {
        (Task::Anomaly, Some(normal), None) => anomaly::run(&bundle, normal, arguments),
        (Task::SuperResolution, None, Some(hr)) => {
            super_resolution::run(bundle, hr, arguments.lr.as_deref(), arguments.json)
        }
        (Task::Anomaly, ..) => Err(WrongArguments(
            "this bundle is for anomalies: give --normal DIR, and --defect DIR where there are any".into(),
        )
        .into()),
        (Task::SuperResolution, ..) => {
            Err(WrongArguments("this bundle is for super-resolution: give --hr DIR".into()).into())
        }
        (Task::Backbone, ..) => Err(WrongArguments(
            "this bundle is a backbone and judges nothing by itself: name one that was taught with it".into(),
        )
        .into()),
    }
}
