//! The time range of a report, and times as users write them on the command line.

use super::error::FieldlogError;
use super::parser::{Millis, time};

/// The time range that a report covers.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TimeRange {
    /// Nothing before this time counts, in milliseconds since 1970-01-01 UTC; `None` for no limit.
    pub since: Option<Millis>,
    /// Nothing after this time counts; `None` for no limit.
    pub until: Option<Millis>,
}

impl TimeRange {
    /// A range between two times in milliseconds since 1970-01-01 UTC; `None` for no limit.
    pub fn new(since: Option<Millis>, until: Option<Millis>) -> TimeRange {
        TimeRange { since, until }
    }
}

/// Parses a time: RFC 3339, a date with or without a time of day (UTC), or a duration before `now` (`-90min`, `-2h`, `-3d`).
/// Both `now` and the result are milliseconds since 1970-01-01 UTC.
///
/// # Errors
/// [`FieldlogError::NoSuchDay`] for a date that there is not, such as 2026-11-31; [`FieldlogError::InvalidTime`] for any other text.
pub fn parse_time(text: &str, now: Millis) -> Result<Millis, FieldlogError> {
    let text = text.trim();
    let invalid = || FieldlogError::InvalidTime { text: text.to_string() };
    if let Some(ago) = text.strip_prefix('-') {
        let unit = ago.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let count: i64 = ago[..unit].parse().map_err(|_| invalid())?;
        let unit = match ago[unit..].trim() {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(invalid()),
        };
        return count.checked_mul(unit * 1000).map(|ago| now - ago).ok_or_else(invalid);
    }
    let whole = match text.len() {
        10 => format!("{text}T00:00:00"),
        16 => format!("{text}:00"),
        _ => text.to_string(),
    };
    match time::rfc3339(whole.as_bytes()) {
        Some((time, length)) if length == whole.len() => Ok(time),
        _ if is_time_but_for_its_day(&whole) => Err(FieldlogError::NoSuchDay { text: text.to_string() }),
        _ => Err(invalid()),
    }
}

/// Whether a text is a time where its day is 1.
fn is_time_but_for_its_day(text: &str) -> bool {
    let Some((month, day, rest)) = text.get(..8).zip(text.get(8..10)).zip(text.get(10..)).map(|((a, b), c)| (a, b, c))
    else {
        return false;
    };
    let first = format!("{month}01{rest}");
    let is_time = time::rfc3339(first.as_bytes()).is_some_and(|(_, length)| length == first.len());
    is_time && day.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_as_users_write_them() {
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
            assert!(matches!(parse_time(text, 0), Err(FieldlogError::InvalidTime { .. })), "{text}");
        }
    }

    #[test]
    fn a_date_that_there_is_not_is_refused_as_that() {
        for text in ["2026-11-31", "2026-02-30 14:00", "2026-02-29T12:00:00Z", "2026-11-00", "2026-11-99"] {
            let error = parse_time(text, 0).unwrap_err().to_string();
            assert!(error.contains("no such day") && error.contains(text), "{error}");
        }
        for text in ["2026-11-3x", "2026-13-31", "2026-11-31T25:00:00", "ééééé"] {
            assert!(matches!(parse_time(text, 0), Err(FieldlogError::InvalidTime { .. })), "{text}");
        }
        assert!(parse_time("2024-02-29", 0).is_ok());
    }
}
