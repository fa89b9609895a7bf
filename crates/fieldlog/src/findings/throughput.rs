//! Whether the board keeps up: latency that changes, frames that are dropped, a camera that becomes slower.

use super::change::{Change, changes, largest};
use super::{Finding, Severity, median};
use crate::humanize;
use crate::parser::Millis;
use crate::summary::{Board, Bucket, LineRef, STAGES, Summary};

/// A change of p99 counts from this factor and this many milliseconds on.
const P99: (f64, f64) = (1.5, 5.0);
/// Changes of one kind that are reported.
const MAX_REPORTED: usize = 4;
const BITS: [&str; 4] = ["under-voltage", "frequency capped", "throttled", "soft temperature limit"];

/// The start of a bucket, and the bucket.
type TimedBucket<'a> = (Millis, &'a Bucket);

pub fn find(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    latency(summary, board, findings);
    dropped(summary, board, findings);
    unrecorded(board, findings);
    shadow(board, findings);
    parts(board, findings);
    rate(summary, board, findings);
}

fn latency(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let intervals: Vec<TimedBucket> =
        board.series.iter().filter(|(_, bucket)| bucket.stages[0].of().is_some()).collect();
    let p99: Vec<f64> = intervals.iter().filter_map(|(_, bucket)| Some(bucket.stages[0].of()?.p99)).collect();
    let all = changes(&p99, P99.0, P99.1);
    let rises: Vec<Change> = all.iter().copied().filter(Change::rises).collect();
    let mut reported: Vec<(Change, u64)> = Vec::new();
    // What happens every noon is one finding.
    for rise in largest(rises, usize::MAX) {
        let alike = |a: f64, b: f64| (a / b.max(0.1) - 1.0).abs() < 0.3;
        let known =
            reported.iter().position(|(other, _)| alike(rise.before, other.before) && alike(rise.after, other.after));
        match known {
            Some(at) => reported[at].1 += 1,
            None if reported.len() < MAX_REPORTED => reported.push((rise, 1)),
            None => (),
        }
    }
    for (rise, count) in reported {
        // It may have begun within the interval before: then its longest latency shows when.
        let before = intervals[rise.at - 1];
        let begun = before.1.p99.line_ref.filter(|_| before.1.p99.value > 0.85 * rise.after);
        let (time, bucket) = intervals[rise.at];
        let line_ref = begun.or(bucket.p99.line_ref);
        let time = begun.and_then(|line_ref| line_ref.time).unwrap_or(time);
        let mut text = format!(
            "The p99 latency rose from {} to {} at {}",
            humanize::ms(rise.before),
            humanize::ms(rise.after),
            humanize::time_within(time, summary.span())
        );
        let falls = all.iter().find(|fall| fall.at > rise.at && !fall.rises() && fall.after < rise.before * 1.25);
        let until = falls.map_or(intervals.len(), |fall| fall.at);
        match falls {
            Some(fall) => text += &format!(" (until {})", humanize::time_within(intervals[fall.at].0, summary.span())),
            None => text += " and stayed there",
        }
        let (with, more) = coincidences(board, &intervals, &rise);
        if !with.is_empty() {
            text += &format!(", with {}", with.join(", "));
        }
        if count > 1 {
            text += &format!("; this happened {} in total", humanize::times(count));
        }
        let hours = (intervals[until - 1].0 - time) as f64 / 3_600_000.0;
        let advice = match () {
            () if with.iter().any(|with| with.contains("throttle") || with.contains("°C")) => {
                "Heat or the power supply slows the board down: see that finding."
            }
            () if with.iter().any(|with| with.contains("a start")) => {
                "It coincides with a start: compare version, bundles and configuration before and after."
            }
            () => "",
        };
        let line_refs = line_ref.into_iter().chain(more);
        let order = 20.0 + 10.0 * (rise.after / rise.before.max(0.1)).min(10.0) + hours.max(0.0).sqrt() + count as f64;
        findings.push(
            Finding::new(Severity::Warning, "latency_rose", text + ".")
                .advice(advice)
                .with_lines(line_refs)
                .order(order),
        );
    }
}

