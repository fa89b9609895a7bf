use super::*;
use crate::input::{Damage, DamageKind, LineReader};
use std::io::Cursor;

/// All entries, each as `line voice host time text-or-record`, and the damage.
fn read(bytes: impl Into<Vec<u8>>) -> (Vec<String>, Damage) {
    let newest = time::rfc3339(b"2026-11-21T12:00:00Z").unwrap().0;
    let mut entries =
        EntryReader::new(LineReader::new(Box::new(Cursor::new(bytes.into()))), LocalClock::new(Some(newest)));
    let (mut entry, mut all) = (Entry::default(), Vec::new());
    while entries.next(&mut entry) {
        let time =
            entry.time.map(|time| jiff::Timestamp::from_millisecond(time).unwrap().to_string()).unwrap_or_default();
        let what = match entry.kind {
            EntryKind::Record => {
                let captured = entry.fields.text("captured").unwrap_or_default();
                format!("{} {captured}", String::from_utf8_lossy(entry.record()))
            }
            kind => format!("{kind:?} {}", entry.message),
        };
        all.push(format!("{} {}|{time}|{what}", entry.line, entry.host));
    }
    (all, entries.damage().clone())
}

const TEXT: &str = "time=2026-11-21T04:00:00.500Z level=info record=stop captured=7";
const JSON: &str = r#"{"time":"2026-11-21T04:00:01Z","level":"info","record":"stop","captured":8}"#;

#[test]
fn any_mix_of_forms_is_read() {
    let export = "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1795233602000000\n_HOSTNAME=line3\nSYSLOG_IDENTIFIER=lineside\nMESSAGE=record=stop captured=9\nLINESIDE_RECORD=stop\nLINESIDE_CAPTURED=9\n\n";
    let json = r#"{"__REALTIME_TIMESTAMP":"1795233603000000","_HOSTNAME":"line3","MESSAGE":"record=stop captured=10","LINESIDE_RECORD":"stop","LINESIDE_CAPTURED":"10"}"#;
    let captured = r#"{"__REALTIME_TIMESTAMP":"1795233603000000","_HOSTNAME":"line3","SYSLOG_IDENTIFIER":"lineside","MESSAGE":"time=2026-11-21T04:00:04Z level=info record=stop captured=11"}"#;
    let short = "Nov 21 05:00:05 line3 lineside[812]: time=2026-11-21T04:00:05Z level=info record=stop captured=12";
    let native = "Nov 21 05:00:06 line3 lineside[812]: record=stop captured=13";
    let manager = "2026-11-21T04:00:07+0000 line3 systemd[1]: lineside.service: Watchdog timeout (limit 10s)!";
    let other =
        "2026-11-21T04:00:07+0000 line3 systemd[1]: Started cron.service.\nout.png  normal  score 0.1\n-- Boot 0123 --";
    let all = [TEXT, JSON, export, json, captured, short, native, manager, other].join("\n");
    let (entries, damage) = read(all);
    assert_eq!(
        entries,
        [
            "1 |2026-11-21T04:00:00.5Z|stop 7",
            "2 |2026-11-21T04:00:01Z|stop 8",
            "3 line3|2026-11-21T04:00:02Z|stop 9",
            "12 line3|2026-11-21T04:00:03Z|stop 10",
            "13 line3|2026-11-21T04:00:04Z|stop 11",
            "14 line3|2026-11-21T04:00:05Z|stop 12",
            "15 line3|2026-11-21T04:00:06Z|stop 13",
            "16 line3|2026-11-21T04:00:07Z|Systemd lineside.service: Watchdog timeout (limit 10s)!",
            "19 ||Boot ",
        ]
    );
    assert!(damage.is_none(), "{:?}", damage.messages());
}

