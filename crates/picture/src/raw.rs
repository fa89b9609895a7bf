//! Raw frames: the pixel formats that cameras deliver.

use super::colour::Range;

/// How a camera packs its pixels; the names follow V4L2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// One byte of luma a pixel (`GREY`).
    Grey,
    /// Two pixels in four bytes, Y Cb Y Cr (`YUYV`, 4:2:2). A row of odd width ends in a whole pair.
    Yuyv,
    /// Two pixels in four bytes, Cb Y Cr Y (`UYVY`, 4:2:2). A row of odd width ends in a whole pair.
    Uyvy,
    /// A plane of luma, then one of Cb Cr pairs for each 2x2 pixels (`NV12`, 4:2:0). A row of odd width ends in a whole pair of
    /// chroma; without a stride luma is as long as it is wide, as ffmpeg writes it.
    Nv12,
    /// A plane of luma, then one of Cb and one of Cr for each 2x2 pixels (`YU12`, I420, 4:2:0). The stride of chroma is half of
    /// luma's, rounded up.
    Yuv420,
    /// The same with Cr before Cb (`YV12`).
    Yvu420,
    /// `NV12` with Cr before Cb (`NV21`).
    Nv21,
    /// `NV12` with chroma for each 2x1 pixels (`NV16`, 4:2:2).
    Nv16,
    /// `NV12` whose planes lie in memory of their own (`NM12`, NV12M).
    Nv12m,
    /// `NV21` whose planes lie in memory of their own (`NM21`, NV21M).
    Nv21m,
    /// `NV16` whose planes lie in memory of their own (`NM16`, NV16M).
    Nv16m,
    /// `YU12` whose planes lie in memory of their own (`YM12`, YUV420M).
    Yuv420m,
    /// `YV12` whose planes lie in memory of their own (`YM21`, YVU420M).
    Yvu420m,
    /// Red, green, blue (`RGB3`).
    Rgb24,
    /// Blue, green, red (`BGR3`).
    Bgr24,
    /// Two bytes of luma a pixel, the lower one first, of which 10 bits count (`Y10`).
    Grey10,
    /// The same with 12 bits (`Y12`).
    Grey12,
    /// The same with 16 bits (`Y16`).
    Grey16,
    /// A JPEG for each frame (`MJPG`, `JPEG`).
    Mjpeg,
}

impl PixelFormat {
    /// How many planes lie in memory of their own, after the first: [`RawFrame::apart`].
    pub fn planes_apart(self) -> usize {
        match self {
            PixelFormat::Nv12m | PixelFormat::Nv21m | PixelFormat::Nv16m => 1,
            PixelFormat::Yuv420m | PixelFormat::Yvu420m => 2,
            _ => 0,
        }
    }
}

/// A plane of a frame that lies in memory of its own.
#[derive(Debug, Clone, Copy)]
pub struct RawPlane<'a> {
    /// Bytes from one row to the next; `None` when rows follow each other without a gap.
    pub stride: Option<usize>,
    /// The samples; what lies behind the last row is ignored.
    pub bytes: &'a [u8],
}

/// One frame as it came, borrowed from the source.
#[derive(Debug, Clone, Copy)]
pub struct RawFrame<'a> {
    /// How the pixels are packed.
    pub format: PixelFormat,
    /// Range of luma and chroma. RGB is taken to be full range.
    pub range: Range,
    /// Width, pixels.
    pub width: usize,
    /// Height, pixels.
    pub height: usize,
    /// Bytes from one row to the next, in all planes of `bytes`; `None` when rows follow each other without a gap. JPEG has none.
    pub stride: Option<usize>,
    /// The pixels; what lies behind the last row is ignored.
    pub bytes: &'a [u8],
    /// The planes after the first, of a format whose planes lie in memory of their own ([`PixelFormat::planes_apart`]).
    pub apart: &'a [RawPlane<'a>],
}
