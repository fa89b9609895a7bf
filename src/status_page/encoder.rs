//! Encodes the live view: one JPEG for all viewers, only while there are viewers, on the page's own thread.

use super::focus::focus;
use super::live::{LiveFeed, LiveFrame};
use crate::sink::annotated;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use lineside_picture::Picture;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// JPEG quality, and the one for frames that would become too large.
const QUALITY: [u8; 2] = [80, 40];
/// Frames are encoded for so long after the last request for one.
const REQUESTED_FOR: Duration = Duration::from_secs(2);

/// A frame of the live view, ready to be sent.
pub struct EncodedFrame {
    /// Counts up from 1.
    pub number: u64,
    /// The JPEG file.
    pub jpeg: Vec<u8>,
    /// The mean absolute Laplacian of the frame, in grey levels.
    pub sharpness: f64,
    /// The mean luma of the frame, in grey levels.
    pub brightness: f64,
    encoded_at: Instant,
}

/// The newest encoded frame; viewers wait for it here.
#[derive(Default)]
pub struct LatestImage {
    state: Mutex<LatestImageState>,
    new: Condvar,
}

#[derive(Default)]
struct LatestImageState {
    frame: Option<Arc<EncodedFrame>>,
    requested_at: Option<Instant>,
}

impl LatestImage {
    /// Waits for a frame with a higher number than `seen`; `None` if none is encoded within `patience`.
    pub fn newer(&self, seen: u64, patience: Duration) -> Option<Arc<EncodedFrame>> {
        let mut state = self.lock();
        state.requested_at = Some(Instant::now());
        let is_new = |state: &LatestImageState| state.frame.as_ref().is_some_and(|frame| frame.number > seen);
        let waited = self.new.wait_timeout_while(state, patience, |state| !is_new(state));
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.frame.clone().filter(|frame| frame.number > seen)
    }

    /// The number to begin with in [`LatestImage::newer`] for a viewer that wants no frame older than `age`.
    pub fn start_after(&self, age: Duration) -> u64 {
        self.lock()
            .frame
            .as_ref()
            .map_or(0, |frame| if frame.encoded_at.elapsed() < age { frame.number - 1 } else { frame.number })
    }

    /// The newest frame, unless it is older than `age`.
    pub fn newest(&self, age: Duration) -> Option<Arc<EncodedFrame>> {
        self.lock().frame.clone().filter(|frame| frame.encoded_at.elapsed() < age)
    }

    fn is_requested(&self) -> bool {
        self.lock().requested_at.is_some_and(|at| at.elapsed() < REQUESTED_FOR)
    }

    fn set(&self, frame: EncodedFrame) {
        self.lock().frame = Some(Arc::new(frame));
        self.new.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, LatestImageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Encodes frames, at no more than a given rate.
pub struct JpegEncoderTask {
    interval: Duration,
    last_request: Option<Instant>,
    waiting: bool,
    frame: LiveFrame,
    luma: Picture,
    number: u64,
}

impl JpegEncoderTask {
    /// At most `fps` frames per second of `live`.
    pub fn new(fps: f64, live: &LiveFeed) -> JpegEncoderTask {
        let interval = Duration::from_secs_f64(1.0 / fps);
        JpegEncoderTask {
            interval,
            last_request: None,
            waiting: false,
            frame: live.new_frame(),
            luma: Picture::default(),
            number: 0,
        }
    }

    /// Called many times per second: requests a frame when it is due, and encodes it when it has arrived.
    pub fn poll(&mut self, live: &LiveFeed, latest: &LatestImage) {
        let due = self.last_request.is_none_or(|at| at.elapsed() >= self.interval);
        if !self.waiting && due && latest.is_requested() {
            live.request();
            (self.waiting, self.last_request) = (true, Some(Instant::now()));
        }
        if !self.waiting || !live.take(&mut self.frame) {
            return;
        }
        self.waiting = false;
        // A frame without pixels, or too large for JPEG, is skipped: it would fill the log many times per second.
        if let Some(jpeg) = self.encode() {
            let (sharpness, brightness) = focus(&self.frame.picture, &mut self.luma);
            self.number += 1;
            latest.set(EncodedFrame { number: self.number, jpeg, sharpness, brightness, encoded_at: Instant::now() });
        }
    }

    fn encode(&self) -> Option<Vec<u8>> {
        let picture = annotated(&self.frame.picture, &self.frame.verdict).ok()?;
        let (width, height) = (u16::try_from(picture.width()).ok()?, u16::try_from(picture.height()).ok()?);
        let most = max_jpeg_bytes(picture.width() * picture.height());
        QUALITY.iter().find_map(|&quality| {
            let mut jpeg = Vec::with_capacity(most / 4);
            let mut encoder = Encoder::new(&mut jpeg, quality);
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.encode(picture.data(), width, height, ColorType::Rgb).ok()?;
            (jpeg.len() <= most).then_some(jpeg)
        })
    }
}

/// The largest JPEG that is sent, in bytes: 8 bits per pixel, four times the usual size.
pub fn max_jpeg_bytes(pixels: usize) -> usize {
    pixels.max(64 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::VerdictObserver;
    use crate::task::anomaly::Verdict;
    use lineside_picture::{Layout, decode_file};

    fn judged(live: &LiveFeed, grey: u8) {
        let mut frame = Picture::new(Layout::Rgb, 64, 48);
        frame.data_mut().fill(grey);
        let verdict = Verdict { heat: Picture::new(Layout::Grey, 8, 6), ..Verdict::default() };
        live.observe(&mut frame, &verdict, Duration::ZERO);
    }

    #[test]
    fn nothing_is_encoded_without_viewers() {
        let (live, latest) = (LiveFeed::new(None), LatestImage::default());
        let mut task = JpegEncoderTask::new(30.0, &live);
        for _ in 0..3 {
            task.poll(&live, &latest);
            judged(&live, 90);
        }
        task.poll(&live, &latest);
        assert_eq!((task.number, task.waiting), (0, false));
    }

    #[test]
    fn a_frame_is_encoded_once_for_all_viewers_and_at_no_higher_rate() {
        let (live, latest) = (LiveFeed::new(None), LatestImage::default());
        let mut task = JpegEncoderTask::new(0.1, &live);
        assert!(latest.newer(0, Duration::ZERO).is_none(), "it was requested");
        task.poll(&live, &latest);
        judged(&live, 90);
        task.poll(&live, &latest);
        let encoded = latest.newer(0, Duration::ZERO).unwrap();
        assert!(Arc::ptr_eq(&encoded, &latest.newer(0, Duration::ZERO).unwrap()));
        assert!((encoded.brightness - 90.0).abs() < 1.0 && encoded.sharpness == 0.0);
        let mut picture = Picture::default();
        decode_file(&encoded.jpeg, 1 << 20, &mut picture).unwrap();
        assert_eq!((picture.width(), picture.height()), (64, 48));
        for _ in 0..3 {
            task.poll(&live, &latest);
            judged(&live, 10);
        }
        task.poll(&live, &latest);
        assert_eq!(task.number, 1, "ten seconds have not passed");
    }
}
