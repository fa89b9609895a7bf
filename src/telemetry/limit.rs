//! A flood of lines of one cause must not push the others out of a log. Each cause may tell sixty lines at once, then one a
//! second; what is held back is counted and told with the next line of the cause that passes.

use std::time::Instant;

/// Lines of one cause that pass at once.
const AT_ONCE: f64 = 60.0;
/// Lines of one cause that pass in a second after that.
const A_SECOND: f64 = 1.0;
/// Causes that are remembered. A new one takes the place of the one that was heard longest ago, which has had the time to
/// earn its lines back; where all are loud at once, the program has other worries.
const CAUSES: usize = 64;

/// What the lines of each cause may still do. Fixed in size.
pub struct Limiter {
    causes: [Option<Cause>; CAUSES],
}

#[derive(Clone, Copy)]
struct Cause {
    hash: u64,
    heard: Instant,
    lines: f64,
    held_back: u64,
}

impl Limiter {
    /// Nothing heard yet.
    pub const fn new() -> Limiter {
        Limiter { causes: [None; CAUSES] }
    }

    /// Whether a line of this cause passes; if it does, how many were held back since the last one.
    pub fn pass(&mut self, cause: &str, now: Instant) -> Option<u64> {
        let hash = hash(cause);
        let known = self.causes.iter().position(|slot| slot.is_some_and(|known| known.hash == hash));
        let place = known.or_else(|| (0..CAUSES).min_by_key(|&at| self.causes[at].map(|known| known.heard)))?;
        let slot = &mut self.causes[place];
        let fresh = Cause { hash, heard: now, lines: AT_ONCE, held_back: 0 };
        let cause = match slot {
            Some(cause) if cause.hash == hash => cause,
            other => other.insert(fresh),
        };
        let earned = now.saturating_duration_since(cause.heard).as_secs_f64() * A_SECOND;
        cause.lines = (cause.lines + earned).min(AT_ONCE);
        cause.heard = now;
        if cause.lines < 1.0 {
            cause.held_back += 1;
            return None;
        }
        cause.lines -= 1.0;
        Some(std::mem::take(&mut cause.held_back))
    }
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_cut_to_a_line_a_second_and_what_is_missing_is_counted() {
        let (mut limiter, start) = (Limiter::new(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        let (mut passed, mut told) = (0, 0);
        // A hundred lines a second for a hundred seconds.
        for line in 0..10_000 {
            if let Some(held_back) = limiter.pass("defect", at(line * 10)) {
                passed += 1;
                told += held_back;
            }
        }
        assert!((155..=161).contains(&passed), "{passed}");
        let last = limiter.pass("defect", at(101_100)).unwrap();
        assert_eq!(passed + told + last, 10_000);
        // Another cause is not concerned, and silence earns the lines back.
        assert_eq!(limiter.pass("other", at(1000)), Some(0));
        assert!((0..60).all(|_| limiter.pass("defect", at(900_000)) == Some(0)));
        assert_eq!(limiter.pass("defect", at(900_000)), None);
    }

    #[test]
    fn memory_is_fixed_and_the_cause_unheard_for_longest_is_forgotten() {
        let (mut limiter, start) = (Limiter::new(), Instant::now());
        for cause in 0..10_000_u64 {
            let now = start + Duration::from_millis(cause);
            assert_eq!(limiter.pass(&cause.to_string(), now), Some(0));
            // One that goes on is never forgotten.
            let loud = limiter.pass("loud", now);
            assert!(cause < 60 || cause % 1000 < 10 || loud.is_none_or(|held| held > 0), "{cause}: {loud:?}");
        }
        assert!(std::mem::size_of::<Limiter>() <= 64 * 64);
    }
}
