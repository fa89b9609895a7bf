//! Notices that the wall clock was set. A board without a battery starts in the past and jumps once it gets the time from
//! the network; readers of its records should know.

use crate::telemetry::Telemetry;
use std::time::{Duration, Instant};

/// A smaller step is one that a time service makes now and then.
const STEP: f64 = 2.0;
/// How often the two clocks are compared.
const EVERY: Duration = Duration::from_secs(1);

/// The wall clock beside one that is never set.
pub(super) struct ClockWatcher {
    at: Instant,
    wall: jiff::Timestamp,
}

impl ClockWatcher {
    /// As of now.
    pub fn new() -> ClockWatcher {
        ClockWatcher { at: Instant::now(), wall: jiff::Timestamp::now() }
    }

    /// Compares the two once a second, and reports a wall clock that was set.
    pub fn poll(&mut self, telemetry: &Telemetry) {
        let now = Instant::now();
        if now - self.at >= EVERY
            && let Some(step) = self.step(now, jiff::Timestamp::now())
        {
            telemetry.report_once("clock", &describe(step));
        }
    }

    /// By how many seconds the wall clock was set since the last time.
    fn step(&mut self, at: Instant, wall: jiff::Timestamp) -> Option<f64> {
        let step = wall.duration_since(self.wall).as_secs_f64() - (at - self.at).as_secs_f64();
        (self.at, self.wall) = (at, wall);
        (step.abs() >= STEP).then_some(step)
    }
}

fn describe(step: f64) -> String {
    let way = if step > 0.0 { "forward" } else { "back" };
    format!("the clock was set {way} by {:.1} s", step.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_reported_and_the_passing_of_time_is_not() {
        let mut clock = ClockWatcher::new();
        let (at, wall) = (clock.at, clock.wall);
        let after = |seconds: i64, wall_seconds: i64| {
            (at + Duration::from_secs(seconds as u64), wall + jiff::SignedDuration::from_secs(wall_seconds))
        };
        let mut step = |(at, wall)| clock.step(at, wall);
        assert_eq!(step(after(10, 10)), None);
        assert_eq!(step(after(20, 21)), None);
        assert_eq!(describe(step(after(30, 3631)).unwrap()), "the clock was set forward by 3600.0 s");
        assert_eq!(step(after(40, 3641)), None);
        assert_eq!(describe(step(after(50, 51)).unwrap()), "the clock was set back by 3600.0 s");
    }
}
