//! Chooses one of the modes that a camera offers.

use super::device::{CameraMode, CaptureDevice, FrameInterval, FrameSize, Rates};
use super::error::{CameraError, CameraErrorKind};
use lineside_picture::PixelFormat;

/// The mode that the configuration asks for.
#[derive(Debug, Clone, Copy)]
pub struct RequestedMode {
    /// Pixels, exactly: a model is taught with frames of one size.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second, at least; a slower camera runs at its fastest rate.
    pub fps: f64,
    /// Only this format; `None`: the best one.
    pub format: Option<PixelFormat>,
}

/// Formats by picture quality. Raw colour comes first; JPEG costs time and leaves block artefacts, but is often the only format
/// for a large picture at a good rate. Grey comes last because it has no colour; many grey cameras offer nothing else.
pub(super) const BEST_FIRST: [PixelFormat; 19] = [
    PixelFormat::Yuyv,
    PixelFormat::Uyvy,
    PixelFormat::Nv16,
    PixelFormat::Nv16m,
    PixelFormat::Nv12,
    PixelFormat::Nv12m,
    PixelFormat::Nv21,
    PixelFormat::Nv21m,
    PixelFormat::Yuv420,
    PixelFormat::Yuv420m,
    PixelFormat::Yvu420,
    PixelFormat::Yvu420m,
    PixelFormat::Rgb24,
    PixelFormat::Bgr24,
    PixelFormat::Mjpeg,
    PixelFormat::Grey16,
    PixelFormat::Grey12,
    PixelFormat::Grey10,
    PixelFormat::Grey,
];

/// The four letters by which drivers and users know a format.
pub fn format_name(format: PixelFormat) -> &'static str {
    match format {
        PixelFormat::Yuyv => "YUYV",
        PixelFormat::Nv12 => "NV12",
        PixelFormat::Mjpeg => "MJPG",
        PixelFormat::Grey => "GREY",
        PixelFormat::Yuv420 => "YU12",
        PixelFormat::Rgb24 => "RGB3",
        PixelFormat::Uyvy => "UYVY",
        PixelFormat::Yvu420 => "YV12",
        PixelFormat::Bgr24 => "BGR3",
        PixelFormat::Grey10 => "Y10",
        PixelFormat::Grey12 => "Y12",
        PixelFormat::Grey16 => "Y16",
        PixelFormat::Nv21 => "NV21",
        PixelFormat::Nv16 => "NV16",
        PixelFormat::Nv12m => "NM12",
        PixelFormat::Nv21m => "NM21",
        PixelFormat::Nv16m => "NM16",
        PixelFormat::Yuv420m => "YM12",
        PixelFormat::Yvu420m => "YM21",
    }
}

