//! The service as systemd sees it: what it is told, when, and what a reload and a stop come to. The manager is a socket of
//! the test's own.

use crate::common::{HANGS, arg, config, ends, eventually, lineside, records, signal};
use lineside::times::FEED;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
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

    /// The notifications within a time, until one begins with `until`.
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
        let lines = self.hear(HANGS, line);
        assert!(lines.iter().any(|heard| heard.starts_with(line)), "{line} is missing: {lines:?}");
        lines
    }

    fn signal(&self, name: &str) {
        signal(&self.process, name);
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
fn it_reports_readiness_feeds_the_watchdog_and_stops_with_everything_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &line(folder.path(), ""));
    let lines = service.expect("READY=1");
    assert!(!lines.iter().any(|line| line.starts_with("STATUS=")), "nothing is said before: {lines:?}");
    // What was recorded before it said so is there.
    assert_eq!(records(&folder.path().join("results"))[0]["record"], "start");
    let lines = service.expect("STATUS=");
    let told = lines.last().unwrap();
    assert!(told.contains("frames a second") && told.contains("inspected"), "{told}");
    // No more often than once a second, whose number from the start therefore has a least time.
    let mut fed = 0;
    while fed < 5 {
        fed += service.expect("WATCHDOG=1").iter().filter(|line| *line == "WATCHDOG=1").count();
    }
    assert!(
        service.started.elapsed() >= (fed as u32 - 1) * FEED.mul_f64(0.9),
        "{fed}: {:?}",
        service.started.elapsed()
    );

    // A terminal and a supervisor may ask at the same time; the end is orderly nevertheless.
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: no memory is touched; the process is a child that was not waited for.
        unsafe { libc::kill(service.process.id() as libc::pid_t, signal) };
    }
    service.expect("STOPPING=1");
    assert!(ends(&mut service.process).success());
    let records = records(&folder.path().join("results"));
    let stop = records.last().unwrap();
    assert_eq!((&stop["record"], &stop["reason"]), (&"stop".into(), &"stop asked for".into()), "{stop}");
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
    // A secret that others can read is found out before the run ends: the old configuration may have the same file.
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let page = format!("[status_page]\nlisten = \"127.0.0.1:0\"\ntoken_file = {token:?}\n");
    std::fs::write(&path, format!("{good}{page}")).unwrap();
    service.signal("HUP");
    let lines = service.expect("STATUS=the new configuration was refused");
    assert!(lines.last().unwrap().contains("chmod g-w,o= "), "{lines:?}");
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
    assert!(ends(&mut service.process).success());
}

#[test]
fn a_reload_that_is_asked_for_during_another_one_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "");
    let good = std::fs::read_to_string(&path).unwrap();
    let results = format!("{:?}", folder.path().join("results"));
    let mut service = Service::start(folder.path(), &path);
    service.expect("READY=1");
    for round in 0..4 {
        // The first request was taken as soon as the manager hears of it; the run that it ends still looks around.
        std::fs::write(&path, good.replace(&results, &format!("{:?}", folder.path().join("between")))).unwrap();
        service.signal("HUP");
        service.expect("RELOADING=1");
        let newest = folder.path().join(format!("newest-{round}"));
        let new = path.with_extension("new");
        std::fs::write(&new, good.replace(&results, &format!("{newest:?}"))).unwrap();
        std::fs::rename(&new, &path).unwrap();
        service.signal("HUP");
        eventually("a run with the newest configuration", || newest.join("events.jsonl").exists().then_some(()));
        service.expect("WATCHDOG=1");
    }
    service.signal("TERM");
    assert!(ends(&mut service.process).success());
}

#[test]
fn who_cannot_start_never_says_that_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path(), &line(folder.path(), "[anomaly]\nbundle = \"no-such-bundle\"\n"));
    assert_eq!(ends(&mut service.process).code(), Some(78));
    // All that was sent is still in the socket.
    let lines = service.hear(Duration::from_millis(200), "READY=1");
    assert!(lines.is_empty(), "{lines:?}");
}
