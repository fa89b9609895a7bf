//! The byte stream to the broker: TCP, with or without TLS. No call here blocks for long.

use super::settings::BrokerSettings;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Timeout for connecting, for writing, and for an answer of the broker.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The error text for a broker that closes the connection.
pub const CLOSED: &str = "closed the connection";

/// Why a connection failed or ended, as one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConnectionError(pub String);

/// An open connection.
pub struct Transport {
    stream: TransportStream,
    tcp: TcpStream,
}

enum TransportStream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    /// Connects to the first reachable address of the broker's name.
    ///
    /// # Errors
    /// If none is reachable within [`PATIENCE`], or TLS fails.
    pub fn open(settings: &BrokerSettings) -> Result<Transport, ConnectionError> {
        let begun = Instant::now();
        let addresses =
            (settings.host.as_str(), settings.port).to_socket_addrs().map_err(|error| unresolved(&error))?;
        let mut last = ConnectionError("the name has no address".into());
        let mut connected = None;
        for address in addresses {
            let left = PATIENCE.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(&address, left) {
                Ok(tcp) => {
                    connected = Some(tcp);
                    break;
                }
                Err(error) => last = ConnectionError(describe_io(&error)),
            }
        }
        let Some(tcp) = connected else { return Err(last) };
        let failed = |error: io::Error| ConnectionError(describe_io(&error));
        tcp.set_nodelay(true).map_err(failed)?;
        tcp.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        tcp.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let handle = tcp.try_clone().map_err(failed)?;
        let stream = match &settings.tls {
            None => TransportStream::Plain(tcp),
            Some(config) => {
                let name = ServerName::try_from(settings.host.clone());
                let name = name.map_err(|_| ConnectionError("a certificate cannot name such a host".into()))?;
                let tls = ClientConnection::new(config.clone(), name);
                let mut tls = StreamOwned::new(tls.map_err(|error| ConnectionError(format!("TLS: {error}")))?, tcp);
                while tls.conn.is_handshaking() {
                    tls.conn.complete_io(&mut tls.sock).map_err(|error| match describe_tls(&error) {
                        closed if closed == CLOSED => {
                            ConnectionError(format!("{CLOSED}: does it speak TLS there (mqtt.port)?"))
                        }
                        other => ConnectionError(other),
                    })?;
                }
                TransportStream::Tls(Box::new(tls))
            }
        };
        Ok(Transport { stream, tcp: handle })
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// If the connection is closed, or the broker does not take them within [`PATIENCE`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let sent = match &mut self.stream {
            TransportStream::Plain(tcp) => tcp.write_all(bytes),
            TransportStream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        sent.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                ConnectionError(format!("took nothing for {} s", PATIENCE.as_secs()))
            }
            _ => ConnectionError(describe_tls(&error)),
        })
    }

    /// Reads what arrives within `wait`; 0 bytes if nothing does.
    ///
    /// # Errors
    /// If the connection is closed.
    pub fn receive(&mut self, wait: Duration, buffer: &mut [u8]) -> Result<usize, ConnectionError> {
        self.tcp.set_read_timeout(Some(wait)).map_err(|error| ConnectionError(describe_io(&error)))?;
        let read = match &mut self.stream {
            TransportStream::Plain(tcp) => tcp.read(buffer),
            TransportStream::Tls(tls) => tls.read(buffer),
        };
        match read {
            Ok(0) => Err(ConnectionError(CLOSED.into())),
            Ok(bytes) => Ok(bytes),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Ok(0)
            }
            Err(error) => Err(ConnectionError(describe_tls(&error))),
        }
    }
}

fn unresolved(error: &io::Error) -> ConnectionError {
    // Rust puts words of its own before the resolver's.
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    ConnectionError(format!("the name is not known: {text}"))
}

/// The text of a socket error, without its number.
fn describe_io(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there (connection refused)".into(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("no answer within {} s", PATIENCE.as_secs()),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => CLOSED.into(),
        _ => error.to_string(),
    }
}

fn describe_tls(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => {
            format!(
                "TLS: its certificate is not accepted: {why}; mqtt.tls.ca names who may vouch for it, mqtt.host its name"
            )
        }
        Some(rustls::Error::InvalidMessage(_)) => "TLS: does it speak TLS there (mqtt.port)?".into(),
        Some(other) => format!("TLS: {other}"),
        None => describe_io(error),
    }
}
