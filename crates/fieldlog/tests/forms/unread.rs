//! What is not understood is counted and quoted.

use super::day::journal_day;
use super::journal::{lines, short, short_iso, time};
use super::{BEGIN, assert_same, read, report_on, story};
use serde_json::Value;

fn text(log: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    report_on(folder.path(), "a.log", log, BEGIN + 86_400_000).to_text()
}

fn unread(report: &Value) -> (u64, String) {
    let input = &report["read"][0];
    (input["unread"].as_u64().unwrap(), input["first_unread"]["text"].as_str().unwrap_or_default().into())
}

#[test]
fn lines_whose_time_is_not_understood_are_quoted_and_their_records_count() {
    // An image's name would show which month it is.
    let mut day = journal_day();
    let log = String::from_utf8(short(&day)).unwrap().replace("Nov 28", "Qwx 28");
    assert_same("a name that a record explains", &read(log.as_bytes()), &read(&short_iso(&day)));
    // A name that is known stays what it is, whatever an image is called.
    let december = read(log.replace("Qwx 28", "Dez 28").as_bytes());
    assert_eq!(december["from"], "2025-12-28T20:27:11.000Z");
    assert_eq!(unread(&december).0, 0);
    day.retain(|line| !line.message.starts_with("record=event"));
    let log = String::from_utf8(short(&day)).unwrap().replace("Nov 28", "Qwx 28");
    let report = read(log.as_bytes());
    let (count, first) = unread(&report);
    assert!(count >= 9 && first.starts_with("Qwx 28 20:27:11 pi4 lineside[812]: record=start"), "{count} {first}");
    assert_eq!(report["frames"]["captured"], 600);
    let said = text(log.as_bytes());
    assert!(said.contains("lines whose time is not understood") && said.contains("Qwx 28"), "{said}");
    assert!(!said.contains("needs attention") && !said.contains("clock was set"), "{said}");
}

#[test]
fn records_without_a_time_count_and_are_named() {
    let day = journal_day();
    let cat = lines(&day, |line| line.message.clone());
    let monotonic = lines(&day, |line| {
        format!(
            "[{:>12.6}] pi4 {}[{}]: {}",
            (line.time - BEGIN) as f64 / 1000.0 + 5.0,
            line.program,
            line.pid,
            line.message.replace('\n', " ")
        )
    });
    let report = read(&cat);
    let (count, first) = unread(&report);
    assert!(count >= 10 && first.starts_with("record=start"), "{count} {first}");
    assert_eq!(report["frames"]["captured"], 600);
    assert_eq!(report["defects"], 2);
    assert_eq!(report["boards"][0]["watched_s"], 60.0, "{:#}", report["boards"][0]);
    // An image's name has the time of its frame: with it all times since the machine was started are known.
    let report = read(&monotonic);
    assert_eq!(unread(&report).0, 0, "{:#}", report["read"]);
    assert_eq!(report["from"], read(&short_iso(&day))["from"]);
    // Without events nothing shows when that was.
    let quiet: Vec<_> = day.iter().filter(|line| !line.message.starts_with("record=event")).cloned().collect();
    let monotonic = lines(&quiet, |line| {
        format!(
            "[{:>12.6} <    0.1 >] pi4 {}[{}]: {}",
            (line.time - BEGIN) as f64 / 1000.0 + 5.0,
            line.program,
            line.pid,
            line.message.replace('\n', " ")
        )
    });
    let report = read(&monotonic);
    assert!(unread(&report).0 >= 9, "{:#}", report["read"]);
    assert_eq!(report["frames"]["captured"], 600);
}

#[test]
fn messages_that_journalctl_did_not_print_are_named() {
    let day = journal_day();
    let log = lines(&day, |line| {
        let message = if line.message.starts_with("record=event") {
            "[123B blob data]".into()
        } else {
            line.message.replace('\n', " ")
        };
        format!("{} pi4 {}[{}]: {message}", time(line, "%Y-%m-%dT%H:%M:%S+0000"), line.program, line.pid)
    });
    let report = read(&log);
    assert_eq!(unread(&report), (2, "[123B blob data]".into()), "{:#}", report["read"]);
}

