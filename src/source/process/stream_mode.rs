//! What a program delivers.

use lineside_picture::{PixelFormat, Range};

/// What a program writes to its standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamFormat {
    /// One frame after the other, without anything between them; for [`PixelFormat::Mjpeg`] JPEG files, with or without something
    /// between them.
    Frames(PixelFormat),
    /// YUV4MPEG2, 4:2:0 with 8 bits.
    Y4m,
}

/// What the configuration says of the frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamMode {
    /// How they are packed.
    pub format: StreamFormat,
    /// Which luma is black and white.
    pub range: Range,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second that are expected.
    pub fps: f64,
}

impl StreamMode {
    /// The format of a frame's pixels.
    pub fn pixel_format(&self) -> PixelFormat {
        match self.format {
            StreamFormat::Frames(format) => format,
            StreamFormat::Y4m => PixelFormat::Yuv420,
        }
    }

    /// Bytes of a frame; of a JPEG, at most.
    pub fn frame_bytes(&self) -> usize {
        let (width, height) = (self.width as usize, self.height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        match self.pixel_format() {
            PixelFormat::Grey => width * height,
            PixelFormat::Grey10 | PixelFormat::Grey12 | PixelFormat::Grey16 => 2 * width * height,
            PixelFormat::Rgb24 | PixelFormat::Bgr24 => 3 * width * height,
            PixelFormat::Yuyv | PixelFormat::Uyvy => 4 * half_width * height,
            PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::Nv12m | PixelFormat::Nv21m => {
                width * height + 2 * half_width * half_height
            }
            PixelFormat::Nv16 | PixelFormat::Nv16m => width * height + 2 * half_width * height,
            PixelFormat::Yuv420 | PixelFormat::Yvu420 | PixelFormat::Yuv420m | PixelFormat::Yvu420m => {
                width * height + 2 * half_width * half_height
            }
            // As much as drivers set aside, and some more for what a file has beside its pixels.
            PixelFormat::Mjpeg => 2 * width * height + (1 << 16),
        }
    }
}
