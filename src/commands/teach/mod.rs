//! `lineside teach`: trains a bundle from pictures of good parts.

mod alignment;
mod arguments;
mod defects;
mod detail;
mod like;
mod record;
mod region;
mod report;

pub use arguments::TeachArguments;

use super::dataset::{DataSet, Named, Purpose};
use super::picture_reader::PictureReader;
use super::progress::ProgressReporter;
use super::{MAX_PICTURE_BYTES, evenly, with_suffix};
use crate::bundle::{self, Bundle, Draft, InputSection, Manifest, Task, TaughtSection};
use crate::config::Config;
use crate::files;
use crate::task::anomaly::teach::{
    DatasetCheck, Framing, TeachError, TrainedModel, Trainer, TrainingPicture, check_dataset,
};
use crate::task::anomaly::{Aligner, RegionOfInterest};
use crate::telemetry::Telemetry;
use anyhow::Context;
use defects::Defects;
use detail::PlannedViews;
use lineside_engine::{Tensor, npy};
use lineside_picture::Picture;
use record::{configuration, record};
use region::WantedRegion;
use report::Summary;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The folder of pictures of good parts; those of a camera are recorded first.
fn normal_pictures(
    arguments: &TeachArguments,
    config: Option<&Config>,
    region: Option<&WantedRegion>,
    telemetry: &Telemetry,
) -> anyhow::Result<PathBuf> {
    match (&arguments.normal, config) {
        (None, Some(config)) => {
            let folder = with_suffix(&arguments.out, ".frames");
            let every = Duration::from_secs_f64(arguments.every);
            record(config, region, &folder, arguments.frames.unwrap_or(200), every, telemetry)?;
            Ok(folder)
        }
        (normal, _) => Ok(normal.clone().unwrap_or_default()),
    }
}

