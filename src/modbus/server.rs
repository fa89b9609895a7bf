//! The server's thread: a few clients, each with a buffer of one frame, none of which is waited for.

use super::frame::{ClientRights, FrameError, LONGEST, answer};
use super::registers::{LineMap, LineState, PlcStatus};
use crate::pipeline::Commands;
use crate::sink::LastResult;
use crate::status_page::describe_bind_error;
use crate::telemetry::{Cause, Telemetry};
use crate::threads::{join_within, not_started};
use crate::times::{BEAT, FLUSH};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The name of its thread.
pub const MODBUS_THREAD: &str = "modbus";

/// The most clients at a time.
const CLIENTS: usize = 8;
/// How long clients are waited for.
const PATIENCE: Patience =
    Patience { silent: Duration::from_secs(10), idle: Duration::from_secs(60), frame: Duration::from_secs(5) };
/// The delay after the address could not be bound.
const BIND_RETRY: Duration = Duration::from_secs(5);
/// What is wrong with clients is reported once in so long, with a count.
const REPORT: Duration = Duration::from_secs(60);
const STACK: usize = 256 << 10;
/// Buffers of a connection in the kernel, in bytes: some dozen requests and answers.
const SOCKET_BUFFER: usize = 8 << 10;

/// Where the server listens, and who may do what.
#[derive(Debug, Clone)]
pub struct ModbusSettings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Clients that are let in; empty: all.
    pub allow: Vec<IpAddr>,
    /// What they may do.
    pub rights: ClientRights,
}

/// Upper bound of the server's memory, in bytes: its stack, the clients' frames, and the kernel's buffers for connections, each of which
/// the kernel counts twice.
pub fn max_bytes() -> u64 {
    (STACK + CLIENTS * (2 * LONGEST + 4 * SOCKET_BUFFER)) as u64
}

/// How long clients are waited for; tests on slow machines have more of it, so that it is not their speed that decides.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// A client that has asked for nothing for so long makes room for another one.
    silent: Duration,
    /// A client that has asked for nothing for so long is disconnected.
    idle: Duration,
    /// How long a frame may take from its first byte to its last.
    frame: Duration,
}

/// Serves until it is dropped.
pub struct ModbusServer {
    shared: Arc<SharedParts>,
    thread: Option<JoinHandle<()>>,
}

struct SharedParts {
    settings: ModbusSettings,
    patience: Patience,
    results: Arc<LastResult>,
    commands: Arc<Commands>,
    status: PlcStatus,
    stopping: AtomicBool,
    telemetry: Telemetry,
}

impl ModbusServer {
    /// Serves the results and commands of a run. An address that cannot be bound is a fault, and is tried again.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        settings: ModbusSettings,
        results: Arc<LastResult>,
        commands: Arc<Commands>,
        telemetry: Telemetry,
    ) -> io::Result<ModbusServer> {
        ModbusServer::start_patient(settings, PATIENCE, results, commands, telemetry)
    }

    fn start_patient(
        settings: ModbusSettings,
        patience: Patience,
        results: Arc<LastResult>,
        commands: Arc<Commands>,
        telemetry: Telemetry,
    ) -> io::Result<ModbusServer> {
        let (status, stopping) = (PlcStatus::default(), AtomicBool::new(false));
        let shared = Arc::new(SharedParts { settings, patience, results, commands, status, stopping, telemetry });
        let its = Arc::clone(&shared);
        let thread = Builder::new().name(MODBUS_THREAD.into()).stack_size(STACK).spawn(move || run(&its));
        let thread = thread.map_err(|error| not_started(MODBUS_THREAD, &error))?;
        Ok(ModbusServer { shared, thread: Some(thread) })
    }

    /// Whether its thread has panicked.
    pub fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Stores what the line does; called many times a second, never waits. `alive`: every thread has made progress since it was last
    /// true.
    pub fn update(&self, state: LineState, alive: bool) {
        self.shared.status.update(state, alive);
    }
}

impl Drop for ModbusServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            join_within(thread, FLUSH);
        }
    }
}

/// A client.
struct Client {
    socket: TcpStream,
    /// As records name it.
    name: String,
    buffer: [u8; LONGEST],
    filled: usize,
    /// When it asked last, and when the frame that is incomplete began.
    asked: Instant,
    begun: Option<Instant>,
}

/// Why a client is disconnected; counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It went, or asked for nothing any more: as it should be.
    Gone,
    Garbage(FrameError),
    /// A frame that took too long, or answers that it does not take.
    Slow,
}

/// What was wrong with clients since the last report.
#[derive(Default)]
struct Trouble {
    count: u64,
    text: String,
    reported: Option<Instant>,
}

fn run(shared: &SharedParts) {
    let (mut listener, mut tried) = (None, None::<Instant>);
    let (mut clients, mut trouble) = (Vec::<Client>::with_capacity(CLIENTS), Trouble::default());
    let mut out = Vec::with_capacity(LONGEST);
    while !shared.stopping.load(Relaxed) {
        if listener.is_none() && tried.is_none_or(|tried| tried.elapsed() >= BIND_RETRY) {
            tried = Some(Instant::now());
            listener = open(shared);
        }
        wait(listener.as_ref(), &clients);
        // Bounded, so that a flood of connections leaves time for the clients.
        for (socket, peer) in std::iter::from_fn(|| listener.as_ref().and_then(accept)).take(2 * CLIENTS) {
            admit(shared, &mut clients, socket, peer, &mut trouble);
        }
        clients.retain_mut(|client| match client.serve(shared, &mut out) {
            Ok(()) => true,
            Err(Ended::Gone) => false,
            Err(Ended::Garbage(error)) => {
                trouble.add(format!("{} sent {error}, and was disconnected", client.name));
                false
            }
            Err(Ended::Slow) => {
                trouble.add(format!("{} sends or reads too slowly, and was disconnected", client.name));
                false
            }
        });
        trouble.report(&shared.telemetry);
    }
    // What the last minute held back is not lost with the run.
    trouble.reported = None;
    trouble.report(&shared.telemetry);
}

