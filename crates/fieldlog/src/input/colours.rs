//! Control sequences of terminals in a line: colours of `journalctl`, `grep` and `docker compose`, links, and what syslog daemons
//! write in their place.

use memchr::memmem;

/// What syslog daemons and `cat -v` write for the first two bytes of a sequence.
const ESCAPED: [&[u8]; 4] = [b"#033[", b"\\033[", b"\\x1b[", b"^[["];

/// Whether `line` may hold a control sequence.
pub fn may_have(line: &[u8]) -> bool {
    memchr::memchr(0x1b, line).is_some()
        || memchr::memchr3_iter(b'#', b'\\', b'^', line).any(|at| escaped(&line[at..]).is_some())
}

/// Appends `line` without its control sequences to `out`.
pub fn strip(line: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        if rest[0] == 0x1b {
            at += length(&rest[1..]) + 1;
        } else if let Some(begin) = escaped(rest) {
            at += begin + parameters(&rest[begin..]);
        } else {
            out.push(rest[0]);
            at += 1;
        }
    }
}

/// The length of the text that stands for the beginning of a sequence; only such as set colours or erase to the end of a line.
fn escaped(rest: &[u8]) -> Option<usize> {
    let begin = ESCAPED.iter().find(|begin| rest.starts_with(begin))?.len();
    let end = begin + parameters(&rest[begin..]);
    matches!(rest.get(end.checked_sub(1)?), Some(b'm' | b'K')).then_some(begin)
}

/// As far as a link reaches.
fn near(rest: &[u8]) -> &[u8] {
    const LONGEST: usize = 2048;
    &rest[..rest.len().min(LONGEST)]
}

/// The length of a sequence behind its ESC (ECMA-48, 5.4 and 5.6).
fn length(rest: &[u8]) -> usize {
    match rest.first() {
        Some(b'[') => 1 + parameters(&rest[1..]),
        // A link or a title: up to BEL or ESC \.
        Some(b']') => match (memchr::memchr(7, near(rest)), memmem::find(near(rest), b"\x1b\\")) {
            (Some(bell), Some(end)) if bell < end => bell + 1,
            (_, Some(end)) => end + 2,
            (Some(bell), None) => bell + 1,
            (None, None) => 1,
        },
        Some(0x20..=0x2f) => 2.min(rest.len()),
        Some(0x30..=0x7e) => 1,
        _ => 0,
    }
}

/// Parameters, intermediate bytes and the final byte of a control sequence.
fn parameters(rest: &[u8]) -> usize {
    let rest = near(rest);
    let end = rest.iter().position(|byte| !(0x20..0x40).contains(byte)).unwrap_or(rest.len());
    end + usize::from(rest.get(end).is_some_and(|byte| (0x40..0x7f).contains(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_links_go_and_text_stays() {
        for (line, expected) in [
            ("\x1b[0;1;39mNov 28\x1b[0m", "Nov 28"),
            ("a\x1b[01;31m\x1b[Kb\x1b[m\x1b[Kc", "abc"),
            ("\x1b]8;;file://x\x1b\\name\x1b]8;;\x1b\\ \x1b]0;title\x07x", "name x"),
            ("\x1b(Ba\x1b=b\x1b", "ab"),
            ("#033[0;1;39mred#033[0m ^[[31mx^[[0m \\x1b[1my\\033[Kz", "red x yz"),
            ("#033 #1 ^ \\n a\\033[b #033[7", "#033 #1 ^ \\n a\\033[b #033[7"),
            ("", ""),
        ] {
            let mut out = Vec::new();
            strip(line.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{line:?}");
            assert_eq!(may_have(line.as_bytes()), line != expected, "{line:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_is_stripped_once(line: Vec<u8>) {
            let mut out = Vec::new();
            strip(&line, &mut out);
            proptest::prop_assert!(out.len() <= line.len() && !out.contains(&0x1b));
        }
    }
}
