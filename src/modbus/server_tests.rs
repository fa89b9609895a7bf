//! Clients that are right, slow, too many, or no clients at all.

use super::*;
use crate::pipeline::{ChosenProduct, ProductKey};
use crate::sink::{NewResult, ResultKind, ResultPublisher};
use crate::telemetry::{Record, text_line};
use std::sync::mpsc::Receiver;

/// Reads registers 0 to 18.
const READ_ALL: [u8; 12] = [0, 1, 0, 0, 0, 6, 1, 4, 0, 0, 0, 19];
/// Asks for the product with code 2.
const SELECT: [u8; 12] = [0, 2, 0, 0, 0, 6, 1, 6, 0, 100, 0, 2];

struct Line {
    server: ModbusServer,
    address: SocketAddr,
    publisher: ResultPublisher,
    commands: Arc<Commands>,
    kept: Receiver<Record>,
}

/// More than any test takes on any machine.
const LONG: Patience =
    Patience { silent: Duration::from_secs(3600), idle: Duration::from_secs(3600), frame: Duration::from_secs(3600) };

fn line(allow: &[&str], write: bool) -> Line {
    patient_line(allow, write, LONG)
}

fn patient_line(allow: &[&str], write: bool, patience: Patience) -> Line {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let telemetry = Telemetry::default();
    let kept = telemetry.begin_run(1 << 32);
    let (publisher, results) = LastResult::channel();
    let products = vec![ProductKey { name: "cap".into(), code: 1 }, ProductKey { name: "lid".into(), code: 2 }];
    let commands = Arc::new(Commands::new(products, ChosenProduct::Known(0), None, telemetry.clone()));
    let allow = allow.iter().map(|address| address.parse().unwrap()).collect();
    let settings = ModbusSettings { listen: address, allow, rights: ClientRights { unit: None, write } };
    let its = Arc::clone(&commands);
    let server = ModbusServer::start_patient(settings, patience, results, its, telemetry).unwrap();
    Line { server, address, publisher, commands, kept }
}

impl Line {
    fn connect(&self) -> TcpStream {
        let begun = Instant::now();
        loop {
            match TcpStream::connect(self.address) {
                Ok(socket) => {
                    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                    return socket;
                }
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The next record; the client may see its connection closed before it is written.
    fn record(&self) -> String {
        text_line(&self.kept.recv_timeout(Duration::from_secs(60)).unwrap())
    }
}

/// The answer to a request, or nothing where the connection is closed.
fn ask(socket: &mut TcpStream, request: &[u8]) -> Option<Vec<u8>> {
    socket.write_all(request).ok()?;
    let mut head = [0; 6];
    socket.read_exact(&mut head).ok()?;
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]]))];
    socket.read_exact(&mut rest).ok()?;
    assert_eq!(head[..2], request[..2], "the transaction");
    Some(rest)
}

#[test]
fn a_client_that_sends_half_a_frame_holds_nobody_up() {
    let mut line = line(&[], false);
    let mut slow = line.connect();
    slow.write_all(&READ_ALL[..7]).unwrap();
    let wall = jiff::Timestamp::UNIX_EPOCH;
    let mut other = line.connect();
    for id in 1..=50 {
        line.publisher.publish(NewResult { id, kind: ResultKind::Ok, score: 0.5, severity: 0.0, product: None, wall });
        let answer = ask(&mut other, &READ_ALL).unwrap();
        assert_eq!(answer[..3], [1, 4, 38]);
        let register = |at: usize| u16::from_be_bytes([answer[3 + 2 * at], answer[4 + 2 * at]]);
        // The id and the count of the same result.
        assert_eq!((register(5), register(13)), (id as u16, id as u16));
    }
    // Once it is whole it is answered, too, and several at once in their order.
    slow.write_all(&READ_ALL[7..]).unwrap();
    let mut answer = [0; 47];
    slow.read_exact(&mut answer).unwrap();
    slow.write_all(&[READ_ALL, READ_ALL, READ_ALL].concat()).unwrap();
    let mut answers = [0; 3 * 47];
    slow.read_exact(&mut answers).unwrap();
    assert!(!line.server.has_failed());
}