#[test]
fn repeated_messages_add_their_count() {
    let log = |between: &str| {
        let prefix = "2026-11-28T20:27:12+0000 pi4";
        format!(
            "{prefix} lineside[812]: record=status run=a captured=10 inspected=10 skipped_similar=0 dropped_stale=0 failed=0\n{prefix} kernel: hwmon hwmon1: Undervoltage detected!\n{between}"
        )
    };
    let undervoltage = |log: String| {
        let report = read(log.as_bytes());
        let finding =
            report["findings"].as_array().unwrap().iter().find(|finding| finding["kind"] == "under_voltage").cloned();
        (finding.map_or(String::new(), |finding| finding["text"].to_string()), report["read"][0]["records"].clone())
    };
    let once = undervoltage(log(""));
    for repeated in [
        "2026-11-28T20:28:12+0000 pi4 kernel: message repeated 4 times: [ hwmon hwmon1: Undervoltage detected!]\n",
        "2026-11-28T20:28:12+0000 pi4 last message repeated 4 times\n",
        "2026-11-28T20:28:12+0000 pi4 -- last message repeated 4 times --\n",
        "2026-11-28T20:28:12+0000 pi4 --- last message repeated 4 times ---\n",
        "2026-11-28T20:28:12+0000 pi4 previous message repeated 4 times\n",
        "2026-11-28T20:28:12+0000 pi4 syslogd[3]: last message repeated 4 times, 2 suppressed\n",
        "2026-11-28T20:28:12+0000 pi4 last message buffered 4 times\n",
        "2026-11-28T20:28:12+0000 pi4 kernel: Last message 'hwmon hwmon1: Underv' repeated 4 times, suppressed by syslog-ng on pi4\n",
        "2026-11-28T20:28:12+0000 pi4 kernel: message repeated 1 time: [ hwmon hwmon1: Undervoltage detected!]\n2026-11-28T20:28:22+0000 pi4 last message repeated 3 times\n",
    ] {
        let several = undervoltage(log(repeated));
        assert!(several.0.contains('5') && !once.0.contains('5'), "{repeated}: {} {}", once.0, several.0);
    }
    // A record of a run counts once, however often its line is there; the lines are counted.
    let event = "2026-11-28T20:27:13+0000 pi4 lineside[812]: message repeated 2 times: [ record=event run=a id=0a1b2c3dd13eca71-1 frame=x score=1 threshold=0.99 spot=\"\"]\n";
    let report = read(log(event).as_bytes());
    assert_eq!((&report["read"][0]["records"], &report["defects"]), (&3.into(), &1.into()), "{report:#}");
}

#[test]
fn documents_and_rows_that_break_off_take_nothing_with_them() {
    let day = journal_day();
    let expected = read(&short_iso(&day))["frames"].clone();
    for begin in [
        "{\n",
        "[\n",
        "[{\n\"a\": \"b\",\n",
        "[[\n1,\n",
        "{\"a\": {\n",
        "Time,Line\n2026-11-28 20:27:11,\"open\n",
        "{\"hits\":[{\n\"a\n",
    ] {
        for form in [short, short_iso, super::journal::plain_json] {
            let log = [begin.as_bytes(), &form(&day)].concat();
            let report = read(&log);
            assert_eq!(report["frames"], expected, "{begin:?}: {:#}", report["read"]);
        }
    }
    // Long documents in one line are read in pieces.
    let lines: Vec<_> = (0..20_000).map(|number| serde_json::json!({"timestamp": 1_795_897_631_000_i64 + number * 10_000, "line": format!("record=status run=a uptime_s={0}.0 seconds=10.0 captured={0} inspected={0} skipped_similar=0 dropped_stale=0 failed=0", 10 * number)})).collect();
    let log = serde_json::to_vec(&lines).unwrap();
    assert!(log.len() > 2 << 20);
    let report = read(&log);
    assert_eq!((&report["read"][0]["records"], &report["frames"]["captured"]), (&20_000.into(), &199_990.into()));
}

#[test]
fn other_programs_lines_are_no_damage() {
    let log = [
        "Nov 28 20:29:00 pi4 cron[7]: (root) CMD (a record=12)",
        "time=\"2026-11-28T20:29:00Z\" level=info msg=\"a b\" Caller=x.go:1",
        "{\"msg\":\"x\",\"a\":",
        "{not json}",
        "record = 5",
        "[2026-11-28 20:29:00] something",
        "[ 1 ] x",
    ]
    .join("\n");
    let mut all = short_iso(&journal_day());
    all.extend_from_slice(log.as_bytes());
    let report = read(&all);
    assert!(!report["read"][0]["notes"].to_string().contains("truncated"), "{:#}", report["read"]);
    assert_eq!(unread(&report).0, 0);
}

proptest::proptest! {
    #[test]
    fn any_damage_in_any_form_is_read_without_a_panic_and_twice_the_same(form in 0..super::journal::FORMS.len(), at in 0usize..20_000, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..12), cut: bool) {
        let mut log = super::journal::FORMS[form].1(&journal_day());
        let at = at % log.len();
        if cut {
            log.truncate(at);
        }
        log.splice(at..at, bytes);
        // A board without a host is named after its file: both read the same one.
        let folder = tempfile::tempdir().unwrap();
        let once = || story(&report_on(folder.path(), "a.log", &log, BEGIN + 86_400_000).to_json());
        proptest::prop_assert_eq!(once(), once());
    }
}

