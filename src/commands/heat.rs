//! How hot the board is while a line runs, and what is given up for it.

use crate::board::heat::{Ladder, Reading, Rung, Sensors, Step};
use crate::config::Config;
use crate::pipeline::Relief;
use crate::record::{self, Record};
use crate::times::HEAT;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where there was nothing to read, sensors are looked for again after so long: a driver may come late, or again.
const SEARCH_EVERY: Duration = Duration::from_secs(10);

/// Watches the sensors on the main thread, and tells the pipeline what to leave out.
pub struct Watcher {
    sysfs: PathBuf,
    sensors: Sensors,
    ladder: Ladder,
    relief: Arc<Relief>,
    reading: Reading,
    read: Option<Instant>,
    searched: Instant,
}

impl Watcher {
    /// Finds the sensors, and says what it found.
    pub fn new(config: &Config, relief: Arc<Relief>) -> Watcher {
        let sysfs = config.heat.sysfs.clone();
        let sensors = Sensors::find(&sysfs);
        let reading = sensors.read();
        let zones: Vec<&str> = sensors.zones().collect();
        let throttled = reading.bits();
        log::debug!(zones = zones.join(",").as_str(), temperature_c = reading.temperature, throttled = throttled; "heat_sensors");
        let ladder = Ladder::new(config.heat.terms(), config.rungs());
        Watcher { sysfs, sensors, ladder, relief, reading, read: None, searched: Instant::now() }
    }

    /// Called many times a second; reads once a second.
    pub fn look(&mut self, now: Instant) {
        if self.read.is_some_and(|read| now - read < HEAT) {
            return;
        }
        self.read = Some(now);
        self.reading = self.sensors.read();
        if self.reading == Reading::default() && now - self.searched >= SEARCH_EVERY {
            self.sensors = Sensors::find(&self.sysfs);
            self.searched = now;
        }
        if let Some(step) = self.ladder.look(&self.reading, now) {
            self.relief.give_up(self.ladder.given());
            self.log(&step);
        }
    }

    /// What the sensors showed last.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The number of the rung, where there is something to feel heat with.
    pub fn rung(&self) -> Option<u8> {
        (self.reading != Reading::default() || self.ladder.number() > 0).then(|| self.ladder.number())
    }

    /// For people: `61.3 °C`, and what is given up.
    pub fn in_words(&self) -> Option<String> {
        let given = match self.ladder.number() {
            0 => None,
            number => Some(format!("heat rung {number} ({})", self.ladder.name())),
        };
        let temperature = self.reading.temperature.map(|temperature| format!("{temperature:.1} °C"));
        let words: Vec<String> = temperature.into_iter().chain(given).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    fn log(&self, step: &Step) {
        let (rung, name, cause) = (self.ladder.number(), self.ladder.name(), step.cause.as_str());
        let level = if step.worse { log::Level::Warn } else { log::Level::Info };
        let record = Record::new(level, "heat")
            .with("rung", u32::from(rung))
            .with("name", name)
            .with_known("temperature_c", self.reading.temperature)
            .with_known("throttled", self.reading.bits())
            .with("cause", cause);
        record::keep(record.clone());
        record.log();
    }
}

/// What `check` says of it.
pub fn told(config: &Config) -> String {
    let heat = &config.heat;
    let sensors = Sensors::find(&heat.sysfs);
    let reading = sensors.read();
    let zones: Vec<&str> = sensors.zones().collect();
    let mut told = match reading.temperature {
        Some(temperature) => format!("{temperature:.1} °C ({})", zones.join(", ")),
        None => format!("no temperature under {}", heat.sysfs.display()),
    };
    if let Some(bits) = reading.bits() {
        told += &format!(", get_throttled {bits}");
    }
    let rungs = config.rungs();
    if rungs.is_empty() {
        return told + "; nothing is given up (heat.degrade)";
    }
    let in_words = |rung: &Rung| match (rung, &heat.smaller) {
        (Rung::Rate, _) => format!("1 of {} frames", heat.every.get_ref()),
        (Rung::Size, Some(smaller)) => format!("frames of {}x{}", smaller.size().0, smaller.size().1),
        (Rung::Size, None) => "smaller frames".into(),
        (Rung::Spots, _) => "only defects enlarged".into(),
    };
    let given: Vec<String> = rungs.iter().map(in_words).collect();
    told + &format!("; from {} °C on: {}", heat.limit.get_ref(), given.join(", then "))
}
