//! The time in a file's name, by which names sort: `20261121T041500123Z`, UTC, in milliseconds.

/// How many characters it has.
pub const LENGTH: usize = 19;

/// The stamp of a time.
pub fn stamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%S%3fZ").to_string()
}

/// Whether a text is one.
pub fn is_stamp(text: &str) -> bool {
    let form = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        18 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    text.len() == LENGTH && text.bytes().enumerate().all(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_known_again() {
        let time = "2026-11-21T04:15:00.123Z".parse().unwrap();
        assert_eq!(stamp(time), "20261121T041500123Z");
        assert!(is_stamp(&stamp(time)));
        for other in ["20261121T041500123", "20261121 041500123Z", "20261121T04150012xZ", "2026112ÄT41500123Z", ""] {
            assert!(!is_stamp(other), "{other}");
        }
    }
}
