//! Times as people give them on the command line.

use super::form::{Millis, time};

/// A time that was not understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no time: give 2026-11-21T14:00:00Z, \"2026-11-21 14:00\" (UTC), 2026-11-21, or -90min, -2h, -3d before now"
)]
pub struct NoTime(String);

/// Reads a time: RFC 3339, a date with or without a time of day (UTC), or how long before `now`.
///
/// # Errors
/// Where it is none of these.
pub fn parse_time(text: &str, now: Millis) -> Result<Millis, NoTime> {
    let text = text.trim();
    let refuse = || NoTime(text.to_string());
    if let Some(ago) = text.strip_prefix('-') {
        let unit = ago.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let count: i64 = ago[..unit].parse().map_err(|_| refuse())?;
        let unit = match ago[unit..].trim() {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(refuse()),
        };
        return count.checked_mul(unit * 1000).map(|ago| now - ago).ok_or_else(refuse);
    }
    let whole = match text.len() {
        10 => format!("{text}T00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_string(),
    };
    match time::rfc3339(whole.as_bytes()) {
        Some((time, length)) if length == whole.len() => Ok(time),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_give_them() {
        let noon = parse_time("2026-11-21T12:00:00Z", 0).unwrap();
        for text in ["2026-11-21 12:00", "2026-11-21T12:00:00", "2026-11-21T13:00:00+01:00", " 2026-11-21T12:00 "] {
            assert_eq!(parse_time(text, 0).unwrap(), noon, "{text}");
        }
        assert_eq!(parse_time("2026-11-21", 0).unwrap(), noon - 12 * 3_600_000);
        assert_eq!(parse_time("-90min", noon).unwrap(), noon - 90 * 60_000);
        assert_eq!(parse_time("-2h", noon).unwrap(), noon - 7_200_000);
        for text in [
            "",
            "noon",
            "-2",
            "-h",
            "2026-11-21T12",
            "2026-11-21T12:00:00Zx",
            "-99999999999999999999d",
            "-9223372036854775w",
        ] {
            assert!(parse_time(text, 0).is_err(), "{text}");
        }
    }
}
