//! The report as one page that needs nothing else: plots as SVG inside, event pictures as data URIs, light and dark.

mod pictures;
mod plot;
mod plots;

use super::{Report, blind, describe};
use crate::error::FieldlogError;
use crate::say;
use crate::story::{Board, EventFrame, STAGES};
use plot::escape;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Rows of a table.
const ROWS: usize = 60;

impl Report {
    /// Writes the report as one self-contained HTML page.
    ///
    /// # Errors
    /// [`FieldlogError::Io`] if `out` fails.
    pub fn write_html(&self, out: &mut dyn Write) -> Result<(), FieldlogError> {
        let names: Vec<&str> = self.story.boards.iter().map(|board| board.name.as_str()).collect();
        let title = escape(&format!("Lineside: {}", say::short(&names.join(", "), 60)));
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width, initial-scale=1\">\
             <meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
             <title>{title}</title><style>{}</style></head>\n<body><h1>{title}</h1>\n",
            include_str!("page.css")
        )?;
        out.write_all(self.head().as_bytes())?;
        for board in &self.story.boards {
            out.write_all(self.board_html(board).as_bytes())?;
            self.pictures(board, out)?;
        }
        writeln!(out, "</body></html>")?;
        Ok(())
    }

    fn head(&self) -> String {
        let mut html = String::new();
        let (lines, records) = self
            .story
            .inputs
            .iter()
            .fold((0, 0), |(lines, records), input| (lines + input.lines, records + input.records));
        if let Some((first, last)) = self.story.span() {
            let long = say::seconds((last - first) as f64 / 1000.0);
            let _ = writeln!(html, "<p>{} to {} UTC ({long})</p>", say::time(first), say::time(last));
        }
        let _ = writeln!(
            html,
            "<p class=\"soft small\">Read: {}, {} of Lineside in {}.</p>",
            say::many(lines, "line"),
            say::many(records, "record"),
            say::many(self.story.inputs.len() as u64, "input")
        );
        for (input, name) in self.story.inputs.iter().zip(&self.names) {
            for note in input.notes.iter().take(10) {
                let _ = writeln!(html, "<p class=\"soft small\">{}: {}</p>", escape(name), escape(note));
            }
        }
        let _ = writeln!(html, "<h3>Findings: {}</h3>", self.summary());
        if self.findings.is_empty() {
            return html + &format!("<p>{}</p>\n", self.nothing_found());
        }
        let several = self.story.boards.len() > 1;
        html += "<ol class=findings>\n";
        for finding in &self.findings {
            let word = finding.weight.word();
            let board = if several && !finding.board.is_empty() {
                format!("<b>{}</b> ", escape(&finding.board))
            } else {
                String::new()
            };
            let _ =
                write!(html, "<li class={word}><span class=word>{word}</span> {board}<p>{}</p>", escape(&finding.text));
            if !finding.advice.is_empty() {
                let _ = write!(html, "<p class=soft>→ {}</p>", escape(&finding.advice));
            }
            if !finding.places.is_empty() {
                let _ = write!(html, "<p class=small><code>{}</code></p>", escape(&self.places(&finding.places)));
            }
            html += "</li>\n";
        }
        html + "</ol>\n"
    }

    fn board_html(&self, board: &Board) -> String {
        let mut html =
            format!("<h2>{}</h2>\n<p class=\"soft small\">{}</p>\n", escape(&board.name), escape(&describe(board)));
        html += &facts(board);
        let marks =
            self.findings.iter().filter(|finding| finding.board == board.name).filter_map(|finding| finding.time);
        html += &plots::all(board, &marks.collect::<Vec<_>>());
        html += &self.runs_html(board);
        html += &stages(board);
        html += &self.faults_html(board);
        html += &self.reviews_html(board);
        html
    }

    fn runs_html(&self, board: &Board) -> String {
        let rows = board.rows.iter().rev().take(ROWS).map(|row| {
            let time = |time: Option<i64>| time.map(say::time).unwrap_or_default();
            let long =
                row.first.time.zip(row.last.time).map(|(first, last)| say::seconds((last - first) as f64 / 1000.0));
            let several = if row.runs > 1 { format!("{} runs: ", row.runs) } else { String::new() };
            let why = row.why.map(|place| format!(" <code>{}</code>", escape(&self.place(&place)))).unwrap_or_default();
            format!(
                "<tr><td>{}{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=wide>{several}{}{why}",
                if row.started { "" } else { "before " },
                time(row.first.time),
                long.unwrap_or_default(),
                say::count(row.frames.captured),
                say::count(row.defects),
                escape(&row.ending.text())
            )
        });
        let more = if board.rows.len() > ROWS { format!(", the last {ROWS}") } else { String::new() };
        table(&format!("Runs{more}"), "<th>from<th class=n>for<th class=n>frames<th class=n>defects<th>ended", rows)
    }

    fn faults_html(&self, board: &Board) -> String {
        let mut causes: Vec<_> = board.faults.causes.iter().filter(|fault| fault.seen.count > 0).collect();
        causes.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let rows = causes.into_iter().take(ROWS).map(|fault| {
            format!(
                "<tr><td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=wide>{} <code>{}</code>",
                escape(&fault.fault),
                say::count(fault.seen.count),
                say::seconds(fault.seconds),
                say::seconds(fault.longest.value),
                escape(&fault.cause),
                escape(&self.places(&fault.seen.places()))
            )
        });
        table("Faults", "<th>what<th class=n>times<th class=n>together<th class=n>longest<th>cause", rows)
    }

    fn reviews_html(&self, board: &Board) -> String {
        let rows = board.reviews.iter().map(|review| {
            let time =
                |place: Option<crate::story::Place>| place.and_then(|place| place.time).map_or("…".into(), say::time);
            format!(
                "<tr><td>{}<td>{}<td>{}<td class=n>{:.3}<td class=n>{:.3}<td class=wide>{} <code>{}</code>",
                time(review.from),
                time(review.to),
                escape(&review.statistic),
                review.value,
                review.limit,
                escape(&review.cause),
                escape(&self.places(&review.from.into_iter().chain(review.to).collect::<Vec<_>>()))
            )
        });
        table("Reviews asked for", "<th>from<th>to<th>statistic<th class=n>value<th class=n>limit<th>guess", rows)
    }

    /// The worst frames and the last ones: a table of the worst, and the pictures of both that are there.
    fn pictures(&self, board: &Board, out: &mut dyn Write) -> io::Result<()> {
        let worst = &board.worst;
        let row = |frame: &EventFrame| {
            format!(
                "<tr><td>{}<td class=n>{:.4}<td class=n>{}<td>{}<td><code>{}</code>",
                frame.time.map(say::time).unwrap_or_default(),
                frame.score,
                frame.latency_ms.map(say::ms).unwrap_or_default(),
                escape(&say::short(&frame.frame, 40)),
                escape(&self.place(&frame.place))
            )
        };
        let head = "<th>time<th class=n>score<th class=n>latency<th>frame<th>line";
        out.write_all(table("Worst frames", head, worst.by_score.iter().map(row)).as_bytes())?;
        out.write_all(table("Slowest of them", head, worst.slowest.iter().map(row)).as_bytes())?;
        let mut shown: Vec<&EventFrame> = Vec::new();
        for frame in worst.by_score.iter().chain(worst.last.iter().rev()) {
            if shown.len() < pictures::MOST && !shown.iter().any(|other| other.annotated == frame.annotated) {
                shown.push(frame);
            }
        }
        let mut any = false;
        for frame in shown {
            let Some(uri) = pictures::data_uri(frame, &self.story.inputs) else { continue };
            if !std::mem::replace(&mut any, true) {
                writeln!(out, "<h3>Pictures of the worst and of the last events</h3><div class=pictures>")?;
            }
            let said =
                format!("{} score {:.4} {}", frame.time.map(say::time).unwrap_or_default(), frame.score, frame.frame);
            writeln!(
                out,
                "<figure><img alt=\"event\" loading=lazy src=\"{uri}\"><figcaption class=small>{}</figcaption></figure>",
                escape(&said)
            )?;
        }
        if any { writeln!(out, "</div>") } else { Ok(()) }
    }
}

