//! From a configuration to what is plugged into the board: camera, alarm, heartbeat, trigger.

use crate::board::{Edges, GpioError, output};
use crate::config::{self, Config, ConfigError};
use crate::sink::{ActiveLevel, AlarmLine, HeartbeatLine, Signal};
use crate::source::camera::{Camera, Fault, Kind, NodePort, Terms, Wish};
use crate::source::{FrameSource, Triggered};
use std::time::Duration;
use toml::Spanned;

/// What the configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To run unattended: a camera that is away may come back.
    Run,
    /// To find out whether all is well: a frame must come now.
    Check,
}

/// What a configuration asks of a camera.
pub fn camera(camera: &config::Camera) -> Camera<NodePort> {
    let wish = Wish {
        width: *camera.width.get_ref() as u32,
        height: *camera.height.get_ref() as u32,
        fps: *camera.fps.get_ref(),
        format: camera.format.map(config::Format::pixel_format),
    };
    let controls = camera.controls.iter().map(|(key, control)| (key.get_ref().clone(), control.0)).collect();
    let frozen_after = Duration::from_secs_f64(*camera.frozen_s.get_ref());
    Camera::new(NodePort::new(camera.device.get_ref()), Terms { wish, controls, frozen_after })
}

/// Opens the camera. One that is away now is no error for a run, which waits for it.
pub fn open_camera(
    config: &Config,
    section: &config::Camera,
    purpose: Purpose,
) -> anyhow::Result<Box<dyn FrameSource>> {
    let mut camera = camera(section);
    let opened = match purpose {
        Purpose::Run => camera.start(),
        Purpose::Check => camera.prove().map(|_| ()),
    };
    if let Some(smaller) = &config.heat.smaller {
        let (width, height) = smaller.size();
        let offered = camera.offers(width as u32, height as u32);
        offered.map_err(|fault| placed(config.blame(&smaller.width, &fault), fault.kind))?;
    }
    match opened {
        Err(fault) if purpose == Purpose::Check || fault.is_lasting() => Err(refusal(config, section, &fault)),
        // What is not lasting is told, and tried again, by the camera itself.
        _ => Ok(Box::new(camera)),
    }
}

/// A camera's fault, with the line of the configuration to look at. Only what a change there can mend ends in exit code
/// 78, after which the service is not started again.
fn refusal(config: &Config, section: &config::Camera, fault: &Fault) -> anyhow::Error {
    let error = match fault.kind {
        Kind::NoSuchMode => config.blame(&section.width, fault),
        _ => config.blame(&section.device, fault),
    };
    placed(error, fault.kind)
}

fn placed(error: ConfigError, kind: Kind) -> anyhow::Error {
    match kind {
        Kind::NoSuchMode | Kind::BadControl | Kind::NotACamera => error.into(),
        _ => anyhow::Error::msg(error.to_string()),
    }
}

/// The source, held back until the trigger's edges, where there is a trigger.
pub fn triggered(config: &Config, source: Box<dyn FrameSource>) -> anyhow::Result<Box<dyn FrameSource>> {
    let Some(trigger) = &config.trigger else { return Ok(source) };
    let debounce = Duration::from_secs_f64(trigger.debounce_ms.get_ref() / 1e3);
    let edges = Edges::open(trigger.place(), trigger.edge == config::Edge::Rising, debounce);
    let edges = edges.map_err(|error| blame(config, &trigger.line, error))?;
    Ok(Box::new(Triggered::new(source, edges)))
}

/// Lines that follow the verdicts, and what `check` says of them.
#[derive(Default)]
pub struct Signals {
    pub lines: Vec<Box<dyn Signal>>,
    pub told: Vec<String>,
}

/// Opens the lines that follow the verdicts.
pub fn signals(config: &Config) -> anyhow::Result<Signals> {
    let mut signals = Signals::default();
    if let Some(alarm) = &config.alarm {
        let safe = alarm.idle == config::Idle::On;
        let pin = output(alarm.place(), alarm.active.level(safe));
        let pin = pin.map_err(|error| blame(config, &alarm.line, error))?;
        let hold = Duration::from_secs_f64(alarm.hold_ms.get_ref() / 1e3);
        signals.lines.push(Box::new(AlarmLine::new(pin, alarm.active, hold, safe)));
        signals.told.push(format!("alarm    {}, held for {} ms", alarm.place(), alarm.hold_ms.get_ref()));
    }
    if let Some(heartbeat) = &config.heartbeat {
        let pin = output(heartbeat.place(), ActiveLevel::High.level(false));
        let pin = pin.map_err(|error| blame(config, &heartbeat.line, error))?;
        signals.lines.push(Box::new(HeartbeatLine::new(pin, ActiveLevel::High)));
        signals.told.push(format!("heartbeat {}", heartbeat.place()));
    }
    Ok(signals)
}

fn blame<T>(config: &Config, value: &Spanned<T>, error: GpioError) -> anyhow::Error {
    let placed = config.blame(value, &error);
    if error.lasting { placed.into() } else { anyhow::Error::msg(placed.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::super::exit_code;
    use super::*;
    use std::path::Path;

    /// What a change of the configuration can mend must not be tried again and again (78); what is mended on the board may
    /// be (1). The line to look at stands in both.
    #[test]
    fn a_fault_of_the_camera_names_its_line_and_tells_whether_to_try_again() {
        let text = "[source.camera]\ndevice = \"0\"\nwidth = 1280\nheight = 720\n";
        let config = Config::parse(text, Path::new("line.toml")).unwrap();
        let config::Source::Camera(section) = &config.source else { panic!("no camera") };
        let cases = [
            (Kind::Missing, 2, 1),
            (Kind::Busy, 2, 1),
            (Kind::Denied, 2, 1),
            (Kind::NotACamera, 2, 78),
            (Kind::NoSuchMode, 3, 78),
            (Kind::BadControl, 2, 78),
            (Kind::Silent, 2, 1),
            (Kind::Damaged, 2, 1),
            (Kind::Driver, 2, 1),
        ];
        for (kind, line, code) in cases {
            let error = refusal(&config, section, &Fault::new(kind, "/dev/video0", "why"));
            assert_eq!(error.to_string(), format!("line.toml:{line}: /dev/video0: why"), "{kind:?}");
            assert_eq!(exit_code(&error), code, "{kind:?}");
        }
    }
}
