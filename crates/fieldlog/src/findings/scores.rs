//! Whether the scores still mean what they meant: reviews, drift, alarms without end, and alarms that never come.

use super::{Finding, Severity, median, span};
use crate::humanize;
use crate::parser::Millis;
use crate::summary::{BINS, Board, Bucket, Summary};

pub fn find(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    reviews(summary, board, findings);
    storm(summary, board, findings);
    if board.reviews.is_empty() {
        climbing(board, findings);
        looks(board, findings);
    }
}

fn reviews(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    for review in board.reviews.iter().take(5) {
        let moment = |line_ref: Option<crate::summary::LineRef>| {
            line_ref.and_then(|line_ref| line_ref.time).map(|time| humanize::time_within(time, summary.span()))
        };
        let what = match review.statistic.as_str() {
            "ks" | "median" => "the scores differ from those of the training images",
            "brightness" => "the brightness differs from that of the training images",
            "sharpness" => "the sharpness differs from that of the training images",
            _ => "the frames differ from the training images",
        };
        let from = moment(review.from).map_or(String::new(), |from| format!("From {from} "));
        let until = match (moment(review.to), review.from) {
            (Some(to), _) => format!(" (until {to})"),
            (None, Some(_)) if board.is_running() => ", still at the end of the log".into(),
            _ => String::new(),
        };
        let mut text =
            format!("{from}{what}{until}: {} {:.3}, limit {:.3}", review.statistic, review.value, review.limit);
        if from.is_empty() {
            text = text[..1].to_uppercase() + &text[1..];
        }
        let guess = review.cause.trim();
        if !guess.is_empty() {
            text += &format!(". {}", humanize::truncated(guess, 120));
        }
        let advice = "Look at the images of that time. New parts or new lighting: teach again. A dirty lens or a failed lamp: clean or replace it.";
        findings.push(
            Finding::new(Severity::Warning, "drift", text)
                .advice(advice)
                .with_lines(review.from.into_iter().chain(review.to))
                .order(45.0),
        );
    }
}

/// An interval in which far more frames than usual counted as defect.
fn storm(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    const SHARE: f64 = 0.2;
    let judged: u64 = board.series.iter().map(|(_, bucket)| bucket.frames.judged()).sum();
    let defects: u64 = board.series.iter().map(|(_, bucket)| bucket.defects).sum();
    let bad =
        |bucket: &Bucket| bucket.frames.judged() > 0 && bucket.defects as f64 > SHARE * bucket.frames.judged() as f64;
    // The longest row of bad intervals; a single good one between does not end it.
    let mut worst: Option<(u64, DefectInterval)> = None;
    let mut now: Option<DefectInterval> = None;
    for (time, bucket) in board.series.iter().filter(|(_, bucket)| bucket.frames.judged() > 0) {
        match (&mut now, bad(bucket)) {
            (Some(interval), true) => interval.add(time, bucket),
            (None, true) => now = Some(DefectInterval::new(time, bucket)),
            (Some(interval), false) if !interval.spared => interval.spared = true,
            _ => now = None,
        }
        if let Some(interval) = now.filter(|interval| worst.as_ref().is_none_or(|(max, _)| interval.defects > *max)) {
            worst = Some((interval.defects, interval));
        }
    }
    let Some((_, interval)) = worst else { return };
    let rest = (defects - interval.defects) as f64 / (judged - interval.judged).max(1) as f64;
    let share = interval.defects as f64 / interval.judged.max(1) as f64;
    // If most frames are defects anyway, there is nothing to compare with.
    let nothing_else = judged - interval.judged < interval.judged / 10;
    if interval.defects < 20 || interval.seconds < 60.0 || (!nothing_else && share < 4.0 * rest) {
        return;
    }
    let end = board.last.and_then(|last| last.time).unwrap_or(Millis::MAX);
    let until = (interval.last + board.series.width()).min(end);
    let mut text = format!(
        "Unusually many alarms from {} to {}: {} of {} frames ({}) counted as defect",
        humanize::time_within(interval.first, summary.span()),
        humanize::time_within(until, summary.span()),
        humanize::count(interval.defects),
        humanize::count(interval.judged),
        humanize::percent(share, 1.0)
    );
    if !nothing_else {
        text += &format!(", {} otherwise", humanize::percent(rest, 1.0));
    }
    let side = |inside: bool| {
        median(
            board
                .series
                .iter()
                .filter(|(time, _)| (interval.first..=interval.last).contains(time) == inside)
                .filter_map(|(_, bucket)| bucket.brightness.mean()),
        )
    };
    if let Some((usual, then)) =
        side(false).zip(side(true)).filter(|(usual, then)| (then / usual.max(1.0) - 1.0).abs() > 0.15)
    {
        text += &format!("; brightness was {then:.0} instead of {usual:.0}");
    }
    let advice = "Look at the first images: either the parts were bad, or the lighting, the position or the part changed and the bundle does not cover it.";
    findings.push(
        Finding::new(Severity::Warning, "alarm_storm", text + ".")
            .advice(advice)
            .with_lines(interval.line_ref)
            .order(55.0),
    );
}

#[derive(Clone, Copy)]
struct DefectInterval {
    first: Millis,
    last: Millis,
    defects: u64,
    judged: u64,
    seconds: f64,
    spared: bool,
    line_ref: Option<crate::summary::LineRef>,
}

