//! `[part]`: a result for each part that the trigger announces.

use super::lines::{UsedLine, zero};
use super::{Config, TriggerEdge, Violation, check_range};
use crate::board::{LineAddress, LineName};
use crate::sink::ActiveLevel;
use crate::sink::part::{MAX_SHIFTS, PulseTiming, RejectDistance};
use serde::Deserialize;
use std::time::Duration;
use toml::Spanned;

/// A deadline leaves at least so much after `setup_ms`, in milliseconds.
const LEAST_WINDOW_MS: f64 = 2.0;

/// `[part]`: a result for each part.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct PartConfig {
    /// From the trigger's edge until the result is on the lines, at the latest, in milliseconds.
    pub deadline_ms: Spanned<f64>,
    /// How long the strobe lasts, or the result line where there is none, in milliseconds.
    #[serde(default = "ms::<10>")]
    pub pulse_ms: Spanned<f64>,
    /// How long the result lines stand still before the strobe, in milliseconds.
    #[serde(default = "ms::<1>")]
    pub setup_ms: Spanned<f64>,
    /// What a part without a verdict counts as on the lines.
    #[serde(default)]
    pub no_result: NoResultLines,
    /// When shifts begin, by the clock on the wall: parts are counted for each.
    #[serde(default)]
    pub shifts: Vec<Spanned<String>>,
    /// On for a normal part.
    pub ok: Option<PartLineConfig>,
    /// On for a defect.
    pub nok: Option<PartLineConfig>,
    /// On while the other two are valid.
    pub strobe: Option<PartLineConfig>,
    /// The ejector.
    pub reject: Option<RejectConfig>,
}

/// What a part without a verdict counts as on the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoResultLines {
    /// As a defect: NOK is on, and the part is rejected.
    #[default]
    Nok,
    /// As neither: only the strobe comes.
    None,
}

/// A line of a part's result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct PartLineConfig {
    /// The GPIO chip; not needed for a line with a name.
    pub chip: Option<String>,
    /// The line's number on the chip, or its name.
    pub line: Spanned<LineName>,
    /// The level that means "on".
    #[serde(default)]
    pub active: ActiveLevel,
}

/// `[part.reject]`: the ejector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct RejectConfig {
    /// The GPIO chip; not needed for a line with a name.
    pub chip: Option<String>,
    /// The line's number on the chip, or its name.
    pub line: Spanned<LineName>,
    /// The level that means "on".
    #[serde(default)]
    pub active: ActiveLevel,
    /// From the trigger to the ejector, in milliseconds.
    pub delay_ms: Option<Spanned<f64>>,
    /// From the trigger to the ejector, in edges of the encoder.
    pub edges: Option<Spanned<u64>>,
    /// Counts the way that the parts go.
    pub encoder: Option<EncoderConfig>,
    /// How long the line is on for a part, in milliseconds.
    #[serde(default = "ms::<50>")]
    pub pulse_ms: Spanned<f64>,
}

/// `[part.reject.encoder]`: one channel of an encoder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct EncoderConfig {
    /// The GPIO chip; not needed for a line with a name.
    pub chip: Option<String>,
    /// The line's number on the chip, or its name.
    pub line: Spanned<LineName>,
    /// The edge that counts.
    #[serde(default)]
    pub edge: TriggerEdge,
    /// Levels that last for less than this do not count, in milliseconds.
    #[serde(default = "zero")]
    pub debounce_ms: Spanned<f64>,
}

impl PartLineConfig {
    /// The address of the line.
    pub fn address(&self) -> LineAddress<'_> {
        LineAddress { chip: self.chip.as_deref(), line: self.line.get_ref() }
    }
}

