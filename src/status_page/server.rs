//! The page's thread: accepts connections, answers what needs no thread, and encodes the live view.

use super::access::Access;
use super::connection::Connection;
use super::control::Control;
use super::encoder::JpegEncoderTask;
use super::events::RecentEvents;
use super::judge::{self, JUDGE_THREAD, JudgeQueue, PictureJudge};
use super::limits::{CONNECTIONS, PENDING, SEND_BUFFER, STACK};
use super::line_controls::LineControls;
use super::live::LiveFeed;
use super::page::{PageState, RunFacts};
use super::pending::{Authorized, PendingConnections};
use super::serve::serve;
use super::status_cell::Conditions;
use super::stream::ClientStream;
use super::teach_job::{self, TEACHING_THREAD};
use super::teaching::{Teaching, TeachingMemory};
use super::tls::ServerTls;
use crate::board::heat::Reading;
use crate::field::Interval;
use crate::pipeline::Status;
use crate::sink::Marks;
use crate::telemetry::{Cause, Telemetry};
use crate::threads::{describe_failure, join_within, not_started};
use crate::times;
use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How often the thread checks for connections and frames.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The name of the thread of a connection.
const CLIENT_THREAD: &str = "client";
/// How long the end of a run waits for the page's thread.
const PATIENCE: Duration = times::FLUSH;
/// The delay after the address could not be bound.
const BIND_RETRY: Duration = Duration::from_secs(5);

/// The name of the page's thread.
pub const STATUS_PAGE_THREAD: &str = "status page";

/// Serves the page until it is dropped.
pub struct StatusServer {
    page: Arc<PageState>,
    /// Its threads by name.
    threads: Vec<(&'static str, JoinHandle<()>)>,
}

/// How a page is served.
pub struct PageSettings {
    /// The address and the port.
    pub listen: SocketAddr,
    /// What clients have to present; `None`: nothing.
    pub token: Option<String>,
    /// What clients have to present to change something; `None`: the same.
    pub teach_token: Option<String>,
    /// With what connections are encrypted, where they are.
    pub tls: Option<ServerTls>,
    /// What may be changed of the line, where `control` is set.
    pub line: LineControls,
    /// Bytes of the disk that stay free when frames are marked; `None`: nothing may be changed.
    pub control: Option<u64>,
    /// The most bytes of the heap of a process that teaches, and the newest job; `None`: nothing is taught here.
    pub teaching: Option<(u64, TeachingMemory)>,
    /// Frames per second of the live view, at most.
    pub max_fps: f64,
    /// Who judges posted pictures; `None`: none is judged.
    pub judge: Option<PictureJudge>,
}

/// A connection that is being served.
struct ActiveConnection {
    thread: JoinHandle<()>,
    socket: TcpStream,
}

impl StatusServer {
    /// Serves the page of a run to clients with the token. Records and images of the run are in `folder`. If the address cannot be bound, that is a fault, and it is tried again; inspection
    /// does not depend on it.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(
        settings: PageSettings,
        live: Arc<LiveFeed>,
        facts: RunFacts,
        folder: PathBuf,
        telemetry: Telemetry,
    ) -> io::Result<StatusServer> {
        let PageSettings { listen, token, teach_token, tls, line, control, teaching, max_fps, judge } = settings;
        let access = Access::new(token).with_teacher(teach_token);
        let teaching = teaching.map(|(memory, newest)| Teaching::new(memory, newest));
        let teaches = teaching.is_some();
        let control =
            control.map(|keep_free| Control::new(Marks::new(folder.clone(), keep_free), teaching, telemetry.clone()));
        let (queue, judge) = judge.map(|judge| (JudgeQueue::new(judge.max_pixels), judge)).unzip();
        let (queue, jobs) = queue.unzip();
        let page =
            Arc::new(PageState::new(facts, access, live, RecentEvents::new(folder), (line, tls), queue, control));
        let mut server = StatusServer { page: Arc::clone(&page), threads: Vec::new() };
        if let (Some(judge), Some(jobs)) = (judge, jobs) {
            let own = Arc::clone(&page);
            let thread = judge::start(judge, jobs, move || own.is_stopping(), &telemetry)?;
            server.threads.push((JUDGE_THREAD, thread));
        }
        if teaches {
            server.threads.push((TEACHING_THREAD, teach_job::start(&page)?));
        }
        let work = move || run(&page, listen, max_fps, &telemetry);
        let thread = Builder::new().name(STATUS_PAGE_THREAD.into()).stack_size(STACK).spawn(work);
        let thread = thread.map_err(|error| not_started(STATUS_PAGE_THREAD, &error))?;
        server.threads.push((STATUS_PAGE_THREAD, thread));
        Ok(server)
    }

    /// The name of a thread of it that has panicked.
    pub fn failed_thread(&self) -> Option<&'static str> {
        self.threads.iter().find(|(_, thread)| thread.is_finished()).map(|(name, _)| *name)
    }

    /// Adds the durations of the interval since the last status record.
    pub fn record_interval(&self, interval: &Interval) {
        self.page.status.record_interval(interval);
    }

    /// Stores the status; called many times per second, never waits.
    pub fn update(&self, status: &Status, alive: bool, heat: &Reading, rung: Option<u8>) {
        self.page.status.update(status, alive, heat, rung);
    }

    /// Stores what else asks for somebody; called as often, never waits.
    pub fn set_conditions(&self, conditions: &Conditions) {
        self.page.status.set_conditions(conditions);
    }
}

