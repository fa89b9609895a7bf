//! The board's temperature while a line runs, and the load that is shed for it.

use crate::board::heat::{DegradeStep, Reading, Sensors, ThrottleChange, ThrottlePolicy};
use crate::config::Config;
use crate::pipeline::LoadShedding;
use crate::telemetry::Telemetry;
use crate::times::HEAT;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where there was nothing to read, sensors are looked for again after so long: a driver may come late, or again.
const SEARCH_EVERY: Duration = Duration::from_secs(10);

/// Reads the sensors on the main thread, and sets what the pipeline skips.
pub(super) struct HeatWatcher {
    sysfs: PathBuf,
    sensors: Sensors,
    policy: ThrottlePolicy,
    shedding: Arc<LoadShedding>,
    reading: Reading,
    read: Option<Instant>,
    searched: Instant,
    telemetry: Telemetry,
}

impl HeatWatcher {
    /// Finds the sensors, and logs which.
    pub fn new(config: &Config, shedding: Arc<LoadShedding>, telemetry: Telemetry) -> HeatWatcher {
        let sysfs = config.heat.sysfs.clone();
        let sensors = Sensors::find(&sysfs);
        let reading = sensors.read();
        let zones: Vec<&str> = sensors.zones().collect();
        let record = telemetry.record(log::Level::Debug, "heat_sensors").with("zones", zones.join(","));
        let record = record.with_known("temperature_c", reading.temperature);
        telemetry.log(record.with_known("throttled", reading.bits()));
        let policy = ThrottlePolicy::new(config.heat.limits(), config.degrade_steps());
        HeatWatcher { sysfs, sensors, policy, shedding, reading, read: None, searched: Instant::now(), telemetry }
    }

    /// To be called many times a second; reads once a second.
    pub fn poll(&mut self, now: Instant) {
        if self.read.is_some_and(|read| now - read < HEAT) {
            return;
        }
        self.read = Some(now);
        self.reading = self.sensors.read();
        if self.reading == Reading::default() && now - self.searched >= SEARCH_EVERY {
            self.sensors = Sensors::find(&self.sysfs);
            self.searched = now;
        }
        if let Some(change) = self.policy.update(&self.reading, now) {
            self.shedding.set_steps(self.policy.active_steps());
            self.log(&change);
        }
    }

    /// The last reading of the sensors.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The number of the rung, where a sensor was found.
    pub fn rung(&self) -> Option<u8> {
        (self.reading != Reading::default() || self.policy.level() > 0).then(|| self.policy.level())
    }

    /// For people: `61.3 °C`, and what is skipped.
    pub fn describe(&self) -> Option<String> {
        let described = match self.policy.level() {
            0 => None,
            number => Some(format!("heat rung {number} ({})", self.policy.level_name())),
        };
        let temperature = self.reading.temperature.map(|temperature| format!("{temperature:.1} °C"));
        let words: Vec<String> = temperature.into_iter().chain(described).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    fn log(&self, change: &ThrottleChange) {
        let (rung, name, cause) = (self.policy.level(), self.policy.level_name(), change.cause.as_str());
        let level = if change.worse { log::Level::Warn } else { log::Level::Info };
        let record = self
            .telemetry
            .record(level, "heat")
            .with("rung", u32::from(rung))
            .with("name", name)
            .with_known("temperature_c", self.reading.temperature)
            .with_known("throttled", self.reading.bits())
            .with("cause", cause);
        self.telemetry.log_and_persist(record);
    }
}

/// The sensors and the steps against heat, as `check` prints them.
pub(super) fn describe(config: &Config) -> String {
    let heat = &config.heat;
    let sensors = Sensors::find(&heat.sysfs);
    let reading = sensors.read();
    let zones: Vec<&str> = sensors.zones().collect();
    let mut text = match reading.temperature {
        Some(temperature) => format!("{temperature:.1} °C ({})", zones.join(", ")),
        None => format!("no temperature under {}", heat.sysfs.display()),
    };
    if let Some(bits) = reading.bits() {
        text += &format!(", get_throttled {bits}");
    }
    let steps = config.degrade_steps();
    if steps.is_empty() {
        return text + "; the load is not reduced (heat.degrade)";
    }
    let describe_step = |step: &DegradeStep| match (step, &heat.smaller) {
        (DegradeStep::Rate, _) => format!("1 of {} frames", heat.every.get_ref()),
        (DegradeStep::Size, Some(smaller)) => format!("frames of {}x{}", smaller.size().0, smaller.size().1),
        (DegradeStep::Size, None) => "smaller frames".into(),
        (DegradeStep::Spots, _) => "only defects enlarged".into(),
    };
    let described: Vec<String> = steps.iter().map(describe_step).collect();
    text + &format!("; from {} °C on: {}", heat.limit.get_ref(), described.join(", then "))
}
