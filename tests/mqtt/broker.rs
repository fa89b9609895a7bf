//! A mosquitto process and subscribers to it.

use super::common::{arg, eventually, has, text};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// Whether Debian's mosquitto and its clients are here.
pub fn has_mosquitto() -> bool {
    let tools = ["mosquitto", "mosquitto_sub", "mosquitto_pub", "openssl"];
    tools.iter().all(|tool| has("sh", &["-c", "PATH=$PATH:/usr/sbin command -v \"$0\"", tool]))
}

pub fn until(what: &str, happened: impl Fn() -> bool) {
    eventually(what, || happened().then_some(()));
}

/// A port that no other test here was given, below those that the kernel gives to anybody.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 12_000 + (std::process::id() % 1000) as u16 * 20;
    let mut ports = std::iter::repeat_with(|| begin + NEXT.fetch_add(1, Relaxed));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// mosquitto, in a folder of its own.
pub struct Broker {
    folder: PathBuf,
    pub port: u16,
    process: Option<Child>,
}

impl Broker {
    /// Starts it; `more` is appended to its configuration.
    pub fn start(folder: &Path, more: &str) -> Broker {
        let port = free_port();
        // Subscriptions outlast the process, once they are saved.
        let text = format!(
            "listener {port} 127.0.0.1\npersistence true\npersistence_location {}/\nautosave_interval 86400\n\
             max_queued_messages 0\nuser root\nlog_dest stderr\nlog_type all\n{more}\n",
            folder.display()
        );
        std::fs::write(folder.join("mosquitto.conf"), text).unwrap();
        let mut broker = Broker { folder: folder.into(), port, process: None };
        broker.begin();
        broker
    }

    pub fn open(folder: &Path) -> Broker {
        Broker::start(folder, "allow_anonymous true")
    }

    pub fn begin(&mut self) {
        let log =
            std::fs::OpenOptions::new().append(true).create(true).open(self.folder.join("mosquitto.log")).unwrap();
        let mut command = Command::new("mosquitto");
        command.args(["-c", arg(&self.folder.join("mosquitto.conf"))]).env("PATH", path_with_sbin());
        self.process = Some(command.stderr(log).spawn().unwrap());
        until("mosquitto", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        let ended = self.process.as_mut().unwrap().try_wait().unwrap();
        assert!(ended.is_none(), "mosquitto: {ended:?}, see {}", self.folder.display());
    }

    pub fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Subscribes to a topic: retained messages, and all from now on.
    pub fn listen(&self, topic: &str) -> Listener {
        let name = format!("listener-{}", std::fs::read_dir(&self.folder).unwrap().count());
        let file = self.folder.join(&name);
        let mut command = self.client("mosquitto_sub");
        command.args(["-c", "-i", &name, "-q", "1", "-t", topic, "-F", "%r %t %p"]);
        let process = command.stdout(std::fs::File::create(&file).unwrap()).spawn().unwrap();
        let listener = Listener { process, file };
        let log = self.folder.join("mosquitto.log");
        until("a subscription", || std::fs::read_to_string(&log).unwrap_or_default().contains(&format!(" as {name} ")));
        // Its subscription, once acknowledged and saved, outlasts the broker.
        let log = || std::fs::read_to_string(self.folder.join("mosquitto.log")).unwrap_or_default();
        until("an acknowledged subscription", || log().contains(&format!("Sending SUBACK to {name}")));
        self.signal("USR1");
        // It is renamed to this once it is complete. The log announces it earlier, and a broker may be killed between.
        let database = || std::fs::read(self.folder.join("mosquitto.db")).unwrap_or_default();
        until("a saved session", || database().windows(name.len()).any(|bytes| bytes == name.as_bytes()));
        listener
    }

    /// The retained message of a topic.
    pub fn retained(&self, topic: &str) -> Option<String> {
        let output = self.client("mosquitto_sub").args(["-C", "1", "-W", "2", "-t", topic]).output().unwrap();
        Some(text(&output.stdout).trim_end().to_string()).filter(|message| !message.is_empty())
    }

    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn path_with_sbin() -> String {
    format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default())
}

pub struct Listener {
    process: Child,
    file: PathBuf,
}

impl Listener {
    /// Topics and messages received so far, in order.
    pub fn heard(&self) -> Vec<(String, String)> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let split = |line: &str| {
            let mut parts = line.splitn(3, ' ').skip(1).map(String::from);
            (parts.next().unwrap(), parts.next().unwrap_or_default())
        };
        whole.lines().map(split).collect()
    }

    /// The records received so far, in order, without those of kind `status`, which are published outside the queue.
    pub fn records(&self) -> Vec<Value> {
        let heard = self.heard();
        let records = heard.iter().filter(|(topic, _)| topic.starts_with("hall/line/") && topic != "hall/line/status");
        records.filter_map(|(_, message)| serde_json::from_str(message).ok()).filter(Value::is_object).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
