//! `lineside upscale`: one picture or a folder, enlarged by super-resolution.

use crate::bundle;
use crate::picture::{Picture, write_png};
use crate::sink::write_durably;
use crate::source::picture_files;
use crate::task::super_resolution::Enlarger;
use anyhow::Context;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Arguments {
    /// A picture (PNG, JPEG) or a folder of pictures
    input: PathBuf,
    /// Where the enlarged picture goes (PNG); a folder where IN is one
    output: PathBuf,
    /// The super-resolution bundle
    #[arg(long, default_value = "superres-x3")]
    bundle: String,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut enlarger = Enlarger::new(bundle::find(&arguments.bundle)?)?;
    if !arguments.input.is_dir() {
        enlarge(&mut enlarger, &arguments.input, &arguments.output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let files = picture_files(&arguments.input).map_err(anyhow::Error::msg)?;
    let mut failed = 0;
    for (done, file) in files.iter().enumerate() {
        // The same tree below the output folder: pictures of one name in two sub-folders stay apart.
        let inside = file.strip_prefix(&arguments.input)?;
        let output = arguments.output.join(inside).with_extension("png");
        let made = output.parent().map_or(Ok(()), std::fs::create_dir_all);
        let result =
            made.with_context(|| output.display().to_string()).and_then(|()| enlarge(&mut enlarger, file, &output));
        match result {
            Ok(()) => writeln!(std::io::stdout(), "{}/{}  {}", done + 1, files.len(), output.display())?,
            Err(error) => {
                failed += 1;
                eprintln!("lineside: {error:#}");
            }
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of {} pictures could not be enlarged", files.len());
    Ok(ExitCode::SUCCESS)
}

fn enlarge(enlarger: &mut Enlarger, input: &Path, output: &Path) -> anyhow::Result<()> {
    let mut picture = Picture::default();
    super::read_picture(input, &mut picture)?;
    let mut large = Picture::default();
    enlarger.enlarge(&picture, &mut large).with_context(|| input.display().to_string())?;
    write_durably(output, |out| write_png(out, &large).map_err(std::io::Error::other))
        .with_context(|| output.display().to_string())
}
