//! A status record, read in one pass: they are nearly all of a log.

use super::latency::Percentiles;
use crate::parser::{Fields, count, number};

/// The stages of a frame, with their names in records and in reports.
pub const STAGES: [(&str, &str); 5] = [
    ("verdict", "capture to verdict"),
    ("wait", "waiting"),
    ("judge", "inspection"),
    ("enlarge", "super-resolution"),
    ("write", "writing"),
];

/// Bins of the sketches of scores and of severities.
pub const BINS: usize = 20;

/// Where the bins of severities end; the last takes what lies beyond.
pub const SEVEREST: f64 = 5.0;

/// Frames by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs)] // as in `pipeline::Counts`
pub struct FrameCounts {
    pub captured: u64,
    pub inspected: u64,
    pub skipped_similar: u64,
    pub dropped_stale: u64,
    pub failed: u64,
}

impl FrameCounts {
    /// Frames that got a verdict.
    pub fn judged(&self) -> u64 {
        self.inspected.saturating_add(self.skipped_similar)
    }

    /// Whether the fates add up to what was captured.
    pub fn add_up(&self) -> bool {
        let parts = [self.inspected, self.skipped_similar, self.dropped_stale, self.failed];
        parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part)) == Some(self.captured)
    }

    /// Whether no count is lower than before.
    pub fn continues(&self, before: &FrameCounts) -> bool {
        self.captured >= before.captured && self.judged() >= before.judged()
    }

    /// Each count combined with that of another.
    pub fn with(&self, other: &FrameCounts, f: impl Fn(u64, u64) -> u64) -> FrameCounts {
        FrameCounts {
            captured: f(self.captured, other.captured),
            inspected: f(self.inspected, other.inspected),
            skipped_similar: f(self.skipped_similar, other.skipped_similar),
            dropped_stale: f(self.dropped_stale, other.dropped_stale),
            failed: f(self.failed, other.failed),
        }
    }

    /// The frames since an earlier status.
    pub fn since(&self, before: &FrameCounts) -> FrameCounts {
        self.with(before, u64::saturating_sub)
    }

    /// The frames of both.
    pub fn plus(&self, other: &FrameCounts) -> FrameCounts {
        self.with(other, u64::saturating_add)
    }
}

/// Parts by result, where a line gives each part one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PartTotals {
    /// Judged in time, normal.
    pub ok: u64,
    /// Judged in time, a defect.
    pub nok: u64,
    /// Not judged in time.
    pub no_result: u64,
    /// Results that the lines showed too late or never.
    pub overdue: u64,
    /// Bad parts that passed the ejector.
    pub rejects_missed: u64,
}

impl PartTotals {
    /// All parts that got a result.
    pub fn all(&self) -> u64 {
        self.ok.saturating_add(self.nok).saturating_add(self.no_result)
    }

    /// Each count combined with that of another.
    pub fn with(&self, other: &PartTotals, f: impl Fn(u64, u64) -> u64) -> PartTotals {
        PartTotals {
            ok: f(self.ok, other.ok),
            nok: f(self.nok, other.nok),
            no_result: f(self.no_result, other.no_result),
            overdue: f(self.overdue, other.overdue),
            rejects_missed: f(self.rejects_missed, other.rejects_missed),
        }
    }
}

/// How the source is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Source {
    #[default]
    Unknown,
    Flowing,
    Frozen,
    Away,
}