/// The best mode for a request: of the formats that reach the size and the rate the best one, or else the fastest.
///
/// # Errors
/// [`CameraErrorKind::NoSuchMode`], which lists what the camera offers.
pub fn choose(
    device: &mut impl CaptureDevice,
    name: &str,
    requested: &RequestedMode,
) -> Result<CameraMode, CameraError> {
    let lacking = |problem: String| CameraError::new(CameraErrorKind::NoSuchMode, name, problem);
    let offered = device.formats()?;
    let mut formats: Vec<PixelFormat> = BEST_FIRST.into_iter().filter(|format| offered.contains(format)).collect();
    if let Some(only) = requested.format {
        if !formats.contains(&only) {
            let has: Vec<_> = formats.iter().map(|format| format_name(*format)).collect();
            return Err(lacking(format!("it has no format {}, it has {}", format_name(only), has.join(", "))));
        }
        formats = vec![only];
    }
    if formats.is_empty() {
        let known = BEST_FIRST.map(format_name).join(", ");
        return Err(lacking(format!(
            "it has none of the formats {known}; a camera on a ribbon cable (CSI) takes [source.libcamera], another one \
             [source.gstreamer] or [source.process]"
        )));
    }
    let (mut best, mut offered_sizes) = (None, Vec::new());
    for format in formats {
        let sizes = device.sizes(format)?;
        // A driver that lists no sizes is asked for this one; its answer is checked by the caller.
        if !sizes.is_empty() && !sizes.iter().any(|size| size.contains(requested.width, requested.height)) {
            offered_sizes.extend(sizes.into_iter().filter(|size| !offered_sizes.contains(size)).collect::<Vec<_>>());
            continue;
        }
        let rates = device.rates(format, requested.width, requested.height)?;
        let interval = interval_for(&rates, requested.fps);
        let fps = interval.and_then(FrameInterval::fps);
        // A camera that does not list its rates is assumed to reach the rate.
        let reached = fps.unwrap_or(requested.fps).min(requested.fps * ENOUGH);
        if best.as_ref().is_none_or(|(fastest, _)| reached > *fastest) {
            best = Some((reached, CameraMode { format, width: requested.width, height: requested.height, interval }));
        }
    }
    best.map(|(_, mode)| mode).ok_or_else(|| {
        lacking(format!(
            "it has no size {}x{}; set width and height to {}",
            requested.width,
            requested.height,
            list_sizes(&offered_sizes)
        ))
    })
}

/// A rate counts as reached from this share of it on: 29.97 for 30.
const ENOUGH: f64 = 0.99;

/// The slowest interval that reaches `fps`, or the fastest of all.
fn interval_for(rates: &Rates, fps: f64) -> Option<FrameInterval> {
    match rates {
        Rates::List(intervals) => {
            let rate = |interval: &FrameInterval| interval.fps().unwrap_or(0.0);
            let enough = intervals.iter().filter(|interval| rate(interval) >= fps * ENOUGH);
            let slowest = enough.min_by(|a, b| rate(a).total_cmp(&rate(b)));
            slowest.or_else(|| intervals.iter().max_by(|a, b| rate(a).total_cmp(&rate(b)))).copied()
        }
        Rates::Range(shortest, longest) => {
            let wanted = FrameInterval { numerator: 1000, denominator: (fps * 1000.0).round() as u32 };
            match (shortest.fps(), longest.fps()) {
                (Some(fastest), _) if fps > fastest => Some(*shortest),
                (_, Some(slowest)) if fps < slowest => Some(*longest),
                _ => Some(wanted),
            }
        }
    }
}

fn list_sizes(sizes: &[FrameSize]) -> String {
    let mut words: Vec<String> = sizes.iter().map(FrameSize::to_string).collect();
    let more = words.len().saturating_sub(12);
    words.truncate(12);
    let end = if more > 0 { format!(" or {more} more (`lineside devices`)") } else { String::new() };
    words.join(", ") + &end
}

#[cfg(test)]
mod tests {
    use super::super::fake::{FakeDevice, World};
    use super::*;
    use PixelFormat::{Grey, Mjpeg, Nv12, Yuyv};

    const REQUESTED: RequestedMode = RequestedMode { width: 1280, height: 720, fps: 30.0, format: None };

    fn hertz(rates: &[u32]) -> Rates {
        Rates::List(rates.iter().map(|&denominator| FrameInterval { numerator: 1, denominator }).collect())
    }

    fn chosen(
        offers: &[(PixelFormat, FrameSize, Rates)],
        requested: RequestedMode,
    ) -> Result<(PixelFormat, Option<f64>), String> {
        let world = World::new();
        world.lock().offers = offers.to_vec();
        let mode = choose(&mut FakeDevice::open(&world), "cam", &requested).map_err(|fault| fault.text)?;
        Ok((mode.format, mode.interval.and_then(FrameInterval::fps)))
    }

