//! The program, told of a broker, and what it wrote down.

use super::broker::{Listener, until};
use super::common::{self, arg, config, lineside};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A line on which every frame is a defect.
pub fn line(folder: &Path, source: &str, port: u16, more: &str) -> PathBuf {
    let results = folder.join("results");
    config(
        folder,
        &format!(
            "[source.pattern]\nwidth = 160\nheight = 120\n{source}\n[output]\nfolder = {results:?}\n\
             [super_resolution]\nwhen = \"never\"\n[anomaly]\nthreshold = 0.0\n\
             [mqtt]\nhost = \"localhost\"\nport = {port}\nclient_id = \"line-7\"\ntopic = \"hall/line\"\n{more}\n"
        ),
    )
}

pub struct Line {
    pub process: Child,
    log: PathBuf,
}

impl Line {
    pub fn start(config: &Path) -> Line {
        let log = config.with_extension("log");
        let stderr = std::fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        let process = lineside().args(["run", arg(config)]).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        Line { process, log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn says(&self, what: &str) {
        until(what, || self.log().contains(what));
    }

    /// Ends it in order; gives how long that took.
    pub fn stop(&mut self) -> Duration {
        let asked = Instant::now();
        assert!(Command::new("kill").arg(self.process.id().to_string()).status().unwrap().success());
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{}", self.log());
        asked.elapsed()
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is written down, without each status: what the broker has to hear of.
pub fn written(folder: &Path) -> Vec<Value> {
    let records = common::records(&folder.join("results"));
    records.into_iter().filter(|record| record["record"] != "status").collect()
}

/// Each record once, as it came first. Those that came again are equal to the last byte, and of events the id says so.
pub fn once(records: Vec<Value>) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    records.into_iter().filter(|record| seen.insert(record.to_string())).collect()
}

/// Waits until the broker has heard of all that is written down, in order; gives that. What a stop left over goes with the next
/// run. The broker may know of one more: a record is in its queue before it is in `events.jsonl`, and a process may die between.
pub fn all_came(path: &Path, listener: &Listener) -> Vec<Value> {
    let folder = path.parent().unwrap();
    let came = || {
        let (heard, written) = (once(listener.records()), written(folder));
        let more = heard.iter().filter(|record| !written.contains(record)).count();
        let in_order = heard.iter().filter(|record| written.contains(record)).eq(&written);
        (in_order && more <= 1).then_some(written)
    };
    for _ in 0..3 {
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if let Some(written) = came() {
                return written;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        common::succeed(&["run", arg(path), "--frames", "1"]);
    }
    assert_eq!(once(listener.records()), written(folder), "nothing is lost, and all came in order");
    written(folder)
}

pub fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().filter(|record| record["record"] == "event").map(|record| record["id"].as_str().unwrap()).collect()
}

/// Frames that the line judged in so much time.
pub fn frames(folder: &Path, time: Duration) -> usize {
    let count = || std::fs::read_to_string(folder.join("results/events.jsonl")).unwrap_or_default().lines().count();
    let before = count();
    std::thread::sleep(time);
    count() - before
}
