//! A running line, and the frames of Modbus TCP that a test writes itself.

use crate::common::{arg, ends, eventually, lineside, signal};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A port that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program with a configuration.
pub struct Running {
    pub process: Child,
    log: PathBuf,
}

impl Running {
    pub fn start(config: &Path) -> Running {
        let log = config.with_extension("log");
        let stderr = std::fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        let process = lineside().args(["run", arg(config)]).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        Running { process, log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Stops it; it must end successfully.
    pub fn stop(&mut self) {
        signal(&self.process, "TERM");
        assert!(ends(&mut self.process).success(), "{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that connects anew for each request, as a line that loads another product closes its connections.
pub struct Plc(pub u16);

impl Plc {
    /// The function and data of the answer; `None` where nobody answers.
    fn ask(&self, pdu: &[u8]) -> Option<Vec<u8>> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.0)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let header = [0, 1, 0, 0, 0, pdu.len() as u8 + 1, 1];
        socket.write_all(&[&header, pdu].concat()).ok()?;
        let mut head = [0; 7];
        socket.read_exact(&mut head).ok()?;
        let mut rest = vec![0; usize::from(head[5]) - 1];
        socket.read_exact(&mut rest).ok()?;
        Some(rest)
    }

    /// Registers 0 to 18.
    pub fn read(&self) -> Option<Vec<u16>> {
        let answer = self.ask(&[4, 0, 0, 0, 19]).filter(|answer| answer.len() == 2 + 38)?;
        Some(answer[2..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    }

    /// Writes a register; false where that is refused.
    pub fn write(&self, register: u16, value: u16) -> bool {
        let pdu = [&[6][..], &register.to_be_bytes(), &value.to_be_bytes()].concat();
        eventually("an answer", || self.ask(&pdu)) == pdu
    }

    /// Waits until a result is as wanted: its registers from 3 on.
    pub fn until(&self, what: &str, is_so: impl Fn(&[u16]) -> bool) -> Vec<u16> {
        eventually(what, || self.read().filter(|registers| is_so(registers)))
    }
}