/// What else changed at the same time, and the lines that show it.
fn coincidences(board: &Board, intervals: &[TimedBucket], change: &Change) -> (Vec<String>, Vec<LineRef>) {
    let (mut with, mut line_refs) = (Vec::new(), Vec::new());
    let reach = change.reach.min(12);
    let before = &intervals[change.at - reach..change.at];
    let after = &intervals[change.at..change.at + reach];
    let bits = |intervals: &[TimedBucket]| intervals.iter().fold(0, |bits, (_, bucket)| bits | bucket.throttled);
    // The interval right before may hold the beginning of it.
    let new = bits(after) & !bits(&before[..reach - 1]) & 0xf;
    for (bit, name) in BITS.iter().enumerate().filter(|(bit, _)| new >> bit & 1 == 1) {
        with.push(format!("throttle bit {bit} ({name}) set"));
        line_refs.extend(after.iter().find_map(|(_, bucket)| bucket.throttled_at));
    }
    let both = |of: &dyn Fn(&Bucket) -> Option<f64>| {
        let side = |intervals: &[TimedBucket]| median(intervals.iter().filter_map(|(_, bucket)| of(bucket)));
        side(before).zip(side(after))
    };
    if let Some((cool, warm)) = both(&|bucket| bucket.temperature.mean()).filter(|(cool, warm)| warm - cool >= 4.0) {
        with.push(format!("the CPU at {warm:.0} instead of {cool:.0} °C"));
    }
    if let Some((slow, fast)) = both(&|bucket| bucket.fps()).filter(|(slow, fast)| *fast > slow * 1.2 && *slow > 0.0) {
        with.push(format!("{fast:.1} instead of {slow:.1} frames a second"));
    }
    let defects = |bucket: &Bucket| Some(bucket.defects as f64 / bucket.frames.judged().max(1) as f64);
    if let Some((few, many)) = both(&defects).filter(|(few, many)| *many > 0.05 && *many > few * 3.0) {
        with.push(format!(
            "{} instead of {} of the frames with defects",
            humanize::percent(many, 1.0),
            humanize::percent(few, 1.0)
        ));
    }
    let near = &intervals[change.at.saturating_sub(1)..=change.at];
    if near.iter().any(|(_, bucket)| bucket.starts > 0) {
        let version = board.start.as_ref().map(|start| format!(" of version {}", start.version)).unwrap_or_default();
        with.push(format!("a start{version}"));
        line_refs.extend(near.iter().find(|(_, bucket)| bucket.starts > 0).and_then(|(_, bucket)| bucket.first));
    }
    // The stage that took most of it.
    let rise = (1..STAGES.len() - 1).filter_map(|stage| {
        let (old, new) = both(&|bucket| Some(bucket.stages[stage].of()?.p99))?;
        (new - old > (change.after - change.before) * 0.4).then_some((new - old, stage, old, new))
    });
    if let Some((_, stage, old, new)) = rise.max_by(|a, b| a.0.total_cmp(&b.0)) {
        with.push(format!("{} at {} instead of {}", STAGES[stage].1, humanize::ms(new), humanize::ms(old)));
    }
    (with, line_refs)
}

