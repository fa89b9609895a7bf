//! When to give up what, and when to take it back: one rung at a time, up where the board was too hot for a while, down
//! where it was cooler for a longer while.

use super::Reading;
use std::time::{Duration, Instant};

/// Without a temperature for so long, the sensor counts as gone.
const GONE: Duration = Duration::from_secs(5);

/// What can be given up, in this order. It stays given up on the steps above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DegradeStep {
    /// Fewer frames are inspected.
    Rate = 1,
    /// Only frames with defects are enlarged.
    Spots = 2,
    /// The camera gives smaller frames.
    Size = 3,
}

/// When the policy is climbed.
#[derive(Debug, Clone, Copy)]
pub struct ThrottleLimits {
    /// Too hot from here on, in °C.
    pub limit: f64,
    /// Cool from so many degrees below the limit on.
    pub hysteresis: f64,
    /// Too hot on end for this long: one rung up.
    pub degrade_after: Duration,
    /// Cool on end for this long: one rung down.
    pub recover_after: Duration,
}

/// The policy of one line.
#[derive(Debug)]
pub struct ThrottlePolicy {
    limits: ThrottleLimits,
    steps: Vec<DegradeStep>,
    /// How many of them are given up.
    active: usize,
    measured: Option<(Measured, Instant)>,
    /// Whether it was told that the board is too hot and nothing is left to give up.
    told: bool,
    /// Whether there was a temperature, or bits, and that there are none any more.
    known: bool,
    gone: bool,
}

/// A change, or something that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleChange {
    /// Whether it is for the worse.
    pub worse: bool,
    /// Why, in one line.
    pub cause: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    Hot,
    Warm,
    Cool,
    Nothing,
}

impl DegradeStep {
    /// One word for the log.
    pub fn name(self) -> &'static str {
        match self {
            DegradeStep::Rate => "rate",
            DegradeStep::Spots => "spots",
            DegradeStep::Size => "size",
        }
    }
}

impl ThrottlePolicy {
    /// A policy with these steps, from the lowest on; with none of them heat is told and nothing else.
    pub fn new(limits: ThrottleLimits, mut steps: Vec<DegradeStep>) -> ThrottlePolicy {
        steps.sort();
        ThrottlePolicy { limits, steps, active: 0, measured: None, told: false, known: false, gone: false }
    }

    /// What is given up now.
    pub fn active_steps(&self) -> &[DegradeStep] {
        &self.steps[..self.active]
    }

    /// The number of the highest rung that is given up, 0 where none is.
    pub fn level(&self) -> u8 {
        self.active_steps().last().map_or(0, |step| *step as u8)
    }

