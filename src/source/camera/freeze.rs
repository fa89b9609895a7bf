//! A camera that hangs often sends its last picture for ever. A sensor's noise never repeats, so a picture that stays the
//! same to the last bit is not seen but remembered.

use std::time::{Duration, Instant};

/// Watches for a picture that does not change.
pub struct FreezeDetector {
    after: Duration,
    last: Option<(u64, Instant)>,
    frozen: bool,
}

/// What a frame changed.
#[derive(Debug, PartialEq)]
pub enum FreezeChange {
    /// Nothing.
    Nothing,
    /// The picture has now stayed the same for too long: for this many seconds.
    Froze(f64),
    /// It changes again.
    Moves,
}

impl FreezeDetector {
    /// Tells when a picture stays the same for `after`; zero: never.
    pub fn new(after: Duration) -> FreezeDetector {
        FreezeDetector { after, last: None, frozen: false }
    }

    /// Looks at a frame.
    pub fn frame(&mut self, pixels: &[u8], now: Instant) -> FreezeChange {
        if self.after.is_zero() {
            return FreezeChange::Nothing;
        }
        let sum = checksum(pixels);
        match self.last {
            Some((last, since)) if last == sum => {
                let same_for = now - since;
                if self.frozen || same_for < self.after {
                    return FreezeChange::Nothing;
                }
                self.frozen = true;
                FreezeChange::Froze((same_for.as_secs_f64() * 10.0).round() / 10.0)
            }
            _ => {
                self.last = Some((sum, now));
                if std::mem::take(&mut self.frozen) { FreezeChange::Moves } else { FreezeChange::Nothing }
            }
        }
    }

    /// Begins anew: the camera was restarted.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// Whether the picture is one that has stayed the same for too long.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }
}

/// 64 bits of all pixels. Four sums side by side, so that the additions need not wait for each other.
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
    fn a_frozen_picture_is_told_once_and_its_end_too() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut freeze = FreezeDetector::new(Duration::from_secs(3));
        let told: Vec<FreezeChange> = (0..6).map(|second| freeze.frame(&[1; 64], at(second))).collect();
        assert_eq!(told[3], FreezeChange::Froze(3.0));
        assert!(told.iter().enumerate().all(|(i, told)| i == 3 || *told == FreezeChange::Nothing), "{told:?}");
        assert!(freeze.is_frozen());
        assert_eq!(freeze.frame(&[2; 64], at(6)), FreezeChange::Moves);
        assert!(!freeze.is_frozen());
        let mut never = FreezeDetector::new(Duration::ZERO);
        assert!((0..100).all(|second| never.frame(&[1; 64], at(second)) == FreezeChange::Nothing));
    }
}
