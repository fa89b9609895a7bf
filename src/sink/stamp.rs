//! Time stamps in file names, by which names sort: `20261121T041500123Z`, UTC, in milliseconds.

use std::io;

/// Characters of a stamp.
pub const LENGTH: usize = 19;

/// The stamp of a time.
pub fn stamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%S%3fZ").to_string()
}

/// Whether a text has the form of a stamp.
pub fn is_stamp(text: &str) -> bool {
    let form = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        18 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    text.len() == LENGTH && text.bytes().enumerate().all(form)
}

/// The digits of a stamp as a number, which is ordered like the stamp: 20261121041500123.
pub fn number_of_stamp(stamp: &str) -> Option<u64> {
    stamp.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// The stamp with the digits of a number.
pub fn stamp_of_number(number: u64) -> String {
    let digits = format!("{number:017}");
    let (date, time) = digits.split_at("YYYYmmdd".len());
    format!("{date}T{time}Z")
}

/// The stamp one millisecond later.
///
/// # Errors
/// If it is not the stamp of a time.
pub fn next_stamp(text: &str) -> io::Result<String> {
    let invalid = || io::Error::other(format!("{text} is not the stamp of a time"));
    // `%3fZ` is read as a fraction only after a dot.
    let (seconds, millis) = text.split_at_checked(LENGTH - "mmmZ".len()).ok_or_else(invalid)?;
    let dotted = format!("{seconds}.{}", millis.trim_end_matches('Z'));
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.f", dotted).map_err(io::Error::other)?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).map_err(io::Error::other)?.timestamp();
    Ok(stamp(time + jiff::SignedDuration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_recognised() {
        let time = "2026-11-21T04:15:00.123Z".parse().unwrap();
        assert_eq!(stamp(time), "20261121T041500123Z");
        assert!(is_stamp(&stamp(time)));
        for other in ["20261121T041500123", "20261121 041500123Z", "20261121T04150012xZ", "2026112ÄT41500123Z", ""] {
            assert!(!is_stamp(other), "{other}");
        }
    }

    #[test]
    fn a_stamp_is_a_number_and_has_a_next() {
        let text = "20261231T235959999Z";
        assert_eq!(number_of_stamp(text), Some(20_261_231_235_959_999));
        assert_eq!(stamp_of_number(20_261_231_235_959_999), text);
        assert_eq!(next_stamp(text).unwrap(), "20270101T000000000Z");
        for other in ["20269931T235959999Z", "2026", ""] {
            assert!(next_stamp(other).is_err(), "{other}");
        }
    }
}
