//! The forms of `journalctl` and of syslog, as systemd 252 and rsyslog 8.2302 write them.

use super::BEGIN;
use super::day::Line;

pub type Form = fn(&[Line]) -> Vec<u8>;

pub const FORMS: &[(&str, Form)] = &[
    ("short", short),
    ("short-precise", |day| short_of(day, |line| format!("{}.000123", time(line, "%b %d %H:%M:%S")))),
    ("short-full", |day| short_of(day, |line| time(line, "%a %Y-%m-%d %H:%M:%S UTC"))),
    ("short-full in another zone", |day| short_of(day, |line| shifted(line, 2, "%a %Y-%m-%d %H:%M:%S CEST"))),
    ("short-iso", short_iso),
    ("short-iso-precise", |day| short_of(day, |line| time(line, "%Y-%m-%dT%H:%M:%S.000123+0000"))),
    ("short-iso of systemd 255", |day| short_of(day, |line| shifted(line, 1, "%Y-%m-%dT%H:%M:%S+01:00"))),
    ("short-unix", |day| short_of(day, |line| format!("{}.000123", line.time / 1000))),
    ("with-unit", with_unit),
    ("no-hostname", |day| {
        let log = String::from_utf8(short(day)).unwrap().replace(" pi4 ", " ");
        log.replace("               index", "           index").into_bytes()
    }),
    ("json", |day| lines(day, |line| json(line).to_string())),
    ("json-seq", |day| lines(day, |line| format!("\x1e{}", json(line)))),
    ("json-sse", |day| lines(day, |line| format!("data: {}\n", json(line)))),
    ("json-pretty", |day| lines(day, pretty)),
    ("jq", |day| lines(day, |line| serde_json::to_string_pretty(&json(line)).unwrap())),
    ("verbose", verbose),
    ("export", export),
    ("rfc3164", |day| {
        lines(day, |line| format!("<30>{} pi4 {}: {}", time(line, "%b %e %H:%M:%S"), tag(line), flat(line)))
    }),
    ("rfc3164 with a year", |day| {
        lines(day, |line| format!("<30>{} pi4 {}: {}", time(line, "%b %e %Y %H:%M:%S"), tag(line), flat(line)))
    }),
    ("rsyslog's file", |day| {
        lines(day, |line| format!("{} pi4 {}: {}", time(line, "%b %e %H:%M:%S"), tag(line), flat(line)))
    }),
    ("rsyslog's new file", |day| {
        lines(day, |line| {
            format!("{} pi4 {}: {}", shifted(line, 1, "%Y-%m-%dT%H:%M:%S.000123+01:00"), tag(line), flat(line))
        })
    }),
    ("rsyslog's escapes", |day| {
        lines(day, |line| {
            format!("{} pi4 {}: #033[0;1;39m{}#033[0m", time(line, "%b %e %H:%M:%S"), tag(line), flat(line))
        })
    }),
    ("busybox", |day| {
        lines(day, |line| format!("{} pi4 daemon.info {}: {}", time(line, "%b %e %H:%M:%S"), tag(line), flat(line)))
    }),
    ("rfc5424", |day| lines(day, |line| rfc5424(line, "-"))),
    ("rfc5424 of rsyslog", |day| lines(day, |line| rfc5424(line, "- "))),
    ("rfc5424 with data", |day| {
        lines(day, |line| rfc5424(line, "[origin ip=\"10.0.0.1\" x=\"a\\]\\\"b\"][timeQuality tzKnown=\"1\"]"))
    }),
    ("rfc5424 with a mark", |day| lines(day, |line| rfc5424(line, "-").replacen("- - ", "- - \u{feff}", 1))),
    ("rfc5424 with counts", |day| {
        let counted = |line: &Line| {
            let message = rfc5424(line, "-");
            format!("{} {message}", message.len())
        };
        day.iter().map(counted).collect::<String>().into_bytes()
    }),
    ("rfc5424 with counts, a line each", |day| {
        lines(day, |line| {
            let message = rfc5424(line, "-");
            format!("{} {message}", message.len())
        })
    }),
    ("docker logs -t of syslog", |day| {
        lines(day, |line| {
            format!(
                "{} <30>{} pi4 {}: {}",
                time(line, "%Y-%m-%dT%H:%M:%S.000456789Z"),
                time(line, "%b %e %H:%M:%S"),
                tag(line),
                flat(line)
            )
        })
    }),
    ("grep", |day| {
        lines(day, |line| {
            format!("/var/log/syslog.1:{}:{} pi4 {}: {}", line.pid, time(line, "%b %e %H:%M:%S"), tag(line), flat(line))
        })
    }),
    ("syslog-ng's JSON", |day| {
        lines(day, |line| {
            serde_json::json!({"PROGRAM": line.program, "PID": line.pid.to_string(), "HOST": "pi4", "MESSAGE": line.message, "ISODATE": line.stamp()}).to_string()
        })
    }),
    ("rsyslog's JSON", |day| {
        lines(day, |line| {
            serde_json::json!({"timereported": line.stamp(), "syslogtag": format!("{}:", tag(line)), "hostname": "pi4", "msg": format!(" {}", line.message)}).to_string()
        })
    }),
    ("a NAS's CSV", |day| {
        table(day, "Severity,Date,Time,Host,Category,Program,Messages", |line| {
            format!(
                "Info,{},{},pi4,daemon,{},{}",
                time(line, "%Y-%m-%d"),
                time(line, "%H:%M:%S"),
                line.program,
                quoted(&line.message)
            )
        })
    }),
    ("Graylog", |day| {
        lines(day, |line| {
            serde_json::json!({"version": "1.1", "host": "pi4", "short_message": line.message, "timestamp": line.time as f64 / 1000.0, "level": 6, "_pid": line.pid, "ident": line.program}).to_string()
        })
    }),
    ("Elasticsearch, lines", |day| lines(day, |line| elastic(line).to_string())),
    ("Elasticsearch, an answer", |day| {
        let hits: Vec<_> = day.iter().map(elastic).collect();
        serde_json::json!({"took": 3, "hits": {"total": {"value": day.len()}, "max_score": null, "hits": hits}})
            .to_string()
            .into_bytes()
    }),
    ("Elasticsearch, an answer in lines", |day| {
        let hits: Vec<_> = day.iter().map(elastic).collect();
        serde_json::to_vec_pretty(&serde_json::json!({"hits": {"hits": hits}})).unwrap()
    }),
    ("Kibana", |day| {
        table(day, "\"@timestamp\",host,program,pid,message", |line| {
            format!(
                "\"{}\",pi4,{},{},{}",
                time(line, "%b %d, %Y @ %H:%M:%S.000"),
                line.program,
                line.pid,
                quoted(&line.message)
            )
        })
    }),
    ("vector", |day| {
        lines(day, |line| {
            serde_json::json!({"PRIORITY": "6", "SYSLOG_IDENTIFIER": line.program, "_PID": line.pid.to_string(), "host": "pi4", "message": line.message, "source_type": "journald", "timestamp": line.stamp()}).to_string()
        })
    }),
];

