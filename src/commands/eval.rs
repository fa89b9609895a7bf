//! `lineside eval`: how well a bundle does on pictures whose answer is known.

use super::{WrongArguments, percentile, read_picture, sheet};
use crate::bundle::{self, Bundle, Task};
use crate::picture::{Filter, Picture, Resizer};
use crate::source::picture_files;
use crate::task::anomaly::{Inspector, Verdict, auroc, f1, interval, recall_at};
use crate::task::super_resolution::{Enlarger, enlarge_bicubic, psnr_y, ssim_y};
use anyhow::Context;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

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
        (Task::Anomaly, Some(normal), None) => anomaly(&bundle, normal, arguments),
        (Task::SuperResolution, None, Some(hr)) => {
            super_resolution(bundle, hr, arguments.lr.as_deref(), arguments.json)
        }
        (Task::Anomaly, ..) => Err(WrongArguments(
            "this bundle is for anomalies: give --normal DIR, and --defect DIR where there are any".into(),
        )
        .into()),
        (Task::SuperResolution, ..) => {
            Err(WrongArguments("this bundle is for super-resolution: give --hr DIR".into()).into())
        }
    }
}

struct Scored {
    file: PathBuf,
    score: f64,
    ms: f64,
}

/// False alarms, as shares of the normal pictures, at which the defects found are told.
const SHARES: [f64; 3] = [0.01, 0.05, 0.1];

