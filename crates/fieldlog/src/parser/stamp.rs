//! Times at the beginning of a line, in the forms of the journal, of syslog and of what collects logs.

use super::fields::count;
use super::months::MonthName;
use super::time::{self, Millis};
use super::zones;

/// A time as a line has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// A time with its zone.
    Utc(Millis),
    /// A local time whose zone is not known, as if it were UTC.
    Local(Millis),
    /// A day of a year that is not known, in local time: `Nov 28 20:27:11`.
    Yearless {
        /// The month as it stands there.
        month: MonthName,
        /// The day, 1..=31.
        day: u8,
        /// Milliseconds since midnight.
        clock: Millis,
        /// Local time minus UTC, where the line has its zone.
        offset: Option<Millis>,
    },
    /// Milliseconds since the machine was started.
    SinceBoot(Millis),
}

/// How far into a line its time reaches.
const REACH: usize = 64;

/// The time at the beginning of `text`, and how many bytes it takes.
pub fn read(text: &[u8]) -> Option<(Stamp, usize)> {
    match text.first()? {
        b'[' => bracketed(text),
        b'0'..=b'9' => iso(text)
            .or_else(|| epoch(text))
            .or_else(|| dotted(text))
            .or_else(|| slashed(text))
            .or_else(|| with_month(text)),
        byte if byte.is_ascii_alphabetic() || !byte.is_ascii() || *byte == b' ' => {
            with_weekday(text).or_else(|| with_month(text))
        }
        _ => None,
    }
}

/// `2026-11-21T04:00:00.123+01:00`, `2026-11-21 04:00:00 CET`, `2026/11/21 04:00:00`.
pub fn iso(text: &[u8]) -> Option<(Stamp, usize)> {
    let slashes = text.get(4) == Some(&b'/') && text.get(7) == Some(&b'/');
    if slashes {
        let mut dashed = text[..text.len().min(REACH)].to_vec();
        (dashed[4], dashed[7]) = (b'-', b'-');
        return iso(&dashed);
    }
    let (time, length) = time::rfc3339(text)?;
    if text[19..length].iter().any(|byte| matches!(byte, b'Z' | b'+' | b'-')) {
        return Some((Stamp::Utc(time), length));
    }
    let (time, length) = (time + afternoon(text, length).0, length + afternoon(text, length).1);
    Some(match zone(&text[length..]) {
        Some((offset, end)) => (Stamp::Utc(time - offset), length + end),
        None => (Stamp::Local(time), length),
    })
}

/// A zone behind a space or at once, and its length: ` CET`, ` +0100`, `+01`.
fn zone(rest: &[u8]) -> Option<(Millis, usize)> {
    let begin = usize::from(rest.first() == Some(&b' '));
    let end = rest[begin..].iter().position(|byte| matches!(byte, b' ' | b'\t' | b']' | b',' | b'"'));
    let end = begin + end.unwrap_or(rest.len() - begin);
    Some((zones::named(&rest[begin..end])?, end))
}

/// What ` PM` adds to the time, and its length.
fn afternoon(text: &[u8], at: usize) -> (Millis, usize) {
    let hour = at.checked_sub(8).and_then(|from| count(text.get(from..from + 2)?)).unwrap_or(0) as Millis;
    match text.get(at..at + 3) {
        Some(b" PM" | b" pm") if hour < 12 => (12 * 3_600_000, 3),
        Some(b" PM" | b" pm") => (0, 3),
        Some(b" AM" | b" am") if hour == 12 => (-12 * 3_600_000, 3),
        Some(b" AM" | b" am") => (0, 3),
        _ => (0, 0),
    }
}

/// Seconds since 1970 with decimals (`short-unix`), or a whole number of seconds, milli-, micro- or nanoseconds.
fn epoch(text: &[u8]) -> Option<(Stamp, usize)> {
    let end = text.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.')).unwrap_or(text.len());
    if !matches!(text.get(end), None | Some(b' ' | b'\t' | b',' | b'"')) {
        return None;
    }
    Some((Stamp::Utc(number(&text[..end])?), end))
}

