//! The report for people, on a terminal or in a letter: what was found first, then each board.

use super::stretches::{bands, busiest, spark, stretches, strip, throttle_words};
use super::{Report, blind, describe};
use crate::findings::Finding;
use crate::say;
use crate::story::{Board, EventFrame, STAGES};
use std::fmt::Write as _;

/// Columns.
const WIDE: usize = 110;
/// Rows of a table over time.
const ROWS: usize = 16;
/// Runs that are listed one by one.
const RUNS: usize = 24;

impl Report {
    /// The report as text for a terminal, in lines of about 110 columns.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.read(&mut out);
        self.found(&mut out);
        for board in &self.story.boards {
            self.board(board, &mut out);
        }
        // What a log holds must not steer the terminal.
        out.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
    }

    fn read(&self, out: &mut String) {
        let inputs = &self.story.inputs;
        let (lines, records) =
            inputs.iter().fold((0, 0), |(lines, records), input| (lines + input.lines, records + input.records));
        let bytes: u64 = inputs.iter().map(|input| input.bytes).sum();
        let size = if bytes > 0 { format!(" in {}", say::bytes(bytes as f64)) } else { String::new() };
        let what = if inputs.len() == 1 { self.names[0].clone() } else { say::many(inputs.len() as u64, "input") };
        let _ = writeln!(
            out,
            "Read {what}: {}{size}, {} of Lineside",
            say::many(lines, "line"),
            say::many(records, "record")
        );
        if let Some((first, last)) = self.story.span() {
            let long = say::seconds((last - first) as f64 / 1000.0);
            let _ = writeln!(out, "From {} to {} UTC ({long})", say::time(first), say::time(last));
        }
        let mut told = 0;
        for (input, name) in inputs.iter().zip(&self.names) {
            for note in &input.notes {
                told += 1;
                if told <= 40 {
                    paragraph(out, "  ", &format!("{name}: {note}"));
                }
            }
        }
        if told > 40 {
            let _ = writeln!(out, "  and {} more of this kind", told - 40);
        }
    }

    fn found(&self, out: &mut String) {
        let _ = writeln!(out, "\nFindings: {}", self.summary());
        if self.findings.is_empty() {
            let _ = writeln!(out, "  {}", self.nothing_found());
        }
        let several = self.story.boards.len() > 1;
        for (number, finding) in self.findings.iter().enumerate() {
            let Finding { weight, board, text, advice, places, .. } = finding;
            let board = if several && !board.is_empty() { format!("{board}: ") } else { String::new() };
            paragraph(out, &format!("{:>3}. ", number + 1), &format!("[{}] {board}{text}", weight.word()));
            if !places.is_empty() {
                paragraph(out, "     ", &format!("({})", self.places(places)));
            }
            if !advice.is_empty() {
                paragraph(out, "     → ", advice);
            }
        }
    }

    fn board(&self, board: &Board, out: &mut String) {
        let _ = writeln!(out, "\n== {} ==", board.name);
        let described = describe(board);
        if !described.is_empty() {
            paragraph(out, "", &described);
        }
        self.runs(board, out);
        watched(board, out);
        frames(board, out);
        latency(board, out);
        self.over_time(board, out);
        memory(board, out);
        self.events(board, out);
        self.faults(board, out);
        self.drift(board, out);
    }

    fn runs(&self, board: &Board, out: &mut String) {
        let runs: u64 = board.rows.iter().map(|row| row.runs).sum();
        let _ = writeln!(out, "\nRuns: {}", say::count(runs));
        let _ =
            writeln!(out, "  {:<19}  {:<19}  {:>11}  {:>12}  {:>8}  ended", "from", "to", "for", "frames", "defects");
        let left_out = board.rows.len().saturating_sub(RUNS);
        for (number, row) in board.rows.iter().enumerate() {
            if left_out > 0 && (RUNS / 2..RUNS / 2 + left_out).contains(&number) {
                if number == RUNS / 2 {
                    let _ = writeln!(out, "  … {left_out} rows left out; --json has them");
                }
                continue;
            }
            let time = |time: Option<i64>| time.map(say::time).unwrap_or_default();
            let long =
                row.first.time.zip(row.last.time).map(|(first, last)| say::seconds((last - first) as f64 / 1000.0));
            let from = if row.started { time(row.first.time) } else { format!("<{}", time(row.first.time)) };
            let several = if row.runs > 1 { format!("{} runs: ", row.runs) } else { String::new() };
            let why = row.why.map(|place| format!(" ({})", self.place(&place))).unwrap_or_default();
            let _ = writeln!(
                out,
                "  {from:<19}  {:<19}  {:>11}  {:>12}  {:>8}  {several}{}{why}",
                time(row.last.time),
                long.unwrap_or_default(),
                say::count(row.frames.captured),
                say::count(row.defects),
                say::short(&row.ending.text(), 80)
            );
        }
    }

    fn over_time(&self, board: &Board, out: &mut String) {
        let mut rows = stretches(board, ROWS);
        rows.retain(|(_, bucket)| bucket.seconds > 0.0);
        if rows.len() < 2 {
            return;
        }
        let _ = writeln!(out, "\nOver time");
        let head = ["from", "fps", "dropped", "defects", "p50 ms", "p99 ms", "MiB", "°C", "throttled"];
        let _ = writeln!(
            out,
            "  {:<12}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>7}  {}",
            head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7], head[8]
        );
        for (time, bucket) in rows {
            let number =
                |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
            let latency = bucket.stages[0].of();
            let frames = bucket.frames;
            let dropped =
                (frames.captured > 0).then(|| say::share(frames.dropped_stale as f64, frames.captured as f64));
            let rss = bucket.rss.place.map(|_| bucket.rss.value / 1_048_576.0);
            let hot = bucket.temperature.mean().map(|_| bucket.temperature.max);
            let line = format!(
                "  {:<12}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>7}  {}",
                say::moment(time, self.story.span()),
                number(bucket.fps(), 1),
                dropped.unwrap_or_default(),
                if bucket.seconds > 0.0 { say::count(bucket.defects) } else { String::new() },
                number(latency.map(|latency| latency.p50), 1),
                number(latency.map(|latency| latency.p99), 1),
                number(rss, 1),
                number(hot, 0),
                throttle_words(bucket.throttled)
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    fn events(&self, board: &Board, out: &mut String) {
        let _ = writeln!(
            out,
            "\nEvents: {} told, {} with defects",
            say::count(board.events),
            say::many(board.defects, "frame")
        );
        if board.events == 0 {
            return;
        }
        let _ = writeln!(out, "  by hour of the day, 00 to 23 UTC: {}", spark(board.by_hour));
        let busiest: Vec<String> =
            busiest(board, 3).into_iter().map(|(hour, count)| format!("{} ({})", hour, say::count(count))).collect();
        let _ = writeln!(out, "  most in the hours from {}", busiest.join(", "));
        let worst = &board.worst;
        for (title, frames) in [("highest scores", &worst.by_score), ("slowest", &worst.slowest)] {
            if frames.is_empty() {
                continue;
            }
            let _ = writeln!(out, "  {title}");
            for frame in frames.iter().take(8) {
                self.frame(frame, out);
            }
        }
    }

    fn frame(&self, frame: &EventFrame, out: &mut String) {
        let latency = frame.latency_ms.map(say::ms).unwrap_or_default();
        let _ = writeln!(
            out,
            "    {:<19}  {:.4}  {latency:>8}  {:<28} {} ({})",
            frame.time.map(say::time).unwrap_or_default(),
            frame.score,
            say::short(&frame.frame, 28),
            frame.annotated,
            self.place(&frame.place)
        );
    }

    fn faults(&self, board: &Board, out: &mut String) {
        if board.faults.causes.is_empty() {
            return;
        }
        let _ = writeln!(out, "\nFaults");
        let _ = writeln!(out, "  {:<8}  {:>6}  {:>11}  {:>11}  cause", "what", "times", "together", "longest");
        let mut causes: Vec<_> = board.faults.causes.iter().filter(|fault| fault.seen.count > 0).collect();
        causes.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then(b.seen.count.cmp(&a.seen.count)));
        for fault in causes.iter().take(16) {
            let _ = writeln!(
                out,
                "  {:<8}  {:>6}  {:>11}  {:>11}  {} ({})",
                fault.fault,
                say::count(fault.seen.count),
                say::seconds(fault.seconds),
                say::seconds(fault.longest.value),
                say::short(&fault.cause, 110),
                self.places(&fault.seen.places())
            );
        }
        if board.faults_open > 0 {
            let _ = writeln!(out, "  {} on when the log ends", say::many(board.faults_open as u64, "fault"));
        }
    }

    fn drift(&self, board: &Board, out: &mut String) {
        if let Some(place) = board.drift.place {
            let value = board.drift.value;
            let _ = writeln!(
                out,
                "\nDrift: the scores were at most {value:.3} from the bundle's baseline ({})",
                self.place(&place)
            );
        }
        if board.reviews.is_empty() {
            return;
        }
        let _ = writeln!(out, "\nReviews asked for");
        for review in &board.reviews {
            let time =
                |place: Option<crate::story::Place>| place.and_then(|place| place.time).map_or("…".into(), say::time);
            let text = format!(
                "{} to {}: {} {:.3}, limit {:.3}. {} ({})",
                time(review.from),
                time(review.to),
                review.statistic,
                review.value,
                review.limit,
                review.cause,
                self.places(&review.from.into_iter().chain(review.to).collect::<Vec<_>>())
            );
            paragraph(out, "  ", &text);
        }
    }
}

