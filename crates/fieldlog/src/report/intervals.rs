//! A board's time in a given number of equal intervals, and latency by temperature.

use crate::humanize;
use crate::parser::Millis;
use crate::summary::{Board, Bucket, Merge, Percentiles};

/// The board's time in at most `max` equal intervals, from its first line on. Intervals without data are left out.
pub fn intervals(board: &Board, max: usize) -> Vec<(Millis, Bucket)> {
    let width = board.series.width();
    let all: Vec<(Millis, &Bucket)> = board.series.iter().collect();
    let Some((first, last)) = all.first().zip(all.last()).map(|(first, last)| (first.0, last.0)) else {
        return Vec::new();
    };
    let count = (last - first) / width + 1;
    let each = (count + max as i64 - 1) / max as i64 * width;
    let mut intervals: Vec<(Millis, Bucket)> = Vec::new();
    for (time, bucket) in all {
        let begins = first + (time - first) / each * each;
        match intervals.last_mut() {
            Some((last, interval)) if *last == begins => interval.merge(bucket.clone()),
            _ => intervals.push((begins, bucket.clone())),
        }
    }
    intervals
}

/// How long an interval of [`intervals`] is, in milliseconds.
pub fn width(intervals: &[(Millis, Bucket)], board: &Board) -> Millis {
    match intervals {
        [first, second, ..] => second.0 - first.0,
        _ => board.series.width(),
    }
}

/// Latency in a band of temperature, or with a throttle bit.
pub struct LatencyBand {
    /// For people.
    pub name: String,
    /// How long, in seconds.
    pub seconds: f64,
    /// Frame-to-verdict time, averaged over the statuses.
    pub latency: Percentiles,
}

/// Latency by temperature and by throttling; empty if the board reports neither.
pub fn bands(board: &Board) -> Vec<LatencyBand> {
    let known = |bucket: &Bucket| bucket.temperature.mean().is_some() || bucket.throttled != 0;
    if !board.series.iter().any(|(_, bucket)| known(bucket)) {
        return Vec::new();
    }
    let within = |low: f64, high: f64| {
        move |bucket: &Bucket| bucket.temperature.mean().is_some_and(|mean| (low..high).contains(&mean))
    };
    let mut bands = Vec::new();
    let mut add = |name: &str, fits: &dyn Fn(&Bucket) -> bool| {
        let mut sum = Bucket::default();
        for (_, bucket) in board.series.iter().filter(|(_, bucket)| bucket.stages[0].of().is_some() && fits(bucket)) {
            sum.merge(bucket.clone());
        }
        if let Some(latency) = sum.stages[0].of() {
            bands.push(LatencyBand { name: name.into(), seconds: sum.seconds, latency });
        }
    };
    add("under 60 °C", &within(-100.0, 60.0));
    add("60 to 70 °C", &within(60.0, 70.0));
    add("70 to 80 °C", &within(70.0, 80.0));
    add("80 °C and more", &within(80.0, 300.0));
    add("not throttled", &|bucket| bucket.throttled & 0xf == 0);
    add("throttled or capped", &|bucket| bucket.throttled & 0xf != 0);
    bands
}

/// `0x4: throttled`.
pub fn throttle_names(bits: u32) -> String {
    const WORDS: [&str; 4] = ["under-voltage", "capped", "throttled", "soft limit"];
    let names: Vec<&str> =
        WORDS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, word)| *word).collect();
    names.join(", ")
}

/// One character for each of `count` intervals: how much of it the line was inspected.
pub fn coverage_bar(board: &Board, count: usize) -> String {
    let all = intervals(board, count);
    let each = width(&all, board);
    let Some(first) = all.first().map(|(time, _)| *time) else { return String::new() };
    let mut coverage_bar = String::new();
    let mut next = first;
    let end = board.last.and_then(|last| last.time).unwrap_or(Millis::MAX);
    for (time, bucket) in &all {
        while next < *time {
            coverage_bar.push('·');
            next += each;
        }
        next += each;
        // The last one is not over.
        let long = each.min(end.saturating_sub(*time)).max(1) as f64 / 1000.0;
        let known = bucket.watched + bucket.blind;
        coverage_bar.push(match () {
            // Less than a twentieth is known: the program did not run.
            () if known < long * 0.05 => '·',
            () if bucket.blind > 0.5 * known => '░',
            () if bucket.blind > 0.02 * known || known < long * 0.8 => '▒',
            () => '█',
        });
    }
    coverage_bar
}

/// Eight heights.
pub fn sparkline(values: impl IntoIterator<Item = u64>) -> String {
    let values: Vec<u64> = values.into_iter().collect();
    let max = values.iter().copied().max().unwrap_or(0).max(1);
    let height = |value: u64| match value {
        0 => '·',
        value => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][((value * 8).div_ceil(max) as usize).clamp(1, 8) - 1],
    };
    values.into_iter().map(height).collect()
}

/// The hours with the most events and their counts, in descending order.
pub fn busiest(board: &Board, max: usize) -> Vec<(String, u64)> {
    let mut hours: Vec<(Millis, u64)> =
        board.hours.iter().filter(|(_, count)| **count > 0).map(|(time, count)| (time, *count)).collect();
    hours.sort_by_key(|(time, count)| (std::cmp::Reverse(*count), *time));
    hours.into_iter().take(max).map(|(time, count)| (humanize::time(time), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_keep_everything() {
        let mut board = Board::new("b".into(), true, None);
        for minute in 0..1000 {
            let bucket = board.series.at(minute * 60_000);
            bucket.watched = 60.0;
            bucket.events += 1;
        }
        for max in [1, 7, 72] {
            let all = intervals(&board, max);
            assert!(all.len() <= max, "{} {max}", all.len());
            assert_eq!(all.iter().map(|(_, bucket)| bucket.events).sum::<u64>(), 1000);
        }
        assert_eq!(sparkline([0, 1, 8]), "·▁█");
    }

    #[test]
    fn the_strip_shows_what_was_not_seen() {
        let mut board = Board::new("b".into(), true, None);
        for tick in (0..100).filter(|tick| !(40..60).contains(tick)) {
            let bucket = board.series.at(tick * 10_000);
            if (80..90).contains(&tick) { bucket.blind = 10.0 } else { bucket.watched = 10.0 }
        }
        assert_eq!(coverage_bar(&board, 10), "████··██░█");
    }
}
