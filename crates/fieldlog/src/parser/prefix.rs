//! What stands before a message in a line: time, host, program, in the forms of the journal, of syslog (RFC 5424, RFC 3164) and of
//! containers.
//!
//! Prefixes may stand in one another, as where `docker logs -t` shows a line of syslog: [`peel`] takes one off.

use super::fields::count;
use super::ours::starts_as_record;
use super::stamp::{self, Stamp};
use super::syslog;
use std::ops::Range;

/// A prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix {
    /// When the line was written.
    pub stamp: Option<Stamp>,
    /// The host's name; empty where there is none.
    pub host: Range<usize>,
    /// The program's name; empty where there is none.
    pub program: Range<usize>,
    /// The process id, if there is one.
    pub pid: Option<u64>,
    /// Where the message begins.
    pub message: usize,
    /// Whether the message goes on in the next line (`P` of a container's log).
    pub partial: bool,
}

/// Takes the prefix off `line`; `None` where there is none that is known.
pub fn peel(line: &[u8]) -> Option<Prefix> {
    match line.first()? {
        b'<' => priority(line),
        b'[' => stamped(line).or_else(|| source(line)),
        _ => stamped(line).or_else(|| compose(line)).or_else(|| named_by_grep(line)),
    }
}

/// Where the priority ends at the beginning of `<134>1 …`.
fn priority_end(line: &[u8]) -> Option<usize> {
    let end = 1 + line.get(1..5)?.iter().position(|byte| *byte == b'>')?;
    count(&line[1..end]).filter(|priority| *priority < 192)?;
    Some(end + 1)
}

/// A line that begins with `<PRI>`.
fn priority(line: &[u8]) -> Option<Prefix> {
    let at = priority_end(line)?;
    if line.get(at..at + 2) == Some(b"1 ") {
        return structured(line, at + 2);
    }
    let (stamp, length) = stamp::read(line.get(at..)?)?;
    let mut prefix = behind_time(line, at + length)?;
    prefix.stamp = Some(stamp);
    Some(prefix)
}

/// RFC 5424, 6: `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`, each of them `-` where it is not known.
fn structured(line: &[u8], mut at: usize) -> Option<Prefix> {
    let mut word = || {
        let begin = at;
        let end = begin + memchr::memchr(b' ', line.get(begin..)?)?;
        at = end + 1;
        Some(begin..end)
    };
    let (time, host, program, process, _id) = (word()?, word()?, word()?, word()?, word()?);
    let stamp = match &line[time.clone()] {
        b"-" => None,
        text => Some(stamp::iso(text).map(|(stamp, _)| stamp)?),
    };
    let known = |range: Range<usize>| if &line[range.clone()] == b"-" { range.start..range.start } else { range };
    // rsyslog writes a further space.
    let mut message = skip(line, data(line, at)?);
    if line[message..].starts_with(b"\xef\xbb\xbf") {
        message = skip(line, message + 3);
    }
    let pid = count(&line[process]);
    Some(Prefix { stamp, host: known(host), program: known(program), pid, message, partial: false })
}

/// Where the structured data ends.
fn data(line: &[u8], mut at: usize) -> Option<usize> {
    if line.get(at) == Some(&b'-') {
        return Some(at + 1);
    }
    while line.get(at) == Some(&b'[') {
        let mut quoted = false;
        loop {
            at += 1;
            match line.get(at)? {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b']' if !quoted => break,
                _ => (),
            }
        }
        at += 1;
    }
    Some(at)
}

fn stamped(line: &[u8]) -> Option<Prefix> {
    let (stamp, end) = stamp::read(line)?;
    if !matches!(line.get(end), Some(b' ' | b'\t' | b':')) {
        return None;
    }
    let mut prefix = behind_time(line, end)?;
    prefix.stamp = Some(stamp);
    Some(prefix)
}

