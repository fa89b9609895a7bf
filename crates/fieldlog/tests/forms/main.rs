//! The same day in every form that logs come in gives the same report.

mod cut;
mod day;
mod folders;
mod joined;
mod journal;
mod locales;
mod mailed;
mod newest_first;
mod others;
mod unread;
mod zones;

use day::{container_day, journal_day};
use lineside_fieldlog::{LogSource, Report, TimeRange, inspect};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// When the day began, in ms: 2026-11-28T20:27:11Z.
pub const BEGIN: i64 = 1_795_897_631_000;

/// The report on a log that was last written to at `written`, in ms.
pub fn report_on(folder: &Path, name: &str, content: &[u8], written: i64) -> Report {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_millis(written as u64)).unwrap();
    inspect(vec![LogSource::File(path)], TimeRange::default(), &mut |_, _| ())
}

/// The report on a log of `name`, as JSON.
pub fn read_named(name: &str, content: &[u8]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    report_on(folder.path(), name, content, BEGIN + 86_400_000).to_json()
}

/// The report on a log, as JSON.
pub fn read(content: &[u8]) -> Value {
    read_named("a.log", content)
}

/// What happened, without where it stands.
pub fn story(report: &Value) -> Value {
    let mut story = report.clone();
    strip(&mut story);
    story
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for key in ["lines", "read"] {
                fields.remove(key);
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => (),
    }
}

/// Both tell the same, and nothing was left unread.
pub fn assert_same(name: &str, found: &Value, expected: &Value) {
    let read = &found["read"];
    let (found, expected) = (story(found), story(expected));
    let mut differences = Vec::new();
    differ("", &found, &expected, &mut differences);
    assert!(differences.is_empty(), "{name}: {differences:#?}\n{read:#}");
    for input in read.as_array().unwrap() {
        assert_eq!(input["unread"], 0, "{name}: {input:#}");
        assert!(!input["notes"].to_string().contains("truncated"), "{name}: {input:#}");
    }
}

/// Where two values differ.
fn differ(path: &str, found: &Value, expected: &Value, differences: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) if found.len() == expected.len() => {
            for (key, value) in expected {
                differ(&format!("{path}.{key}"), found.get(key).unwrap_or(&Value::Null), value, differences);
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
                differ(&format!("{path}[{at}]"), found, expected, differences);
            }
        }
        _ if found != expected => differences.push(format!("{path}: {found} instead of {expected}")),
        _ => (),
    }
}

#[test]
fn the_journals_forms() {
    let day = journal_day();
    let expected = read(&journal::short_iso(&day));
    assert_eq!(expected["frames"]["captured"], 600, "{expected:#}");
    assert_eq!(expected["runs"][0]["ending"], "panic");
    assert_eq!(expected["defects"], 2);
    for (name, form) in journal::FORMS {
        let log = form(&day);
        assert_same(name, &read(&log), &expected);
        // The lengths in an export count bytes.
        if *name != "export" {
            assert_same(&format!("{name} in colours"), &read(&coloured(&log)), &expected);
            for (way, bytes) in rewritten(&log) {
                assert_same(&format!("{name}, {way}"), &read(&bytes), &expected);
            }
        }
        let mixed = [
            &log[..],
            b"Nov 28 20:29:00 pi4 cron[7]: (root) CMD (a record=12)\nout.png normal\n{\"msg\":\"x\",\"a\":[{}]\n",
            &log,
        ]
        .concat();
        let again = read(&mixed);
        assert_eq!(again["frames"], expected["frames"], "{name} twice in a file");
    }
}

#[test]
fn what_collects_the_output_of_a_container() {
    let day = container_day();
    let expected = read(&others::plain(&day));
    assert_eq!(expected["frames"]["captured"], 600, "{expected:#}");
    for (name, form) in others::FORMS {
        let log = form(&day);
        assert_same(name, &read(&log), &expected);
        for (way, bytes) in rewritten(&log) {
            assert_same(&format!("{name}, {way}"), &read(&bytes), &expected);
        }
        assert_same(&format!("{name} in colours"), &read(&coloured(&log)), &expected);
    }
}

