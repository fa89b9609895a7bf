//! `lineside recalibrate`: takes good frames of a new batch into a bundle.

mod arguments;
mod report;

pub use arguments::RecalibrateArguments;

use super::dataset::{DataSet, DataSetLayout, Named, Purpose};
use super::picture_reader::PictureReader;
use super::progress::ProgressReporter;
use super::{MAX_PICTURE_BYTES, evenly, with_suffix};
use crate::bundle::{self, AnomalySection, Bundle, Draft, Home, Moment, NuisanceSection, Role, Trial, swap_into_place};
use crate::escape::one_line;
use crate::files;
use crate::task::TaskError;
use crate::task::anomaly::recalibration::{BatchFrame, BatchReader, Recalibrated, recalibrate};
use crate::task::anomaly::{Baseline, NormalFrames};
use anyhow::Context;
use lineside_engine::{Tensor, npy};
use lineside_picture::Picture;
use report::SideBySide;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// The file of the nuisance directions in a bundle.
const DIRECTIONS: &str = "nuisance.npy";
/// The figure of a manifest that names the bundle from which it was recalibrated.
const FROM: &str = "recalibrated_from";

pub fn run(arguments: &RecalibrateArguments) -> anyhow::Result<ExitCode> {
    let bundle = bundle::find(&arguments.bundle)?;
    let out = arguments.out.clone().unwrap_or_else(|| with_suffix(bundle.place(), ".recalibrated"));
    match &arguments.good {
        Some(good) => calibrate(arguments, &bundle, good, &out),
        None => confirm(arguments, &bundle, &out),
    }
}

fn calibrate(arguments: &RecalibrateArguments, bundle: &Bundle, good: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let mut reader = BatchReader::new(bundle)?;
    let (normal, baseline) = (NormalFrames::of(bundle)?, Baseline::of(bundle)?);
    let same = |a: &Path, b: &Path| a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    anyhow::ensure!(
        !same(out, bundle.folder()),
        "{}: the old bundle stays as it is: choose another --out",
        out.display()
    );
    // Before any work: a place that cannot be written to should be reported now.
    let cannot_write = || format!("{}: cannot write the new bundle; --out names another place", out.display());
    drop(Draft::begin(out).with_context(cannot_write)?);
    let named = Named { normal: Some(good), defects: None, masks: None, layout: DataSetLayout::Auto };
    let set = DataSet::read(&named, Purpose::Teach)?;
    let mut left_out: Vec<String> =
        set.broken.iter().map(|(file, error)| format!("{}: {error}", file.display())).collect();
    let files = evenly(set.normal, arguments.frames as usize, 1000);
    let frames = read_frames(arguments, &mut reader, &files, &mut left_out)?;
    for problem in &left_out {
        log::warn!("{problem}; left out");
    }
    let threshold = arguments.false_alarms.map(|rate| 1.0 - rate / 1000.0);
    let result = recalibrate(&mut reader, &frames, normal, baseline, threshold);
    let result = result.map_err(|problem| anyhow::anyhow!("{}: {problem}", good.display()))?;
    for name in &result.report.doubtful {
        log::warn!(
            "{name}: far beyond the threshold by the new bundle, too; if it does not show a good part, remove it and run again"
        );
    }
    write(bundle, out, &result).with_context(cannot_write)?;
    let summary = SideBySide {
        report: &result.report,
        bundle: &arguments.bundle,
        out,
        is_default: arguments.out.is_none(),
        threshold: result.threshold,
        left_out: left_out.len(),
        seconds: start.elapsed().as_secs_f64(),
    };
    if arguments.json {
        summary.print_json()?
    } else {
        summary.print_text()?
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the frames; what is wrong with others is added to `left_out`.
fn read_frames(
    arguments: &RecalibrateArguments,
    reader: &mut BatchReader,
    files: &[PathBuf],
    left_out: &mut Vec<String>,
) -> anyhow::Result<Vec<BatchFrame>> {
    let mut pictures = PictureReader::new(arguments.bits);
    let progress = ProgressReporter::new("looking", files.len() as u64);
    let (mut frames, mut picture, mut known) = (Vec::new(), Picture::default(), HashMap::new());
    let (mut other_sizes, mut first) = (0, None);
    for (at, file) in files.iter().enumerate() {
        progress.at(at as u64);
        let name = file.display().to_string();
        let bytes = match files::read(file, MAX_PICTURE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                left_out.push(format!("{name}: {error}"));
                continue;
            }
        };
        if let Some(earlier) = known.insert(pictures.key(&bytes), name.clone()) {
            left_out.push(format!("{name}: a copy of {earlier}"));
            continue;
        }
        if let Err(error) = pictures.decode(file, &bytes, &mut picture) {
            left_out.push(format!("{name}: {error}"));
            continue;
        }
        match reader.read(name.clone(), &picture) {
            Ok(frame) => frames.push(frame),
            Err(TaskError::OtherSize(problem)) => {
                other_sizes += 1;
                left_out.push(format!("{name}: {problem}"));
                first.get_or_insert(format!("{name}: {problem}"));
            }
            Err(error @ (TaskError::Bundle(_) | TaskError::Engine(_))) => return Err(error.into()),
            Err(error) => left_out.push(format!("{name}: {error}")),
        }
    }
    progress.finish();
    pictures.advise();
    if let Some(first) = first.filter(|_| frames.is_empty()) {
        anyhow::bail!("{other_sizes} of {} pictures are of another size than was taught, such as {first}", files.len());
    }
    Ok(frames)
}

/// Writes the new bundle: the old one's files, but for what has changed.
fn write(bundle: &Bundle, out: &Path, new: &Recalibrated) -> anyhow::Result<()> {
    let mut manifest = bundle.manifest().clone();
    let old = manifest.anomaly.take().context("a bundle without a section [anomaly]")?;
    let array = |columns: usize, values: &[f32]| -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        npy::write(&mut bytes, &Tensor::new(vec![values.len() / columns.max(1), columns], values.to_vec())?)?;
        Ok(bytes)
    };
    let mut changed: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let calibration = new.calibration.to_matrix();
    changed.insert(old.calibration.clone(), array(calibration.columns, &calibration.values)?);
    if let Some(baseline) = &new.baseline {
        changed.insert(Baseline::FILE.into(), baseline.to_json()?.into_bytes());
    }
    let mut section = AnomalySection { threshold: new.threshold, scorer: new.scorers.clone(), ..old };
    if let (Some(nuisance), Some(normal)) = (&new.nuisance, &new.normal) {
        let matrix = nuisance.to_matrix();
        changed.insert(DIRECTIONS.into(), array(matrix.columns, &matrix.values)?);
        changed.extend(normal.files()?);
        section.nuisance = Some(NuisanceSection { view: normal.view, directions: DIRECTIONS.into() });
        section.normal = Some(normal.section());
    }
    let mut draft = Draft::begin(out)?;
    for name in manifest.files.keys().filter(|name| !changed.contains_key(*name)) {
        draft.add(name, &bundle.read(name)?)?;
    }
    for (name, bytes) in &changed {
        draft.add(name, bytes)?;
    }
    manifest.anomaly = Some(section);
    manifest.version = jiff::Timestamp::now().strftime("%Y%m%d.%H%M%S").to_string();
    manifest.measured.insert(FROM.into(), toml::Value::String(bundle.fingerprint().into()));
    let frames = toml::Value::Integer(new.report.frames as i64);
    manifest.measured.insert("recalibrated_frames".into(), frames);
    Ok(draft.finish(manifest)?)
}

