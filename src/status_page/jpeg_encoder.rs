//! Makes the pictures of the live view: one for all viewers, only while somebody looks, on the page's own thread.

use super::focus::focus;
use super::live::{LiveFeed, LiveFrame};
use crate::sink::annotated;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use lineside_picture::Picture;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The quality that a picture gets, and the one of those that would be too large.
const QUALITY: [u8; 2] = [80, 40];
/// After the last wish for a picture, they are made for so long.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// A picture that is ready to be sent.
pub struct EncodedFrame {
    /// Counts up.
    pub number: u64,
    /// JPEG.
    pub jpeg: Vec<u8>,
    /// The mean absolute Laplacian of the frame, in grey levels.
    pub sharpness: f64,
    /// The mean luma of the frame.
    pub brightness: f64,
    made: Instant,
}

/// The newest image, and who waits for it.
#[derive(Default)]
pub struct LatestImage {
    state: Mutex<LatestImageState>,
    new: Condvar,
}

#[derive(Default)]
struct LatestImageState {
    encoded: Option<Arc<EncodedFrame>>,
    looked_at: Option<Instant>,
}

impl LatestImage {
    /// An image with a higher number than `seen`, or `None` where none comes within `patience`.
    pub fn newer(&self, seen: u64, patience: Duration) -> Option<Arc<EncodedFrame>> {
        let mut state = self.lock();
        state.looked_at = Some(Instant::now());
        let is_new = |state: &LatestImageState| state.encoded.as_ref().is_some_and(|encoded| encoded.number > seen);
        let waited = self.new.wait_timeout_while(state, patience, |state| !is_new(state));
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.encoded.clone().filter(|encoded| encoded.number > seen)
    }

    /// The number of the newest image whose frame is younger than `age`, or of those that are too old to be shown: what a
    /// new viewer has "seen".
    pub fn too_old(&self, age: Duration) -> u64 {
        self.lock()
            .encoded
            .as_ref()
            .map_or(0, |encoded| if encoded.made.elapsed() < age { encoded.number - 1 } else { encoded.number })
    }

    /// The newest image, where it is not older than `age`.
    pub fn newest(&self, age: Duration) -> Option<Arc<EncodedFrame>> {
        self.lock().encoded.clone().filter(|encoded| encoded.made.elapsed() < age)
    }

    fn is_looked_at(&self) -> bool {
        self.lock().looked_at.is_some_and(|looked_at| looked_at.elapsed() < LOOKED_AT)
    }

    fn put(&self, encoded: EncodedFrame) {
        self.lock().encoded = Some(Arc::new(encoded));
        self.new.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, LatestImageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Develops frames at a rate that is not exceeded.
pub struct JpegEncoderTask {
    interval: Duration,
    begun: Option<Instant>,
    asked: bool,
    shot: LiveFrame,
    luma: Picture,
    number: u64,
}

impl JpegEncoderTask {
    /// At most `fps` pictures a second, of what `live` is shown.
    pub fn new(fps: f64, live: &LiveFeed) -> JpegEncoderTask {
        let interval = Duration::from_secs_f64(1.0 / fps);
        JpegEncoderTask { interval, begun: None, asked: false, shot: live.spare(), luma: Picture::default(), number: 0 }
    }

    /// Called many times a second: asks for a frame when it is time, and encodes it when it has come.
    pub fn look(&mut self, live: &LiveFeed, latest: &LatestImage) {
        let due = self.begun.is_none_or(|begun| begun.elapsed() >= self.interval);
        if !self.asked && due && latest.is_looked_at() {
            live.want();
            (self.asked, self.begun) = (true, Some(Instant::now()));
        }
        if !self.asked || !live.take(&mut self.shot) {
            return;
        }
        self.asked = false;
        // A frame without pixels, or one that JPEG cannot hold: nothing to show, and the log is not the place to say so
        // many times a second.
        if let Some(jpeg) = self.encode() {
            let (sharpness, brightness) = focus(&self.shot.frame, &mut self.luma);
            self.number += 1;
            latest.put(EncodedFrame { number: self.number, jpeg, sharpness, brightness, made: Instant::now() });
        }
    }

    fn encode(&self) -> Option<Vec<u8>> {
        let picture = annotated(&self.shot.frame, &self.shot.verdict).ok()?;
        let (width, height) = (u16::try_from(picture.width()).ok()?, u16::try_from(picture.height()).ok()?);
        let most = max_bytes(picture.width() * picture.height());
        QUALITY.iter().find_map(|&quality| {
            let mut jpeg = Vec::with_capacity(most / 4);
            let mut encoder = Encoder::new(&mut jpeg, quality);
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.encode(picture.data(), width, height, ColorType::Rgb).ok()?;
            (jpeg.len() <= most).then_some(jpeg)
        })
    }
}

/// No larger JPEG is shown: 8 bits a pixel, four times what a usual one takes.
pub fn max_bytes(pixels: usize) -> usize {
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
    fn nothing_is_made_while_nobody_looks() {
        let (live, latest) = (LiveFeed::new(None), LatestImage::default());
        let mut encoder_task = JpegEncoderTask::new(30.0, &live);
        for _ in 0..3 {
            encoder_task.look(&live, &latest);
            judged(&live, 90);
        }
        encoder_task.look(&live, &latest);
        assert_eq!((encoder_task.number, encoder_task.asked), (0, false));
    }

    #[test]
    fn a_picture_is_made_once_for_all_at_no_higher_rate() {
        let (live, latest) = (LiveFeed::new(None), LatestImage::default());
        let mut encoder_task = JpegEncoderTask::new(0.1, &live);
        assert!(latest.newer(0, Duration::ZERO).is_none(), "but now somebody looks");
        encoder_task.look(&live, &latest);
        judged(&live, 90);
        encoder_task.look(&live, &latest);
        let encoded = latest.newer(0, Duration::ZERO).unwrap();
        assert!(Arc::ptr_eq(&encoded, &latest.newer(0, Duration::ZERO).unwrap()));
        assert!((encoded.brightness - 90.0).abs() < 1.0 && encoded.sharpness == 0.0);
        let mut picture = Picture::default();
        decode_file(&encoded.jpeg, 1 << 20, &mut picture).unwrap();
        assert_eq!((picture.width(), picture.height()), (64, 48));
        for _ in 0..3 {
            encoder_task.look(&live, &latest);
            judged(&live, 10);
        }
        encoder_task.look(&live, &latest);
        assert_eq!(encoder_task.number, 1, "ten seconds have not passed");
    }
}
