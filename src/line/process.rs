//! A program that delivers a line's frames: of `[source.process]`, or of a preset.

use super::camera::{Opening, open};
use super::mode::Mode;
use crate::config::{Config, ConfigError, LiveFrames, Source};
use crate::source::FrameSource;
use crate::source::camera::{CameraOptions, CameraSource, Patience, RequestedMode};
use crate::source::process::{
    LIBCAMERA_PROGRAMS, ProcessCommand, ProcessPort, StreamFormat, StreamMode, find_program, gstreamer,
};
use crate::telemetry::Telemetry;
use crate::times::{FIRST_FRAME, SILENT_SOURCE, SILENT_STREAM};
use lineside_picture::{PixelFormat, Range};
use std::ops::Range as Span;
use std::time::Duration;
use toml::Spanned;

/// What a program is started with, and what is expected of it.
pub(super) struct ProgramPlan<'a> {
    /// The user's name of the source, for messages.
    name: String,
    /// What is started.
    pub(super) command: ProcessCommand,
    /// What it delivers.
    pub(super) mode: StreamMode,
    /// For how long it may deliver nothing, once it has delivered a frame.
    silence: Duration,
    frames: LiveFrames<'a>,
    /// Where the configuration says what is started.
    place: Span<usize>,
}

/// The programs for RTSP, the better one first.
const RTSP_PROGRAMS: [&str; 2] = ["ffmpeg", "gst-launch-1.0"];

/// The program of the source, where it has one; for a preset one that is there.
///
/// # Errors
/// Where none is there, or it cannot do what is asked for, or a password cannot be read.
pub(super) fn program_plan(config: &Config) -> Result<Option<ProgramPlan<'_>>, ConfigError> {
    Ok(Some(match &config.source {
        Source::Process(section) => {
            let command = section.command();
            // The whole path is in its command.
            let name = command.program.rsplit('/').next().unwrap_or_default().to_string();
            let (frames, place) = (section.frames(), section.command.span());
            ProgramPlan { name, command, mode: section.mode(), silence: SILENT_SOURCE, frames, place }
        }
        Source::Libcamera(section) => {
            let place = section.camera.span();
            let program = first_of(config, &place, &LIBCAMERA_PROGRAMS, "rpicam-apps")?;
            let made = section.options().command(program);
            let (command, format) = made.map_err(|problem| error_at(config, &place, &problem))?;
            let name = format!("libcamera camera {} ({program})", section.camera.get_ref());
            let (mode, frames) = (mode_of(section.frames(), format), section.frames());
            ProgramPlan { name, command, mode, silence: SILENT_SOURCE, frames, place }
        }
        Source::Rtsp(section) => {
            let place = section.url.span();
            let program = first_of(config, &place, &RTSP_PROGRAMS, "ffmpeg")?;
            let options = section.options(config)?;
            let is_ffmpeg = program == RTSP_PROGRAMS[0];
            let command = if is_ffmpeg { options.ffmpeg() } else { options.gstreamer() };
            let format = if is_ffmpeg { PixelFormat::Yuv420 } else { PixelFormat::Yuyv };
            let name = format!("{} ({program})", options.public_url());
            let (mode, frames) = (mode_of(section.frames(), StreamFormat::Frames(format)), section.frames());
            ProgramPlan { name, command, mode, silence: SILENT_STREAM, frames, place }
        }
        Source::Gstreamer(section) => {
            let place = section.pipeline.span();
            first_of(config, &place, &["gst-launch-1.0"], "gstreamer1.0-tools")?;
            let mode = mode_of(section.frames(), StreamFormat::Frames(PixelFormat::Yuyv));
            let command = gstreamer(section.pipeline.get_ref(), (mode.width, mode.height));
            let (name, frames) = ("gstreamer".into(), section.frames());
            ProgramPlan { name, command, mode, silence: SILENT_STREAM, frames, place }
        }
        Source::Camera(_) | Source::Folder(_) | Source::Pattern(_) => return Ok(None),
    }))
}

/// The first of these programs that is there; `package` brings the best.
fn first_of<'a>(
    config: &Config,
    place: &Span<usize>,
    programs: &[&'a str],
    package: &str,
) -> Result<&'a str, ConfigError> {
    let found = programs.iter().copied().find(|program| find_program(program).is_some());
    found.ok_or_else(|| {
        let problem = format!("no program {} in PATH: install {package}", programs.join(" or "));
        error_at(config, place, &problem)
    })
}

fn error_at(config: &Config, place: &Span<usize>, problem: &str) -> ConfigError {
    config.error_at(&Spanned::new(place.clone(), ()), problem)
}

fn mode_of(frames: LiveFrames<'_>, format: StreamFormat) -> StreamMode {
    let range = if format == StreamFormat::Frames(PixelFormat::Mjpeg) { Range::Full } else { Range::Limited };
    let (width, height) = (*frames.width.get_ref() as u32, *frames.height.get_ref() as u32);
    StreamMode { format, range, width, height, fps: *frames.fps.get_ref() }
}

/// Starts a program. One that ends is no error for a run, which starts it again; one that is not there is.
pub(super) fn open_program(
    config: &Config,
    plan: ProgramPlan<'_>,
    mode: Mode,
    telemetry: &Telemetry,
) -> anyhow::Result<Box<dyn FrameSource>> {
    let mut opening = Opening::new(config, plan.frames, &Spanned::new(plan.place.clone(), ()));
    opening.may_come = false;
    let command = plan.command.to_string();
    open(program_source(plan, telemetry), &opening, mode).map_err(|error| match mode {
        // A check that fails prints nothing else of the plan.
        Mode::Check if !error.is::<ConfigError>() => anyhow::anyhow!("{error:#}; its command: {command}"),
        _ => error,
    })
}

/// A program as a camera.
fn program_source(plan: ProgramPlan<'_>, telemetry: &Telemetry) -> CameraSource<ProcessPort> {
    let ProgramPlan { name, command, mode, silence, frames, .. } = plan;
    let StreamMode { width, height, fps, .. } = mode;
    let requested = RequestedMode { width, height, fps, format: Some(mode.pixel_format()) };
    let patience = Patience { first: FIRST_FRAME, next: silence };
    let port = ProcessPort::new(&name, command, mode, patience, telemetry.clone());
    let frozen_after = Duration::from_secs_f64(*frames.frozen_s.get_ref());
    CameraSource::new(
        port,
        CameraOptions { requested, controls: Vec::new(), by_product: None, frozen_after },
        telemetry.clone(),
    )
}
