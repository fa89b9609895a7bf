//! Evaluation of super-resolution: how close enlarged pictures come to the originals, compared with bicubic and other bundles.

mod comparison_sheet;
mod pairs;

use super::arguments::EvalArguments;
use crate::bundle::{self, Bundle};
use crate::commands::outputs::check_output;
use crate::commands::{WrongArguments, print_json};
use crate::escape::one_line;
use crate::task::super_resolution::{Enlarger, psnr_y, ssim_y};
use anyhow::Context;
use comparison_sheet::ComparisonSheet;
use lineside_picture::{Picture, upscale_bicubic};
use pairs::Pairs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The name that stands for the shipped bundle of a scale.
pub(super) const SHIPPED: &str = "superres";

/// The scale without --scale.
const DEFAULT_SCALE: usize = 3;

/// The shipped bundle's name for a scale.
pub(super) fn shipped(scale: Option<usize>) -> String {
    format!("{SHIPPED}-x{}", scale.unwrap_or(DEFAULT_SCALE))
}

/// Fidelity of an enlarged picture to the original.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Fidelity {
    psnr_y: f64,
    ssim: f64,
}

/// The result of one picture: bicubic, and each bundle in the order of the arguments.
struct PictureResult {
    file: String,
    bicubic: Fidelity,
    by: Vec<Fidelity>,
}

pub(super) fn run(bundle: Bundle, hr: &Path, arguments: &EvalArguments) -> anyhow::Result<ExitCode> {
    let mut enlargers = vec![Enlarger::new(bundle)?];
    for name in &arguments.beside {
        enlargers.push(Enlarger::new(bundle::find(name)?)?);
    }
    let scale = enlargers[0].scale();
    let wanted = arguments.scale.unwrap_or(scale);
    if let Some(other) = enlargers.iter().find(|enlarger| enlarger.scale() != wanted) {
        let (name, its) = (&other.bundle().manifest().name, other.scale());
        return Err(
            WrongArguments(format!("{name} has a scale of {its}, not {wanted}: use bundles of one scale")).into()
        );
    }
    let pairs = Pairs::open(hr, scale, arguments)?;
    if let Some(sheet) = &arguments.sheet {
        check_output(sheet, "png", pairs.files())?;
    }
    let names: Vec<String> = enlargers.iter().map(|enlarger| enlarger.bundle().manifest().name.clone()).collect();
    let mut sheet = arguments.sheet.as_ref().map(|_| ComparisonSheet::default());
    let mut rows = Vec::new();
    for index in 0..pairs.len() {
        let (original, small) = pairs.read(index)?;
        let file = pairs.file(index);
        let fidelity = |enlarged: &Picture| {
            let too_small = || format!("{}: too small to be evaluated", file.display());
            let psnr_y = psnr_y(&original, enlarged, scale).with_context(too_small)?;
            anyhow::Ok(Fidelity { psnr_y, ssim: ssim_y(&original, enlarged, scale).with_context(too_small)? })
        };
        let mut enlarged = vec![Picture::default(); 1 + enlargers.len()];
        upscale_bicubic(&small, scale, &mut enlarged[0])?;
        for (enlarger, large) in enlargers.iter_mut().zip(&mut enlarged[1..]) {
            enlarger.enlarge(&small, large).with_context(|| file.display().to_string())?;
        }
        let bicubic = fidelity(&enlarged[0])?;
        let by = enlarged[1..].iter().map(fidelity).collect::<anyhow::Result<Vec<Fidelity>>>()?;
        let row =
            PictureResult { file: file.file_name().unwrap_or_default().to_string_lossy().into_owned(), bicubic, by };
        if let Some(sheet) = &mut sheet {
            let captions = std::iter::once("bicubic").chain(names.iter().map(String::as_str));
            let figures = std::iter::once(&row.bicubic).chain(&row.by).map(|fidelity| fidelity.psnr_y);
            let captions: Vec<String> = captions.zip(figures).map(|(name, psnr)| format!("{name} {psnr:.2}")).collect();
            sheet.add(&original, &enlarged, &captions);
        }
        rows.push(row);
    }
    if let (Some(sheet), Some(path)) = (&sheet, &arguments.sheet) {
        sheet.write(path)?;
    }
    let mean = |of: &dyn Fn(&PictureResult) -> Fidelity| {
        let mean = |value: fn(Fidelity) -> f64| rows.iter().map(|row| value(of(row))).sum::<f64>() / rows.len() as f64;
        Fidelity { psnr_y: mean(|fidelity| fidelity.psnr_y), ssim: mean(|fidelity| fidelity.ssim) }
    };
    let by = (0..names.len()).map(|way| mean(&|row| row.by[way])).collect();
    let mean = PictureResult { file: "mean".into(), bicubic: mean(&|row| row.bicubic), by };
    if arguments.json {
        print_json(&document(&rows, &mean, &names, scale, &pairs.describe()))?;
    } else {
        print_table(&rows, &mean, &names, scale, &pairs.describe())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn document(
    rows: &[PictureResult],
    mean: &PictureResult,
    names: &[String],
    scale: usize,
    small: &str,
) -> serde_json::Value {
    let figures = |row: &PictureResult| {
        let beside: Vec<serde_json::Value> = names[1..]
            .iter()
            .zip(&row.by[1..])
            .map(|(name, by)| serde_json::json!({ "bundle": name, "psnr_y": by.psnr_y, "ssim": by.ssim }))
            .collect();
        let mut value = serde_json::json!({
            "psnr_y": row.by[0].psnr_y, "ssim": row.by[0].ssim,
            "bicubic_psnr_y": row.bicubic.psnr_y, "bicubic_ssim": row.bicubic.ssim,
        });
        if !beside.is_empty() {
            value["beside"] = beside.into();
        }
        value
    };
    let mut value = figures(mean);
    value["bundle"] = names[0].clone().into();
    value["scale"] = scale.into();
    value["small"] = small.into();
    value["n"] = rows.len().into();
    let pictures = rows.iter().map(|row| {
        let mut value = figures(row);
        value["file"] = row.file.clone().into();
        value
    });
    value["pictures"] = pictures.collect();
    value
}

fn print_table(
    rows: &[PictureResult],
    mean: &PictureResult,
    names: &[String],
    scale: usize,
    small: &str,
) -> std::io::Result<()> {
    let mut out = crate::commands::stdout();
    writeln!(out, "PSNR (dB) and SSIM of luma, x{scale}; small pictures: {small}")?;
    let columns: Vec<String> = std::iter::once("bicubic".into()).chain(names.iter().cloned()).collect();
    let width = |name: &String| name.len().max(14);
    write!(out, "{:<24}", "")?;
    for name in &columns {
        write!(out, "  {name:>width$}", width = width(name))?;
    }
    writeln!(out)?;
    for row in rows.iter().chain([mean]) {
        write!(out, "{:<24}", one_line(&row.file))?;
        for (name, fidelity) in columns.iter().zip(std::iter::once(&row.bicubic).chain(&row.by)) {
            let figures = format!("{:.2} {:.4}", fidelity.psnr_y, fidelity.ssim);
            write!(out, "  {figures:>width$}", width = width(name))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
