//! Whether a log has more defects than the bundle's threshold promises.

use lineside_fieldlog::{LogSource, TimeRange, inspect};
use serde_json::Value;
use std::fmt::Write;

/// A run with a status every ten seconds, a hundred frames each. `threshold`: in its start record; `event`: in the record of its first
/// event; `defects`: so far, after so many statuses.
fn log(
    threshold: Option<f64>,
    event: Option<f64>,
    statuses: u64,
    similar: u64,
    defects: impl Fn(u64) -> u64,
) -> String {
    let time = |second: u64| {
        format!("time=2026-11-21T{:02}:{:02}:{:02}.500Z level=info", second / 3600, second / 60 % 60, second % 60)
    };
    let threshold = threshold.map_or(String::new(), |threshold| format!(" threshold={threshold}"));
    let mut log = format!("{} record=start run=0a1b2c3d host=line3 version=0.1.0{threshold} previous=none\n", time(0));
    if let Some(event) = event {
        let _ = writeln!(log, "{} record=event run=0a1b2c3d frame=part-1 score=0.999 threshold={event}", time(1));
    }
    for number in 1..=statuses {
        let (captured, similar) = (100 * number, similar * number);
        let _ = writeln!(
            log,
            "{} record=status run=0a1b2c3d uptime_s={} seconds=10 captured={captured} inspected={} skipped_similar={similar} dropped_stale=0 failed=0 defects={}",
            time(10 * number),
            10 * number,
            captured - similar,
            defects(number)
        );
    }
    log
}

fn finding(log: &str) -> Option<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    std::fs::write(&path, log).unwrap();
    let report = inspect(vec![LogSource::File(path)], TimeRange::default(), &mut |_, _| ()).to_json();
    let mut found = report["findings"].as_array().unwrap().iter().filter(|finding| finding["kind"] == "alarm_storm");
    let first = found.next().cloned();
    assert!(found.next().is_none());
    first
}

#[test]
fn more_defects_than_promised_are_found_by_a_test_of_proportion() {
    // 196 of 1000 at one in a hundred: as the start record has it, or an event of an older program.
    for (threshold, event) in [(Some(0.99), None), (None, Some(0.99)), (Some(0.99), Some(0.5))] {
        let finding = finding(&log(threshold, event, 10, 0, |number| 196 * number / 10)).unwrap();
        let text = finding["text"].as_str().unwrap();
        for part in
            ["196 of 1 000 frames (19.6 %)", "1.0 % of normal frames", "probability of 8e-183", "exact binomial test"]
        {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
        assert_eq!(finding["weight"], "warning");
    }
    // In bursts, too, none of which lasts a minute.
    let burst = log(Some(0.99), None, 360, 0, |number| 30 * (number / 6));
    assert!(finding(&burst).unwrap()["text"].as_str().unwrap().contains("1 800 of 36 000 frames (5.0 %)"));
    // A little more than promised, and that for long: a note.
    let slow = finding(&log(Some(0.99), None, 1000, 0, |number| 2 * number)).unwrap();
    assert_eq!(slow["weight"], "note", "{slow}");
}

#[test]
fn what_is_promised_or_by_chance_or_of_few_parts_is_none() {
    for (what, log) in [
        ("as promised", log(Some(0.99), None, 100, 0, |number| number)),
        ("a promise of a fifth", log(Some(0.8), None, 100, 0, |number| 196 * number / 10)),
        ("by chance", log(Some(0.99), None, 10, 0, |number| 15 * number / 10)),
        ("few defects", log(Some(0.999), None, 1, 0, |_| 9)),
        ("one part in view", log(Some(0.99), None, 10, 99, |number| 20 * number)),
        ("nothing known", log(None, None, 10, 0, |number| 196 * number / 10)),
    ] {
        assert_eq!(finding(&log), None, "{what}");
    }
    assert!(finding(&log(None, None, 10, 0, |number| 21 * number)).is_some(), "nothing known, over a fifth");
}

#[test]
fn a_storm_within_a_good_day_is_named_with_its_time() {
    let defects = |number: u64| number / 2 + 3 * number.clamp(1000, 1060).saturating_sub(1000) * 5;
    let finding = finding(&log(Some(0.99), None, 3000, 0, defects)).unwrap();
    let text = finding["text"].as_str().unwrap();
    for part in ["from 02:46", "to 02:57", "15.", "0.50 % otherwise", "1.0 % of normal frames"] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}
