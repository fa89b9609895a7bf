//! A frame, and what a source of frames is.

use super::receipt::Receipt;
use crate::sink::part::PartTicket;
use lineside_picture::{Layout, Picture};
use std::time::Instant;

/// One frame on its way through the pipeline. Its buffer is reused.
pub struct Frame {
    /// The pixels, decoded.
    pub picture: Picture,
    /// Its name: of a file, or a numbered one.
    pub name: String,
    /// When it was captured, for the time from frame to verdict; known of a frame that failed, too.
    pub captured: Instant,
    /// The wall-clock time of capture, for records.
    pub wall: jiff::Timestamp,
    /// Where the source waits until its verdict is recorded, or that of a frame that failed.
    pub receipt: Option<Receipt>,
    /// The part that it shows, where parts get results. Dropped without a verdict, the part has none.
    pub part: Option<PartTicket>,
}

impl Frame {
    /// A frame with buffers for a colour picture of `(width, height)` pixels; empty where the size is not known.
    pub fn of_size(size: Option<(usize, usize)>) -> Frame {
        let mut frame = Frame { name: String::with_capacity(64), ..Frame::default() };
        if let Some((width, height)) = size {
            frame.picture.reshape(Layout::Rgb, width, height);
        }
        frame
    }
}

impl Default for Frame {
    fn default() -> Self {
        let (captured, wall) = (Instant::now(), jiff::Timestamp::now());
        Frame { picture: Picture::default(), name: String::new(), captured, wall, receipt: None, part: None }
    }
}

/// The outcome of [`FrameSource::next`].
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The frame was filled.
    Frame,
    /// This frame failed; the source goes on.
    Failed {
        /// The name of the frame.
        name: String,
        /// What is wrong with it, in one line.
        reason: String,
    },
    /// One more frame failed. It counts, but its reason has been reported.
    FailedRepeatedly,
    /// No frame within the time that a call may take; call again.
    Pending,
    /// There are no more frames.
    Ended,
}

/// The condition of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceCondition {
    /// Whether frames come.
    pub state: SourceState,
    /// Frames that were passed over so far because a newer one was ready.
    pub passed_over: u64,
    /// How often it came back after an outage.
    pub restarts: u64,
}

/// Whether frames come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceState {
    /// They come.
    #[default]
    Flowing,
    /// They come, but have not changed for too long.
    Frozen,
    /// They do not come; the source keeps trying.
    Away,
}

impl SourceState {
    /// Its word in records.
    pub fn word(self) -> &'static str {
        match self {
            SourceState::Flowing => "flowing",
            SourceState::Frozen => "frozen",
            SourceState::Away => "away",
        }
    }
}

/// A source of frames.
pub trait FrameSource: Send {
    /// Fills `frame` with the next picture. Returns within about 100 ms, so that a stop is noticed; only the driver of a camera
    /// may take longer, to open it.
    fn next(&mut self, frame: &mut Frame) -> Next;

    /// Discards frames that are ready. Called while no frame is wanted, so that the next one is fresh. Does not wait.
    fn discard_stale(&mut self) {}

    /// As [`FrameSource::next`], but fills `frame` with the first picture that was captured at `since` or later. Earlier ones
    /// are discarded, whatever is wrong with them. Where the source does not know when a picture was captured, the first one
    /// counts that comes after [`FrameSource::discard_before`].
    fn next_since(&mut self, frame: &mut Frame, since: Instant) -> Next {
        match self.next(frame) {
            Next::Frame | Next::Failed { .. } | Next::FailedRepeatedly if frame.captured < since => Next::Pending,
            outcome => outcome,
        }
    }

    /// Discards frames that are ready and were captured before a time, or at an unknown one. Does not wait.
    fn discard_before(&mut self, _before: Instant) {}

    /// Requests frames of this width and height, or of the full size again; used while the board is too hot. A source that has
    /// only one size ignores it.
    fn resize(&mut self, _size: Option<(usize, usize)>) {}

    /// Refuses files of more bytes from now on: what the budget leaves. A source that reads no files ignores it.
    fn limit_file_bytes(&mut self, _bytes: u64) {}

    /// Its condition.
    fn condition(&self) -> SourceCondition {
        SourceCondition::default()
    }

    /// Whether frames come at their own pace: then a frame that is not inspected in time is dropped for a newer one.
    /// Otherwise every frame is inspected, and the source waits.
    fn is_live(&self) -> bool;

    /// Whether each frame was requested by a trigger.
    fn is_triggered(&self) -> bool {
        false
    }

    /// The most pixels that a frame of this source may have.
    fn max_pixels(&self) -> usize;

    /// Width and height of its frames, where all have the same known size.
    fn frame_size(&self) -> Option<(usize, usize)> {
        None
    }

    /// Describes it for the log, in one line.
    fn describe(&self) -> String;
}
