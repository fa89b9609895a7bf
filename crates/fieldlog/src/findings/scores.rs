//! Whether the scores still mean what they meant: reviews, drift, alarms without end, and alarms that never come.

use super::{Finding, Weight, median, span};
use crate::form::Millis;
use crate::say;
use crate::story::{BINS, Board, Bucket, Story};

pub fn find(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    reviews(story, board, findings);
    storm(story, board, findings);
    if board.reviews.is_empty() {
        climbing(board, findings);
        looks(board, findings);
    }
}

fn reviews(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    for review in board.reviews.iter().take(5) {
        let moment = |place: Option<crate::story::Place>| {
            place.and_then(|place| place.time).map(|time| say::moment(time, story.span()))
        };
        let what = match review.statistic.as_str() {
            "ks" | "median" => "the scores are not those that the bundle was taught with",
            "brightness" => "the frames are not as bright as those that the bundle was taught with",
            "sharpness" => "the frames are not as sharp as those that the bundle was taught with",
            _ => "the frames are not like those that the bundle was taught with",
        };
        let from = moment(review.from).map_or(String::new(), |from| format!("From {from} "));
        let until = match (moment(review.to), review.from) {
            (Some(to), _) => format!(" (until {to})"),
            (None, Some(_)) if board.goes_on() => " and so it is when the log ends".into(),
            _ => String::new(),
        };
        let mut text =
            format!("{from}{what}{until}: {} {:.3}, limit {:.3}", review.statistic, review.value, review.limit);
        if from.is_empty() {
            text = text[..1].to_uppercase() + &text[1..];
        }
        let guess = review.cause.trim();
        if !guess.is_empty() {
            text += &format!(". {}", say::short(guess, 120));
        }
        let advice = "Look at the pictures of that time. New parts or a new light: teach again. A dirty lens or a dead lamp: clean or change it.";
        findings.push(
            Finding::new(Weight::Warning, "drift", text)
                .advice(advice)
                .shown(review.from.into_iter().chain(review.to))
                .order(45.0),
        );
    }
}

/// A stretch in which far more frames than usual counted as defect.
fn storm(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    const SHARE: f64 = 0.2;
    let judged: u64 = board.series.iter().map(|(_, bucket)| bucket.frames.judged()).sum();
    let defects: u64 = board.series.iter().map(|(_, bucket)| bucket.defects).sum();
    let bad =
        |bucket: &Bucket| bucket.frames.judged() > 0 && bucket.defects as f64 > SHARE * bucket.frames.judged() as f64;
    // The longest row of bad stretches; a single good one between does not end it.
    let mut worst: Option<(u64, Stretch)> = None;
    let mut now: Option<Stretch> = None;
    for (time, bucket) in board.series.iter().filter(|(_, bucket)| bucket.frames.judged() > 0) {
        match (&mut now, bad(bucket)) {
            (Some(stretch), true) => stretch.add(time, bucket),
            (None, true) => now = Some(Stretch::new(time, bucket)),
            (Some(stretch), false) if !stretch.spared => stretch.spared = true,
            _ => now = None,
        }
        if let Some(stretch) = now.filter(|stretch| worst.as_ref().is_none_or(|(most, _)| stretch.defects > *most)) {
            worst = Some((stretch.defects, stretch));
        }
    }
    let Some((_, stretch)) = worst else { return };
    let rest = (defects - stretch.defects) as f64 / (judged - stretch.judged).max(1) as f64;
    let share = stretch.defects as f64 / stretch.judged.max(1) as f64;
    // Where most of the line is bad anyway, there is nothing to hold it against.
    let nothing_else = judged - stretch.judged < stretch.judged / 10;
    if stretch.defects < 20 || stretch.seconds < 60.0 || (!nothing_else && share < 4.0 * rest) {
        return;
    }
    let end = board.last.and_then(|last| last.time).unwrap_or(Millis::MAX);
    let until = (stretch.last + board.series.width()).min(end);
    let mut text = format!(
        "A storm of alarms from {} to {}: {} of {} frames ({}) counted as defect",
        say::moment(stretch.first, story.span()),
        say::moment(until, story.span()),
        say::count(stretch.defects),
        say::count(stretch.judged),
        say::share(share, 1.0)
    );
    if !nothing_else {
        text += &format!(", {} otherwise", say::share(rest, 1.0));
    }
    let side = |inside: bool| {
        median(
            board
                .series
                .iter()
                .filter(|(time, _)| (stretch.first..=stretch.last).contains(time) == inside)
                .filter_map(|(_, bucket)| bucket.brightness.mean()),
        )
    };
    if let Some((usual, then)) =
        side(false).zip(side(true)).filter(|(usual, then)| (then / usual.max(1.0) - 1.0).abs() > 0.15)
    {
        text += &format!("; brightness was {then:.0} instead of {usual:.0}");
    }
    let advice = "Look at the first pictures: either the parts were bad, or the light, the position or the part changed and the bundle knows nothing of it.";
    findings
        .push(Finding::new(Weight::Warning, "alarm_storm", text + ".").advice(advice).shown(stretch.place).order(55.0));
}