/// A status record; missing values are `None` or NaN.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // docs/field-log.md describes the fields
pub struct Status {
    pub frames: Option<FrameCounts>,
    pub defects: u64,
    pub uptime: Option<f64>,
    /// The interval that stages and sketches cover, in seconds.
    pub seconds: Option<f64>,
    pub fps: Option<f64>,
    pub stages: [Option<Percentiles>; 5],
    pub scores: Option<[u32; BINS]>,
    pub severities: Option<[u32; BINS]>,
    pub brightness: Option<f64>,
    pub sharpness: Option<f64>,
    pub source: Source,
    pub enlarged: u64,
    pub enlarged_late: u64,
    pub rss: Option<u64>,
    pub peak_rss: Option<u64>,
    pub temperature: Option<f64>,
    pub throttled: Option<u32>,
    pub heat: Option<u64>,
    pub held_back: u64,
    pub unrecorded: u64,
    /// Frames that a shadow judged, of which it said otherwise, that it had no time for, and that it failed on.
    pub shadow: [u64; 4],
    pub parts: PartTotals,
    pub drift_ks: Option<f64>,
}

impl Status {
    /// Reads the fields of a status or stop record.
    pub fn read(fields: &Fields) -> Status {
        let mut status = Status::default();
        let mut frames = [None; 5];
        let mut stages = [[f64::NAN; 4]; 5];
        for (key, value) in fields.iter() {
            match key {
                b"captured" => frames[0] = count(value),
                b"inspected" => frames[1] = count(value),
                b"skipped_similar" => frames[2] = count(value),
                b"dropped_stale" => frames[3] = count(value),
                b"failed" => frames[4] = count(value),
                b"defects" => status.defects = count(value).unwrap_or(0),
                b"uptime_s" => status.uptime = number(value),
                b"seconds" => status.seconds = number(value),
                b"fps" => status.fps = number(value),
                b"scores" => status.scores = bins(value),
                b"severities" => status.severities = bins(value),
                b"brightness" => status.brightness = number(value),
                b"sharpness" => status.sharpness = number(value),
                b"enlarged" => status.enlarged = count(value).unwrap_or(0),
                b"enlarged_late" => status.enlarged_late = count(value).unwrap_or(0),
                b"rss_bytes" => status.rss = count(value),
                b"peak_rss_bytes" => status.peak_rss = count(value),
                b"temperature_c" => {
                    status.temperature = number(value).filter(|celsius| (-60.0..200.0).contains(celsius))
                }
                b"throttled" => status.throttled = hex(value),
                // The supply's alarm on other boards: as a Pi's bit 0.
                b"undervoltage" if value == b"true" => status.throttled = Some(status.throttled.unwrap_or(0) | 1),
                b"heat" => status.heat = count(value),
                b"unrecorded" => status.unrecorded = count(value).unwrap_or(0),
                b"shadow_judged" => status.shadow[0] = count(value).unwrap_or(0),
                b"shadow_differs" => status.shadow[1] = count(value).unwrap_or(0),
                b"shadow_skipped" => status.shadow[2] = count(value).unwrap_or(0),
                b"shadow_failed" => status.shadow[3] = count(value).unwrap_or(0),
                b"parts_ok" => status.parts.ok = count(value).unwrap_or(0),
                b"parts_nok" => status.parts.nok = count(value).unwrap_or(0),
                b"parts_no_result" => status.parts.no_result = count(value).unwrap_or(0),
                b"parts_overdue" => status.parts.overdue = count(value).unwrap_or(0),
                b"rejects_missed" => status.parts.rejects_missed = count(value).unwrap_or(0),
                b"held_back" => status.held_back = count(value).unwrap_or(0),
                b"drift_ks" => status.drift_ks = number(value),
                b"source" => {
                    status.source = match value {
                        b"flowing" => Source::Flowing,
                        b"frozen" => Source::Frozen,
                        b"away" => Source::Away,
                        _ => Source::Unknown,
                    }
                }
                _ if key.ends_with(b"_ms") => {
                    if let Some((stage, which)) = stage(key) {
                        stages[stage][which] = number(value).unwrap_or(f64::NAN).max(0.0);
                    }
                }
                _ => (),
            }
        }
        // A cut line may lack the last of them.
        if let [Some(captured), Some(inspected), Some(skipped_similar), Some(dropped_stale), Some(failed)] = frames {
            status.frames = Some(FrameCounts { captured, inspected, skipped_similar, dropped_stale, failed });
        }
        for (stage_slot, [p50, p95, p99, max]) in status.stages.iter_mut().zip(stages) {
            if !p50.is_nan() && !p99.is_nan() {
                let p95 = if p95.is_nan() { p99 } else { p95 };
                *stage_slot = Some(Percentiles { p50, p95, p99, max: if max.is_nan() { p99 } else { max } });
            }
        }
        status
    }
}

