//! `lineside upscale`: one picture or a folder, enlarged by super-resolution.

mod outputs;

use super::outputs::{check_place, write_output};
use super::{MAX_PIXELS, WrongArguments};
use crate::bundle;
use crate::escape::one_line;
use crate::files;
use crate::memory::peak_resident_bytes;
use crate::source::picture_files;
use crate::task::TaskError;
use crate::task::super_resolution::Enlarger;
use anyhow::Context;
use lineside_picture::{DecodeOptions, PictureError, RowReader, write_png_rows_with};
use outputs::{Job, plan, refuse_originals, refuse_same};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// The most pixels of a picture that is enlarged row by row, against typing errors.
const MAX_PIXELS_BY_ROWS: usize = 1_000_000_000;

#[derive(clap::Args)]
pub struct UpscaleArguments {
    /// A picture (PNG, JPEG, BMP, TIFF, WebP, PNM) or a folder of pictures
    input: PathBuf,
    /// The enlarged picture (PNG); a folder where INPUT is one
    output: PathBuf,
    /// The super-resolution bundle
    #[arg(long, default_value = "superres-x3")]
    bundle: String,
    /// Number of threads; the result does not depend on it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Bits that are used of each sample of 16, where the file does not state it: 12 for a camera of 12 bits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    bits: Option<u8>,
}

pub fn run(arguments: &UpscaleArguments) -> anyhow::Result<ExitCode> {
    let mut enlarger = Enlarger::new(bundle::find(&arguments.bundle)?)?.with_threads(arguments.threads as usize)?;
    let options = DecodeOptions { bits: arguments.bits };
    if !arguments.input.is_dir() {
        // Named before the output is: of a folder that is not there that would not end in .png either.
        let input = || arguments.input.display().to_string();
        std::fs::metadata(&arguments.input).with_context(input)?;
        let extension = arguments.output.extension().unwrap_or_default();
        if !extension.eq_ignore_ascii_case("png") {
            let output = arguments.output.display();
            return Err(WrongArguments(format!("{output}: pictures are written as PNG: end its name in .png")).into());
        }
        check_place(&arguments.output)?;
        refuse_same(&arguments.input, &arguments.output)?;
        enlarge(&mut enlarger, &arguments.input, &arguments.output, options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let files = picture_files(&arguments.input).map_err(anyhow::Error::msg)?;
    let jobs = plan(&arguments.input, files, &arguments.output)?;
    refuse_originals(&arguments.input, &jobs, enlarger.scale(), |picture| {
        let (file, _) = files::open(picture).ok()?;
        let reader = RowReader::open_with(file, MAX_PIXELS_BY_ROWS, MAX_PIXELS, options).ok()?;
        Some((reader.width(), reader.height()))
    })?;
    let mut failed = 0;
    for (done, Job { input, output }) in jobs.iter().enumerate() {
        let made = output.parent().map_or(Ok(()), std::fs::create_dir_all);
        let result = made
            .with_context(|| output.display().to_string())
            .and_then(|()| enlarge(&mut enlarger, input, output, options));
        match result {
            Ok(()) => {
                let name = output.display().to_string();
                writeln!(super::stdout(), "{}/{}  {}", done + 1, jobs.len(), one_line(&name))?;
            }
            Err(error) => {
                failed += 1;
                super::report_error(&error);
            }
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of {} pictures could not be enlarged", jobs.len());
    Ok(ExitCode::SUCCESS)
}

/// From file to file in bands of rows: neither picture need fit into memory, except where the input is a JPEG,
/// interlaced or turned.
fn enlarge(enlarger: &mut Enlarger, input: &Path, output: &Path, options: DecodeOptions) -> anyhow::Result<()> {
    let started = Instant::now();
    let name = || input.display().to_string();
    let (file, _) = files::open(input).with_context(name)?;
    let mut reader = RowReader::open_with(file, MAX_PIXELS_BY_ROWS, MAX_PIXELS, options).with_context(name)?;
    if reader.metadata().has_more_pictures {
        log::warn!(picture = name().as_str(); "first_picture_only");
    }
    if reader.depth().bits == 16 {
        log::warn!(picture = name().as_str(), bits = 16, written_bits = 8; "depth_reduced");
    }
    let (width, height, scale) = (reader.width(), reader.height(), enlarger.scale());
    // Before the output is begun: what is wrong with a bundle is no fault of the picture.
    enlarger.plan_for(width, height)?;
    let mut lost = None;
    let written = write_output(output, |out| {
        let large = (width * scale, height * scale);
        let metadata = reader.metadata().clone();
        write_png_rows_with(out, reader.row_layout(), large, &metadata, |writer| {
            enlarger.enlarge_rows(&mut reader, |row| Ok(writer.write(row)?))
        })
        .map_err(|error| {
            lost = Some(error);
            std::io::Error::other("not written")
        })
    });
    match lost {
        Some(error @ TaskError::Picture(PictureError::Write(_))) => {
            Err(error).with_context(|| output.display().to_string())
        }
        Some(error) => Err(error).with_context(name),
        None => written.with_context(|| output.display().to_string()),
    }?;
    if reader.depth().leaves_high_bits_unused() {
        let (used_bits, advice) = (reader.depth().used_bits, "give --bits N where the camera has N bits");
        log::warn!(picture = name().as_str(), used_bits = used_bits, advice = advice; "high_bits_unused");
    }
    log::debug!(
        picture = name().as_str(), width = width, height = height, scale = scale,
        ms = started.elapsed().as_millis() as u64, peak_rss_bytes = peak_resident_bytes().unwrap_or(0); "enlarged"
    );
    Ok(())
}
