//! Logs that make up names without end: what is kept of them is bounded, and the rest is counted.

use lineside_fieldlog::{LogSource, Report, TimeRange, inspect};
use serde_json::Value;
use std::fmt::Write;

fn report(log: &str) -> (Report, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    std::fs::write(&path, log).unwrap();
    let report = inspect(vec![LogSource::File(path)], TimeRange::default(), &mut |_, _| ());
    let json = report.to_json();
    (report, json)
}

/// `n` in letters: causes that differ in their numbers only are one.
fn letters(n: u64) -> String {
    n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

fn log(mut line: impl FnMut(u64) -> String, lines: u64) -> String {
    let mut log = String::new();
    for number in 0..lines {
        let (minute, milli) = (number / 60_000 % 60, number % 60_000);
        let _ = writeln!(
            log,
            "time=2026-11-21T04:{minute:02}:{:02}.{:03}Z level=info {}",
            milli / 1000,
            milli % 1000,
            line(number)
        );
    }
    log
}

const LINES: u64 = 300_000;

#[test]
fn kinds_of_faults_are_bounded_and_all_are_counted() {
    let log = log(
        |number| {
            let name = letters(number);
            format!("record=fault run=0a1b2c3d fault={name} state=begin cause=\"{name} is broken\"")
        },
        LINES,
    );
    let (report, json) = report(&log);
    let faults = json["boards"][0]["faults"].as_array().unwrap();
    assert!(faults.len() < 1000, "{}", faults.len());
    let times: u64 = faults.iter().map(|fault| fault["times"].as_u64().unwrap()).sum();
    assert_eq!(times, LINES);
    assert!(faults.iter().any(|fault| fault["fault"] == "other kinds"), "{faults:?}");
    assert!(report.to_text().contains("other kinds"));
}

#[test]
fn runs_hosts_versions_bundles_and_reviews_are_bounded() {
    let log = log(
        |number| {
            let name = letters(number);
            match number % 4 {
                0 => {
                    format!("record=start run={number:08x} host=h{name} version=v{name} bundles=b{name} previous=none")
                }
                1 => format!("record=review run={:08x} review=over statistic={name}", number - 1),
                2 => format!(
                    "record=status run={:08x} captured=1 inspected=1 skipped_similar=0 dropped_stale=0 failed=0",
                    number - 2
                ),
                _ => format!("record=event run={:08x} frame={name} score=0.99", number - 3),
            }
        },
        LINES / 4,
    );
    let (_, json) = report(&log);
    assert!(json["boards"].as_array().unwrap().len() <= 256);
    assert_eq!(json["frames"]["captured"], LINES / 16);
    assert!(json["boards"].as_array().unwrap().iter().any(|board| board["name"] == "other boards"));
    let reviews = json["boards"].as_array().unwrap().iter().map(|board| board["reviews"].as_array().unwrap().len());
    assert!(reviews.max().unwrap() <= 64);
    assert!(json["findings"].as_array().unwrap().len() < 10_000);
    assert!(json.to_string().len() < 64 << 20);
}

#[test]
fn one_line_of_many_broken_records_ends() {
    // Each part is broken by the next one.
    for part in ["time=2 \"", "{\"time\":", "time=2026-11-21T04:00:00Z record=event a=\"\\"] {
        let line = part.repeat((1 << 20) / part.len() - 1);
        let log = format!("time=2026-11-21T04:00:00Z record=status captured=1\n{line}\n{line}\n");
        let (_, json) = report(&log);
        assert_eq!(json["read"][0]["lines"], 3);
    }
}
