//! A story, written down as the program and the journal write it.

use super::story::{SECOND, Said, Story, Voice};
use std::fmt::Write as _;

impl Story {
    /// As it stands in a file behind stderr: records and the program's own words.
    pub fn text(&self) -> String {
        self.lines(|said| match &said.voice {
            Voice::Record(fields) => Some(format!("time={} level=info {}\n", stamp(said.time), pairs(fields))),
            Voice::Words(text) => Some(format!("{text}\n")),
            _ => None,
        })
    }

    /// As `--log-format json` writes it.
    pub fn json(&self) -> String {
        self.lines(|said| match &said.voice {
            Voice::Record(fields) => Some(format!("{}\n", object(said.time, true, fields))),
            Voice::Words(text) => Some(format!("{text}\n")),
            _ => None,
        })
    }

    /// As `events.jsonl` has it.
    pub fn events(&self) -> String {
        let kept = ["start", "stop", "event", "fault", "review"];
        let mut told = 0;
        self.lines(|said| match &said.voice {
            Voice::Record(fields) => {
                let kind = fields[0].1.as_str();
                let due = kind == "status" && said.time >= told + 600 * SECOND;
                if due {
                    told = said.time;
                }
                (due || kept.contains(&kind)).then(|| format!("{}\n", object(said.time, false, fields)))
            }
            _ => None,
        })
    }

    /// As `journalctl -o short-iso` shows it.
    pub fn short(&self) -> String {
        self.lines(|said| {
            let (program, pid, text) = said.journal();
            let time = stamp(said.time).replace('Z', "+0000");
            let pid = if program == "kernel" { String::new() } else { format!("[{pid}]") };
            Some(format!("{} {} {program}{pid}: {text}\n", time.replace(&time[19..23], ""), self.host))
        })
    }

    /// As `journalctl -o json` shows it.
    pub fn journal_json(&self) -> String {
        self.lines(|said| {
            let fields = self.journal_fields(said);
            let object: serde_json::Map<String, serde_json::Value> =
                fields.into_iter().map(|(key, value)| (key, value.into())).collect();
            Some(format!("{}\n", serde_json::Value::Object(object)))
        })
    }

    /// As `journalctl -o export` shows it.
    pub fn export(&self) -> String {
        self.lines(|said| {
            let mut entry = String::from("__CURSOR=s=1\n");
            for (key, value) in self.journal_fields(said) {
                let _ = writeln!(entry, "{key}={value}");
            }
            Some(entry + "\n")
        })
    }

    fn journal_fields(&self, said: &Said) -> Vec<(String, String)> {
        let (program, pid, text) = said.journal();
        let mut fields: Vec<(String, String)> = [
            // It gets a record a little later than that was made.
            ("__REALTIME_TIMESTAMP", ((said.time + 70) * 1000).to_string()),
            ("_BOOT_ID", format!("{:032x}", said.boot)),
            ("_HOSTNAME", self.host.clone()),
            ("_PID", pid.to_string()),
            ("SYSLOG_IDENTIFIER", program.to_string()),
            ("MESSAGE", text),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .to_vec();
        if let Voice::Record(record) = &said.voice {
            fields
                .extend(record.iter().map(|(key, value)| (format!("LINESIDE_{}", key.to_uppercase()), value.clone())));
        }
        fields
    }

    fn lines(&self, mut line: impl FnMut(&Said) -> Option<String>) -> String {
        self.said.iter().filter_map(&mut line).collect()
    }
}

impl Said {
    fn journal(&self) -> (&'static str, u32, String) {
        match &self.voice {
            Voice::Record(fields) => ("lineside", self.pid, pairs(fields)),
            Voice::Systemd(text) => ("systemd", 1, text.clone()),
            Voice::Kernel(text) => ("kernel", 0, text.clone()),
            Voice::Words(text) => ("lineside", self.pid, text.clone()),
        }
    }
}

/// `2026-11-21T00:00:00.000Z`.
pub fn stamp(time: i64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(time).unwrap())
}

fn pairs(fields: &[(String, String)]) -> String {
    let bare = |value: &str| !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !"\"=\\".contains(c));
    let one = |(key, value): &(String, String)| match bare(value) {
        true => format!("{key}={value}"),
        false => format!("{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    fields.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn object(time: i64, level: bool, fields: &[(String, String)]) -> String {
    let mut object = serde_json::Map::new();
    object.insert("time".into(), stamp(time).into());
    if level {
        object.insert("level".into(), "info".into());
    }
    let names = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    for (key, value) in fields {
        let number = value.parse::<f64>().is_ok() && key != "run" && key != "boot" && key != "frame";
        let value = if number { serde_json::from_str(value).unwrap() } else { serde_json::Value::from(value.as_str()) };
        match key.as_str() {
            "annotated" => {
                let files = serde_json::json!({ "annotated": value, "spot": names("spot") });
                object.insert("files".into(), files);
            }
            "spot" => (),
            "regions" => {
                object.insert("regions".into(), serde_json::json!([[120, 88, 40, 32]]));
            }
            _ => {
                object.insert(key.clone(), value);
            }
        }
    }
    serde_json::Value::Object(object).to_string()
}
