//! `[alarm]`, `[heartbeat]` and `[trigger]`: GPIO lines.

use super::{Config, Violation, check_range};
use crate::board::{LineAddress, LineName};
use crate::sink::ActiveLevel;
use serde::Deserialize;
use toml::Spanned;

/// `[alarm]`: the line that a defect raises.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct AlarmConfig {
    /// The GPIO chip; not needed for a line with a name.
    pub chip: Option<String>,
    /// The line's number on the chip, or its name.
    pub line: Spanned<LineName>,
    /// The level that means "alarm".
    #[serde(default)]
    pub active: ActiveLevel,
    /// How long it lasts after the last defect, in milliseconds.
    #[serde(default = "half_a_second")]
    pub hold_ms: Spanned<f64>,
    /// Its state while nothing is inspected: before the first verdict and after the end.
    #[serde(default)]
    pub idle: Idle,
    /// Whether it stays on after a defect until somebody acknowledges it.
    #[serde(default)]
    pub latch: bool,
    /// Whether it is on when a run begins: it waited to be acknowledged when the run before ended.
    #[serde(skip)]
    pub latched: bool,
}

/// The state of the alarm while nothing is inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    /// As for a good part.
    #[default]
    Off,
    /// As for a defect.
    On,
}

/// `[heartbeat]`: the line that toggles with every verdict.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct HeartbeatConfig {
    /// The GPIO chip; not needed for a line with a name.
    pub chip: Option<String>,
    /// The line's number on the chip, or its name.
    pub line: Spanned<LineName>,
}

/// `[trigger]`: the line that requests a frame.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct TriggerConfig {
    /// The GPIO chip; not needed for a line with a name.
    pub chip: Option<String>,
    /// The line's number on the chip, or its name.
    pub line: Spanned<LineName>,
    /// The edge that counts.
    #[serde(default)]
    pub edge: TriggerEdge,
    /// Levels that last for less than this do not count, in milliseconds.
    #[serde(default = "zero")]
    pub debounce_ms: Spanned<f64>,
}

/// An edge of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerEdge {
    /// From low to high.
    #[default]
    Rising,
    /// From high to low.
    Falling,
}

impl AlarmConfig {
    /// The address of the line.
    pub fn address(&self) -> LineAddress<'_> {
        LineAddress { chip: self.chip.as_deref(), line: self.line.get_ref() }
    }

    /// Whether a run with the configuration `next` takes the line over as it is: one that waits to be acknowledged need not go off between.
    pub fn stays_in(&self, next: &Config) -> bool {
        let is_same = |other: &AlarmConfig| {
            (&other.chip, other.line.get_ref(), other.active) == (&self.chip, self.line.get_ref(), self.active)
        };
        self.latch && next.alarm.as_ref().is_some_and(|other| other.latch && is_same(other))
    }
}

impl HeartbeatConfig {
    /// The address of the line.
    pub fn address(&self) -> LineAddress<'_> {
        LineAddress { chip: self.chip.as_deref(), line: self.line.get_ref() }
    }
}

impl TriggerConfig {
    /// The address of the line.
    pub fn address(&self) -> LineAddress<'_> {
        LineAddress { chip: self.chip.as_deref(), line: self.line.get_ref() }
    }
}

fn half_a_second() -> Spanned<f64> {
    Spanned::new(0..0, 500.0)
}

pub(super) fn zero() -> Spanned<f64> {
    Spanned::new(0..0, 0.0)
}

/// A GPIO line that is used: the key that names it, where in the file that stands, and which it is.
#[derive(Clone, Copy)]
pub(super) struct UsedLine<'a> {
    pub key: &'static str,
    pub at: usize,
    pub address: LineAddress<'a>,
}

impl<'a> UsedLine<'a> {
    pub(super) fn new(key: &'static str, line: &'a Spanned<LineName>, chip: &'a Option<String>) -> UsedLine<'a> {
        UsedLine { key, at: line.span().start, address: LineAddress { chip: chip.as_deref(), line: line.get_ref() } }
    }

    /// The one of `others` that is the same line.
    pub(super) fn among<'o>(&self, others: &'o [UsedLine<'o>]) -> Option<&'o UsedLine<'o>> {
        others.iter().find(|other| (other.address.line, other.address.chip) == (self.address.line, self.address.chip))
    }
}

impl Config {
    /// Starts the next run with an alarm that waits to be acknowledged, or not; where one may.
    pub fn start_latched(&mut self, latched: bool) {
        if let Some(alarm) = &mut self.alarm {
            alarm.latched = latched && alarm.latch;
        }
    }

    /// The GPIO lines.
    pub(super) fn gpio_lines(&self) -> Vec<UsedLine<'_>> {
        let alarm = self.alarm.as_ref().map(|alarm| UsedLine::new("alarm.line", &alarm.line, &alarm.chip));
        let heartbeat = self.heartbeat.as_ref().map(|beat| UsedLine::new("heartbeat.line", &beat.line, &beat.chip));
        let trigger = self.trigger.as_ref().map(|trigger| UsedLine::new("trigger.line", &trigger.line, &trigger.chip));
        let of_parts = self.part.iter().flat_map(|part| part.lines());
        let at = self.products.lines.span().start;
        let of_products = self.products.addresses().map(|address| UsedLine { key: "products.lines", at, address });
        [alarm, heartbeat, trigger].into_iter().flatten().chain(of_parts).chain(of_products).collect()
    }

    /// The first invalid value: out of range, a line without its chip, or a line that is used twice.
    pub(super) fn line_problem(&self) -> Option<Violation> {
        let hold = self.alarm.as_ref().map(|alarm| (&alarm.hold_ms, "alarm.hold_ms", 1.0, 3_600_000.0));
        let debounce = self.trigger.as_ref().map(|t| (&t.debounce_ms, "trigger.debounce_ms", 0.0, 10_000.0));
        let mut times = [hold, debounce].into_iter().flatten();
        if let Some(problem) = times.find_map(|(value, key, low, high)| check_range(value, key, low, high)) {
            return Some(problem);
        }
        let lines = self.gpio_lines();
        for (i, line) in lines.iter().enumerate() {
            let UsedLine { key, at, address } = *line;
            if let LineAddress { line: LineName::Number(number), chip: None } = address {
                let table = key.rsplit_once('.').map_or(key, |(table, _)| table);
                return Some((at, format!("{key}: number {number} of which chip? set {table}.chip, too")));
            }
            if let Some(other) = line.among(&lines[..i]) {
                return Some((at, format!("{key}: {address} is {}, too: each needs its own", other.key)));
            }
        }
        None
    }
}
