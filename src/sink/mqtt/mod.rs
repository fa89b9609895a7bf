//! Publishes all records to an MQTT broker, for fleets that are monitored through one.
//!
//! ```text
//! writer: enqueue(record)    --> spool.rs, queue.rs --> sender.rs (a thread) --> session.rs --> transport.rs (TCP, TLS) --> broker
//! main:   set_status(status) --> the newest only ------^                         acknowledged --> removed from the spool
//! ```
//!
//! Enqueueing a record waits for the disk and never for the broker. Records are delivered in order and at least once; the `id`
//! of an event identifies duplicates. Of pictures of defects only the newest is published, where that is asked for. `discovery.rs` describes the line to Home Assistant. Messages on the topic `set` go to whoever
//! obeys commands, where somebody does.

mod client;
mod discovery;
mod picture;
mod queue;
mod sender;
mod session;
mod settings;
mod shared;
mod spool;
mod tls;
mod transport;

pub use client::{BYTES, BrokerClient};
// For the fuzz targets (fuzz/).
#[doc(hidden)]
pub use session::take_packet;
pub use settings::{BrokerSettings, CommandHandler};
pub use tls::{TlsFile, tls_config};

use session::Session;
#[cfg(test)]
pub(super) use spool::Spool;

/// Logs in once, under a client id of its own, so that it does not disconnect a line that is running.
///
/// # Errors
/// Why it is not possible, in one line.
pub fn check_connection(settings: &BrokerSettings) -> Result<(), String> {
    let session = Session::open(settings, &format!("{}-check", settings.client_id), None, &|| false);
    session.and_then(Session::close).map_err(|error| format!("broker {settings}: {error}"))
}
