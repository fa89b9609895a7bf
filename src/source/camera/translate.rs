//! Translates the kernel's structs to the types of `device.rs`.

use super::device::{FrameInterval, FrameSize, MAX_PLANES, NegotiatedMode, Rates};
use super::request::{CAPTURE, sys};
use lineside_picture::{PixelFormat, Range};

/// Drivers' numbers of the formats that can be decoded, which are four letters each.
pub const FORMATS: [(u32, PixelFormat); 20] = [
    (u32::from_le_bytes(*b"YUYV"), PixelFormat::Yuyv),
    (u32::from_le_bytes(*b"UYVY"), PixelFormat::Uyvy),
    (u32::from_le_bytes(*b"NV12"), PixelFormat::Nv12),
    (u32::from_le_bytes(*b"YU12"), PixelFormat::Yuv420),
    (u32::from_le_bytes(*b"YV12"), PixelFormat::Yvu420),
    (u32::from_le_bytes(*b"RGB3"), PixelFormat::Rgb24),
    (u32::from_le_bytes(*b"BGR3"), PixelFormat::Bgr24),
    (u32::from_le_bytes(*b"MJPG"), PixelFormat::Mjpeg),
    (u32::from_le_bytes(*b"JPEG"), PixelFormat::Mjpeg),
    (u32::from_le_bytes(*b"Y16 "), PixelFormat::Grey16),
    (u32::from_le_bytes(*b"Y12 "), PixelFormat::Grey12),
    (u32::from_le_bytes(*b"Y10 "), PixelFormat::Grey10),
    (u32::from_le_bytes(*b"GREY"), PixelFormat::Grey),
    (u32::from_le_bytes(*b"NV21"), PixelFormat::Nv21),
    (u32::from_le_bytes(*b"NV16"), PixelFormat::Nv16),
    (u32::from_le_bytes(*b"NM12"), PixelFormat::Nv12m),
    (u32::from_le_bytes(*b"NM21"), PixelFormat::Nv21m),
    (u32::from_le_bytes(*b"NM16"), PixelFormat::Nv16m),
    (u32::from_le_bytes(*b"YM12"), PixelFormat::Yuv420m),
    (u32::from_le_bytes(*b"YM21"), PixelFormat::Yvu420m),
];

/// A driver's text, which ends with a zero byte.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_string()
}

/// A size, or a range of sizes.
pub fn frame_size(found: &sys::v4l2_frmsizeenum) -> FrameSize {
    match found.type_ {
        sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE => {
            // SAFETY: the type names this variant; all bytes of the union are initialized.
            let size = unsafe { found.__bindgen_anon_1.discrete };
            FrameSize::One([size.width, size.height])
        }
        _ => {
            // SAFETY: as above.
            let range = unsafe { found.__bindgen_anon_1.stepwise };
            FrameSize::Range {
                min: [range.min_width, range.min_height],
                max: [range.max_width, range.max_height],
                step: [range.step_width, range.step_height],
            }
        }
    }
}

/// A list of rates, or a range, which is then the first entry.
pub fn frame_rates(found: &[sys::v4l2_frmivalenum]) -> Rates {
    let is_list = |entry: &&sys::v4l2_frmivalenum| entry.type_ == sys::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE;
    match found.first() {
        Some(entry) if !is_list(&entry) => {
            // SAFETY: the type names this variant; all bytes of the union are initialized.
            let range = unsafe { entry.__bindgen_anon_1.stepwise };
            Rates::Range(frame_interval(&range.min), frame_interval(&range.max))
        }
        _ => {
            // SAFETY: as above. In an entry of another type this is the shortest interval of its range.
            let interval = |entry: &sys::v4l2_frmivalenum| frame_interval(unsafe { &entry.__bindgen_anon_1.discrete });
            Rates::List(found.iter().map(interval).collect())
        }
    }
}

/// The time between frames.
pub fn frame_interval(fraction: &sys::v4l2_fract) -> FrameInterval {
    FrameInterval { numerator: fraction.numerator, denominator: fraction.denominator }
}

