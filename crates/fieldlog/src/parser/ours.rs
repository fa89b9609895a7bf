//! What a line of the program itself looks like, whole or cut.

use super::fields::Fields;
use super::kinds::is_kind;
use super::time::{self, Millis};
use memchr::memmem;

/// Whether a message begins as a record in text or JSON does.
pub fn starts_as_record(message: &[u8]) -> bool {
    message.starts_with(b"record=")
        || message.starts_with(b"time=2")
        || message.starts_with(b"{\"time\":")
        || message.starts_with(b"{\"record\":")
}

/// Whether a line holds a record's kind, so that it is ours even where it cannot be read.
pub fn has_kind(line: &[u8]) -> bool {
    kind_at(line, b"record=").is_some()
        || kind_at(line, b"\"record\":\"").is_some()
        || kind_at(line, b"\"record\": \"").is_some()
}

/// Where `record=` and a known kind stand.
fn kind_at(line: &[u8], key: &[u8]) -> Option<usize> {
    memmem::find_iter(line, key).find(|at| {
        let rest = &line[at + key.len()..];
        let word = rest.iter().position(|byte| !(byte.is_ascii_alphabetic() || *byte == b'_')).unwrap_or(rest.len());
        is_kind(&rest[..word])
    })
}

/// Whether text holds a record of a run, whatever is around it and however it is quoted or escaped: `record=KIND run=8hex`, or
/// the same in JSON.
pub fn holds_record(text: &[u8]) -> bool {
    memmem::find_iter(text, b"record").any(|at| names_run(&text[at + b"record".len()..]))
}

/// Whether a line names a kind of record as the value of a key `record` in another way: with a prefix (`lineside.record=start
/// lineside.run=0a1b2c3d`, `LINESIDE_RECORD`), or alone in the line (`record: start`).
pub fn names_record(line: &[u8]) -> bool {
    const KEY: usize = b"record".len();
    const APART: usize = 12;
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let apart = |rest: &[u8]| rest.iter().take(APART).position(is_word);
    let word = |rest: &[u8]| rest.iter().position(|byte| !is_word(byte)).unwrap_or(rest.len());
    let begin = line.iter().position(is_word).unwrap_or(0);
    let keys = memmem::find_iter(line, b"record").chain(memmem::find_iter(line, b"RECORD"));
    keys.into_iter().any(|at| {
        let rest = &line[at + KEY..];
        let Some(value) = apart(rest).filter(|value| *value > 0).map(|value| &rest[value..]) else { return false };
        let (kind, behind) = value.split_at(word(value));
        if !is_kind(&kind.to_ascii_lowercase()) {
            return false;
        }
        let alone = line[begin..at].iter().all(is_word) || line[begin..at].starts_with(b"- ");
        if alone && (behind.starts_with(b"<") || !behind.iter().any(u8::is_ascii_alphanumeric)) {
            return true;
        }
        let Some(next) = apart(behind).filter(|next| *next > 0).map(|next| &behind[next..]) else { return false };
        let (key, behind) = next.split_at(word(next));
        let run = apart(behind).filter(|run| *run > 0).map(|run| &behind[run..]);
        let is_run = run.is_some_and(|run| word(run) == 8 && run[..8].iter().all(u8::is_ascii_hexdigit));
        (key.ends_with(b"run") || key.ends_with(b"RUN")) && is_run
    })
}

/// Where a kind of record with its run stands, not before `from`.
pub fn named_record(text: &[u8], from: usize) -> Option<usize> {
    let behind = text.get(from..)?;
    memmem::find_iter(behind, b"record").find(|at| names_run(&behind[at + b"record".len()..])).map(|at| from + at)
}