/// A number as seconds, milli-, micro- or nanoseconds since 1970, by its size: between 2001 and 2100.
pub fn number(text: &[u8]) -> Option<Millis> {
    let (whole, decimals) = match memchr::memchr(b'.', text) {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    if !decimals.iter().all(u8::is_ascii_digit) || !whole.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = std::str::from_utf8(whole).ok()?.parse::<u64>().ok()?;
    let millis = match whole.len() {
        9 | 10 => {
            let mut millis = 0;
            for place in 0..3 {
                millis = millis * 10 + decimals.get(place).map_or(0, |digit| u64::from(digit - b'0'));
            }
            value * 1000 + millis
        }
        13 => value,
        16 => value / 1000,
        19 => value / 1_000_000,
        _ => return None,
    };
    (978_307_200_000..4_102_444_800_000).contains(&millis).then_some(millis as Millis)
}

/// `28.11.2026 20:27:11`, as spreadsheets write it where days come first; `28/Nov/2026:20:27:11 +0000`.
fn dotted(text: &[u8]) -> Option<(Stamp, usize)> {
    let two = |from: usize| Some(count(text.get(from..from + 2)?)? as u8);
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    if is(2, b'.') && is(5, b'.') && (is(10, b' ') || is(10, b',')) {
        let at = 10 + text[10..].iter().position(u8::is_ascii_digit)?;
        let (clock, length) = clock(&text[at..]).or_else(|| {
            // Without seconds.
            let (hour, minute) = (two(at)?, two(at + 3)?);
            (is(at + 2, b':') && hour < 24 && minute < 60)
                .then_some(((Millis::from(hour) * 60 + Millis::from(minute)) * 60_000, 5))
        })?;
        let year = count(text.get(6..10)?)? as i64;
        let time = time::civil(year, i64::from(two(3)?), i64::from(two(0)?))? + clock;
        return Some((Stamp::Local(time), at + length));
    }
    if is(2, b'/') && is(6, b'/') && is(11, b':') {
        let month = MonthName::new(&text[3..6])?.english()?;
        let (clock, length) = clock(&text[12..])?;
        let year = count(text.get(7..11)?)? as i64;
        let time = time::civil(year, i64::from(month), i64::from(two(0)?))? + clock;
        let end = 12 + length;
        return Some(match zone(&text[end..]) {
            Some((offset, length)) => (Stamp::Utc(time - offset), end + length),
            None => (Stamp::Local(time), end),
        });
    }
    None
}

/// `11/28/2026, 8:27:11 PM` or `28/11/2026 20:27:11`: only where one of the two can be no month.
fn slashed(text: &[u8]) -> Option<(Stamp, usize)> {
    let mut at = 0;
    let mut number = |end: &[u8]| {
        let digits = text.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let value = count(&text[at..at + digits])?;
        at += digits;
        let separator = *text.get(at)?;
        at += 1;
        end.contains(&separator).then_some(value as i64)
    };
    let (first, second, year) = (number(b"/")?, number(b"/")?, number(b" ,")?);
    let (month, day) = match (first, second) {
        (1..=12, 13..=31) => (first, second),
        (13..=31, 1..=12) => (second, first),
        (same, other) if same == other => (same, other),
        _ => return None,
    };
    at += text.get(at..)?.iter().take_while(|byte| **byte == b' ').count();
    // Hours may have one digit.
    let short = text.get(at + 1) == Some(&b':');
    let padded = if short { [b"0", text.get(at..at + 7)?].concat() } else { text.get(at..at + 8)?.to_vec() };
    let (clock, _) = clock(&padded)?;
    let end = at + if short { 7 } else { 8 };
    let with_half = [&padded[..], text.get(end..end + 3).unwrap_or_default()].concat();
    let (half, length) = afternoon(&with_half, 8);
    Some((Stamp::Local(time::civil(year, month, day)? + clock + half), end + length))
}

/// `[   12.345678]`, `[    5.100000 <    0.100000 >]`, and other times in brackets.
fn bracketed(text: &[u8]) -> Option<(Stamp, usize)> {
    let end = memchr::memchr(b']', &text[..text.len().min(REACH)])?;
    let inside = text[1..end].trim_ascii();
    let seconds = inside.split(|byte| *byte == b' ').next()?;
    let (whole, decimals) = std::str::from_utf8(seconds).ok()?.split_once('.').unzip();
    if let (Some(whole), Some(decimals)) = (whole, decimals)
        && matches!(decimals.len(), 3 | 6 | 9)
        && whole.len() <= 9
        && decimals.bytes().all(|byte| byte.is_ascii_digit())
    {
        let millis = count(whole.as_bytes())? * 1000 + count(&decimals.as_bytes()[..3])?;
        return Some((Stamp::SinceBoot(millis as Millis), end + 1));
    }
    if inside.first() == Some(&b'[') {
        return None;
    }
    let (stamp, length) = read(inside)?;
    (length == inside.len()).then_some((stamp, end + 1))
}

/// `Sat 2026-11-21 04:00:00 UTC`, whatever language the weekday is in; the zone belongs to it.
fn with_weekday(text: &[u8]) -> Option<(Stamp, usize)> {
    let space = memchr::memchr(b' ', &text[..text.len().min(24)])?;
    let begin = space + 1;
    let (stamp, length) = iso(text.get(begin..)?)?;
    let end = begin + length;
    if let (Stamp::Local(_), Some(b' ')) = (stamp, text.get(end)) {
        // A zone that is not known by its name.
        let word = memchr::memchr(b' ', &text[end + 1..])?;
        return Some((stamp, end + 1 + word));
    }
    Some((stamp, end))
}

/// `20:27:11.123456`, and its length.
fn clock(text: &[u8]) -> Option<(Millis, usize)> {
    let two = |from: usize| count(text.get(from..from + 2)?).map(|n| n as i64);
    if text.get(2) != Some(&b':') || text.get(5) != Some(&b':') {
        return None;
    }
    let clock = time::clock(two(0)?, two(3)?, two(6)?)?;
    let (millis, end) = time::decimals(text, 8);
    Some((clock + millis, end))
}

/// Days with a month's name, in any order and language: `Nov 28 20:27:11`, `12月 28 20:27:11`, `28 déc. 20:27:11`,
/// `Sat Nov 28 20:27:11 2026`, `Nov 28, 2026 @ 20:27:11.009`, `Sat, 28 Nov 2026 20:27:11 +0000`, `Nov 28 21:27:11 CET`.
fn with_month(text: &[u8]) -> Option<(Stamp, usize)> {
    let near = &text[..text.len().min(REACH)];
    let at = memchr::memchr(b':', near)?.checked_sub(2)?;
    let (clock, length) = clock(&text[at..])?;
    let (mut day, mut year, mut name, mut words) = (None, None, None::<(usize, usize)>, 0);
    let mut from = 0;
    for word in near[..at].split(|byte| matches!(byte, b' ' | b',')) {
        let (begin, end) = (from, from + word.len());
        from = end + 1;
        if word.is_empty() || word == b"@" {
            continue;
        }
        // `Sun, 28 Nov 2026 20:27:11 +0000`
        if words == 0 && near.get(end) == Some(&b',') && word.iter().all(|byte| !byte.is_ascii_digit()) {
            continue;
        }
        words += 1;
        match count(word.strip_suffix(b".").unwrap_or(word)) {
            Some(number) if word.len() == 4 && (1970..2100).contains(&number) => year = Some(number as i64),
            // The last number is the day: in Vietnamese the month is one, too.
            Some(number) if (1..=31).contains(&number) => {
                if let Some((_, before)) = day.replace((number as u8, end))
                    && let Some(name) = &mut name
                {
                    name.1 = name.1.max(before);
                }
            }
            Some(_) => return None,
            None if word.iter().any(|byte| b"=<>[]{}:\"'()/\\|#;".contains(byte) || *byte < b' ') => return None,
            None => name = Some((name.map_or(begin, |(from, _)| from), end)),
        }
    }
    let ((day, _), (from, to)) = (day?, name?);
    if words > 5 || !near[..at].ends_with(b" ") {
        return None;
    }
    let month = MonthName::new(&near[from..to])?;
    let mut end = at + length;
    let (pm, length) = afternoon(text, end);
    end += length;
    let clock = clock + pm;
    let offset = zone(&text[end..]).map(|(offset, length)| {
        end += length;
        offset
    });
    // `Sat Nov 28 20:27:11 2026 `: with a weekday the year stands behind.
    if year.is_none()
        && near[from..to].contains(&b' ')
        && let Some(word) = text.get(end + 1..end + 5)
        && matches!(text.get(end + 5), None | Some(b' ' | b']' | b':'))
        && let Some(number) = count(word).filter(|year| (1970..2100).contains(year))
    {
        year = Some(number as i64);
        end += 5;
        end += usize::from(text.get(end) == Some(&b':'));
    }
    if let (Some(year), Some(month)) = (year, month.known()) {
        let local = time::civil(year, i64::from(month), i64::from(day))? + clock;
        return Some((offset.map_or(Stamp::Local(local), |offset| Stamp::Utc(local - offset)), end));
    }
    Some((Stamp::Yearless { month, day, clock, offset }, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Millis {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn zoned_and_local_times() {
        let time = millis("2026-11-28T20:27:11Z");
        for (text, expected) in [
            ("2026-11-28T20:27:11Z", Stamp::Utc(time)),
            ("2026-11-28T21:27:11.009+01:00", Stamp::Utc(time + 9)),
            ("2026-11-28 21:27:11,009 +0100", Stamp::Utc(time + 9)),
            ("2026-11-28 21:27:11 CET", Stamp::Utc(time)),
            ("2026-11-28 20:27:11", Stamp::Local(time)),
            ("2026/11/28 20:27:11.5", Stamp::Local(time + 500)),
            ("2026-11-28 08:27:11 PM", Stamp::Local(time)),
            ("Sat 2026-11-28 20:27:11.009000 UTC", Stamp::Utc(time + 9)),
            ("Sa 2026-11-28 22:27:11 CEST", Stamp::Utc(time)),
            ("土 2026-11-28 20:27:11 JST", Stamp::Utc(time - 9 * 3_600_000)),
            ("1795897631.009000", Stamp::Utc(time + 9)),
            ("1795897631", Stamp::Utc(time)),
            ("1795897631009", Stamp::Utc(time + 9)),
            ("1795897631009123456", Stamp::Utc(time + 9)),
            ("28.11.2026 20:27:11", Stamp::Local(time)),
            ("28.11.2026, 20:27:11", Stamp::Local(time)),
            ("28.11.2026 20:27", Stamp::Local(time - 11_000)),
            ("11/28/2026, 8:27:11 PM", Stamp::Local(time)),
            ("28/11/2026 20:27:11", Stamp::Local(time)),
            ("28/Nov/2026:21:27:11 +0100", Stamp::Utc(time)),
            ("Nov 28, 2026 @ 20:27:11.009", Stamp::Local(time + 9)),
            ("Sat Nov 28 20:27:11 2026", Stamp::Local(time)),
            ("[Sat Nov 28 20:27:11 2026]", Stamp::Local(time)),
            ("[2026-11-28 20:27:11]", Stamp::Local(time)),
            ("28 déc. 2026 20:27:11", Stamp::Local(time + 30 * 86_400_000)),
            ("[   12.345678]", Stamp::SinceBoot(12_345)),
            ("[    5.100000 <    0.100000 >]", Stamp::SinceBoot(5_100)),
            ("[    5.000000                ]", Stamp::SinceBoot(5_000)),
        ] {
            assert_eq!(read(text.as_bytes()), Some((expected, text.len())), "{text}");
        }
        let unknown = "Sat 2026-11-28 20:27:11 <+07> pi4 x";
        assert_eq!(read(unknown.as_bytes()), Some((Stamp::Local(time), 29)));
        assert_eq!(read(b"2026-11-28 20:27:11 pi4 x: y"), Some((Stamp::Local(time), 19)));
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[\\[ 0-9a-z:.,/@é月-]{0,24}( 20:27:11)?[ 0-9PM]{0,6}", bytes: Vec<u8>) {
            read(text.as_bytes());
            read(&bytes);
            let _ = iso(&bytes);
        }
    }

    #[test]
    fn months_in_any_language() {
        for (text, month) in [
            ("Nov 28 20:27:11", "Nov"),
            ("Nov 28 20:27:11.123", "Nov"),
            ("Dez 28 20:27:11", "Dez"),
            ("déc. 28 20:27:11", "déc."),
            ("12月 28 20:27:11", "12月"),
            (" 1月 28 20:27:11", "1月"),
            ("1 x 28 20:27:11", "x"),
            ("Thg 12 28 20:27:11", "Thg 12"),
            ("28 Nov 20:27:11", "Nov"),
            ("Sat Nov 28 20:27:11", "Sat Nov"),
            ("de des. 28 20:27:11", "de des."),
        ] {
            let (stamp, length) = read(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            let month = MonthName::new(month.as_bytes()).unwrap();
            assert_eq!(length, text.len(), "{text}");
            let Stamp::Yearless { month: found, day, clock, .. } = stamp else { panic!("{text}: {stamp:?}") };
            assert_eq!((found, day, clock / 1000), (month, 28, 73_631), "{text}");
        }
        for text in [
            "",
            "Nov 28",
            "Nov 32 20:27:11",
            "a=b 28 20:27:11",
            "x: y 28 20:27:11",
            "Nov 28 2x:27:11",
            "part-03.png DEFECT",
            "12",
            "[x]",
            "[",
            "[[1.000]]",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }
}
