//! Lists the cameras of this board.

use super::choose::format_name;
use super::device::{CaptureDevice, FrameSize, Rates};
use super::error::CameraError;
use super::v4l2::V4l2Device;
use std::path::{Path, PathBuf};

/// A video device, which may be a camera.
#[derive(Debug, serde::Serialize)]
pub struct VideoDevice {
    /// `/dev/videoN`.
    pub path: PathBuf,
    /// Names under `/dev/v4l/by-id` and `/dev/v4l/by-path`, which stay when the number changes.
    pub stable: Vec<PathBuf>,
    /// What it offers, or why that cannot be determined.
    pub about: Result<CameraInfo, String>,
}

/// What a camera is and offers.
#[derive(Debug, serde::Serialize)]
pub struct CameraInfo {
    /// Its own name.
    pub card: String,
    /// The kernel's driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// The modes that can be decoded.
    pub offers: Vec<OfferedMode>,
    /// Four letters of each format that cannot be decoded.
    pub other_formats: Vec<String>,
}

/// A format in a size.
#[derive(Debug, serde::Serialize)]
pub struct OfferedMode {
    /// Four letters.
    pub format: &'static str,
    /// Pixels.
    pub size: FrameSize,
    /// Frames per second; of a range the two ends.
    pub fps: Vec<f64>,
}

/// All video devices, by number.
pub fn video_devices() -> Vec<VideoDevice> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("video")?.parse::<u32>().ok();
    let mut paths: Vec<(u32, PathBuf)> =
        files_in("/dev").into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    paths.sort();
    let links: Vec<PathBuf> = ["/dev/v4l/by-id", "/dev/v4l/by-path"].into_iter().flat_map(files_in).collect();
    let look = |(_, path): (u32, PathBuf)| {
        let leads_here = |link: &&PathBuf| std::fs::canonicalize(link).is_ok_and(|end| end == path);
        let stable = links.iter().filter(leads_here).cloned().collect();
        let about = about(&path).map_err(|fault| fault.text);
        VideoDevice { path, stable, about }
    };
    paths.into_iter().map(look).collect()
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

fn about(path: &Path) -> Result<CameraInfo, CameraError> {
    let mut device = V4l2Device::open(path, &path.display().to_string())?;
    let card = device.driver_info()?;
    let mut offers = Vec::new();
    for format in device.formats()? {
        for size in device.sizes(format)? {
            let [width, height] = match size {
                FrameSize::One(size) => size,
                FrameSize::Range { max, .. } => max,
            };
            let intervals = match device.rates(format, width, height)? {
                Rates::List(intervals) => intervals,
                Rates::Range(shortest, longest) => vec![longest, shortest],
            };
            let fps = intervals.into_iter().filter_map(|interval| Some((interval.fps()? * 100.0).round() / 100.0));
            offers.push(OfferedMode { format: format_name(format), size, fps: fps.collect() });
        }
    }
    let other_formats = device.undecodable_formats()?;
    Ok(CameraInfo { card: card.card, driver: card.driver, bus: card.bus, offers, other_formats })
}
