//! The Modbus server of a line: from the configuration to its thread, and the state that it shows.

use crate::config::{Config, ConfigError, ModbusConfig};
use crate::memory::Bill;
use crate::modbus::{self, ClientRights, LineState, MODBUS_THREAD, ModbusServer, ModbusSettings};
use crate::pipeline::Status;
use crate::source::SourceState;
use crate::status_page::{check_bindable, describe_bind_error};
use crate::telemetry::Telemetry;
use crate::times::INSPECTION;
use std::io::ErrorKind;
use std::time::Instant;

/// What the server is started with, where there is one, and its place on the bill.
pub(super) fn plan(config: &Config, bill: &mut Bill) -> Option<ModbusSettings> {
    let section = config.modbus.as_ref()?;
    bill.add("modbus", modbus::max_bytes());
    let rights = ClientRights { unit: section.unit.as_ref().map(|unit| *unit.get_ref()), write: section.write };
    let allow = section.allow.get_ref().iter().map(|address| address.to_canonical()).collect();
    Some(ModbusSettings { listen: *section.listen.get_ref(), allow, rights })
}

/// Whether PLCs could be served now: where, who, and what for.
///
/// # Errors
/// Where the address cannot be bound.
pub fn check_modbus(config: &Config) -> Result<String, ConfigError> {
    let Some(section) = &config.modbus else { return Ok("off".into()) };
    let taken = match check_bindable(*section.listen.get_ref()) {
        Ok(()) => "",
        // As it should be while the service runs.
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            ", where the service itself or another program listens now"
        }
        Err(error) => {
            let problem = format!("modbus.listen = {}: {}", section.listen.get_ref(), describe_bind_error(&error));
            return Err(config.error_at(&section.listen, problem));
        }
    };
    Ok(describe(section) + taken)
}

fn describe(section: &ModbusConfig) -> String {
    let rights = if section.write { "choose products and acknowledge" } else { "read" };
    let clients = match &section.allow.get_ref()[..] {
        [] => "every program here".to_string(),
        allowed => allowed.iter().map(|one| one.to_canonical().to_string()).collect::<Vec<_>>().join(", "),
    };
    format!("{}: {clients} may {rights}", section.listen.get_ref())
}

/// Tells the server what the line does.
pub(super) struct PlcWatch {
    server: ModbusServer,
    /// When all threads had last made progress.
    alive: Instant,
}

impl PlcWatch {
    pub(super) fn new(server: ModbusServer) -> PlcWatch {
        PlcWatch { server, alive: Instant::now() }
    }

    /// To be called many times a second; `alive` as in [`crate::pipeline::RunObserver::poll`].
    pub(super) fn update(&mut self, status: &Status, alive: bool, telemetry: &Telemetry) {
        if alive {
            self.alive = Instant::now();
        }
        let is_stuck = self.alive.elapsed() > INSPECTION;
        self.server.update(state(status, is_stuck, telemetry.active_faults().is_some()), alive);
    }

    /// The name of its thread, where that has failed.
    pub(super) fn failed_thread(&self) -> Option<&'static str> {
        self.server.has_failed().then_some(MODBUS_THREAD)
    }
}

/// What a line does that has come so far; `is_stuck`: one of its threads makes no progress.
fn state(status: &Status, is_stuck: bool, has_faults: bool) -> LineState {
    let frames_come = status.source.state == SourceState::Flowing;
    match () {
        () if is_stuck || !frames_come => LineState::Fault,
        () if status.counts.captured == 0 => LineState::Starting,
        () if has_faults => LineState::Degraded,
        () => LineState::Inspecting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Counts;
    use crate::source::SourceCondition;

    #[test]
    fn the_worst_that_is_known_is_shown() {
        let status = |captured, state| Status {
            counts: Counts { captured, ..Counts::default() },
            source: SourceCondition { state, ..SourceCondition::default() },
            ..Status::default()
        };
        let flowing = SourceState::Flowing;
        assert_eq!(state(&status(0, flowing), false, true), LineState::Starting);
        assert_eq!(state(&status(1, flowing), false, false), LineState::Inspecting);
        assert_eq!(state(&status(1, flowing), false, true), LineState::Degraded);
        assert_eq!(state(&status(1, flowing), true, false), LineState::Fault);
        for away in [SourceState::Away, SourceState::Frozen] {
            assert_eq!(state(&status(9, away), false, true), LineState::Fault);
        }
    }

    #[test]
    fn check_says_who_may_do_what() {
        let described = |more: &str| {
            let text = format!("[source.pattern]\n[modbus]\n{more}");
            let config = Config::parse(&text, std::path::Path::new("line.toml")).unwrap();
            describe(config.modbus.as_ref().unwrap())
        };
        assert_eq!(described(""), "127.0.0.1:1502: every program here may read");
        assert_eq!(
            described("listen = \"10.0.0.1:1502\"\nallow = [\"10.0.0.5\", \"::ffff:10.0.0.6\"]\nwrite = true"),
            "10.0.0.1:1502: 10.0.0.5, 10.0.0.6 may choose products and acknowledge"
        );
    }
}