fn watched(board: &Board, out: &mut String) {
    let watch = board.watch;
    let whole = watch.watched + watch.blind() + board.down;
    if whole <= 0.0 {
        return;
    }
    let _ = write!(out, "\nWatched for {} ({})", say::seconds(watch.watched), say::share(watch.watched, whole));
    let _ = match blind(board) {
        Some(why) => writeln!(out, ", blind for {}: {why}", say::seconds(watch.blind() + board.down)),
        None => writeln!(out, ", never blind"),
    };
    let strip = strip(board, 72);
    if strip.chars().count() > 11 {
        let _ = writeln!(out, "  {strip}  (█ watched, ▒ in part, ░ blind, · not running)");
    }
}

fn frames(board: &Board, out: &mut String) {
    let frames = board.frames;
    let sum = if frames.add_up() { "they add up" } else { "THEY DO NOT ADD UP" };
    let text = format!(
        "Frames: {} captured = {} inspected + {} skipped as similar + {} dropped as stale + {} failed; {sum}",
        say::count(frames.captured),
        say::count(frames.inspected),
        say::count(frames.skipped_similar),
        say::count(frames.dropped_stale),
        say::count(frames.failed)
    );
    let _ = writeln!(out);
    paragraph(out, "", &text);
    if board.frames_before_log > 0 {
        let _ = writeln!(
            out,
            "  {} of them before the first status of a run whose start is not in the log",
            say::count(board.frames_before_log)
        );
    }
    if board.uncounted >= 1.0 {
        let long = say::seconds(board.uncounted);
        let _ =
            writeln!(out, "  without those of {long} between the last status and the last line of runs without a stop");
    }
}

