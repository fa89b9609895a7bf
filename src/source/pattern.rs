//! A synthetic line: round parts on a moving belt, some with a dark scratch. Seeded, so that a run can be repeated. It exercises
//! the pipeline without a camera.

use super::frame::{Frame, FrameSource, Next};
use super::pace::Pace;
use lineside_picture::{Layout, Picture};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::fmt::Write;
use std::time::Instant;

/// Pixels that the belt moves from frame to frame.
const STEP: u64 = 12;

/// Draws the line.
pub struct PatternSource {
    width: usize,
    height: usize,
    /// The size that it draws at present: the full size, or a smaller one.
    size: (usize, usize),
    seed: u64,
    defect_every: u64,
    frames: Option<u64>,
    at: u64,
    pace: Pace,
}

impl PatternSource {
    /// Frames of `width` × `height` pixels, `fps` per second or as fast as they are taken. Each `defect_every`th part has a
    /// scratch (0: none). It ends after `frames` frames, or never.
    pub fn new(
        width: usize,
        height: usize,
        seed: u64,
        defect_every: u64,
        fps: Option<f64>,
        frames: Option<u64>,
    ) -> Self {
        PatternSource { width, height, size: (width, height), seed, defect_every, frames, at: 0, pace: Pace::new(fps) }
    }

    fn draw(&self, picture: &mut Picture) {
        picture.reshape(Layout::Rgb, self.size.0, self.size.1);
        let (width, height) = (self.size.0 as i64, self.size.1 as i64);
        let pitch = (height * 5 / 4).max(8);
        let radius = height * 3 / 8;
        let moved = (self.at * STEP) as i64;
        let mut noise = Xoshiro256PlusPlus::seed_from_u64(self.seed ^ self.at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for y in 0..height {
            let mut bits = 0u64;
            for (x, pixel) in picture.row_mut(y as usize).chunks_exact_mut(3).enumerate() {
                if x % 16 == 0 {
                    bits = noise.next_u64();
                }
                let grain = (bits & 7) as i64 - 3;
                bits >>= 4;
                let belt_x = x as i64 + moved;
                let part = belt_x.div_euclid(pitch);
                let (dx, dy) = (belt_x.rem_euclid(pitch) - pitch / 2, y - height / 2);
                let (r, g, b) = self.shade(part, dx, dy, radius, width);
                for (to, level) in pixel.iter_mut().zip([r, g, b]) {
                    *to = (level + grain).clamp(0, 255) as u8;
                }
            }
        }
    }

    /// The colour at `(dx, dy)` from the centre of a part.
    fn shade(&self, part: i64, dx: i64, dy: i64, radius: i64, width: i64) -> (i64, i64, i64) {
        let squared = dx * dx + dy * dy;
        if squared > radius * radius {
            let stripe = if (dx + dy).rem_euclid(16) < 8 { 6 } else { 0 };
            return (52 + stripe, 58 + stripe, 56 + stripe);
        }
        let bore = radius / 3;
        if squared < bore * bore {
            return (30, 32, 34);
        }
        let scratched =
            self.defect_every > 0 && part.rem_euclid(self.defect_every as i64) == self.defect_every as i64 - 1;
        let on_scratch = dx > bore && (dy - dx / 3).abs() <= 1 + width / 320;
        if scratched && on_scratch {
            return (70, 62, 58);
        }
        let shine = (dx - dy) * 40 / radius.max(1);
        (168 + shine, 170 + shine, 174 + shine)
    }
}

impl FrameSource for PatternSource {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.frames == Some(self.at) {
            return Next::Ended;
        }
        if !self.pace.wait() {
            return Next::Pending;
        }
        frame.captured = Instant::now();
        frame.wall = jiff::Timestamp::now();
        frame.name.clear();
        // Writing to a String cannot fail.
        let _ = write!(frame.name, "pattern-{:06}", self.at);
        self.draw(&mut frame.picture);
        self.at += 1;
        Next::Frame
    }

    fn resize(&mut self, size: Option<(usize, usize)>) {
        self.size = size.unwrap_or((self.width, self.height));
    }

    fn is_live(&self) -> bool {
        self.pace.is_live()
    }

    fn max_pixels(&self) -> usize {
        self.width * self.height
    }

    fn frame_size(&self) -> Option<(usize, usize)> {
        Some((self.width, self.height))
    }

    fn describe(&self) -> String {
        format!("pattern {}x{} seed {}", self.width, self.height, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(seed: u64, count: u64) -> Vec<Vec<u8>> {
        let mut source = PatternSource::new(64, 48, seed, 2, None, Some(count));
        let mut frame = Frame::default();
        let mut all = Vec::new();
        while source.next(&mut frame) == Next::Frame {
            all.push(frame.picture.data().to_vec());
        }
        all
    }

    #[test]
    fn the_same_seed_gives_the_same_moving_line() {
        let once = frames(7, 3);
        assert_eq!(once.len(), 3);
        assert_eq!(once, frames(7, 3));
        assert_ne!(once, frames(8, 3));
        assert_ne!(once[0], once[1]);
    }

    #[test]
    fn it_draws_smaller_frames_when_asked_to_and_its_own_size_again() {
        let mut source = PatternSource::new(64, 48, 7, 2, None, None);
        let mut frame = Frame::default();
        for (asked, size) in [(None, (64, 48)), (Some((32, 24)), (32, 24)), (None, (64, 48))] {
            source.resize(asked);
            assert_eq!(source.next(&mut frame), Next::Frame);
            assert_eq!((frame.picture.width(), frame.picture.height()), size);
            assert_eq!(source.frame_size(), Some((64, 48)), "what buffers are made for");
        }
    }
}
