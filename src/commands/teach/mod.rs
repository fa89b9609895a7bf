//! `lineside teach`: the board learns what is normal from pictures of good parts, and writes it down as a bundle.

mod defects;
mod record;
mod report;

use super::MAX_PIXELS;
use super::progress::Progress;
use crate::bundle::{self, Bundle, Draft, InputSection, Manifest, Task, sha256};
use crate::source::picture_files;
use crate::task::anomaly::teach::{Advice, Taught, TaughtPicture, TeachError, Teacher, advise};
use crate::telemetry::Telemetry;
use anyhow::Context;
use defects::Defects;
use lineside_engine::{Tensor, npy};
use lineside_picture::{Picture, decode_file};
use record::record;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// A folder of pictures of good parts
    #[arg(long, value_name = "DIR", required_unless_present = "camera", conflicts_with = "camera")]
    normal: Option<PathBuf>,
    /// A camera that sees good parts: its path, or a configuration (.toml) whose [source.camera] is used, and its trigger.
    /// Pictures go to BUNDLE.frames
    #[arg(long, value_name = "DEV")]
    camera: Option<String>,
    /// Seconds from one picture of the camera to the next
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = pause, conflicts_with = "normal")]
    every: f64,
    /// A folder of pictures of known defects, which then help; names of sub-folders are kinds of defect
    #[arg(long, value_name = "DIR")]
    defects: Option<PathBuf>,
    /// A folder of masks for --defects, over 127 where the defect is: as DIR/KIND/NAME.jpg, so KIND/NAME.png here
    #[arg(long, value_name = "DIR", requires = "defects")]
    masks: Option<PathBuf>,
    /// The bundle to write; one that lies there is replaced
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// False alarms that may come of 1000 normal frames
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = rate)]
    false_alarms: f64,
    /// The most pictures to learn from; of a camera, how many [default: 1000, of a camera 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    frames: Option<u64>,
    /// The bundle of the backbone
    #[arg(long, value_name = "BUNDLE", default_value = "backbone-lite0")]
    backbone: String,
    /// Threads that share the work; without it, as many as the CPU has cores, 4 at most
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    threads: Option<u64>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.01..=500.0).contains(rate));
    rate.ok_or_else(|| "expected a number in 0.01..500".into())
}

fn pause(text: &str) -> Result<f64, String> {
    let pause = text.parse::<f64>().ok().filter(|pause| (0.0..=3600.0).contains(pause));
    pause.ok_or_else(|| "expected seconds in 0..3600".into())
}

impl Arguments {
    /// The folder of pictures of good parts; a camera's are recorded first.
    fn pictures(&self, telemetry: &Telemetry) -> anyhow::Result<PathBuf> {
        match (&self.normal, &self.camera) {
            (None, Some(camera)) => {
                let folder = beside(&self.out, ".frames");
                record(camera, &folder, self.frames.unwrap_or(200), Duration::from_secs_f64(self.every), telemetry)?;
                Ok(folder)
            }
            (normal, _) => Ok(normal.clone().unwrap_or_default()),
        }
    }
}

/// `out` with something after its name.
fn beside(out: &Path, end: &str) -> PathBuf {
    let mut path = out.to_path_buf().into_os_string();
    path.push(end);
    path.into()
}

pub fn run(arguments: &Arguments, telemetry: &Telemetry) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let backbone = bundle::find(&arguments.backbone)?;
    let defects = Defects::of(arguments)?;
    // Before any work: a place that cannot be written to should be known now.
    let cannot_write = || format!("{}: cannot write the bundle", arguments.out.display());
    drop(Draft::begin(&arguments.out).with_context(cannot_write)?);
    let normal = arguments.pictures(telemetry)?;
    let mut files = picture_files(&normal).map_err(anyhow::Error::msg)?;
    files.truncate(arguments.frames.unwrap_or(1000) as usize);
    let notes = beside(&arguments.out, ".teaching");
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let threads = arguments.threads.map_or(cores, |threads| threads as usize);
    let begin = || Teacher::new(&backbone, (files.len(), defects.len()), &notes, threads);
    let mut teacher = begin()?;
    let (mut shown, mut left_out) = show(&mut teacher, &files)?;
    let gone = |noted: &[TaughtPicture], there: &dyn Fn(&str) -> bool| noted.iter().any(|p| !there(&p.key));
    if gone(teacher.pictures(), &|key| shown.contains_key(key)) || gone(teacher.defects(), &|key| defects.has(key)) {
        log::info!("the notes tell of pictures that are gone: looking anew");
        teacher.discard_notes()?;
        teacher = begin()?;
        (shown, left_out) = show(&mut teacher, &files)?;
    }
    let Advice { grouping, warnings, refusal } = advise(teacher.pictures());
    for warning in left_out.iter().chain(&warnings) {
        log::warn!("{warning}");
    }
    if let Some(refusal) = refusal {
        anyhow::bail!("cannot learn from {}: {refusal}", normal.display());
    }
    defects.show(&mut teacher, &shown)?;
    drop(shown);
    let share = arguments.false_alarms / 1000.0;
    let progress = Progress::new("learning", 1000);
    let taught = teacher.learn(&grouping, share, |done| progress.at((1000.0 * done) as u64))?;
    progress.finish();
    for name in taught.outliers.iter().map(|&picture| &teacher.pictures()[picture].name) {
        log::warn!("{name}: looks unlike the other pictures; if it is no good part, take it out and teach again");
    }
    write(arguments, &backbone, &teacher, &taught).with_context(cannot_write)?;
    let pictures = teacher.pictures().len();
    teacher.discard_notes()?;
    report::print(arguments, &taught, pictures, grouping.different(), start)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the teacher every picture that it has no note of; returns all of them by key, and what was left out.
