//! A line's GPIO lines: the trigger that asks for frames, alarm and heartbeat that follow the verdicts.

use crate::board::{Edges, GpioError, open_output};
use crate::config::{self, Config};
use crate::sink::{ActiveLevel, AlarmLine, HeartbeatLine, Signal};
use crate::source::{FrameSource, TriggeredSource};
use crate::telemetry::Telemetry;
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

/// Opens the output lines that follow the verdicts.
pub(super) fn open_signals(config: &Config, telemetry: &Telemetry) -> anyhow::Result<Signals> {
    let mut signals = Signals::default();
    if let Some(alarm) = &config.alarm {
        let safe = alarm.idle == config::Idle::On;
        let pin = open_output(alarm.address(), alarm.active.level(safe));
        let pin = pin.map_err(|error| blame(config, &alarm.line, error))?;
        let hold = Duration::from_secs_f64(alarm.hold_ms.get_ref() / 1e3);
        signals.lines.push(Box::new(AlarmLine::new(pin, alarm.active, hold, safe, telemetry.clone())));
        signals.described.push(format!("alarm    {}, held for {} ms", alarm.address(), alarm.hold_ms.get_ref()));
    }
    if let Some(heartbeat) = &config.heartbeat {
        let pin = open_output(heartbeat.address(), ActiveLevel::High.level(false));
        let pin = pin.map_err(|error| blame(config, &heartbeat.line, error))?;
        signals.lines.push(Box::new(HeartbeatLine::new(pin, ActiveLevel::High, telemetry.clone())));
        signals.described.push(format!("heartbeat {}", heartbeat.address()));
    }
    Ok(signals)
}

fn blame<T>(config: &Config, value: &Spanned<T>, error: GpioError) -> anyhow::Error {
    let placed = config.error_at(value, &error);
    if error.permanent { placed.into() } else { anyhow::Error::msg(placed.to_string()) }
}
