//! Logs that were mailed, prefixed, or written in forms that are not read: nothing of them vanishes.

use super::day::{container_day, journal_day};
use super::{BEGIN, assert_same, journal, others, read, report_on};

/// Quoted-printable with lines of at most `width` characters.
fn mailed(log: &[u8], width: usize) -> Vec<u8> {
    let mut out = String::new();
    for line in log.split(|byte| *byte == b'\n') {
        let mut column = 0;
        for byte in line {
            let written = match byte {
                b'=' | 0x80.. => format!("={byte:02X}"),
                other => char::from(*other).to_string(),
            };
            if column + written.len() > width - 1 {
                out += "=\n";
                column = 0;
            }
            column += written.len();
            out += &written;
        }
        out.push('\n');
    }
    out.into_bytes()
}

#[test]
fn quoted_printable_is_undone() {
    let container = container_day();
    for (name, log) in [
        ("plain", others::plain(&container)),
        ("short-iso", journal::short_iso(&journal_day())),
        ("json", journal::plain_json(&journal_day())),
    ] {
        let expected = read(&log);
        for width in [76, 77, 1000] {
            let mailed = mailed(&log, width);
            assert_same(&format!("{name}, {width}"), &read(&mailed), &expected);
            let windows = String::from_utf8(mailed).unwrap().replace('\n', "\r\n");
            assert_same(&format!("{name}, {width}, Windows"), &read(windows.as_bytes()), &expected);
        }
    }
}

#[test]
fn records_with_a_prefix_before_their_fields_are_read() {
    let records = [
        r#"{"time":"2026-11-28T20:27:11.123Z","record":"start","run":"0a1b2c3d","host":"pi4","previous":"none"}"#,
        r#"{"time":"2026-11-28T20:27:21.123Z","record":"status","run":"0a1b2c3d","uptime_s":10,"captured":100,"inspected":100,"skipped_similar":0,"dropped_stale":0,"failed":0}"#,
    ];
    let expected = read(records.join("\n").as_bytes());
    assert_eq!(expected["frames"]["captured"], 100);
    for prefix in ["lineside.", "LINESIDE_", "labels.lineside_", "fields/"] {
        let renamed = |record: &&str| {
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(record).unwrap();
            let upper = prefix == "LINESIDE_";
            let key = |key: String| format!("{prefix}{}", if upper { key.to_uppercase() } else { key });
            let object: serde_json::Map<_, _> = object.into_iter().map(|(name, value)| (key(name), value)).collect();
            serde_json::Value::from(object).to_string()
        };
        let log: Vec<String> = records.iter().map(renamed).collect();
        assert_same(prefix, &read(log.join("\n").as_bytes()), &expected);
    }
}

#[test]
fn a_record_in_an_unknown_form_is_counted() {
    for (line, count) in [
        ("- time: \"2026-11-28T20:27:11Z\"\n  record: \"start\"\n  run: \"0a1b2c3d\"\n", 1),
        ("record: status\nrun: 0a1b2c3d\n", 1),
        ("<record>fault</record>\n", 1),
        ("lineside.record=fault lineside.run=0a1b2c3d lineside.fault=camera\n", 1),
        ("2026-11-28T20:27:11Z PI4 LINESIDE[812]: RECORD=FAULT RUN=0A1B2C3D FAULT=CAMERA\n", 1),
        ("record: 5\nthe record: start of it\nrecord = player\nworld_record=status quo\n", 0),
    ] {
        let report = read(line.as_bytes());
        assert_eq!(report["read"][0]["unread"], count, "{line}: {:#}", report["read"]);
    }
}

#[test]
fn records_that_tell_of_no_run_are_not_called_none() {
    let line = |text: &str| {
        format!(
            "time=2026-11-28T20:27:11.123Z level=info record=source_output run=0a1b2c3d source=python3 line=\"{text}\"\n"
        )
    };
    let log = ["a b", "a c", "a d"].map(line).concat();
    let folder = tempfile::tempdir().unwrap();
    let report = report_on(folder.path(), "a.log", log.as_bytes(), BEGIN + 86_400_000);
    let text = report.to_text();
    assert!(text.contains("3 records of Lineside") && text.contains("tells of a run"), "{text}");
    assert!(!text.contains("contain no record"), "{text}");
    // Lines of a program that differ are no copies of one another; a copy is.
    assert_eq!(report.to_json()["read"][0]["repeated"], 0);
    assert_eq!(read((log.clone() + &log).as_bytes())["read"][0]["repeated"], 3);
}
