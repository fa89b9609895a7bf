//! Times, durations and numbers in the form that people read.

use super::parser::Millis;

/// `2026-11-21 14:02:10`, UTC.
pub fn time(time: Millis) -> String {
    format(time, "%Y-%m-%d %H:%M:%S")
}

/// `14:02:10`, UTC.
pub fn clock(time: Millis) -> String {
    format(time, "%H:%M:%S")
}

/// `14:02` where all is of one day, else with the day.
pub fn time_within(time: Millis, span: Option<(Millis, Millis)>) -> String {
    let one_day = span.is_some_and(|(first, last)| format(first, "%F") == format(last, "%F"));
    if one_day { clock(time) } else { format(time, "%m-%d %H:%M") }
}

/// RFC 3339 with milliseconds, for programs.
pub fn rfc3339(time: Millis) -> String {
    format(time, "%Y-%m-%dT%H:%M:%S%.3fZ")
}

fn format(time: Millis, form: &str) -> String {
    match jiff::Timestamp::from_millisecond(time) {
        Ok(time) => time.strftime(form).to_string(),
        Err(_) => "?".into(),
    }
}

/// `45 s`, `12 min`, `3 h 20 min`, `5 d 4 h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.abs().round() as u64;
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
    };
    match whole {
        0 if seconds.abs() > 0.0 => format!("{:.1} s", seconds.abs()),
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min", (whole + 30) / 60),
        7200..172_800 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

/// `1 234 567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `3 times`, `once`, `twice`.
pub fn times(times: u64) -> String {
    match times {
        1 => "once".into(),
        2 => "twice".into(),
        more => format!("{} times", count(more)),
    }
}

/// `1 frame`, `2 frames`.
pub fn plural(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{} {what}s", count(number)) }
}

/// `12.3 %`, `0.04 %`.
pub fn percent(part: f64, whole: f64) -> String {
    let percent = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    match percent {
        _ if percent >= 99.95 || percent == 0.0 => format!("{percent:.0} %"),
        _ if percent >= 1.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.2} %"),
    }
}

/// `96 ms`, `4.2 ms`.
pub fn ms(ms: f64) -> String {
    if ms >= 20.0 { format!("{ms:.0} ms") } else { format!("{ms:.1} ms") }
}

/// `88.1 MiB`.
pub fn bytes(bytes: f64) -> String {
    bytesize::ByteSize(bytes.max(0.0) as u64).to_string()
}

/// A text whose hashes are cut to their first eight digits.
pub fn shorten_hashes(text: &str) -> String {
    let is_hash = |word: &str| word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pieces = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    pieces
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_hash(word) { format!("{}…{}", &word[..8], &piece[word.len()..]) } else { piece.to_string() }
        })
        .collect()
}

/// At most `max` characters of a text, on one line.
pub fn truncated(text: &str, max: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() <= max {
        return clean;
    }
    clean.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(duration(0.4), "0.4 s");
        assert_eq!(duration(45.2), "45 s");
        assert_eq!(duration(720.0), "12 min");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(duration(446_400.0), "5 d 4 h");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(count(12), "12");
        assert_eq!(percent(1.0, 3.0), "33.3 %");
        assert_eq!(percent(1.0, 3000.0), "0.03 %");
        let hash = "5e9e55eabfe0d50af349bcb362275bf474d5e4e32d6ed6e692082b3e9c0a263d";
        assert_eq!(shorten_hashes(&format!("demo 0.2.0 {hash}; x 1 {hash}")), "demo 0.2.0 5e9e55ea…; x 1 5e9e55ea…");
        assert_eq!(truncated("a\nlong text", 6), "a lon…");
        assert_eq!(rfc3339(1_795_233_600_123), "2026-11-21T04:00:00.123Z");
        assert_eq!((times(1), times(2), times(3)), ("once".into(), "twice".into(), "3 times".into()));
    }
}
