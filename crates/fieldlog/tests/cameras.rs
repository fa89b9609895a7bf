//! Several cameras of one board: each has a story of its own, and what one has is not compared with what another has.

use lineside_fieldlog::{LogSource, TimeRange, inspect};
use serde_json::{Value, json};

/// A run of each camera: host, camera, bundles.
fn report(cameras: &[(&str, &str, &str)]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = Vec::new();
    for (number, (host, camera, bundles)) in cameras.iter().enumerate() {
        let run = format!("{:08x}", 0x0a1b_2c3d + number);
        let record = |second: u64, kind: &str, mut fields: Value| {
            let time = format!("2026-11-21T10:00:{second:02}.000Z");
            for (key, value) in
                [("time", time.as_str()), ("level", "info"), ("record", kind), ("run", &run), ("camera", camera)]
            {
                fields[key] = value.into();
            }
            format!("{fields}\n")
        };
        let start = json!({ "host": host, "version": "0.1.0", "bundles": bundles, "previous": "none" });
        let counts = json!({ "uptime_s": 50, "seconds": 10, "captured": 500, "inspected": 500, "skipped_similar": 0, "dropped_stale": 0,
            "failed": 0, "defects": 0, "reason": "stop asked for" });
        let path = folder.path().join(format!("{number}.jsonl"));
        std::fs::write(&path, record(0, "start", start) + &record(50, "stop", counts)).unwrap();
        sources.push(LogSource::File(path));
    }
    inspect(sources, TimeRange::default(), &mut |_, _| ()).to_json()
}

fn bundles(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|one| one["kind"] == "bundles").map(|one| one["text"].as_str().unwrap().to_string()).collect()
}

#[test]
fn cameras_have_bundles_of_their_own() {
    let two = report(&[("pi", "top", "caps 1 aa"), ("pi", "side", "lids 1 bb")]);
    assert_eq!((two["boards"].as_array().unwrap().len(), bundles(&two)), (2, Vec::<String>::new()), "{two}");
    // One camera of two boards should have the same.
    let four = report(&[
        ("a", "top", "caps 1 aa"),
        ("a", "side", "lids 1 bb"),
        ("b", "top", "caps 2 cc"),
        ("b", "side", "lids 1 bb"),
    ]);
    let said = bundles(&four);
    assert!(
        said.len() == 1 && said[0].contains("on a/top") && said[0].contains("on b/top") && !said[0].contains("side"),
        "{said:?}"
    );
    // As did one that got another.
    let changed = report(&[("pi", "top", "caps 1 aa"), ("pi", "top", "caps 2 cc")]);
    assert_eq!(bundles(&changed).len(), 1, "{changed}");
}
