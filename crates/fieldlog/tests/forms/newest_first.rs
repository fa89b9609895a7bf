//! Logs whose newest line comes first, and parts of a log joined in the wrong order: the report is that on the log as it was written.

use super::day::{Line, container_day, journal_day};
use super::{assert_same, journal, others, read};

#[test]
fn each_form_newest_first() {
    let day = journal_day();
    let expected = read(&journal::short_iso(&day));
    let mut turned = day;
    turned.reverse();
    for (name, form) in journal::FORMS {
        assert_same(&format!("{name}, newest first"), &read(&form(&turned)), &expected);
    }
    let day = container_day();
    let expected = read(&others::plain(&day));
    let mut turned = day;
    turned.reverse();
    assert_same("plain", &read(&others::plain(&turned)), &expected);
    for (name, form) in others::FORMS {
        assert_same(&format!("{name}, newest first"), &read(&form(&turned)), &expected);
    }
}

#[test]
fn parts_of_a_log_in_the_wrong_order() {
    let day = journal_day();
    let expected = read(&journal::short_iso(&day));
    // Behind that no record of the run is left: a clock that was set back would look the same.
    let last = day.iter().rposition(|line| line.message.starts_with("record=")).unwrap();
    for at in 2..=last {
        let joined = [&day[at..], &day[..at]].concat();
        assert_same(&format!("halves at {at}"), &read(&journal::short_iso(&joined)), &expected);
    }
}

#[test]
fn a_repetition_of_the_line_below_is_named() {
    let mut turned = journal_day();
    turned.reverse();
    let at = turned.iter().position(|line| line.message.starts_with("record=fault")).unwrap();
    let again = Line { message: "last message repeated 3 times".into(), ..turned[at].clone() };
    turned.insert(at, again);
    let found = read(&journal::short_iso(&turned));
    assert_eq!(found["read"][0]["unread"], 1, "{:#}", found["read"]);
    assert_eq!(found["frames"]["captured"], 600);
}

#[test]
fn a_panic_whose_message_stands_above_it() {
    let mut log = String::from_utf8(others::plain(&container_day())).unwrap();
    log += "thread 'inspection' panicked at src/engine/step.rs:12:5:\nindex out of bounds\nnote: run with it\n";
    let turned: String = log.lines().rev().map(|line| format!("{line}\n")).collect();
    let expected = read(log.as_bytes());
    assert!(expected.to_string().contains("index out of bounds"), "{expected:#}");
    assert_same("a panic", &read(turned.as_bytes()), &expected);
}

/// Local time without a year over the end or the begin of summer time, and over 29 February.
fn local_log(first: &str, minutes: i64, zone: &str) -> String {
    let zone = jiff::tz::TimeZone::posix(zone).unwrap();
    let first: jiff::Timestamp = first.parse().unwrap();
    let mut log = String::new();
    let mut line = |second: i64, text: &str| {
        let time = jiff::Timestamp::from_second(first.as_second() + second).unwrap().to_zoned(zone.clone());
        log += &format!("{} pi4 lineside[812]: {text}\n", time.strftime("%b %e %H:%M:%S"));
    };
    line(0, "record=start run=0a1b2c3d host=pi4");
    for minute in 1..=minutes {
        let frames = 100 * minute;
        line(
            60 * minute,
            &format!(
                "record=status run=0a1b2c3d uptime_s={}.0 captured={frames} inspected={frames} skipped_similar=0 dropped_stale=0 failed=0",
                60 * minute
            ),
        );
        if minute % 7 == 0 {
            line(60 * minute + 3, "record=fault run=0a1b2c3d fault=disk state=begin cause=full");
            line(60 * minute + 13, "record=fault run=0a1b2c3d fault=disk state=end cause=full seconds=10");
        }
    }
    log
}

#[test]
fn summer_time_newest_first() {
    for (first, zone) in [
        ("2026-10-24T22:30:00Z", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("2026-03-28T22:30:00Z", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("2026-04-04T12:30:00Z", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"),
    ] {
        let log = local_log(first, 240, zone);
        let expected = read(log.as_bytes());
        assert!(!expected["findings"].to_string().contains("\"clock\""), "{zone}: {:#}", expected["findings"]);
        let turned: String = log.lines().rev().map(|line| format!("{line}\n")).collect();
        assert_same(zone, &read(turned.as_bytes()), &expected);
    }
}

#[test]
fn all_lines_beside_a_29_february_are_of_its_year() {
    let log = local_log("2024-02-28T22:30:00Z", 2 * 1440, "UTC0");
    let turned: String = log.lines().rev().map(|line| format!("{line}\n")).collect();
    for log in [log, turned] {
        let report = read(log.as_bytes());
        assert_eq!(
            (&report["from"], &report["to"]),
            (&"2024-02-28T22:30:00.000Z".into(), &"2024-03-01T22:30:00.000Z".into())
        );
        assert!(!report["findings"].to_string().contains("\"clock\""), "{:#}", report["findings"]);
        assert_eq!(report["frames"]["captured"], 288_000);
    }
}