/// A time as `strftime` writes it, in UTC.
pub fn time(line: &Line, format: &str) -> String {
    shifted(line, 0, format)
}

/// The same in a zone.
fn shifted(line: &Line, hours: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(line.time + hours * 3_600_000).unwrap().strftime(format).to_string()
}

fn tag(line: &Line) -> String {
    if line.program == "kernel" { "kernel".into() } else { format!("{}[{}]", line.program, line.pid) }
}

/// Syslog daemons write a message in one line.
fn flat(line: &Line) -> String {
    line.message.replace('\n', " ")
}

pub fn lines(day: &[Line], form: impl Fn(&Line) -> String) -> Vec<u8> {
    day.iter().map(|line| form(line) + "\n").collect::<String>().into_bytes()
}

/// Short forms set further lines of a message in.
fn short_of(day: &[Line], time: impl Fn(&Line) -> String) -> Vec<u8> {
    lines(day, |line| {
        let prefix = format!("{} pi4 {}: ", time(line), tag(line));
        let indent = format!("\n{}", " ".repeat(prefix.chars().count()));
        prefix + &line.message.replace('\n', &indent)
    })
}

pub fn short(day: &[Line]) -> Vec<u8> {
    short_of(day, |line| time(line, "%b %d %H:%M:%S"))
}

