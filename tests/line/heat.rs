//! A board that gets too hot: the steps that are given up, the records of them, and the count of every frame. The board is a
//! sysfs of the test's own, whose files change while the service runs.

use crate::common::{HANGS, arg, config, ends, eventually, lineside, records, refuse, signal, succeed};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A sysfs with one thermal zone and the Raspberry Pi's bits.
struct Board(tempfile::TempDir);

const TEMP: &str = "class/thermal/thermal_zone0/temp";
const BITS: &str = "devices/platform/soc/soc:firmware/get_throttled";

impl Board {
    fn new(temperature: &str, bits: &str) -> Board {
        let board = Board(tempfile::tempdir().unwrap());
        board.set("class/thermal/thermal_zone0/type", "cpu-thermal\n");
        board.set(TEMP, temperature);
        board.set(BITS, bits);
        board
    }

    /// At once, as the kernel does it: nobody reads half a number.
    fn set(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let new = self.0.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn lose(&self, file: &str) {
        std::fs::remove_file(self.0.path().join(file)).unwrap();
    }
}

/// The program at work, its log as it comes, when it gave its verdicts, and what it tells systemd.
struct Line {
    process: Child,
    log: Arc<Mutex<Vec<(Instant, Value)>>>,
    verdicts: Arc<Mutex<Vec<Instant>>>,
    status: Arc<Mutex<Vec<String>>>,
    begun: Instant,
}

impl Line {
    fn start(path: &Path) -> Line {
        let socket = path.with_file_name("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        let mut process = lineside()
            .args(["--log-format", "json", "run", arg(path)])
            .env("NOTIFY_SOCKET", socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log: Arc<Mutex<Vec<(Instant, Value)>>> = Arc::default();
        let (lines, notes) = (BufReader::new(process.stderr.take().unwrap()).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                notes.lock().unwrap().push((Instant::now(), serde_json::from_str(&line).unwrap_or(Value::from(line))));
            }
        });
        let verdicts: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let (lines, notes) = (BufReader::new(process.stdout.take().unwrap()).lines(), Arc::clone(&verdicts));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|line| line.contains("  score ")) {
                notes.lock().unwrap().push(Instant::now());
                drop(line);
            }
        });
        let status: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&status);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = manager.recv(&mut bytes) {
                let said = String::from_utf8_lossy(&bytes[..length]);
                notes.lock().unwrap().extend(said.strip_prefix("STATUS=").map(str::to_string));
            }
        });
        Line { process, log, verdicts, status, begun: Instant::now() }
    }

    /// Waits until the text of `systemctl status` ends so.
    fn shows(&self, text: &str) {
        let found = || self.status.lock().unwrap().iter().any(|line| line.trim_end().ends_with(text)).then_some(());
        crate::common::eventually(text, found);
    }

    /// Waits for so many more verdicts.
    fn await_verdicts(&self, more: usize) {
        let count = || self.verdicts.lock().unwrap().len();
        let goal = count() + more;
        eventually("more verdicts", || (count() >= goal).then_some(()));
    }

    fn of_kind(&self, kind: &str) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|(_, record)| record["record"] == kind).map(|(_, record)| record.clone()).collect()
    }

    /// Waits until there are so many records of a kind; gives the last of them.
    fn expect(&self, kind: &str, count: usize) -> Value {
        let asked = Instant::now();
        loop {
            let found = self.of_kind(kind);
            if found.len() >= count {
                return found[count - 1].clone();
            }
            let log = self.log.lock().unwrap();
            assert!(asked.elapsed() < HANGS, "no {count} × {kind}: {log:?}");
            drop(log);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it in order, and gives its last record.
    fn stop(mut self) -> Value {
        signal(&self.process, "TERM");
        assert!(ends(&mut self.process).success());
        self.expect("stop", 1)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(folder: &Path, board: &Board, source: &str, heat: &str) -> PathBuf {
    let (results, sysfs) = (folder.join("results"), board.0.path());
    config(
        folder,
        &format!(
            "[source.pattern]\nwidth = 160\nheight = 120\n{source}\n[super_resolution]\nwhen = \"never\"\n\
             [output]\nfolder = {results:?}\n[anomaly]\nthreshold = 0.0\n[heat]\nsysfs = {sysfs:?}\n{heat}"
        ),
    )
}

fn counts_of(record: &Value) -> [u64; 5] {
    ["captured", "inspected", "skipped_similar", "dropped_stale", "failed"].map(|key| record[key].as_u64().unwrap())
}

fn is_exact(record: &Value) {
    let [captured, fates @ ..] = counts_of(record);
    assert_eq!(captured, fates.iter().sum::<u64>(), "{record}");
}

fn time(record: &Value) -> f64 {
    let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
    time.as_millisecond() as f64 / 1e3
}

/// The number of an event's frame, counted as they are captured.
fn number_of(event: &Value) -> u64 {
    event["frame"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap()
}

/// Width and height of a PNG.
fn png_size(path: &Path) -> (u32, u32) {
    let mut bytes = [0; 24];
    std::fs::File::open(path).unwrap().read_exact(&mut bytes).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

const QUICK: &str = "limit = 75\nhysteresis = 5\nclimb_s = 2\ndescend_s = 2\n";

#[test]
fn it_climbs_while_hot_and_descends_when_cool_and_every_frame_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new("51234\n", "0\n");
    let heat = format!(
        "degrade = true\n{QUICK}every = 4\n[heat.smaller]\nwidth = 80\nheight = 60\nbundle = \"inspect-demo\"\n"
    );
    let line = Line::start(&line(folder.path(), &board, "fps = 10.0", &heat));
    line.expect("start", 1);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(line.of_kind("heat").len(), 0);
    board.set(TEMP, "78900\n");
    board.set(BITS, "e0008\n");
    let rate = line.expect("heat", 1);
    assert_eq!((&rate["rung"], &rate["name"], &rate["level"]), (&1.into(), &"rate".into(), &"warn".into()));
    assert_eq!((&rate["temperature_c"], &rate["throttled"]), (&78.9.into(), &"0xe0008".into()));
    assert_eq!(rate["cause"], "75 °C or more for 2 s");
    // The rung in between is one that this line does not have: it enlarges nothing.
    let size = line.expect("heat", 2);
    assert_eq!((&size["rung"], &size["name"]), (&3.into(), &"size".into()));
    let top = line.expect("heat", 3);
    assert_eq!((&top["rung"], &top["cause"]), (&3.into(), &"75 °C or more for 2 s; no step is left".into()));
    // Between the limits it stays as it is.
    board.set(TEMP, "72000\n");
    board.set(BITS, "e0000\n");
    line.shows("; 72.0 °C, heat rung 3 (size)");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(line.of_kind("heat").len(), 3);
    board.set(TEMP, "60000\n");
    let down = line.expect("heat", 4);
    assert_eq!((&down["rung"], &down["name"], &down["level"]), (&1.into(), &"rate".into(), &"info".into()));
    assert_eq!(down["cause"], "70 °C or less for 2 s");
    let none = line.expect("heat", 5);
    assert_eq!((&none["rung"], &none["name"], &none["throttled"]), (&0.into(), &"none".into(), &"0xe0000".into()));
    std::thread::sleep(Duration::from_secs(3));

    let status = line.expect("status", 1);
    assert!(line.begun.elapsed() >= Duration::from_secs(10));
    let temperature = status["temperature_c"].as_f64().unwrap();
    assert!([51.2, 78.9, 72.0, 60.0].contains(&temperature), "{status}");
    assert!(status["throttled"].is_string() && status["heat"].is_u64(), "{status}");
    let steps = line.of_kind("heat");
    let stop = line.stop();
    assert_eq!(steps.len(), 5);
    is_exact(&status);
    is_exact(&stop);
    let [captured, inspected, skipped, stale, failed] = counts_of(&stop);
    assert!(stale > 0 && skipped == 0 && failed == 0, "{stop}");

    // Every verdict is an event here, so events tell how many frames were inspected when, and how large they were.
    let results = folder.path().join("results");
    let events: Vec<Value> = records(&results).into_iter().filter(|record| record["record"] == "event").collect();
    assert_eq!(events.len() as u64, inspected);
    let [climbed, small, .., usual, over] = [0, 1, 2, 3, 4].map(|step| time(&steps[step]));
    let during = |from: f64, to: f64| events.iter().filter(move |event| (from..to).contains(&time(event)));
    // Frames are numbered as they are captured. Of four, one is inspected while the rate is lowered; a busy machine inspects
    // fewer, and only before and after there are two in a row. Some are on their way while a rung changes.
    const ON_THEIR_WAY: usize = 3;
    let gaps = |from: f64, to: f64| -> Vec<u64> {
        let numbers: Vec<u64> = during(from, to).skip(ON_THEIR_WAY).map(number_of).collect();
        numbers.windows(2).map(|pair| pair[1] - pair[0]).collect()
    };
    let (before, lowered, after) = (gaps(0.0, climbed), gaps(climbed, usual), gaps(over, f64::MAX));
    assert!(before.contains(&1) && after.contains(&1), "{before:?}, {lowered:?}, {after:?}");
    assert!(lowered.len() > 3 && lowered.iter().all(|gap| *gap >= 4), "{before:?}, {lowered:?}, {after:?}");
    assert!(captured > inspected, "{captured} of which {inspected}");
    let size_of = |event: &Value| png_size(&results.join(event["files"]["annotated"].as_str().unwrap()));
    assert!(during(small, usual).skip(ON_THEIR_WAY).all(|event| size_of(event) == (80, 60)));
    assert!(during(small, usual).skip(ON_THEIR_WAY).count() > 2);
    let full_size = during(0.0, small).chain(during(usual, f64::MAX).skip(ON_THEIR_WAY));
    assert!(full_size.into_iter().all(|event| size_of(event) == (160, 120)));
}

#[test]
fn a_source_that_waits_slows_down_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new("50000", "0");
    let (sysfs, frames) = (board.0.path(), crate::common::root().join("models/inspect-demo/frames/normal"));
    let source = format!("[source.folder]\npath = {frames:?}\nrepeat = true\n[super_resolution]\nwhen = \"never\"\n");
    let output = format!("[output]\nfolder = {:?}\n[anomaly]\nthreshold = 0.0\n", folder.path().join("results"));
    let heat = format!("[heat]\nsysfs = {sysfs:?}\ndegrade = true\n{QUICK}every = 10\n");
    let line = Line::start(&config(folder.path(), &(source + &output + &heat)));
    line.expect("start", 1);
    line.await_verdicts(30);
    board.set(TEMP, "90000");
    let hot = line.expect("heat", 1);
    line.await_verdicts(30);
    board.set(TEMP, "50000");
    // One that no step is left may come before.
    let is_cool = |record: &Value| record["rung"] == 0;
    let cool = eventually("a cool board", || line.of_kind("heat").into_iter().find(is_cool));
    line.await_verdicts(30);
    let status = line.expect("status", 1);
    // Frames do not grow old by the rest, which takes nine times as long as the inspection.
    let judge = status["judge_p50_ms"].as_f64().unwrap();
    let events = records(&folder.path().join("results"));
    let events: Vec<&Value> = events.iter().filter(|record| record["record"] == "event").collect();
    let within = |from: f64, to: f64| events.iter().copied().filter(move |event| (from..to).contains(&time(event)));
    // By the middle of three times thirty: whatever else the machine does now and then.
    let pause = |from: f64, to: f64| {
        let times: Vec<f64> = within(from, to).map(time).collect();
        let mut pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        pauses.sort_by(f64::total_cmp);
        pauses[pauses.len() / 2]
    };
    let (before, lowered, after) =
        (pause(0.0, time(&hot)), pause(time(&hot), time(&cool)), pause(time(&cool), f64::INFINITY));
    assert!(lowered > 2.0 * before && lowered > 2.0 * after, "seconds: {before}, then {lowered}, then {after}");
    let mut latencies: Vec<f64> =
        within(time(&hot), time(&cool)).map(|event| event["latency_ms"].as_f64().unwrap()).collect();
    latencies.sort_by(f64::total_cmp);
    let median = latencies[latencies.len() / 2];
    assert!(median < 5.0 * judge, "{median} ms until a verdict, {judge} for the inspection");
    let stop = line.stop();
    is_exact(&stop);
    let [captured, inspected, _, stale, _] = counts_of(&stop);
    // At most the one that had to be given up for the stop.
    assert!(stale <= 1 && inspected + stale == captured, "{stop}");
}

#[test]
fn without_degrade_heat_is_only_told_and_a_lost_sensor_too() {
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new("80000", "50005");
    let line = Line::start(&line(folder.path(), &board, "fps = 10.0", QUICK));
    let hot = line.expect("heat", 1);
    assert_eq!((&hot["rung"], &hot["name"], &hot["level"]), (&0.into(), &"none".into(), &"warn".into()));
    assert_eq!(hot["cause"], "75 °C or more for 2 s; the load is not reduced: heat.degrade is off");
    std::thread::sleep(Duration::from_secs(3));
    line.shows("; 80.0 °C");
    board.lose(TEMP);
    board.set(BITS, "nonsense");
    let gone = line.expect("heat", 2);
    assert_eq!(gone["cause"], "the temperature cannot be read any more; the active steps stay");
    assert!(gone.get("temperature_c").is_none() && gone.get("throttled").is_none(), "{gone}");
    let status = line.expect("status", 1);
    board.set(TEMP, "72000");
    assert_eq!(line.expect("heat", 3)["cause"], "the temperature can be read again");
    assert_eq!(line.of_kind("heat").len(), 3);
    let stop = line.stop();
    is_exact(&stop);
    // No rate was lowered: after it was reported hot, frames were inspected one after the other.
    let events = records(&folder.path().join("results"));
    let numbers: Vec<u64> = events
        .iter()
        .filter(|record| record["record"] == "event" && time(record) > time(&hot))
        .map(number_of)
        .collect();
    assert!(numbers.windows(2).any(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    if status.get("temperature_c").is_none() {
        assert!(status.get("throttled").is_none() && status.get("heat").is_none(), "{status}");
    }
}

#[test]
fn a_board_without_sensors_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let board = Board(tempfile::tempdir().unwrap());
    let path = line(folder.path(), &board, "fps = 20.0", "degrade = true\nclimb_s = 1\n");
    let told = succeed(&["check", arg(&path)]);
    assert!(told.contains("\nheat     no temperature under "), "{told}");
    let line = Line::start(&path);
    let status = line.expect("status", 1);
    for key in ["temperature_c", "throttled", "undervoltage", "heat"] {
        assert!(status.get(key).is_none(), "{status}");
    }
    assert_eq!(line.of_kind("heat").len(), 0);
    line.stop();
}

#[test]
fn check_shows_the_temperature_and_what_would_be_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let board = Board::new("61300", "80008");
    let told = succeed(&["check", arg(&line(folder.path(), &board, "", ""))]);
    let plain = "heat     61.3 °C (cpu-thermal), get_throttled 0x80008; the load is not reduced (heat.degrade)";
    assert!(told.contains(plain), "{told}");
    let heat = "degrade = true\nevery = 3\n[heat.smaller]\nwidth = 80\nheight = 60\nbundle = \"inspect-demo\"\n";
    let told = succeed(&["check", arg(&line(folder.path(), &board, "", heat))]);
    assert!(told.contains("; from 75 °C on: 1 of 3 frames, then frames of 80x60"), "{told}");
    assert_eq!(told.matches("inspect-demo weights").count(), 2, "both are on the bill: {told}");
}

#[test]
fn mistakes_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = "[source.pattern]\nwidth = 64\nheight = 48\n[heat]\n";
    let smaller = |more: &str| format!("{pattern}degrade = true\n[heat.smaller]\n{more}bundle = \"inspect-demo\"\n");
    let cases = [
        (format!("{pattern}limits = 3\n"), "line.toml:5: unknown field `limits`"),
        (format!("{pattern}degrade = 1\n"), "line.toml:5: degrade: invalid type: integer `1`, expected a boolean"),
        (format!("{pattern}limit = 500\n"), "line.toml:5: heat.limit must lie in 20..120, found 500"),
        (format!("{pattern}limit = nan\n"), "line.toml:5: heat.limit must lie in 20..120, found NaN"),
        (format!("{pattern}hysteresis = 0\n"), "line.toml:5: heat.hysteresis must lie in 0.5..50, found 0"),
        (format!("{pattern}climb_s = 0\n"), "line.toml:5: heat.climb_s must lie in 1..3600, found 0"),
        (format!("{pattern}descend_s = -1\n"), "line.toml:5: heat.descend_s must lie in 1..86400, found -1"),
        (format!("{pattern}every = 1\n"), "line.toml:5: heat.every must lie in 2..100, found 1"),
        (smaller(""), "line.toml:6: missing field `width`"),
        (smaller("width = 64\nheight = 48\n"), "line.toml:7: heat.smaller is 64x48, as large as the source's frames"),
        (smaller("width = 32\nheight = 49\n"), "line.toml:8: heat.smaller.height must lie in 32..48, found 49"),
        (smaller("width = 32\nheight = 32\n").replace("inspect-demo", "no-such"), "no bundle \"no-such\": looked for"),
        (
            format!("{pattern}[heat.smaller]\nwidth = 32\nheight = 32\nbundle = \"inspect-demo\"\n"),
            "line.toml:6: heat.smaller has no effect without heat.degrade = true",
        ),
        (
            "[source.folder]\npath = \"x\"\n[heat]\ndegrade = true\n[heat.smaller]\nwidth = 32\nheight = 32\n\
             bundle = \"inspect-demo\"\n"
                .into(),
            "line.toml:6: heat.smaller needs a source that can deliver smaller frames: [source.camera]",
        ),
        (
            format!("{pattern}degrade = true\n[trigger]\nline = \"PART\"\n"),
            "line.toml:5: heat.degrade has no step that it could take: with [trigger] no frame may be skipped",
        ),
    ];
    for (toml, expected) in cases {
        refuse(&["check", arg(&config(folder.path(), &toml))], 78, &[expected]);
    }
}