impl Drop for StatusServer {
    fn drop(&mut self) {
        self.page.stop();
        for (_, thread) in self.threads.drain(..) {
            // Whoever reads records from a disk that hangs is not waited for.
            join_within(thread, PATIENCE);
        }
    }
}

/// Checks that the address can be bound now.
///
/// # Errors
/// Of the kernel.
pub fn check_bindable(address: SocketAddr) -> io::Result<()> {
    listen(address).map(drop)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    // Connections inherit the size.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(SEND_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(PENDING as i32)?;
    Ok(socket.into())
}

fn run(page: &Arc<PageState>, address: SocketAddr, max_fps: f64, telemetry: &Telemetry) {
    let (mut listener, mut tried) = (None, None::<Instant>);
    let (mut encoder, mut connections) = (JpegEncoderTask::new(max_fps, &page.live), Vec::<ActiveConnection>::new());
    let mut pending = PendingConnections::default();
    while !page.is_stopping() {
        if listener.is_none() && tried.is_none_or(|tried| tried.elapsed() >= BIND_RETRY) {
            tried = Some(Instant::now());
            listener = open(address, telemetry);
        }
        connections.retain(|connection| !connection.thread.is_finished());
        let mut authorized = pending.poll(page);
        // A flood must not keep the thread from the rest of its work.
        for socket in std::iter::from_fn(|| listener.as_ref().and_then(accept)).take(2 * PENDING) {
            let _ = SockRef::from(&socket).set_tcp_nodelay(true);
            authorized.extend(pending.admit(page, socket));
        }
        for one in authorized {
            match handle(page, one, connections.len(), telemetry) {
                Ok(connection) => connections.push(connection),
                Err(socket) => {
                    if let Some(socket) = socket {
                        pending.turn_away(page, socket);
                    }
                }
            }
        }
        encoder.poll(&page.live, &page.latest);
        std::thread::sleep(POLL_INTERVAL);
    }
    // Clients that neither read nor send would delay the end.
    for connection in &connections {
        let _ = connection.socket.shutdown(Shutdown::Both);
    }
    for connection in connections {
        let _ = connection.thread.join();
    }
}

fn open(address: SocketAddr, telemetry: &Telemetry) -> Option<TcpListener> {
    match listen(address) {
        Ok(listener) => {
            let at = listener.local_addr().unwrap_or(address).to_string();
            telemetry.resolve(Cause::Page);
            telemetry.log(telemetry.info("status_page").with("address", at));
            Some(listener)
        }
        Err(error) => {
            telemetry.fail(Cause::Page, &format!("{address}: {}", describe_bind_error(&error)));
            None
        }
    }
}

/// A bind error for people, and what to do.
pub fn describe_bind_error(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program listens there".into(),
        ErrorKind::AddrNotAvailable => "this board has no such address now".into(),
        ErrorKind::PermissionDenied => format!("{error}: ports below 1024 are root's, take a higher one"),
        _ if Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) => {
            "the unit allows no network: operations.md has the drop-in that does".into()
        }
        _ => error.to_string(),
    }
}

fn accept(listener: &TcpListener) -> Option<TcpStream> {
    loop {
        match listener.accept() {
            Ok((socket, _)) => return Some(socket),
            // Closed before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(_) => return None,
        }
    }
}

/// Starts a thread for a connection. Beyond [`CONNECTIONS`], and where no thread can be started, its socket comes back, if it can be answered. The line
/// goes on whatever becomes of a visitor.
fn handle(
    page: &Arc<PageState>,
    Authorized { socket, endpoint, wants_head }: Authorized,
    served: usize,
    telemetry: &Telemetry,
) -> Result<ActiveConnection, Option<ClientStream>> {
    if served >= CONNECTIONS {
        return Err(Some(socket));
    }
    let Ok(tcp) = socket.tcp().try_clone() else { return Err(Some(socket)) };
    // A session is that of its thread: where there is none, such a client is disconnected without a word.
    let is_plain = matches!(socket, ClientStream::Plain(_));
    let again = |tcp: TcpStream| Err(is_plain.then(|| ClientStream::Plain(tcp)));
    let Ok(connection) = Connection::new(socket, wants_head) else { return again(tcp) };
    let (page, its_telemetry) = (Arc::clone(page), telemetry.clone());
    let work = move || {
        if catch_unwind(AssertUnwindSafe(|| serve(&page, endpoint, connection))).is_err() {
            its_telemetry.fail(Cause::Page, &describe_failure(CLIENT_THREAD));
        }
    };
    match Builder::new().name(CLIENT_THREAD.into()).stack_size(STACK).spawn(work) {
        Ok(thread) => {
            telemetry.resolve(Cause::Page);
            Ok(ActiveConnection { thread, socket: tcp })
        }
        Err(error) => {
            let error = not_started(CLIENT_THREAD, &error);
            telemetry.fail(Cause::Page, &format!("a visitor was turned away: {error}"));
            again(tcp)
        }
    }
}
