//! The publisher's interface to the rest of the program.

use super::sender;
use super::settings::BrokerSettings;
use super::shared::SharedState;
use super::spool::Spool;
use crate::telemetry::{Cause, Record, Telemetry, json_line};
use crate::threads::not_started;
use crate::times::FLUSH;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Upper bound of the memory for a broker, in bytes, beside the records on the disk: the sender's stack, a TLS session with a
/// system's certificate authorities, and the records in flight.
pub const BYTES: usize = STACK + (1 << 20);
const STACK: usize = 1 << 19;

/// Publishes records from a thread of its own.
pub struct BrokerClient {
    shared: Arc<SharedState>,
    thread: JoinHandle<()>,
    telemetry: Telemetry,
}

impl BrokerClient {
    /// Starts the sender. Records are queued in `folder`, in at most `budget` bytes, and sent as soon as the broker is
    /// connected.
    ///
    /// # Errors
    /// If another process uses the folder, or the thread cannot be started.
    pub fn start(
        settings: BrokerSettings,
        folder: &Path,
        budget: u64,
        telemetry: Telemetry,
    ) -> io::Result<BrokerClient> {
        let (spool, disk_error) = Spool::open(folder, budget)?;
        if let Some(error) = disk_error {
            telemetry.fail(Cause::Spool, &format!("{}: {error}", folder.display()));
        }
        let shared = Arc::new(SharedState::new(spool));
        let (for_sender, its_telemetry) = (Arc::clone(&shared), telemetry.clone());
        let thread = std::thread::Builder::new().name("mqtt".into()).stack_size(STACK);
        let thread = thread.spawn(move || sender::run(&for_sender, &settings, &its_telemetry));
        let thread = thread.map_err(|error| not_started("mqtt", &error))?;
        Ok(BrokerClient { shared, thread, telemetry })
    }

    /// Whether its thread has panicked.
    pub fn has_failed(&self) -> bool {
        self.thread.is_finished() && !self.shared.is_stopping()
    }

    /// Queues a record. A status is not queued: only the newest one matters, see [`BrokerClient::set_status`].
    pub fn enqueue(&self, record: &Record) {
        if record.kind() == "status" {
            return;
        }
        let line = json_line(record, false);
        match self.shared.with_spool(|spool| spool.push(line)) {
            Some(Err(error)) => self.telemetry.fail(Cause::Spool, &format!("the records for the broker: {error}")),
            _ => self.telemetry.resolve(Cause::Spool),
        }
    }

    /// Publishes a status, in place of one that has not been published yet.
    pub fn set_status(&self, status: &Record) {
        self.shared.set_status(json_line(status, false));
    }

    /// Sends what can be sent within [`FLUSH`]; the rest stays queued for the next run.
    pub fn stop(&self) {
        self.shared.stop(FLUSH);
    }
}
