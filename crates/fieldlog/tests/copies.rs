//! The same log given more than once, as it is or in another form, counts once, and the report names what was passed over.

use lineside_fieldlog::{LogSource, TimeRange, inspect};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs of a minute each, with an event every two seconds and a fault, as the program writes them. `hour` of each run: a clock that
/// is set back, or 1970 before it is set.
fn records(hours: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    for (number, hour) in hours.iter().enumerate() {
        let run = format!("{:08x}", 0x0a1b_2c3d + number);
        let mut record = |second: u64, kind: &str, fields: Value| {
            let mut record = json!({ "time": format!("{hour}:00:{second:02}.{:03}Z", 7 * second + 1), "level": "info", "record": kind, "run": run });
            for (key, value) in fields.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
                record[key] = value.clone();
            }
            all.push(record);
        };
        let counts = |second: u64| {
            json!({ "uptime_s": second, "seconds": 10, "captured": 10 * second, "inspected": 10 * second, "skipped_similar": 0, "dropped_stale": 0,
                "failed": 0, "defects": second / 2, "verdict_p50_ms": 20, "verdict_p95_ms": 30, "verdict_p99_ms": 40, "verdict_max_ms": 50 })
        };
        record(0, "start", json!({ "host": "line3", "version": "0.1.0", "bundles": "a 1 2", "previous": "none" }));
        for second in 1..60 {
            if second % 2 == 0 {
                let id = format!("{run}00000000-{second}");
                record(
                    second,
                    "event",
                    json!({ "id": id, "frame": format!("part-{second}"), "score": 0.995, "threshold": 0.99, "latency_ms": 20 }),
                );
            }
            if second % 10 == 0 {
                record(second, "status", counts(second));
            }
            if second == 33 {
                record(second, "fault", json!({ "fault": "disk", "state": "begin", "cause": "full" }));
                record(second, "fault", json!({ "fault": "disk", "state": "end", "cause": "full", "seconds": 0 }));
                // Several of a kind in one millisecond.
                for (product, refused) in [("cap", None), ("with code 77", Some("there is none")), ("base", None)] {
                    let by = "modbus 10.0.0.5";
                    record(
                        second,
                        "command",
                        json!({ "command": "product", "by": by, "product": product, "refused": refused }),
                    );
                }
                for mark in ["good", "defect"] {
                    record(second, "marked", json!({ "role": "teach", "from": "10.0.0.7", "mark": mark, "frames": 1 }));
                }
                for part in [7, 9] {
                    record(
                        second,
                        "part",
                        json!({ "part": part, "count": 1, "result": "no_result", "reason": "late" }),
                    );
                }
            }
        }
        let mut stop = counts(59);
        stop["reason"] = "stop asked for".into();
        record(59, "stop", stop);
    }
    all
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// The same in text.
fn text(records: &[Value]) -> String {
    const FIRST: [&str; 4] = ["time", "level", "record", "run"];
    let pair = |key: &str, value: &Value| match value.as_str() {
        Some(bare) if bare.bytes().all(|byte| byte.is_ascii_graphic()) => format!("{key}={bare} "),
        _ => format!("{key}={value} "),
    };
    let line = |record: &Value| -> String {
        let rest = record.as_object().unwrap().iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
        let first = FIRST.map(|key| pair(key, &record[key])).concat();
        first + rest.map(|(key, value)| pair(key, value)).collect::<String>().trim_end() + "\n"
    };
    records.iter().map(line).collect()
}

/// What `journalctl -o export` makes of them, its time a millisecond later.
fn export(records: &[Value]) -> String {
    let mut out = String::new();
    for (number, record) in records.iter().enumerate() {
        let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
        out += &format!(
            "__CURSOR=s={number}\n__REALTIME_TIMESTAMP={}\n_HOSTNAME=line3\n_PID=7\nSYSLOG_IDENTIFIER=lineside\n",
            time.as_microsecond() + 1000
        );
        out += "MESSAGE=record\n";
        for (key, value) in record.as_object().unwrap() {
            if key != "time" && key != "level" {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
                out += &format!("LINESIDE_{}={value}\n", key.to_ascii_uppercase());
            }
        }
        out.push('\n');
    }
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn report(paths: &[&PathBuf]) -> Value {
    let sources = paths.iter().map(|path| LogSource::File(path.to_path_buf())).collect();
    inspect(sources, TimeRange::default(), &mut |_, _| ()).to_json()
}

fn without_places(report: &Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("lines");
                fields.remove("read");
                fields.values_mut().for_each(strip);
            }
            Value::Array(elements) => elements.iter_mut().for_each(strip),
            _ => (),
        }
    }
    let mut report = report.clone();
    strip(&mut report);
    report
}

