//! GPIO output lines: the alarm, and the heartbeat that shows that inspection runs.
//!
//! They are set in the inspection thread together with the verdict, before anything is upscaled, printed or written. They
//! work with any output pin ([`embedded_hal::digital::OutputPin`]).
//!
//! When the process dies, the kernel closes its lines. Their level then depends on the GPIO driver: most keep it, some make
//! the line an input, so that a resistor decides. An alarm line alone therefore cannot distinguish "no defect" from "no
//! inspection"; the heartbeat can, because it stops.

use super::latch::AlarmLatch;
use super::output_line::{ActiveLevel, OutputLine};
use crate::telemetry::{Cause, Telemetry};
use embedded_hal::digital::OutputPin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An output that follows inspection.
pub trait Signal: Send {
    /// A frame was inspected.
    fn verdict(&mut self, defect: bool, now: Instant);

    /// Called regularly, with or without a verdict.
    fn tick(&mut self, now: Instant);

    /// Another run follows at once, which opens the output again: what must not go off between stays on.
    fn hand_over(&mut self) {}
}

/// The alarm line: on from a defect until `hold` after the last defect, and where it is latched until somebody has acknowledged it.
pub struct AlarmLine<P: OutputPin> {
    line: OutputLine<P>,
    hold: Duration,
    safe: bool,
    /// On until then; `None` before the first defect.
    until: Option<Instant>,
    judged: bool,
    /// A defect leaves it on until that is acknowledged.
    latch: Option<Arc<AlarmLatch>>,
    /// The next run takes it over as it is.
    is_handed_over: bool,
}

impl<P: OutputPin> AlarmLine<P> {
    /// An alarm on `pin`. `safe` is its state before the first verdict and after the end: on or off. With a `latch` a defect leaves it on until
    /// that is acknowledged, and one that a run before left is on at once.
    pub fn new(
        pin: P,
        active: ActiveLevel,
        hold: Duration,
        safe: bool,
        latch: Option<Arc<AlarmLatch>>,
        telemetry: Telemetry,
    ) -> Self {
        let line = OutputLine::new(pin, active, "the alarm", Cause::Alarm, telemetry);
        let mut alarm = AlarmLine { line, hold, safe, until: None, judged: false, latch, is_handed_over: false };
        // Until the run begins: where it does not, the line stays as the run before left it.
        alarm.is_handed_over = alarm.is_latched();
        alarm.line.set_level(safe || alarm.is_handed_over);
        alarm
    }

    fn is_latched(&self) -> bool {
        self.latch.as_ref().is_some_and(|latch| latch.is_set())
    }
}

impl<P: OutputPin + Send> Signal for AlarmLine<P> {
    fn verdict(&mut self, defect: bool, now: Instant) {
        self.judged = true;
        if defect {
            self.until = Some(now + self.hold);
            if let Some(latch) = &self.latch {
                latch.set();
            }
        }
        self.tick(now);
    }

    fn tick(&mut self, now: Instant) {
        self.is_handed_over = false;
        // Before the first verdict only one that a run before left is on, until it is acknowledged.
        let is_held = if self.judged { self.until.is_some_and(|until| now < until) } else { self.safe };
        let is_on = is_held || self.is_latched();
        self.line.set_level(is_on);
    }

    fn hand_over(&mut self) {
        self.is_handed_over = self.is_latched();
    }
}

impl<P: OutputPin> Drop for AlarmLine<P> {
    /// Also if the inspection thread panics: nothing is inspected any more. Only an alarm that nobody has acknowledged stays on for the next run.
    fn drop(&mut self) {
        if !self.is_handed_over {
            self.line.set_level(self.safe);
        }
    }
}

/// The heartbeat line: toggles with every inspected frame. It stops when the camera is missing, a model hangs, the disk blocks
/// inspection or the process is dead.
pub struct HeartbeatLine<P> {
    line: OutputLine<P>,
    on: bool,
}

