//! Several records in one line: each is read.

use super::day::container_day;
use super::{assert_same, others, read};

/// The day as the program writes it, a JSON object a line.
fn objects() -> Vec<String> {
    let json = super::journal::plain_json(&super::day::journal_day());
    String::from_utf8(json).unwrap().lines().map(String::from).collect()
}

#[test]
fn objects_one_behind_the_other() {
    let objects = objects();
    let expected = read(objects.join("\n").as_bytes());
    assert_eq!(expected["frames"]["captured"], 600, "{expected:#}");
    for between in ["", " ", ",", "; ", "\u{1e}", "\t"] {
        assert_same(&format!("objects with {between:?}"), &read(objects.join(between).as_bytes()), &expected);
    }
    // More than one line may be long.
    let record = |number: u64| {
        format!(
            "{{\"time\":\"2026-11-28T20:27:{:02}.{:03}Z\",\"record\":\"status\",\"run\":\"0a1b2c3d\",\"uptime_s\":{number},\"captured\":{number},\"inspected\":{number},\"skipped_similar\":0,\"dropped_stale\":0,\"failed\":0}}",
            number / 1000,
            number % 1000
        )
    };
    let long: String = (0..12_000).map(record).collect();
    assert!(long.len() > 3 << 19);
    let report = read(long.as_bytes());
    assert_eq!(report["read"][0]["records"], 12_000, "{:#}", report["read"]);
    let short: String = (0..5_000).map(record).collect();
    assert_eq!(read(short.as_bytes())["read"][0]["records"], 5_000);
    // The last is torn: the others are read.
    let torn = &short[..short.len() - 40];
    let report = read(torn.as_bytes());
    assert_eq!((&report["read"][0]["records"], &report["frames"]["captured"]), (&5_000.into(), &4_998.into()));
    assert!(report["read"].to_string().contains("1 line is truncated"), "{:#}", report["read"]);
}

#[test]
fn a_whole_log_in_one_line() {
    let log = String::from_utf8(others::plain(&container_day())).unwrap();
    let expected = read(log.as_bytes());
    assert_eq!(expected["frames"]["captured"], 600, "{expected:#}");
    for end in ["\\n", "\\r\\n", "\u{2028}", "\u{2029}", "\u{85}", "\u{b}"] {
        assert_same(&format!("{end:?}"), &read(log.replace('\n', end).as_bytes()), &expected);
    }
    assert_same("a string of JSON", &read(serde_json::Value::from(log.clone()).to_string().as_bytes()), &expected);
    for key in ["log", "message", "anything"] {
        let object = serde_json::json!({ key: log.clone() }).to_string();
        assert_same(key, &read(object.as_bytes()), &expected);
    }
    let records: Vec<_> = log.lines().filter(|line| line.contains("record=")).collect();
    // Without anything between them they are read as far as they can be, and nothing of them vanishes.
    let report = read(records.join("").as_bytes());
    assert!(report["read"][0]["records"].as_u64().unwrap() >= records.len() as u64, "{:#}", report["read"]);
}

#[test]
fn any_number_of_carriage_returns_ends_a_line() {
    let log = String::from_utf8(others::plain(&container_day())).unwrap();
    let expected = read(log.as_bytes());
    for end in ["\r\r\n", "\r\r\r\n"] {
        assert_same(&format!("{end:?}"), &read(log.replace('\n', end).as_bytes()), &expected);
    }
}
