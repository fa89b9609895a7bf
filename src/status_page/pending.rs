//! Connections that have not shown yet that they may see the page.
//!
//! They have places of their own, which cost no thread: the page's thread reads what has arrived and never waits. A request is
//! read within [`HEAD_TIMEOUT`]; what is answered from memory (refusals, `/`, `/healthz`, `/metrics`) is answered here, too, so
//! that it is served whatever other clients do. Where all places are taken, a new connection takes the place of an old one: one
//! that has its answer already, else the oldest of the address that holds most places.

use super::answer::{Endpoint, Route, route};
use super::connection::{BODY_LINGER, HEAD_TIMEOUT, LINGER};
use super::limits::PENDING;
use super::page::PageState;
use super::request::{BodyLength, LONGEST_HEAD, parse};
use super::response::refuse;
use super::stream::ClientStream;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::time::Instant;

/// How often a client that goes on sending is read from after its answer.
const LINGER_READS: u32 = 16;
/// How often one is read from that was refused while it sends a body: each time at most 4 KiB.
const BODY_READS: u32 = 8192;
/// How often it is read from in one turn.
const READS_IN_TURN: u32 = 64;

/// Connections without a thread, at most [`PENDING`], the oldest first.
#[derive(Default)]
pub struct PendingConnections {
    connections: Vec<PendingConnection>,
}

/// A request that may be answered, and needs a thread for it.
pub struct Authorized {
    pub socket: ClientStream,
    pub endpoint: Endpoint,
    /// Whether it is `HEAD`.
    pub wants_head: bool,
}

struct PendingConnection {
    socket: ClientStream,
    peer: Option<IpAddr>,
    deadline: Instant,
    stage: Stage,
    /// Whether its request announced a body, which nobody reads.
    sends_body: bool,
}

enum Stage {
    /// What has arrived of the head.
    Request(Vec<u8>),
    /// What is still to be sent.
    Answer(Vec<u8>),
    /// Has its answer. Closing with unread bytes would discard it, so what still comes is read for a moment.
    Lingering { reads_left: u32 },
}

/// What becomes of a connection.
enum Next {
    Stay,
    Close,
    /// Whether it is `HEAD`, too.
    Serve(Endpoint, bool),
}

impl PendingConnections {
    /// Takes in a new connection, and reads what has arrived already.
    pub fn admit(&mut self, page: &PageState, socket: TcpStream) -> Option<Authorized> {
        let socket = match &page.tls {
            None => ClientStream::Plain(socket),
            Some(tls) => ClientStream::Tls(Box::new(tls.accept(socket).ok()?)),
        };
        self.begin(page, socket, Stage::Request(Vec::new()))
    }

    /// Sends a short answer to a connection that cannot be served.
    pub fn turn_away(&mut self, page: &PageState, socket: ClientStream) {
        let _ = self.begin(page, socket, Stage::Answer(refuse(503, "too many connections")));
    }

    fn begin(&mut self, page: &PageState, socket: ClientStream, stage: Stage) -> Option<Authorized> {
        socket.tcp().set_nonblocking(true).ok()?;
        let peer = socket.peer_addr().ok().map(|address| address.ip().to_canonical());
        let mut connection =
            PendingConnection { socket, peer, deadline: Instant::now() + HEAD_TIMEOUT, stage, sends_body: false };
        match connection.advance(page) {
            Next::Serve(endpoint, wants_head) => {
                return Some(Authorized { socket: connection.socket, endpoint, wants_head });
            }
            Next::Close => return None,
            Next::Stay => {}
        }
        if self.connections.len() >= PENDING {
            self.evict();
        }
        self.connections.push(connection);
        None
    }

    /// Goes on with each; returns those that may be served.
    pub fn poll(&mut self, page: &PageState) -> Vec<Authorized> {
        let mut authorized = Vec::new();
        for mut connection in std::mem::take(&mut self.connections) {
            match connection.advance(page) {
                Next::Stay => self.connections.push(connection),
                Next::Close => {}
                Next::Serve(endpoint, wants_head) => {
                    authorized.push(Authorized { socket: connection.socket, endpoint, wants_head });
                }
            }
        }
        authorized
    }

    /// Closes the connection that is worth least.
    fn evict(&mut self) {
        let mut held = HashMap::<Option<IpAddr>, usize>::new();
        for connection in &self.connections {
            *held.entry(connection.peer).or_default() += 1;
        }
        let worth = |connection: &PendingConnection| {
            let is_answered = matches!(connection.stage, Stage::Lingering { .. });
            (!is_answered, std::cmp::Reverse(held.get(&connection.peer).copied().unwrap_or(0)))
        };
        // Of several that are worth the same, the first: the oldest.
        if let Some(at) = (0..self.connections.len()).min_by_key(|&at| worth(&self.connections[at])) {
            self.connections.remove(at);
        }
    }
}

impl PendingConnection {
    fn advance(&mut self, page: &PageState) -> Next {
        if let Stage::Request(_) = self.stage
            && let Some(next) = self.read_request(page)
        {
            return next;
        }
        if let Stage::Answer(_) = self.stage
            && let Some(next) = self.send_answer()
        {
            return next;
        }
        self.linger()
    }

