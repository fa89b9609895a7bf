//! `lineside eval`: how well a bundle does on pictures whose answer is known.

mod anomaly;
mod super_resolution;

use super::WrongArguments;
use crate::bundle::{self, Task};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Arguments {
    /// A bundle's name or folder; `superres` is the shipped one for --scale
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
    /// Super-resolution: a folder of large pictures, or a benchmark set's folder with xS/HR in it
    #[arg(long, value_name = "DIR")]
    hr: Option<PathBuf>,
    /// Super-resolution: the same pictures, small, in the same order; default: LR beside HR, else made by bicubic reduction
    #[arg(long, value_name = "DIR", requires = "hr")]
    lr: Option<PathBuf>,
    /// Super-resolution: the scale that is meant by `superres` [default: 3]
    #[arg(long, value_name = "S", requires = "hr")]
    scale: Option<usize>,
    /// Super-resolution: another bundle of the same scale, measured beside the first; may be given again
    #[arg(long, value_name = "BUNDLE", requires = "hr")]
    beside: Vec<String>,
    /// Super-resolution: makes the small pictures as a camera would: blurred, noisy, through JPEG
    #[arg(long, value_name = "camera", requires = "hr", conflicts_with = "lr", value_parser = ["camera"])]
    degrade: Option<String>,
    /// Super-resolution: what the camera's noise begins with
    #[arg(long, value_name = "N", requires = "degrade", default_value_t = 1)]
    seed: u32,
    /// Writes a sheet (PNG) to look at: the normal pictures that score highest and the defects that score lowest; or
    /// of each picture the piece that is hardest to enlarge
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let name = match arguments.bundle.as_str() {
        super_resolution::SHIPPED => super_resolution::shipped(arguments.scale),
        other => other.to_string(),
    };
    let bundle = bundle::find(&name)?;
    match (bundle.manifest().task, &arguments.normal, &arguments.hr) {
        (Task::Anomaly, Some(normal), None) => anomaly::run(&bundle, normal, arguments),
        (Task::SuperResolution, None, Some(hr)) => super_resolution::run(bundle, hr, arguments),
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