fn latency(board: &Board, out: &mut String) {
    if board.latency.iter().all(|latency| latency.count() <= 0.0) {
        if let Some(of) = board.event_latency.percentiles() {
            let _ = writeln!(
                out,
                "\nLatency of event frames: p50 {}, p99 {}; no status tells of the others",
                say::ms(of.p50),
                say::ms(of.p99)
            );
        }
        return;
    }
    let _ = writeln!(out, "\nLatency, ms");
    let _ = writeln!(out, "  {:<24}{:>9}{:>9}{:>9}{:>9}", "", "p50", "p95", "p99", "longest");
    for (stage, (_, name)) in STAGES.iter().enumerate() {
        if let Some(of) = board.latency[stage].percentiles() {
            let _ = writeln!(out, "  {name:<24}{:>9.1}{:>9.1}{:>9.1}{:>9.1}", of.p50, of.p95, of.p99, of.max);
        }
    }
    let bands = bands(board);
    if bands.len() > 1 {
        let _ = writeln!(out, "  verdicts while the board was");
        for band in bands {
            let of = band.latency;
            let long = say::seconds(band.seconds);
            let _ = writeln!(
                out,
                "    {:<22}{:>9.1}{:>9.1}{:>9.1}{:>9.1}  for {long}",
                band.name, of.p50, of.p95, of.p99, of.max
            );
        }
    }
}

fn memory(board: &Board, out: &mut String) {
    if board.rss.place.is_none() || board.rss.value <= 0.0 {
        return;
    }
    let _ = write!(out, "\nMemory: at most {}", say::bytes(board.rss.value));
    let start = board.start.as_ref();
    if let Some(budget) = start.and_then(|start| start.budget) {
        let _ = write!(
            out,
            ", {} of the budget of {}",
            say::share(board.rss.value, budget as f64),
            say::bytes(budget as f64)
        );
    }
    if let Some(bill) = start.and_then(|start| start.bill) {
        let _ = write!(out, "; the bill was {}", say::bytes(bill as f64));
    }
    let _ = writeln!(out);
    if let Some(start) = start.filter(|start| !start.items.is_empty()) {
        paragraph(out, "  ", &format!("bill: {}", say::short(&start.items, 300)));
    }
}

/// Writes a text in lines of at most [`WIDE`] characters, the later ones set in as far as the first.
fn paragraph(out: &mut String, begin: &str, text: &str) {
    let indent = " ".repeat(begin.chars().count());
    let mut line = begin.to_string();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDE {
            let _ = writeln!(out, "{line}");
            line = indent.clone();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}