fn anomaly(bundle: &Bundle, normal: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let defects = arguments.defect.as_deref();
    let mut inspector = Inspector::new(bundle, None)?;
    let threshold = bundle.manifest().anomaly.as_ref().map_or(0.5, |section| section.threshold);
    let normal = scored(&mut inspector, normal)?;
    let defect = defects.map(|folder| scored(&mut inspector, folder)).transpose()?.unwrap_or_default();
    let mut times: Vec<f64> = normal.iter().chain(&defect).map(|row| row.ms).collect();
    times.sort_by(f64::total_cmp);
    let p50 = percentile(&times, 0.5);
    let scores = |rows: &[Scored]| rows.iter().map(|row| row.score).collect::<Vec<f64>>();
    let (normal_scores, defect_scores) = (scores(&normal), scores(&defect));
    let (area, spread) = (auroc(&normal_scores, &defect_scores), interval(&normal_scores, &defect_scores, auroc));
    let some_f1 = |normal: &[f64], defect: &[f64]| (!defect.is_empty()).then(|| f1(normal, defect, threshold));
    let f1_interval = interval(&normal_scores, &defect_scores, some_f1);
    let f1 = f1(&normal_scores, &defect_scores, threshold);
    let found = SHARES.map(|share| recall_at(&normal_scores, &defect_scores, share));
    let kinds = by_kind(defects.unwrap_or(Path::new("")), &defect)
        .into_iter()
        .map(|(kind, scores)| Kind {
            kind,
            n: scores.len(),
            auroc: auroc(&normal_scores, &scores),
            auroc_interval: interval(&normal_scores, &scores, auroc),
            found: scores.iter().filter(|score| **score >= threshold).count(),
        })
        .collect::<Vec<Kind>>();
    let false_alarms: Vec<&Scored> = normal.iter().filter(|row| row.score >= threshold).collect();
    let misses: Vec<&Scored> = defect.iter().filter(|row| row.score < threshold).collect();
    let names = |rows: &[&Scored]| rows.iter().map(|row| row.file.display().to_string()).collect::<Vec<String>>();
    if let Some(path) = &arguments.sheet {
        sheet::write(path, &mut inspector, &closest(&normal, &defect))?;
    }
    if arguments.json {
        let found: BTreeMap<String, Option<f64>> =
            SHARES.iter().zip(found).map(|(share, found)| (share.to_string(), found)).collect();
        super::print_json(&serde_json::json!({
            "auroc": area, "auroc_interval": spread,
            "f1": (!defect.is_empty()).then_some(f1), "f1_interval": f1_interval, "threshold": threshold,
            "recall_at_false_alarms": found, "kinds": kinds,
            "n_normal": normal.len(), "n_defect": defect.len(), "p50_ms": p50,
            "false_alarms": names(&false_alarms), "misses": names(&misses),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} normal, {} with defects, threshold {threshold}", normal.len(), defect.len())?;
    let between =
        |interval: Option<[f64; 2]>| interval.map_or(String::new(), |[low, high]| format!(" ({low:.4} to {high:.4})"));
    if let Some(area) = area {
        writeln!(out, "AUROC {area:.4}{}   F1 {f1:.4}{}; in brackets 95 %", between(spread), between(f1_interval))?;
    }
    if let [Some(a), Some(b), Some(c)] = found.map(|found| found.map(|share| share * 100.0)) {
        writeln!(out, "defects found at 1, 5, 10 % false alarms: {a:.0}, {b:.0}, {c:.0} %")?;
    }
    for Kind { kind, n, auroc, auroc_interval, found } in &kinds {
        let area = auroc.unwrap_or_default();
        writeln!(out, "  {kind:<16} AUROC {area:.4}{}   {found} of {n} found", between(*auroc_interval))?;
    }
    writeln!(out, "{} false alarms, {} misses, {p50:.1} ms a picture (median)", false_alarms.len(), misses.len())?;
    for (word, rows) in [("false alarm", &false_alarms), ("miss", &misses)] {
        for row in rows.iter() {
            writeln!(out, "{word}  {:.4}  {}", row.score, row.file.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Pictures of a sheet from each of the two sets.
const ON_SHEET: usize = 12;

/// The normal pictures that score highest, then the defects that score lowest: errors first.
fn closest<'a>(normal: &'a [Scored], defect: &'a [Scored]) -> Vec<(&'a Path, String)> {
    let picked = |rows: &'a [Scored], word: &str, highest: bool| {
        let mut rows: Vec<&Scored> = rows.iter().collect();
        rows.sort_by(|a, b| if highest { b.score.total_cmp(&a.score) } else { a.score.total_cmp(&b.score) });
        let caption = |row: &Scored| {
            let name = row.file.file_name().unwrap_or_default().to_string_lossy();
            format!("{word} {:.3} {}", row.score, name.chars().take(22).collect::<String>())
        };
        rows.into_iter().take(ON_SHEET).map(|row| (row.file.as_path(), caption(row))).collect::<Vec<_>>()
    };
    [picked(normal, "normal", true), picked(defect, "defect", false)].concat()
}

/// One kind of defect against all normal pictures.
#[derive(serde::Serialize)]
struct Kind {
    kind: String,
    n: usize,
    auroc: Option<f64>,
    auroc_interval: Option<[f64; 2]>,
    /// At the bundle's threshold.
    found: usize,
}

/// Scores by the sub-folder of `folder` that a picture lies in; nothing where there are no sub-folders.
fn by_kind(folder: &Path, rows: &[Scored]) -> BTreeMap<String, Vec<f64>> {
    let mut kinds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows {
        let inside = row.file.strip_prefix(folder).unwrap_or(&row.file);
        let mut parts = inside.components();
        if let (Some(kind), Some(_)) = (parts.next(), parts.next()) {
            kinds.entry(kind.as_os_str().to_string_lossy().into_owned()).or_default().push(row.score);
        }
    }
    kinds
}

/// Judges every picture of a folder; one that cannot be judged ends the evaluation: its figures would be of other data.
fn scored(inspector: &mut Inspector, folder: &Path) -> anyhow::Result<Vec<Scored>> {
    let mut picture = Picture::default();
    let mut verdict = Verdict::default();
    let judge = |file: PathBuf| {
        read_picture(&file, &mut picture)?;
        let start = Instant::now();
        inspector
            .prepare(&picture)
            .and_then(|()| inspector.judge((picture.width(), picture.height()), &mut verdict))
            .with_context(|| file.display().to_string())?;
        Ok(Scored { file, score: verdict.score, ms: start.elapsed().as_secs_f64() * 1e3 })
    };
    picture_files(folder).map_err(anyhow::Error::msg)?.into_iter().map(judge).collect()
}

#[derive(serde::Serialize)]
struct Enlarged {
    file: String,
    psnr_y: f64,
    ssim: f64,
    bicubic_psnr_y: f64,
    bicubic_ssim: f64,
}

fn super_resolution(bundle: Bundle, hr: &Path, lr: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let mut enlarger = Enlarger::new(bundle)?;
    let scale = enlarger.scale();
    let large = picture_files(hr).map_err(anyhow::Error::msg)?;
    let small = lr.map(|folder| picture_files(folder).map_err(anyhow::Error::msg)).transpose()?;
    if let Some(small) = &small {
        anyhow::ensure!(small.len() == large.len(), "{} large pictures, but {} small ones", large.len(), small.len());
    }
    let mut rows = Vec::new();
    for (i, file) in large.iter().enumerate() {
        let mut original = Picture::default();
        read_picture(file, &mut original)?;
        let original = cropped_to_multiple(original, scale).with_context(|| file.display().to_string())?;
        let (width, height) = (original.width() / scale, original.height() / scale);
        let mut reduced = Picture::default();
        match &small {
            Some(small) => {
                read_picture(&small[i], &mut reduced)?;
                anyhow::ensure!(
                    (reduced.width(), reduced.height()) == (width, height),
                    "{}: {}x{}, but {} reduced by {scale} is {width}x{height}",
                    small[i].display(),
                    reduced.width(),
                    reduced.height(),
                    file.display()
                );
            }
            None => Resizer::new(
                Filter::Bicubic,
                original.layout(),
                (original.width(), original.height()),
                (width, height),
            )?
            .run(&original, &mut reduced)?,
        }
        let mut ours = Picture::default();
        enlarger.enlarge(&reduced, &mut ours).with_context(|| file.display().to_string())?;
        let mut bicubic = Picture::default();
        enlarge_bicubic(&reduced, scale, &mut bicubic)?;
        let quality = |picture: &Picture| -> anyhow::Result<(f64, f64)> {
            let too_small = || format!("{}: too small to be measured", file.display());
            let psnr = psnr_y(&original, picture, scale).with_context(too_small)?;
            Ok((psnr, ssim_y(&original, picture, scale).with_context(too_small)?))
        };
        let ((psnr_y, ssim), (bicubic_psnr_y, bicubic_ssim)) = (quality(&ours)?, quality(&bicubic)?);
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        rows.push(Enlarged { file, psnr_y, ssim, bicubic_psnr_y, bicubic_ssim });
    }
    let mean = |value: fn(&Enlarged) -> f64| rows.iter().map(value).sum::<f64>() / rows.len() as f64;
    let (psnr, ssim) = (mean(|r| r.psnr_y), mean(|r| r.ssim));
    let (bicubic_psnr, bicubic_ssim) = (mean(|r| r.bicubic_psnr_y), mean(|r| r.bicubic_ssim));
    if json {
        super::print_json(&serde_json::json!({
            "scale": scale, "psnr_y": psnr, "ssim": ssim, "bicubic_psnr_y": bicubic_psnr, "bicubic_ssim": bicubic_ssim,
            "n": rows.len(), "pictures": rows,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<24} {:>9} {:>8} {:>12} {:>8}",
        "x3 on luma".replace('3', &scale.to_string()),
        "PSNR dB",
        "SSIM",
        "bicubic dB",
        "SSIM"
    )?;
    for row in &rows {
        writeln!(
            out,
            "{:<24} {:>9.2} {:>8.4} {:>12.2} {:>8.4}",
            row.file, row.psnr_y, row.ssim, row.bicubic_psnr_y, row.bicubic_ssim
        )?;
    }
    writeln!(out, "{:<24} {psnr:>9.2} {ssim:>8.4} {bicubic_psnr:>12.2} {bicubic_ssim:>8.4}", "mean")?;
    Ok(ExitCode::SUCCESS)
}

/// Cuts right and bottom so that both sides divide by `scale`, as the literature does.
fn cropped_to_multiple(picture: Picture, scale: usize) -> anyhow::Result<Picture> {
    let (width, height) = (picture.width() / scale * scale, picture.height() / scale * scale);
    anyhow::ensure!(width > 2 * scale && height > 2 * scale, "too small to be measured");
    let mut cropped = Picture::default();
    picture.crop_into(crate::picture::Rect { x: 0, y: 0, width, height }, &mut cropped);
    Ok(cropped)
}
