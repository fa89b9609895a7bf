//! What outlasts a run: the service manager, requests to reload, the telemetry.

use super::console::Console;
use super::new_configuration::{NewConfiguration, configuration_of, try_beside};
use crate::board::{Machine, machine};
use crate::bundle::{Home, sha256};
use crate::config::Config;
use crate::service::{LineManager, Reload};
use crate::sink::mqtt::BrokerClient;
use crate::status_page::TeachingMemory;
use crate::telemetry::{Record, Telemetry};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// A line between its start and its end, over all runs.
pub(super) struct LineService<'a> {
    pub(super) machine: Machine,
    pub(super) manager: LineManager,
    pub(super) reload: Reload,
    /// The configuration's file; the demo has none.
    pub(super) path: Option<&'a Path>,
    pub(super) telemetry: Telemetry,
    /// The broker's client of the last run: the next one logs in when it has ended.
    pub(super) broker: Option<Arc<BrokerClient>>,
    pub(super) console: Arc<Console>,
    /// An installed version that did not stand its trial in the last run, and why: the next run begins with the one before it.
    pub(super) failed_trial: Option<(Home, String)>,
    /// Since when a product is being loaded that the last run did not have.
    pub(super) loading_product: Option<Instant>,
    /// The newest job of teaching on the page.
    pub(super) teaching: TeachingMemory,
    /// The id of the next part: ids go on from run to run.
    pub(super) next_part: u64,
}

impl<'a> LineService<'a> {
    pub(super) fn new(
        manager: LineManager,
        reload: Reload,
        path: Option<&'a Path>,
        telemetry: Telemetry,
        console: Arc<Console>,
    ) -> LineService<'a> {
        let machine = machine();
        let (broker, failed_trial, loading_product) = (None, None, None);
        LineService {
            machine,
            manager,
            reload,
            path,
            telemetry,
            broker,
            console,
            failed_trial,
            loading_product,
            teaching: TeachingMemory::default(),
            next_part: 1,
        }
    }

    /// Reads the configuration of this line again: of several cameras that of this one.
    ///
    /// # Errors
    /// Where it cannot be read or is invalid, or the camera is not in it any more.
    pub(super) fn configuration(&self) -> anyhow::Result<Config> {
        configuration_of(self.path, self.telemetry.camera())
    }

    /// Says what is wrong with it, where something is; of several cameras the whole file is read.
    pub(super) fn check(&self) -> Box<dyn Fn() -> Result<(), String> + Send + Sync> {
        let (path, camera) = (self.path.map(Path::to_path_buf), self.telemetry.camera().map(str::to_string));
        Box::new(move || {
            let config = configuration_of(path.as_deref(), camera.as_deref());
            config.and_then(|config| Ok(config.check_secrets()?)).map_err(|error| format!("{error:#}"))
        })
    }

    /// Begins to read and try it beside the run in use, which writes to `output`.
    pub(super) fn begin_reading(&self, output: PathBuf) -> anyhow::Result<NewConfiguration<Config>> {
        let (path, camera) = (self.path.map(Path::to_path_buf), self.telemetry.camera().map(str::to_string));
        NewConfiguration::begin(move || {
            let next = configuration_of(path.as_deref(), camera.as_deref())?;
            try_beside(&next, &[output]).map(|()| next)
        })
    }

    /// From now on records and faults belong to a new run; its records wait in the queue until its file is open.
    pub(super) fn begin_run(&self) -> Receiver<Record> {
        let (boot, pid) = (self.machine.boot.as_deref().unwrap_or_default(), std::process::id());
        let hash = sha256(format!("{boot} {pid} {}", jiff::Timestamp::now().as_nanosecond()).as_bytes());
        self.telemetry.begin_run(u64::from_str_radix(&hash[..16], 16).unwrap_or(u64::from(pid) << 32))
    }

    /// Reports that a new configuration was refused.
    pub(super) fn refuse_reload(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        let record = self.telemetry.record(log::Level::Error, "reload_refused");
        self.telemetry.log(record.with("error", error.as_str()));
        self.manager.status(&format!("the new configuration was refused, the old one stays: {error}"));
    }
}
