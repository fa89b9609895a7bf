//! A pin as a line that is on or off.

use crate::telemetry::{Cause, Telemetry};
use embedded_hal::digital::{OutputPin, PinState};

/// Which level of a line means "on".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActiveLevel {
    /// High.
    #[default]
    High,
    /// Low, for a transistor or relay board that inverts.
    Low,
}

impl ActiveLevel {
    /// The level of a line that is on, or off.
    pub fn level(self, on: bool) -> PinState {
        PinState::from(on == (self == ActiveLevel::High))
    }
}

/// Something that is on or off.
pub trait SwitchLine: Send {
    /// Switches it; does nothing where it is so already.
    fn set(&mut self, on: bool);
}

/// A pin as a line that is on or off. A pin that cannot be set is reported once and tried again.
pub struct OutputLine<P> {
    pin: P,
    active: ActiveLevel,
    /// What it is called in a report: `the alarm`.
    name: &'static str,
    /// What the pin was last set to; `None` if that failed.
    level: Option<bool>,
    reported: bool,
    cause: Cause,
    telemetry: Telemetry,
}

impl<P: OutputPin> OutputLine<P> {
    /// A line on `pin`, which is not set yet.
    pub fn new(pin: P, active: ActiveLevel, name: &'static str, cause: Cause, telemetry: Telemetry) -> OutputLine<P> {
        OutputLine { pin, active, name, level: None, reported: false, cause, telemetry }
    }

    pub(super) fn set_level(&mut self, on: bool) {
        if self.level == Some(on) {
            return;
        }
        match self.pin.set_state(self.active.level(on)) {
            Ok(()) => {
                // Of several lines with one cause only the one that failed says that it works again.
                if std::mem::take(&mut self.reported) {
                    self.telemetry.resolve(self.cause);
                }
                self.level = Some(on);
            }
            Err(error) => {
                self.level = None;
                // Tried a hundred times a second: the message is made only once.
                if std::mem::replace(&mut self.reported, true) {
                    self.telemetry.fail_again(self.cause);
                } else {
                    let text = format!("the line of {} cannot be set: {error:?}", self.name);
                    self.telemetry.fail(self.cause, &text);
                }
            }
        }
    }
}

impl<P: OutputPin + Send> SwitchLine for OutputLine<P> {
    fn set(&mut self, on: bool) {
        self.set_level(on);
    }
}