#[test]
fn garbage_ends_its_connection_and_is_reported_once_with_a_count() {
    let line = line(&[], false);
    let mut good = line.connect();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 300], &[0, 0, 0, 0, 0xff, 0xff, 1, 3]] {
        let mut bad = line.connect();
        bad.write_all(garbage).unwrap();
        // Closed, or reset where some of it was not read.
        assert!(matches!(bad.read(&mut [0; 16]), Ok(0) | Err(_)));
        assert!(ask(&mut good, &READ_ALL).is_some());
    }
    let record = line.record();
    assert!(record.contains("fault=modbus") && record.contains("modbus 127.0.0.1 sent"), "{record}");
    assert_eq!(line.kept.try_iter().count(), 0, "once in a minute");
}

#[test]
fn a_hundred_connections_leave_those_that_are_served_alone() {
    let line = line(&[], false);
    let mut served: Vec<TcpStream> = (0..CLIENTS).map(|_| line.connect()).collect();
    assert!(served.iter_mut().all(|client| ask(client, &READ_ALL).is_some()));
    let mut flood: Vec<TcpStream> = (0..100).map(|_| line.connect()).collect();
    assert!(flood.iter_mut().all(|client| ask(client, &READ_ALL).is_none()));
    assert!(served.iter_mut().all(|client| ask(client, &READ_ALL).is_some()));
    // Where one leaves there is room for another.
    served.pop();
    let begun = Instant::now();
    while ask(&mut line.connect(), &READ_ALL).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_silent_client_makes_room_for_another_and_half_a_frame_is_not_waited_for_for_ever() {
    let line = patient_line(&[], false, Patience { silent: Duration::ZERO, ..LONG });
    let mut first: Vec<TcpStream> = (0..CLIENTS).map(|_| line.connect()).collect();
    assert!(first.iter_mut().all(|client| ask(client, &READ_ALL).is_some()));
    assert!(ask(&mut line.connect(), &READ_ALL).is_some());
    let left = first.iter_mut().filter_map(|client| ask(client, &READ_ALL)).count();
    assert_eq!(left, CLIENTS - 1, "one made room");

    for patience in [Patience { frame: Duration::ZERO, ..LONG }, Patience { idle: Duration::ZERO, ..LONG }] {
        let line = patient_line(&[], false, patience);
        let mut slow = line.connect();
        let _ = slow.write_all(&READ_ALL[..7]);
        assert!(matches!(slow.read(&mut [0; 16]), Ok(0) | Err(_)), "{patience:?}");
    }
}

#[test]
fn who_is_not_allowed_is_not_let_in_and_who_may_only_read_does_not_write() {
    let strangers = line(&["10.0.0.5"], true);
    assert_eq!(ask(&mut strangers.connect(), &READ_ALL), None);
    assert!(strangers.record().contains("127.0.0.1 is not in modbus.allow"));

    let reader = line(&["127.0.0.1"], false);
    assert_eq!(ask(&mut reader.connect(), &SELECT).unwrap(), [1, 0x86, 1]);
    assert_eq!(reader.commands.wanted(), ChosenProduct::Known(0));
    assert!(reader.record().contains("command=write"));

    let writer = line(&["127.0.0.1"], true);
    assert_eq!(ask(&mut writer.connect(), &SELECT).unwrap(), SELECT[6..]);
    assert_eq!(writer.commands.wanted(), ChosenProduct::Known(1));
    assert!(writer.record().contains("by=\"modbus 127.0.0.1\""));
}

#[test]
fn a_client_that_reads_nothing_is_disconnected() {
    let line = line(&[], false);
    let mut deaf = line.connect();
    SockRef::from(&deaf).set_recv_buffer_size(1024).unwrap();
    // Until the kernel takes no more: then nobody is at the other end any more.
    let begun = Instant::now();
    while deaf.write_all(&READ_ALL.repeat(20)).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    assert!(ask(&mut line.connect(), &READ_ALL).is_some());
}
