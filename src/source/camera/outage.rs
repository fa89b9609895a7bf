//! The time in which a camera gives no frames: how long to wait between tries, and what was told already.

use super::error::CameraError;
use crate::telemetry::{Cause, Telemetry};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// An outage, or none. Its first fault is told, and each that is of another kind.
#[derive(Debug, Default)]
pub struct Outage {
    tries: u32,
    on: bool,
    told: u16,
}

impl Outage {
    /// Notes a failed try and tells the fault, if it is new; gives the time to wait: 0.2 s, then twice as long each
    /// time, up to 5 s.
    pub fn failed(&mut self, fault: &CameraError, telemetry: &Telemetry) -> Duration {
        self.on = true;
        let bit = 1 << fault.kind as u16;
        if self.told != 0 && self.told & bit == 0 {
            telemetry.fail_with_new_reason(Cause::Camera, &fault.text);
        } else {
            telemetry.fail(Cause::Camera, &fault.text);
        }
        self.told |= bit;
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
        self.on
    }

    /// The camera is there again: the next wait is a short one.
    pub fn retry_now(&mut self) {
        self.tries = 0;
    }

    /// Frames come again. Until [`Outage::forget`] the next outage goes on with this one's waiting times, so that a camera
    /// which fails at once after each start is not hurried.
    pub fn ended(&mut self, telemetry: &Telemetry) {
        self.told = 0;
        self.on = false;
        telemetry.resolve(Cause::Camera);
    }

    /// The camera is well.
    pub fn forget(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::CameraErrorKind;
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_begin_anew_once_it_is_well() {
        let mut outage = Outage::default();
        let fault = CameraError::new(CameraErrorKind::Busy, "cam", "x");
        let waits: Vec<u128> = (0..7).map(|_| outage.failed(&fault, &Telemetry::default()).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        outage.ended(&Telemetry::default());
        assert!(!outage.is_on());
        assert_eq!(outage.failed(&fault, &Telemetry::default()).as_millis(), 5000);
        outage.forget();
        assert_eq!(outage.failed(&fault, &Telemetry::default()).as_millis(), 200);
        for _ in 0..100 {
            outage.failed(&fault, &Telemetry::default());
        }
        assert_eq!(outage.failed(&fault, &Telemetry::default()).as_millis(), 5000);
    }
}