impl DefectInterval {
    fn new(time: Millis, bucket: &Bucket) -> DefectInterval {
        let (defects, judged) = (bucket.defects, bucket.frames.judged());
        DefectInterval {
            first: time,
            last: time,
            defects,
            judged,
            seconds: bucket.seconds,
            spared: false,
            line_ref: bucket.first,
        }
    }

    fn add(&mut self, time: Millis, bucket: &Bucket) {
        self.last = time;
        self.spared = false;
        self.seconds += bucket.seconds;
        self.defects += bucket.defects;
        self.judged += bucket.frames.judged();
    }
}

/// No alarm at all, and yet the scores climb.
fn climbing(board: &Board, findings: &mut Vec<Finding>) {
    let sketched: Vec<&Bucket> = board
        .series
        .iter()
        .map(|(_, bucket)| bucket)
        .filter(|bucket| bucket.scores.iter().any(|count| *count > 0))
        .collect();
    let quarter = sketched.len() / 4;
    if quarter < 3 || span(board) < 1800.0 {
        return;
    }
    let sum = |buckets: &[&Bucket]| {
        let mut bins = [0_u64; BINS];
        for bucket in buckets {
            bins.iter_mut().zip(bucket.scores).for_each(|(bin, count)| *bin += count);
        }
        bins
    };
    let (then, now) = (sum(&sketched[..quarter]), sum(&sketched[sketched.len() - quarter..]));
    let distance = distance(&then, &now);
    let (low, high) = (middle(&then), middle(&now));
    let silent = board.defects == 0 && board.events == 0;
    if distance < 0.25 || high <= low && silent {
        return;
    }
    let line_refs = [sketched[0], sketched[sketched.len() - quarter]].into_iter().filter_map(|bucket| bucket.first);
    let change = format!(
        "the median score was below {low:.2} in the first quarter of the log and below {high:.2} in the last (Kolmogorov–Smirnov distance {distance:.2})"
    );
    let finding = if silent {
        let text = format!("No alarm in {}, but the scores are rising: {change}.", humanize::duration(span(board)));
        let advice = "Either the line slowly degrades and the threshold is too high, or the lighting, the lens or the parts change: compare current frames with the training images.";
        Finding::new(Severity::Warning, "scores_climb", text).advice(advice)
    } else {
        let advice = "The parts, the lighting or the lens changed: compare images from both times.";
        Finding::new(Severity::Note, "scores_moved", format!("The scores changed: {change}.")).advice(advice)
    };
    findings.push(finding.with_lines(line_refs).order(35.0));
}

/// The largest difference of two distributions (Kolmogorov and Smirnov).
fn distance(a: &[u64; BINS], b: &[u64; BINS]) -> f64 {
    let total = |bins: &[u64; BINS]| bins.iter().sum::<u64>().max(1) as f64;
    let (mut below_a, mut below_b, mut max) = (0.0, 0.0, 0.0_f64);
    for (count_a, count_b) in a.iter().zip(b) {
        below_a += *count_a as f64 / total(a);
        below_b += *count_b as f64 / total(b);
        max = max.max((below_a - below_b).abs());
    }
    max
}

/// The upper end of the bin in which the middle score lies.
fn middle(bins: &[u64; BINS]) -> f64 {
    let half = bins.iter().sum::<u64>() / 2;
    let mut below = 0;
    let bin = bins.iter().position(|count| {
        below += count;
        below > half
    });
    (bin.unwrap_or(0) + 1) as f64 / BINS as f64
}

/// Frames that become darker or less sharp.
fn looks(board: &Board, findings: &mut Vec<Finding>) {
    for (what, kind, of, advice) in [
        (
            "Brightness",
            "darker",
            (|bucket| bucket.brightness.mean()) as fn(&Bucket) -> Option<f64>,
            "A failing lamp, dirt, or daylight.",
        ),
        ("Sharpness", "blurred", |bucket| bucket.sharpness.mean(), "A dirty lens, or a lens that was moved."),
    ] {
        let known: Vec<(f64, &Bucket)> =
            board.series.iter().filter_map(|(_, bucket)| Some((of(bucket)?, bucket))).collect();
        let quarter = known.len() / 4;
        if quarter < 3 || span(board) < 1800.0 {
            continue;
        }
        let end = &known[known.len() - quarter..];
        let Some((then, now)) =
            median(known[..quarter].iter().map(|(value, _)| *value)).zip(median(end.iter().map(|(value, _)| *value)))
        else {
            continue;
        };
        if now < 0.7 * then {
            let text = format!("{what} fell from {then:.0} in the first quarter of the log to {now:.0} in the last.");
            let line_refs = [known[0].1.first, end[0].1.first].into_iter().flatten();
            findings.push(Finding::new(Severity::Warning, kind, text).advice(advice).with_lines(line_refs).order(25.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_middles_are_those_of_the_definition() {
        let (mut a, mut b) = ([0; BINS], [0; BINS]);
        (a[2], b[2], b[10]) = (10, 5, 5);
        assert_eq!(distance(&a, &b), 0.5);
        assert_eq!(distance(&a, &a), 0.0);
        assert_eq!(distance(&a, &[0; BINS]), 1.0);
        assert_eq!((middle(&a), middle(&b)), (0.15, 0.55));
    }
}
