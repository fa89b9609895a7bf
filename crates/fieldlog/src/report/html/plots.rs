//! The plots of a board: inspection time, latency, memory, heat, frames, severities, scores, events.

use super::plot::{Axis, Plot, round_up};
use crate::humanize;
use crate::parser::Millis;
use crate::report::intervals::{intervals, width};
use crate::summary::{BINS, Board, Bucket, SEVEREST};
use maud::{Markup, html};

/// Points of a line.
const POINTS: usize = 480;
/// Columns of a distribution over time.
const COLUMNS: usize = 120;

type Points = [(Millis, Bucket)];

/// All plots of a board; `marks` are times of findings.
pub fn all(board: &Board, marks: &[Millis]) -> Markup {
    let points = intervals(board, POINTS);
    let (Some((from, _)), Some((last, _))) = (points.first(), points.last()) else { return html! {} };
    let width = width(&points, board);
    if points.len() < 3 {
        return html! {};
    }
    let axis = Axis { from: *from, to: last + width, width };
    html! {
        (watched(&points, axis))
        (latency(&points, axis, marks))
        (frames(&points, axis))
        (heat(&points, axis))
        (memory(board, &points, axis))
        (severities(board, axis))
        (scores(board, axis))
        (looks(&points, axis))
        (events(board, axis))
    }
}

fn largest(points: &Points, of: impl Fn(&Bucket) -> Option<f64>) -> Option<f64> {
    points.iter().filter_map(|(_, bucket)| of(bucket)).max_by(f64::total_cmp)
}

fn watched(points: &Points, axis: Axis) -> Markup {
    let mut plot = Plot::new(axis, "Inspecting", (0.0, 1.0), ["".into(), "".into()]).class("low");
    plot.key("--ok", "inspecting");
    plot.key("--bad", "not inspecting");
    plot.key("--line", "not running");
    let known = |bucket: &Bucket| bucket.watched + bucket.blind;
    let whole = axis.width as f64 / 1000.0;
    plot.columns("--line", points.iter().map(|(time, _)| (*time, 0.0, 1.0)));
    plot.columns(
        "--ok",
        points
            .iter()
            .filter(|(_, bucket)| known(bucket) > 0.0)
            .map(|(time, bucket)| (*time, 0.0, (known(bucket) / whole).clamp(0.0, 1.0).max(0.6))),
    );
    plot.columns(
        "--bad",
        points
            .iter()
            .filter(|(_, bucket)| bucket.blind > 0.0)
            .map(|(time, bucket)| (*time, 0.0, (bucket.blind / known(bucket)).max(0.15))),
    );
    plot.html()
}

fn latency(points: &Points, axis: Axis, marks: &[Millis]) -> Markup {
    let of = |bucket: &Bucket| bucket.stages[0].of();
    let Some(max) = largest(points, |bucket| Some(of(bucket)?.p99)) else { return html! {} };
    let high = round_up(max);
    let mut plot =
        Plot::new(axis, "Capture to verdict, ms", (0.0, high), ["0".into(), format!("{high:.0}")]).class("tall");
    plot.key("--a", "p50");
    plot.key("--b", "p99");
    plot.key("--warn", "start of a finding");
    marks.iter().for_each(|time| plot.mark(*time));
    plot.line("--b", points.iter().map(|(time, bucket)| (*time, of(bucket).map(|of| of.p99))));
    plot.line("--a", points.iter().map(|(time, bucket)| (*time, of(bucket).map(|of| of.p50))));
    plot.html()
}

fn frames(points: &Points, axis: Axis) -> Markup {
    let Some(max) = largest(points, Bucket::fps).filter(|max| *max > 0.0) else { return html! {} };
    let high = round_up(max);
    let mut plot = Plot::new(axis, "Frames per second", (0.0, high), ["0".into(), format!("{high}")]);
    plot.key("--calm", "inspected");
    plot.key("--b", "dropped as stale");
    plot.key("--bad", "failed");
    let parts = |bucket: &Bucket| {
        let each = |count: u64| count as f64 / bucket.seconds.max(1e-9);
        let judged = each(bucket.frames.judged());
        let dropped = judged + each(bucket.frames.dropped_stale);
        [judged, dropped, dropped + each(bucket.frames.failed)]
    };
    let known =
        || points.iter().filter(|(_, bucket)| bucket.seconds > 0.0).map(|(time, bucket)| (*time, parts(bucket)));
    plot.columns("--calm", known().map(|(time, [judged, ..])| (time, 0.0, judged)));
    plot.columns("--b", known().map(|(time, [judged, dropped, _])| (time, judged, dropped)));
    plot.columns("--bad", known().map(|(time, [_, dropped, all])| (time, dropped, all)));
    plot.html()
}

fn heat(points: &Points, axis: Axis) -> Markup {
    let warm = |bucket: &Bucket| bucket.temperature.mean().map(|_| bucket.temperature.max);
    let Some(max) = largest(points, warm) else { return html! {} };
    let high = (max / 10.0).ceil() * 10.0;
    let low = largest(points, |bucket| Some(-bucket.temperature.mean()?))
        .map_or(0.0, |min| ((-min - 5.0) / 10.0).floor() * 10.0);
    let mut plot = Plot::new(axis, "Temperature, °C", (low, high), [format!("{low:.0}"), format!("{high:.0}")]);
    plot.key("--b", "CPU");
    plot.key("--fill2", "throttled, capped or under-voltage");
    let bits = |mask: u32| {
        points.iter().filter(move |(_, bucket)| bucket.throttled & mask != 0).map(move |(time, _)| (*time, low, high))
    };
    plot.columns("--fill2", bits(0xf));
    plot.line("--b", points.iter().map(|(time, bucket)| (*time, warm(bucket))));
    plot.html()
}