/// Whether a kind and a run follow the key `record`.
fn names_run(rest: &[u8]) -> bool {
    /// Quotes, colons, commas and escapes between two words.
    const APART: usize = 12;
    let word = |rest: &[u8]| rest.iter().position(|byte| !(byte.is_ascii_alphabetic() || *byte == b'_')).unwrap_or(0);
    let apart = |rest: &[u8]| rest.iter().take(APART).position(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let Some(kind) = apart(rest).filter(|kind| *kind > 0).map(|kind| &rest[kind..]) else { return false };
    let behind = &kind[word(kind)..];
    let Some(run) = apart(behind).and_then(|at| behind[at..].strip_prefix(b"run")) else { return false };
    let hex = apart(run).filter(|at| *at > 0).and_then(|at| run[at..].get(..8));
    behind.len() < kind.len() && hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
}

/// Where a record in text stands in a line of something else, and the record without the quotes and escapes around it.
pub fn embedded(line: &[u8]) -> Option<(usize, Vec<u8>)> {
    let record = memmem::find_iter(line, b"record=").find(|at| names_run(&line[at + 6..]))?;
    let time = next_record(line, 0).filter(|time| *time < record && line[*time] == b't');
    let level = memmem::rfind(&line[..record], b"level=");
    let at = time.or(level).unwrap_or(record);
    // `level=` belongs to the record where only its word is between them.
    let at = if line[at..record].iter().filter(|byte| **byte == b' ').count() > 2 { record } else { at };
    let rest = &line[at..];
    if at == 0 || line[at - 1] != b'"' {
        return Some((at, rest.trim_ascii_end().to_vec()));
    }
    let (mut plain, mut bytes) = (Vec::with_capacity(rest.len()), rest.iter().copied().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            // A quote in a table is written twice.
            b'"' if bytes.next_if_eq(&b'"').is_some() => plain.push(b'"'),
            b'"' => return Some((at, plain)),
            b'\\' => plain.push(bytes.next_if(|next| matches!(next, b'"' | b'\\')).unwrap_or(b'\\')),
            other => plain.push(other),
        }
    }
    None
}

/// Where a record begins in a damaged line, behind its first byte and not before `from`.
pub fn next_record(line: &[u8], from: usize) -> Option<usize> {
    let from = from.max(1);
    let behind = line.get(from..)?;
    [&b"time=2"[..], b"{\"time\":", b"{\"record\":", b"{\"__CURSOR\""]
        .iter()
        .filter_map(|begin| memmem::find(behind, begin))
        .min()
        .map(|found| from + found)
}

/// Where a record in text begins behind something that is not known. It is no part of a record that lost its beginning: what
/// stands before is no field.
pub fn behind_other_text(line: &[u8]) -> Option<usize> {
    let at = kind_at(line, b"record=").filter(|at| *at > 0)?;
    let before = line[..at].trim_ascii_end();
    let last = before.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let apart = b" \t:|]>)\"'".contains(&line[at - 1]);
    (apart && !last.contains(&b'=')).then_some(at)
}

/// Whether a line that breaks off is one of ours.
pub fn is_cut(line: &[u8]) -> bool {
    has_kind(line)
        || line.starts_with(b"record=") && line.len() < 40
        || line.starts_with(b"{\"time\":\"2")
        || line.starts_with(b"{\"time\": \"2")
        || line.starts_with(b"{\"__CURSOR\"")
        || memmem::find(line, b"\"__REALTIME_TIMESTAMP\"").is_some()
        || line.starts_with(b"time=2") && memmem::find(line, b" msg=").is_none()
}

/// The time in the record itself.
pub fn own_time(fields: &Fields) -> Option<Millis> {
    Some(time::rfc3339(fields.get("time")?)?.0)
}

/// Whether a record lacks what all of its kind have, as of lines that were cut or folded at a screen's width.
pub fn is_short(fields: &Fields) -> bool {
    const COUNTS: [&str; 5] = ["captured", "inspected", "skipped_similar", "dropped_stale", "failed"];
    let lacks = |key: &str| fields.get(key).is_none();
    let lacks_counts = COUNTS.iter().any(|count| fields.count(count).is_none());
    match fields.get("record") {
        Some(b"status") => lacks_counts,
        Some(b"stop") => lacks_counts && (!lacks("uptime_s") || lacks("captured")),
        // Behind its id stand the score and what that is compared with.
        Some(b"event") => lacks("score") || !lacks("id") && lacks("threshold"),
        Some(b"fault") => lacks("fault") || lacks("state") || lacks("cause"),
        _ => false,
    }
}

/// When a frame was captured, in UTC, as the names of its images have it: `20261128T202711017Z-part.png`.
pub fn image_time(fields: &Fields) -> Option<Millis> {
    ["annotated", "original", "spot"].iter().find_map(|key| {
        let name = fields.get(key)?;
        if name.get(8) != Some(&b'T') || name.get(18) != Some(&b'Z') {
            return None;
        }
        let part = |from: usize, count: usize| std::str::from_utf8(name.get(from..from + count)?).ok();
        let text = format!(
            "{}-{}-{}T{}:{}:{}.{}Z",
            part(0, 4)?,
            part(4, 2)?,
            part(6, 2)?,
            part(9, 2)?,
            part(11, 2)?,
            part(13, 2)?,
            part(15, 3)?
        );
        Some(time::rfc3339(text.as_bytes())?.0)
    })
}

/// The size of a message that `journalctl` did not print because it is binary or too long: `[123B blob data]`.
pub fn is_blob(message: &[u8]) -> bool {
    message.starts_with(b"[") && message.ends_with(b" blob data]")
}
