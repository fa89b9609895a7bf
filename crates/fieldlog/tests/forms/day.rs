//! A short day of a board.

use super::BEGIN;

/// A line of the journal.
#[derive(Debug, Clone)]
pub struct Line {
    /// In ms since 1970, whole seconds.
    pub time: i64,
    pub program: &'static str,
    pub pid: u32,
    pub message: String,
}

impl Line {
    pub fn stamp(&self) -> String {
        jiff::Timestamp::from_millisecond(self.time).unwrap().to_string()
    }
}

const START: &str = "record=start run=0a1b2c3d host=pi4 version=0.1.0 source=\"camera \\\"left\\\"\" config=/etc/lineside/lineside.toml bundles=\"parts 1 aa\" output=/var/lib/lineside/records budget_bytes=201326592 bill_bytes=100000000 bill=\"x 1; y, 2\" cores=4 kernel=dotprod os=6.6 boot=c28a31af9574451fb3443d874037d87a pid=812 previous=clean";

fn records() -> Vec<(i64, String)> {
    let mut all = vec![(0, START.to_string())];
    for number in 1..=6 {
        let captured = 100 * number;
        all.push((10 * number, format!("record=status run=0a1b2c3d uptime_s={}.0 seconds=10.0 captured={captured} inspected={captured} skipped_similar=0 dropped_stale=0 failed=0 defects={} fps=10 score=0.5 verdict_p50_ms=20 verdict_p95_ms=25 verdict_p99_ms=30 verdict_max_ms=40 source=flowing restarts=0 rss_bytes=32616448", 10 * number, number / 3)));
        if number % 3 == 0 {
            let second = 10 * number + 1;
            let stamp = jiff::Timestamp::from_millisecond(BEGIN + 1000 * second).unwrap().strftime("%Y%m%dT%H%M%S000Z");
            all.push((second, format!("record=event run=0a1b2c3d id=0a1b2c3dd13eca71-{} frame=\"part {second}, ä=ö\" score=1 threshold=0.99 bundle=53ac regions=48,48,48,72 latency_ms=16.59 annotated={stamp}-part.png spot=\"\" original={stamp}-part-original.png", number / 3)));
        }
    }
    all.push((
        62,
        "record=fault run=0a1b2c3d fault=disk state=begin cause=\"No space left on device (os error 28)\"".into(),
    ));
    all.push((65, "record=fault run=0a1b2c3d fault=disk state=end cause=\"No space left on device (os error 28)\" seconds=3 count=1".into()));
    all
}

fn sorted(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by_key(|line| line.time);
    lines
}

/// The day as the journal has it, with systemd, the kernel and others.
pub fn journal_day() -> Vec<Line> {
    let line = |second: i64, program, pid, message: String| Line { time: BEGIN + 1000 * second, program, pid, message };
    let mut lines: Vec<Line> =
        records().into_iter().map(|(second, text)| line(second, "lineside", 812, text)).collect();
    lines.insert(0, line(0, "systemd", 1, "Started lineside.service - Lineside.".into()));
    lines.push(line(5, "kernel", 0, "hwmon hwmon1: Undervoltage detected!".into()));
    lines.push(line(6, "cron", 77, "(root) CMD (true) record=12".into()));
    lines.push(line(
        70,
        "lineside",
        812,
        "thread 'inspection' panicked at src/engine/step.rs:12:5:\nindex out of bounds: über\nnote: run with it".into(),
    ));
    lines.push(line(71, "systemd", 1, "lineside.service: Main process exited, code=exited, status=101/n/a".into()));
    sorted(lines)
}

/// The day as the program writes it to stderr.
pub fn container_day() -> Vec<Line> {
    let line = |(second, text): (i64, String)| {
        let time = BEGIN + 1000 * second;
        let stamp = jiff::Timestamp::from_millisecond(time).unwrap();
        Line { time, program: "lineside", pid: 812, message: format!("time={stamp:.3} level=info {text}") }
    };
    sorted(records().into_iter().map(line).collect())
}