#[test]
fn a_log_that_is_given_twice_counts_once() {
    let days: Vec<String> = (0..24).map(|hour| format!("2026-11-21T{hour:02}")).collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    for (what, hours) in [
        ("a day", &days[..]),
        ("a clock that is set back", &["2026-11-21T08", "2026-11-21T09", "2026-11-21T03", "2026-11-21T10"]),
        ("a clock that is not set at first", &["1970-01-01T00", "2026-11-21T09"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let records = records(hours);
        let plain = lines(&records);
        let once = write(folder.path(), "events.jsonl", plain.as_bytes());
        let reference = report(&[&once]);
        let events = 29 * hours.len();
        assert_eq!(reference["boards"][0]["events"], events, "{what}");
        assert_eq!(reference["frames"]["captured"], 590 * hours.len(), "{what}");
        assert_eq!(reference["read"][0]["repeated"], 0, "{what}");
        for (name, bytes) in [
            ("copy.jsonl", plain.clone().into_bytes()),
            ("copy.jsonl.gz", gzip(plain.as_bytes())),
            ("lineside.log", text(&records).into_bytes()),
            ("journal.export", export(&records).into_bytes()),
            ("journal.export.gz", gzip(export(&records).as_bytes())),
        ] {
            let other = write(folder.path(), name, &bytes);
            for paths in [[&once, &other], [&other, &once]] {
                let both = report(&paths);
                let context = format!("{what}, {name}");
                for key in ["frames", "defects", "latency"] {
                    assert_eq!(both[key], reference[key], "{context}: {key}");
                }
                if !name.starts_with("journal") {
                    assert_eq!(without_places(&both), without_places(&reference), "{context}");
                }
                assert_eq!(both["runs"].as_array().unwrap().len(), hours.len(), "{context}");
                assert_eq!(both["boards"].as_array().unwrap().len(), 1, "{context}");
                let (board, of) = (&both["boards"][0], &reference["boards"][0]);
                assert_eq!(board["events"], of["events"], "{context}");
                assert_eq!(board["faults"][0]["times"], of["faults"][0]["times"], "{context}");
                // All lines of one of them are named.
                let repeated: u64 =
                    both["read"].as_array().unwrap().iter().map(|read| read["repeated"].as_u64().unwrap()).sum();
                assert_eq!(repeated, records.len() as u64, "{context}");
                let notes = both["read"].to_string();
                assert!(notes.contains("also in") && notes.contains("count once"), "{context}: {notes}");
            }
        }
    }
}

#[test]
fn a_file_that_holds_its_log_twice_counts_once() {
    let hours: Vec<String> = (0..20).map(|hour| format!("2026-11-21T{hour:02}")).collect();
    let hours: Vec<&str> = hours.iter().map(String::as_str).collect();
    let records = records(&hours);
    let folder = tempfile::tempdir().unwrap();
    let once = report(&[&write(folder.path(), "a.jsonl", lines(&records).as_bytes())]);
    assert_eq!(once["read"][0]["repeated"], 0);
    for (name, other) in [("twice.jsonl", lines(&records)), ("both.log", text(&records))] {
        let twice = report(&[&write(folder.path(), name, (lines(&records) + &other).as_bytes())]);
        for key in ["frames", "defects"] {
            assert_eq!(twice[key], once[key], "{name}: {key}");
        }
        assert_eq!(twice["runs"].as_array().unwrap().len(), hours.len(), "{name}");
        assert_eq!(twice["boards"][0]["events"], once["boards"][0]["events"], "{name}");
        assert_eq!(twice["boards"][0]["faults"][0]["times"], once["boards"][0]["faults"][0]["times"], "{name}");
        assert_eq!(twice["read"][0]["repeated"], records.len(), "{name}");
        assert!(twice["read"][0]["notes"].to_string().contains("more than once and count once"), "{name}");
    }
}