fn memory(board: &Board, points: &Points, axis: Axis) -> Markup {
    let held = |bucket: &Bucket| bucket.rss.line_ref.map(|_| bucket.rss.value);
    let Some(max) = largest(points, held) else { return html! {} };
    let budget = board.start.as_ref().and_then(|start| start.budget).map(|budget| budget as f64);
    let high = max.max(budget.unwrap_or(0.0)) * 1.05;
    let mut plot = Plot::new(axis, "Memory", (0.0, high), ["0".into(), humanize::bytes(high)]);
    plot.key("--a", "resident");
    if let Some(budget) = budget {
        plot.key("--bad", &format!("budget, {}", humanize::bytes(budget)));
        plot.limit(budget);
    }
    plot.line("--a", points.iter().map(|(time, bucket)| (*time, held(bucket))));
    plot.html()
}

/// Severities as a map, where the log has them.
fn severities(board: &Board, axis: Axis) -> Markup {
    let map =
        Map { title: "Severity", high: SEVEREST, label: format!("{SEVEREST} +"), bins: |bucket| &bucket.severities };
    map.plot(board, axis, Some((1.0, "alarm, 1".into())))
}

/// Scores as a map.
fn scores(board: &Board, axis: Axis) -> Markup {
    let threshold = board.worst.by_severity.first().and_then(|frame| frame.threshold);
    let limit = threshold.map(|threshold| (threshold, format!("threshold, {threshold}")));
    Map { title: "Scores", high: 1.0, label: "1".into(), bins: |bucket| &bucket.scores }.plot(board, axis, limit)
}

/// A distribution over time: time across, values upwards, the darker the more frames.
struct Map {
    title: &'static str,
    /// Where the bins end, and what is written there.
    high: f64,
    label: String,
    bins: fn(&Bucket) -> &[u64; BINS],
}

impl Map {
    /// The map with a limit across; nothing where no interval has such counts.
    fn plot(self, board: &Board, axis: Axis, limit: Option<(f64, String)>) -> Markup {
        let Map { title, high, label, bins } = self;
        let points = intervals(board, COLUMNS);
        if points.iter().all(|(_, bucket)| bins(bucket).iter().all(|count| *count == 0)) {
            return html! {};
        }
        let axis = Axis { width: width(&points, board), ..axis };
        let mut plot = Plot::new(axis, title, (0.0, high), ["0".into(), label]).class("tall");
        plot.key("--a", "darker: more frames");
        if let Some((_, text)) = &limit {
            plot.key("--bad", text);
        }
        const SHADES: [(f64, f64); 6] = [(0.002, 0.1), (0.02, 0.22), (0.06, 0.4), (0.15, 0.6), (0.3, 0.8), (0.6, 1.0)];
        let edge = |bin: usize| high * bin as f64 / BINS as f64;
        for (number, (min, opacity)) in SHADES.iter().enumerate() {
            let next = SHADES.get(number + 1).map_or(f64::INFINITY, |next| next.0);
            let cells = points.iter().flat_map(|(time, bucket)| {
                let all = bins(bucket).iter().sum::<u64>().max(1) as f64;
                let shade = move |count: u64| (count as f64 / all).max(if count > 0 { SHADES[0].0 } else { 0.0 });
                let dark =
                    bins(bucket).iter().enumerate().filter(move |(_, count)| (*min..next).contains(&shade(**count)));
                dark.map(move |(bin, _)| (*time, edge(bin), edge(bin + 1)))
            });
            plot.cells("--a", *opacity, cells);
        }
        if let Some((value, _)) = limit {
            plot.limit(value);
        }
        plot.html()
    }
}

fn looks(points: &Points, axis: Axis) -> Markup {
    let bright = |bucket: &Bucket| bucket.brightness.mean();
    let sharp = |bucket: &Bucket| bucket.sharpness.mean();
    if largest(points, bright).is_none() {
        return html! {};
    }
    let sharpest = largest(points, sharp).map_or(1.0, round_up);
    let mut plot = Plot::new(axis, "Brightness and sharpness", (0.0, 255.0), ["0".into(), "255".into()]);
    plot.key("--a", "brightness, grey levels");
    plot.key("--b", &format!("sharpness, 0 to {sharpest:.0} ‰"));
    plot.line("--b", points.iter().map(|(time, bucket)| (*time, sharp(bucket).map(|sharp| sharp / sharpest * 255.0))));
    plot.line("--a", points.iter().map(|(time, bucket)| (*time, bright(bucket))));
    plot.html()
}

fn events(board: &Board, axis: Axis) -> Markup {
    let hours: Vec<(Millis, f64)> = board.hours.iter().map(|(time, count)| (time, *count as f64)).collect();
    let Some(max) = hours.iter().map(|(_, count)| *count).max_by(f64::total_cmp).filter(|max| *max > 0.0) else {
        return html! {};
    };
    let high = round_up(max);
    let axis = Axis { width: board.hours.width(), ..axis };
    let title = if board.hours.width() == 3_600_000 { "Events per hour" } else { "Events" };
    let mut plot = Plot::new(axis, title, (0.0, high), ["0".into(), format!("{high:.0}")]);
    plot.columns("--b", hours.into_iter().map(|(time, count)| (time, 0.0, count)));
    plot.html()
}
