//! In place of `tls.rs` in a program that was built without the feature `mqtt`, which brings TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;

/// See `tls.rs`.
pub const TLS_BYTES: usize = 0;

/// There is none.
#[derive(Clone)]
pub enum ServerTls {}

/// See `tls.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTlsFile {
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
}

/// There is none.
pub enum TlsStream {}

impl ServerTls {
    /// # Errors
    /// Always: what to do.
    pub fn read(_: &Path, _: &Path) -> Result<ServerTls, (ServerTlsFile, String)> {
        let problem = "this program was built without TLS (feature mqtt): put a proxy before the page";
        Err((ServerTlsFile::Certificate, problem.into()))
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn accept(&self, _: TcpStream) -> io::Result<TlsStream> {
        match *self {}
    }
}

impl TlsStream {
    /// Cannot be called.
    pub fn tcp(&self) -> &TcpStream {
        match *self {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None.
    pub fn end(&mut self) -> io::Result<()> {
        match *self {}
    }
}

impl Read for TlsStream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

impl Write for TlsStream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match *self {}
    }
}
