//! The page's thread: lets visitors in, up to a number, and makes the pictures.

use super::access::Access;
use super::answer::serve;
use super::connection::Connection;
use super::events::RecentEvents;
use super::jpeg_encoder::{JpegEncoderTask, LatestImage};
use super::status_cell::StatusCell;
use super::{CONNECTIONS, LiveFeed, Page, RunFacts, SEND_BUFFER, STACK};
use crate::board::heat::Reading;
use crate::field::Interval;
use crate::pipeline::Status;
use crate::telemetry::{Cause, Telemetry};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How often the page looks for visitors and frames.
const LOOK: Duration = Duration::from_millis(20);
/// Where the address is not there yet, it is tried again after so long.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// A page that is served; until it is dropped.
pub struct StatusServer {
    page: Arc<Page>,
    thread: Option<JoinHandle<()>>,
}

/// Someone who is being served.
struct Visitor {
    thread: JoinHandle<()>,
    socket: TcpStream,
}

impl StatusServer {
    /// Serves the page of a run at an address, with at most `max_fps` pictures a second, to whoever knows the token. The run
    /// leaves records and pictures in `folder`. Where the address cannot be had, that is a fault and tried again:
    /// inspection does not depend on it.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(
        listen: SocketAddr,
        token: Option<String>,
        max_fps: f64,
        live: Arc<LiveFeed>,
        facts: RunFacts,
        folder: PathBuf,
        telemetry: Telemetry,
    ) -> io::Result<StatusServer> {
        let page = Arc::new(Page {
            facts,
            access: Access::new(token),
            live,
            status: StatusCell::new(),
            latest: LatestImage::default(),
            events: RecentEvents::new(folder),
            viewers: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let shared = Arc::clone(&page);
        let work = move || run(&shared, listen, max_fps, &telemetry);
        let thread = Builder::new().name("status page".into()).stack_size(STACK).spawn(work)?;
        Ok(StatusServer { page, thread: Some(thread) })
    }

    /// With each status: how long frames took since the last one.
    pub fn record_interval(&self, stretch: &Interval) {
        self.page.status.record_interval(stretch);
    }

    /// How things stand; called many times a second, never waits.
    pub fn update(&self, status: &Status, alive: bool, heat: &Reading, rung: Option<u8>) {
        self.page.status.update(status, alive, heat, rung);
    }
}

impl Drop for StatusServer {
    fn drop(&mut self) {
        self.page.stopping.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there is told by its own message; the run went on without the page.
            let _ = thread.join();
        }
    }
}

/// Whether the address can be had now.
///
/// # Errors
/// As the kernel says.
pub fn check_bindable(address: SocketAddr) -> io::Result<()> {
    listen(address).map(drop)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart must not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    // Its connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(SEND_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(CONNECTIONS as i32)?;
    Ok(socket.into())
}

fn run(page: &Arc<Page>, address: SocketAddr, max_fps: f64, telemetry: &Telemetry) {
    let (mut listener, mut tried) = (None, None::<Instant>);
    let (mut encoder_task, mut visits) = (JpegEncoderTask::new(max_fps, &page.live), Vec::<Visitor>::new());
    while !page.stopping.load(Relaxed) {
        if listener.is_none() && tried.is_none_or(|tried| tried.elapsed() >= TRY_AGAIN) {
            tried = Some(Instant::now());
            listener = open(address, telemetry);
        }
        visits.retain(|visit| !visit.thread.is_finished());
        while let Some(socket) = listener.as_ref().and_then(accept) {
            let _ = SockRef::from(&socket).set_tcp_nodelay(true);
            visits.extend(welcome(page, socket, visits.len()));
        }
        encoder_task.look(&page.live, &page.latest);
        std::thread::sleep(LOOK);
    }
    // Whoever reads or sends nothing would be waited for.
    for visit in &visits {
        let _ = visit.socket.shutdown(Shutdown::Both);
    }
    for visit in visits {
        let _ = visit.thread.join();
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

/// What the kernel says, and what to do.
pub fn describe_bind_error(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program listens there".into(),
        ErrorKind::AddrNotAvailable => "this board has no such address now".into(),
        ErrorKind::PermissionDenied => format!("{error}: ports below 1024 are root's, take a higher one"),
        _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            "the unit allows no network: operations.md has the drop-in that does".into()
        }
        _ => error.to_string(),
    }
}

fn accept(listener: &TcpListener) -> Option<TcpStream> {
    loop {
        match listener.accept() {
            Ok((socket, _)) => return socket.set_nonblocking(false).is_ok().then_some(socket),
            // Gone before it was let in.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(_) => return None,
        }
    }
}

/// A thread for the visitor, where one is left; else a word, which fits into any socket.
fn welcome(page: &Arc<Page>, socket: TcpStream, visits: usize) -> Option<Visitor> {
    if visits < CONNECTIONS
        && let Ok(other) = socket.try_clone()
    {
        let page = Arc::clone(page);
        let work = move || serve(&page, Connection::new(other));
        if let Ok(thread) = Builder::new().name("visitor".into()).stack_size(STACK).spawn(work) {
            return Some(Visitor { thread, socket });
        }
    }
    let busy = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 5\r\n\r\n";
    let _ = (&socket).write(busy.as_bytes());
    None
}