/// A time stamp in nanoseconds of its clock.
pub fn nanoseconds(time: &sys::timeval) -> u64 {
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add((time.tv_usec as u64).wrapping_mul(1000))
}

/// What a driver made of a format, but for the rate.
pub fn negotiated_mode(format: &sys::v4l2_format) -> NegotiatedMode {
    let mut strides = [None; MAX_PLANES];
    let (width, height, pixelformat, colorspace, quantization, pieces);
    if format.type_ == CAPTURE {
        // SAFETY: the variant of the union that belongs to this type of buffer; all its bytes are initialized.
        let pix = unsafe { format.fmt.pix };
        strides[0] = Some(pix.bytesperline);
        pieces = 1;
        (width, height, pixelformat) = (pix.width, pix.height, pix.pixelformat);
        (colorspace, quantization) = (pix.colorspace, pix.quantization);
    } else {
        // SAFETY: as above.
        let pix = unsafe { format.fmt.pix_mp };
        let planes = pix.plane_fmt;
        for (stride, plane) in strides.iter_mut().zip(planes) {
            *stride = Some(plane.bytesperline);
        }
        pieces = usize::from(pix.num_planes);
        (width, height, pixelformat) = (pix.width, pix.height, pix.pixelformat);
        (colorspace, quantization) = (pix.colorspace, pix.quantization.into());
    }
    let format = FORMATS.iter().find(|(fourcc, _)| *fourcc == pixelformat).map(|(_, format)| *format);
    // A driver that puts the planes elsewhere than the format says cannot be understood.
    let format = format.filter(|format| pieces == 1 + format.planes_apart());
    let has_rows = format != Some(PixelFormat::Mjpeg);
    let strides = strides.map(|stride| stride.filter(|stride| has_rows && *stride > 0).map(|stride| stride as usize));
    let range = luma_range(format, colorspace, quantization);
    NegotiatedMode { format, range, width, height, strides, fps: None }
}

/// Which luma is black and white. Where the driver does not report it: full for JPEG and for sensors that deliver only grey,
/// limited for video (`V4L2_MAP_QUANTIZATION_DEFAULT`).
pub fn luma_range(format: Option<PixelFormat>, colorspace: u32, quantization: u32) -> Range {
    match (quantization, format) {
        (sys::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE, _) => Range::Full,
        (sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE, _) => Range::Limited,
        (_, Some(format)) if is_video(format) && colorspace != sys::v4l2_colorspace_V4L2_COLORSPACE_JPEG => {
            Range::Limited
        }
        _ => Range::Full,
    }
}

/// Whether a format has luma and chroma, as video.
fn is_video(format: PixelFormat) -> bool {
    use PixelFormat::{Bgr24, Grey, Grey10, Grey12, Grey16, Mjpeg, Rgb24};
    !matches!(format, Grey | Grey10 | Grey12 | Grey16 | Rgb24 | Bgr24 | Mjpeg)
}

#[cfg(test)]
mod tests {
    use super::super::request::{Argument, CAPTURE_PLANES};
    use super::*;

    #[test]
    fn sizes_and_rates_are_read_from_the_variant_that_their_type_names() {
        let mut size = sys::v4l2_frmsizeenum::zeroed();
        size.type_ = sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE;
        size.__bindgen_anon_1.discrete = sys::v4l2_frmsize_discrete { width: 640, height: 480 };
        assert_eq!(frame_size(&size), FrameSize::One([640, 480]));
        size.type_ = sys::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_STEPWISE;
        size.__bindgen_anon_1.stepwise = sys::v4l2_frmsize_stepwise {
            min_width: 2,
            max_width: 1920,
            step_width: 4,
            min_height: 1,
            max_height: 1080,
            step_height: 3,
        };
        assert_eq!(frame_size(&size), FrameSize::Range { min: [2, 1], max: [1920, 1080], step: [4, 3] });

        let fraction = |numerator, denominator| sys::v4l2_fract { numerator, denominator };
        let interval = |numerator, denominator| FrameInterval { numerator, denominator };
        let listed = |denominator| {
            let mut entry = sys::v4l2_frmivalenum::zeroed();
            entry.type_ = sys::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE;
            entry.__bindgen_anon_1.discrete = fraction(1, denominator);
            entry
        };
        assert_eq!(frame_rates(&[listed(30), listed(15)]), Rates::List(vec![interval(1, 30), interval(1, 15)]));
        assert_eq!(frame_rates(&[]), Rates::List(vec![]));
        let mut range = sys::v4l2_frmivalenum::zeroed();
        range.type_ = sys::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_CONTINUOUS;
        range.__bindgen_anon_1.stepwise =
            sys::v4l2_frmival_stepwise { min: fraction(1, 60), max: fraction(1, 1), step: fraction(1, 1) };
        assert_eq!(frame_rates(&[range]), Rates::Range(interval(1, 60), interval(1, 1)));
        assert_eq!(nanoseconds(&sys::timeval { tv_sec: 2, tv_usec: 3 }), 2_000_003_000);
    }