fn dropped(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let (dropped, captured) = (board.frames.dropped_stale as f64, board.frames.captured as f64);
    // The worst hour, or the worst interval if intervals are longer.
    let mut worst: Option<(f64, Millis, &Bucket)> = None;
    for (time, bucket) in board.series.iter().filter(|(_, bucket)| bucket.frames.captured >= 20) {
        let share = bucket.frames.dropped_stale as f64 / bucket.frames.captured as f64;
        if worst.as_ref().is_none_or(|(max_share, ..)| share > *max_share) {
            worst = Some((share, time, bucket));
        }
    }
    let Some((max_share, time, bucket)) = worst else { return };
    let share = dropped / captured.max(1.0);
    let minutes = board
        .series
        .iter()
        .filter(|(_, bucket)| bucket.frames.dropped_stale * 5 > bucket.frames.captured)
        .map(|(_, bucket)| bucket.seconds)
        .sum::<f64>()
        / 60.0;
    if share < 0.05 && minutes < 5.0 {
        return;
    }
    let mut text = format!(
        "{} of the frames were dropped because a newer frame arrived before they were inspected",
        humanize::percent(dropped, captured)
    );
    if max_share > share * 1.5 {
        text += &format!(
            ", at most {} at {}",
            humanize::percent(max_share, 1.0),
            humanize::time_within(time, summary.span())
        );
    }
    if let (Some(of), Some(fps)) =
        (board.latency[2].percentiles().or(board.latency[0].percentiles()), bucket.fps().filter(|fps| *fps > 0.0))
    {
        text += &format!(
            "; the median inspection takes {}, and a frame arrives every {}",
            humanize::ms(of.p50),
            humanize::ms(1000.0 / fps)
        );
    }
    let severity = if share > 0.5 { Severity::Critical } else { Severity::Warning };
    let advice = "The CPU is too slow for this frame rate: lower the fps, use a smaller input or another bundle, disable super-resolution, or cool the board if it is throttled. Parts that are visible in more than one frame are still inspected.";
    findings.push(
        Finding::new(severity, "frames_dropped", text + ".")
            .advice(advice)
            .with_lines(bucket.dropped.line_ref)
            .order(100.0 * share.max(max_share / 4.0)),
    );
}

/// Results that the disk did not take in time.
fn unrecorded(board: &Board, findings: &mut Vec<Finding>) {
    let count = board.unrecorded;
    if count == 0 {
        return;
    }
    let text = format!(
        "{} were not recorded, because the disk did not take the results before them in time: their alarms were set, but neither \
         a record nor a picture is left",
        humanize::plural(count, "verdict")
    );
    let advice = "A card that stalls for seconds is worn out or of a slow kind: replace it, let less be written (output.normal_every, other programs), or put output.folder on another disk.";
    findings.push(Finding::new(Severity::Warning, "unrecorded", text + ".").advice(advice).order(count as f64));
}

/// A version that was judged beside the active one, or was to be.
fn shadow(board: &Board, findings: &mut Vec<Finding>) {
    let [judged, differing, skipped, failed] = board.shadow;
    if judged + skipped + failed == 0 {
        return;
    }
    let failing = if failed > 0 { format!(", and failed on {}", humanize::count(failed)) } else { String::new() };
    if judged == 0 {
        let text = format!("The shadow judged no frame: it had no time for {}{failing}.", humanize::count(skipped));
        let advice = if failed > 0 {
            "It cannot judge this line's frames: `lineside bundle verify` checks it, `lineside infer` says what it cannot do, `lineside bundle shadow NAME --end` drops it."
        } else {
            "The next frame was always due: let frames or parts come slower for as long as it is tried (`fps` of the source), or have both versions judge the marked frames: *Judge the marked frames* on the page `/compare`."
        };
        let finding = Finding::new(Severity::Warning, "shadow", text).advice(advice);
        return findings.push(finding.order((skipped + failed) as f64));
    }
    let share = 100.0 * differing as f64 / judged as f64;
    let text = format!(
        "The shadow judged {} beside the active version and said otherwise of {} ({share:.1} %); it had no time for {}{failing}.",
        humanize::plural(judged, "frame"),
        humanize::count(differing),
        humanize::count(skipped)
    );
    let advice = "The records `shadow` name the pictures of those frames: look who is right, then `lineside bundle confirm`, or `lineside bundle shadow NAME --end`.";
    let severity = if failed > 0 { Severity::Warning } else { Severity::Note };
    let finding = Finding::new(severity, "shadow", text).advice(advice).with_lines(board.shadow_records.lines());
    findings.push(finding.order(differing as f64));
}