/// Puts the new bundle in the place of the old one.
fn confirm(arguments: &RecalibrateArguments, bundle: &Bundle, new: &Path) -> anyhow::Result<ExitCode> {
    // Without the slash that may end its name: a link would be followed.
    let (target, before) = (with_suffix(bundle.place(), ""), with_suffix(bundle.place(), ".before"));
    let target = target.as_path();
    let shown = new.display();
    anyhow::ensure!(
        new.join("bundle.toml").exists(),
        "{shown}: no bundle there to confirm; make it first: lineside recalibrate {} --good DIR",
        arguments.bundle
    );
    let from = Bundle::open(new)?.manifest().measured.get(FROM).and_then(|from| from.as_str().map(String::from));
    anyhow::ensure!(
        from.as_deref() == Some(bundle.fingerprint()),
        "{shown}: was not recalibrated from {} as it is now; recalibrate again",
        target.display()
    );
    if let Some(home) = Home::open(target)? {
        return confirm_installed(arguments, &home, new);
    }
    swap_into_place(new, target, &before).with_context(|| format!("{}: cannot be replaced", target.display()))?;
    if arguments.json {
        super::print_json(&serde_json::json!({ "bundle": target, "before": before }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (target, before) = (target.display().to_string(), before.display().to_string());
    let mut out = crate::commands::stdout();
    writeln!(out, "{} is the recalibrated bundle; the one before is {}", one_line(&target), one_line(&before))?;
    writeln!(out, "next: lineside check CONFIG, then reload the line (systemctl reload lineside)")?;
    Ok(ExitCode::SUCCESS)
}

/// The same for an installed bundle: the new one becomes its active version, and is confirmed.
fn confirm_installed(arguments: &RecalibrateArguments, home: &Home, new: &Path) -> anyhow::Result<ExitCode> {
    let (store, name) = (home.store(), home.name());
    store.install(&name, &Bundle::open(new)?, Role::Active(Trial::begin(&Moment::now(), 0)))?;
    let (home, _) = store.confirm(&name)?;
    std::fs::remove_dir_all(new).with_context(|| format!("{}: cannot be removed", new.display()))?;
    let state = home.state();
    if arguments.json {
        super::print_json(
            &serde_json::json!({ "bundle": home.folder(), "active": state.active, "before": state.previous }),
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = crate::commands::stdout();
    let folder = home.folder().display().to_string();
    writeln!(out, "the recalibrated bundle is the active version of {}", one_line(&folder))?;
    writeln!(
        out,
        "next: lineside check CONFIG, then reload the line (systemctl reload lineside); back: lineside bundle rollback {name}"
    )?;
    Ok(ExitCode::SUCCESS)
}
