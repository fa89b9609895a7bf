//! Times with a zone behind them, in the forms of syslog and of mails.

use super::day::journal_day;
use super::{assert_same, journal, read};

#[test]
fn a_zone_behind_the_time_is_taken() {
    let day = journal_day();
    let expected = read(&journal::short_iso(&day));
    for (format, ahead) in [
        ("%b %e %H:%M:%S CET", 3600),
        ("%b %e %H:%M:%S+00:00", 0),
        ("%b %e %H:%M:%S -0330", -12_600),
        ("%a, %d %b %Y %H:%M:%S +0100", 3600),
        ("%a %b %e %H:%M:%S CET %Y", 3600),
        ("%a %b %e %H:%M:%S UTC %Y:", 0),
        ("%d %b %Y %H:%M:%S GMT", 0),
    ] {
        let log = journal::lines(&day, |line| {
            let time =
                jiff::Timestamp::from_millisecond(line.time + 1000 * ahead).unwrap().strftime(format).to_string();
            format!(
                "{time} pi4 {}[{}]: {}",
                line.program,
                line.pid,
                line.message.replace('\n', &format!("\n{:40}", ""))
            )
        });
        let report = read(&log);
        assert_same(format, &report, &expected);
        assert!(!report["read"].to_string().contains("time zone"), "{format}: {:#}", report["read"]);
    }
}
