//! Lines that were cut: one that a power cut tore is damage, more of them are counted and quoted.

use super::day::{container_day, journal_day};
use super::{BEGIN, journal, others, read, report_on};
use serde_json::Value;

fn unread(report: &Value) -> (u64, String) {
    let input = &report["read"][0];
    (input["unread"].as_u64().unwrap(), input["first_unread"]["text"].as_str().unwrap_or_default().into())
}

fn text(log: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    report_on(folder.path(), "a.log", log, BEGIN + 86_400_000).to_text()
}

/// Runs too short for a status: start, events, a fault, stop.
fn short_runs(json: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for run in 0..4 {
        let id = format!("0a1b2c3{run}");
        let mut add = |second: u32, fields: &str| {
            let time = format!("2026-11-28T20:{:02}:{second:02}.123Z", 20 + run);
            if !json {
                return lines.push(format!("time={time} level=info {fields}"));
            }
            let pairs: Vec<String> = fields
                .replace("stop asked for", "stop~asked~for")
                .split(' ')
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(key, value)| match value.parse::<f64>() {
                    Ok(_) => format!("\"{key}\": {value}"),
                    Err(_) => format!("\"{key}\": \"{}\"", value.trim_matches('"').replace('~', " ")),
                })
                .collect();
            lines.push(format!("{{\"time\": \"{time}\", {}}}", pairs.join(", ")));
        };
        add(
            0,
            &format!(
                "record=start run={id} host=pi4 version=0.1.0 source=camera config=/e/l.toml bundles=parts threshold=0.99 output=/var/lib/lineside/records budget_bytes=201326592 bill_bytes=100000000 cores=4 kernel=dotprod os=6.6 pid=812 previous=clean"
            ),
        );
        add(
            1,
            &format!(
                "record=event run={id} id={id}d13eca71-1 frame=part-1 score=0.9999 severity=4.9 threshold=0.99 bundle=53ac4ec81 latency_ms=16.59 annotated=a.png"
            ),
        );
        add(2, &format!("record=fault run={id} fault=camera state=begin cause=gone"));
        add(3, &format!("record=fault run={id} fault=camera state=end cause=gone seconds=1.0 count=1"));
        add(
            4,
            &format!(
                "record=stop run={id} reason=\"stop asked for\" uptime_s=4.0 captured=40 inspected=40 skipped_similar=0 dropped_stale=0 failed=0 defects=1 held_back=0"
            ),
        );
    }
    lines
}

#[test]
fn lines_cut_or_folded_at_a_screens_width_are_counted_and_quoted() {
    for json in [false, true] {
        let lines = short_runs(json);
        let whole = read(lines.join("\n").as_bytes());
        assert_eq!((&whole["frames"]["captured"], unread(&whole).0), (&160.into(), 0), "{:#}", whole["read"]);
        for width in 62..150 {
            let cut: Vec<&str> = lines.iter().map(|line| &line[..line.len().min(width)]).collect();
            let folded = |line: &String| -> Vec<u8> { line.as_bytes().chunks(width).collect::<Vec<_>>().join(&b'\n') };
            let folded = lines.iter().map(folded).collect::<Vec<_>>().join(&b'\n');
            for log in [cut.join("\n").into_bytes(), folded] {
                let report = read(&log);
                let (count, first) = unread(&report);
                assert!(count >= 4 && first.contains("record"), "{width}: {count} {first} {:#}", report["read"]);
                assert_eq!(report["frames"]["captured"], 0, "{width}");
                let text = text(&log);
                assert!(!text.contains("they add up") && !text.contains("needs attention"), "{width}: {text}");
            }
        }
    }
    // In the middle, as `journalctl --no-full` shortens.
    let shortened = String::from_utf8(journal::short_iso(&journal_day())).unwrap();
    let shortened: String = shortened
        .lines()
        .map(|line| match line.char_indices().nth(120).zip(line.char_indices().rev().nth(20)) {
            Some(((from, _), (to, _))) if to > from => format!("{}…{}\n", &line[..from], &line[to..]),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(unread(&read(shortened.as_bytes())).0 >= 5, "{:#}", read(shortened.as_bytes())["read"]);
}

#[test]
fn a_single_torn_line_for_each_start_is_a_power_cut() {
    for json in [false, true] {
        let lines = short_runs(json);
        for at in 1..5 {
            for length in [62, 80, 90] {
                let torn: Vec<&str> = lines
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| number % 5 <= at)
                    .map(|(number, line)| if number % 5 == at { &line[..length.min(line.len() - 2)] } else { line })
                    .collect();
                let report = read(torn.join("\n").as_bytes());
                assert_eq!(unread(&report).0, 0, "{at} {length}: {:#}", report["read"]);
                assert!(report["read"].to_string().contains("4 lines are truncated"), "{at}: {:#}", report["read"]);
                assert_eq!(report["runs"].as_array().unwrap().len(), 4, "{at}: {:#}", report["runs"]);
            }
        }
    }
}

#[test]
fn a_line_of_each_kind_that_is_cut_is_named() {
    let log = String::from_utf8(others::plain(&container_day())).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("record=")).collect();
    for line in lines {
        let end = line.floor_char_boundary(line.len() / 2);
        let report = read(log.replace(line, &line[..end]).as_bytes());
        let notes = report["read"].to_string();
        assert!(notes.contains("1 line is truncated"), "{}: {notes}", &line[..end]);
    }
}

#[test]
fn a_record_in_quotes_is_whole_without_a_newline_behind_it() {
    let record = "record=stop run=0a1b2c3d reason=\"\"stop asked for\"\" uptime_s=8.9 captured=54 inspected=54 skipped_similar=0 dropped_stale=0 failed=0";
    let report = read(format!("Id,Said\nx,\"2026-11-29T20:05:46.421Z\",\"pi4\",\"{record}\"").as_bytes());
    assert_eq!(report["frames"]["captured"], 54, "{:#}", report["read"]);
    assert!(!report["read"].to_string().contains("truncated"), "{:#}", report["read"]);
}
