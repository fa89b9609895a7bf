//! Whatever happens, whole lines, in order, within the budget.

use super::*;
use crate::storage::faults::{Fault, FaultyDisk};
use serde_json::Value;
use std::fs;

const NAME: &str = "events.jsonl";
const NEXT: &str = ".events.jsonl.part";

fn closed_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    LAYOUT.paths_in(folder)
}

/// A record with a number.
fn numbered(number: u64) -> Record {
    Record::info("event").with("number", number).with("frame", "a frame's name of some length, as they have")
}

/// All records of a folder, the oldest first. Every line must be one.
fn records(folder: &Path) -> Vec<Value> {
    let files = closed_files(folder).unwrap().into_iter().chain([folder.join(NAME)]);
    let texts = files.map(|path| fs::read_to_string(path).unwrap_or_default());
    texts.flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()).collect()
}

fn numbers(folder: &Path) -> Vec<u64> {
    records(folder).iter().filter_map(|record| record["number"].as_u64()).collect()
}

fn bytes(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn records_are_appended_run_after_run() {
    let folder = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let mut log = EventLog::open(folder.path(), 1 << 20).unwrap();
        log.append(&numbered(2 * run)).unwrap();
        log.append(&numbered(2 * run + 1)).unwrap();
    }
    assert_eq!(numbers(folder.path()), [0, 1, 2, 3, 4, 5]);
    assert_eq!(records(folder.path())[0]["record"], "event");
}

#[test]
fn the_budget_is_kept_and_the_oldest_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let budget = 16 << 10;
    let mut log = EventLog::open(folder.path(), budget).unwrap();
    log.start(Record::info("start").with("version", "1")).unwrap();
    for number in 0..1000 {
        log.append(&numbered(number)).unwrap();
        assert!(bytes(folder.path()) <= budget, "{number}: {}", bytes(folder.path()));
    }
    let numbers = numbers(folder.path());
    assert_eq!(*numbers.last().unwrap(), 999);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "none is missing between the first and the last");
    assert!(bytes(folder.path()) > budget * 3 / 4, "{}", bytes(folder.path()));
    // Every file can be read alone.
    let closed = closed_files(folder.path()).unwrap();
    assert!(closed.len() >= 6, "{closed:?}");
    for path in closed.iter().chain([&log.path()]) {
        let text = fs::read_to_string(path).unwrap();
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&first["record"], &first["version"]), (&"goes_on".into(), &"1".into()));
    }
    // A smaller budget is kept from the next start on.
    drop(log);
    EventLog::open(folder.path(), budget / 2).unwrap();
    assert!(bytes(folder.path()) <= budget / 2);
}

#[test]
fn a_week_old_file_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let old = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(7 * 24 + 1);
    let line = json_line(&numbered(0).at(old), false) + "\n";
    fs::write(folder.path().join(NAME), &line).unwrap();
    let mut log = EventLog::open(folder.path(), 1 << 20).unwrap();
    log.append(&numbered(1)).unwrap();
    log.append(&numbered(2)).unwrap();
    let closed = closed_files(folder.path()).unwrap();
    assert_eq!(closed.len(), 1);
    assert_eq!(fs::read_to_string(&closed[0]).unwrap(), line);
    assert_eq!(numbers(folder.path()), [0, 1, 2]);
}

#[test]
fn the_order_of_names_is_that_of_age_even_where_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let future = folder.path().join("events-29991231T235959999Z.jsonl");
    fs::write(&future, json_line(&numbered(0), false) + "\n").unwrap();
    let mut log = EventLog::open(folder.path(), 1 << 20).unwrap();
    for number in 1..4 {
        log.append(&numbered(number)).unwrap();
        log.begin_next().unwrap();
    }
    let names: Vec<String> = closed_files(folder.path())
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names[0], "events-29991231T235959999Z.jsonl");
    assert_eq!(names[1..], [1, 2, 3].map(|n| format!("events-30000101T00000000{}Z.jsonl", n - 1)));
    assert_eq!(numbers(folder.path()), [0, 1, 2, 3]);
    // What others put there is theirs.
    fs::write(folder.path().join("events-of-mine.jsonl"), "x").unwrap();
    EventLog::open(folder.path(), 1).unwrap();
    assert!(folder.path().join("events-of-mine.jsonl").exists());
    assert_eq!(closed_files(folder.path()).unwrap().len(), 0);
}

#[test]
fn a_power_cut_between_any_two_steps_loses_no_line() {
    // After each step of `begin_next`: the next file is there; the old one has its new name; both have.
    for step in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EventLog::open(folder.path(), 1 << 20).unwrap();
        log.append(&numbered(0)).unwrap();
        log.append(&numbered(1)).unwrap();
        let (path, next) = (log.path(), folder.path().join(NEXT));
        drop(log);
        fs::write(&next, json_line(&Record::info("goes_on"), false) + "\n").unwrap();
        if step > 0 {
            fs::rename(&path, folder.path().join("events-20261121T040000123Z.jsonl")).unwrap();
        }
        if step > 1 {
            fs::rename(&next, &path).unwrap();
        }
        let mut log = EventLog::open(folder.path(), 1 << 20).unwrap();
        log.append(&numbered(2)).unwrap();
        assert_eq!(numbers(folder.path()), [0, 1, 2], "{step}");
        assert!(!next.exists());
    }
}

#[test]
fn a_line_that_was_cut_anywhere_is_gone_and_the_others_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = EventLog::open(folder.path(), 1 << 20).unwrap();
    log.append(&numbered(0)).unwrap();
    log.append(&numbered(1)).unwrap();
    let path = log.path();
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for cut in first..whole.len() {
        for zeros in [0, 4096] {
            fs::write(&path, [&whole[..cut], &vec![0; zeros]].concat()).unwrap();
            EventLog::open(folder.path(), 1 << 20).unwrap().append(&numbered(2)).unwrap();
            // One that only lacks its line end is whole.
            let expected = if cut + 1 == whole.len() && zeros == 0 { vec![0, 1, 2] } else { vec![0, 2] };
            assert_eq!(numbers(folder.path()), expected, "{cut}");
        }
    }
}

#[test]
fn a_file_that_takes_nothing_is_an_error_each_time_and_nothing_worse() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = EventLog::open(folder.path(), 1 << 20).unwrap();
    let disk = FaultyDisk::new();
    disk.fail_always(Some(Fault::Error(rustix::io::Errno::NOSPC)));
    for number in 0..3 {
        assert_eq!(
            log.append(&numbered(number)).unwrap_err().raw_os_error(),
            Some(rustix::io::Errno::NOSPC.raw_os_error())
        );
    }
}
