//! What sections of sources that deliver frames at their own pace have in common.

use super::{Source, Violation, check_range};
use toml::Spanned;

/// The frames of a source that delivers them at its own pace.
#[derive(Debug, Clone, Copy)]
pub struct LiveFrames<'a> {
    /// The section below `[source]`.
    pub section: &'static str,
    /// Width in pixels.
    pub width: &'a Spanned<usize>,
    /// Height in pixels.
    pub height: &'a Spanned<usize>,
    /// Frames per second, at least.
    pub fps: &'a Spanned<f64>,
    /// After how many seconds a picture that stays bit-identical counts as frozen; 0: never.
    pub frozen_s: &'a Spanned<f64>,
}

impl LiveFrames<'_> {
    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let key = |name: &str| format!("source.{}.{name}", self.section);
        check_range(self.fps, &key("fps"), 0.01, 1000.0)
            .or_else(|| check_range(self.width, &key("width"), 32, 8192))
            .or_else(|| check_range(self.height, &key("height"), 32, 8192))
            .or_else(|| check_range(self.frozen_s, &key("frozen_s"), 0.0, 86_400.0))
    }
}

impl Source {
    /// Its frames, where they come at their own pace.
    pub fn live_frames(&self) -> Option<LiveFrames<'_>> {
        match self {
            Source::Camera(camera) => Some(camera.frames()),
            Source::Process(process) => Some(process.frames()),
            Source::Libcamera(camera) => Some(camera.frames()),
            Source::Rtsp(camera) => Some(camera.frames()),
            Source::Gstreamer(pipeline) => Some(pipeline.frames()),
            Source::Folder(_) | Source::Pattern(_) => None,
        }
    }
}
