//! The program with a broker in its configuration, and the records that it wrote.

use super::broker::{Broker, Listener, until};
use super::common::{self, arg, config, lineside};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
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

    /// Stops it; it must end successfully.
    pub fn stop(&mut self) {
        common::signal(&self.process, "TERM");
        assert!(common::ends(&mut self.process).success(), "{}", self.log());
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

/// The records in `events.jsonl` without those of kind `status`: all of them must reach the broker.
pub fn written(folder: &Path) -> Vec<Value> {
    let records = common::records(&folder.join("results"));
    records.into_iter().filter(|record| record["record"] != "status").collect()
}

/// Each record once, at its first place: what is published again after a lost connection is equal to the last byte.
fn once(records: Vec<Value>) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    records.into_iter().filter(|record| seen.insert(record.to_string())).collect()
}

/// Waits until all written records reached the broker, in order; returns them. What a stop left in the queue is sent by the next
/// run. The broker may have one more: a record is in its queue before it is in `events.jsonl`, and a process may die between.
pub fn all_came(path: &Path, listener: &Listener) -> Vec<Value> {
    all_came_but(path, listener, |written| written)
}

/// The same for those of the written records that are `expected`.
pub fn all_came_but(path: &Path, listener: &Listener, expected: impl Fn(Vec<Value>) -> Vec<Value>) -> Vec<Value> {
    let folder = path.parent().unwrap();
    let came = || {
        let (heard, expected) = (once(listener.records()), expected(written(folder)));
        let more = heard.iter().filter(|record| !expected.contains(record)).count();
        let in_order = heard.iter().filter(|record| expected.contains(record)).eq(&expected);
        (in_order && more <= 1).then_some(expected)
    };
    for _ in 0..20 {
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if let Some(expected) = came() {
                return expected;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        common::succeed(&["run", arg(path), "--frames", "1"]);
    }
    let expected = expected(written(folder));
    assert_eq!(once(listener.records()), expected, "nothing is lost, and all came in order");
    expected
}

pub fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().filter(|record| record["record"] == "event").map(|record| record["id"].as_str().unwrap()).collect()
}

/// Kills the broker while nothing is on its way through it, for which the line is held. What a broker has acknowledged and not
/// yet passed on dies with it, on a slow machine a hundred records: none that a line could keep.
pub fn kill_idle(broker: &mut Broker, line: &Line, folder: &Path, listener: &Listener) {
    until("a moment with nothing on its way", || {
        common::signal(&line.process, "STOP");
        // For what was just sent. Too short only means another try.
        std::thread::sleep(Duration::from_millis(50));
        let heard = listener.records();
        let idle = written(folder).iter().all(|record| heard.contains(record));
        if !idle {
            common::signal(&line.process, "CONT");
        }
        idle
    });
    broker.kill();
    common::signal(&line.process, "CONT");
}

/// Waits for so many verdicts from now on.
pub fn goes_on(folder: &Path, verdicts: usize) {
    let count = || std::fs::read_to_string(folder.join("results/events.jsonl")).unwrap_or_default().lines().count();
    let before = count();
    until("verdicts", || count() >= before + verdicts);
}
