//! Whether the scores still mean what they meant: reviews, drift, alarms without end, and alarms that never come.

use super::proportion::{ln_upper_tail, probability};
use super::{Finding, Severity, median, span};
use crate::humanize;
use crate::parser::Millis;
use crate::summary::{BINS, Board, Bucket, FrameCounts, Summary};

pub fn find(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    reviews(summary, board, findings);
    alarms(summary, board, findings);
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

/// The share of frames that may count as defect without a finding, where the log does not show what the bundle promises.
const SHARE: f64 = 0.2;
/// By which factor an interval must exceed what is promised, and the rest of the log.
const EXCESS: f64 = 4.0;
/// Fewer defects, or frames, are too few for a finding: a single part stays in view for several frames.
const MIN_DEFECTS: u64 = 10;
const MIN_FRAMES: u64 = 50;
/// The natural logarithm of the probability below which a share is not by chance: one in a million.
const LN_CHANCE: f64 = -13.8;

/// Whether more frames counted as defect than the bundle promises and chance explains: in an interval, or in the whole log.
fn alarms(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let promised = Promise::of(board);
    if !storm(summary, board, promised, findings) {
        steady_excess(board, promised, findings);
    }
}

/// The share of normal frames that the bundle lets count as defect.
#[derive(Clone, Copy)]
struct Promise {
    /// 0..1; `None` where no record shows it.
    rate: Option<f64>,
    /// The part of the verdicts that are of a frame of their own; others took over the verdict of the frame before.
    own: f64,
}

impl Promise {
    fn of(board: &Board) -> Promise {
        let mut sum = (0.0, 0.0);
        let mut frames = FrameCounts::default();
        for (_, bucket) in board.series.iter() {
            frames = frames.plus(&bucket.frames);
            if let Some(rate) = bucket.promised.mean() {
                let judged = bucket.frames.judged() as f64;
                sum = (sum.0 + rate * judged, sum.1 + judged);
            }
        }
        let own = frames.inspected as f64 / frames.judged().max(1) as f64;
        Promise { rate: (sum.1 > 0.0).then(|| sum.0 / sum.1), own }
    }

    /// The logarithm of the probability that as many defects are by chance; `None` where nothing is promised or there are too
    /// few frames. Repeated verdicts are no trials of their own.
    fn ln_chance(self, defects: u64, judged: u64) -> Option<f64> {
        let own = |count: u64| (count as f64 * self.own).round() as u64;
        let (defects, judged) = (own(defects), own(judged));
        let enough = defects >= MIN_DEFECTS && judged >= MIN_FRAMES && defects <= judged;
        self.rate.filter(|_| enough).map(|rate| ln_upper_tail(defects, judged, rate))
    }

    /// The sentence that compares a finding with the promise; empty where there is none.
    fn sentence(self, ln: Option<f64>) -> String {
        let Some((rate, ln)) = self.rate.zip(ln) else { return String::new() };
        format!(
            ". The bundle's threshold lets {} of normal frames count as defect: by chance alone that many have a probability of {} (exact binomial test)",
            humanize::percent(rate, 1.0),
            probability(ln)
        )
    }
}

/// The whole log has more defects than promised, without a time at which they are far more.
fn steady_excess(board: &Board, promise: Promise, findings: &mut Vec<Finding>) {
    let judged: u64 = board.series.iter().map(|(_, bucket)| bucket.frames.judged()).sum();
    let defects: u64 = board.series.iter().map(|(_, bucket)| bucket.defects).sum();
    let Some((ln, rate)) = promise.ln_chance(defects, judged).zip(promise.rate).filter(|(ln, _)| *ln < LN_CHANCE)
    else {
        return;
    };
    let share = defects as f64 / judged as f64;
    let text = format!(
        "{} of {} frames ({}) counted as defect{}.",
        humanize::count(defects),
        humanize::count(judged),
        humanize::percent(share, 1.0),
        promise.sentence(Some(ln))
    );
    let severity = if share >= EXCESS * rate { Severity::Warning } else { Severity::Note };
    let first = board.series.iter().find(|(_, bucket)| bucket.defects > 0).and_then(|(_, bucket)| bucket.first);
    findings.push(Finding::new(severity, "alarm_storm", text).advice(STORM_ADVICE).with_lines(first).order(50.0));
}

const STORM_ADVICE: &str = "Look at the first images: either the parts were bad, or the lighting, the position or the part changed and the bundle does not cover it.";

/// An interval in which far more frames than usual, and than promised, counted as defect. Returns whether there is one.
fn storm(summary: &Summary, board: &Board, promise: Promise, findings: &mut Vec<Finding>) -> bool {
    let judged: u64 = board.series.iter().map(|(_, bucket)| bucket.frames.judged()).sum();
    let defects: u64 = board.series.iter().map(|(_, bucket)| bucket.defects).sum();
    let limit = promise.rate.map_or(SHARE, |rate| EXCESS * rate);
    let bad =
        |bucket: &Bucket| bucket.frames.judged() > 0 && bucket.defects as f64 > limit * bucket.frames.judged() as f64;
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
    let Some((_, interval)) = worst else { return false };
    let rest = (defects - interval.defects) as f64 / (judged - interval.judged).max(1) as f64;
    let share = interval.defects as f64 / interval.judged.max(1) as f64;
    // If most frames are defects anyway, there is nothing to compare with.
    let nothing_else = judged - interval.judged < interval.judged / 10;
    let chance = promise.ln_chance(interval.defects, interval.judged);
    let by_chance = promise.rate.is_some() && chance.is_none_or(|ln| ln >= LN_CHANCE);
    if interval.defects < 20 || interval.seconds < 60.0 || by_chance || (!nothing_else && share < EXCESS * rest) {
        return false;
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
    text += &promise.sentence(chance);
    findings.push(
        Finding::new(Severity::Warning, "alarm_storm", text + ".")
            .advice(STORM_ADVICE)
            .with_lines(interval.line_ref)
            .order(55.0),
    );
    true
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
