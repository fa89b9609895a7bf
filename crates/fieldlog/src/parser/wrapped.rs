//! Messages in the fields of another log: Docker, Loki, Elasticsearch, Graylog, Fluent Bit, logfmt, rows of CSV.

use super::fields::{Fields, count};
use super::ours;
use super::stamp::{self, Stamp};
use memchr::memmem;

/// Fields that hold a message, the likeliest first.
const MESSAGE: [&str; 19] = [
    "MESSAGE",
    "message",
    "msg",
    "log",
    "line",
    "Line",
    "Message",
    "Messages",
    "short_message",
    "full_message",
    "_raw",
    "body",
    "text",
    "content",
    "original",
    "textPayload",
    "raw",
    "value",
    "event",
];
/// How many of them name a column, too: the others are names of anything.
const COLUMNS: usize = 16;
/// Fields that hold a time.
const TIME: [&str; 21] = [
    "__REALTIME_TIMESTAMP",
    "@timestamp",
    "timestamp",
    "time",
    "ts",
    "Time",
    "tsNs",
    "_time",
    "datetime",
    "date",
    "Date",
    "timeStamp",
    "eventTime",
    "t",
    "Timestamp",
    "_SOURCE_REALTIME_TIMESTAMP",
    "ISODATE",
    "DATE",
    "timereported",
    "timegenerated",
    "@t",
];
/// Fields that hold the host.
const HOST: [&str; 10] =
    ["_HOSTNAME", "hostname", "host", "HOSTNAME", "HOST", "Host", "logsource", "node_name", "nodename", "source"];
/// Fields that hold the program.
const PROGRAM: [&str; 14] = [
    "SYSLOG_IDENTIFIER",
    "syslog_identifier",
    "program",
    "PROGRAM",
    "app_name",
    "appname",
    "application_name",
    "ident",
    "identifier",
    "process_name",
    "syslogtag",
    "unit",
    "_SYSTEMD_UNIT",
    "tag",
];
/// Fields that hold the process id.
const PID: [&str; 7] = ["_PID", "pid", "PID", "procid", "process_id", "_pid", "processid"];

/// Whether a column or a field of this name holds messages.
pub fn is_message(name: &str) -> bool {
    MESSAGE.iter().take(COLUMNS).any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a column or a field of this name holds times.
pub fn is_time(name: &str) -> bool {
    TIME.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether a column or a field of this name holds hosts.
pub fn is_host(name: &str) -> bool {
    HOST.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The message in some fields: that of the likeliest name, or one that has a record in it.
pub fn message(fields: &Fields) -> Option<&[u8]> {
    let found = || MESSAGE.iter().filter_map(|name| field(fields, name));
    let record =
        found().find(|value| memmem::find(value, b"record=").is_some() || memmem::find(value, b"\"record\"").is_some());
    // A field of any name, such as `@mt` or a column of somebody's own.
    let other = || fields.iter().map(|(_, value)| value).find(|value| ours::holds_record(value));
    record.or_else(other).or_else(|| found().next())
}

/// The time in some fields.
pub fn time(fields: &Fields) -> Option<Stamp> {
    TIME.iter().filter_map(|name| field(fields, name)).find_map(value_time).or_else(|| {
        // Day and time in columns of their own.
        let columns = [("Date", "Time"), ("date", "time"), ("DATE", "TIME")];
        columns.iter().find_map(|(day, time)| value_time(&[field(fields, day)?, field(fields, time)?].join(&b' ')))
    })
}

/// A field's value as a time.
pub fn value_time(value: &[u8]) -> Option<Stamp> {
    let value = value.trim_ascii();
    if let Some(time) = stamp::number(value) {
        return Some(Stamp::Utc(time));
    }
    let (stamp, length) = stamp::read(value)?;
    (length == value.len() && !matches!(stamp, Stamp::SinceBoot(_))).then_some(stamp)
}

/// The host in some fields.
pub fn host(fields: &Fields) -> Option<&[u8]> {
    let plain = |value: &&[u8]| {
        !value.is_empty() && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    // In a record, `source` is how the camera is doing.
    let is_record = fields.get("record").is_some();
    let names = HOST.iter().filter(|name| !(is_record && **name == "source"));
    names.filter_map(|name| field(fields, name)).find(plain)
}

/// The program in some fields.
pub fn program(fields: &Fields) -> Option<&[u8]> {
    let program = PROGRAM.iter().find_map(|name| field(fields, name))?;
    // rsyslog's tag is `lineside[812]:`.
    let end = program.iter().position(|byte| matches!(byte, b'[' | b':')).unwrap_or(program.len());
    Some(&program[..end])
}

/// The process id in some fields.
pub fn pid(fields: &Fields) -> Option<u64> {
    PID.iter().find_map(|name| count(field(fields, name)?))
}

/// A field by its name; in a column's or an exporter's way of writing it, too.
fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a [u8]> {
    fields.get(name).filter(|value| !value.is_empty())
}

/// Whether a line begins as a row of a table does: with a time, in quotes or not.
pub fn begins_row(line: &[u8]) -> bool {
    let inside = line.strip_prefix(b"\"").unwrap_or(line);
    stamp::read(inside).is_some_and(|(_, end)| matches!(inside.get(end), Some(b',' | b';' | b'\t' | b'"')))
}

/// A time that stands anywhere in a text.
pub fn stamp_within(text: &[u8]) -> Option<Stamp> {
    const REACH: usize = 256;
    let text = &text[..text.len().min(REACH)];
    let begins = |at: &usize| *at == 0 || !(text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'-');
    (0..text.len()).filter(begins).find_map(|at| stamp::iso(&text[at..])).map(|(stamp, _)| stamp)
}
