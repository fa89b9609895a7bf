//! Which camera, and which of its modes, a first configuration takes.

use super::choose::{BEST_FIRST, format_name};
use super::device::FrameSize;
use super::list::{CameraInfo, VideoDevice};
use std::path::PathBuf;

/// The size that is aimed at, in pixels: bundles are taught well with it, and a small board inspects it fast.
const AIM: [u32; 2] = [640, 480];
/// Frames per second that suffice.
const ENOUGH_FPS: f64 = 10.0;

/// A camera in one of its modes.
#[derive(Debug, Clone, PartialEq)]
pub struct SuggestedCamera {
    /// A name that stays the same, where it has one.
    pub device: PathBuf,
    /// Its own name.
    pub card: String,
    /// Pixels.
    pub size: [u32; 2],
    /// Frames per second, at most ten.
    pub fps: f64,
}

/// The driver of cameras on USB.
const USB: &str = "uvcvideo";

/// The first of these that is a camera on USB: it works as it is, whatever else there is.
pub fn suggest_usb(devices: &[VideoDevice]) -> Option<SuggestedCamera> {
    let is_usb = |device: &&VideoDevice| device.about.as_ref().is_ok_and(|about| about.driver == USB);
    devices.iter().filter(is_usb).find_map(suggest_mode)
}

/// The first of these that is a camera. A board with cameras on a ribbon cable has devices that look like one and deliver nothing by
/// themselves (its image processor): where libcamera has a camera, that one is to be taken before this.
pub fn suggest(devices: &[VideoDevice]) -> Option<SuggestedCamera> {
    devices.iter().find_map(suggest_mode)
}

/// A mode of a device, where it is a camera that offers one which can be decoded.
pub fn suggest_mode(device: &VideoDevice) -> Option<SuggestedCamera> {
    let CameraInfo { card, offers, .. } = device.about.as_ref().ok()?;
    let rate = |fps: &[f64]| fps.iter().copied().fold(0.0, f64::max);
    let mode = |offer: &super::list::OfferedMode| {
        let size = nearest(offer.size);
        // A driver that lists no rates is believed to be fast enough.
        let fps = if offer.fps.is_empty() { ENOUGH_FPS } else { rate(&offer.fps).min(ENOUGH_FPS) };
        let quality = BEST_FIRST.iter().position(|format| format_name(*format) == offer.format);
        let quality = quality.unwrap_or(BEST_FIRST.len());
        (size, fps, quality)
    };
    let pixels = |size: [u32; 2]| f64::from(size[0]) * f64::from(size[1]);
    let off = |size: [u32; 2]| (pixels(size) / pixels(AIM)).ln().abs();
    let better = |a: &([u32; 2], f64, usize), b: &([u32; 2], f64, usize)| {
        b.1.total_cmp(&a.1).then(off(a.0).total_cmp(&off(b.0))).then(a.2.cmp(&b.2))
    };
    let (size, fps, _) = offers.iter().map(mode).min_by(better)?;
    let device = device.stable.first().unwrap_or(&device.path).clone();
    Some(SuggestedCamera { device, card: card.clone(), size, fps })
}

/// The size of a range that is next to the one aimed at.
fn nearest(size: FrameSize) -> [u32; 2] {
    match size {
        FrameSize::One(size) => size,
        FrameSize::Range { min, max, step } => [0, 1].map(|i| {
            let wanted = AIM[i].clamp(min[i], max[i]);
            min[i] + (wanted - min[i]) / step[i].max(1) * step[i].max(1)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::OfferedMode;
    use super::*;

    fn camera(stable: &[&str], offers: &[(&'static str, FrameSize, &[f64])]) -> VideoDevice {
        let offers =
            offers.iter().map(|&(format, size, fps)| OfferedMode { format, size, fps: fps.to_vec() }).collect();
        let about = CameraInfo {
            card: "HD".into(),
            driver: "uvcvideo".into(),
            bus: "usb".into(),
            offers,
            other_formats: vec![],
        };
        VideoDevice { path: "/dev/video2".into(), stable: stable.iter().map(PathBuf::from).collect(), about: Ok(about) }
    }

    #[test]
    fn the_mode_is_fast_enough_and_next_to_the_size_that_is_aimed_at() {
        let vga = FrameSize::One([640, 480]);
        let offers = [
            ("YUYV", FrameSize::One([1920, 1080]), &[5.0][..]),
            ("YUYV", FrameSize::One([800, 600]), &[15.0, 30.0]),
            ("MJPG", vga, &[30.0]),
            ("YUYV", FrameSize::One([160, 120]), &[30.0]),
        ];
        let found = suggest_mode(&camera(&["/dev/v4l/by-id/usb-HD"], &offers)).unwrap();
        assert_eq!((found.size, found.fps), ([640, 480], 10.0));
        assert_eq!(found.device, PathBuf::from("/dev/v4l/by-id/usb-HD"));
        let slow = suggest_mode(&camera(&[], &[("YUYV", vga, &[7.5])])).unwrap();
        assert_eq!((slow.fps, slow.device), (7.5, PathBuf::from("/dev/video2")));
        let range = FrameSize::Range { min: [16, 16], max: [600, 4000], step: [16, 16] };
        assert_eq!(suggest_mode(&camera(&[], &[("GREY", range, &[])])).unwrap().size, [592, 480]);
    }

    #[test]
    fn what_is_no_camera_is_passed_over() {
        let broken = VideoDevice { path: "/dev/video0".into(), stable: vec![], about: Err("busy".into()) };
        let encoder = camera(&[], &[]);
        assert_eq!(
            suggest(&[broken, encoder, camera(&[], &[("GREY", FrameSize::One([64, 48]), &[])])]).unwrap().size,
            [64, 48]
        );
        assert_eq!(suggest(&[]), None);
    }

    #[test]
    fn a_camera_on_usb_is_found_behind_an_image_processor() {
        let of_size = |side| camera(&[], &[("YUYV", FrameSize::One([side, side]), &[][..])]);
        let mut processor = of_size(480);
        processor.about.as_mut().unwrap().driver = "bcm2835-isp".into();
        let devices = [processor, of_size(64)];
        assert_eq!(suggest_usb(&devices).unwrap().size, [64, 64]);
        assert_eq!(suggest_usb(&devices[..1]), None);
    }
}
