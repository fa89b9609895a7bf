//! Syslog: RFC 6587's octet counts, repeated messages, severities.

use super::fields::count;
use std::ops::Range;

/// Whether a word is the severity of `daemon.info`.
pub fn is_severity(word: &[u8]) -> bool {
    const SEVERITIES: [&[u8]; 11] =
        [b"debug", b"info", b"notice", b"warn", b"warning", b"err", b"error", b"crit", b"alert", b"emerg", b"panic"];
    SEVERITIES.contains(&word)
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

/// The count of a notice that the message before it came again, as the daemons write it: `last message repeated 9 times`, with
/// dashes around it, `buffered` instead, with what was suppressed, or syslog-ng's with the beginning of that message.
pub fn last_repeated(message: &[u8]) -> Option<u64> {
    let dash = |byte: &u8| matches!(byte, b'-' | b' ');
    let begin = message.iter().position(|byte| !dash(byte))?;
    let message = &message[begin..];
    if let Some(quoted) = message.strip_prefix(b"Last message '") {
        let end = memchr::memmem::rfind(quoted, b"' repeated ")?;
        let (times, at) = times(&quoted[end..], b"' repeated ")?;
        return quoted[end + at..].starts_with(b", suppressed").then_some(times);
    }
    let (times, at) = ["last message repeated ", "previous message repeated ", "last message buffered "]
        .iter()
        .find_map(|begin| times(message, begin.as_bytes()))?;
    let rest = &message[at..];
    let suppressed = rest.starts_with(b", ") && memchr::memmem::find(rest, b"suppressed").is_some();
    (suppressed || rest.iter().all(|byte| dash(byte) || byte.is_ascii_whitespace())).then_some(times)
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
        for notice in [
            "-- last message repeated 12 times --",
            "--- last message repeated 12 times ---",
            "previous message repeated 12 times",
            "last message repeated 12 times, 2 suppressed",
            "last message buffered 12 times",
            "Last message 'record=fault run=a' repeated 12 times, suppressed by syslog-ng on vm",
        ] {
            assert_eq!(last_repeated(notice.as_bytes()), Some(12), "{notice}");
        }
        assert_eq!(last_repeated(b"last message repeated 12 times today"), None);
        assert_eq!(last_repeated(b"Last message 'x' repeated often"), None);
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
}