/// Text with a record in it, in what no form is known for: it is read, or counted and quoted.
#[test]
fn no_record_vanishes() {
    let fault = "record=fault run=bae38476 fault=camera state=begin cause=gone";
    for line in [
        format!("When,Message\n\"somewhen\",\"{fault}\"\n"),
        format!("level=warn {fault}\n"),
        format!("evel=warn {fault}\n"),
        format!("{{\"a\":1,\"some key\":\"{fault}\"}}\n"),
        format!("{{\"a\":1,\"list\":[\"{fault}\"]}}\n"),
        format!("CEF:0|x|lineside|1|1|m|3|msg={}\n", fault.replace('=', "\\=")),
        format!("CEF:0|x|lineside|1|1|m|3|msg={fault}\n"),
        format!("somewhen|pi4|{fault}\n"),
        "somewhen \"record\":\"fault\",\"run\":\"bae38476\"\n".to_string(),
    ] {
        let report = read(line.as_bytes());
        let (count, first) = unread(&report);
        assert!(count == 1 && line.contains(first.trim_end_matches('…')), "{line} {:#}", report["read"]);
        assert!(!report["read"].to_string().contains("truncated"), "{line} {:#}", report["read"]);
    }
    let quoted = "record=fault run=bae38476 fault=camera state=begin cause=\"it is \\\"gone\\\"\"";
    for line in [
        serde_json::json!({"@t": "2026-11-28T20:27:11Z", "@mt": quoted, "@l": "Warning"}).to_string(),
        format!("0|lineside | 2026-11-28 20:27:11: {quoted}"),
        format!("2026-11-28T20:27:11Z|pi4|{quoted}"),
        format!("x 2026-11-28T20:27:11Z msg={}", serde_json::Value::from(quoted)),
        format!("x 2026-11-28T20:27:11Z msg=level=warn {quoted}"),
    ] {
        let report = read(format!("{line}\n").as_bytes());
        assert_eq!(unread(&report).0, 0, "{line} {:#}", report["read"]);
        assert_eq!(report["read"][0]["records"], 1, "{line}");
        assert!(report.to_string().contains("it is \\\"gone\\\"") || report.to_string().contains("gone"), "{line}");
        assert_eq!(report["from"], "2026-11-28T20:27:11.000Z", "{line}");
    }
}

/// What a compressed file lost with its end is not in the report.
#[test]
fn a_compressed_file_that_breaks_off_is_not_wholly_read() {
    use std::io::Write;
    let log = short_iso(&journal_day());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&log).unwrap();
    let gzip = encoder.finish().unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(&log[..], ruzstd::encoding::CompressionLevel::Fastest);
    let folder = tempfile::tempdir().unwrap();
    for packed in [gzip, zstd] {
        let report = |bytes: &[u8]| report_on(folder.path(), "a.log", bytes, BEGIN + 86_400_000);
        assert!(!report(&packed).has_unread_lines());
        assert!(report(&packed[..packed.len() - 20]).has_unread_lines());
    }
}

/// Lines that were cut at a screen's width look whole.
#[test]
fn a_status_without_its_counts_does_not_count_as_zeros() {
    let day = journal_day();
    let expected = read(&short_iso(&day));
    let is_last = |line: &str| line.contains("record=status") && line.contains("captured=600");
    let log = String::from_utf8(short_iso(&day)).unwrap();
    let last = log.lines().rev().find(|line| is_last(line)).unwrap();
    let begin = last.find("record=status").unwrap();
    // One is what a power cut tears; the others have what the run counted before.
    let ends =
        [begin + 24, begin + 26, begin + 30, last.find(" captured=").unwrap(), last.find("captured=600").unwrap() + 10];
    for end in ends {
        let cut = log.replace(last, &last[..end]);
        let report = read(cut.as_bytes());
        assert_eq!(report["read"][0]["unread"], 0, "{end}: {:#}", report["read"]);
        assert!(report["read"].to_string().contains("1 line is truncated"), "{end}: {:#}", report["read"]);
        assert_eq!(report["runs"].as_array().unwrap().len(), expected["runs"].as_array().unwrap().len(), "{end}");
        assert!(report["frames"]["captured"].as_u64() >= Some(500), "{end}: {:#}", report["frames"]);
    }
    // All of them: no frame is known, and none is said to be lost.
    let cut: String =
        log.lines().map(|line| format!("{}\n", line.split(" captured=").next().unwrap_or(line))).collect();
    let report = read(cut.as_bytes());
    assert!(unread(&report).0 >= 5, "{:#}", report["read"]);
    assert!(unread(&report).1.contains("record=status"), "{:#}", report["read"]);
    for kind in ["no_frames", "not_judged", "sums", "clock"] {
        assert!(!report["findings"].to_string().contains(&format!("\"{kind}\"")), "{kind}: {:#}", report["findings"]);
    }
}