impl<P: OutputPin> HeartbeatLine<P> {
    /// A heartbeat on `pin`, off until the first verdict.
    pub fn new(pin: P, active: ActiveLevel, telemetry: Telemetry) -> Self {
        let mut line = OutputLine::new(pin, active, "the heartbeat", Cause::Heartbeat, telemetry);
        line.set_level(false);
        HeartbeatLine { line, on: false }
    }
}

impl<P: OutputPin + Send> Signal for HeartbeatLine<P> {
    fn verdict(&mut self, _: bool, _: Instant) {
        self.on = !self.on;
        self.line.set_level(self.on);
    }

    fn tick(&mut self, _: Instant) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::digital::PinState;
    use std::sync::{Arc, Mutex};

    /// Records every level; fails on demand.
    #[derive(Clone, Default)]
    struct MockPin(Arc<Mutex<(Vec<PinState>, bool)>>);

    #[derive(Debug)]
    struct Broken;

    impl embedded_hal::digital::Error for Broken {
        fn kind(&self) -> embedded_hal::digital::ErrorKind {
            embedded_hal::digital::ErrorKind::Other
        }
    }

    impl embedded_hal::digital::ErrorType for MockPin {
        type Error = Broken;
    }

    impl OutputPin for MockPin {
        fn set_low(&mut self) -> Result<(), Broken> {
            self.set_state(PinState::Low)
        }

        fn set_high(&mut self) -> Result<(), Broken> {
            self.set_state(PinState::High)
        }

        fn set_state(&mut self, state: PinState) -> Result<(), Broken> {
            let mut mock = self.0.lock().unwrap();
            if mock.1 {
                return Err(Broken);
            }
            mock.0.push(state);
            Ok(())
        }
    }

    impl MockPin {
        fn levels(&self) -> Vec<PinState> {
            self.0.lock().unwrap().0.clone()
        }

        fn set_broken(&self, broken: bool) {
            self.0.lock().unwrap().1 = broken;
        }
    }

    const HOLD: Duration = Duration::from_millis(500);
    use PinState::{High, Low};