    /// `None` if an answer is to be sent now.
    fn read_request(&mut self, page: &PageState) -> Option<Next> {
        let Stage::Request(head) = &mut self.stage else { return None };
        let answer = loop {
            let have = head.len();
            let mut bytes = [0; 2048];
            let room = bytes.len().min(LONGEST_HEAD - have);
            match self.socket.read(&mut bytes[..room]) {
                Ok(0) => return Some(Next::Close),
                Ok(read) => head.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Some(Next::Close),
                Err(_) if Instant::now() < self.deadline => return Some(Next::Stay),
                Err(_) if have == 0 => return Some(Next::Close),
                Err(_) => break refuse(408, "too slow"),
            }
            match parse(head) {
                Ok(Some(request)) => {
                    self.sends_body = !matches!(request.body, BodyLength::Unstated | BodyLength::Bytes(0));
                    // What has arrived of the body already.
                    let begun = head.get(request.head_bytes..).unwrap_or_default();
                    match route(page, &request, begun, self.peer) {
                        Route::Answer(answer) => break answer,
                        Route::Serve(endpoint) => return Some(Next::Serve(endpoint, request.wants_head())),
                    }
                }
                Ok(None) if head.len() >= LONGEST_HEAD => break refuse(431, "the request is too long"),
                Ok(None) => {}
                Err((status, reason)) => break refuse(status, reason),
            }
        };
        self.stage = Stage::Answer(answer);
        self.deadline = Instant::now() + HEAD_TIMEOUT;
        None
    }

