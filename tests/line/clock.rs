//! The wall clock jumps by a day, forward and back, or stands still: inspection goes on, and no picture overwrites another. A
//! small preloaded library changes the time that the program reads.

use crate::common::{HANGS, arg, config, ends, has, lineside, records, root, signal, text};
use std::collections::HashSet;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Reads a file at each look at the wall clock: seconds to add, or with `=` before it the time at which it stands.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, id, now);
    if (result != 0 || id != CLOCK_REALTIME) return (int)result;
    char text[32] = {0};
    int file = open(getenv("TEST_CLOCK"), O_RDONLY);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) > 0) {
        if (text[0] == '=') { now->tv_sec = atoll(text + 1); now->tv_nsec = 0; }
        else now->tv_sec += atoll(text);
    }
    close(file);
    return 0;
}
"#;

/// Builds the library; `None` where there is no C compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, SHIM).unwrap();
    has("cc", &["-shared", "-fPIC", "-O1", "-o", arg(&library), arg(&source)]).then_some(library)
}

struct Service {
    process: Child,
    clock: PathBuf,
}

impl Service {
    fn start(folder: &Path, library: &Path, config: &Path, clock: &str) -> Service {
        let file = folder.join("clock");
        std::fs::write(&file, clock).unwrap();
        let process = lineside()
            .args(["run", arg(config)])
            .env("LD_PRELOAD", library)
            .env("TEST_CLOCK", &file)
            .env("NOTIFY_SOCKET", folder.join("notify"))
            .env("WATCHDOG_USEC", "10000000")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Service { process, clock: file }
    }

    fn set_clock(&self, clock: &str) {
        let new = self.clock.with_extension("new");
        std::fs::write(&new, clock).unwrap();
        std::fs::rename(new, &self.clock).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const DAY: i64 = 86_400;

#[test]
fn a_jump_of_a_day_changes_nothing_but_the_dates() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = shim(folder.path()) else { return };
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let results = folder.path().join("results");
    // Each frame counts as a defect, so each leaves a record with its time and a picture. The alarm's hold time, the
    // camera's and the watchdog's waits go by the monotonic clock as these do.
    let path = config(
        folder.path(),
        &format!(
            "[source.pattern]\nwidth = 64\nheight = 48\nfps = 20.0\n[super_resolution]\nwhen = \"never\"\n\
             [anomaly]\nthreshold = 0.0\n[output]\nfolder = {results:?}\n"
        ),
    );
    let mut service = Service::start(folder.path(), &library, &path, "0");
    let mut heard: Vec<String> = Vec::new();
    // Until the manager was notified of progress so many times more: a clock that goes by the date would be silent for a day.
    let mut hear = |wanted: &str, count: usize| {
        let (begun, mut bytes, before) = (Instant::now(), [0; 4096], heard.len());
        while heard[before..].iter().filter(|line| line.starts_with(wanted)).count() < count {
            assert!(begun.elapsed() < HANGS, "no {wanted}: {heard:?}");
            if let Ok(length) = socket.recv(&mut bytes) {
                heard.extend(String::from_utf8_lossy(&bytes[..length]).lines().map(String::from));
            }
        }
    };
    hear("READY=1", 1);
    for clock in ["0", "86400", "-86400", "0"] {
        service.set_clock(clock);
        hear("WATCHDOG=1", 4);
        hear("STATUS=", 1);
        hear("WATCHDOG=1", 1);
    }
    signal(&service.process, "TERM");
    assert!(ends(&mut service.process).success());
    let mut log = String::new();
    service.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();

    // Rates are those of the source, or less on a busy machine; by the date they would be 20 frames in a day.
    let rates: Vec<f64> =
        heard.iter().filter_map(|line| line.strip_prefix("STATUS=")?.split(' ').next()?.parse().ok()).collect();
    assert!(rates.len() >= 4 && rates.iter().all(|rate| (0.1..30.0).contains(rate)), "{rates:?}");

    // The dates did jump, both ways and back. Events have the times at which their frames were taken, in order.
    let records = records(&results);
    let times: Vec<i64> = records
        .iter()
        .filter(|record| record["record"] == "event")
        .map(|record| record["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second())
        .collect();
    let jumps: Vec<i64> = times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|gap| gap.abs() > DAY / 2)
        .map(|gap| (gap as f64 / DAY as f64).round() as i64)
        .collect();
    assert_eq!(jumps, [1, -2, 1]);
    let stop = log.lines().find(|line| line.contains(" record=stop ")).unwrap();
    let count = |key: &str| -> u64 {
        stop.split(&format!(" {key}=")).nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    let fates = ["inspected", "skipped_similar", "dropped_stale", "failed"].map(count);
    assert_eq!(count("captured"), fates.iter().sum::<u64>());
    // A disk that others keep busy may not take all of them in time: these are counted.
    let written = fates[0] - count("unrecorded");
    assert_eq!(pictures(&records, &results) as u64, written, "each verdict that was written has a picture of its own");
}

#[test]
fn a_clock_that_stands_still_costs_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = shim(folder.path()) else { return };
    // The same picture again and again, at the same time: the same name, if nobody took care.
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    let defect = root().join("models/inspect-demo/frames/defect/part-05-scratch.jpg");
    std::fs::copy(defect, frames.join("part.jpg")).unwrap();
    let results = folder.path().join("results");
    let path = config(
        folder.path(),
        &format!("[source.folder]\npath = {frames:?}\nrepeat = true\n[output]\nfolder = {results:?}\n"),
    );
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "=1000000000").unwrap();
    for run in 1..=2 {
        let mut program = lineside();
        program.args(["run", arg(&path), "--frames", "3"]).env("LD_PRELOAD", &library).env("TEST_CLOCK", &clock);
        let output = program.output().unwrap();
        assert!(output.status.success(), "run {run}: {}", text(&output.stderr));
    }
    let records = records(&results);
    let times: HashSet<String> =
        records.iter().filter(|record| record["record"] == "event").map(|record| record["time"].to_string()).collect();
    assert_eq!(times.len(), 1, "the clock stands still: {times:?}");
    let events = records.iter().filter(|record| record["record"] == "event").count();
    assert_eq!(events, 6);
    assert_eq!(pictures(&records, &results), 2 * events, "a frame and its spot for each event");
}

/// How many pictures the events name; each is named once and is there.
fn pictures(records: &[serde_json::Value], results: &Path) -> usize {
    let mut names = HashSet::new();
    for event in records.iter().filter(|record| record["record"] == "event") {
        for file in ["annotated", "spot"] {
            let name = event["files"][file].as_str().unwrap();
            if !name.is_empty() {
                assert!(results.join(name).is_file(), "{name} is missing");
                assert!(names.insert(name.to_string()), "{name} was written twice");
            }
        }
    }
    names.len()
}
