//! The command line of `lineside eval`.

use crate::commands::dataset::DataSetLayout;
use std::path::PathBuf;

/// The arguments of `lineside eval`.
#[derive(clap::Args)]
pub struct EvalArguments {
    /// A bundle's name or folder; `superres` stands for the shipped bundle of --scale
    pub bundle: String,
    /// Anomaly: a folder of normal pictures, or of a whole data set (see --layout)
    #[arg(long, value_name = "DIR", conflicts_with = "hr")]
    pub normal: Option<PathBuf>,
    /// Anomaly: a folder of pictures with defects; sub-folders are kinds of defect
    #[arg(long, value_name = "DIR", conflicts_with = "hr")]
    pub defect: Option<PathBuf>,
    /// Anomaly: a folder of masks, for each picture of --defect at the same relative path, such as crack/001.png or
    /// crack/001_mask.png; without it masks are looked for beside the pictures
    #[arg(long, value_name = "DIR", requires = "defect")]
    pub masks: Option<PathBuf>,
    /// Anomaly: how a data set is laid out
    #[arg(long, value_name = "L", value_enum, default_value_t, requires = "normal")]
    pub layout: DataSetLayout,
    /// Bundles that know names of classes or parts: a folder with a folder for each name, which holds pictures of it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["normal", "defect", "hr", "sheet", "scores"])]
    pub classes: Option<PathBuf>,
    /// Super-resolution: a folder of original pictures, or of a benchmark set with xS/HR in it
    #[arg(long, value_name = "DIR")]
    pub hr: Option<PathBuf>,
    /// Super-resolution: a folder of the same pictures, small, in the same order [default: LR beside HR, else bicubic reduction]
    #[arg(long, value_name = "DIR", requires = "hr")]
    pub lr: Option<PathBuf>,
    /// Super-resolution: the scale of `superres` [default: 3]
    #[arg(long, value_name = "S", requires = "hr")]
    pub scale: Option<usize>,
    /// Super-resolution: another bundle of the same scale to compare with; may be repeated
    #[arg(long, value_name = "BUNDLE", requires = "hr")]
    pub beside: Vec<String>,
    /// Super-resolution: make the small pictures by a simulated camera: blur, noise, JPEG
    #[arg(long, value_name = "camera", requires = "hr", conflicts_with = "lr", value_parser = ["camera"])]
    pub degrade: Option<String>,
    /// Super-resolution: the seed of the simulated camera
    #[arg(long, value_name = "N", requires = "degrade", default_value_t = 1)]
    pub seed: u32,
    /// Write a sheet (PNG): the normal pictures with the highest and the defects with the lowest scores; for super-resolution of
    /// each picture the piece that is hardest to enlarge
    #[arg(long, value_name = "FILE")]
    pub sheet: Option<PathBuf>,
    /// Anomaly: write each picture's file, kind, score, severity and verdict, a line of JSON for each
    #[arg(long, value_name = "FILE.jsonl", requires = "normal")]
    pub scores: Option<PathBuf>,
    /// Anomaly: bits that are used of each sample of 16, where the files do not state it: 12 for a camera of 12 bits
    #[arg(long, value_name = "N", conflicts_with = "hr", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub bits: Option<u8>,
    /// Pictures of a bundle that judges frames: number of threads, each of which judges pictures of its own; the verdicts do not depend
    /// on it [default: the number of CPU cores, at most 4]
    #[arg(long, value_name = "N", conflicts_with = "hr", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub threads: Option<u64>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
