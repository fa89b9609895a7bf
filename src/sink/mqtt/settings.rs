//! Which broker a line publishes to, and under which topics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Payload of the availability topic while the line is connected.
pub(super) const ONLINE: &str = "online";
/// Payload of the availability topic otherwise: the last will, and the last message of a run.
pub(super) const OFFLINE: &str = "offline";

/// Gets each message on the topic of commands, and whether it was retained; on the sender's thread.
pub type CommandHandler = Arc<dyn Fn(&[u8], bool) + Send + Sync>;

/// The address of a broker, the credentials for it, and the topics to publish under.
pub struct BrokerSettings {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// MQTT client identifier.
    pub client_id: String,
    /// Prefix of all topics.
    pub topic: String,
    /// User name, if the broker asks for one.
    pub username: Option<String>,
    /// Password of that user.
    pub password: Option<String>,
    /// MQTT keep-alive: the longest silence before a ping.
    pub keep_alive: Duration,
    /// Topic prefix of Home Assistant's discovery; `None` turns discovery off.
    pub discovery: Option<String>,
    /// TLS configuration; `None` for an unencrypted connection.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// Whether pictures of defects are published.
    pub pictures: bool,
    /// Obeys messages on the topic `set`; `None`: nobody may ask for anything.
    pub commands: Option<CommandHandler>,
    /// Host name of this board; of several cameras with the name of this one.
    pub machine: String,
    /// Board model, where known.
    pub board: Option<String>,
}

impl BrokerSettings {
    /// The topic whose payload is [`ONLINE`] or [`OFFLINE`].
    pub(super) fn availability_topic(&self) -> String {
        format!("{}/online", self.topic)
    }

    /// The topic of commands.
    pub(super) fn command_topic(&self) -> String {
        format!("{}/set", self.topic)
    }

    /// The topic of records of a kind.
    pub(super) fn topic_of(&self, kind: &str) -> String {
        format!("{}/{kind}", self.topic)
    }
}

/// `host:port`.
impl fmt::Display for BrokerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
