//! A connection that ends in time: whoever sends or reads too slowly is left alone.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The head of a request has to be there within this time.
pub const HEAD: Duration = Duration::from_secs(5);
/// An answer has to be taken within this time.
pub const ANSWER: Duration = Duration::from_secs(30);
/// A picture of the live view has to be taken within this time; what the socket holds already does not count.
pub const PICTURE: Duration = Duration::from_secs(10);
/// How long a refused visitor may go on sending before the connection is closed, so that he gets to read why.
const LINGER: Duration = Duration::from_millis(300);

/// A socket with a deadline.
pub struct Connection {
    socket: TcpStream,
    deadline: Instant,
}

impl Connection {
    /// A connection that has [`HEAD`] from now on.
    pub fn new(socket: TcpStream) -> Connection {
        Connection { socket, deadline: Instant::now() + HEAD }
    }

    /// From now on there is so much time.
    pub fn allow(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    /// Reads what is there, at least a byte.
    ///
    /// # Errors
    /// As of a socket; `TimedOut` or `WouldBlock` where the time is over.
    pub fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(bytes)
    }

    /// Writes all.
    ///
    /// # Errors
    /// As of a socket; `TimedOut` or `WouldBlock` where the time is over.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A blocking write goes on until all is written, however slowly: so pieces of what fits the socket's buffer.
            let piece = &bytes[..bytes.len().min(16 << 10)];
            self.socket.set_write_timeout(Some(self.left()?))?;
            match self.socket.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says the end, and reads on for a moment: closing over unread bytes would take the answer back.
    pub fn finish(mut self) {
        self.allow(LINGER);
        let _ = self.socket.shutdown(Shutdown::Write);
        let (mut bytes, mut most) = ([0; 4096], 64);
        while most > 0 && self.read(&mut bytes).is_ok_and(|read| read > 0) {
            most -= 1;
        }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}