#[test]
fn a_cut_line_does_not_take_the_next_with_it() {
    for (cut, whole) in [(TEXT, JSON), (JSON, TEXT), (TEXT, TEXT), (JSON, JSON)] {
        let text = format!("{}{whole}\n", &cut[..cut.len() - 3]);
        let (entries, damage) = read(text.clone());
        assert!(
            entries.last().unwrap().ends_with(if whole == TEXT { "stop 7" } else { "stop 8" }),
            "{text}: {entries:?}"
        );
        assert_eq!(damage.count(DamageKind::Truncated), 1, "{text}");
    }
    let (entries, damage) = read(format!("ptured=7 record=stop\n{TEXT}"));
    assert_eq!(entries, ["2 |2026-11-21T04:00:00.5Z|stop "], "the last number may be cut, too");
    assert_eq!(damage.count(DamageKind::Truncated), 2);
}

#[test]
fn the_export_form_with_binary_fields_and_cuts() {
    let mut bytes = b"MESSAGE_ID=1\nCUT=half an entry\n\n__CURSOR=a\n_HOSTNAME=line3\nMESSAGE\n".to_vec();
    let message = b"time=2026-11-21T04:00:00Z level=info record=stop captured=1 file=\"a\xff\"\n\n";
    bytes.extend_from_slice(&(message.len() as u64).to_le_bytes());
    bytes.extend_from_slice(message);
    bytes.extend_from_slice(b"\n_PID=7\n\n__CURSOR=b\nMESSAGE=record=stop captured=2\n__CURSOR=c\nMESSAGE=record=stop captured=3\nMESSAGE\n\x08");
    let (entries, _) = read(bytes);
    assert_eq!(entries, ["4 line3|2026-11-21T04:00:00Z|stop 1", "12 ||stop 2", "14 ||stop 3"]);
}

#[test]
fn messages_outside_records_are_read() {
    let text = "thread 'inspection' panicked at src/engine/step.rs:12:5:\nindex out of bounds\nsomething else\nlineside: /etc/lineside/lineside.toml:3: no such key\n";
    let (entries, _) = read(text);
    assert_eq!(entries.len(), 3);
    assert!(entries[1].ends_with("Program index out of bounds"), "{entries:?}");
    assert!(entries[2].contains("toml:3"), "{entries:?}");
}

#[test]
fn times_without_zone_or_year_are_taken_as_near_as_they_can() {
    let (entries, damage) = read("Dec 31 23:00:00 line3 lineside[1]: record=stop captured=1\n");
    assert_eq!(entries, ["1 line3|2025-12-31T23:00:00Z|stop 1"]);
    assert_eq!(damage.first(DamageKind::NoTimeZone), Some(1));
}

#[test]
fn forms_in_one_another_end() {
    // A record within a message of the journal that breaks off: what is around it is not read again.
    let bytes = b"__CURSOR=a\nMESSAGE=time=202{\"time\":\"2026-11-21T04:00:00Z\",\"record\":\"6-1\n\n";
    read(bytes.to_vec());
    let message = "{\"MESSAGE\":\"x {\\\"time\\\":1,\\\"message\\\":\\\"";
    read(message.repeat(2000));
    for part in [
        "<1>[1.000] ",
        "<1>2026-11-21T04:00:00Z ",
        "[1.000] ",
        "1.000 ",
        "a | ",
        "x:1:",
        "data: ",
        "message repeated 2 times: [",
        "stdout P ",
        "{\"a\":",
    ] {
        read(part.repeat(80_000));
        read(part.repeat(100) + TEXT);
    }
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes: Vec<u8>, cut in 0usize..400, at in 0usize..400, flip: u8) {
        read(bytes.clone());
        let mut real = format!("{TEXT}\n{JSON}\n__CURSOR=a\nMESSAGE=record=stop captured=3\n\nNov 21 05:00:06 line3 lineside[812]: record=x\n").into_bytes();
        real.truncate(cut.max(1));
        let position = at % real.len();
        real[position] = flip;
        real.splice(position..position, bytes);
        read(real);
    }
}
