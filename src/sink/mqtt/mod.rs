//! A broker (MQTT) hears of everything that is written down: how a fleet is watched that already has one.
//!
//! ```text
//! writer: offer(record) --> spool.rs, files.rs --> sender.rs (a thread) --> session.rs --> link.rs (TCP, tls.rs) --> broker
//! main:   show(status)  --> the newest only ------^                          acknowledged --> forgotten by the spool
//! ```
//!
//! Whoever offers a record waits for the disk and never for the broker. Records go in order and at least once; the `id` of an
//! event tells which ones are doubles. `discovery.rs` tells Home Assistant what there is.

mod discovery;
mod files;
mod link;
mod sender;
mod session;
mod spool;
mod tls;

pub use tls::{Fault, tls};

use crate::record::fault::{self, Cause};
use crate::record::{Record, json_line};
use crate::times::FLUSH;
use session::Session;
use spool::Spool;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that a broker takes, at most, beside the records on the disk: the sender's stack, a TLS session with the authorities
/// of a whole system, and the records that are on their way.
pub const BYTES: usize = STACK + (1 << 20);
const STACK: usize = 1 << 19;

/// Which broker, and how to speak to it.
pub struct Terms {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What it knows this line by.
    pub client_id: String,
    /// What all topics begin with.
    pub topic: String,
    /// As whom to log in.
    pub username: Option<String>,
    /// With what.
    pub password: Option<String>,
    /// The silence after which either side asks whether the other is there.
    pub keep_alive: Duration,
    /// What the topics of Home Assistant's discovery begin with.
    pub discovery: Option<String>,
    /// Encrypted by this; absent: not.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The machine's name.
    pub machine: String,
    /// What the board calls itself.
    pub board: Option<String>,
}

/// Why there is no connection, or no more; one line.
#[derive(Debug, PartialEq, Eq)]
struct Trouble(String);

impl Terms {
    /// Tries to log in, beside the line that may be running.
    ///
    /// # Errors
    /// Why not, in one line.
    pub fn prove(&self) -> Result<(), String> {
        let session = Session::open(self, &format!("{}-check", self.client_id), None);
        session.and_then(Session::close).map_err(|trouble| self.place(&trouble))
    }

    fn place(&self, trouble: &Trouble) -> String {
        format!("broker {self}: {}", trouble.0)
    }

    /// Where `online` or `offline` stands.
    fn presence(&self) -> String {
        format!("{}/online", self.topic)
    }

    /// Where records of a kind go.
    fn topic_of(&self, kind: &str) -> String {
        format!("{}/{kind}", self.topic)
    }
}

impl std::fmt::Display for Terms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A broker that is told what happens.
pub struct Broker {
    shared: Arc<Shared>,
}

/// What the sender shares with those who have something to tell.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// `None` once the run is over: a sender that is stuck in a call must not touch what the next run may have.
    spool: Option<Spool>,
    /// The newest status that was not published yet.
    status: Option<String>,
    stopping: bool,
    /// The sender is through.
    done: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// Records wait in `folder`, in at most `budget` bytes, and go as soon as the broker is there.
    ///
    /// # Errors
    /// Where another process uses the folder, or there can be no more threads.
    pub fn start(terms: Terms, folder: &Path, budget: u64) -> io::Result<Broker> {
        let (spool, trouble) = Spool::open(folder, budget)?;
        if let Some(error) = trouble {
            fault::failed(Cause::Spool, &format!("{}: {error}", folder.display()));
        }
        let state = State { spool: Some(spool), status: None, stopping: false, done: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let for_sender = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("mqtt".into()).stack_size(STACK);
        thread.spawn(move || sender::run(&for_sender, &terms))?;
        Ok(Broker { shared })
    }

    /// Takes a record that is written down. A status is none: of those only the newest matters, see [`Broker::show`].
    pub fn offer(&self, record: &Record) {
        if record.kind() == "status" {
            return;
        }
        let line = json_line(record, false);
        let pushed = self.shared.lock().spool.as_mut().map(|spool| spool.push(line));
        match pushed {
            Some(Err(error)) => fault::failed(Cause::Spool, &format!("the records for the broker: {error}")),
            _ => fault::well(Cause::Spool),
        }
    }

    /// Takes a status, in the place of the last one.
    pub fn show(&self, status: &Record) {
        self.shared.lock().status = Some(json_line(status, false));
    }

    /// Sends what still can be sent within [`FLUSH`]; the rest waits for the next run.
    pub fn stop(&self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(state, FLUSH, |state| !state.done);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.spool = None;
    }
}
