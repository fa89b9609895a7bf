//! Stands in for `mqtt` when the program is built without the feature `mqtt`. A configuration that names a broker is refused
//! then, so no value of these types ever exists.

use crate::telemetry::{Record, Telemetry};
use lineside_picture::Picture;
use std::fmt;
use std::io;
use std::path::Path;

/// Uninhabited.
pub enum MqttDisabled {}

/// No settings can be made.
pub type BrokerSettings = MqttDisabled;
/// No client can be started.
pub type BrokerClient = MqttDisabled;

impl fmt::Display for MqttDisabled {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl MqttDisabled {
    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn start(
        settings: BrokerSettings,
        _: &Path,
        _: u64,
        _: Telemetry,
        _: Option<&BrokerClient>,
    ) -> io::Result<BrokerClient> {
        match settings {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn enqueue(&self, _: &Record) -> io::Result<()> {
        match *self {}
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn persist(&self) -> io::Result<()> {
        match *self {}
    }

    /// Never called.
    pub fn offer_picture(&self, _: &Picture) {
        match *self {}
    }

    /// Never called.
    pub fn set_status(&self, _: &Record) {
        match *self {}
    }

    /// Never called.
    pub fn has_failed(&self) -> bool {
        match *self {}
    }

    /// Never called.
    pub fn waiting(&self) -> u64 {
        match *self {}
    }

    /// Never called.
    pub fn stop(&self) {
        match *self {}
    }
}