    #[test]
    fn raw_colour_wins_unless_only_jpeg_is_fast_enough() {
        let hd = FrameSize::One([1280, 720]);
        // What most USB 2 cameras offer.
        let webcam = [(Mjpeg, hd, hertz(&[30, 15])), (Yuyv, hd, hertz(&[10, 5])), (Nv12, hd, hertz(&[10]))];
        assert_eq!(chosen(&webcam, REQUESTED), Ok((Mjpeg, Some(30.0))));
        assert_eq!(chosen(&webcam, RequestedMode { fps: 8.0, ..REQUESTED }), Ok((Yuyv, Some(10.0))));
        assert_eq!(chosen(&webcam, RequestedMode { fps: 5.0, ..REQUESTED }), Ok((Yuyv, Some(5.0))));
        assert_eq!(chosen(&webcam, RequestedMode { format: Some(Nv12), ..REQUESTED }), Ok((Nv12, Some(10.0))));
        // None is fast enough: the fastest.
        assert_eq!(chosen(&webcam, RequestedMode { fps: 60.0, ..REQUESTED }), Ok((Mjpeg, Some(30.0))));
        assert_eq!(chosen(&[(Grey, hd, hertz(&[60])), (Yuyv, hd, hertz(&[30]))], REQUESTED), Ok((Yuyv, Some(30.0))));
        assert_eq!(chosen(&[(Grey, hd, hertz(&[60]))], REQUESTED), Ok((Grey, Some(60.0))));
        let ntsc = Rates::List(vec![FrameInterval { numerator: 1001, denominator: 30000 }]);
        assert_eq!(chosen(&[(Mjpeg, hd, hertz(&[30])), (Yuyv, hd, ntsc)], REQUESTED).unwrap().0, Yuyv);
    }

    #[test]
    fn ranges_of_sizes_and_rates_hold_what_lies_in_them() {
        let any = FrameSize::Range { min: [320, 180], max: [1920, 1080], step: [2, 1] };
        let slow = FrameInterval { numerator: 1, denominator: 1 };
        let fast = FrameInterval { numerator: 1, denominator: 60 };
        let camera = [(Yuyv, any, Rates::Range(fast, slow))];
        assert_eq!(chosen(&camera, REQUESTED), Ok((Yuyv, Some(30.0))));
        assert_eq!(chosen(&camera, RequestedMode { fps: 100.0, ..REQUESTED }), Ok((Yuyv, Some(60.0))));
        assert_eq!(chosen(&camera, RequestedMode { fps: 0.5, ..REQUESTED }), Ok((Yuyv, Some(1.0))));
        assert!(chosen(&camera, RequestedMode { width: 1281, ..REQUESTED }).is_err());
        assert!(chosen(&camera, RequestedMode { height: 1081, ..REQUESTED }).is_err());
    }

    #[test]
    fn an_error_about_a_missing_mode_lists_what_there_is() {
        let camera =
            [(Yuyv, FrameSize::One([640, 480]), hertz(&[30])), (Mjpeg, FrameSize::One([800, 600]), hertz(&[30]))];
        let error = chosen(&camera, REQUESTED).unwrap_err();
        assert_eq!(error, "cam: it has no size 1280x720; set width and height to 640x480, 800x600");
        let error = chosen(&camera, RequestedMode { format: Some(Grey), ..REQUESTED }).unwrap_err();
        assert_eq!(error, "cam: it has no format GREY, it has YUYV, MJPG");
        assert!(chosen(&[], REQUESTED).unwrap_err().contains("none of the formats"));
    }

    #[test]
    fn a_camera_that_lists_neither_sizes_nor_rates_is_tried() {
        let world = World::new();
        world.lock().lists_sizes = false;
        world.lock().offers = vec![(Yuyv, FrameSize::One([640, 480]), Rates::List(vec![]))];
        let mode = choose(&mut FakeDevice::open(&world), "cam", &REQUESTED).unwrap();
        assert_eq!((mode.format, mode.width, mode.interval), (Yuyv, 1280, None));
    }
}
