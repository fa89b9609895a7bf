//! Where a line's frames come from.

use super::camera::open_camera;
use super::mode::Mode;
use crate::config::{Config, Source};
use crate::source::{FolderSource, FrameSource, PatternSource};
use crate::telemetry::Telemetry;

/// Opens the source that a configuration names.
///
/// # Errors
/// Where it cannot be opened; the error names the line of the configuration.
pub fn open_source(config: &Config, mode: Mode, telemetry: &Telemetry) -> anyhow::Result<Box<dyn FrameSource>> {
    Ok(match &config.source {
        Source::Camera(section) => open_camera(config, section, mode, telemetry)?,
        Source::Folder(folder) => {
            let fps = folder.fps.as_ref().map(|fps| *fps.get_ref());
            let max_pixels = (folder.max_megapixels.get_ref() * 1e6) as usize;
            let source = FolderSource::open(&folder.path, folder.repeat, fps, max_pixels, telemetry);
            Box::new(source.map_err(anyhow::Error::msg)?)
        }
        Source::Pattern(line) => {
            let fps = line.fps.as_ref().map(|fps| *fps.get_ref());
            let (width, height) = (*line.width.get_ref(), *line.height.get_ref());
            Box::new(PatternSource::new(width, height, line.seed, line.defect_every, fps, line.frames))
        }
    })
}
