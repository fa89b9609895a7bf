//! A client's socket, with TLS or without.

use super::tls::TlsStream;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What a client sends and gets.
pub enum ClientStream {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream>),
}

impl ClientStream {
    /// The socket below, for its options.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            ClientStream::Plain(socket) => socket,
            ClientStream::Tls(stream) => stream.tcp(),
        }
    }

    /// The client's address.
    ///
    /// # Errors
    /// Of the socket.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp().peer_addr()
    }

    /// Sends what was written, and that nothing more comes. May be called again where it would have had to wait.
    ///
    /// # Errors
    /// Of the socket.
    pub fn end(&mut self) -> io::Result<()> {
        match self {
            ClientStream::Plain(_) => Ok(()),
            ClientStream::Tls(stream) => stream.end(),
        }
    }
}

impl Read for ClientStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            ClientStream::Plain(socket) => socket.read(bytes),
            ClientStream::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for ClientStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            ClientStream::Plain(socket) => socket.write(bytes),
            ClientStream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            ClientStream::Plain(_) => Ok(()),
            ClientStream::Tls(stream) => stream.flush(),
        }
    }
}
