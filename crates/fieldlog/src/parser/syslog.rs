//! Syslog: RFC 5424 and RFC 3164 with their priority, RFC 6587's octet counts, and repeated messages.

use super::fields::count;
use super::prefix::{self, Prefix};
use super::stamp;
use std::ops::Range;

/// Whether a word is the severity of `daemon.info`.
pub fn is_severity(word: &[u8]) -> bool {
    const SEVERITIES: [&[u8]; 11] =
        [b"debug", b"info", b"notice", b"warn", b"warning", b"err", b"error", b"crit", b"alert", b"emerg", b"panic"];
    SEVERITIES.contains(&word)
}

/// A line that begins with `<PRI>`.
pub fn read(line: &[u8]) -> Option<Prefix> {
    let end = 1 + line.get(1..5)?.iter().position(|byte| *byte == b'>')?;
    count(&line[1..end]).filter(|priority| *priority < 192)?;
    let at = end + 1;
    if line.get(at..at + 2) == Some(b"1 ") {
        return structured(line, at + 2);
    }
    let (stamp, length) = stamp::read(line.get(at..)?)?;
    let mut prefix = prefix::behind_time(line, at + length)?;
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
    let mut message = data(line, at)?;
    message += usize::from(line.get(message) == Some(&b' '));
    if line[message..].starts_with(b"\xef\xbb\xbf") {
        message += 3;
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

/// A message behind an octet count (RFC 6587, 3.4.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Counted {
    /// Where it stands.
    pub message: Range<usize>,
    /// Whether it is as long as the count.
    pub whole: bool,
    /// Where the next one begins, which stands on the same line.
    pub next: Option<usize>,
}

/// The message behind an octet count.
pub fn counted(line: &[u8]) -> Option<Counted> {
    let (begin, length) = count_before(line)?;
    let whole = length <= line.len() - begin;
    let end = begin.saturating_add(length).min(line.len());
    let next = count_before(&line[end..]).map(|_| end);
    Some(Counted { message: begin..if next.is_some() { end } else { line.len() }, whole, next })
}

/// Where the message behind a count begins, and its length.
fn count_before(line: &[u8]) -> Option<(usize, usize)> {
    let space = line.iter().take(8).position(|byte| !byte.is_ascii_digit()).filter(|space| *space > 0)?;
    (line[space] == b' ' && line.get(space + 1) == Some(&b'<')).then_some(())?;
    Some((space + 1, count(&line[..space])? as usize))
}

/// rsyslog's `message repeated 9 times: [ message]`: the count, and where the message stands.
pub fn repeated(message: &[u8]) -> Option<(u64, Range<usize>)> {
    let (times, at) = times(message, b"message repeated ")?;
    let rest = message[at..].strip_prefix(b": [")?;
    let begin = at + 3 + usize::from(rest.first() == Some(&b' '));
    let end = if message.ends_with(b"]") { message.len() - 1 } else { message.len() };
    (begin <= end).then_some((times, begin..end))
}

/// `last message repeated 9 times`: the count.
pub fn last_repeated(message: &[u8]) -> Option<u64> {
    let (times, at) = times(message, b"last message repeated ")?;
    message[at..].trim_ascii_end().is_empty().then_some(times)
}

/// Whether it is such a message.
pub fn is_last_repeated(message: &[u8]) -> bool {
    last_repeated(message).is_some()
}

fn times(message: &[u8], begin: &[u8]) -> Option<(u64, usize)> {
    let rest = message.strip_prefix(begin)?;
    let digits = rest.iter().take(18).position(|byte| !byte.is_ascii_digit())?;
    let times = count(&rest[..digits])?;
    let word = [&b" times"[..], b" time"].into_iter().find(|word| rest[digits..].starts_with(word))?;
    Some((times, begin.len() + digits + word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_messages_have_their_count() {
        let line = b"message repeated 9 times: [ a [b]]";
        let (times, range) = repeated(line).unwrap();
        assert_eq!((times, &line[range]), (9, &b"a [b]"[..]));
        assert_eq!(repeated(b"message repeated 9 times: [x").unwrap().0, 9);
        assert_eq!(repeated(b"message repeated 9 times: ["), Some((9, 27..27)));
        assert_eq!(repeated(b"message repeated x times: [x]"), None);
        assert_eq!(last_repeated(b"last message repeated 12 times"), Some(12));
        assert_eq!(last_repeated(b"last message repeated 12 times today"), None);
    }

    #[test]
    fn counted_messages_stand_one_behind_the_other() {
        let line = b"7 <1>abcd8 <1>efghi";
        let message = |message, whole, next| Some(Counted { message, whole, next });
        assert_eq!(counted(line), message(2..9, true, Some(9)));
        assert_eq!(counted(&line[9..]), message(2..10, true, None));
        // A count that is wrong is no reason to cut.
        assert_eq!(counted(b"3 <1>abcd"), message(2..9, true, None));
        assert_eq!(counted(b"999999 <1>a"), message(7..11, false, None));
        assert_eq!(counted(b"7 abc"), None);
        assert_eq!(counted(b"1795233600 <"), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, begin in "(<[0-9]{0,4}>)?(1 )?(- ){0,6}(\\[[a\"\\\\\\]]{0,5})?(message repeated 1 times: )?\\[?") {
            let line = [begin.as_bytes(), &bytes].concat();
            read(&line);
            counted(&line);
            repeated(&line);
            last_repeated(&line);
            prefix::peel(&line);
        }
    }
}
