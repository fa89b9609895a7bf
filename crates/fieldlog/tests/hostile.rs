//! Text from a log stays text: no field of a record becomes markup in the page or a control sequence on a terminal.

use lineside_fieldlog::{LogSource, TimeRange, inspect};
use serde_json::{Map, Value, json};

const HOSTILE: &str =
    "<script>alert(1)</script><img src=x onerror=\"alert(2)\">' \" onload='alert(3)' </style></title>&lt;\u{1b}[2J";

/// Records of every kind, each text in them hostile. `name` makes two that are not alike.
fn records(name: &str) -> Vec<Map<String, Value>> {
    let text = format!("{HOSTILE}{name}");
    let text = text.as_str();
    let mut minute = 0;
    let mut record = |kind: &str, fields: Value| {
        minute += 1;
        let mut record = Map::new();
        record.insert("time".into(), format!("2026-11-21T04:{minute:02}:00Z").into());
        record.insert("record".into(), kind.into());
        record.insert("run".into(), text.into());
        if let Value::Object(fields) = fields {
            record.extend(fields);
        }
        record
    };
    let counts = |captured: u64| {
        json!({ "uptime_s": captured, "seconds": 60, "captured": captured, "inspected": captured, "skipped_similar": 0, "dropped_stale": 0, "failed": 0, "defects": 1,
        "verdict_p50_ms": 20, "verdict_p99_ms": 40, "rss_bytes": 5_000_000, "temperature_c": 60, "throttled": "0x4", "source": text, "score": text,
        "scores": text, "heat": text })
    };
    let start = json!({ "host": text, "version": text, "source": text, "config": text, "bundles": text, "output": text, "budget_bytes": 1, "bill_bytes": 1, "bill": text,
        "board": text, "cpu": text, "cores": 4, "kernel": text, "os": text, "boot": text, "previous": text });
    let event = json!({ "frame": text, "score": 0.99, "threshold": 0.9, "latency_ms": 20.0, "regions": text, "annotated": text, "spot": text });
    let mut all = vec![record("start", start), record("status", counts(60)), record("event", event)];
    for fault in ["camera", "disk", "alarm", "trigger", "bundle", "enlarge", "log", "page", "frame", "clock", text] {
        all.push(record("fault", json!({ "fault": fault, "state": "begin", "cause": format!("{text} {fault}") })));
    }
    all.extend([
        record("review", json!({ "review": "needed", "statistic": text, "value": 0.4, "limit": 0.1, "cause": text })),
        record("heat", json!({ "rung": 1, "name": text })),
        record(
            "shadow",
            json!({ "bundle": text, "shadow_bundle": text, "frame": text, "files": { "original": text } }),
        ),
        record("bundle_reverted", json!({ "bundle": text, "from": text, "to": text, "reason": text })),
        record("reload_refused", json!({ "error": text })),
        record("status", counts(240)),
        record("stop", json!({ "reason": text })),
        record(text, json!({})),
    ]);
    all
}

#[test]
fn no_field_of_a_record_becomes_markup() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("<b>a&.log");
    let lines: Vec<String> =
        ["one", "two"].into_iter().flat_map(records).map(|record| Value::Object(record).to_string()).collect();
    let panic = format!("lineside: {HOSTILE}\nthread 'x' panicked at {HOSTILE}\n{HOSTILE}");
    std::fs::write(&path, lines.join("\n") + "\n" + &panic + "\n").unwrap();
    let report = inspect(vec![LogSource::File(path)], TimeRange::default(), &mut |_, _| ());

    let mut page = Vec::new();
    report.write_html(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.matches("&lt;script&gt;").count() > 30, "{}", page.matches("&lt;script&gt;").count());
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>a&."), "{page}");
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(page.matches("</title>").count(), 1);
    assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
    // A quote of the log never stands in a tag.
    for tag in page.split('<').filter_map(|rest| Some(rest.split_once('>')?.0)) {
        assert!(!tag.contains("onerror") && !tag.contains("onload") && !tag.contains("alert("), "{tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(!report.to_text().chars().any(|c| c.is_control() && c != '\n'));
}