pub fn short_iso(day: &[Line]) -> Vec<u8> {
    short_of(day, |line| time(line, "%Y-%m-%dT%H:%M:%S+0000"))
}

fn with_unit(day: &[Line]) -> Vec<u8> {
    let log = String::from_utf8(short_of(day, |line| time(line, "%a %Y-%m-%d %H:%M:%S UTC"))).unwrap();
    log.replace(" systemd[1]", " init.scope[1]").replace(" lineside[812]", " lineside.service[812]").into_bytes()
}

fn journal_fields(line: &Line) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("__CURSOR", format!("s=a;i=1;t={:x}", line.time * 1000)),
        ("__REALTIME_TIMESTAMP", (line.time * 1000).to_string()),
        ("__MONOTONIC_TIMESTAMP", ((line.time - BEGIN + 5000) * 1000).to_string()),
        ("_HOSTNAME", "pi4".into()),
        ("PRIORITY", "6".into()),
        ("SYSLOG_IDENTIFIER", line.program.into()),
        ("_PID", line.pid.to_string()),
        ("MESSAGE", line.message.clone()),
    ];
    if line.program == "kernel" {
        fields.push(("_TRANSPORT", "kernel".into()));
    }
    fields
}

fn json(line: &Line) -> serde_json::Value {
    serde_json::Value::Object(journal_fields(line).into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

pub fn plain_json(day: &[Line]) -> Vec<u8> {
    lines(day, |line| json(line).to_string())
}

fn pretty(line: &Line) -> String {
    let field = |(key, value): (&str, String)| format!("\t\"{key}\" : {}", serde_json::Value::from(value));
    let fields: Vec<String> = journal_fields(line).into_iter().map(field).collect();
    format!("{{\n{}\n}}", fields.join(",\n"))
}

fn verbose(day: &[Line]) -> Vec<u8> {
    lines(day, |line| {
        let cursor =
            format!("[s=e90314cebda94177a6980d3afd378a57;i=1;b=c28a;m=4c4b40;t={:x};x=19888f41]", line.time * 1000);
        let mut text = format!("{} {cursor}", shifted(line, 7, "%a %Y-%m-%d %H:%M:%S.000000 <+07>"));
        for (key, value) in journal_fields(line).into_iter().filter(|(key, _)| !key.starts_with("__")) {
            let indent = format!("\n{}", " ".repeat(5 + key.len()));
            text += &format!("\n    {key}={}", value.replace('\n', &indent));
        }
        text
    })
}

fn export(day: &[Line]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in day {
        for (key, value) in journal_fields(line) {
            bytes.extend_from_slice(key.as_bytes());
            if value.contains('\n') {
                bytes.push(b'\n');
                bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
            } else {
                bytes.push(b'=');
            }
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
    }
    bytes
}

fn rfc5424(line: &Line, data: &str) -> String {
    format!("<134>1 {} pi4 {} {} - {data} {}", line.stamp(), line.program, line.pid, flat(line))
}

fn elastic(line: &Line) -> serde_json::Value {
    serde_json::json!({"_index": "logs", "_source": {"@timestamp": line.stamp(), "host": "pi4", "process": {"pid": line.pid},
        "syslog_identifier": line.program, "message": line.message, "tags": [{"a": 1}, {"b": 2}]}})
}

pub fn table(day: &[Line], header: &str, row: impl Fn(&Line) -> String) -> Vec<u8> {
    let rows: String = day.iter().map(|line| row(line) + "\n").collect();
    format!("{header}\n{rows}").into_bytes()
}

pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
