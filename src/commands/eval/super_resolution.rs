//! How close enlarged pictures come to the originals, beside bicubic.

use crate::bundle::Bundle;
use crate::commands::{print_json, read_picture};
use crate::picture::{Filter, Picture, Resizer};
use crate::source::picture_files;
use crate::task::super_resolution::{Enlarger, enlarge_bicubic, psnr_y, ssim_y};
use anyhow::Context;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

#[derive(serde::Serialize)]
struct Enlarged {
    file: String,
    psnr_y: f64,
    ssim: f64,
    bicubic_psnr_y: f64,
    bicubic_ssim: f64,
}

pub(super) fn run(bundle: Bundle, hr: &Path, lr: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
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
        print_json(&serde_json::json!({
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
