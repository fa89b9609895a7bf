//! The report as text, as JSON and as an HTML page.

mod html;
mod intervals;
mod json;
mod text;

use super::findings::{self, Finding, Severity};
use super::humanize;
use super::input::LogSource;
use super::merge::Input;
use super::summary::{Board, Latency, LineRef, Summary};

/// What was read from logs, and the findings.
pub struct Report {
    summary: Summary,
    findings: Vec<Finding>,
    /// What each input is called where its lines are named.
    names: Vec<String>,
}

impl Report {
    pub(super) fn new(summary: Summary) -> Report {
        let findings = findings::find(&summary);
        let names = short_names(&summary.inputs);
        Report { summary, findings, names }
    }

    /// The number of findings of each severity, critical ones first.
    fn severities(&self) -> [(Severity, usize); 3] {
        [Severity::Critical, Severity::Warning, Severity::Note]
            .map(|severity| (severity, self.findings.iter().filter(|finding| finding.severity == severity).count()))
    }

    /// `1 critical, 2 warnings`, or `none`.
    fn summary(&self) -> String {
        let parts: Vec<String> = self
            .severities()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| match (severity, count) {
                (Severity::Critical, count) => format!("{count} critical"),
                (severity, 1) => format!("1 {}", severity.label()),
                (severity, count) => format!("{count} {}s", severity.label()),
            })
            .collect();
        if parts.is_empty() { "none".into() } else { parts.join(", ") }
    }

    /// The sentence for a report without findings.
    fn nothing_found(&self) -> &'static str {
        let inputs = &self.summary.inputs;
        let whole = !inputs.iter().any(|input| input.unreadable || input.incomplete || input.unread > 0);
        let records = inputs.iter().any(|input| input.records > 0);
        match (self.summary.boards.is_empty(), whole) {
            (true, true) if records => {
                "Of the records in these logs none tells of a run, its frames or its faults, or none in the requested time range."
            }
            (true, true) => "These logs contain no record of Lineside, or none in the requested time range.",
            (true, false) => {
                "What could be read of these logs contains no record of Lineside, or none in the requested time range; the notes above list what was not read."
            }
            (false, true) => "Nothing in these logs needs attention.",
            (false, false) => {
                "Nothing was found in what could be read of these logs; the notes above list what was not read."
            }
        }
    }

    /// Whether the report lacks lines: they were not understood or not placed in time, or an input could not be read to its end.
    pub fn has_unread_lines(&self) -> bool {
        self.summary.inputs.iter().any(|input| input.unread > 0 || input.broken_off)
    }

    /// Lines as `a.log:1203`; of the journal, which has no lines to go to, the time.
    fn line_refs(&self, line_refs: &[LineRef]) -> String {
        let parts: Vec<String> = line_refs.iter().map(|line_ref| self.line_ref(line_ref)).collect();
        parts.join(", ")
    }

    fn line_ref(&self, line_ref: &LineRef) -> String {
        let input = line_ref.input as usize;
        match (self.summary.inputs.get(input).map(|input| &input.source), line_ref.time) {
            (Some(LogSource::Journal(_)), Some(time)) => format!("journal, {}", humanize::time(time)),
            _ => format!("{}:{}", self.names.get(input).map_or("?", String::as_str), line_ref.line),
        }
    }

    /// A stage's latency over all boards; that of event frames if no status has verdict latencies.
    fn latency(&self, stage: usize) -> Latency {
        let sum = |of: &dyn Fn(&Board) -> &Latency| {
            let mut all = Latency::default();
            self.summary.boards.iter().for_each(|board| all.add(of(board)));
            all
        };
        let all = sum(&|board| &board.latency[stage]);
        if stage == 0 && all.count() <= 0.0 { sum(&|board| &board.event_latency) } else { all }
    }

    /// Whether no input could be read at all.
    pub fn nothing_readable(&self) -> bool {
        !self.summary.inputs.is_empty() && self.summary.inputs.iter().all(|input| input.unreadable)
    }

    /// Inputs that could not be read, the first few with the reason, in one line; `None` where all could.
    pub fn unreadable(&self) -> Option<String> {
        const NAMED: usize = 3;
        let inputs = self.summary.inputs.iter().filter(|input| input.unreadable);
        let mut parts: Vec<String> =
            inputs.map(|input| format!("{}: {}", input.name, input.notes.join("; "))).collect();
        if parts.len() > NAMED {
            let more = parts.split_off(NAMED).len();
            parts.push(format!("and {more} more"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// File names where they are unique, else whole paths.
fn short_names(inputs: &[Input]) -> Vec<String> {
    let file = |input: &Input| match &input.source {
        LogSource::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        _ => None,
    };
    let names: Vec<Option<String>> = inputs.iter().map(file).collect();
    let mut sorted: Vec<&String> = names.iter().flatten().collect();
    sorted.sort();
    let doubled = |name: &String| {
        let at = sorted.partition_point(|other| *other < name);
        sorted.get(at + 1) == Some(&name)
    };
    let name = |(input, name): (&Input, &Option<String>)| match name {
        Some(name) if !doubled(name) => name.clone(),
        _ => input.name.clone(),
    };
    inputs.iter().zip(&names).map(name).collect()
}

/// `9,900 OK, 80 NOK, 20 without a result`; nothing where the line gives parts no results.
fn parts(board: &Board) -> Option<String> {
    let parts = board.parts;
    let [ok, nok, none] = [parts.ok, parts.nok, parts.no_result].map(humanize::count);
    (parts.all() > 0).then(|| format!("{ok} OK, {nok} NOK, {none} without a result"))
}

/// Version and hardware of the board in one line; empty without a start record.
fn describe(board: &Board) -> String {
    let Some(start) = &board.start else { return String::new() };
    let mut parts = vec![format!("Lineside {}", start.version)];
    let machine =
        [start.board.as_str(), start.cpu.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    if !machine.is_empty() {
        let cores = start.cores.map(|cores| format!(" × {cores}")).unwrap_or_default();
        parts.push(format!("{}{cores}", machine.join(", ")));
    }
    for (what, value) in [
        ("kernel set ", &start.kernel),
        ("Linux ", &start.os),
        ("", &start.source),
        ("bundles ", &start.bundles),
        ("configuration ", &start.config),
    ] {
        if !value.is_empty() {
            parts.push(format!("{what}{}", humanize::truncated(&humanize::shorten_hashes(value), 160)));
        }
    }
    parts.join("; ")
}

/// Whether the fates of a board's frames add up to what was captured.
fn sum(board: &Board) -> &'static str {
    match (board.counts_lost, board.frames.add_up()) {
        (true, _) => "further counts were lost with the ends of lines",
        (false, true) => "they add up",
        (false, false) => "THEY DO NOT ADD UP",
    }
}

/// The causes of interruptions, each with its duration; `None` without interruption.
fn blind(board: &Board) -> Option<String> {
    let watch = board.watch;
    let parts = [
        ("camera unavailable", watch.away),
        ("camera frozen", watch.frozen),
        ("no frame inspected", watch.unjudged),
        ("program not running", board.down),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, seconds)| *seconds > 0.0)
        .map(|(what, seconds)| format!("{what} {}", humanize::duration(*seconds)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
