//! The service with a status page, and an HTTP client that sees every byte.

use super::common::{HANGS, arg, config, lineside, text};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub const TOKEN: &str = "0123456789abcdef";

/// Instead of what stands in `[status_page]`: nothing, not even the table.
pub const OFF: &str = "off";

/// A running service, its folder and its page's address.
pub struct Service {
    process: Child,
    pub folder: tempfile::TempDir,
    pub address: String,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or_default()
    }
}

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Service {
    /// Starts it with a source, and with what else stands in `[status_page]`; `{port}` becomes its port. Waits for the page.
    pub fn start(source: &str, page: &str) -> Service {
        let service = Service::begin(source, page);
        service.await_page();
        service
    }

    /// The same with more keys of `[output]`.
    pub fn start_with(source: &str, output: &str, page: &str) -> Service {
        let service = Service::begin_with(source, output, page);
        service.await_page();
        service
    }

    /// The same without waiting.
    pub fn begin(source: &str, page: &str) -> Service {
        Service::begin_with(source, "", page)
    }

    fn begin_with(source: &str, output: &str, page: &str) -> Service {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let address = format!("127.0.0.1:{port}");
        let listen = if page.contains("listen") { String::new() } else { format!("listen = \"{address}\"\n") };
        let results = folder.path().join("results");
        let rest = format!("[output]\nfolder = {results:?}\n{output}[super_resolution]\nwhen = \"never\"\n");
        let page = page.replace("{port}", &port.to_string());
        let page = if page == OFF { String::new() } else { format!("[status_page]\n{listen}{page}") };
        let path = config(folder.path(), &format!("{source}{rest}{page}"));
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = lineside().args(["run", arg(&path)]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Service { process, folder, address }
    }

    fn await_page(&self) {
        let begun = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            assert!(begun.elapsed() < HANGS, "no page: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until one of its files, `log` or one in `results`, tells something.
    pub fn wait_for(&self, file: &str, what: &str) {
        let (path, begun) = (self.folder.path().join(file), Instant::now());
        while !std::fs::read_to_string(&path).is_ok_and(|said| said.contains(what)) {
            assert!(begun.elapsed() < HANGS, "no {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The sockets of a network that it has. Pairs of its own, by which threads wake each other, are none.
    pub fn sockets(&self) -> usize {
        let process = format!("/proc/{}", self.process.id());
        let of_network: String = ["tcp", "tcp6", "udp", "udp6", "raw", "packet", "netlink"]
            .iter()
            .filter_map(|kind| std::fs::read_to_string(format!("{process}/net/{kind}")).ok())
            .collect();
        let numbers: std::collections::HashSet<&str> = of_network.split_whitespace().collect();
        let fds = std::fs::read_dir(format!("{process}/fd")).unwrap();
        let links = fds.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        let names = links.map(|link| link.to_string_lossy().into_owned());
        let inodes = names.filter_map(|name| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_string()));
        inodes.filter(|inode| numbers.contains(inode.as_str())).count()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Has it read its configuration again.
    pub fn reload(&self) {
        let id = self.process.id().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// What it told so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Sends a request as it is, and reads until the end.
    pub fn send(&self, request: &str) -> Answer {
        self.try_send(request).unwrap_or_else(|error| panic!("{request:.60}: {error}"))
    }

    /// Posts a body, with these header lines more.
    pub fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n{headers}\r\n", self.address);
        let answer = self.try_send_bytes(&[head.as_bytes(), body].concat());
        answer.unwrap_or_else(|error| panic!("{path} {headers}: {error}"))
    }

    pub fn try_send(&self, request: &str) -> Result<Answer, String> {
        self.try_send_bytes(request.as_bytes())
    }

    fn try_send_bytes(&self, request: &[u8]) -> Result<Answer, String> {
        let mut socket = TcpStream::connect(&self.address).map_err(|e| e.to_string())?;
        socket.set_read_timeout(Some(HANGS)).unwrap();
        let _ = socket.write_all(request);
        let mut bytes = Vec::new();
        let ended = socket.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or(format!("no answer: {ended:?}"))?;
        let head = text(&bytes[..end]);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(head.clone())?;
        let answer = Answer { status, head, body: bytes[end + 4..].to_vec() };
        let length = answer.header("content-length");
        let whole = length.is_empty() || request.starts_with(b"HEAD") || length == answer.body.len().to_string();
        whole.then_some(answer).ok_or("the answer is cut".into())
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address))
    }

    /// `/status.json`.
    pub fn status(&self) -> serde_json::Value {
        serde_json::from_slice(&self.get("/status.json").body).unwrap()
    }

    /// Asks for the status until it is as wanted.
    pub fn wait(&self, what: &str, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let begun = Instant::now();
        loop {
            let request = format!("GET /status.json HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
            let status = self.try_send(&request).ok().and_then(|answer| serde_json::from_slice(&answer.body).ok());
            if let Some(status) = &status
                && wanted(status)
            {
                return status.clone();
            }
            assert!(begun.elapsed() < HANGS, "no {what}: {status:?} {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A live view whose head was read.
    pub fn stream(&self) -> TcpStream {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(HANGS)).unwrap();
        socket.write_all(format!("GET /live.mjpeg HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).as_bytes()).unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        socket
    }

    /// Waits until so many more frames are inspected.
    pub fn goes_on(&self, frames: f64) {
        let inspected = || {
            let metrics = text(&self.get("/metrics").body);
            let name = "lineside_frames_total{fate=\"inspected\"} ";
            metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse::<f64>().unwrap()
        };
        let (before, begun) = (inspected(), Instant::now());
        while inspected() < before + frames {
            assert!(begun.elapsed() < HANGS, "inspection hangs: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the parts of a live view.
pub struct PartReader {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl PartReader {
    pub fn new(stream: TcpStream) -> PartReader {
        PartReader { stream, bytes: Vec::new() }
    }

    pub fn next(&mut self) -> Vec<u8> {
        let mark = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n";
        loop {
            let marks: Vec<usize> = self
                .bytes
                .windows(mark.len())
                .enumerate()
                .filter(|(_, bytes)| bytes == mark)
                .map(|(at, _)| at)
                .take(2)
                .collect();
            if let [first, second] = marks[..] {
                let jpeg = self.bytes[first + mark.len()..second - 2].to_vec();
                self.bytes.drain(..second);
                return jpeg;
            }
            let mut more = [0; 65536];
            let read = self.stream.read(&mut more).unwrap();
            assert!(read > 0, "the stream ended");
            self.bytes.extend(&more[..read]);
        }
    }
}
