//! The service as systemd sees it: what it is told, when, and what a reload and a stop come to. The manager is a socket of
//! the test's own.

use crate::common::{arg, config, lineside, records, root};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The service, and the socket on which it tells how it does.
struct Service {
    process: Child,
    socket: UnixDatagram,
    started: Instant,
}

impl Service {
    fn start(folder: &Path, config: &Path) -> Service {
        let address = folder.join("notify");
        let _ = std::fs::remove_file(&address);
        let socket = UnixDatagram::bind(&address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let process = lineside()
            .args(["run", arg(config)])
            .env("NOTIFY_SOCKET", &address)
            .env("WATCHDOG_USEC", "10000000")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Service { process, socket, started: Instant::now() }
    }

    /// What it says within a time; stops listening once a line begins with `until`.
    fn hear(&self, time: Duration, until: &str) -> Vec<String> {
        let (begun, mut lines, mut bytes) = (Instant::now(), Vec::new(), [0; 4096]);
        while begun.elapsed() < time {
            if let Ok(length) = self.socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                lines.extend(text.lines().map(String::from));
                if lines.iter().any(|line: &String| !until.is_empty() && line.starts_with(until)) {
                    break;
                }
            }
        }
        lines
    }

    fn expect(&self, line: &str) -> Vec<String> {
        let lines = self.hear(Duration::from_secs(20), line);
        assert!(lines.iter().any(|heard| heard.starts_with(line)), "{line} is missing: {lines:?}");
        lines
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Waits for its end; kills it after a time.
    fn end(&mut self, time: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            if let Some(status) = self.process.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(folder: &Path, more: &str) -> PathBuf {
    let results = folder.join("results");
    let source = "[source.pattern]\nwidth = 160\nheight = 120\nfps = 20.0\n";
    config(folder, &format!("{source}[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n{more}"))
}

#[test]
fn it_is_ready_gets_on_and_stops_within_two_seconds_with_everything_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &line(folder.path(), ""));
    let lines = service.expect("READY=1");
    assert!(!lines.iter().any(|line| line.starts_with("STATUS=")), "nothing is said before: {lines:?}");
    // What was recorded before it said so is there.
    assert_eq!(records(&folder.path().join("results"))[0]["record"], "start");
    let lines = service.expect("STATUS=");
    let told = lines.last().unwrap();
    assert!(told.contains("frames a second") && told.contains("inspected"), "{told}");
    let fed = service.hear(Duration::from_secs(4), "").iter().filter(|line| *line == "WATCHDOG=1").count();
    assert!((2..=5).contains(&fed), "about once a second, so far from ten: {fed} in four seconds");

    service.signal("TERM");
    let asked = Instant::now();
    service.expect("STOPPING=1");
    let status = service.end(Duration::from_secs(2)).expect("it stops");
    assert!(status.success() && asked.elapsed() < Duration::from_secs(2), "{status}, {:?}", asked.elapsed());
    let records = records(&folder.path().join("results"));
    let stop = records.last().unwrap();
    assert_eq!((&stop["record"], &stop["reason"]), (&"stop".into(), &"stop asked for".into()), "{stop}");
    assert!(service.started.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_reload_takes_the_new_configuration_or_keeps_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "");
    let mut service = Service::start(folder.path(), &path);
    service.expect("READY=1");
    // A mistake in the new file.
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("fps = 20.0", "fps = -1")).unwrap();
    service.signal("HUP");
    let lines = service.expect("STATUS=the new configuration was refused");
    assert!(lines.iter().any(|line| line == "RELOADING=1"), "{lines:?}");
    assert!(lines.last().unwrap().contains("line.toml:4"), "{lines:?}");
    service.expect("READY=1");
    // One whose bundle does not exist is found out only when it is loaded.
    std::fs::write(&path, format!("{good}[anomaly]\nbundle = \"no-such-bundle\"\n")).unwrap();
    service.signal("HUP");
    let lines = service.expect("STATUS=the new configuration was refused");
    assert!(lines.last().unwrap().contains("no-such-bundle"), "{lines:?}");
    service.expect("READY=1");
    service.expect("WATCHDOG=1");
    // And one that is right.
    let other = folder.path().join("other");
    let results = format!("{:?}", folder.path().join("results"));
    std::fs::write(&path, good.replace(&results, &format!("{other:?}"))).unwrap();
    service.signal("HUP");
    service.expect("READY=1");
    service.expect("STATUS=");
    let before = records(&folder.path().join("results"));
    let stops: Vec<_> = before.iter().filter(|record| record["record"] == "stop").collect();
    assert!(stops.iter().all(|stop| stop["reason"] == "a new configuration"), "{stops:?}");
    assert_eq!(records(&other)[0]["record"], "start");
    service.signal("TERM");
    assert!(service.end(Duration::from_secs(2)).expect("it stops").success());
}

#[test]
fn who_cannot_start_never_says_that_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &line(folder.path(), "[anomaly]\nbundle = \"no-such-bundle\"\n"));
    let lines = service.hear(Duration::from_secs(3), "READY=1");
    assert!(lines.is_empty(), "{lines:?}");
    assert_eq!(service.end(Duration::from_secs(5)).unwrap().code(), Some(78));
}

#[test]
fn a_stuck_thread_is_not_covered_up() {
    let folder = tempfile::tempdir().unwrap();
    // A pipe that nobody writes to, called a picture: who reads it waits for ever.
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    std::fs::copy(root().join("models/inspect-demo/frames/normal/part-01.jpg"), frames.join("1.jpg")).unwrap();
    assert!(Command::new("mkfifo").arg(frames.join("2.jpg")).status().unwrap().success());
    let results = folder.path().join("results");
    let path = config(folder.path(), &format!("[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\n"));
    let service = Service::start(folder.path(), &path);
    service.expect("READY=1");
    // What was said while there was something to do.
    service.hear(Duration::from_secs(2), "");
    let lines = service.hear(Duration::from_secs(4), "");
    assert!(!lines.iter().any(|line| line == "WATCHDOG=1"), "{lines:?}");
}
