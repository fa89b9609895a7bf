//! Buffers on their way between the thread that reads a program's frames and the source: a fixed number, made at the start. Where
//! none is free, the oldest frame that waits is dropped for the newest.

use crate::source::camera::CameraError;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A frame as it came.
pub(super) struct StreamFrame {
    pub(super) bytes: Vec<u8>,
    /// When its last byte came.
    pub(super) at: Instant,
}

/// Between the reader and the source.
#[derive(Default)]
pub(super) struct FrameExchange {
    state: Mutex<Waiting>,
    changed: Condvar,
    /// Bytes of the frame that is coming.
    begun: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    free: Vec<Vec<u8>>,
    /// The oldest first.
    frames: VecDeque<StreamFrame>,
    dropped: u64,
    /// Why there will be no more.
    end: Option<CameraError>,
}

impl FrameExchange {
    /// With these buffers, all of them empty.
    pub(super) fn new(buffers: Vec<Vec<u8>>) -> FrameExchange {
        let frames = VecDeque::with_capacity(buffers.len());
        FrameExchange {
            state: Mutex::new(Waiting { free: buffers, frames, ..Waiting::default() }),
            changed: Condvar::new(),
            begun: AtomicUsize::new(0),
        }
    }

    /// So many bytes of the next frame have come.
    pub(super) fn set_begun(&self, bytes: usize) {
        self.begun.store(bytes, Relaxed);
    }

    /// Bytes of the frame that is coming.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty buffer for the next frame.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut state = self.lock();
        let oldest = |state: &mut Waiting| {
            let frame = state.frames.pop_front()?;
            state.dropped += 1;
            Some(frame.bytes)
        };
        let mut buffer = state.free.pop().or_else(|| oldest(&mut state)).unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// A frame has come.
    pub(super) fn put(&self, bytes: Vec<u8>) {
        self.lock().frames.push_back(StreamFrame { bytes, at: Instant::now() });
        self.changed.notify_one();
    }

    /// There will be no more frames.
    pub(super) fn end(&self, error: CameraError) {
        self.lock().end.get_or_insert(error);
        self.changed.notify_one();
    }

    /// Waits for a frame; false where none came in time.
    ///
    /// # Errors
    /// Why there will be no more.
    pub(super) fn wait(&self, time: Duration) -> Result<bool, CameraError> {
        let goes_on = |state: &mut Waiting| state.frames.is_empty() && state.end.is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), time, goes_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &state.end {
            Some(error) if state.frames.is_empty() => Err(error.clone()),
            _ => Ok(!state.frames.is_empty()),
        }
    }

    /// The oldest frame.
    pub(super) fn take(&self) -> Option<StreamFrame> {
        self.lock().frames.pop_front()
    }

    /// A buffer is no longer in use.
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        self.lock().free.push(buffer);
    }

    /// Frames that were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// All buffers that are here.
    pub(super) fn buffers(&self) -> Vec<Vec<u8>> {
        let mut state = self.lock();
        let frames: Vec<Vec<u8>> = state.frames.drain(..).map(|frame| frame.bytes).collect();
        state.free.drain(..).chain(frames).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::camera::CameraErrorKind;

    #[test]
    fn the_newest_frames_win_in_a_fixed_number_of_buffers() {
        let exchange = FrameExchange::new((0..3).map(|_| Vec::with_capacity(8)).collect());
        let blocks: Vec<*const u8> = exchange.lock().free.iter().map(|buffer| buffer.as_ptr()).collect();
        for number in 0..10_u8 {
            let mut buffer = exchange.buffer();
            assert!(buffer.is_empty() && blocks.contains(&buffer.as_ptr()));
            buffer.push(number);
            exchange.put(buffer);
        }
        assert_eq!(exchange.take_dropped(), 7);
        assert_eq!(exchange.take_dropped(), 0);
        let end = CameraError::new(CameraErrorKind::Ended, "cam", "over");
        exchange.end(end.clone());
        exchange.end(CameraError::new(CameraErrorKind::Silent, "cam", "later"));
        for number in 7..10 {
            // What came before the end is not lost.
            assert_eq!(exchange.wait(Duration::ZERO), Ok(true));
            let frame = exchange.take().unwrap();
            assert_eq!(frame.bytes, [number]);
            exchange.give_back(frame.bytes);
        }
        assert_eq!(exchange.wait(Duration::MAX), Err(end));
        assert_eq!(exchange.buffers().len(), 3);
    }
}
