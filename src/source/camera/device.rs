//! What capture needs of a camera, so that it can be tested without one. Whatever fails, fails with a [`CameraError`].
#![allow(clippy::missing_errors_doc)] // as just said

use super::error::CameraError;
use lineside_picture::{PixelFormat, Range};
use std::time::{Duration, Instant};

/// A place where a camera is, or will be again.
pub trait CameraPort: Send {
    /// The camera that is found there.
    type Device: CaptureDevice;

    /// Opens the camera.
    fn open(&mut self) -> Result<Self::Device, CameraError>;

    /// Whether something is there that could be opened. Cheap: asked ten times a second while a camera is away.
    fn is_present(&self) -> bool;

    /// The time.
    fn now(&self) -> Instant;

    /// Waits.
    fn sleep(&self, time: Duration);

    /// What the user calls it, for messages.
    fn name(&self) -> &str;
}

/// An open camera. It stops and closes when dropped.
pub trait CaptureDevice: Send {
    /// The pixel formats that it offers and that can be decoded.
    fn formats(&mut self) -> Result<Vec<PixelFormat>, CameraError>;

    /// The sizes that it offers in a format; none where it does not say.
    fn sizes(&mut self, format: PixelFormat) -> Result<Vec<FrameSize>, CameraError>;

    /// The rates that it offers in a format and size.
    fn rates(&mut self, format: PixelFormat, width: u32, height: u32) -> Result<Rates, CameraError>;

    /// Asks for a mode; gives what the driver makes of it.
    fn set_mode(&mut self, mode: &CameraMode) -> Result<NegotiatedMode, CameraError>;

    /// What a control takes; `None` where the camera has no such control.
    fn control(&mut self, id: u32) -> Result<Option<ControlRange>, CameraError>;

    /// Sets a control.
    fn set_control(&mut self, id: u32, value: i32) -> Result<(), CameraError>;

    /// Starts streaming with at least `buffers` buffers, all of them queued.
    fn start(&mut self, buffers: u32) -> Result<(), CameraError>;

    /// Waits for a frame; false where none came in time.
    fn wait(&mut self, time: Duration) -> Result<bool, CameraError>;

    /// The oldest frame that waits.
    fn take(&mut self) -> Result<Option<CapturedBuffer>, CameraError>;

    /// The bytes of a frame, where the driver put them.
    fn bytes(&self, filled: &CapturedBuffer) -> &[u8];

    /// Gives a buffer back to be filled again.
    fn give_back(&mut self, filled: CapturedBuffer) -> Result<(), CameraError>;
}

/// A frame in a buffer that belongs to this program until it is given back.
#[derive(Debug)]
pub struct CapturedBuffer {
    /// Which buffer.
    pub index: u32,
    /// Bytes in it.
    pub length: usize,
    /// How long ago it was captured.
    pub age: Duration,
    /// The driver says that its content is damaged.
    pub damaged: bool,
}

/// A size, or a range of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum FrameSize {
    /// One size, `[width, height]`.
    One([u32; 2]),
    /// All from `min` to `max` in steps, each `[width, height]`.
    Range {
        /// The smallest.
        #[serde(rename = "least")]
        min: [u32; 2],
        /// The largest.
        #[serde(rename = "most")]
        max: [u32; 2],
        /// From one to the next.
        step: [u32; 2],
    },
}

/// An interval between frames, in seconds: numerator and denominator, as the driver has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameInterval {
    /// Numerator.
    pub numerator: u32,
    /// Denominator.
    pub denominator: u32,
}

/// The rates of a mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rates {
    /// These.
    List(Vec<FrameInterval>),
    /// Everything from the first to the second.
    Range(FrameInterval, FrameInterval),
}

/// What a camera is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraMode {
    /// How pixels are packed.
    pub format: PixelFormat,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Between frames; `None` leaves it to the camera.
    pub interval: Option<FrameInterval>,
}

/// What a camera agreed to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegotiatedMode {
    /// How pixels are packed; `None` where it insists on a format that cannot be decoded.
    pub format: Option<PixelFormat>,
    /// Which luma is black and white.
    pub range: Range,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes from row to row; `None` for JPEG and where the driver does not say.
    pub stride: Option<usize>,
    /// Frames a second, where the driver says.
    pub fps: Option<f64>,
}

/// What a control takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlRange {
    /// The smallest value.
    pub min: i32,
    /// The largest.
    pub max: i32,
}

impl FrameSize {
    /// Whether frames of `width` × `height` pixels are among these.
    pub fn holds(&self, width: u32, height: u32) -> bool {
        match *self {
            FrameSize::One(size) => size == [width, height],
            FrameSize::Range { min, max, step } => {
                let fits = |i: usize, pixels: u32| {
                    (min[i]..=max[i]).contains(&pixels) && (pixels - min[i]).is_multiple_of(step[i].max(1))
                };
                fits(0, width) && fits(1, height)
            }
        }
    }
}

impl std::fmt::Display for FrameSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameSize::One([width, height]) => write!(f, "{width}x{height}"),
            FrameSize::Range { min, max, .. } => {
                write!(f, "{}x{} to {}x{}", min[0], min[1], max[0], max[1])
            }
        }
    }
}

impl FrameInterval {
    /// Frames a second; `None` where the driver gave no sensible fraction.
    pub fn fps(self) -> Option<f64> {
        (self.numerator > 0 && self.denominator > 0).then(|| f64::from(self.denominator) / f64::from(self.numerator))
    }
}