    #[test]
    fn the_alarm_is_on_at_once_and_until_the_hold_time_after_the_last_defect() {
        let (pin, start) = (MockPin::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let mut alarm = AlarmLine::new(pin.clone(), ActiveLevel::High, HOLD, false, None, Telemetry::default());
        assert_eq!(pin.levels(), [Low]);
        alarm.verdict(false, at(0));
        alarm.verdict(true, at(100));
        assert_eq!(pin.levels(), [Low, High]);
        alarm.verdict(false, at(200));
        alarm.verdict(true, at(300));
        alarm.tick(at(799));
        assert_eq!(pin.levels(), [Low, High], "held from the last defect on, and set no more often than it changes");
        // No frame comes any more; time passes all the same.
        alarm.tick(at(800));
        assert_eq!(pin.levels(), [Low, High, Low]);
        alarm.verdict(true, at(900));
        drop(alarm);
        assert_eq!(pin.levels(), [Low, High, Low, High, Low]);
    }

    #[test]
    fn a_latched_alarm_stays_on_until_it_is_acknowledged_and_its_time_is_over() {
        let (pin, start) = (MockPin::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let latch = Arc::<AlarmLatch>::default();
        let of = |latch: &Arc<AlarmLatch>| {
            let latch = Some(Arc::clone(latch));
            AlarmLine::new(pin.clone(), ActiveLevel::High, HOLD, false, latch, Telemetry::default())
        };
        let mut alarm = of(&latch);
        alarm.verdict(false, at(0));
        alarm.verdict(true, at(100));
        (1..100).for_each(|second| alarm.verdict(false, at(1000 * second)));
        assert_eq!(pin.levels(), [Low, High]);
        assert!(latch.acknowledge());
        alarm.tick(at(100_000));
        assert_eq!(pin.levels(), [Low, High, Low]);
        // Acknowledged at once: on for its time all the same.
        alarm.verdict(true, at(200_000));
        assert!(latch.acknowledge());
        alarm.tick(at(200_100));
        assert_eq!(pin.levels(), [Low, High, Low, High]);
        alarm.tick(at(200_500));
        assert_eq!(pin.levels(), [Low, High, Low, High, Low]);
        // At the end it has its level after the end, whoever has not acknowledged it.
        alarm.verdict(true, at(300_000));
        drop(alarm);
        assert_eq!(pin.levels(), [Low, High, Low, High, Low, High, Low]);
    }

    #[test]
    fn a_latched_alarm_does_not_go_off_between_two_runs() {
        let (pin, start) = (MockPin::default(), Instant::now());
        let of = |latch: &Arc<AlarmLatch>| {
            let latch = Some(Arc::clone(latch));
            AlarmLine::new(pin.clone(), ActiveLevel::High, HOLD, false, latch, Telemetry::default())
        };
        let mut alarm = of(&Arc::default());
        alarm.verdict(true, start);
        alarm.hand_over();
        drop(alarm);
        assert_eq!(pin.levels(), [Low, High]);
        // The next run opens it as it is; this one cannot begin.
        let latch = Arc::new(AlarmLatch::new(true));
        drop(of(&latch));
        assert_eq!(pin.levels(), [Low, High, High]);
        // And this one goes on where the one before ended.
        let mut alarm = of(&latch);
        alarm.tick(start + 9 * HOLD);
        assert_eq!(pin.levels(), [Low, High, High, High]);
        assert!(latch.acknowledge());
        alarm.tick(start + 9 * HOLD);
        assert_eq!(pin.levels(), [Low, High, High, High, Low]);
        // One that is only held, as nobody has to acknowledge it any more, goes off with the run.
        alarm.verdict(true, start + 10 * HOLD);
        assert!(latch.acknowledge());
        alarm.hand_over();
        drop(alarm);
        assert_eq!(pin.levels(), [Low, High, High, High, Low, High, Low]);
    }

    #[test]
    fn active_low_inverts_levels_and_safe_may_mean_on() {
        let (pin, now) = (MockPin::default(), Instant::now());
        let mut alarm = AlarmLine::new(pin.clone(), ActiveLevel::Low, HOLD, true, None, Telemetry::default());
        alarm.tick(now + HOLD * 9);
        assert_eq!(pin.levels(), [Low], "on until the first verdict");
        alarm.verdict(false, now);
        assert_eq!(pin.levels(), [Low, High]);
        drop(alarm);
        assert_eq!(pin.levels(), [Low, High, Low]);
    }

    #[test]
    fn a_panic_leaves_the_line_safe() {
        let pin = MockPin::default();
        let mut alarm = AlarmLine::new(pin.clone(), ActiveLevel::High, HOLD, false, None, Telemetry::default());
        let panicked = std::thread::spawn(move || {
            alarm.verdict(true, Instant::now());
            panic!("a fault of this program");
        });
        assert!(panicked.join().is_err());
        assert_eq!(pin.levels(), [Low, High, Low]);
    }

    #[test]
    fn a_pin_that_fails_is_tried_again() {
        let (pin, now) = (MockPin::default(), Instant::now());
        let mut alarm = AlarmLine::new(pin.clone(), ActiveLevel::High, HOLD, false, None, Telemetry::default());
        pin.set_broken(true);
        alarm.verdict(true, now);
        alarm.tick(now);
        assert_eq!(pin.levels(), [Low]);
        pin.set_broken(false);
        alarm.tick(now);
        assert_eq!(pin.levels(), [Low, High]);
    }

    #[test]
    fn the_heartbeat_toggles_with_verdicts_and_only_then() {
        let (pin, now) = (MockPin::default(), Instant::now());
        let mut heartbeat = HeartbeatLine::new(pin.clone(), ActiveLevel::High, Telemetry::default());
        for frame in 0..4 {
            heartbeat.tick(now);
            heartbeat.verdict(frame == 2, now);
        }
        heartbeat.tick(now + HOLD * 9);
        assert_eq!(pin.levels(), [Low, High, Low, High, Low]);
    }
}