fn show(teacher: &mut Teacher, files: &[PathBuf]) -> anyhow::Result<(HashMap<String, PathBuf>, Vec<String>)> {
    let noted: HashSet<String> = teacher.pictures().iter().map(|picture| picture.key.clone()).collect();
    if !noted.is_empty() {
        log::info!(pictures = noted.len(); "going on where teaching stopped");
    }
    let progress = Progress::new("looking", files.len() as u64);
    let (mut picture, mut shown, mut left_out) = (Picture::default(), HashMap::new(), Vec::new());
    for (i, file) in files.iter().enumerate() {
        progress.at(i as u64);
        let name = file.display().to_string();
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                left_out.push(format!("{name}: {error}; left out"));
                continue;
            }
        };
        let key = sha256(&bytes);
        if shown.insert(key.clone(), file.clone()).is_some() {
            left_out.push(format!("{name}: the same file as one before; left out"));
        } else if !noted.contains(&key) {
            if let Err(error) = decode_file(&bytes, MAX_PIXELS, &mut picture) {
                left_out.push(format!("{name}: {error}; left out"));
                continue;
            }
            match teacher.show(name.clone(), key, &picture) {
                Err(TeachError::TooSmall { .. }) => left_out.push(format!("{name}: too small to be judged; left out")),
                other => other.with_context(|| name)?,
            }
        }
    }
    progress.finish();
    Ok((shown, left_out))
}

fn write(arguments: &Arguments, backbone: &Bundle, teacher: &Teacher, taught: &Taught) -> anyhow::Result<()> {
    let mut draft = Draft::begin(&arguments.out)?;
    let from = backbone.manifest();
    // The backbone comes along: a bundle must mean the same after the next update of the board.
    for name in from.files.keys() {
        if *name == from.model || name == "NOTICE" || name.starts_with("golden/") {
            draft.add(name, &backbone.read(name)?)?;
        }
    }
    let array = |columns: usize, values: &[f32]| -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        npy::write(&mut bytes, &Tensor::new(vec![values.len() / columns.max(1), columns], values.to_vec())?)?;
        Ok(bytes)
    };
    let mut section = taught.section();
    for (i, (scorer, matrix)) in section.scorer.iter_mut().zip(taught.matrices()).enumerate() {
        scorer.statistics = format!("scorer-{i}.npy");
        draft.add(&scorer.statistics, &array(matrix.columns, &matrix.values)?)?;
    }
    let (calibration, half) = (taught.calibration.to_matrix(), &taught.half_distances);
    draft.add(&section.calibration, &array(calibration.columns, &calibration.values)?)?;
    draft.add(&section.heat.half_distances, &array(half.columns, &half.values)?)?;
    draft.add("baseline.json", taught.baseline(teacher.pictures()).to_json()?.as_bytes())?;
    let mut measured = BTreeMap::from([
        ("pictures".to_string(), toml::Value::Integer(teacher.pictures().len() as i64)),
        ("auroc_synthetic".to_string(), toml::Value::Float(taught.auroc)),
        ("false_alarms_asked".to_string(), toml::Value::Float(arguments.false_alarms)),
        ("false_alarms_low".to_string(), toml::Value::Float(1000.0 * taught.confidence[0])),
        ("false_alarms_high".to_string(), toml::Value::Float(1000.0 * taught.confidence[1])),
    ]);
    if let Some(gain) = &taught.gain {
        measured.insert("labelled_defects".into(), toml::Value::Integer(gain.sums.len() as i64));
        measured
            .insert("auroc_labelled".into(), toml::Value::Float(if gain.helped { gain.with } else { gain.without }));
    }
    let name = arguments.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    draft.finish(Manifest {
        format: from.format,
        name: name.clone(),
        version: jiff::Timestamp::now().strftime("%Y%m%d.%H%M%S").to_string(),
        task: Task::Anomaly,
        description: format!("Taught with {} pictures of good parts", teacher.pictures().len()),
        licence: format!("{} (backbone); the statistics are yours", from.licence),
        model: from.model.clone(),
        input: InputSection { width: None, height: None, channels: from.input.channels },
        anomaly: Some(section),
        super_resolution: None,
        golden: from.golden.clone(),
        measured,
        files: BTreeMap::new(),
    })?;
    Ok(())
}