/// The numbers that one looks for first.
fn facts(board: &Board) -> String {
    let watch = board.watch;
    let whole = watch.watched + watch.blind() + board.down;
    let frames = board.frames;
    let mut facts: Vec<(String, String)> = Vec::new();
    if whole > 0.0 {
        facts.push((say::share(watch.watched, whole), format!("watched, {}", say::seconds(watch.watched))));
        let why = blind(board).map_or("blind".into(), |why| format!("blind: {why}"));
        facts.push((say::seconds(watch.blind() + board.down), why));
    }
    let without = match board.uncounted >= 1.0 {
        true => format!(", without those of the last {} of runs without a stop", say::seconds(board.uncounted)),
        false => String::new(),
    };
    facts.push((say::count(frames.captured), format!("frames captured{without}")));
    let fates = format!(
        "inspected; {} skipped as similar, {} dropped as stale, {} failed{}",
        say::count(frames.skipped_similar),
        say::count(frames.dropped_stale),
        say::count(frames.failed),
        if frames.add_up() { "; they add up" } else { "; THEY DO NOT ADD UP" }
    );
    facts.push((say::count(frames.inspected), fates));
    facts.push((say::count(board.defects), "frames with defects".into()));
    if let Some(of) = board.latency[0].percentiles().or(board.event_latency.percentiles()) {
        facts.push((format!("{} / {}", say::ms(of.p50), say::ms(of.p99)), "p50 / p99 to a verdict".into()));
    }
    if board.rss.value > 0.0 {
        let budget = board.start.as_ref().and_then(|start| start.budget);
        let of = budget
            .map(|budget| format!(", {} of the budget", say::share(board.rss.value, budget as f64)))
            .unwrap_or_default();
        facts.push((say::bytes(board.rss.value), format!("memory at most{of}")));
    }
    if board.temperature.place.is_some() {
        facts.push((format!("{:.0} °C", board.temperature.value), "at most".into()));
    }
    let said: String = facts
        .iter()
        .map(|(number, what)| format!("<div><b>{}</b><span>{}</span></div>", escape(number), escape(what)))
        .collect();
    format!("<div class=facts>{said}</div>\n")
}

fn stages(board: &Board) -> String {
    let rows = STAGES.iter().enumerate().filter_map(|(stage, (_, name))| {
        let of = board.latency[stage].percentiles()?;
        Some(format!(
            "<tr><td>{name}<td class=n>{:.1}<td class=n>{:.1}<td class=n>{:.1}<td class=n>{:.1}<td class=n>",
            of.p50, of.p95, of.p99, of.max
        ))
    });
    let bands = super::stretches::bands(board).into_iter().map(|band| {
        let of = band.latency;
        let long = say::seconds(band.seconds);
        format!("<tr><td>verdicts, {}<td class=n>{:.1}<td class=n>{:.1}<td class=n>{:.1}<td class=n>{:.1}<td class=n>{long}", band.name, of.p50, of.p95, of.p99, of.max)
    });
    let head = "<th><th class=n>p50<th class=n>p95<th class=n>p99<th class=n>longest<th class=n>for";
    table("Latency in ms, by stage and by heat", head, rows.chain(bands))
}

/// A table with a title; nothing where there are no rows.
fn table(title: &str, head: &str, rows: impl Iterator<Item = String>) -> String {
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("<h3>{title}</h3><div class=scroll><table><tr>{head}\n{}</table></div>\n", rows.join("\n"))
}
