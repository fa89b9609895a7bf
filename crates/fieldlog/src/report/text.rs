//! The text report for a terminal: findings first, then each board.

use super::intervals::{bands, busiest, coverage_bar, intervals, sparkline, throttle_names};
use super::{Report, blind, describe};
use crate::findings::Finding;
use crate::humanize;
use crate::summary::{Board, EventFrame, STAGES};
use std::fmt::Write as _;

/// Columns.
const WIDE: usize = 110;
/// Rows of a table over time.
const ROWS: usize = 16;
/// Causes of faults that are listed one by one.
const FAULTS: usize = 16;
/// Runs that are listed one by one.
const RUNS: usize = 24;

impl Report {
    /// The report as text for a terminal, in lines of about 110 columns.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.read(&mut out);
        self.found(&mut out);
        for board in &self.summary.boards {
            self.board(board, &mut out);
        }
        // What a log holds must not steer the terminal.
        out.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
    }

    fn read(&self, out: &mut String) {
        let inputs = &self.summary.inputs;
        let (lines, records) =
            inputs.iter().fold((0, 0), |(lines, records), input| (lines + input.lines, records + input.records));
        let bytes: u64 = inputs.iter().map(|input| input.bytes).sum();
        let size = if bytes > 0 { format!(" in {}", humanize::bytes(bytes as f64)) } else { String::new() };
        let what =
            if inputs.len() == 1 { self.names[0].clone() } else { humanize::plural(inputs.len() as u64, "input") };
        let _ = writeln!(
            out,
            "Read {what}: {}{size}, {} of Lineside",
            humanize::plural(lines, "line"),
            humanize::plural(records, "record")
        );
        if let Some((first, last)) = self.summary.span() {
            let long = humanize::duration((last - first) as f64 / 1000.0);
            let _ = writeln!(out, "From {} to {} UTC ({long})", humanize::time(first), humanize::time(last));
        }
        let mut notes = 0;
        for (input, name) in inputs.iter().zip(&self.names) {
            for note in &input.notes {
                notes += 1;
                if notes <= 40 {
                    paragraph(out, "  ", &format!("{name}: {note}"));
                }
            }
        }
        if notes > 40 {
            let _ = writeln!(out, "  and {} more notes", notes - 40);
        }
    }

    fn found(&self, out: &mut String) {
        let _ = writeln!(out, "\nFindings: {}", self.summary());
        if self.findings.is_empty() {
            let _ = writeln!(out, "  {}", self.nothing_found());
        }
        let several = self.summary.boards.len() > 1;
        for (number, finding) in self.findings.iter().enumerate() {
            let Finding { severity, board, text, advice, line_refs, .. } = finding;
            let board = if several && !board.is_empty() { format!("{board}: ") } else { String::new() };
            paragraph(out, &format!("{:>3}. ", number + 1), &format!("[{}] {board}{text}", severity.label()));
            if !line_refs.is_empty() {
                paragraph(out, "     ", &format!("({})", self.line_refs(line_refs)));
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
        let runs: u64 = board.runs.iter().map(|row| row.runs).sum();
        let _ = writeln!(out, "\nRuns: {}", humanize::count(runs));
        let _ =
            writeln!(out, "  {:<19}  {:<19}  {:>11}  {:>12}  {:>8}  ended", "from", "to", "for", "frames", "defects");
        let left_out = board.runs.len().saturating_sub(RUNS);
        for (number, row) in board.runs.iter().enumerate() {
            if left_out > 0 && (RUNS / 2..RUNS / 2 + left_out).contains(&number) {
                if number == RUNS / 2 {
                    let _ = writeln!(out, "  … {left_out} rows omitted; see --json");
                }
                continue;
            }
            let time = |time: Option<i64>| time.map(humanize::time).unwrap_or_default();
            let long = row
                .first
                .time
                .zip(row.last.time)
                .map(|(first, last)| humanize::duration((last - first) as f64 / 1000.0));
            let from = if row.started { time(row.first.time) } else { format!("<{}", time(row.first.time)) };
            let several = if row.runs > 1 { format!("{} runs: ", row.runs) } else { String::new() };
            let why = row.why.map(|line_ref| format!(" ({})", self.line_ref(&line_ref))).unwrap_or_default();
            let _ = writeln!(
                out,
                "  {from:<19}  {:<19}  {:>11}  {:>12}  {:>8}  {several}{}{why}",
                time(row.last.time),
                long.unwrap_or_default(),
                humanize::count(row.frames.captured),
                humanize::count(row.defects),
                humanize::truncated(&row.exit_reason.description(), 80)
            );
        }
    }

    fn over_time(&self, board: &Board, out: &mut String) {
        let mut rows = intervals(board, ROWS);
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
                (frames.captured > 0).then(|| humanize::percent(frames.dropped_stale as f64, frames.captured as f64));
            let rss = bucket.rss.line_ref.map(|_| bucket.rss.value / 1_048_576.0);
            let hot = bucket.temperature.mean().map(|_| bucket.temperature.max);
            let line = format!(
                "  {:<12}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>7}  {}",
                humanize::time_within(time, self.summary.span()),
                number(bucket.fps(), 1),
                dropped.unwrap_or_default(),
                if bucket.seconds > 0.0 { humanize::count(bucket.defects) } else { String::new() },
                number(latency.map(|latency| latency.p50), 1),
                number(latency.map(|latency| latency.p99), 1),
                number(rss, 1),
                number(hot, 0),
                throttle_names(bucket.throttled)
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    fn events(&self, board: &Board, out: &mut String) {
        let _ = writeln!(
            out,
            "\nEvents: {} recorded, {} with defects",
            humanize::count(board.events),
            humanize::plural(board.defects, "frame")
        );
        if board.events == 0 {
            return;
        }
        let _ = writeln!(out, "  by hour of the day, 00 to 23 UTC: {}", sparkline(board.by_hour));
        let busiest: Vec<String> = busiest(board, 3)
            .into_iter()
            .map(|(hour, count)| format!("{} ({})", hour, humanize::count(count)))
            .collect();
        let _ = writeln!(out, "  busiest hours from {}", busiest.join(", "));
        let worst = &board.worst;
        for (title, frames) in [(&*worst.title().to_lowercase(), &worst.by_severity), ("slowest", &worst.slowest)] {
            if frames.is_empty() {
                continue;
            }
            let _ = writeln!(out, "  {title}");
            for frame in frames.iter().take(8) {
                self.frame(frame, worst.have_severities(), out);
            }
        }
    }

    /// A line on a frame; `rated` where some of the board's frames have a severity.
    fn frame(&self, frame: &EventFrame, rated: bool, out: &mut String) {
        let latency = frame.latency_ms.map(humanize::ms).unwrap_or_default();
        let severity = match (rated, frame.severity) {
            (true, Some(severity)) => format!("severity {severity:>5.2}  score "),
            (true, None) => format!("{:16}score ", ""),
            (false, _) => String::new(),
        };
        let _ = writeln!(
            out,
            "    {:<19}  {severity}{:.4}  {latency:>8}  {:<28} {} ({})",
            frame.time.map(humanize::time).unwrap_or_default(),
            frame.score,
            humanize::truncated(&frame.frame, 28),
            frame.annotated,
            self.line_ref(&frame.line_ref)
        );
    }

    fn faults(&self, board: &Board, out: &mut String) {
        if board.faults.causes.is_empty() {
            return;
        }
        let _ = writeln!(out, "\nFaults");
        let _ = writeln!(out, "  {:<8}  {:>6}  {:>11}  {:>11}  cause", "fault", "times", "total", "longest");
        let mut causes: Vec<_> = board.faults.causes.iter().filter(|fault| fault.seen.count > 0).collect();
        causes.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then(b.seen.count.cmp(&a.seen.count)));
        for fault in causes.iter().take(FAULTS) {
            let _ = writeln!(
                out,
                "  {:<8}  {:>6}  {:>11}  {:>11}  {} ({})",
                fault.fault,
                humanize::count(fault.seen.count),
                humanize::duration(fault.seconds),
                humanize::duration(fault.longest.value),
                humanize::truncated(&fault.cause, 110),
                self.line_refs(&fault.seen.lines())
            );
        }
        if causes.len() > FAULTS {
            let rest = &causes[FAULTS..];
            let times = rest.iter().map(|fault| fault.seen.count).sum();
            let _ = writeln!(
                out,
                "  and {}, {} in total; see --json",
                humanize::plural(rest.len() as u64, "other cause"),
                humanize::times(times)
            );
        }
        if board.faults_open > 0 {
            let _ =
                writeln!(out, "  {} active at the end of the log", humanize::plural(board.faults_open as u64, "fault"));
        }
    }

    fn drift(&self, board: &Board, out: &mut String) {
        if let Some(line_ref) = board.drift.line_ref {
            let value = board.drift.value;
            let _ = writeln!(
                out,
                "\nDrift: the largest distance of the scores from the bundle's baseline was {value:.3} ({})",
                self.line_ref(&line_ref)
            );
        }
        if board.reviews.is_empty() {
            return;
        }
        let _ = writeln!(out, "\nRequested reviews");
        for review in &board.reviews {
            let time = |line_ref: Option<crate::summary::LineRef>| {
                line_ref.and_then(|line_ref| line_ref.time).map_or("…".into(), humanize::time)
            };
            let text = format!(
                "{} to {}: {} {:.3}, limit {:.3}. {} ({})",
                time(review.from),
                time(review.to),
                review.statistic,
                review.value,
                review.limit,
                review.cause,
                self.line_refs(&review.from.into_iter().chain(review.to).collect::<Vec<_>>())
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
    let _ = write!(
        out,
        "\nInspecting for {} ({})",
        humanize::duration(watch.watched),
        humanize::percent(watch.watched, whole)
    );
    let _ = match blind(board) {
        Some(why) => writeln!(out, ", not inspecting for {}: {why}", humanize::duration(watch.blind() + board.down)),
        None => writeln!(out, ", without interruption"),
    };
    let coverage_bar = coverage_bar(board, 72);
    if coverage_bar.chars().count() > 11 {
        let _ = writeln!(out, "  {coverage_bar}  (█ inspecting, ▒ partly, ░ not inspecting, · not running)");
    }
}

fn frames(board: &Board, out: &mut String) {
    let frames = board.frames;
    let sum = super::sum(board);
    let text = format!(
        "Frames: {} captured = {} inspected + {} skipped as similar + {} dropped as stale + {} failed; {sum}",
        humanize::count(frames.captured),
        humanize::count(frames.inspected),
        humanize::count(frames.skipped_similar),
        humanize::count(frames.dropped_stale),
        humanize::count(frames.failed)
    );
    let _ = writeln!(out);
    paragraph(out, "", &text);
    if let Some(parts) = super::parts(board) {
        paragraph(out, "", &format!("Parts: {parts}"));
    }
    if board.frames_before_log > 0 {
        let _ = writeln!(
            out,
            "  {} of them before the first status of a run whose start is not in the log",
            humanize::count(board.frames_before_log)
        );
    }
    if board.uncounted >= 1.0 {
        let long = humanize::duration(board.uncounted);
        let _ = writeln!(
            out,
            "  not counted: {long} between the last status and the last line of runs without a stop record"
        );
    }
}

fn latency(board: &Board, out: &mut String) {
    if board.latency.iter().all(|latency| latency.count() <= 0.0) {
        if let Some(of) = board.event_latency.percentiles() {
            let _ = writeln!(
                out,
                "\nLatency of event frames: p50 {}, p99 {}; no status covers the other frames",
                humanize::ms(of.p50),
                humanize::ms(of.p99)
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
        let _ = writeln!(out, "  capture to verdict, by state of the board");
        for band in bands {
            let of = band.latency;
            let long = humanize::duration(band.seconds);
            let _ = writeln!(
                out,
                "    {:<22}{:>9.1}{:>9.1}{:>9.1}{:>9.1}  for {long}",
                band.name, of.p50, of.p95, of.p99, of.max
            );
        }
    }
}

fn memory(board: &Board, out: &mut String) {
    if board.rss.line_ref.is_none() || board.rss.value <= 0.0 {
        return;
    }
    let _ = write!(out, "\nMemory: peak {}", humanize::bytes(board.rss.value));
    let start = board.start.as_ref();
    if let Some(budget) = start.and_then(|start| start.budget) {
        let _ = write!(
            out,
            ", {} of the budget of {}",
            humanize::percent(board.rss.value, budget as f64),
            humanize::bytes(budget as f64)
        );
    }
    if let Some(bill) = start.and_then(|start| start.bill) {
        let _ = write!(out, "; estimated {}", humanize::bytes(bill as f64));
    }
    let _ = writeln!(out);
    if let Some(start) = start.filter(|start| !start.items.is_empty()) {
        paragraph(out, "  ", &format!("estimate: {}", humanize::truncated(&start.items, 300)));
    }
}

/// Wraps a text at [`WIDE`] characters; later lines are indented as far as the first.
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
