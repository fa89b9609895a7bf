//! The time in which a new bundle has to prove itself, on boards whose clock may be wrong.

use crate::board::machine;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The start of 2025: a wall clock before it was never set. Boards without a battery start in 1970, or with the date of their image.
const FIRST_BELIEVABLE: i64 = 1_735_689_600;

/// A moment by both clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock, which may be wrong.
    pub wall: Timestamp,
    /// The id of this boot, where it is known.
    pub boot: Option<String>,
    /// Seconds since this boot, those in standby among them.
    pub uptime_s: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        let uptime_s = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap_or(0);
        Moment { wall: Timestamp::now(), boot: machine().boot, uptime_s }
    }

    fn is_believable(&self) -> bool {
        self.wall.as_second() >= FIRST_BELIEVABLE
    }
}

/// Since when a bundle is on trial, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The wall clock when it began.
    pub since: Timestamp,
    /// The boot in which it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// Seconds from that boot to the beginning.
    pub uptime_s: u64,
    /// Its length in seconds.
    pub within_s: u64,
}

impl Trial {
    /// A trial that begins now.
    pub fn begin(now: &Moment, within_s: u64) -> Trial {
        Trial { since: now.wall, boot: now.boot.clone(), uptime_s: now.uptime_s, within_s }
    }

    /// The seconds that are left. In the boot in which it began, they are counted by the boot's own clock. After another boot they are
    /// counted by the wall clock, if that is believable then and now and has not gone back; else from that boot on, so that a wrong
    /// clock makes a trial longer and never shorter.
    pub fn left_s(&self, now: &Moment) -> u64 {
        let began = Moment { wall: self.since, boot: None, uptime_s: 0 };
        let passed = if self.boot.is_some() && self.boot == now.boot {
            now.uptime_s.saturating_sub(self.uptime_s)
        } else if began.is_believable() && now.is_believable() && now.wall >= self.since {
            u64::try_from(now.wall.as_second() - self.since.as_second()).unwrap_or(0)
        } else {
            now.uptime_s
        };
        self.within_s.saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, boot: &str, uptime_s: u64) -> Moment {
        Moment { wall: Timestamp::from_second(wall).unwrap(), boot: Some(boot.into()), uptime_s }
    }

    const NOW: i64 = 1_796_000_000;

    #[test]
    fn the_same_boot_counts_by_its_own_clock_whatever_the_wall_clock_does() {
        let trial = Trial::begin(&at(0, "a", 100), 1000);
        assert_eq!(trial.left_s(&at(0, "a", 100)), 1000);
        assert_eq!(trial.left_s(&at(NOW, "a", 400)), 700);
        assert_eq!(trial.left_s(&at(-5, "a", 1099)), 1);
        assert_eq!(trial.left_s(&at(0, "a", 5000)), 0);
    }

    #[test]
    fn another_boot_counts_by_the_wall_clock_where_that_is_believable() {
        let trial = Trial::begin(&at(NOW, "a", 100), 1000);
        assert_eq!(trial.left_s(&at(NOW + 600, "b", 10)), 400);
        assert_eq!(trial.left_s(&at(NOW + 2000, "b", 10)), 0);
        // In 1970, or back in time: only this boot counts.
        assert_eq!(trial.left_s(&at(30, "b", 30)), 970);
        assert_eq!(trial.left_s(&at(NOW - 60, "b", 30)), 970);
        let begun_in_1970 = Trial::begin(&at(100, "a", 100), 1000);
        assert_eq!(begun_in_1970.left_s(&at(NOW, "b", 30)), 970);
        // A board that does not know its boots.
        let unknown = |moment: Moment| Moment { boot: None, ..moment };
        let trial = Trial::begin(&unknown(at(NOW, "", 100)), 1000);
        assert_eq!(trial.left_s(&unknown(at(NOW + 1, "", 5))), 999);
    }

    #[test]
    fn now_is_after_the_boot() {
        assert!(Moment::now().uptime_s > 0);
    }
}
