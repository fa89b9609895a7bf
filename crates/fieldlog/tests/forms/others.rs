//! The output of the program, as Docker, Kubernetes, Loki and others keep it.

use super::day::Line;
use super::journal::{Form, lines, quoted, table, time};
use serde_json::json;

pub const FORMS: &[(&str, Form)] = &[
    ("docker logs -t", |day| {
        lines(day, |line| format!("{} {}", time(line, "%Y-%m-%dT%H:%M:%S.123456789Z"), line.message))
    }),
    ("docker's json-file", |day| {
        lines(day, |line| {
            json!({"log": format!("{}\n", line.message), "stream": "stderr", "time": time(line, "%Y-%m-%dT%H:%M:%S.123456789Z")}).to_string()
        })
    }),
    ("docker compose logs", |day| lines(day, |line| format!("lineside-1  | {}", line.message))),
    ("CRI", |day| {
        lines(day, |line| format!("{} stderr F {}", time(line, "%Y-%m-%dT%H:%M:%S.123456789+00:00"), line.message))
    }),
    ("CRI in parts", |day| {
        lines(day, |line| {
            let (first, second) = line.message.split_at(70);
            let time = time(line, "%Y-%m-%dT%H:%M:%S.123456789Z");
            format!("{time} stderr P {first}\n{time} stderr F {second}")
        })
    }),
    ("kubectl logs --prefix --timestamps", |day| {
        lines(day, |line| format!("[pod/lineside-0/lineside] {} {}", time(line, "%Y-%m-%dT%H:%M:%S.1Z"), line.message))
    }),
    ("ts", |day| lines(day, |line| format!("{} {}", time(line, "%b %d %H:%M:%S"), line.message))),
    ("logfmt", |day| {
        lines(day, |line| {
            format!("ts={} level=info msg={}", line.stamp(), serde_json::Value::from(line.message.as_str()))
        })
    }),
    ("Grafana's CSV", |day| {
        table(day, "Time,Line", |line| format!("{},{}", time(line, "%Y-%m-%d %H:%M:%S"), quoted(&line.message)))
    }),
    ("Grafana's CSV of version 10", |day| {
        table(day, "\"Date\",\"Time\",\"Line\",\"tsNs\",\"labels\"", |line| {
            format!(
                "\"{}\",\"{}\",{},\"{}000000\",\"{{job=\"\"lineside\"\"}}\"",
                time(line, "%Y-%m-%dT%H:%M:%S.000Z"),
                line.time,
                quoted(&line.message),
                line.time
            )
        })
    }),
    ("a spreadsheet's CSV", |day| {
        table(day, "Time;Line", |line| format!("{};{}", time(line, "%d.%m.%Y %H:%M:%S"), quoted(&line.message)))
    }),
    ("tabs", |day| table(day, "timestamp\thost\tmessage", |line| format!("{}\tpi4\t{}", line.stamp(), line.message))),
    ("Grafana's JSON", |day| {
        let entries: Vec<_> = day.iter().map(|line| json!({"line": line.message, "timestamp": format!("{}000000", line.time), "date": line.stamp(), "fields": {"job": "lineside"}})).collect();
        serde_json::to_vec(&entries).unwrap()
    }),
    ("Grafana's JSON in lines", |day| {
        let entries: Vec<_> = day
            .iter()
            .map(|line| json!({"line": line.message, "timestamp": format!("{}000000", line.time), "fields": {}}))
            .collect();
        serde_json::to_vec_pretty(&entries).unwrap()
    }),
    ("Loki's answer", |day| {
        let values: Vec<_> = day.iter().map(|line| json!([format!("{}000000", line.time), line.message])).collect();
        let result = json!([{"stream": {"job": "other"}, "values": [["1795897631000000000", "x"]]}, {"stream": {"job": "lineside"}, "values": values}]);
        json!({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {"summary": {}}}})
            .to_string()
            .into_bytes()
    }),
    ("logcli -o jsonl", |day| {
        lines(day, |line| {
            json!({"labels": {"job": "lineside"}, "line": line.message, "timestamp": line.stamp()}).to_string()
        })
    }),
    ("logcli", |day| {
        lines(day, |line| format!("{} {{filename=\"a b\", job=\"lineside\"}} {}", line.stamp(), line.message))
    }),
    ("Fluent Bit", |day| {
        lines(day, |line| json!({"date": line.time as f64 / 1000.0, "log": line.message}).to_string())
    }),
    ("Splunk's CSV", |day| {
        table(day, "\"_raw\",\"_time\",host", |line| format!("{},\"{}\",pi4", quoted(&line.message), line.stamp()))
    }),
    ("OpenTelemetry's body", |day| {
        lines(day, |line| {
            json!({"timestamp": line.stamp(), "severity_text": "INFO", "body": line.message, "resources": {"a": {"b": "c"}}}).to_string()
        })
    }),
    ("another prefix", |day| {
        lines(day, |line| format!("app|INFO| {} >> {}", time(line, "%Y-%m-%d %H:%M:%S"), line.message))
    }),
];

/// As the program writes it.
pub fn plain(day: &[Line]) -> Vec<u8> {
    lines(day, |line| line.message.clone())
}