pub fn run(arguments: &TeachArguments, telemetry: &Telemetry) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let (arguments, backbone) = match &arguments.like {
        Some(name) => like::as_taught(arguments, name)?,
        None => (arguments.clone(), bundle::find(&arguments.backbone)?),
    };
    let arguments = &arguments;
    let named = |normal| Named {
        normal,
        defects: arguments.defects.as_deref(),
        masks: arguments.masks.as_deref(),
        layout: arguments.layout,
    };
    // Before a camera is asked for good parts: what is wrong with these should be reported now.
    if arguments.normal.is_none() {
        DataSet::read(&named(None), Purpose::Teach)?;
    }
    // Before any work: a place that cannot be written to should be reported now.
    let cannot_write = || format!("{}: cannot write the bundle", arguments.out.display());
    drop(Draft::begin(&arguments.out).with_context(cannot_write)?);
    let config =
        arguments.camera.as_deref().map(|camera| configuration(camera, arguments.product.as_deref())).transpose()?;
    let wanted = WantedRegion::new(arguments, config.as_ref())?;
    let normal = normal_pictures(arguments, config.as_ref(), wanted.as_ref(), telemetry)?;
    let set = DataSet::read(&named(Some(&normal)), Purpose::Teach)?;
    for (file, error) in &set.broken {
        log::warn!("{}: {error}; left out", file.display());
    }
    // With varied copies there are at most 1000, too.
    let most = if arguments.tolerance.is_some() { 500 } else { 1000 };
    let mut files = evenly(set.normal, arguments.frames.unwrap_or(most).min(most) as usize, most);
    let region = wanted.as_ref().map(|wanted| wanted.in_pictures(&files, arguments.bits)).transpose()?.map(Arc::new);
    let planned = PlannedViews::new(arguments.detail, region.as_deref(), (&files, arguments.bits), &backbone)?;
    planned.report();
    let room = planned.cost.most_pictures / if arguments.tolerance.is_some() { 2 } else { 1 };
    if room < most as usize {
        files = evenly(files, room, room as u64);
    }
    let (aligner, alignment) = alignment::learn(arguments, &files, region.as_deref())?.unzip();
    let suggested = if aligner.is_none() { alignment::suggest(arguments, &files, region.as_deref()) } else { None };
    let mut reader = PictureReader::new(arguments.bits);
    let defects = Defects::new(set.defects, set.has_masks, &reader)?;
    let cache = with_suffix(&arguments.out, ".teaching");
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let threads = arguments.threads.map_or(cores, |threads| threads as usize);
    let begin = || {
        let framing = Framing { aligner: aligner.clone(), region: region.clone() };
        let counts = (files.len(), defects.len());
        Trainer::new(&backbone, planned.sizes, counts, arguments.tolerance, framing, &cache, threads)
    };
    let mut trainer = begin()?;
    let (mut by_key, mut left_out) = add_normal_pictures(&mut trainer, &mut reader, &files)?;
    let is_gone = |cached: &[TrainingPicture], exists: &dyn Fn(&str) -> bool| cached.iter().any(|p| !exists(&p.key));
    if is_gone(trainer.pictures(), &|key| by_key.contains_key(key))
        || is_gone(trainer.defects(), &|key| defects.contains(key))
    {
        log::info!("pictures in the cache of features were removed: starting again");
        trainer.discard_cache()?;
        trainer = begin()?;
        (by_key, left_out) = add_normal_pictures(&mut trainer, &mut reader, &files)?;
    }
    reader.advise();
    let DatasetCheck { assignment, warnings, refusal } = check_dataset(trainer.pictures());
    for warning in left_out.iter().chain(&warnings) {
        log::warn!("{warning}");
    }
    if let Some(refusal) = refusal {
        anyhow::bail!("cannot learn from {}: {refusal}", normal.display());
    }
    defects.add_to(&mut trainer, &mut reader, &by_key)?;
    drop(by_key);
    let share = arguments.false_alarms / 1000.0;
    let progress = ProgressReporter::new("learning", 1000);
    let model = trainer.train(&assignment, share, |done| progress.at((1000.0 * done) as u64))?;
    progress.finish();
    for name in model.outliers.iter().map(|&picture| &trainer.pictures()[picture].name) {
        log::warn!("{name}: far from all other pictures; if it does not show a good part, remove it and teach again");
    }
    let taught = wanted.as_ref().zip(region.as_deref());
    let parts = (&model, planned.cost.macs);
    write(arguments, &backbone, &trainer, parts, taught, aligner.as_ref()).with_context(cannot_write)?;
    let (pictures, copies, varied) = (trainer.originals(), trainer.copies(), trainer.tolerance());
    trainer.discard_cache()?;
    let summary = Summary {
        model: &model,
        planned,
        pictures,
        copies,
        varied,
        tolerance: arguments.tolerance,
        groups: assignment.distinct(),
        seconds: start.elapsed().as_secs_f64(),
        false_alarms: arguments.false_alarms,
        region: region.as_deref(),
        alignment: alignment.as_ref(),
        suggested: suggested.as_ref(),
        out: &arguments.out,
    };
    if arguments.json {
        summary.print_json()?
    } else {
        summary.print_text()?
    }
    Ok(ExitCode::SUCCESS)
}

/// Adds every picture that is not in the cache yet. Returns the files by key, and warnings about those that were left out.
fn add_normal_pictures(
    trainer: &mut Trainer,
    reader: &mut PictureReader,
    files: &[PathBuf],
) -> anyhow::Result<(HashMap<String, PathBuf>, Vec<String>)> {
    let cached: HashSet<String> = trainer.pictures().iter().map(|picture| picture.key.clone()).collect();
    if !cached.is_empty() {
        log::info!(pictures = cached.len(); "resuming the training that was interrupted");
    }
    let progress = ProgressReporter::new("looking", files.len() as u64);
    let (mut picture, mut by_key, mut left_out) = (Picture::default(), HashMap::new(), Vec::new());
    let mut last_cached = None;
    for (i, file) in files.iter().enumerate() {
        progress.at(i as u64);
        let name = file.display().to_string();
        let bytes = match files::read(file, MAX_PICTURE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                left_out.push(format!("{name}: {error}; left out"));
                continue;
            }
        };
        let key = reader.key(&bytes);
        if by_key.insert(key.clone(), file.clone()).is_some() {
            left_out.push(format!("{name}: a copy of an earlier file; left out"));
        } else if cached.contains(&key) {
            last_cached = Some(file);
        } else {
            if let Some(before) = last_cached.take() {
                reader.read(before, &mut picture)?;
                trainer.resume_after(&picture).with_context(|| before.display().to_string())?;
            }
            if let Err(error) = reader.decode(file, &bytes, &mut picture) {
                left_out.push(format!("{name}: {error}; left out"));
                continue;
            }
            match trainer.add_normal(name.clone(), key, &picture) {
                Err(TeachError::TooSmall { .. }) => {
                    left_out.push(format!("{name}: too small to be inspected; left out"))
                }
                Err(TeachError::OtherSize(problem)) => left_out.push(format!("{name}: {problem}; left out")),
                Err(error @ TeachError::Unfound) => left_out.push(format!("{name}: {error}; left out")),
                other => other.with_context(|| name)?,
            }
        }
    }
    progress.finish();
    Ok((by_key, left_out))
}