/// Several forms in a folder, some of them with the same records: each counts once.
#[test]
fn a_folder_with_several_forms() {
    let day = journal_day();
    let expected = read(&journal::short_iso(&day));
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<&str> = journal::FORMS.iter().map(|(name, _)| *name).collect();
    for (name, form) in journal::FORMS {
        report_on(folder.path(), &format!("{name}.log"), &form(&day), BEGIN + 86_400_000);
    }
    let sources = lineside_fieldlog::find_logs(&[folder.path().to_path_buf()]);
    assert_eq!(sources.len(), names.len());
    let found = inspect(sources, TimeRange::default(), &mut |_, _| ()).to_json();
    for key in ["frames", "defects"] {
        assert_eq!(found[key], expected[key], "{:#}", found["read"]);
    }
    let times = |report: &Value| report["boards"][0]["events"].clone();
    assert_eq!(times(&found), times(&expected));
    assert_eq!(found["runs"].as_array().unwrap().len(), 1, "{:#}", found["runs"]);
}

/// Local times of a zone that nothing in their file shows: another file has the same records in UTC.
#[test]
fn a_zone_that_another_file_shows() {
    let mut day = journal_day();
    day.retain(|line| !line.message.starts_with("record=event"));
    let expected = read(&journal::short_iso(&day));
    let ahead: Vec<_> = day.iter().cloned().map(|line| day::Line { time: line.time + 5 * 3_600_000, ..line }).collect();
    let folder = tempfile::tempdir().unwrap();
    report_on(folder.path(), "a.log", &journal::short(&ahead), BEGIN + 86_400_000);
    report_on(folder.path(), "b.log", &journal::short_iso(&day), BEGIN + 86_400_000);
    let sources = lineside_fieldlog::find_logs(&[folder.path().to_path_buf()]);
    let found = inspect(sources, TimeRange::default(), &mut |_, _| ()).to_json();
    assert_same("both", &found, &expected);
    assert!(!found["read"].to_string().contains("taken as UTC"), "{:#}", found["read"]);
}

/// Rotated files, of which one alone shows the zone.
#[test]
fn a_zone_that_a_rotated_file_shows() {
    let day = journal_day();
    let expected = read(&journal::short_iso(&day));
    let ahead: Vec<_> = day.iter().cloned().map(|line| day::Line { time: line.time + 5 * 3_600_000, ..line }).collect();
    let event = |line: &day::Line| line.message.starts_with("record=event");
    let first = ahead.iter().position(event).unwrap();
    let folder = tempfile::tempdir().unwrap();
    report_on(folder.path(), "syslog.1", &journal::short(&ahead[..first]), BEGIN + 86_400_000);
    report_on(folder.path(), "syslog", &journal::short(&ahead[first..]), BEGIN + 86_400_000);
    let sources = lineside_fieldlog::find_logs(&[folder.path().to_path_buf()]);
    let found = inspect(sources, TimeRange::default(), &mut |_, _| ()).to_json();
    assert_same("rotated", &found, &expected);
}

/// A table whose columns are the fields of records.
#[test]
fn a_table_of_records() {
    let log = "time,record,run,uptime_s,captured,inspected,skipped_similar,dropped_stale,failed,source,host\n\
        2026-11-28T20:27:11Z,start,a,,,,,,,camera,pi4\n2026-11-28T20:27:21Z,status,a,10,100,100,0,0,0,flowing,\n";
    let report = read_named("a.csv", log.as_bytes());
    assert_eq!(
        (&report["frames"]["captured"], &report["boards"][0]["name"]),
        (&100.into(), &"pi4".into()),
        "{report:#}"
    );
    assert_eq!(report["boards"].as_array().unwrap().len(), 1);
}

/// A log with colour codes wherever journalctl, grep and docker compose put them.
fn coloured(log: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(log.to_vec()).unwrap();
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (first, second, rest) = (words.next(), words.next(), words.next());
        match (first, second, rest) {
            (Some(first), Some(second), Some(rest)) if !first.is_empty() => {
                format!("\x1b[0;1;39m{first}\x1b[0m \x1b[01;31m\x1b[K{second}\x1b[m\x1b[K {rest}\x1b[0m\n")
            }
            _ => format!("\x1b[32m{line}\x1b[0m\n"),
        }
    };
    text.lines().map(line).collect::<String>().into_bytes()
}

/// Other line ends and encodings.
fn rewritten(log: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = String::from_utf8(log.to_vec()).unwrap();
    let windows = text.replace('\n', "\r\n");
    let utf16 = |little: bool, mark: bool| -> Vec<u8> {
        let mark = if mark { "\u{feff}" } else { "" };
        let units = format!("{mark}{windows}");
        units.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    vec![
        ("Windows line ends", windows.clone().into_bytes()),
        ("a byte-order mark", format!("\u{feff}{text}").into_bytes()),
        ("UTF-16", utf16(true, true)),
        ("UTF-16, high byte first", utf16(false, true)),
        ("UTF-16 without a mark", utf16(true, false)),
    ]
}
