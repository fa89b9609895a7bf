//! A connection with a deadline: clients that send or read too slowly are disconnected.

use super::response::head_length;
use super::stream::ClientStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// Time for sending the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for reading an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for reading a frame of the live view into the socket's buffer.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may go on sending before the connection is closed, so that it can read the answer.
pub const LINGER: Duration = Duration::from_millis(300);

/// The same of a client that was refused while it sends a body.
pub const BODY_LINGER: Duration = Duration::from_secs(2);
/// Time for sending a body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a client may be silent before it is asked whether it is still there, and how often it is asked after that.
const PROBE: Duration = Duration::from_secs(1);
/// How many of these questions remain without an answer before a client is gone: a phone may sleep for a moment.
const PROBES: u32 = 4;

/// A socket with a deadline.
pub struct Connection {
    socket: ClientStream,
    deadline: Instant,
    /// `HEAD`: what follows the head of the answer is not sent.
    wants_head: bool,
    /// Whether the head was sent.
    has_head: bool,
}

impl Connection {
    /// A connection whose deadline is [`ANSWER_TIMEOUT`] from now; `wants_head`: of the answer, the head alone is sent.
    ///
    /// # Errors
    /// Of the socket.
    pub fn new(socket: ClientStream, wants_head: bool) -> io::Result<Connection> {
        socket.tcp().set_nonblocking(false)?;
        // A peer that lost power or its network says no goodbye.
        let keep_alive = TcpKeepalive::new().with_time(PROBE).with_interval(PROBE).with_retries(PROBES);
        SockRef::from(socket.tcp()).set_tcp_keepalive(&keep_alive)?;
        Ok(Connection { socket, deadline: Instant::now() + ANSWER_TIMEOUT, wants_head, has_head: false })
    }

    /// The client's address, for records.
    pub fn peer(&self) -> String {
        self.socket.peer_addr().map_or(String::new(), |peer| peer.ip().to_canonical().to_string())
    }

    /// Whether the client has closed the connection. Does not wait.
    pub fn is_hung_up(&self) -> bool {
        let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut polled = [PollFd::new(self.socket.tcp(), PollFlags::RDHUP)];
        let now = Timespec::default();
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(ends)
    }

    /// Sets the deadline, from now.
    pub fn set_timeout(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    /// Reads at least one byte; 0 at the end of the stream.
    ///
    /// # Errors
    /// Of the socket; `TimedOut` or `WouldBlock` after the deadline.
    pub fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.tcp().set_read_timeout(Some(self.time_left()?))?;
        self.socket.read(bytes)
    }

    /// Reads until so many bytes are there, beginning with those that arrived before. The deadline is that of the whole.
    ///
    /// # Errors
    /// As [`Connection::read`]; `UnexpectedEof` where the client ends before, `OutOfMemory` where there is no room.
    pub fn read_body(&mut self, begun: &[u8], length: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        body.try_reserve_exact(length).map_err(|_| ErrorKind::OutOfMemory)?;
        body.extend_from_slice(&begun[..begun.len().min(length)]);
        let mut have = body.len();
        body.resize(length, 0);
        while have < length {
            match self.read(&mut body[have..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => have += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(body)
    }

    /// Whether what follows the head of the answer is sent.
    pub fn wants_more(&self) -> bool {
        !self.wants_head
    }

    /// Writes all bytes; of those of an answer to `HEAD`, the head, which is in the first ones.
    ///
    /// # Errors
    /// Of the socket; `TimedOut` or `WouldBlock` after the deadline.
    pub fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if self.wants_head {
            bytes = if self.has_head { &[] } else { &bytes[..head_length(bytes)] };
            self.has_head = true;
        }
        while !bytes.is_empty() {
            // A blocking write goes on until all is written, however slowly, so it is done in pieces that fit the socket's buffer.
            let piece = &bytes[..bytes.len().min(16 << 10)];
            self.socket.tcp().set_write_timeout(Some(self.time_left()?))?;
            match self.socket.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Of what is encrypted the end may wait.
        self.socket.tcp().set_write_timeout(Some(self.time_left()?))?;
        self.socket.flush()
    }

    /// Closes the writing side and reads on for a moment: closing with unread bytes would discard the answer.
    pub fn finish(mut self) {
        self.set_timeout(LINGER);
        let _ = self.socket.tcp().set_write_timeout(Some(LINGER));
        let _ = self.socket.end();
        let _ = self.socket.tcp().shutdown(Shutdown::Write);
        let (mut bytes, mut reads_left) = ([0; 4096], 64);
        while reads_left > 0 && self.read(&mut bytes).is_ok_and(|read| read > 0) {
            reads_left -= 1;
        }
    }

    fn time_left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}
