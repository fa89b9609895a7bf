//! `lineside inspect`: what it says of logs that the program wrote, of days that went wrong, and of logs that are broken.

mod common;
#[path = "inspect/days.rs"]
mod days;
#[path = "inspect/forms.rs"]
mod forms;
#[path = "inspect/logs.rs"]
mod logs;
#[path = "inspect/page.rs"]
mod page;
#[path = "inspect/story.rs"]
mod story;

use common::{arg, config, lineside, text};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use story::{HOUR, MINUTE, SECOND, Story};

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// The report for programs on some logs.
fn report(arguments: &[&str]) -> Value {
    let output = lineside().arg("inspect").args(arguments).arg("--json").output().unwrap();
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    assert!(output.status.success(), "{arguments:?}: {} {said}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The report on one log.
fn of(content: impl AsRef<[u8]>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    report(&[arg(&write(folder.path(), "a.log", content))])
}

fn kinds(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

/// The finding of a kind, which there must be exactly once.
fn finding<'a>(report: &'a Value, kind: &str) -> &'a Value {
    let all = report["findings"].as_array().unwrap();
    let mut found = all.iter().filter(|finding| finding["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind} in {all:#?}"));
    assert!(found.next().is_none(), "{kind} twice in {all:#?}");
    first
}

/// The finding must say all of `parts`.
fn says(report: &Value, kind: &str, parts: &[&str]) {
    let finding = finding(report, kind);
    let said = finding["text"].as_str().unwrap();
    for part in parts {
        assert!(said.contains(part), "{kind}: {part:?} is not in: {said}");
    }
}

/// The text of the first line that a finding names.
fn shown<'a>(log: &'a str, report: &Value, kind: &str) -> &'a str {
    let line = finding(report, kind)["lines"][0]["line"].as_u64().unwrap() as usize;
    log.lines().nth(line - 1).unwrap_or_else(|| panic!("{kind} names line {line}"))
}

fn endings(report: &Value) -> Vec<&str> {
    report["runs"].as_array().unwrap().iter().map(|run| run["ending"].as_str().unwrap()).collect()
}

/// A day with a watchdog's restart, a camera that is away three times, and two hours of throttling.
fn bad_day() -> Story {
    let mut day = Story::new("line3");
    day.start("none").go(6 * HOUR);
    day.event(0.998, 33.0);
    for _ in 0..3 {
        day.outage(40 * SECOND).go(10 * MINUTE);
    }
    day.go(3 * HOUR).wait(14 * SECOND).killed("watchdog").start("cut").go(4 * HOUR);
    (day.celsius, day.throttled, day.judge) = (Some(84.0), 0x40004, 48.0);
    day.go(2 * HOUR);
    (day.celsius, day.throttled, day.judge) = (Some(60.0), 0x40000, 18.0);
    day.go(5 * HOUR).stop("stop asked for");
    day
}