    /// `None` if all was sent.
    fn send_answer(&mut self) -> Option<Next> {
        let Stage::Answer(answer) = &mut self.stage else { return None };
        while !answer.is_empty() {
            match self.socket.write(answer) {
                Ok(written) => drop(answer.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < self.deadline => {
                    return Some(Next::Stay);
                }
                Err(_) => return Some(Next::Close),
            }
        }
        match self.socket.end() {
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < self.deadline => {
                return Some(Next::Stay);
            }
            // Plain sockets have nothing to end.
            Err(_) => return Some(Next::Close),
            Ok(()) => {}
        }
        let _ = self.socket.tcp().shutdown(Shutdown::Write);
        let (reads_left, time) = if self.sends_body { (BODY_READS, BODY_LINGER) } else { (LINGER_READS, LINGER) };
        self.stage = Stage::Lingering { reads_left };
        self.deadline = Instant::now() + time;
        None
    }

    fn linger(&mut self) -> Next {
        let Stage::Lingering { reads_left } = &mut self.stage else { return Next::Close };
        let (mut bytes, mut in_turn) = ([0; 4096], if self.sends_body { READS_IN_TURN } else { 1 });
        while in_turn > 0 {
            in_turn -= 1;
            match self.socket.read(&mut bytes) {
                Ok(1..) if *reads_left > 0 => *reads_left -= 1,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => break,
                _ => return Next::Close,
            }
        }
        if Instant::now() < self.deadline { Next::Stay } else { Next::Close }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::super::events::RecentEvents;
    use super::super::line_controls::{LineBundle, LineControls};
    use super::super::live::LiveFeed;
    use super::super::page::RunFacts;
    use super::*;
    use crate::pipeline::{ChosenProduct, Commands};
    use crate::telemetry::Telemetry;
    use socket2::{Domain, Socket, Type};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::time::Duration;

    const TOKEN: &str = "0123456789abcdef";

    struct Door {
        page: PageState,
        listener: TcpListener,
        pending: PendingConnections,
    }

    impl Door {
        fn new() -> Door {
            let facts = RunFacts {
                source: String::new(),
                camera: None,
                pages: Vec::new(),
                bundles: Vec::new(),
                budget_bytes: 0,
                bill_bytes: 0,
                started: jiff::Timestamp::now(),
                parts: None,
            };
            let line = LineControls {
                commands: Commands::new(Vec::new(), ChosenProduct::Without, None, Telemetry::default()).into(),
                bundle: LineBundle { place: Err(String::new()), fixed: None, unsigned: None },
                pixels: 0,
                check: Box::new(|| Ok(())),
                reload: Box::new(|| ()),
            };
            let (access, live) = (Access::new(Some(TOKEN.into())), Arc::new(LiveFeed::new(None)));
            Door {
                page: PageState::new(
                    facts,
                    access,
                    live,
                    RecentEvents::new("/nowhere".into()),
                    (line, None),
                    None,
                    None,
                ),
                listener: TcpListener::bind("127.0.0.1:0").unwrap(),
                pending: PendingConnections::default(),
            }
        }

        /// A client at an address of this machine that has sent something.
        fn visit(&mut self, from: [u8; 4], request: &str) -> (TcpStream, Option<Authorized>) {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
            socket.connect(&self.listener.local_addr().unwrap().into()).unwrap();
            let mut client = TcpStream::from(socket);
            client.write_all(request.as_bytes()).unwrap();
            let accepted = self.listener.accept().unwrap().0;
            let mut authorized = self.pending.admit(&self.page, accepted);
            // What was sent may take a moment to arrive.
            while !request.is_empty() && authorized.is_none() && self.is_unread(client.local_addr().unwrap()) {
                self.put_deadlines_off();
                authorized = self.pending.poll(&self.page).pop();
            }
            self.put_deadlines_off();
            (client, authorized)
        }

        /// Tests take as long as they take.
        fn put_deadlines_off(&mut self) {
            for connection in &mut self.pending.connections {
                connection.deadline = Instant::now() + Duration::from_secs(3600);
            }
        }

        fn is_unread(&self, client: SocketAddr) -> bool {
            self.pending.connections.iter().any(|connection| {
                let unread = matches!(&connection.stage, Stage::Request(head) if head.is_empty());
                unread && connection.socket.peer_addr().is_ok_and(|peer| peer == client)
            })
        }
    }

    fn answer_of(mut client: &TcpStream) -> String {
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn who_may_see_the_page_leaves_and_the_others_are_answered_here() {
        let mut door = Door::new();
        let with_token = format!("HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        let (_client, authorized) = door.visit([127, 0, 0, 1], &format!("GET /status.json {with_token}"));
        assert!(matches!(authorized.unwrap().endpoint, Endpoint::Status { .. }));
        assert!(door.pending.connections.is_empty());
        for (path, status) in [("/", "200 OK"), ("/metrics", "200 OK"), ("/nothing", "404 Not Found")] {
            let (client, authorized) = door.visit([127, 0, 0, 1], &format!("GET {path} {with_token}"));
            assert!(authorized.is_none() && answer_of(&client).starts_with(&format!("HTTP/1.1 {status}")), "{path}");
        }
        // Of what is refused, too, HEAD gets the head alone (RFC 9110, 9.3.2).
        for (path, status) in [("/", "200 OK"), ("/nothing", "404 Not Found"), ("/events?limit=x", "400 Bad Request")] {
            let (client, authorized) = door.visit([127, 0, 0, 1], &format!("HEAD {path} {with_token}"));
            let answer = answer_of(&client);
            assert!(authorized.is_none() && answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
            assert!(answer.ends_with("\r\n\r\n") && !answer.contains("Content-Length: 0"), "{answer}");
        }
        let (_client, authorized) = door.visit([127, 0, 0, 1], &format!("HEAD /status.json {with_token}"));
        assert!(authorized.unwrap().wants_head);
        let (client, authorized) = door.visit([127, 0, 0, 1], "GET /live.mjpeg HTTP/1.1\r\n\r\n");
        assert!(authorized.is_none() && answer_of(&client).starts_with("HTTP/1.1 401 Unauthorized"));
        let page = include_str!("page.html");
        let longest = super::super::response::answer(200, super::super::response::HTML, "", page.as_bytes());
        assert!(longest.len() <= super::super::limits::LONGEST_ANSWER, "{}", longest.len());
    }

    #[test]
    fn a_new_connection_takes_the_place_of_the_oldest_of_the_address_that_has_most() {
        let mut door = Door::new();
        let (other, _) = door.visit([127, 0, 0, 2], "GET /he");
        let mut slow: Vec<TcpStream> = (0..PENDING - 1).map(|_| door.visit([127, 0, 0, 1], "G").0).collect();
        assert_eq!(door.pending.connections.len(), PENDING);
        let remains = |door: &Door, client: &TcpStream| {
            let address = client.local_addr().unwrap();
            door.pending.connections.iter().any(|one| one.socket.peer_addr().is_ok_and(|peer| peer == address))
        };
        for _ in 0..3 {
            slow.push(door.visit([127, 0, 0, 1], "G").0);
        }
        assert_eq!(door.pending.connections.len(), PENDING);
        assert!(remains(&door, &other), "it was the oldest, and alone at its address");
        let there: Vec<bool> = slow.iter().map(|client| remains(&door, client)).collect();
        assert_eq!(there.iter().position(|&there| there), Some(3));
        assert!(there[3..].iter().all(|&there| there));
        // One that has its answer goes first.
        let (answered, _) = door.visit([127, 0, 0, 3], "nonsense\r\n\r\n");
        let (_last, _) = door.visit([127, 0, 0, 3], "G");
        assert!(!remains(&door, &answered) && remains(&door, &other) && remains(&door, &slow[4]));
        assert!(answer_of(&answered).starts_with("HTTP/1.1 400"));
    }

    #[test]
    fn nobody_stays_beyond_the_deadline() {
        let mut door = Door::new();
        let (silent, _) = door.visit([127, 0, 0, 1], "");
        let (slow, _) = door.visit([127, 0, 0, 1], "GET ");
        for connection in &mut door.pending.connections {
            connection.deadline = Instant::now();
        }
        assert!(door.pending.poll(&door.page).is_empty());
        assert_eq!(answer_of(&silent), "");
        assert!(answer_of(&slow).starts_with("HTTP/1.1 408 Request Timeout"));
    }
}
