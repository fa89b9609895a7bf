//! All timeouts that the watchdog depends on, derived from one constant.
//!
//! The service manager restarts a service that has not fed its watchdog for [`WATCHDOG`]. The service feeds it only while all of
//! its threads make progress, so the longest round of a healthy thread must stay far below that.

use std::time::Duration;

/// The longest that a thread waits for anything before it checks for a stop and reports progress.
pub const BEAT: Duration = Duration::from_millis(100);

/// `WatchdogSec` of the unit.
pub const WATCHDOG: Duration = Duration::from_millis(100 * BEAT.as_millis() as u64);

/// Minimum interval between watchdog notifications.
pub const FEED: Duration = Duration::from_millis(10 * BEAT.as_millis() as u64);

/// Interval between updates of the status text.
pub const STATUS: Duration = Duration::from_millis(20 * BEAT.as_millis() as u64);

/// Interval between readings of the board's temperature.
pub const HEAT: Duration = Duration::from_millis(10 * BEAT.as_millis() as u64);

/// The longest that a reload may load models before the watchdog is fed no longer: what hangs, as a share that is away, must not
/// keep a line down for ever.
pub const LOADING: Duration = Duration::from_millis(3000 * BEAT.as_millis() as u64);

/// A camera that delivers no whole frame for this long counts as silent; with a call's wait, that is reported within two seconds.
pub const SILENT_SOURCE: Duration = Duration::from_millis(17 * BEAT.as_millis() as u64);

/// The longest that a program which delivers frames may take for the first one: to open a camera, or to learn of a stream what
/// it is.
pub const FIRST_FRAME: Duration = Duration::from_millis(100 * BEAT.as_millis() as u64);

/// The longest that a stream over a network may stall.
pub const SILENT_STREAM: Duration = Duration::from_millis(50 * BEAT.as_millis() as u64);

/// The longest that a child process may take to end once it was asked to; then it is killed.
pub const CHILD_END: Duration = Duration::from_millis(4 * BEAT.as_millis() as u64);

/// The longest time for a frame to be inspected, enlarged and handed on; what takes longer is stuck.
pub const INSPECTION: Duration = Duration::from_millis(15 * BEAT.as_millis() as u64);

/// The longest that a stop waits for the broker to accept what is queued.
pub const FLUSH: Duration = Duration::from_millis(5 * BEAT.as_millis() as u64);

/// A writer that does nothing for this long while the run is to stop hangs, and is not waited for.
pub const HANGING_WRITER: Duration = Duration::from_millis(8 * BEAT.as_millis() as u64);

/// The longest that a stop waits for a terminal, or whoever reads the output, to take what was printed last.
pub const LAST_LINES: Duration = BEAT;

/// The longest that a stop takes to show the last results of parts on the lines.
pub const LAST_RESULTS: Duration = BEAT;

/// The time from a signal to stop until every verdict is written and the process has ended.
pub const STOP: Duration = Duration::from_millis(20 * BEAT.as_millis() as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_healthy_round_may_take_is_less_than_half_of_the_watchdog() {
        // One after the other, in the worst case: the source is silent, the frame then takes its longest, the main
        // thread polls, and the watchdog was fed just before.
        let longest = SILENT_SOURCE + INSPECTION + BEAT + FEED;
        assert!(longest < WATCHDOG / 2, "{longest:?} of {WATCHDOG:?}");
        assert!(STOP < WATCHDOG && FEED < WATCHDOG / 4);
        // A disk, a broker, stdout and stderr may hang at once.
        assert!(HANGING_WRITER + LAST_RESULTS + FLUSH + 3 * LAST_LINES + 2 * BEAT < STOP);
        // The child of a source ends while the writer ends.
        assert!(CHILD_END < HANGING_WRITER);
    }
}
