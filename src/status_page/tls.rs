//! TLS for the page: the line's certificate, and connections that begin with a handshake.

use crate::files;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

/// What may wait to be sent on a connection, in bytes.
const BUFFER: usize = 32 << 10;
/// Upper bound of the memory of one connection, in bytes: a message of a handshake (64 KiB), a record as it came and decrypted, what waits
/// to be sent twice, and keys.
pub const TLS_BYTES: usize = 192 << 10;

/// The certificate of a line, with its key.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

/// The file of a [`ServerTls`] that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTlsFile {
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
}

/// An encrypted connection.
pub struct TlsStream {
    stream: StreamOwned<ServerConnection, TcpStream>,
    is_ending: bool,
}

impl ServerTls {
    /// Reads the PEM files of a certificate, with those between it and an authority after it, and of its key.
    ///
    /// # Errors
    /// The file that is wrong, and why.
    pub fn read(certificate: &Path, key: &Path) -> Result<ServerTls, (ServerTlsFile, String)> {
        let in_file = |path: &Path, problem: String| format!("{}: {problem}", path.display());
        let pem = files::read(certificate, files::MAX_PEM);
        let pem = pem.map_err(|error| (ServerTlsFile::Certificate, in_file(certificate, error.to_string())))?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
        if chain.is_empty() {
            let problem = "holds no certificate: a PEM file with BEGIN CERTIFICATE is needed".into();
            return Err((ServerTlsFile::Certificate, in_file(certificate, problem)));
        }
        let blame = |problem: String| (ServerTlsFile::Key, in_file(key, problem));
        let pem = files::read_secret(key, files::MAX_PEM).map_err(|error| blame(error.to_string()))?;
        let secret = PrivateKeyDer::from_pem_slice(&pem);
        let secret = secret.map_err(|_| blame("holds no key: a PEM file with BEGIN PRIVATE KEY is needed".into()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| blame(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| blame(format!("is not that of {}: {error}", certificate.display())))?;
        Ok(ServerTls(Arc::new(config)))
    }

    /// Begins with a client; the handshake goes on as it sends.
    ///
    /// # Errors
    /// Where there is no session.
    pub fn accept(&self, socket: TcpStream) -> io::Result<TlsStream> {
        let mut session = ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(BUFFER));
        Ok(TlsStream { stream: StreamOwned::new(session, socket), is_ending: false })
    }
}

impl TlsStream {
    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        &self.stream.sock
    }

    /// See [`super::stream::ClientStream::end`].
    ///
    /// # Errors
    /// Of the socket.
    pub fn end(&mut self) -> io::Result<()> {
        if !self.is_ending {
            self.stream.conn.send_close_notify();
            self.is_ending = true;
        }
        self.flush()
    }
}

impl Read for TlsStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.read(bytes)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut self.stream.sock)?;
        }
        Ok(())
    }
}