    #[test]
    fn a_mode_is_read_from_where_the_kind_of_capture_has_it() {
        let mut one = sys::v4l2_format { type_: CAPTURE, ..Argument::zeroed() };
        let nv12 = u32::from_le_bytes(*b"NV12");
        one.fmt.pix = sys::v4l2_pix_format {
            width: 640,
            height: 480,
            pixelformat: nv12,
            bytesperline: 704,
            ..Argument::zeroed()
        };
        let mode = negotiated_mode(&one);
        assert_eq!((mode.format, mode.width, mode.height), (Some(PixelFormat::Nv12), 640, 480));
        assert_eq!((mode.strides, mode.range), ([Some(704), None, None], Range::Limited));

        let mut several = sys::v4l2_format { type_: CAPTURE_PLANES, ..Argument::zeroed() };
        let mut pix = sys::v4l2_pix_format_mplane {
            width: 640,
            height: 480,
            pixelformat: u32::from_le_bytes(*b"YM12"),
            num_planes: 3,
            quantization: sys::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE as u8,
            ..Argument::zeroed()
        };
        for (plane, bytesperline) in [640, 320, 384].into_iter().enumerate() {
            pix.plane_fmt[plane] = sys::v4l2_plane_pix_format { sizeimage: 9, bytesperline, reserved: [0; 6] };
        }
        several.fmt.pix_mp = pix;
        let mode = negotiated_mode(&several);
        assert_eq!((mode.format, mode.width, mode.height), (Some(PixelFormat::Yuv420m), 640, 480));
        assert_eq!((mode.strides, mode.range), ([Some(640), Some(320), Some(384)], Range::Full));
        // Planes that follow each other, by the same interface.
        (pix.pixelformat, pix.num_planes, pix.plane_fmt[1].bytesperline) = (nv12, 1, 0);
        several.fmt.pix_mp = pix;
        assert_eq!(negotiated_mode(&several).format, Some(PixelFormat::Nv12));
        // In more pieces than the format has.
        pix.num_planes = 2;
        several.fmt.pix_mp = pix;
        assert_eq!(negotiated_mode(&several).format, None);
    }

    #[test]
    fn video_has_limited_range_and_jpeg_full() {
        assert_eq!(luma_range(Some(PixelFormat::Yuyv), 8, 0), Range::Limited);
        assert_eq!(luma_range(Some(PixelFormat::Yuyv), sys::v4l2_colorspace_V4L2_COLORSPACE_JPEG, 0), Range::Full);
        assert_eq!(
            luma_range(Some(PixelFormat::Yuyv), 8, sys::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE),
            Range::Full
        );
        assert_eq!(luma_range(Some(PixelFormat::Yvu420), 8, 0), Range::Limited);
        assert_eq!(luma_range(Some(PixelFormat::Grey12), 8, 0), Range::Full);
        assert_eq!(luma_range(Some(PixelFormat::Mjpeg), 8, 0), Range::Full);
        assert_eq!(luma_range(Some(PixelFormat::Grey), 8, 0), Range::Full);
        assert_eq!(
            luma_range(Some(PixelFormat::Grey), 8, sys::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE),
            Range::Limited
        );
    }
}
