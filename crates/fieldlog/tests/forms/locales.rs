//! Months in the languages of glibc, the turn of the year, summer time.

use super::{assert_same, report_on, story};
use serde_json::Value;

const HOUR: i64 = 3_600_000;

/// The first lines of `journalctl -o short` in these locales (systemd 252, glibc 2.36).
const LOCALES: &[(&str, &str)] = &[
    ("en_US", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
    ("de_DE", "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez"),
    ("de_AT", "Jän Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez"),
    ("fr_FR", "janv. févr. mars avril mai juin juil. août sept. oct. nov. déc."),
    ("es_ES", "ene feb mar abr may jun jul ago sep oct nov dic"),
    ("it_IT", "gen feb mar apr mag giu lug ago set ott nov dic"),
    ("pt_BR", "jan fev mar abr mai jun jul ago set out nov dez"),
    ("nl_NL", "jan feb mrt apr mei jun jul aug sep okt nov dec"),
    ("pl_PL", "sty lut mar kwi maj cze lip sie wrz paź lis gru"),
    ("cs_CZ", "led úno bře dub kvě čen čec srp zář říj lis pro"),
    ("ru_RU", "янв фев мар апр мая июн июл авг сен окт ноя дек"),
    ("tr_TR", "Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara"),
    ("ja_JP", "_1月 _2月 _3月 _4月 _5月 _6月 _7月 _8月 _9月 10月 11月 12月"),
    ("ko_KR", "_1월 _2월 _3월 _4월 _5월 _6월 _7월 _8월 _9월 10월 11월 12월"),
    ("vi_VN", "Thg_1 Thg_2 Thg_3 Thg_4 Thg_5 Thg_6 Thg_7 Thg_8 Thg_9 Thg_10 Thg_11 Thg_12"),
    ("none", "Aa Bb Cc Dd Ee Ff Gg Hh Ii Jj Nov Ll"),
];

fn millis(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// A run with a status every ten seconds, at local times that `local` makes of those in UTC.
fn run(begin: i64, seconds: i64, month: &dyn Fn(i64) -> String, local: &dyn Fn(i64) -> i64) -> String {
    let line = |second: i64, text: &str| {
        let time = local(begin + second * 1000);
        let rest = jiff::Timestamp::from_millisecond(time).unwrap().strftime("%d %H:%M:%S").to_string();
        format!("{} {rest} pi4 lineside[812]: {text}\n", month(time))
    };
    let mut log = line(0, "record=start run=0a1b2c3d host=pi4 version=0.1.0 boot=c28a pid=812 previous=clean");
    for second in (10..=seconds).step_by(10) {
        let captured = 10 * second;
        log += &line(
            second,
            &format!(
                "record=status run=0a1b2c3d uptime_s={second}.0 seconds=10.0 captured={captured} inspected={captured} skipped_similar=0 dropped_stale=0 failed=0 defects=0 source=flowing"
            ),
        );
    }
    log + &line(seconds + 1, "record=stop run=0a1b2c3d reason=asked captured=1")
}

fn month_of(names: &str) -> impl Fn(i64) -> String {
    let names: Vec<String> = names.split(' ').map(|name| name.replace('_', " ")).collect();
    move |time| {
        let date = jiff::Timestamp::from_millisecond(time).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
        names[date.month() as usize - 1].clone()
    }
}

fn read_at(log: &[u8], written: i64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    report_on(folder.path(), "a.log", log, written).to_json()
}

#[test]
fn every_month_in_many_locales() {
    let english = month_of(LOCALES[0].1);
    for (locale, names) in &LOCALES[..LOCALES.len() - 1] {
        let name = month_of(names);
        for month in 1..=12 {
            let begin = millis(&format!("2026-{month:02}-07T12:00:00Z"));
            let expected = read_at(run(begin, 60, &english, &|time| time).as_bytes(), begin + HOUR);
            assert_eq!(expected["from"].as_str().map(millis), Some(begin));
            let log = run(begin, 60, &name, &|time| time);
            for (way, name) in
                [("", log.clone()), (" in capitals", capitals(&log)), (" without dots", log.replace(". ", " "))]
            {
                assert_same(&format!("{locale} {month}{way}"), &read_at(name.as_bytes(), begin + HOUR), &expected);
            }
            let latin1: Option<Vec<u8>> = log.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            if let Some(latin1) = latin1 {
                assert_same(&format!("{locale} {month} in Latin-1"), &read_at(&latin1, begin + HOUR), &expected);
            }
        }
    }
}

fn capitals(log: &str) -> String {
    let line = |line: &str| {
        let end = line.find(" pi4").unwrap();
        line[..end].to_uppercase() + &line[end..] + "\n"
    };
    log.lines().map(line).collect()
}

#[test]
fn months_go_on_over_their_ends_also_where_a_name_is_in_no_locale() {
    for (locale, names) in LOCALES {
        for (begin, known) in [
            ("2026-11-30T23:59:00Z", true),
            ("2025-12-31T23:59:00Z", *locale != "none"),
            ("2026-03-31T23:59:00Z", *locale != "none"),
        ] {
            let begin = millis(begin);
            let expected = read_at(run(begin, 120, &month_of(LOCALES[0].1), &|time| time).as_bytes(), begin + HOUR);
            let found = read_at(run(begin, 120, &month_of(names), &|time| time).as_bytes(), begin + HOUR);
            if known {
                assert_same(locale, &found, &expected);
            } else {
                assert_eq!(found["read"][0]["unread"], 14, "{:#}", found["read"]);
                assert_eq!(found["frames"], expected["frames"]);
                assert_eq!(found["read"][0]["first_unread"]["line"], 1);
            }
        }
    }
}

#[test]
fn summer_time_is_no_clock_that_was_set() {
    let name = month_of(LOCALES[1].1);
    // (UTC, local time minus UTC before and after the step)
    for (zone, step, before, after) in [
        ("Berlin, autumn", "2026-10-25T01:00:00Z", 2 * HOUR, HOUR),
        ("Berlin, spring", "2026-03-29T01:00:00Z", HOUR, 2 * HOUR),
        ("Lord Howe", "2026-04-04T15:00:00Z", 11 * HOUR, 10 * HOUR + HOUR / 2),
        ("another zone", "2026-06-01T10:00:00Z", 0, 7 * HOUR),
    ] {
        let step = millis(step);
        let local = |time: i64| time + if time < step { before } else { after };
        let begin = step - 90 * 60_000;
        let log = run(begin, 3 * 3600, &name, &local);
        let found = read_at(log.as_bytes(), step + 12 * HOUR);
        let expected = read_at(run(begin, 3 * 3600, &name, &|time| time + before).as_bytes(), step + 12 * HOUR);
        assert_eq!(story(&found), story(&expected), "{zone}");
        assert!(
            found["read"][0]["notes"].to_string().contains("steps by whole or half hours once"),
            "{zone}: {:#}",
            found["read"]
        );
        assert_eq!(found["findings"].as_array().unwrap().len(), 0, "{zone}: {:#}", found["findings"]);
        assert_eq!(found["boards"][0]["watched_s"], 10_801.0, "{zone}");
        // A clock that was set is one.
        let local = |time: i64| time + if time < step { 0 } else { 17 * 60_000 };
        let found = read_at(run(begin, 3 * 3600, &name, &local).as_bytes(), step + 12 * HOUR);
        assert_eq!(found["findings"][0]["kind"], "clock", "{zone}");
    }
}
