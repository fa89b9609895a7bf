//! The time in which a camera gives no frames: how long to wait between tries, and what was told already.

use super::fault::Fault;
use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// An outage, or none. A fault is told once for each kind that an outage brings.
#[derive(Debug, Default)]
pub struct Outage {
    tries: u32,
    since: Option<Instant>,
    told: u16,
}

impl Outage {
    /// Notes a failed try and tells the fault, if it is new; gives the time to wait: 0.2 s, then twice as long each
    /// time, up to 5 s.
    pub fn failed(&mut self, fault: &Fault, now: Instant) -> Duration {
        self.since.get_or_insert(now);
        let bit = 1 << fault.kind as u16;
        if self.told & bit == 0 {
            self.told |= bit;
            log::warn!(reason = fault.text.as_str(); "camera_lost");
        }
        let wait = SHORTEST * 2_u32.pow(self.tries.min(10));
        self.tries = self.tries.saturating_add(1);
        wait.min(LONGEST)
    }

    /// Failed tries in a row.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// The camera is there again: the next wait is a short one.
    pub fn hasten(&mut self) {
        self.tries = 0;
    }

    /// Frames come again; gives how long they did not. Until [`Outage::forget`] the next outage goes on with this one's
    /// waiting times, so that a camera which fails at once after each start is not hurried.
    pub fn ended(&mut self, now: Instant) -> Option<Duration> {
        self.told = 0;
        self.since.take().map(|since| now - since)
    }

    /// The camera is well.
    pub fn forget(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Kind;
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_begin_anew_once_it_is_well() {
        let (mut outage, now) = (Outage::default(), Instant::now());
        let fault = Fault::new(Kind::Busy, "cam", "x");
        let waits: Vec<u128> = (0..7).map(|_| outage.failed(&fault, now).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(outage.ended(now + Duration::from_secs(9)), Some(Duration::from_secs(9)));
        assert_eq!(outage.failed(&fault, now).as_millis(), 5000);
        outage.forget();
        assert_eq!(outage.failed(&fault, now).as_millis(), 200);
        for _ in 0..100 {
            outage.failed(&fault, now);
        }
        assert_eq!(outage.failed(&fault, now).as_millis(), 5000);
    }
}
