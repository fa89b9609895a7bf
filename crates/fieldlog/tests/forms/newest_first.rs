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
