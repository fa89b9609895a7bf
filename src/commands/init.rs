//! `lineside init`: writes a commented configuration for what this board has.

use crate::board::gpio_chips;
use crate::config::{Config, Starter, StarterCamera};
use crate::escape::one_line;
use crate::source::camera::{SuggestedCamera, VideoDevice, suggest, suggest_mode, suggest_usb, video_devices};
use crate::source::process::{LibcameraCamera, libcamera_cameras};
use anyhow::Context;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Free lines that are named at most.
const LINES: usize = 30;
/// Where the package keeps its state.
const STATE: &str = "/var/lib/lineside";
/// A board with less memory than this, in MiB, gets half of it as budget instead of the default.
const SMALL_BOARD: u64 = 384;

#[derive(clap::Args)]
pub struct InitArguments {
    /// The file to write; `-`: print it. A file that is there is never replaced
    #[arg(default_value = "lineside.toml")]
    output: PathBuf,
    /// The camera, by its path or number [default: the first that works]
    #[arg(long, value_name = "DEV")]
    camera: Option<String>,
}

pub fn run(arguments: &InitArguments) -> anyhow::Result<ExitCode> {
    let devices = video_devices();
    let camera = match &arguments.camera {
        Some(name) => Some(named(&devices, name)?),
        None => first_camera(&devices, libcamera_cameras),
    };
    let lines = gpio_chips().into_iter().filter_map(|chip| chip.lines.ok()).flatten();
    let free = lines.filter(|line| line.used_by.is_none() && !line.name.is_empty()).map(|line| line.name);
    let is_installed = rustix::fs::access(STATE, rustix::fs::Access::WRITE_OK).is_ok();
    let memory_mib = memory_mib().filter(|memory| *memory < SMALL_BOARD).map(|memory| memory / 2);
    let starter = Starter {
        camera: camera.as_ref().map(|camera| match camera {
            Found::V4l2(SuggestedCamera { device, size, fps, .. }) => {
                StarterCamera::V4l2 { device: device.clone(), size: *size, fps: *fps }
            }
            Found::Libcamera(camera) => StarterCamera::Libcamera(camera.camera),
        }),
        free_lines: free.map(|name| one_line(&name).into_owned()).take(LINES).collect(),
        output: if is_installed { Path::new(STATE).join("records") } else { "lineside-out".into() },
        memory_mib,
    };
    let text = starter.to_toml();
    // Names of devices come from outside.
    Config::parse(&text, &arguments.output).context("what this board has cannot be written as a configuration")?;
    if arguments.output == Path::new("-") {
        write!(super::stdout(), "{text}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = || arguments.output.display().to_string();
    let file = std::fs::File::options().write(true).create_new(true).open(&arguments.output);
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            anyhow::bail!("{}: it is there already, and is not replaced: name another file", name())
        }
        file => file.with_context(name)?,
    };
    file.write_all(text.as_bytes()).with_context(name)?;
    let source = match &camera {
        Some(Found::V4l2(SuggestedCamera { device, card, size: [width, height], fps })) => {
            format!("camera {card} at {}, {width}x{height}, {fps} frames a second", device.display())
        }
        Some(Found::Libcamera(LibcameraCamera { camera, about })) => format!("libcamera camera {camera}: {about}"),
        None => "no camera was found, a synthetic line instead (see `lineside devices`)".into(),
    };
    let mut out = super::stdout();
    writeln!(out, "{}", one_line(&format!("{}: {source}", name())))?;
    writeln!(out, "next: {}", one_line(&format!("lineside check {}", name())))?;
    Ok(ExitCode::SUCCESS)
}

/// A camera of this board.
enum Found {
    V4l2(SuggestedCamera),
    Libcamera(LibcameraCamera),
}

/// The camera that is taken where none is named.
fn first_camera(devices: &[VideoDevice], libcamera: impl FnOnce() -> Vec<LibcameraCamera>) -> Option<Found> {
    let usb = suggest_usb(devices).map(Found::V4l2);
    let ribbon = || libcamera().into_iter().next().map(Found::Libcamera);
    usb.or_else(ribbon).or_else(|| suggest(devices).map(Found::V4l2))
}

/// The camera of this name.
fn named(devices: &[VideoDevice], name: &str) -> anyhow::Result<Found> {
    let path = match name.parse::<u32>() {
        Ok(number) => PathBuf::from(format!("/dev/video{number}")),
        Err(_) => PathBuf::from(name),
    };
    let is_it = |device: &&VideoDevice| device.path == path || device.stable.contains(&path);
    let device = devices.iter().find(is_it).with_context(|| {
        let there: Vec<String> = devices.iter().map(|device| device.path.display().to_string()).collect();
        let there = if there.is_empty() { "this board has no /dev/video*".into() } else { there.join(", ") };
        format!("{name}: no such camera; there is: {there}")
    })?;
    let mut camera = suggest_mode(device).with_context(|| match &device.about {
        Err(reason) => reason.clone(),
        Ok(_) => format!("{name}: it offers no format that can be decoded"),
    })?;
    camera.device = path;
    Ok(Found::V4l2(camera))
}

/// The memory of this machine.
fn memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}
