//! What capture needs of a camera, so that it can be tested without one. Every error is a [`CameraError`].
#![allow(clippy::missing_errors_doc)] // see above

use super::error::CameraError;
use crate::times::SILENT_SOURCE;
use lineside_picture::PixelFormat;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Where a camera is plugged in, or will be again.
pub trait CameraPort: Send {
    /// The camera that is plugged in there.
    type Device: CaptureDevice;

    /// Opens the camera.
    fn open(&mut self) -> Result<Self::Device, CameraError>;

    /// Whether there is something to open. Cheap: called ten times a second while a camera is away.
    fn is_present(&self) -> bool;

    /// The time.
    fn now(&self) -> Instant;

    /// Waits.
    fn sleep(&self, time: Duration);

    /// The user's name of it, for messages.
    fn name(&self) -> &str;
}

/// An open camera. It stops and closes when dropped.
pub trait CaptureDevice: Send {
    /// The pixel formats that it offers and that can be decoded.
    fn formats(&mut self) -> Result<Vec<PixelFormat>, CameraError>;

    /// The sizes that it offers in a format; empty where the driver does not list them.
    fn sizes(&mut self, format: PixelFormat) -> Result<Vec<FrameSize>, CameraError>;

    /// The rates that it offers in a format and size.
    fn rates(&mut self, format: PixelFormat, width: u32, height: u32) -> Result<Rates, CameraError>;

    /// Requests a mode; returns what the driver makes of it.
    fn set_mode(&mut self, mode: &CameraMode) -> Result<NegotiatedMode, CameraError>;

    /// The values that a control takes; `None` where the camera has no such control.
    fn control(&mut self, id: u32) -> Result<Option<ControlRange>, CameraError>;

    /// Sets a control.
    fn set_control(&mut self, id: u32, value: i32) -> Result<(), CameraError>;

    /// Starts streaming with at least `buffers` buffers, all of them queued.
    fn start(&mut self, buffers: u32) -> Result<(), CameraError>;

    /// Waits for a frame; false where none came in time.
    fn wait(&mut self, time: Duration) -> Result<bool, CameraError>;

    /// Dequeues the oldest captured frame, if there is one.
    fn dequeue(&mut self) -> Result<Option<CapturedBuffer>, CameraError>;

    /// The bytes of one of a frame's planes, where the driver put them; none where it has no such plane.
    fn bytes(&self, filled: &CapturedBuffer, plane: usize) -> &[u8];

    /// Returns a buffer to the driver, which fills it again.
    fn requeue(&mut self, filled: CapturedBuffer) -> Result<(), CameraError>;

    /// Frames that were dropped since the last call, because none of them was dequeued before all buffers were full. A driver does
    /// not count them.
    fn take_dropped(&mut self) -> u64 {
        0
    }

    /// How long it may deliver no whole frame.
    fn patience(&self) -> Patience {
        Patience { first: SILENT_SOURCE, next: SILENT_SOURCE }
    }

    /// What it did while no frame came; how long follows.
    fn silence(&self) -> String {
        "it sent nothing".into()
    }

    /// What is wrong with a frame that is marked as damaged.
    fn damage(&self) -> &'static str {
        "the driver marks it as damaged"
    }
}

/// For how long a camera may deliver no whole frame, whatever its rate, before it counts as silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After it was started.
    pub first: Duration,
    /// After a frame.
    pub next: Duration,
}

/// Pieces of memory that a frame may lie in: luma and two planes of chroma.
pub const MAX_PLANES: usize = 3;

/// A frame in a buffer that belongs to this program until it is requeued.
#[derive(Debug)]
pub struct CapturedBuffer {
    /// Which buffer.
    pub index: u32,
    /// Where the bytes of each plane lie in its memory.
    pub planes: [Range<usize>; MAX_PLANES],
    /// How long before it was dequeued it was captured; `None` where the driver has no time stamps.
    pub age: Option<Duration>,
    /// The driver marks its content as damaged.
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
        /// The difference between neighbours.
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
    /// Single rates.
    List(Vec<FrameInterval>),
    /// All from the first to the second, the shortest interval first.
    Range(FrameInterval, FrameInterval),
}

/// The mode that a camera is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraMode {
    /// How pixels are packed.
    pub format: PixelFormat,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Time between frames; `None` leaves it to the camera.
    pub interval: Option<FrameInterval>,
}

/// The mode that the driver agreed to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegotiatedMode {
    /// How pixels are packed; `None` for a format that cannot be decoded.
    pub format: Option<PixelFormat>,
    /// Which luma is black and white.
    pub range: lineside_picture::Range,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes from row to row in each plane; `None` for JPEG and where the driver does not report it.
    pub strides: [Option<usize>; MAX_PLANES],
    /// Frames per second, where the driver reports it.
    pub fps: Option<f64>,
}

/// The values that a control takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlRange {
    /// The smallest.
    pub min: i32,
    /// The largest.
    pub max: i32,
}

impl CapturedBuffer {
    /// The planes of a frame that lies in one piece of memory.
    pub fn one_plane(length: usize) -> [Range<usize>; MAX_PLANES] {
        [0..length, 0..0, 0..0]
    }
}

impl FrameSize {
    /// Whether frames of `width` × `height` pixels are among these.
    pub fn contains(&self, width: u32, height: u32) -> bool {
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
    /// Frames per second; `None` where the driver reports no valid fraction.
    pub fn fps(self) -> Option<f64> {
        (self.numerator > 0 && self.denominator > 0).then(|| f64::from(self.denominator) / f64::from(self.numerator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_a_size_keeps_its_keys() {
        let json = |size: FrameSize| serde_json::to_string(&size).unwrap();
        assert_eq!(json(FrameSize::One([640, 480])), "[640,480]");
        let range = FrameSize::Range { min: [2, 1], max: [1920, 1080], step: [4, 3] };
        assert_eq!(json(range), r#"{"least":[2,1],"most":[1920,1080],"step":[4,3]}"#);
    }
}