/// What the manifest says of the pictures.
fn taught_with(pictures: &[TrainingPicture]) -> TaughtSection {
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let pictures = pictures.iter().filter(|picture| picture.copy == 0);
    TaughtSection::new(pictures.map(|picture| (picture.quality.size, picture.quality.in_colour)), date)
}

fn write(
    arguments: &TeachArguments,
    backbone: &Bundle,
    trainer: &Trainer,
    (model, macs): (&TrainedModel, u64),
    region: Option<(&WantedRegion, &RegionOfInterest)>,
    aligner: Option<&Aligner>,
) -> anyhow::Result<()> {
    let mut draft = Draft::begin(&arguments.out)?;
    let from = backbone.manifest();
    // The backbone is copied, so that the bundle means the same after the next update of the board.
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
    let mut section = model.section();
    section.region = region.map(|(wanted, region)| wanted.write(region, &mut draft)).transpose()?;
    if let Some((alignment, files)) = aligner.map(Aligner::section).transpose()? {
        section.alignment = Some(alignment);
        for (name, bytes) in files {
            draft.add(name, &bytes)?;
        }
    }
    section.tolerance = arguments.tolerance;
    section.taught = Some(taught_with(trainer.pictures()));
    for (i, (scorer, matrix)) in section.scorer.iter_mut().zip(model.matrices()).enumerate() {
        scorer.statistics = format!("scorer-{i}.npy");
        draft.add(&scorer.statistics, &array(matrix.columns, &matrix.values)?)?;
    }
    let (calibration, half) = (model.calibration.to_matrix(), &model.half_distances);
    draft.add(&section.calibration, &array(calibration.columns, &calibration.values)?)?;
    draft.add(&section.heat.half_distances, &array(half.columns, &half.values)?)?;
    for (name, bytes) in model.normal.files()? {
        draft.add(&name, &bytes)?;
    }
    draft.add("baseline.json", model.baseline(trainer.pictures()).to_json()?.as_bytes())?;
    let mut measured = BTreeMap::from([
        ("pictures".to_string(), toml::Value::Integer(trainer.originals() as i64)),
        ("macs".to_string(), toml::Value::Integer(macs as i64)),
        ("auroc_synthetic".to_string(), toml::Value::Float(model.auroc)),
        ("false_alarms_asked".to_string(), toml::Value::Float(arguments.false_alarms)),
        ("false_alarms_low".to_string(), toml::Value::Float(1000.0 * model.false_alarm_interval[0])),
        ("false_alarms_high".to_string(), toml::Value::Float(1000.0 * model.false_alarm_interval[1])),
    ]);
    if let Some(gain) = &model.gain {
        measured.insert("labelled_defects".into(), toml::Value::Integer(gain.sums.len() as i64));
        measured
            .insert("auroc_labelled".into(), toml::Value::Float(if gain.helped { gain.with } else { gain.without }));
    }
    let name = arguments.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    draft.finish(Manifest {
        format: from.format,
        requires: None,
        name: name.clone(),
        version: jiff::Timestamp::now().strftime("%Y%m%d.%H%M%S").to_string(),
        task: Task::Anomaly,
        description: format!("Taught with {} pictures of good parts", trainer.originals()),
        // That of a bundle that was taught says so already.
        licence: match from.task {
            Task::Anomaly => from.licence.clone(),
            _ => format!("{} (backbone); the statistics are yours", from.licence),
        },
        model: from.model.clone(),
        input: InputSection { width: None, height: None, channels: from.input.channels, preparation: None },
        anomaly: Some(section),
        super_resolution: None,
        classify: None,
        anomaly_map: None,
        reconstruction: None,
        embed: None,
        golden: from.golden.clone(),
        measured,
        files: BTreeMap::new(),
    })?;
    Ok(())
}
