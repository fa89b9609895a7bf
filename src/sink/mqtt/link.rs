//! The way to the broker: TCP, with TLS or without. Nothing here waits for long.

use super::{Terms, Trouble};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The longest that a connection may take to come about, and that the broker may take to accept bytes or to answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What is said of a broker that hangs up.
pub const CLOSED: &str = "closed the connection";

/// An open connection.
pub struct Link {
    stream: Stream,
    tcp: TcpStream,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Link {
    /// Connects to one of the addresses that the broker's name has.
    pub fn open(terms: &Terms) -> Result<Link, Trouble> {
        let begun = Instant::now();
        let addresses = (terms.host.as_str(), terms.port).to_socket_addrs().map_err(|error| unknown(&error))?;
        let mut last = Trouble("the name has no address".into());
        let mut connected = None;
        for address in addresses {
            let left = PATIENCE.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(&address, left) {
                Ok(tcp) => {
                    connected = Some(tcp);
                    break;
                }
                Err(error) => last = Trouble(plain(&error)),
            }
        }
        let Some(tcp) = connected else { return Err(last) };
        let failed = |error: io::Error| Trouble(plain(&error));
        tcp.set_nodelay(true).map_err(failed)?;
        tcp.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        tcp.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let handle = tcp.try_clone().map_err(failed)?;
        let stream = match &terms.tls {
            None => Stream::Plain(tcp),
            Some(config) => {
                let name = ServerName::try_from(terms.host.clone());
                let name = name.map_err(|_| Trouble("a certificate cannot name such a host".into()))?;
                let tls = ClientConnection::new(config.clone(), name);
                let mut tls = StreamOwned::new(tls.map_err(|error| Trouble(format!("TLS: {error}")))?, tcp);
                while tls.conn.is_handshaking() {
                    tls.conn.complete_io(&mut tls.sock).map_err(|error| match of_tls(&error) {
                        closed if closed == CLOSED => {
                            Trouble(format!("{CLOSED}: does it speak TLS there (mqtt.port)?"))
                        }
                        other => Trouble(other),
                    })?;
                }
                Stream::Tls(Box::new(tls))
            }
        };
        Ok(Link { stream, tcp: handle })
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let sent = match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        sent.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Trouble(format!("took nothing for {} s", PATIENCE.as_secs()))
            }
            _ => Trouble(of_tls(&error)),
        })
    }

    /// Reads what there is, or comes within `wait`; 0 where nothing does.
    pub fn receive(&mut self, wait: Duration, buffer: &mut [u8]) -> Result<usize, Trouble> {
        self.tcp.set_read_timeout(Some(wait)).map_err(|error| Trouble(plain(&error)))?;
        let read = match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(buffer),
            Stream::Tls(tls) => tls.read(buffer),
        };
        match read {
            Ok(0) => Err(Trouble(CLOSED.into())),
            Ok(bytes) => Ok(bytes),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                Ok(0)
            }
            Err(error) => Err(Trouble(of_tls(&error))),
        }
    }
}

fn unknown(error: &io::Error) -> Trouble {
    // The resolver's own words stand behind Rust's.
    let said = error.to_string();
    let said = said.strip_prefix("failed to lookup address information: ").unwrap_or(&said);
    Trouble(format!("the name is not known: {said}"))
}

/// Without the number, which says nothing more.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there (connection refused)".into(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("no answer within {} s", PATIENCE.as_secs()),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => CLOSED.into(),
        _ => error.to_string(),
    }
}

fn of_tls(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => {
            format!(
                "TLS: its certificate is not accepted: {why}; mqtt.tls.ca names who may vouch for it, mqtt.host its name"
            )
        }
        Some(rustls::Error::InvalidMessage(_)) => "TLS: does it speak TLS there (mqtt.port)?".into(),
        Some(other) => format!("TLS: {other}"),
        None => plain(error),
    }
}
