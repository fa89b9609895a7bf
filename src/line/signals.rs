//! A line's GPIO lines: the trigger that asks for frames, alarm and heartbeat that follow the verdicts.

use crate::board::{Edges, GpioError, open_output};
use crate::config::{self, Config};
use crate::sink::{ActiveLevel, AlarmLatch, AlarmLine, HeartbeatLine, Signal};
use crate::source::{FrameSource, TriggeredSource};
use crate::telemetry::Telemetry;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;

/// Holds a source back until the trigger's edges, where there is a trigger.
///
/// # Errors
/// Where the trigger's line cannot be opened; the error names the line of the configuration.
pub fn triggered(
    config: &Config,
    source: Box<dyn FrameSource>,
    telemetry: &Telemetry,
) -> anyhow::Result<Box<dyn FrameSource>> {
    let Some(trigger) = &config.trigger else { return Ok(source) };
    let debounce = Duration::from_secs_f64(trigger.debounce_ms.get_ref() / 1e3);
    let edges = Edges::open(trigger.address(), trigger.edge == config::TriggerEdge::Rising, debounce);
    let edges = edges.map_err(|error| blame(config, &trigger.line, error))?;
    Ok(Box::new(TriggeredSource::new(source, edges, telemetry.clone())))
}

/// Output lines that follow the verdicts, and how `check` describes them.
#[derive(Default)]
pub(super) struct Signals {
    pub(super) lines: Vec<Box<dyn Signal>>,
    pub(super) described: Vec<String>,
}

/// Opens the output lines that follow the verdicts; `latch`: keeps the alarm on until it is acknowledged.
pub(super) fn open_signals(
    config: &Config,
    latch: Option<&Arc<AlarmLatch>>,
    telemetry: &Telemetry,
) -> anyhow::Result<Signals> {
    let mut signals = Signals::default();
    if let Some(alarm) = &config.alarm {
        let safe = alarm.idle == config::Idle::On;
        // One that a run before left on is on from the start: loading may take a minute.
        let pin = open_output(alarm.address(), alarm.active.level(safe || alarm.latched));
        let pin = pin.map_err(|error| blame(config, &alarm.line, error))?;
        let hold = Duration::from_secs_f64(alarm.hold_ms.get_ref() / 1e3);
        let line = AlarmLine::new(pin, alarm.active, hold, safe, latch.cloned(), telemetry.clone());
        signals.lines.push(Box::new(line));
        let until = if latch.is_some() { " and until it is acknowledged" } else { "" };
        let held = alarm.hold_ms.get_ref();
        signals.described.push(format!("alarm    {}, held for {held} ms{until}", alarm.address()));
    }
    if let Some(heartbeat) = &config.heartbeat {
        let pin = open_output(heartbeat.address(), ActiveLevel::High.level(false));
        let pin = pin.map_err(|error| blame(config, &heartbeat.line, error))?;
        signals.lines.push(Box::new(HeartbeatLine::new(pin, ActiveLevel::High, telemetry.clone())));
        signals.described.push(format!("heartbeat {}", heartbeat.address()));
    }
    Ok(signals)
}

/// Sets an alarm to its level after the end where a run has left it on for the next one, and there is none.
pub(super) fn release_alarm(config: &Config) {
    let Some(alarm) = config.alarm.as_ref().filter(|alarm| alarm.latched) else { return };
    if let Err(error) = open_output(alarm.address(), alarm.active.level(alarm.idle == config::Idle::On)) {
        log::warn!("the alarm stays as it is: {error}");
    }
}

/// An error about a line, with where the configuration names it.
pub(super) fn blame<T>(config: &Config, value: &Spanned<T>, error: GpioError) -> anyhow::Error {
    let placed = config.error_at(value, &error);
    if error.permanent { placed.into() } else { anyhow::Error::msg(placed.to_string()) }
}
