//! The region to teach: that of the command line, or of the camera's configuration.

use super::TeachArguments;
use crate::bundle::{Draft, RegionSection};
use crate::commands::WrongArguments;
use crate::commands::picture_reader::PictureReader;
use crate::config::Config;
use crate::task::anomaly::{RegionOfInterest, RegionSpec};
use anyhow::Context;
use lineside_picture::Picture;
use std::path::PathBuf;

/// The name of the mask in a bundle.
const IGNORED: &str = "ignored.png";

/// A region that was asked for, before the size of the frames is known.
pub struct WantedRegion<'a> {
    spec: RegionSpec,
    /// Where it is set, if not on the command line.
    config: Option<&'a Config>,
}

impl<'a> WantedRegion<'a> {
    /// What the arguments or the configuration ask for; `None`: the whole frame.
    ///
    /// # Errors
    /// Where a mask cannot be read, and where both ask for something, and not for the same.
    pub fn new(arguments: &TeachArguments, config: Option<&'a Config>) -> anyhow::Result<Option<WantedRegion<'a>>> {
        let configured = config.map(Config::region).transpose()?.flatten();
        if arguments.region.is_empty() && arguments.ignore.is_none() {
            return Ok(configured.map(|spec| WantedRegion { spec, config }));
        }
        let spec = RegionSpec::read(arguments.region.clone(), arguments.ignore.as_deref())?;
        if configured.is_some_and(|configured| configured != spec) {
            let file = arguments.camera.as_deref().unwrap_or_default();
            let problem = format!(
                "--region and --ignore are not anomaly.region and anomaly.ignore of {file}, with which the line would run: leave them \
                 out, or change the file"
            );
            return Err(WrongArguments(problem).into());
        }
        Ok(Some(WantedRegion { spec, config: None }))
    }

    /// The region in frames of a size (width, height).
    ///
    /// # Errors
    /// Where it does not fit them.
    pub fn in_frames(&self, size: (usize, usize)) -> anyhow::Result<RegionOfInterest> {
        RegionOfInterest::new(&self.spec, size).map_err(|error| match self.config {
            Some(config) => config.region_error(&error).into(),
            None => WrongArguments(format!("--region, --ignore: {error}")).into(),
        })
    }

    /// The region in pictures, of the size of the first that can be read.
    ///
    /// # Errors
    /// As [`WantedRegion::in_frames`], and where none can be read.
    pub fn in_pictures(&self, files: &[PathBuf], bits: Option<u8>) -> anyhow::Result<RegionOfInterest> {
        let (mut reader, mut picture) = (PictureReader::new(bits), Picture::default());
        let first = files.iter().find(|file| reader.read(file, &mut picture).is_ok());
        let first = first.context("none of the pictures can be read")?;
        self.in_frames((picture.width(), picture.height())).with_context(|| first.display().to_string())
    }

    /// Writes it into a bundle.
    ///
    /// # Errors
    /// Where the mask cannot be written.
    pub fn write(&self, region: &RegionOfInterest, draft: &mut Draft) -> anyhow::Result<RegionSection> {
        let png = self.spec.ignored_png()?;
        if let Some(png) = &png {
            draft.add(IGNORED, png)?;
        }
        Ok(RegionSection {
            frame: region.frame_size().into(),
            shapes: self.spec.shapes.iter().map(ToString::to_string).collect(),
            ignored: png.map(|_| IGNORED.into()),
        })
    }
}
