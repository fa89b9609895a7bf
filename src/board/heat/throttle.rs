//! When to reduce the load of a hot board: one step more after the board was too hot for a while, one step less after it was cool
//! for a longer while.

use super::Reading;
use std::time::{Duration, Instant};

/// A sensor without a temperature for this long counts as gone.
const GONE: Duration = Duration::from_secs(5);

/// Ways to reduce the load, in this order. A step stays active while later ones are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DegradeStep {
    /// Fewer frames are inspected.
    Rate = 1,
    /// Only frames with defects are enlarged.
    Spots = 2,
    /// The camera delivers smaller frames.
    Size = 3,
}

/// When a step begins and ends.
#[derive(Debug, Clone, Copy)]
pub struct ThrottleLimits {
    /// Too hot from this temperature on, in °C.
    pub limit: f64,
    /// Cool from this many degrees below the limit on.
    pub hysteresis: f64,
    /// One step more after the board was too hot for this long without interruption.
    pub degrade_after: Duration,
    /// One step less after the board was cool for this long without interruption.
    pub recover_after: Duration,
}

/// The throttle policy of one line.
#[derive(Debug)]
pub struct ThrottlePolicy {
    limits: ThrottleLimits,
    steps: Vec<DegradeStep>,
    /// How many of them are active.
    active: usize,
    measured: Option<(Measured, Instant)>,
    /// Whether it was reported that the board is too hot and no step is left.
    reported: bool,
    /// Whether there has been a temperature, or bits.
    known: bool,
    /// Whether it was reported that there are none any more.
    gone: bool,
}

/// A change of the active steps, or of what is known about the temperature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleChange {
    /// Whether it is a change for the worse.
    pub worse: bool,
    /// The reason, in one line.
    pub cause: String,
}

/// What the sensors report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    Hot,
    Warm,
    Cool,
    Nothing,
}

impl DegradeStep {
    /// Its word in records.
    pub fn name(self) -> &'static str {
        match self {
            DegradeStep::Rate => "rate",
            DegradeStep::Spots => "spots",
            DegradeStep::Size => "size",
        }
    }
}

impl ThrottlePolicy {
    /// A policy with these steps; without any, heat is only reported.
    pub fn new(limits: ThrottleLimits, mut steps: Vec<DegradeStep>) -> ThrottlePolicy {
        steps.sort();
        ThrottlePolicy { limits, steps, active: 0, measured: None, reported: false, known: false, gone: false }
    }

    /// The active steps.
    pub fn active_steps(&self) -> &[DegradeStep] {
        &self.steps[..self.active]
    }

    /// The number of the last active step, 0 where none is.
    pub fn level(&self) -> u8 {
        self.active_steps().last().map_or(0, |step| *step as u8)
    }

