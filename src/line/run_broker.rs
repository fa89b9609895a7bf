//! The broker's client of a run: it starts before the run's first record and ends with the run, however that ends.

use super::service::LineService;
use crate::config::Config;
use crate::sink::mqtt::{BrokerClient, BrokerSettings};
use anyhow::Context;
use std::path::Path;
use std::sync::Arc;

/// Stops the client when it is dropped. Its thread holds the queue's folder: while it lives no other run can have that.
pub(super) struct RunBroker(Option<Arc<BrokerClient>>);

impl RunBroker {
    /// Of a run that may have none.
    pub(super) fn new(client: Option<Arc<BrokerClient>>) -> RunBroker {
        RunBroker(client)
    }

    /// The client, until it is stopped.
    pub(super) fn client(&self) -> Option<&Arc<BrokerClient>> {
        self.0.as_ref()
    }

    /// Sends what can be sent soon; the rest stays queued for the next run.
    pub(super) fn stop(&mut self) {
        if let Some(client) = self.0.take() {
            client.stop();
        }
    }
}

impl Drop for RunBroker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl LineService<'_> {
    /// Starts the broker's thread; records that it cannot send wait beside the results.
    pub(super) fn start_broker(
        &mut self,
        config: &Config,
        settings: BrokerSettings,
        output: &Path,
    ) -> anyhow::Result<Arc<BrokerClient>> {
        let budget = config.mqtt.as_ref().map_or(0, |section| section.spill.get_ref().as_u64());
        let broker = BrokerClient::start(settings, output, budget, self.telemetry.clone(), self.broker.as_deref());
        let unusable = || format!("{}: cannot keep records for the broker there (output.folder)", output.display());
        let broker = Arc::new(broker.with_context(unusable)?);
        self.broker = Some(Arc::clone(&broker));
        Ok(broker)
    }
}
