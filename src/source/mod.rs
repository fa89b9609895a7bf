//! Where frames come from.

pub mod camera;
mod folder;
mod monotonic;
mod pattern;
mod triggered;

pub use folder::{FolderSource, picture_files};
pub use pattern::PatternSource;
pub use triggered::{EdgeEvent, TriggerInput, TriggeredSource};

use lineside_picture::Picture;
use std::time::{Duration, Instant};

/// One frame on its way through the pipeline. Its buffer is reused.
pub struct Frame {
    /// The pixels, decoded.
    pub picture: Picture,
    /// What the source calls it: a file name, or a number.
    pub name: String,
    /// When it was captured, for frame-to-verdict time.
    pub captured: Instant,
    /// The wall time of capture, for records.
    pub wall: jiff::Timestamp,
}

impl Frame {
    /// A frame whose buffers have room for a picture of `width` × `height` pixels in colour, where that is known.
    pub fn of_size(size: Option<(usize, usize)>) -> Frame {
        let mut frame = Frame { name: String::with_capacity(64), ..Frame::default() };
        if let Some((width, height)) = size {
            frame.picture.reshape(lineside_picture::Layout::Rgb, width, height);
        }
        frame
    }
}

impl Default for Frame {
    fn default() -> Self {
        let (captured, wall) = (Instant::now(), jiff::Timestamp::now());
        Frame { picture: Picture::default(), name: String::new(), captured, wall }
    }
}

/// What came of asking for a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The frame was filled.
    Frame,
    /// This one frame could not be had; the source goes on. Holds its name and the reason.
    Failed {
        /// What the source calls the frame.
        name: String,
        /// One line that says what is wrong with it.
        reason: String,
    },
    /// As before: one more frame could not be had. It counts, but the reason was told already.
    FailedRepeatedly,
    /// Nothing within the time that a call may take; ask again.
    Pending,
    /// There are no more frames.
    Ended,
}

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SourceCondition {
    /// Whether frames come.
    pub state: SourceState,
    /// Frames that were passed over so far, because a newer one was there.
    pub passed_over: u64,
    /// How often it came back after it had been away.
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
    /// There are none; the source tries to get some again.
    Away,
}

impl SourceState {
    /// One word for the log.
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
    /// Fills `frame` with the next picture. Returns within about 100 ms, so that a stop is noticed; only opening a camera
    /// may take its driver longer.
    fn next(&mut self, frame: &mut Frame) -> Next;

    /// Called while no frame is wanted, so that the next one is a new one. Does not wait.
    fn discard_stale(&mut self) {}

    /// From now on frames of this width and height, or of its own size again: asked while the board is too hot. A source
    /// that can only give what it has goes on as before.
    fn resize(&mut self, _size: Option<(usize, usize)>) {}

    /// How it is doing.
    fn condition(&self) -> SourceCondition {
        SourceCondition::default()
    }

    /// Whether frames come at their own pace: then a frame that is not inspected in time is dropped for a newer one.
    /// Otherwise every frame is inspected, and the source waits.
    fn is_live(&self) -> bool;

    /// Whether each frame was asked for because a part came.
    fn is_triggered(&self) -> bool {
        false
    }

    /// The most pixels that a frame of this source may have.
    fn max_pixels(&self) -> usize;

    /// Width and height of its frames, where all have the same and it is known.
    fn frame_size(&self) -> Option<(usize, usize)> {
        None
    }

    /// One line for the log.
    fn describe(&self) -> String;
}

/// Gives each frame its time at a fixed rate.
pub(crate) struct Pace {
    interval: Option<Duration>,
    due: Option<Instant>,
}

impl Pace {
    /// `fps` frames a second, or as fast as they are taken.
    pub(crate) fn new(fps: Option<f64>) -> Pace {
        Pace { interval: fps.map(|fps| Duration::from_secs_f64(1.0 / fps)), due: None }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.interval.is_some()
    }

    /// Waits for the next frame's time, but no longer than 100 ms; true once it has come.
    pub(crate) fn wait(&mut self) -> bool {
        let Some(interval) = self.interval else { return true };
        let now = Instant::now();
        let due = *self.due.get_or_insert(now);
        if due > now {
            std::thread::sleep((due - now).min(Duration::from_millis(100)));
            if Instant::now() < due {
                return false;
            }
        }
        // After a long pause the rate starts anew instead of hurrying to catch up.
        let late = now.saturating_duration_since(due) > interval * 4;
        self.due = Some(if late { now + interval } else { due + interval });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_keeps_its_rate() {
        let mut pace = Pace::new(Some(200.0));
        let start = Instant::now();
        let mut frames = 0;
        while frames < 21 {
            frames += usize::from(pace.wait());
        }
        assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
        assert!(Pace::new(None).wait());
    }
}
