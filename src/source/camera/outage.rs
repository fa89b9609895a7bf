//! An outage of a camera: how long to wait between tries, and which errors have been reported.

use super::error::CameraError;
use crate::telemetry::{Cause, Telemetry};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);

/// The present outage, if any. Its first error is reported, and each of another kind.
#[derive(Debug, Default)]
pub struct Outage {
    tries: u32,
    active: bool,
    reported: u16,
}

impl Outage {
    /// Notes a failed try and reports the error, if its kind is new. Returns the time to wait: 0.2 s, then twice as long each
    /// time, up to 5 s.
    pub fn failed(&mut self, error: &CameraError, telemetry: &Telemetry) -> Duration {
        self.active = true;
        let bit = 1 << error.kind as u16;
        if self.reported != 0 && self.reported & bit == 0 {
            telemetry.fail_with_new_reason(Cause::Camera, &error.text);
        } else {
            telemetry.fail(Cause::Camera, &error.text);
        }
        self.reported |= bit;
        let wait = SHORTEST * 2_u32.pow(self.tries.min(10));
        self.tries = self.tries.saturating_add(1);
        wait.min(LONGEST)
    }

    /// Failed tries in a row.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether there is an outage.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The camera is plugged in again: the next wait is short.
    pub fn retry_now(&mut self) {
        self.tries = 0;
    }

    /// Frames come again. Until [`Outage::recovered`] the next outage continues with the waits of this one, so that a camera
    /// that fails after each start is not reopened in a tight loop.
    pub fn ended(&mut self, telemetry: &Telemetry) {
        self.reported = 0;
        self.active = false;
        telemetry.resolve(Cause::Camera);
    }

    /// The camera has recovered.
    pub fn recovered(&mut self) {
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
        assert!(!outage.is_active());
        assert_eq!(outage.failed(&fault, &Telemetry::default()).as_millis(), 5000);
        outage.recovered();
        assert_eq!(outage.failed(&fault, &Telemetry::default()).as_millis(), 200);
        for _ in 0..100 {
            outage.failed(&fault, &Telemetry::default());
        }
        assert_eq!(outage.failed(&fault, &Telemetry::default()).as_millis(), 5000);
    }
}