impl RejectConfig {
    /// The address of the line.
    pub fn address(&self) -> LineAddress<'_> {
        LineAddress { chip: self.chip.as_deref(), line: self.line.get_ref() }
    }

    /// How far it is from the trigger.
    pub fn distance(&self) -> RejectDistance {
        match (&self.edges, &self.delay_ms) {
            (Some(edges), _) => RejectDistance::Edges(*edges.get_ref()),
            (None, delay) => RejectDistance::Time(delay.as_ref().map_or(Duration::ZERO, duration)),
        }
    }

    /// How long the line is on for a part.
    pub fn pulse(&self) -> Duration {
        duration(&self.pulse_ms)
    }
}

impl EncoderConfig {
    /// The address of the line.
    pub fn address(&self) -> LineAddress<'_> {
        LineAddress { chip: self.chip.as_deref(), line: self.line.get_ref() }
    }
}

impl PartConfig {
    /// From the trigger's edge until the result is on the lines.
    pub fn deadline(&self) -> Duration {
        duration(&self.deadline_ms)
    }

    /// The lengths of pulses.
    pub fn timing(&self) -> PulseTiming {
        PulseTiming {
            setup: duration(&self.setup_ms),
            pulse: duration(&self.pulse_ms),
            strobe: self.strobe.is_some(),
            no_result_is_nok: self.no_result == NoResultLines::Nok,
        }
    }

    /// The beginnings of shifts in minutes after midnight; they are valid.
    pub fn shift_minutes(&self) -> Vec<u32> {
        self.shifts.iter().filter_map(|shift| minutes(shift.get_ref())).collect()
    }

    /// The lines, each with its table.
    pub(super) fn lines(&self) -> impl Iterator<Item = UsedLine<'_>> {
        let reject = self.reject.as_ref();
        let encoder = reject.and_then(|reject| reject.encoder.as_ref());
        [
            self.ok.as_ref().map(|ok| UsedLine::new("part.ok.line", &ok.line, &ok.chip)),
            self.nok.as_ref().map(|nok| UsedLine::new("part.nok.line", &nok.line, &nok.chip)),
            self.strobe.as_ref().map(|strobe| UsedLine::new("part.strobe.line", &strobe.line, &strobe.chip)),
            reject.map(|reject| UsedLine::new("part.reject.line", &reject.line, &reject.chip)),
            encoder.map(|encoder| UsedLine::new("part.reject.encoder.line", &encoder.line, &encoder.chip)),
        ]
        .into_iter()
        .flatten()
    }
}

fn duration(ms: &Spanned<f64>) -> Duration {
    Duration::from_secs_f64(ms.get_ref() / 1e3)
}

fn ms<const N: u32>() -> Spanned<f64> {
    Spanned::new(0..0, f64::from(N))
}