    /// The name of the highest rung that is given up.
    pub fn level_name(&self) -> &'static str {
        self.active_steps().last().map_or("none", |step| step.name())
    }

    /// Looks at what the sensors show at a time.
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
                    cause: "the temperature cannot be read any more; the rung stays".into(),
                })
            }
            _ => None,
        }
    }

    fn cool(&self) -> f64 {
        self.limits.limit - self.limits.hysteresis
    }

    /// A processor that is slowed down while it is cool is slowed down for another reason: a Raspberry Pi 3B+ is from
    /// 60 °C on, by its soft limit.
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
        let end = if off { "nothing is given up: heat.degrade is off" } else { "nothing is left to give up" };
        (!std::mem::replace(&mut self.told, true))
            .then(|| ThrottleChange { worse: true, cause: format!("{cause}; {end}") })
    }

    fn recover(&mut self, reading: &Reading) -> Option<ThrottleChange> {
        let was_told = std::mem::take(&mut self.told);
        let is_down = self.active > 0;
        self.active -= usize::from(is_down);
        let seconds = self.limits.recover_after.as_secs_f64();
        let cause = match reading.temperature {
            Some(_) => format!("{} °C or less for {seconds} s", self.cool()),
            None => format!("the firmware has not slowed the processor down for {seconds} s"),
        };
        (is_down || was_told).then_some(ThrottleChange { worse: false, cause })
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

    /// A policy, a clock that moves by a second with each look, and what was told.
    struct Scene {
        policy: ThrottlePolicy,
        now: Instant,
        told: Vec<String>,
    }

    impl Scene {
        fn new(steps: &[DegradeStep]) -> Scene {
            Scene { policy: ThrottlePolicy::new(LIMITS, steps.to_vec()), now: Instant::now(), told: Vec::new() }
        }

        fn shows(&mut self, seconds: u64, reading: Reading) -> u8 {
            for _ in 0..seconds {
                if let Some(step) = self.policy.update(&reading, self.now) {
                    let sign = if step.worse { '+' } else { '-' };
                    self.told.push(format!("{sign}{} {}", self.policy.level(), step.cause));
                }
                self.now += Duration::from_secs(1);
            }
            self.policy.level()
        }

        fn is(&mut self, seconds: u64, temperature: f64) -> u8 {
            self.shows(seconds, Reading { temperature: Some(temperature), ..Reading::default() })
        }

        fn told(&mut self) -> Vec<String> {
            std::mem::take(&mut self.told)
        }
    }

    const ALL: [DegradeStep; 3] = [DegradeStep::Rate, DegradeStep::Spots, DegradeStep::Size];

    #[test]
    fn it_is_climbed_and_descended_one_rung_at_a_time() {
        let mut scene = Scene::new(&[DegradeStep::Size, DegradeStep::Rate, DegradeStep::Spots]);
        assert_eq!(scene.is(10, 75.0), 0);
        assert_eq!(scene.is(1, 75.0), 1);
        assert_eq!((scene.policy.active_steps(), scene.policy.level_name()), (&ALL[..1], "rate"));
        assert_eq!(scene.is(9, 90.0), 1, "the next rung takes as long");
        assert_eq!(scene.is(1, 90.0), 2);
        assert_eq!(scene.is(10, 90.0), 3);
        assert_eq!((scene.policy.active_steps(), scene.policy.level_name()), (&ALL[..], "size"));
        assert_eq!(scene.is(100, 90.0), 3);
        let hot = "75 °C or more for 10 s";
        let top = format!("+3 {hot}; nothing is left to give up");
        assert_eq!(scene.told(), [format!("+1 {hot}"), format!("+2 {hot}"), format!("+3 {hot}"), top]);
        assert_eq!(scene.is(60, 70.0), 3);
        assert_eq!(scene.is(1, 70.0), 2);
        assert_eq!(scene.is(60, 20.0), 1);
        assert_eq!(scene.is(60, 20.0), 0);
        assert_eq!(scene.is(1000, 20.0), 0);
        assert_eq!(scene.told(), [2, 1, 0].map(|step| format!("-{step} 70 °C or less for 60 s")));
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
        assert_eq!(scene.told().len(), 1);
    }

    #[test]
    fn what_is_not_known_changes_nothing_and_is_told_once() {
        let mut scene = Scene::new(&ALL);
        // A board without sensors has nothing to say.
        assert_eq!(scene.shows(1000, Reading::default()), 0);
        assert!(scene.told().is_empty());
        scene.is(11, 80.0);
        scene.is(9, 80.0);
        assert_eq!(scene.shows(4, Reading::default()), 1, "a read may fail");
        assert_eq!(scene.is(10, 80.0), 1, "but the time is counted anew");
        assert_eq!(scene.is(1, 80.0), 2);
        assert_eq!(scene.shows(1000, Reading::default()), 2);
        assert_eq!(scene.is(60, 40.0), 2);
        assert_eq!(scene.is(1, 40.0), 1);
        let told = scene.told();
        let gone =
            ["+2 the temperature cannot be read any more; the rung stays", "-2 the temperature can be read again"];
        assert_eq!(told[2..4], gone, "{told:?}");
        assert_eq!(told.len(), 5);
    }

    #[test]
    fn bits_count_where_the_board_is_not_cool() {
        let reading = |temperature, bits| Reading { temperature, throttled: Some(bits), undervoltage: None };
        let mut scene = Scene::new(&ALL);
        // A Raspberry Pi 3B+ with its soft limit of 60 °C, a weak supply, and bits of the past.
        assert_eq!(scene.shows(100, reading(Some(62.0), 0x80008)), 0);
        assert_eq!(scene.shows(100, reading(Some(72.0), 0x50005)), 0);
        assert_eq!(scene.shows(100, reading(Some(72.0), 0xe0000)), 0);
        assert_eq!(scene.shows(11, reading(Some(72.0), 0xe0008)), 1);
        assert_eq!(scene.shows(60, reading(Some(66.0), 0xe0008)), 1);
        assert_eq!(scene.shows(1, reading(Some(66.0), 0xe0008)), 0);
        // Without a temperature they are all there is.
        assert_eq!(scene.shows(11, reading(None, 0x2)), 1);
        assert_eq!(scene.shows(61, reading(None, 0x20000)), 0);
        let slowed = "+1 the firmware has slowed the processor down for 10 s";
        let not_any_more = "-0 the firmware has not slowed the processor down for 60 s";
        assert_eq!(scene.told(), [slowed, "-0 70 °C or less for 60 s", slowed, not_any_more]);
    }

    #[test]
    fn without_rungs_heat_is_told_and_that_it_is_over() {
        let mut scene = Scene::new(&[]);
        scene.is(100, 80.0);
        assert_eq!(scene.policy.level_name(), "none");
        scene.is(100, 72.0);
        scene.is(100, 60.0);
        scene.is(100, 80.0);
        let hot = "+0 75 °C or more for 10 s; nothing is given up: heat.degrade is off";
        assert_eq!(scene.told(), [hot, "-0 70 °C or less for 60 s", hot]);
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
