//! Time stamps of the kernel's monotonic clock, on which frames and edges are dated.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// When a time stamp was, in nanoseconds of the monotonic clock. Now for one that lies ahead.
pub(crate) fn instant_of(nanoseconds: u64) -> Instant {
    let now = Instant::now();
    now.checked_sub(age_of(nanoseconds)).unwrap_or(now)
}

/// How long ago a time stamp was, in nanoseconds of the monotonic clock. Zero for one that lies ahead.
pub(crate) fn age_of(nanoseconds: u64) -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let now = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
    Duration::from_nanos(now.saturating_sub(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_counted_by_the_monotonic_clock() {
        let boot = age_of(0);
        std::thread::sleep(Duration::from_millis(2));
        assert!(age_of(0) >= boot + Duration::from_millis(2));
        assert_eq!(age_of(u64::MAX), Duration::ZERO);
    }
}
