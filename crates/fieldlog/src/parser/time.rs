//! Times as logs write them, read without allocation: millions of them in a log.

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// Reads `2026-11-21T04:00:00.123Z` and its kin: a space instead of `T`, any number of decimals, `Z`, `+01:00`, `+0100` or
/// no zone at all, which is taken as UTC. Gives the time and how many bytes it took.
pub fn rfc3339(text: &[u8]) -> Option<(Millis, usize)> {
    let digits = |from: usize, count: usize| super::fields::count(text.get(from..from + count)?).map(|n| n as i64);
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    if !(is(4, b'-') && is(7, b'-') && (is(10, b'T') || is(10, b' ')) && is(13, b':') && is(16, b':')) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let mut time = civil(year, month, day)? + clock(hour, minute, second)?;
    let (millis, mut at) = decimals(text, 19);
    time += millis;
    match text.get(at) {
        Some(b'Z') => at += 1,
        Some(sign @ (b'+' | b'-')) => {
            let colon = usize::from(is(at + 3, b':'));
            let minutes = digits(at + 1, 2)? * 60 + digits(at + 3 + colon, 2)?;
            time -= if *sign == b'+' { minutes } else { -minutes } * 60_000;
            at += 5 + colon;
        }
        _ => (),
    }
    Some((time, at))
}

/// Milliseconds of `.123456` at `at`, and the byte behind.
pub fn decimals(text: &[u8], mut at: usize) -> (Millis, usize) {
    if !matches!(text.get(at), Some(b'.' | b',')) || !text.get(at + 1).is_some_and(u8::is_ascii_digit) {
        return (0, at);
    }
    at += 1;
    let (mut millis, mut weight) = (0, 100);
    while let Some(digit) = text.get(at).filter(|byte| byte.is_ascii_digit()) {
        millis += i64::from(digit - b'0') * weight;
        weight /= 10;
        at += 1;
    }
    (millis, at)
}

/// Milliseconds since midnight.
pub fn clock(hour: i64, minute: i64, second: i64) -> Option<Millis> {
    // 60: a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

/// Midnight of a day of the Gregorian calendar ("days from civil", Howard Hinnant, chrono-Compatible Low-Level Date
/// Algorithms). `None` for a day that there is not, such as 31 November.
pub fn civil(year: i64, month: i64, day: i64) -> Option<Millis> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) * 86_400_000)
}

/// The year in which a time lies.
pub fn year(time: Millis) -> i64 {
    jiff::Timestamp::from_millisecond(time)
        .map_or(1970, |time| i64::from(time.to_zoned(jiff::tz::TimeZone::UTC).year()))
}

/// The month and the day in which a time lies.
pub fn month_and_day(time: Millis) -> (u8, u8) {
    jiff::Timestamp::from_millisecond(time).map_or((1, 1), |time| {
        let date = time.to_zoned(jiff::tz::TimeZone::UTC);
        (date.month() as u8, date.day() as u8)
    })
}

/// The time of the file system.
pub fn of_system(time: std::time::SystemTime) -> Option<Millis> {
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis() as Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_jiff() {
        for text in [
            "2026-11-21T04:00:00.123Z",
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59.999Z",
            "2000-03-01T12:00:00+01:00",
            "1999-12-31T23:59:59.5-09:30",
        ] {
            let expected = text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            assert_eq!(rfc3339(text.as_bytes()), Some((expected, text.len())), "{text}");
        }
        for day in (0..80_000).step_by(13) {
            let text = jiff::Timestamp::from_second(day * 86_400 + 3_661).unwrap().to_string();
            assert_eq!(rfc3339(text.as_bytes()).unwrap().0, (day * 86_400 + 3_661) * 1000, "{text}");
        }
    }

    #[test]
    fn journals_ways_are_read() {
        let expected = rfc3339(b"2026-11-21T04:00:00.123Z").unwrap().0;
        assert_eq!(rfc3339(b"2026-11-21T05:00:00.123456+0100 line3"), Some((expected, 31)));
        assert_eq!(year(expected), 2026);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2026-11-21", "2026-13-21T04:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T04:00:00+1"] {
            assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn there_are_the_days_that_jiff_knows_and_no_others() {
        for (year, month) in
            [1900, 1970, 2000, 2024, 2026, 2100].into_iter().flat_map(|year| (0..14).map(move |month| (year, month)))
        {
            for day in -1..33_i8 {
                let known = jiff::civil::Date::new(year, month, day).ok();
                let known =
                    known.map(|date| date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond());
                assert_eq!(civil(year.into(), month.into(), day.into()), known, "{year}-{month}-{day}");
            }
        }
    }
}