/// Waits until somebody wants something, but not for long.
fn wait(listener: Option<&TcpListener>, clients: &[Client]) {
    let sockets = clients.iter().map(|client| PollFd::new(&client.socket, PollFlags::IN));
    let mut polled: Vec<PollFd> = listener.iter().map(|listener| PollFd::new(*listener, PollFlags::IN)).collect();
    polled.extend(sockets);
    let time = Timespec { tv_sec: 0, tv_nsec: BEAT.as_nanos() as _ };
    if polled.is_empty() || poll(&mut polled, Some(&time)).is_err() {
        std::thread::sleep(BEAT);
    }
}

fn open(shared: &SharedParts) -> Option<TcpListener> {
    let address = shared.settings.listen;
    match listen(address) {
        Ok(listener) => {
            shared.telemetry.resolve(Cause::Modbus);
            let at = listener.local_addr().unwrap_or(address).to_string();
            shared.telemetry.log(shared.telemetry.info("modbus").with("address", at));
            Some(listener)
        }
        Err(error) => {
            let problem = describe_bind_error(&error);
            shared.telemetry.fail(Cause::Modbus, &format!("{address}: {problem}"));
            None
        }
    }
}

/// A socket that listens there.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(CLIENTS as i32)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match listener.accept() {
            Ok(accepted) => return Some(accepted),
            // Closed before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            // Too many files are open: it stays so for a while, and the connection waits.
            Err(_) => {
                std::thread::sleep(BEAT);
                return None;
            }
        }
    }
}

/// Takes a client in, where it may come in and there is room, or one of the others has been silent.
fn admit(shared: &SharedParts, clients: &mut Vec<Client>, socket: TcpStream, peer: SocketAddr, trouble: &mut Trouble) {
    let address = peer.ip().to_canonical();
    if !shared.settings.allow.is_empty() && !shared.settings.allow.contains(&address) {
        return trouble.add(format!("{address} is not in modbus.allow, and was turned away"));
    }
    if socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true)).is_err() {
        return;
    }
    // Tells of a client whose cable was pulled before its time is over.
    let _ = SockRef::from(&socket).set_keepalive(true);
    if clients.len() >= CLIENTS {
        let longest = clients.iter().enumerate().min_by_key(|(_, client)| client.asked);
        match longest.filter(|(_, client)| client.asked.elapsed() >= shared.patience.silent).map(|(at, _)| at) {
            Some(at) => drop(clients.swap_remove(at)),
            None => {
                return trouble.add(format!("{address} was turned away: {CLIENTS} clients are connected already"));
            }
        }
    }
    let (name, now) = (format!("modbus {address}"), Instant::now());
    clients.push(Client { socket, name, buffer: [0; LONGEST], filled: 0, asked: now, begun: None });
}

impl Client {
    /// Reads what has come, as far as the buffer goes, and answers what is complete; the rest has to wait until the others had their turn.
    fn serve(&mut self, shared: &SharedParts, out: &mut Vec<u8>) -> Result<(), Ended> {
        match self.socket.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err(Ended::Gone),
            Ok(read) => {
                self.begun.get_or_insert_with(Instant::now);
                self.filled += read;
                while self.answer(shared, out)? {}
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return Err(Ended::Gone),
        }
        if self.begun.is_some_and(|begun| begun.elapsed() >= shared.patience.frame) {
            return Err(Ended::Slow);
        }
        if self.asked.elapsed() >= shared.patience.idle { Err(Ended::Gone) } else { Ok(()) }
    }

    /// Answers the first request in the buffer; false where it is incomplete.
    fn answer(&mut self, shared: &SharedParts, out: &mut Vec<u8>) -> Result<bool, Ended> {
        let SharedParts { settings, results, commands, status, .. } = shared;
        let mut map = LineMap { results, status, commands, client: &self.name };
        let taken = answer(&self.buffer[..self.filled], settings.rights, &mut map, out).map_err(Ended::Garbage)?;
        let Some(taken) = taken else { return Ok(false) };
        self.buffer.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        self.asked = Instant::now();
        self.begun = (self.filled > 0).then_some(self.asked);
        // The kernel has room for dozens of answers: a client for which it has none reads nothing.
        match self.socket.write(out) {
            Ok(written) if written == out.len() => Ok(true),
            Ok(_) => Err(Ended::Slow),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Ended::Slow),
            Err(_) => Err(Ended::Gone),
        }
    }
}

impl Trouble {
    fn add(&mut self, text: String) {
        self.count += 1;
        self.text = text;
    }

    /// Reports the newest of what was wrong, and how much more there was.
    fn report(&mut self, telemetry: &Telemetry) {
        if self.count == 0 || self.reported.is_some_and(|reported| reported.elapsed() < REPORT) {
            return;
        }
        telemetry.report_count("modbus", &std::mem::take(&mut self.text), std::mem::take(&mut self.count));
        self.reported = Some(Instant::now());
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
