//! The report as one page that needs nothing else: plots as SVG inside, event pictures as data URIs, light and dark.
//!
//! All of the page comes from `maud`, which escapes what is inserted; control characters are replaced when it is written.

mod pictures;
mod plot;
mod plots;

use super::intervals::bands;
use super::{Report, blind, describe};
use crate::error::FieldlogError;
use crate::humanize;
use crate::summary::{Board, EventFrame, LineRef, Percentiles, STAGES};
use maud::{Markup, PreEscaped, html};
use std::io::{self, Write};

/// Rows of a table.
const ROWS: usize = 60;

impl Report {
    /// Writes the report as one self-contained HTML page.
    ///
    /// # Errors
    /// [`FieldlogError::Io`] if `out` fails.
    pub fn write_html(&self, out: &mut dyn Write) -> Result<(), FieldlogError> {
        let names: Vec<&str> = self.summary.boards.iter().map(|board| board.name.as_str()).collect();
        let title = format!("Lineside: {}", humanize::truncated(&names.join(", "), 60));
        // Written piece by piece: the pictures of many boards need not be in memory at the same time.
        out.write_all(b"<!DOCTYPE html>\n<html lang=\"en\">")?;
        write_markup(out, head(&title))?;
        out.write_all(b"\n<body>")?;
        write_markup(out, html! { h1 { (title) } })?;
        write_markup(out, self.inputs_html())?;
        write_markup(out, self.findings_html())?;
        for board in &self.summary.boards {
            write_markup(out, self.board_html(board))?;
            self.write_pictures(board, out)?;
        }
        out.write_all(b"</body></html>\n")?;
        Ok(())
    }

    /// What was read.
    fn inputs_html(&self) -> Markup {
        let inputs = &self.summary.inputs;
        let (lines, records) =
            inputs.iter().fold((0, 0), |(lines, records), input| (lines + input.lines, records + input.records));
        html! {
            @if let Some((first, last)) = self.summary.span() {
                p { (humanize::time(first)) " to " (humanize::time(last)) " UTC (" (humanize::duration((last - first) as f64 / 1000.0)) ")" }
            }
            p.soft.small {
                "Read: " (humanize::plural(lines, "line")) ", " (humanize::plural(records, "record")) " of Lineside in "
                (humanize::plural(inputs.len() as u64, "input")) "."
            }
            @for (input, name) in inputs.iter().zip(&self.names) {
                @for note in input.notes.iter().take(10) {
                    p.soft.small { (name) ": " (note) }
                }
            }
        }
    }