/// The stage and percentile that a key like `verdict_p99_ms` names.
fn stage(key: &[u8]) -> Option<(usize, usize)> {
    let key = key.strip_suffix(b"_ms")?;
    let cut = memchr::memrchr(b'_', key)?;
    let stage = STAGES.iter().position(|(name, _)| name.as_bytes() == &key[..cut])?;
    let which = [&b"p50"[..], b"p95", b"p99", b"max"].iter().position(|name| *name == &key[cut + 1..])?;
    Some((stage, which))
}

/// `0,0,3,…`, also in brackets.
fn bins(value: &[u8]) -> Option<[u32; BINS]> {
    let mut bins = [0; BINS];
    let mut at = 0;
    let inside = value.strip_prefix(b"[").and_then(|value| value.strip_suffix(b"]")).unwrap_or(value);
    for part in inside.split(|byte| *byte == b',') {
        *bins.get_mut(at)? = count(part.trim_ascii())?.min(u64::from(u32::MAX)) as u32;
        at += 1;
    }
    (at == BINS).then_some(bins)
}

/// `0x50005`, or a plain number.
fn hex(value: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(value).ok()?;
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &str) -> Fields {
        let mut fields = Fields::default();
        for pair in pairs.split(' ') {
            let (key, value) = pair.split_once('=').unwrap();
            fields.push(key.as_bytes(), value.as_bytes());
        }
        fields
    }

    #[test]
    fn a_status_is_read_with_all_that_it_tells() {
        let status = Status::read(&fields(
            "captured=10 inspected=6 skipped_similar=1 dropped_stale=2 failed=1 verdict_p50_ms=20.5 verdict_p95_ms=30 verdict_p99_ms=40 verdict_max_ms=41 write_p99_ms=3 scores=0,0,3,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1 severities=3,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 temperature_c=61.2 throttled=0x50005 source=away new_field=7",
        ));
        let frames = status.frames.unwrap();
        assert!(frames.add_up() && frames.judged() == 7);
        assert_eq!(status.stages[0], Some(Percentiles { p50: 20.5, p95: 30.0, p99: 40.0, max: 41.0 }));
        assert_eq!(status.stages[4], None);
        assert_eq!((status.scores.unwrap()[2], status.severities.unwrap()[4]), (3, 1));
        assert_eq!(status.throttled, Some(0x50005));
        assert_eq!(status.source, Source::Away);
    }

    #[test]
    fn parts_are_read_and_a_huge_count_does_no_harm() {
        let text = "parts=9 parts_ok=5 parts_nok=3 parts_no_result=1 parts_overdue=2 rejects_missed=4";
        let parts = Status::read(&fields(text)).parts;
        assert_eq!(parts, PartTotals { ok: 5, nok: 3, no_result: 1, overdue: 2, rejects_missed: 4 });
        assert_eq!(parts.all(), 9);
        let huge = PartTotals { ok: u64::MAX, ..parts };
        assert_eq!((huge.all(), huge.with(&parts, u64::saturating_add).ok), (u64::MAX, u64::MAX));
    }

    #[test]
    fn what_is_cut_or_nonsense_is_left_out() {
        let status = Status::read(&fields("captured=10 inspected=x scores=1,2 throttled=0xzz temperature_c=9999"));
        assert!(status.frames.is_none() && status.scores.is_none() && status.throttled.is_none());
        assert_eq!(status.temperature, None);
        let huge = FrameCounts { captured: 1, inspected: u64::MAX, skipped_similar: 2, ..FrameCounts::default() };
        assert!(!huge.add_up());
    }
}