/// What follows a time that ends at `end`.
fn behind_time(line: &[u8], end: usize) -> Option<Prefix> {
    let start = skip(line, end);
    let rest = line.get(start..)?;
    // A time alone: `docker logs -t`, `ts`, `kubectl logs --timestamps`.
    if starts_as_record(rest) || rest.starts_with(b"thread '") {
        return Some(Prefix { message: start, ..Prefix::default() });
    }
    // A line of syslog with its priority, or with an octet count, behind a collector's time.
    if rest.starts_with(b"<") {
        return priority_end(rest).map(|_| Prefix { message: start, ..Prefix::default() });
    }
    // The container runtime interface: `stdout F message`.
    for stream in [&b"stdout "[..], b"stderr "] {
        if let Some([tag, b' ', ..]) = rest.strip_prefix(stream)
            && matches!(tag, b'F' | b'P')
        {
            return Some(Prefix { message: start + 9, partial: *tag == b'P', ..Prefix::default() });
        }
    }
    // `journalctl -o verbose`, whose fields follow, and labels of `logcli`.
    if rest.starts_with(b"[s=") {
        return Some(Prefix { message: start, ..Prefix::default() });
    }
    if rest.starts_with(b"{") {
        let end = memchr::memmem::find(rest, b"} ")?;
        return Some(Prefix { message: skip(line, start + end + 1), ..Prefix::default() });
    }
    // `lineside: message`, without a host.
    if let Some(prefix) = tagged(line, start) {
        return Some(prefix);
    }
    let host = start..start + word(rest)?;
    let tag = skip(line, host.end);
    // OpenWrt has no host: `daemon.info program[1]: message`.
    if is_priority(&line[host.clone()]) {
        return tagged(line, tag);
    }
    let prefix = tagged(line, tag).or_else(|| {
        // busybox: `host daemon.info program[1]: message`.
        let end = tag + word(line.get(tag..)?)?;
        is_priority(&line[tag..end]).then(|| tagged(line, skip(line, end)))?
    });
    let repeated = || syslog::is_last_repeated(&line[tag..]).then(|| Prefix { message: tag, ..Prefix::default() });
    Some(Prefix { host, ..prefix.or_else(repeated)? })
}

/// Whether a word is a facility and a severity: `daemon.info`.
fn is_priority(word: &[u8]) -> bool {
    let point = memchr::memchr(b'.', word);
    point.is_some_and(|point| syslog::is_severity(&word[point + 1..]))
}

/// `program[812]: message` or `program: message` at `tag`; a program's name has no space.
fn tagged(line: &[u8], tag: usize) -> Option<Prefix> {
    let colon = tag + memchr::memchr2(b':', b' ', line.get(tag..)?)?;
    if line[colon] != b':' || colon == tag || !matches!(line.get(colon + 1), None | Some(b' ' | b'\t')) {
        return None;
    }
    let inside = &line[tag..colon];
    if inside.iter().any(|byte| matches!(byte, b'=' | b'"' | b'{' | b'<')) {
        return None;
    }
    let open = memchr::memchr(b'[', inside).filter(|_| inside.ends_with(b"]"));
    let pid = open.and_then(|open| count(&inside[open + 1..inside.len() - 1]));
    // The unit may stand in front: `lineside.service/lineside[812]`.
    let name = memchr::memrchr(b'/', inside).map_or(tag, |slash| tag + slash + 1);
    let program = name..open.map_or(colon, |open| tag + open).max(name);
    Some(Prefix { program, pid, message: skip(line, colon + 1), ..Prefix::default() })
}

/// `lineside-1  | message` of `docker compose logs`.
fn compose(line: &[u8]) -> Option<Prefix> {
    let near = &line[..line.len().min(80)];
    let bar = memchr::memchr(b'|', near)?;
    let name = near[..bar].trim_ascii_end();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if name.is_empty() || !name.iter().all(plain) || near.get(bar + 1) != Some(&b' ') {
        return None;
    }
    Some(Prefix { message: bar + 2, ..Prefix::default() })
}

/// `syslog.1:` or `12:` of `grep`, before a line with a time.
fn named_by_grep(line: &[u8]) -> Option<Prefix> {
    let near = &line[..line.len().min(200)];
    let colon = memchr::memchr(b':', near)?;
    let name = near[..colon].iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(byte));
    let number = near[colon + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let numbered = number > 0 && near.get(colon + 1 + number) == Some(&b':');
    let message = if numbered { colon + 2 + number } else { colon + 1 };
    let rest = line.get(message..)?;
    (name && (starts_as_record(rest) || stamped(rest).is_some())).then(|| Prefix { message, ..Prefix::default() })
}

/// `[pod/name/container] message` of `kubectl logs --prefix`.
fn source(line: &[u8]) -> Option<Prefix> {
    let end = memchr::memchr(b']', &line[..line.len().min(200)])?;
    (line.starts_with(b"[pod/") && line.get(end + 1) == Some(&b' '))
        .then(|| Prefix { message: end + 2, ..Prefix::default() })
}

fn word(rest: &[u8]) -> Option<usize> {
    memchr::memchr2(b' ', b'\t', rest).filter(|end| *end > 0)
}

