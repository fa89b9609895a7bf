//! The prefix of a line that the journal or syslog wrote: time, host, program.
//!
//! `journalctl -o short`, `short-precise`, `short-iso`, `short-iso-precise`, `short-unix`, `short-full`, `with-unit`, and
//! syslog's files.

use super::time::{self, Millis};
use std::ops::Range;

/// The prefix before the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// When the line was written; a time without a zone is read as UTC.
    pub time: Millis,
    /// Whether the time has no zone.
    pub local: bool,
    /// The host's name.
    pub host: Range<usize>,
    /// The program's name.
    pub program: Range<usize>,
    /// The process id, if there is one.
    pub pid: Option<u64>,
    /// Where the message begins.
    pub message: usize,
}

/// Reads the beginning of `line`; `year` is taken for times without one.
pub fn read(line: &[u8], year: i64) -> Option<Prefix> {
    let (time, local, after) = timestamp(line, year)?;
    let space = |from: usize| Some(from + memchr::memchr(b' ', line.get(from..)?)?);
    if line.get(after) != Some(&b' ') {
        return None;
    }
    let host = after + 1..space(after + 1)?;
    let tag = host.end + 1;
    // `program[812]: message` or `program: message`; a program's name has no space.
    let colon = tag + memchr::memchr2(b':', b' ', line.get(tag..)?)?;
    if host.is_empty() || line[colon] != b':' || colon == tag {
        return None;
    }
    let inside = &line[tag..colon];
    let open = memchr::memchr(b'[', inside).filter(|_| inside.ends_with(b"]"));
    let pid = open.and_then(|open| super::fields::count(&inside[open + 1..inside.len() - 1]));
    // `with-unit` puts the unit in front: `lineside.service/lineside[812]`.
    let name = memchr::memrchr(b'/', inside).map_or(tag, |slash| tag + slash + 1);
    let program = name..open.map_or(colon, |open| tag + open).max(name);
    let message = if line.get(colon + 1) == Some(&b' ') { colon + 2 } else { colon + 1 };
    Some(Prefix { time, local, host, program, pid, message })
}

fn timestamp(line: &[u8], year: i64) -> Option<(Millis, bool, usize)> {
    match line.first()? {
        b'0'..=b'9' => {
            if let Some((time, length)) = time::rfc3339(line) {
                let zoned =
                    length > 19 && matches!(line[length - 1], b'Z' | b'0'..=b'9') && has_zone(&line[19..length]);
                return Some((time, !zoned, length));
            }
            // short-unix: seconds since 1970, with decimals.
            let end = memchr::memchr(b' ', line)?;
            let text = std::str::from_utf8(&line[..end]).ok()?;
            let (seconds, decimals) = text.split_once('.')?;
            let plausible = seconds.len() >= 9 && decimals.len() == 6;
            let seconds: f64 = text.parse().ok().filter(|_| plausible)?;
            Some(((seconds * 1000.0).round() as Millis, false, end))
        }
        b'A'..=b'Z' => {
            if let Some((time, length)) = time::syslog(line, year) {
                return Some((time, true, length));
            }
            // short-full: `Sat 2026-11-21 04:00:00 UTC`.
            let (time, length) = time::rfc3339(line.get(4..)?).filter(|_| line[3] == b' ')?;
            let zone = 4 + length + 1;
            let end = zone + memchr::memchr(b' ', line.get(zone..)?)?;
            Some((time, &line[zone..end] != b"UTC", end))
        }
        _ => None,
    }
}

fn has_zone(behind_seconds: &[u8]) -> bool {
    behind_seconds.iter().any(|byte| matches!(byte, b'Z' | b'+' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> (Millis, bool, &str, &str, Option<u64>, &str) {
        let prefix = read(line.as_bytes(), 2026).unwrap_or_else(|| panic!("{line}"));
        let Prefix { time, local, host, program, pid, message } = prefix;
        (time, local, &line[host], &line[program], pid, &line[message..])
    }

    #[test]
    fn every_short_form_is_read() {
        let whole = "2026-11-21T04:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        for (line, local, millis) in [
            ("Nov 21 04:00:00 line3 lineside[812]: record=status a=\"b: c\"", true, 0),
            ("Nov 21 04:00:00.123456 line3 lineside[812]: record=status a=\"b: c\"", true, 123),
            ("2026-11-21T05:00:00+0100 line3 lineside[812]: record=status a=\"b: c\"", false, 0),
            ("2026-11-21T05:00:00.123456+01:00 line3 lineside[812]: record=status a=\"b: c\"", false, 123),
            ("2026-11-21T04:00:00Z line3 lineside[812]: record=status a=\"b: c\"", false, 0),
            ("1795233600.123456 line3 lineside[812]: record=status a=\"b: c\"", false, 123),
            ("Sat 2026-11-21 04:00:00 UTC line3 lineside[812]: record=status a=\"b: c\"", false, 0),
            ("Sat 2026-11-21 04:00:00 UTC line3 lineside.service/lineside[812]: record=status a=\"b: c\"", false, 0),
            ("Sat 2026-11-21 04:00:00 CET line3 lineside[812]: record=status a=\"b: c\"", true, 0),
        ] {
            let expected = (whole + millis, local, "line3", "lineside", Some(812), "record=status a=\"b: c\"");
            assert_eq!(parts(line), expected, "{line}");
        }
        assert_eq!(parts("Nov 21 04:00:00 line3 kernel: Undervoltage detected!").3, "kernel");
        assert_eq!(parts("Nov 21 04:00:00 line3 systemd[1]: lineside.service: Main process exited").4, Some(1));
    }

    #[test]
    fn other_lines_are_not_taken_for_one() {
        for line in [
            "",
            "part-03.png   DEFECT  score 0.9991",
            "-- Boot 0123 --",
            "time=2026-11-21T04:00:00Z",
            "Nov 21 04:00:00 line3",
            "2026-11-21T04:00:00Z",
        ] {
            assert_eq!(read(line.as_bytes(), 2026), None, "{line}");
        }
    }
}
