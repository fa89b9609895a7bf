//! Detects a frozen camera. A camera that hangs often repeats its last picture for ever, while the noise of a sensor never
//! repeats: a picture that stays bit-identical is not a new one.

use std::time::{Duration, Instant};

/// Detects a picture that does not change.
pub struct FreezeDetector {
    after: Duration,
    last: Option<(u64, Instant)>,
    frozen: bool,
}

/// What a frame changes.
#[derive(Debug, PartialEq)]
pub enum FreezeChange {
    /// Nothing.
    None,
    /// The picture has stayed the same for too long: for this many seconds.
    Froze(f64),
    /// The picture changes again.
    Resumed,
}

impl FreezeDetector {
    /// Reports a picture that stays the same for `after`; zero: never.
    pub fn new(after: Duration) -> FreezeDetector {
        FreezeDetector { after, last: None, frozen: false }
    }

    /// Examines the pixels of a frame that arrived at `now`.
    pub fn frame(&mut self, pixels: &[u8], now: Instant) -> FreezeChange {
        if self.after.is_zero() {
            return FreezeChange::None;
        }
        let sum = checksum(pixels);
        match self.last {
            Some((last, since)) if last == sum => {
                let same_for = now - since;
                if self.frozen || same_for < self.after {
                    return FreezeChange::None;
                }
                self.frozen = true;
                FreezeChange::Froze((same_for.as_secs_f64() * 10.0).round() / 10.0)
            }
            _ => {
                self.last = Some((sum, now));
                if std::mem::take(&mut self.frozen) { FreezeChange::Resumed } else { FreezeChange::None }
            }
        }
    }

    /// Starts over: the camera was restarted.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// Whether the picture is one that has stayed the same for too long.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }
}

/// A 64-bit checksum of all pixels. Four independent sums, so that the CPU computes them in parallel.
fn checksum(pixels: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut sums = [1_u64, 2, 3, 4];
    let mut blocks = pixels.chunks_exact(32);
    for block in blocks.by_ref() {
        for (sum, word) in sums.iter_mut().zip(block.as_chunks::<8>().0) {
            *sum = (sum.rotate_left(29) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD);
        }
    }
    let rest =
        blocks.remainder().iter().fold(pixels.len() as u64, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(ODD));
    sums.iter().fold(rest, |all, &sum| (all.rotate_left(31) ^ sum).wrapping_mul(ODD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_is_another_picture() {
        let pixels: Vec<u8> = (0..1000_u32).map(|i| (i * 7) as u8).collect();
        let whole = checksum(&pixels);
        for at in [0, 7, 8, 31, 32, 500, 991, 992, 999] {
            let mut other = pixels.clone();
            other[at] ^= 1;
            assert_ne!(checksum(&other), whole, "{at}");
        }
        assert_ne!(checksum(&pixels[..999]), whole);
    }

    #[test]
    fn a_frozen_picture_is_reported_once_and_so_is_its_end() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut freeze = FreezeDetector::new(Duration::from_secs(3));
        let changes: Vec<FreezeChange> = (0..6).map(|second| freeze.frame(&[1; 64], at(second))).collect();
        assert_eq!(changes[3], FreezeChange::Froze(3.0));
        assert!(changes.iter().enumerate().all(|(i, change)| i == 3 || *change == FreezeChange::None), "{changes:?}");
        assert!(freeze.is_frozen());
        assert_eq!(freeze.frame(&[2; 64], at(6)), FreezeChange::Resumed);
        assert!(!freeze.is_frozen());
        let mut never = FreezeDetector::new(Duration::ZERO);
        assert!((0..100).all(|second| never.frame(&[1; 64], at(second)) == FreezeChange::None));
    }
}
