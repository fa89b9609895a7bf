//! Limits the lines of one cause, so that a flood does not push the others out of a log. Each cause may write sixty lines at
//! once, then one a second; what is suppressed is counted, and reported with the next line of the cause that passes.

use std::time::Instant;

/// Lines of one cause that pass at once.
const AT_ONCE: f64 = 60.0;
/// Lines of one cause that pass in a second after that.
const A_SECOND: f64 = 1.0;
/// Causes that are remembered. A new one takes the place of the one whose last line is the oldest, which has had the time to
/// earn its lines back; where all are loud at once, the program has other worries.
const CAUSES: usize = 64;

/// The allowance of each cause. Fixed in size.
pub struct RateLimiter {
    causes: [Option<Allowance>; CAUSES],
}

#[derive(Clone, Copy)]
struct Allowance {
    hash: u64,
    last: Instant,
    lines: f64,
    suppressed: u64,
}

impl Default for RateLimiter {
    fn default() -> RateLimiter {
        RateLimiter::new()
    }
}

impl RateLimiter {
    /// Every cause has its full allowance.
    pub const fn new() -> RateLimiter {
        RateLimiter { causes: [None; CAUSES] }
    }

    /// Whether a line of this cause passes; if it does, how many were suppressed since the last one.
    pub fn pass(&mut self, cause: &str, now: Instant) -> Option<u64> {
        let hash = hash(cause);
        let known = self.causes.iter().position(|slot| slot.is_some_and(|known| known.hash == hash));
        let place = known.or_else(|| (0..CAUSES).min_by_key(|&at| self.causes[at].map(|known| known.last)))?;
        let slot = &mut self.causes[place];
        let fresh = Allowance { hash, last: now, lines: AT_ONCE, suppressed: 0 };
        let cause = match slot {
            Some(cause) if cause.hash == hash => cause,
            other => other.insert(fresh),
        };
        let earned = now.saturating_duration_since(cause.last).as_secs_f64() * A_SECOND;
        cause.lines = (cause.lines + earned).min(AT_ONCE);
        cause.last = now;
        if cause.lines < 1.0 {
            cause.suppressed += 1;
            return None;
        }
        cause.lines -= 1.0;
        Some(std::mem::take(&mut cause.suppressed))
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
        let (mut limiter, start) = (RateLimiter::new(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        let (mut passed, mut suppressed_lines) = (0, 0);
        // A hundred lines a second for a hundred seconds.
        for line in 0..10_000 {
            if let Some(suppressed) = limiter.pass("defect", at(line * 10)) {
                passed += 1;
                suppressed_lines += suppressed;
            }
        }
        assert!((155..=161).contains(&passed), "{passed}");
        let last = limiter.pass("defect", at(101_100)).unwrap();
        assert_eq!(passed + suppressed_lines + last, 10_000);
        // Another cause is not concerned, and silence earns the lines back.
        assert_eq!(limiter.pass("other", at(1000)), Some(0));
        assert!((0..60).all(|_| limiter.pass("defect", at(900_000)) == Some(0)));
        assert_eq!(limiter.pass("defect", at(900_000)), None);
    }

    #[test]
    fn memory_is_fixed_and_the_cause_unheard_for_longest_is_forgotten() {
        let (mut limiter, start) = (RateLimiter::new(), Instant::now());
        for cause in 0..10_000_u64 {
            let now = start + Duration::from_millis(cause);
            assert_eq!(limiter.pass(&cause.to_string(), now), Some(0));
            // One that goes on is never forgotten.
            let loud = limiter.pass("loud", now);
            assert!(cause < 60 || cause % 1000 < 10 || loud.is_none_or(|held| held > 0), "{cause}: {loud:?}");
        }
        assert!(std::mem::size_of::<RateLimiter>() <= 64 * 64);
    }
}