    /// The name of the last active step.
    pub fn level_name(&self) -> &'static str {
        self.active_steps().last().map_or("none", |step| step.name())
    }

    /// Takes a reading of the sensors at a time into account.
    pub fn update(&mut self, reading: &Reading, now: Instant) -> Option<ThrottleChange> {
        let measured = self.classify(reading);
        let since = match self.measured {
            Some((before, since)) if before == measured => since,
            _ => now,
        };
        self.measured = Some((measured, since));
        let time = now.saturating_duration_since(since);
        self.known |= measured != Measured::Nothing;
        if measured != Measured::Nothing && std::mem::take(&mut self.gone) {
            return Some(ThrottleChange { worse: false, cause: "the temperature can be read again".into() });
        }
        match measured {
            Measured::Hot if time >= self.limits.degrade_after => {
                self.measured = Some((measured, now));
                self.degrade(reading)
            }
            Measured::Cool if time >= self.limits.recover_after => {
                self.measured = Some((measured, now));
                self.recover(reading)
            }
            Measured::Nothing if time >= GONE && self.known && !self.gone => {
                self.gone = true;
                Some(ThrottleChange {
                    worse: true,
                    cause: "the temperature cannot be read any more; the active steps stay".into(),
                })
            }
            _ => None,
        }
    }

    fn cool(&self) -> f64 {
        self.limits.limit - self.limits.hysteresis
    }

    /// A processor that is slowed down while it is cool is slowed down for another reason: a Raspberry Pi 3B+ has a soft limit of
    /// 60 °C.
    fn classify(&self, reading: &Reading) -> Measured {
        match (reading.temperature, reading.throttled) {
            (Some(temperature), _) if temperature >= self.limits.limit => Measured::Hot,
            (Some(temperature), _) if temperature <= self.cool() => Measured::Cool,
            (Some(_), _) if reading.is_slowed() => Measured::Hot,
            (Some(_), _) => Measured::Warm,
            (None, Some(_)) if reading.is_slowed() => Measured::Hot,
            (None, Some(_)) => Measured::Cool,
            (None, None) => Measured::Nothing,
        }
    }

    fn degrade(&mut self, reading: &Reading) -> Option<ThrottleChange> {
        let ThrottleLimits { limit, degrade_after, .. } = self.limits;
        let seconds = degrade_after.as_secs_f64();
        let cause = if reading.temperature.is_some_and(|temperature| temperature >= limit) {
            format!("{limit} °C or more for {seconds} s")
        } else {
            format!("the firmware has slowed the processor down for {seconds} s")
        };
        if self.active < self.steps.len() {
            self.active += 1;
            return Some(ThrottleChange { worse: true, cause });
        }
        let off = self.steps.is_empty();
        let end = if off { "the load is not reduced: heat.degrade is off" } else { "no step is left" };
        (!std::mem::replace(&mut self.reported, true))
            .then(|| ThrottleChange { worse: true, cause: format!("{cause}; {end}") })
    }

    fn recover(&mut self, reading: &Reading) -> Option<ThrottleChange> {
        let was_reported = std::mem::take(&mut self.reported);
        let is_active = self.active > 0;
        self.active -= usize::from(is_active);
        let seconds = self.limits.recover_after.as_secs_f64();
        let cause = match reading.temperature {
            Some(_) => format!("{} °C or less for {seconds} s", self.cool()),
            None => format!("the firmware has not slowed the processor down for {seconds} s"),
        };
        (is_active || was_reported).then_some(ThrottleChange { worse: false, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ThrottleLimits = ThrottleLimits {
        limit: 75.0,
        hysteresis: 5.0,
        degrade_after: Duration::from_secs(10),
        recover_after: Duration::from_secs(60),
    };

    /// A policy, a clock that advances by a second with each reading, and what was reported.
    struct Scene {
        policy: ThrottlePolicy,
        now: Instant,
        reported: Vec<String>,
    }

    impl Scene {
        fn new(steps: &[DegradeStep]) -> Scene {
            Scene { policy: ThrottlePolicy::new(LIMITS, steps.to_vec()), now: Instant::now(), reported: Vec::new() }
        }

        fn measures(&mut self, seconds: u64, reading: Reading) -> u8 {
            for _ in 0..seconds {
                if let Some(step) = self.policy.update(&reading, self.now) {
                    let sign = if step.worse { '+' } else { '-' };
                    self.reported.push(format!("{sign}{} {}", self.policy.level(), step.cause));
                }
                self.now += Duration::from_secs(1);
            }
            self.policy.level()
        }

        fn is(&mut self, seconds: u64, temperature: f64) -> u8 {
            self.measures(seconds, Reading { temperature: Some(temperature), ..Reading::default() })
        }

        fn reported(&mut self) -> Vec<String> {
            std::mem::take(&mut self.reported)
        }
    }

    const ALL: [DegradeStep; 3] = [DegradeStep::Rate, DegradeStep::Spots, DegradeStep::Size];

    #[test]
    fn it_degrades_and_recovers_one_step_at_a_time() {
        let mut scene = Scene::new(&[DegradeStep::Size, DegradeStep::Rate, DegradeStep::Spots]);
        assert_eq!(scene.is(10, 75.0), 0);
        assert_eq!(scene.is(1, 75.0), 1);
        assert_eq!((scene.policy.active_steps(), scene.policy.level_name()), (&ALL[..1], "rate"));
        assert_eq!(scene.is(9, 90.0), 1, "the next step takes as long");
        assert_eq!(scene.is(1, 90.0), 2);
        assert_eq!(scene.is(10, 90.0), 3);
        assert_eq!((scene.policy.active_steps(), scene.policy.level_name()), (&ALL[..], "size"));
        assert_eq!(scene.is(100, 90.0), 3);
        let hot = "75 °C or more for 10 s";
        let top = format!("+3 {hot}; no step is left");
        assert_eq!(scene.reported(), [format!("+1 {hot}"), format!("+2 {hot}"), format!("+3 {hot}"), top]);
        assert_eq!(scene.is(60, 70.0), 3);
        assert_eq!(scene.is(1, 70.0), 2);
        assert_eq!(scene.is(60, 20.0), 1);
        assert_eq!(scene.is(60, 20.0), 0);
        assert_eq!(scene.is(1000, 20.0), 0);
        assert_eq!(scene.reported(), [2, 1, 0].map(|step| format!("-{step} 70 °C or less for 60 s")));
    }

    #[test]
    fn between_the_limits_and_about_them_nothing_changes() {
        let mut scene = Scene::new(&ALL);
        for _ in 0..100 {
            scene.is(9, 76.0);
            assert_eq!(scene.is(1, 74.9), 0);
        }
        assert_eq!(scene.is(11, 76.0), 1);
        assert_eq!(scene.is(10_000, 72.0), 1, "neither hot nor cool");
        for _ in 0..100 {
            scene.is(59, 69.0);
            assert_eq!(scene.is(1, 70.1), 1);
        }
        assert_eq!(scene.reported().len(), 1);
    }

    #[test]
    fn an_unknown_temperature_changes_nothing_and_is_reported_once() {
        let mut scene = Scene::new(&ALL);
        // A board without sensors reports nothing.
        assert_eq!(scene.measures(1000, Reading::default()), 0);
        assert!(scene.reported().is_empty());
        scene.is(11, 80.0);
        scene.is(9, 80.0);
        assert_eq!(scene.measures(4, Reading::default()), 1, "a read may fail");
        assert_eq!(scene.is(10, 80.0), 1, "but the time is counted anew");
        assert_eq!(scene.is(1, 80.0), 2);
        assert_eq!(scene.measures(1000, Reading::default()), 2);
        assert_eq!(scene.is(60, 40.0), 2);
        assert_eq!(scene.is(1, 40.0), 1);
        let reported = scene.reported();
        let gone = [
            "+2 the temperature cannot be read any more; the active steps stay",
            "-2 the temperature can be read again",
        ];
        assert_eq!(reported[2..4], gone, "{reported:?}");
        assert_eq!(reported.len(), 5);
    }

    #[test]
    fn bits_count_where_the_board_is_not_cool() {
        let reading = |temperature, bits| Reading { temperature, throttled: Some(bits), undervoltage: None };
        let mut scene = Scene::new(&ALL);
        // A Raspberry Pi 3B+ with its soft limit of 60 °C, a weak supply, and bits of the past.
        assert_eq!(scene.measures(100, reading(Some(62.0), 0x80008)), 0);
        assert_eq!(scene.measures(100, reading(Some(72.0), 0x50005)), 0);
        assert_eq!(scene.measures(100, reading(Some(72.0), 0xe0000)), 0);
        assert_eq!(scene.measures(11, reading(Some(72.0), 0xe0008)), 1);
        assert_eq!(scene.measures(60, reading(Some(66.0), 0xe0008)), 1);
        assert_eq!(scene.measures(1, reading(Some(66.0), 0xe0008)), 0);
        // Without a temperature only the bits count.
        assert_eq!(scene.measures(11, reading(None, 0x2)), 1);
        assert_eq!(scene.measures(61, reading(None, 0x20000)), 0);
        let slowed = "+1 the firmware has slowed the processor down for 10 s";
        let not_any_more = "-0 the firmware has not slowed the processor down for 60 s";
        assert_eq!(scene.reported(), [slowed, "-0 70 °C or less for 60 s", slowed, not_any_more]);
    }

    #[test]
    fn without_steps_heat_and_its_end_are_reported() {
        let mut scene = Scene::new(&[]);
        scene.is(100, 80.0);
        assert_eq!(scene.policy.level_name(), "none");
        scene.is(100, 72.0);
        scene.is(100, 60.0);
        scene.is(100, 80.0);
        let hot = "+0 75 °C or more for 10 s; the load is not reduced: heat.degrade is off";
        assert_eq!(scene.reported(), [hot, "-0 70 °C or less for 60 s", hot]);
    }

    #[test]
    fn a_pause_of_the_whole_process_is_one_step_at_most() {
        let mut scene = Scene::new(&ALL);
        scene.is(1, 80.0);
        scene.now += Duration::from_secs(100_000);
        assert_eq!(scene.is(1, 80.0), 1);
        assert_eq!(scene.is(5, 80.0), 1);
    }
}
