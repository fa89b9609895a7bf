//! `[source.process]`: a program that delivers frames.

use super::camera::{ten_hertz, ten_seconds};
use super::{LiveFrames, Violation, pixels};
use crate::source::process::{ProcessCommand, StreamFormat, StreamMode};
use lineside_picture::{PixelFormat, Range};
use serde::Deserialize;
use toml::Spanned;

/// `[source.process]`: a program that delivers frames on its standard output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ProcessConfig {
    /// The program, a name that is looked up in `PATH` or a path, and its arguments. No shell reads them.
    pub command: Spanned<Vec<String>>,
    /// How the frames are packed.
    pub format: ProcessFormat,
    /// Which luma is black and white; absent: as usual for the format.
    pub range: Option<LumaRange>,
    /// Width of a frame in pixels, exactly.
    #[serde(default = "pixels::<640>")]
    pub width: Spanned<usize>,
    /// Height of a frame in pixels, exactly.
    #[serde(default = "pixels::<480>")]
    pub height: Spanned<usize>,
    /// Frames per second that the program delivers, at least.
    #[serde(default = "ten_hertz")]
    pub fps: Spanned<f64>,
    /// After how many seconds a picture that stays bit-identical counts as frozen; 0: never.
    #[serde(default = "ten_seconds")]
    pub frozen_s: Spanned<f64>,
}

/// How a program packs its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // as in `PixelFormat`
pub enum ProcessFormat {
    Yuv420,
    Nv12,
    Yuyv,
    Rgb24,
    Grey,
    Mjpeg,
    /// YUV4MPEG2, 4:2:0 with 8 bits; its header must have the configured size.
    Y4m,
}

/// Which luma is black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LumaRange {
    /// 16 and 235, as in video.
    Limited,
    /// 0 and 255, as in JPEG.
    Full,
}

impl ProcessFormat {
    fn stream_format(self) -> StreamFormat {
        StreamFormat::Frames(match self {
            ProcessFormat::Y4m => return StreamFormat::Y4m,
            ProcessFormat::Yuv420 => PixelFormat::Yuv420,
            ProcessFormat::Nv12 => PixelFormat::Nv12,
            ProcessFormat::Yuyv => PixelFormat::Yuyv,
            ProcessFormat::Rgb24 => PixelFormat::Rgb24,
            ProcessFormat::Grey => PixelFormat::Grey,
            ProcessFormat::Mjpeg => PixelFormat::Mjpeg,
        })
    }

    /// As usual: video is limited; JPEG, RGB and what sensors deliver as grey are full.
    fn usual_range(self) -> LumaRange {
        match self {
            ProcessFormat::Rgb24 | ProcessFormat::Grey | ProcessFormat::Mjpeg => LumaRange::Full,
            _ => LumaRange::Limited,
        }
    }
}

impl ProcessConfig {
    /// The command.
    pub fn command(&self) -> ProcessCommand {
        let mut words = self.command.get_ref().iter().map(String::as_str);
        ProcessCommand::new(words.next().unwrap_or_default(), words)
    }

    /// What its frames are.
    pub fn mode(&self) -> StreamMode {
        StreamMode {
            format: self.format.stream_format(),
            range: match self.range.unwrap_or(self.format.usual_range()) {
                LumaRange::Limited => Range::Limited,
                LumaRange::Full => Range::Full,
            },
            width: *self.width.get_ref() as u32,
            height: *self.height.get_ref() as u32,
            fps: *self.fps.get_ref(),
        }
    }

    /// Its frames.
    pub fn frames(&self) -> LiveFrames<'_> {
        let ProcessConfig { width, height, fps, frozen_s, .. } = self;
        LiveFrames { section: "process", width, height, fps, frozen_s }
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let words = self.command.get_ref();
        let problem = if words.first().is_none_or(String::is_empty) {
            "source.process.command names no program: give it and its arguments, as in [\"ffmpeg\", \"-i\", \"…\"]"
        } else if words.iter().any(|word| word.contains('\0')) {
            "source.process.command has a zero byte, which no argument can have"
        } else {
            return self.frames().problem();
        };
        Some((self.command.span().start, problem.into()))
    }
}