/// Parts that got no result, and bad ones that were not rejected.
fn parts(board: &Board, findings: &mut Vec<Finding>) {
    let parts = board.parts;
    if parts.no_result > 0 {
        let share = humanize::percent(parts.no_result as f64, parts.all() as f64);
        let of = humanize::plural(parts.all(), "part");
        let text = format!("{} of {of} got no result ({share}).", humanize::count(parts.no_result));
        let advice = "The records `part` say why: `no frame`, the camera; `late` and `frame dropped`, verdicts that take too long for part.deadline_ms or the distance of two parts; `overtaken`, parts closer than the camera's frames.";
        let finding = Finding::new(Severity::Warning, "parts_without_result", text).advice(advice);
        findings.push(finding.with_lines(board.part_records.lines()).order(parts.no_result as f64));
    }
    if parts.rejects_missed > 0 {
        let text = format!("{} passed the ejector.", humanize::plural(parts.rejects_missed, "bad part"));
        let advice = "The result came when the part was past the ejector, or the run ended while it was on its way: move the ejector further from the trigger (part.reject), or shorten part.deadline_ms.";
        findings.push(
            Finding::new(Severity::Warning, "rejects_missed", text).advice(advice).order(parts.rejects_missed as f64),
        );
    }
    if parts.overdue > 0 {
        let text = format!("The lines showed {} too late or never.", humanize::plural(parts.overdue, "result"));
        let advice =
            "Results come faster than pulses and their setup let them: shorten part.pulse_ms and part.setup_ms.";
        findings
            .push(Finding::new(Severity::Warning, "parts_overdue", text).advice(advice).order(parts.overdue as f64));
    }
}

/// A camera that delivers fewer frames than before.
fn rate(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let camera =
        board.start.as_ref().is_some_and(|start| start.source.contains("/dev/") || start.source.contains("camera"));
    if !camera {
        return;
    }
    let intervals: Vec<TimedBucket> = board
        .series
        .iter()
        .filter(|(_, bucket)| bucket.seconds > 0.0 && bucket.watched > 0.8 * bucket.seconds)
        .collect();
    let fps: Vec<f64> = intervals.iter().filter_map(|(_, bucket)| bucket.fps()).collect();
    let falls = changes(&fps, 1.35, 0.5).into_iter().filter(|change| !change.rises() && change.after > 0.0).collect();
    for fall in largest(falls, 2) {
        let (time, bucket) = intervals[fall.at];
        let mut text = format!(
            "The camera delivered {:.1} instead of {:.1} frames a second from {}",
            fall.after,
            fall.before,
            humanize::time_within(time, summary.span())
        );
        let side = |range: &[TimedBucket]| median(range.iter().filter_map(|(_, bucket)| bucket.brightness.mean()));
        let (before, after) =
            (side(&intervals[fall.at - fall.reach..fall.at]), side(&intervals[fall.at..fall.at + fall.reach]));
        let darker = before.zip(after).filter(|(before, after)| after < &(before * 0.9));
        if let Some((before, after)) = darker {
            text += &format!(", while the image became darker (brightness {before:.0} → {after:.0})");
        }
        let hot = bucket.heat > 0;
        let advice = match () {
            () if hot => "The service lowered the rate because of heat: see that finding.",
            () if darker.is_some() => {
                "Many cameras expose longer in the dark and deliver fewer frames: add light, or set a fixed exposure in [source.camera.controls]."
            }
            () => {
                "Cameras deliver fewer frames when they expose longer or share a USB bus: set a fixed exposure, or use a separate port."
            }
        };
        findings.push(
            Finding::new(Severity::Note, "rate_fell", text + ".").advice(advice).with_lines(bucket.first).order(5.0),
        );
    }
}