#[derive(Clone, Copy)]
struct Stretch {
    first: Millis,
    last: Millis,
    defects: u64,
    judged: u64,
    seconds: f64,
    spared: bool,
    place: Option<crate::story::Place>,
}

impl Stretch {
    fn new(time: Millis, bucket: &Bucket) -> Stretch {
        let (defects, judged) = (bucket.defects, bucket.frames.judged());
        Stretch {
            first: time,
            last: time,
            defects,
            judged,
            seconds: bucket.seconds,
            spared: false,
            place: bucket.first,
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
    let places = [sketched[0], sketched[sketched.len() - quarter]].into_iter().filter_map(|bucket| bucket.first);
    let told = format!(
        "half of the scores were under {low:.2} in the first quarter of the log and are under {high:.2} in the last (distance of the distributions {distance:.2})"
    );
    let finding = if silent {
        let text = format!("No alarm in {}, and yet the scores climb: {told}.", say::seconds(span(board)));
        let advice = "Either the line slowly becomes worse and the threshold is too high, or the light, the lens or the parts change: look at frames of today beside those that were taught.";
        Finding::new(Weight::Warning, "scores_climb", text).advice(advice)
    } else {
        let advice = "The parts, the light or the lens changed: look at pictures from both times.";
        Finding::new(Weight::Note, "scores_moved", format!("The scores moved: {told}.")).advice(advice)
    };
    findings.push(finding.shown(places).order(35.0));
}

/// The largest difference of two distributions (Kolmogorov and Smirnov).
fn distance(a: &[u64; BINS], b: &[u64; BINS]) -> f64 {
    let total = |bins: &[u64; BINS]| bins.iter().sum::<u64>().max(1) as f64;
    let (mut below_a, mut below_b, mut most) = (0.0, 0.0, 0.0_f64);
    for (count_a, count_b) in a.iter().zip(b) {
        below_a += *count_a as f64 / total(a);
        below_b += *count_b as f64 / total(b);
        most = most.max((below_a - below_b).abs());
    }
    most
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
            "dark",
            "darker",
            (|bucket| bucket.brightness.mean()) as fn(&Bucket) -> Option<f64>,
            "A lamp that dies, dirt, or daylight that plays a part.",
        ),
        ("blurred", "blurred", |bucket| bucket.sharpness.mean(), "A dirty lens, or one that was moved."),
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
            let text = format!(
                "The frames became {what}: from {then:.0} in the first quarter of the log to {now:.0} in the last."
            );
            let places = [known[0].1.first, end[0].1.first].into_iter().flatten();
            findings.push(Finding::new(Weight::Warning, kind, text).advice(advice).shown(places).order(25.0));
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
