//! Who takes places at the status page, and what remains for the others.

use crate::common::eventually;
use crate::visitor::{Answer, Service, TOKEN};
use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

const LINE: &str = "[source.pattern]\nwidth = 320\nheight = 240\nfps = 20.0\n";
/// What remains, whoever holds all other places.
const ALWAYS: [&str; 3] = ["/healthz", "/metrics", "/"];

/// Connections that send a request without an end, a byte at a time, until they are dropped.
struct SlowClients {
    stop: Option<std::sync::mpsc::Sender<()>>,
    feeder: Option<std::thread::JoinHandle<()>>,
}

impl SlowClients {
    fn new(service: &Service, count: usize) -> SlowClients {
        let mut slow: Vec<TcpStream> = (0..count).map(|_| TcpStream::connect(&service.address).unwrap()).collect();
        slow.iter_mut().for_each(|socket| drop(socket.write_all(b"G")));
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let feeder = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                slow.retain_mut(|socket| socket.write_all(b"G").is_ok());
            }
        });
        SlowClients { stop: Some(stop), feeder: Some(feeder) }
    }
}

impl Drop for SlowClients {
    fn drop(&mut self) {
        self.stop = None;
        self.feeder.take().map(|feeder| feeder.join());
    }
}

fn get(service: &Service, path: &str, token: bool) -> Answer {
    let token = if token { format!("Authorization: Bearer {TOKEN}\r\n") } else { String::new() };
    service.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{token}\r\n", service.address))
}

#[test]
fn slow_connections_lock_nobody_out() {
    for (page, token) in [(String::new(), false), (format!("token = \"{TOKEN}\"\n"), true)] {
        let service = Service::start(LINE, &page);
        eventually("a verdict", || (get(&service, "/healthz", token).status == 200).then_some(()));
        for count in [14, 100] {
            let _slow = SlowClients::new(&service, count);
            // Each at the first try.
            for path in ALWAYS.into_iter().chain(["/status.json", "/frame.jpg"]) {
                assert_eq!(get(&service, path, token).status, 200, "{path} beside {count} slow connections");
            }
        }
    }
}

#[test]
fn health_and_metrics_remain_where_all_places_of_viewers_are_taken() {
    let service = Service::start(LINE, "");
    eventually("a verdict", || (get(&service, "/healthz", false).status == 200).then_some(()));
    let large = std::fs::File::create(service.folder.path().join("results/large.png")).unwrap();
    large.set_len(256 << 20).unwrap();
    // They read nothing of what they asked for.
    let request = format!("GET /events/large.png HTTP/1.1\r\nHost: {}\r\n\r\n", service.address);
    let stuck: Vec<TcpStream> = (0..12)
        .map(|_| {
            let mut socket = TcpStream::connect(&service.address).unwrap();
            socket.write_all(request.as_bytes()).unwrap();
            socket
        })
        .collect();
    let refused = eventually("all places taken", || {
        let answer = get(&service, "/status.json", false);
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(refused.header("retry-after"), "5");
    for path in ALWAYS {
        assert_eq!(get(&service, path, false).status, 200, "{path}");
    }
    drop(stuck);
    service.wait("room again", |_| true);
}

#[test]
fn viewers_that_are_gone_leave_their_places_also_while_no_frame_comes() {
    // A frame every 100 s.
    let service = Service::start("[source.pattern]\nwidth = 320\nheight = 240\nfps = 0.01\n", "");
    service.wait("the first frame", |status| status["frames"]["captured"] == 1);
    let rounds = (0..3).map(|_| {
        let viewers: Vec<TcpStream> = (0..4).map(|_| service.stream()).collect();
        let before = service.wait("four viewers", |status| status["viewers"] == 4);
        drop(viewers);
        let after = service.wait("empty places", |status| status["viewers"] == 0);
        after["frames"]["captured"] == before["frames"]["captured"]
    });
    // On a slow machine a frame may come just then.
    assert!(rounds.filter(|&without_a_frame| without_a_frame).count() >= 1, "they left with the next frame only");
}