    fn findings_html(&self) -> Markup {
        let several = self.summary.boards.len() > 1;
        html! {
            h3 { "Findings: " (self.summary()) }
            @if self.findings.is_empty() {
                p { (self.nothing_found()) }
            } @else {
                ol.findings {
                    @for finding in &self.findings {
                        li class=(finding.severity.label()) {
                            span.word { (finding.severity.label()) } " "
                            @if several && !finding.board.is_empty() {
                                b { (finding.board) } " "
                            }
                            p { (finding.text) }
                            @if !finding.advice.is_empty() {
                                p.soft { "→ " (finding.advice) }
                            }
                            @if !finding.line_refs.is_empty() {
                                p.small { code { (self.line_refs(&finding.line_refs)) } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn board_html(&self, board: &Board) -> Markup {
        let of_board = self.findings.iter().filter(|finding| finding.board == board.name);
        let marks: Vec<_> = of_board.filter_map(|finding| finding.time).collect();
        html! {
            h2 { (board.name) }
            p.soft.small { (describe(board)) }
            (facts(board))
            (plots::all(board, &marks))
            (self.runs_html(board))
            (stages(board))
            (self.faults_html(board))
            (self.reviews_html(board))
        }
    }

    fn runs_html(&self, board: &Board) -> Markup {
        let rows = board.runs.iter().rev().take(ROWS).map(|row| {
            let long = row
                .first
                .time
                .zip(row.last.time)
                .map(|(first, last)| humanize::duration((last - first) as f64 / 1000.0));
            html! {
                td {
                    @if !row.started { "before " }
                    (row.first.time.map(humanize::time).unwrap_or_default())
                }
                td.n { (long.unwrap_or_default()) }
                td.n { (humanize::count(row.frames.captured)) }
                td.n { (humanize::count(row.defects)) }
                td.wide {
                    @if row.runs > 1 { (row.runs) " runs: " }
                    (row.exit_reason.description())
                    @if let Some(line_ref) = row.why { " " code { (self.line_ref(&line_ref)) } }
                }
            }
        });
        let more = if board.runs.len() > ROWS { format!(", the last {ROWS}") } else { String::new() };
        let head = [text("from"), number("for"), number("frames"), number("defects"), text("ended")];
        table(&format!("Runs{more}"), &head, rows)
    }

    fn faults_html(&self, board: &Board) -> Markup {
        let mut causes: Vec<_> = board.faults.causes.iter().filter(|fault| fault.seen.count > 0).collect();
        causes.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let rows = causes.into_iter().take(ROWS).map(|fault| {
            html! {
                td { (fault.fault) }
                td.n { (humanize::count(fault.seen.count)) }
                td.n { (humanize::duration(fault.seconds)) }
                td.n { (humanize::duration(fault.longest.value)) }
                td.wide { (fault.cause) " " code { (self.line_refs(&fault.seen.lines())) } }
            }
        });
        let head = [text("fault"), number("times"), number("total"), number("longest"), text("cause")];
        table("Faults", &head, rows)
    }

    fn reviews_html(&self, board: &Board) -> Markup {
        let time =
            |line_ref: Option<LineRef>| line_ref.and_then(|line_ref| line_ref.time).map_or("…".into(), humanize::time);
        let rows = board.reviews.iter().map(|review| {
            let line_refs: Vec<LineRef> = review.from.into_iter().chain(review.to).collect();
            html! {
                td { (time(review.from)) }
                td { (time(review.to)) }
                td { (review.statistic) }
                td.n { (format!("{:.3}", review.value)) }
                td.n { (format!("{:.3}", review.limit)) }
                td.wide { (review.cause) " " code { (self.line_refs(&line_refs)) } }
            }
        });
        let head =
            [text("from"), text("to"), text("statistic"), number("value"), number("limit"), text("likely cause")];
        table("Requested reviews", &head, rows)
    }

    /// The worst frames and the last ones: a table of the worst, and the pictures of both that are there.
    fn write_pictures(&self, board: &Board, out: &mut dyn Write) -> io::Result<()> {
        let worst = &board.worst;
        let rated = worst.have_severities();
        let row = |frame: &EventFrame| {
            html! {
                td { (frame.time.map(humanize::time).unwrap_or_default()) }
                @if rated {
                    td.n { (frame.severity.map(|severity| format!("{severity:.2}")).unwrap_or_default()) }
                }
                td.n { (format!("{:.4}", frame.score)) }
                td.n { (frame.latency_ms.map(humanize::ms).unwrap_or_default()) }
                td { (humanize::truncated(&frame.frame, 40)) }
                td { code { (self.line_ref(&frame.line_ref)) } }
            }
        };
        let mut head = vec![text("time"), number("score"), number("latency"), text("frame"), text("line")];
        if rated {
            head.insert(1, number("severity"));
        }
        write_markup(out, table(worst.title(), &head, worst.by_severity.iter().map(row)))?;
        write_markup(out, table("Slowest event frames", &head, worst.slowest.iter().map(row)))?;
        let mut selected: Vec<&EventFrame> = Vec::new();
        for frame in worst.by_severity.iter().chain(worst.last.iter().rev()) {
            if selected.len() < pictures::MAX && !selected.iter().any(|other| other.annotated == frame.annotated) {
                selected.push(frame);
            }
        }
        let mut any = false;
        for frame in selected {
            let Some(uri) = pictures::data_uri(frame, &self.summary.inputs) else { continue };
            if !std::mem::replace(&mut any, true) {
                write_markup(out, html! { h3 { "Images of the worst frames and of the latest events" } })?;
                out.write_all(b"<div class=\"pictures\">")?;
            }
            let (what, value) = match frame.severity {
                Some(severity) => (" severity ", format!("{severity:.2}")),
                None => (" score ", format!("{:.4}", frame.score)),
            };
            let figure = html! {
                figure {
                    img alt="event" loading="lazy" src=(uri);
                    figcaption.small {
                        (frame.time.map(humanize::time).unwrap_or_default()) (what) (value) " " (frame.frame)
                    }
                }
            };
            write_markup(out, figure)?;
        }
        if any { out.write_all(b"</div>\n") } else { Ok(()) }
    }
}

/// Writes a piece of the page on lines of its own. Control characters from a log are replaced.
fn write_markup(out: &mut dyn Write, markup: Markup) -> io::Result<()> {
    let visible = markup.into_string().replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    out.write_all(visible.as_bytes())?;
    out.write_all(b"\n")
}

fn head(title: &str) -> Markup {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta http-equiv="Content-Security-Policy" content=(POLICY);
            title { (title) }
            style { (PreEscaped(include_str!("page.css"))) }
        }
    }
}

/// The numbers that one looks for first.
fn facts(board: &Board) -> Markup {
    let watch = board.watch;
    let whole = watch.watched + watch.blind() + board.down;
    let frames = board.frames;
    let mut facts: Vec<(String, String)> = Vec::new();
    if whole > 0.0 {
        facts.push((
            humanize::percent(watch.watched, whole),
            format!("inspecting, {}", humanize::duration(watch.watched)),
        ));
        let why = blind(board).map_or("not inspecting".into(), |why| format!("not inspecting: {why}"));
        facts.push((humanize::duration(watch.blind() + board.down), why));
    }
    let without = match board.uncounted >= 1.0 {
        true => {
            format!(", not counting the last {} of runs without a stop record", humanize::duration(board.uncounted))
        }
        false => String::new(),
    };
    facts.push((humanize::count(frames.captured), format!("frames captured{without}")));
    let fates = format!(
        "inspected; {} skipped as similar, {} dropped as stale, {} failed; {}",
        humanize::count(frames.skipped_similar),
        humanize::count(frames.dropped_stale),
        humanize::count(frames.failed),
        crate::report::sum(board)
    );
    facts.push((humanize::count(frames.inspected), fates));
    facts.push((humanize::count(board.defects), "frames with defects".into()));
    if let Some(parts) = crate::report::parts(board) {
        facts.push((humanize::count(board.parts.all()), format!("parts: {parts}")));
    }
    if let Some(of) = board.latency[0].percentiles().or(board.event_latency.percentiles()) {
        facts.push((format!("{} / {}", humanize::ms(of.p50), humanize::ms(of.p99)), "p50 / p99 to a verdict".into()));
    }
    if board.rss.value > 0.0 {
        let budget = board.start.as_ref().and_then(|start| start.budget);
        let of = budget
            .map(|budget| format!(", {} of the budget", humanize::percent(board.rss.value, budget as f64)))
            .unwrap_or_default();
        facts.push((humanize::bytes(board.rss.value), format!("peak memory{of}")));
    }
    if board.temperature.line_ref.is_some() {
        facts.push((format!("{:.0} °C", board.temperature.value), "highest temperature".into()));
    }
    html! {
        div.facts {
            @for (number, what) in &facts {
                div { b { (number) } span { (what) } }
            }
        }
    }
}

fn stages(board: &Board) -> Markup {
    let row = |name: &str, of: Percentiles, long: &str| {
        html! {
            td { (name) }
            @for ms in [of.p50, of.p95, of.p99, of.max] {
                td.n { (format!("{ms:.1}")) }
            }
            td.n { (long) }
        }
    };
    let stages = STAGES.iter().zip(&board.latency);
    let mut rows: Vec<Markup> =
        stages.filter_map(|((_, name), latency)| Some(row(name, latency.percentiles()?, ""))).collect();
    for band in bands(board) {
        rows.push(row(&format!("capture to verdict, {}", band.name), band.latency, &humanize::duration(band.seconds)));
    }
    let head = [text(""), number("p50"), number("p95"), number("p99"), number("longest"), number("for")];
    table("Latency in ms, by stage and temperature", &head, rows)
}

/// The head of a column, and whether it holds numbers.
struct Column(&'static str, bool);

fn text(name: &'static str) -> Column {
    Column(name, false)
}

fn number(name: &'static str) -> Column {
    Column(name, true)
}

/// A table with a title; nothing where there are no rows.
fn table(title: &str, columns: &[Column], rows: impl IntoIterator<Item = Markup>) -> Markup {
    let rows: Vec<Markup> = rows.into_iter().collect();
    html! {
        @if !rows.is_empty() {
            h3 { (title) }
            div.scroll {
                table {
                    tr {
                        @for Column(name, is_number) in columns {
                            th class=[is_number.then_some("n")] { (name) }
                        }
                    }
                    @for row in &rows {
                        tr { (row) }
                    }
                }
            }
        }
    }
}
