//! The unit and the program belong together: what the unit promises is held against the program.

mod common;

use common::root;
use lineside::config::Budget;
use lineside::times;
use std::process::Command;

/// The value of a directive of the unit.
fn value(name: &str) -> String {
    let unit = std::fs::read_to_string(root().join("systemd/lineside.service")).unwrap();
    let values: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].to_string()
}

#[test]
fn the_watchdog_waits_as_long_as_the_program_reckons_with() {
    assert_eq!(value("WatchdogSec"), format!("{}s", times::WATCHDOG.as_secs()));
    let stop: u64 = value("TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(stop > 2 * times::STOP.as_secs(), "{stop}");
    assert_eq!(value("RestartPreventExitStatus"), "78");
}

#[test]
fn the_memory_limit_is_the_default_budget() {
    assert_eq!(value("MemoryMax"), format!("{}M", Budget::default().memory.as_u64() >> 20));
}

#[test]
fn records_reach_the_journal() {
    // stderr goes where stdout goes unless it is said otherwise, and stdout goes nowhere.
    assert_eq!((value("StandardOutput"), value("StandardError")), ("null".into(), "journal".into()));
}

#[test]
fn every_directive_of_the_service_has_a_reason_beside_it() {
    let unit = std::fs::read_to_string(root().join("systemd/lineside.service")).unwrap();
    let mut reason = false;
    for line in unit.lines() {
        // A comment speaks for the lines below it, up to the next empty one.
        reason = line.starts_with('#') || reason && !line.is_empty() && !line.starts_with('[');
        let plain = ["Description", "Documentation", "Type", "WantedBy"].iter().any(|name| line.starts_with(name));
        assert!(reason || plain || line.is_empty() || line.starts_with('['), "no reason: {line}");
    }
}

#[test]
fn systemd_finds_little_to_fault() {
    let unit = root().join("systemd/lineside.service");
    let Ok(output) =
        Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(&unit).output()
    else {
        assert!(std::env::var_os("LINESIDE_REQUIRE_ALL").is_none(), "systemd-analyze is missing");
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let exposure = text
        .rsplit_once("Overall exposure level")
        .and_then(|(_, line)| line.split_whitespace().find_map(|word| word.parse::<f64>().ok()));
    assert!(exposure.is_some_and(|exposure| exposure <= 1.5), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