/// `06:00` in minutes after midnight.
fn minutes(time: &str) -> Option<u32> {
    let (hours, minutes) = time.split_once(':')?;
    let number = |text: &str, end: u32| {
        let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| is_two && *number < end)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

impl Config {
    /// The first invalid value of `[part]`.
    pub(super) fn part_problem(&self) -> Option<Violation> {
        let part = self.part.as_ref()?;
        let deadline = &part.deadline_ms;
        if self.trigger.is_none() {
            let problem = "[part] gives a result to each part that a trigger announces: add [trigger], too";
            return Some((deadline.span().start, problem.into()));
        }
        check_range(&part.setup_ms, "part.setup_ms", 0.5, 1000.0)
            .or_else(|| check_range(&part.pulse_ms, "part.pulse_ms", 1.0, 10_000.0))
            .or_else(|| check_range(deadline, "part.deadline_ms", part.setup_ms.get_ref() + LEAST_WINDOW_MS, 60_000.0))
            .or_else(|| self.skip_problem())
            .or_else(|| shift_problem(&part.shifts))
            .or_else(|| part.strobe_problem())
            .or_else(|| part.reject.as_ref()?.problem(*deadline.get_ref()))
    }

    /// A frame that looks like the one before is another part all the same.
    fn skip_problem(&self) -> Option<Violation> {
        let skip = Some(&self.anomaly.skip_similar).filter(|skip| *skip.get_ref() > 0.0)?;
        let problem = "anomaly.skip_similar takes over the verdict on the part before; with [part] each part gets its own: remove it";
        Some((skip.span().start, problem.into()))
    }
}

impl PartConfig {
    fn strobe_problem(&self) -> Option<Violation> {
        let strobe = self.strobe.as_ref().filter(|_| self.ok.is_none() && self.nok.is_none())?;
        let problem = "part.strobe says when part.ok and part.nok are valid: set one of them, too";
        Some((strobe.line.span().start, problem.into()))
    }
}

impl RejectConfig {
    fn problem(&self, deadline: f64) -> Option<Violation> {
        let at = self.line.span().start;
        if let Some(problem) = check_range(&self.pulse_ms, "part.reject.pulse_ms", 1.0, 60_000.0) {
            return Some(problem);
        }
        match (&self.delay_ms, &self.edges, &self.encoder) {
            (Some(delay), None, None) => {
                let early = (*delay.get_ref() < deadline).then(|| {
                    let problem = format!(
                        "part.reject.delay_ms = {} is shorter than part.deadline_ms = {deadline}: a part may pass the ejector before \
                         its result is known; move the ejector or shorten the deadline",
                        delay.get_ref()
                    );
                    (delay.span().start, problem)
                });
                check_range(delay, "part.reject.delay_ms", 0.0, 600_000.0).or(early)
            }
            (None, Some(edges), Some(encoder)) => check_range(edges, "part.reject.edges", 1, 1_000_000_000)
                .or_else(|| check_range(&encoder.debounce_ms, "part.reject.encoder.debounce_ms", 0.0, 1000.0)),
            (None, Some(edges), None) => {
                let problem = "part.reject.edges counts edges of which line? set [part.reject.encoder], too";
                Some((edges.span().start, problem.into()))
            }
            (Some(delay), Some(_), _) => {
                let problem =
                    "part.reject.delay_ms and part.reject.edges are both set: the ejector is reached by one of them";
                Some((delay.span().start, problem.into()))
            }
            (Some(_), None, Some(encoder)) => {
                let problem = "part.reject.encoder counts what part.reject.edges says: set that instead of delay_ms";
                Some((encoder.line.span().start, problem.into()))
            }
            (None, None, _) => {
                let problem = "part.reject: how far is the ejector from the trigger? set delay_ms, or edges and [part.reject.encoder]";
                Some((at, problem.into()))
            }
        }
    }
}

fn shift_problem(shifts: &[Spanned<String>]) -> Option<Violation> {
    if let Some(shift) = shifts.get(MAX_SHIFTS) {
        return Some((shift.span().start, format!("part.shifts has more than {MAX_SHIFTS}")));
    }
    let mut before = None;
    for shift in shifts {
        let (at, text) = (shift.span().start, shift.get_ref());
        let Some(minutes) = minutes(text) else {
            return Some((at, format!("part.shifts: {text:?} is no time of a day, as \"06:00\" is")));
        };
        if before.replace(minutes).is_some_and(|before| before >= minutes) {
            return Some((at, format!("part.shifts: {text:?} does not come after the one before it")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const LINE: &str = "[source.pattern]\n[trigger]\nline = \"PART\"\n";

    fn refusal(part: &str) -> String {
        Config::parse(&format!("{LINE}{part}"), Path::new("line.toml")).unwrap_err().to_string()
    }

    #[test]
    fn a_part_is_read_with_its_defaults() {
        let text = format!(
            "{LINE}[part]\ndeadline_ms = 150\nshifts = [\"06:00\", \"14:30\"]\n[part.ok]\nline = \"OK\"\n[part.nok]\nchip = \"c\"\nline = 4\n\
             active = \"low\"\n[part.strobe]\nline = \"READY\"\n[part.reject]\nline = \"OUT\"\nedges = 120\n[part.reject.encoder]\nline = \"A\"\n"
        );
        let config = Config::parse(&text, Path::new("line.toml")).unwrap();
        let part = config.part.as_ref().unwrap();
        assert_eq!(part.deadline(), Duration::from_millis(150));
        let timing = part.timing();
        assert_eq!((timing.setup, timing.pulse), (Duration::from_millis(1), Duration::from_millis(10)));
        assert!(timing.strobe && timing.no_result_is_nok);
        assert_eq!(part.shift_minutes(), [360, 870]);
        let reject = part.reject.as_ref().unwrap();
        assert_eq!((reject.distance(), reject.pulse()), (RejectDistance::Edges(120), Duration::from_millis(50)));
        assert_eq!(part.nok.as_ref().unwrap().active, ActiveLevel::Low);
    }

    #[test]
    fn each_mistake_is_named_with_file_and_line() {
        let part = "[part]\ndeadline_ms = 100\n";
        let reject = "[part.reject]\nline = \"OUT\"\n";
        let cases = [
            ("[part]\n".into(), "line.toml:4: missing field `deadline_ms`"),
            (format!("{part}deadline = 3\n"), "line.toml:6: unknown field `deadline`"),
            ("[part]\ndeadline_ms = 2\n".into(), "line.toml:5: part.deadline_ms must lie in 3..60000, found 2"),
            (format!("{part}setup_ms = 0\n"), "line.toml:6: part.setup_ms must lie in 0.5..1000, found 0"),
            (format!("{part}pulse_ms = nan\n"), "line.toml:6: part.pulse_ms must lie in 1..10000, found NaN"),
            (format!("{part}no_result = \"ok\"\n"), "line.toml:6: no_result: unknown variant `ok`"),
            (format!("{part}shifts = [\"6:00\"]\n"), "line.toml:6: part.shifts: \"6:00\" is no time of a day"),
            (format!("{part}shifts = [\"24:00\"]\n"), "part.shifts: \"24:00\" is no time of a day"),
            (format!("{part}shifts = [\"06:00\", \"06:00\"]\n"), "\"06:00\" does not come after the one before it"),
            (format!("{part}[part.ok]\nline = 3\n"), "line.toml:7: part.ok.line: number 3 of which chip?"),
            (
                format!("{part}[part.ok]\nline = \"PART\"\n"),
                "line.toml:7: part.ok.line: line \"PART\" is trigger.line, too",
            ),
            (
                format!("{part}[part.ok]\nline = \"A\"\n[part.nok]\nline = \"A\"\n"),
                "line.toml:9: part.nok.line: line \"A\" is part.ok.line, too",
            ),
            (format!("{part}[part.strobe]\nline = \"A\"\n"), "line.toml:7: part.strobe says when part.ok and part.nok"),
            (format!("{part}{reject}"), "line.toml:7: part.reject: how far is the ejector"),
            (
                format!("{part}{reject}delay_ms = 99\n"),
                "line.toml:8: part.reject.delay_ms = 99 is shorter than part.deadline_ms",
            ),
            (format!("{part}{reject}edges = 5\n"), "line.toml:8: part.reject.edges counts edges of which line?"),
            (
                format!("{part}{reject}edges = 5\ndelay_ms = 100\n"),
                "line.toml:9: part.reject.delay_ms and part.reject.edges",
            ),
            (
                format!("{part}{reject}edges = 0\n[part.reject.encoder]\nline = \"E\"\n"),
                "line.toml:8: part.reject.edges must lie in 1..1000000000, found 0",
            ),
            (
                format!("{part}{reject}delay_ms = 100\n[part.reject.encoder]\nline = \"E\"\n"),
                "line.toml:10: part.reject.encoder counts what part.reject.edges says",
            ),
            (
                format!("[anomaly]\nskip_similar = 2\n{part}"),
                "line.toml:5: anomaly.skip_similar takes over the verdict",
            ),
        ];
        for (text, expected) in cases {
            let error = refusal(&text);
            assert!(error.contains(expected), "{text:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let without = "[source.pattern]\n[part]\ndeadline_ms = 100\n";
        let error = Config::parse(without, Path::new("line.toml")).unwrap_err().to_string();
        assert!(
            error.starts_with("line.toml:3: [part] gives a result to each part that a trigger announces"),
            "{error}"
        );
    }
}
