//! All times that the watchdog depends on, from one constant.
//!
//! The manager ends and restarts a service that has not said for [`WATCHDOG`] that it gets on. It says so only while all of
//! its threads do, so the longest that a healthy thread may take for one round must stay far below that.

use std::time::Duration;

/// The longest that a thread waits for anything before it looks around.
pub const BEAT: Duration = Duration::from_millis(100);

/// `WatchdogSec` of the unit.
pub const WATCHDOG: Duration = Duration::from_millis(100 * BEAT.as_millis() as u64);

/// How often the manager is told at most that the service gets on.
pub const FEED: Duration = Duration::from_millis(10 * BEAT.as_millis() as u64);

/// How often the status text is renewed.
pub const STATUS: Duration = Duration::from_millis(20 * BEAT.as_millis() as u64);

/// How often the board's temperature is read.
pub const HEAT: Duration = Duration::from_millis(10 * BEAT.as_millis() as u64);

/// Without a whole frame for so long a camera counts as silent: with a call's wait, it is told within two seconds.
pub const SILENT_SOURCE: Duration = Duration::from_millis(17 * BEAT.as_millis() as u64);

/// The longest that a frame may take to be inspected, enlarged and handed on; what takes longer is stuck.
pub const INSPECTION: Duration = Duration::from_millis(15 * BEAT.as_millis() as u64);

/// The longest that a stop waits for the broker to take what it has not yet.
pub const FLUSH: Duration = Duration::from_millis(5 * BEAT.as_millis() as u64);

/// After a signal to stop, all that was judged is written and the process is gone.
pub const STOP: Duration = Duration::from_millis(20 * BEAT.as_millis() as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_healthy_round_may_take_is_less_than_half_of_the_watchdog() {
        // One after the other, in the worst case: the source is silent, the frame then takes its longest, the main
        // thread looks, and the manager was told just before.
        let longest = SILENT_SOURCE + INSPECTION + BEAT + FEED;
        assert!(longest < WATCHDOG / 2, "{longest:?} of {WATCHDOG:?}");
        assert!(STOP < WATCHDOG && FEED < WATCHDOG / 4);
    }
}