fn skip(line: &[u8], mut at: usize) -> usize {
    while matches!(line.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::time::Millis;

    fn parts(line: &str) -> (Stamp, &str, &str, Option<u64>, &str) {
        let prefix = peel(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
        let Prefix { stamp, host, program, pid, message, .. } = prefix;
        (stamp.unwrap(), &line[host], &line[program], pid, &line[message..])
    }

    #[test]
    fn every_short_form_is_read() {
        let whole: Millis = "2026-11-21T04:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond();
        for (line, stamp) in [
            ("2026-11-21T05:00:00+0100 line3 lineside[812]: record=status a=\"b: c\"", Stamp::Utc(whole)),
            ("2026-11-21T05:00:00.123456+01:00 line3 lineside[812]: record=status a=\"b: c\"", Stamp::Utc(whole + 123)),
            ("2026-11-21T04:00:00Z line3 lineside[812]: record=status a=\"b: c\"", Stamp::Utc(whole)),
            ("2026-11-21 04:00:00 line3 lineside[812]: record=status a=\"b: c\"", Stamp::Local(whole)),
            ("1795233600.123456 line3 lineside[812]: record=status a=\"b: c\"", Stamp::Utc(whole + 123)),
            ("Sat 2026-11-21 04:00:00 UTC line3 lineside[812]: record=status a=\"b: c\"", Stamp::Utc(whole)),
            (
                "Sat 2026-11-21 04:00:00 UTC line3 lineside.service/lineside[812]: record=status a=\"b: c\"",
                Stamp::Utc(whole),
            ),
            ("Sat 2026-11-21 05:00:00 CET line3 lineside[812]: record=status a=\"b: c\"", Stamp::Utc(whole)),
            ("[   12.000000] line3 lineside[812]: record=status a=\"b: c\"", Stamp::SinceBoot(12_000)),
            ("[   12.000000 <    0.100000 >] line3 lineside[812]: record=status a=\"b: c\"", Stamp::SinceBoot(12_000)),
            ("<134>1 2026-11-21T04:00:00Z line3 lineside 812 - - record=status a=\"b: c\"", Stamp::Utc(whole)),
            (
                "<134>1 2026-11-21T04:00:00Z line3 lineside 812 ID [x@1 a=\"\\\"]\"][y] \u{feff}record=status a=\"b: c\"",
                Stamp::Utc(whole),
            ),
        ] {
            let expected = (stamp, "line3", "lineside", Some(812), "record=status a=\"b: c\"");
            assert_eq!(parts(line), expected, "{line}");
        }
        for line in [
            "Nov 21 04:00:00 line3 lineside[812]: record=x",
            "<30>Nov 21 04:00:00 line3 lineside[812]: record=x",
            "<30>Nov  1 04:00:00.5 line3 lineside[812]: record=x",
            "Nov 21 04:00:00 line3 user.info lineside[812]: record=x",
            "d\u{e9}c. 21 04:00:00 line3 lineside[812]: record=x",
        ] {
            let (stamp, host, program, pid, message) = parts(line);
            assert!(matches!(stamp, Stamp::Yearless { .. }), "{line}");
            assert_eq!((host, program, pid, message), ("line3", "lineside", Some(812), "record=x"), "{line}");
        }
        assert_eq!(parts("Nov 21 04:00:00 line3 kernel: Undervoltage detected!").2, "kernel");
        assert_eq!(parts("Nov 21 04:00:00 line3 systemd[1]: lineside.service: Main process exited").3, Some(1));
    }

    #[test]
    fn a_time_or_a_name_alone() {
        for (line, program, message) in [
            ("Nov 21 04:00:00 lineside[812]: record=x", "lineside", "record=x"),
            ("<30>Nov 21 04:00:00 lineside[812]: record=x", "lineside", "record=x"),
            (
                "2026-11-21T04:00:00.123456789Z time=2026-11-21T04:00:00Z record=x",
                "",
                "time=2026-11-21T04:00:00Z record=x",
            ),
            ("2026-11-21T04:00:00.123456789Z stderr F record=x", "", "record=x"),
            ("2026-11-21T04:00:00Z {job=\"x\", host=\"y\"} record=x", "", "record=x"),
            ("Sat Nov 21 04:00:00 2026 daemon.info lineside[812]: record=x", "lineside", "record=x"),
        ] {
            let (_, host, name, _, text) = parts(line);
            assert_eq!((host, name, text), ("", program, message), "{line}");
        }
        for (line, message) in [
            ("lineside-1  | record=x", "record=x"),
            ("[pod/a/b] record=x", "record=x"),
            ("log/syslog.1:12:Nov 21 04:00:00 a b: record=x", "Nov 21 04:00:00 a b: record=x"),
            ("12:2026-11-21T04:00:00Z a b: record=x", "2026-11-21T04:00:00Z a b: record=x"),
        ] {
            assert_eq!(&line[peel(line.as_bytes()).unwrap().message..], message);
        }
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
            "a || b",
            "<",
            "<134>",
            "<134>1 ",
            "<999>x",
        ] {
            assert_eq!(peel(line.as_bytes()), None, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, begin in "(<[0-9]{0,4}>)?(1 )?(- ){0,6}(\\[[a\"\\\\\\]]{0,5})?(message repeated 1 times: )?\\[?") {
            let line = [begin.as_bytes(), &bytes].concat();
            syslog::counted(&line);
            syslog::repeated(&line);
            syslog::last_repeated(&line);
            peel(&line);
        }
    }
}
