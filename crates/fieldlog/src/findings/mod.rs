//! Detects problems. Each finding has a severity, a sentence, advice, and the lines that show it.

mod camera;
mod change;
mod differences;
mod faults;
mod heat;
mod log_quality;
mod memory;
mod proportion;
mod restarts;
mod scores;
mod throughput;

use super::parser::Millis;
use super::summary::{Board, LineRef, Summary};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Needs attention.
    Warning,
    /// The line is not inspected, or not correctly.
    Critical,
}

impl Severity {
    /// The word in the JSON report, which scripts read.
    pub fn json_name(self) -> &'static str {
        match self {
            Severity::Critical => "grave",
            other => other.label(),
        }
    }

    /// The word in the text report and on the page.
    pub fn label(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// The kind, a fixed name for programs.
    pub kind: &'static str,
    /// The board; empty where it is about several.
    pub board: String,
    /// When it began, where that is known.
    pub time: Option<Millis>,
    /// What is wrong, in one sentence.
    pub text: String,
    /// What to do; empty where there is nothing to be done.
    pub advice: String,
    /// The lines that show it.
    pub line_refs: Vec<LineRef>,
    /// Among findings of one severity the larger comes first.
    order: f64,
}

/// Lines that are named for one finding.
const PLACES: usize = 4;

impl Finding {
    fn new(severity: Severity, kind: &'static str, text: String) -> Finding {
        Finding {
            severity,
            kind,
            board: String::new(),
            time: None,
            text,
            advice: String::new(),
            line_refs: Vec::new(),
            order: 0.0,
        }
    }

    fn advice(mut self, advice: &str) -> Finding {
        self.advice = advice.into();
        self
    }

    /// Sets the lines that show it; the first with a time is when it began.
    fn with_lines(mut self, line_refs: impl IntoIterator<Item = LineRef>) -> Finding {
        for line_ref in line_refs {
            if self.line_refs.len() < PLACES && !self.line_refs.contains(&line_ref) {
                self.line_refs.push(line_ref);
            }
        }
        self.time = self.time.or(self.line_refs.iter().find_map(|line_ref| line_ref.time));
        self
    }

    fn order(mut self, order: f64) -> Finding {
        self.order = order;
        self
    }
}

/// All findings of a summary.
pub fn find(summary: &Summary) -> Vec<Finding> {
    let mut findings = Vec::new();
    for board in &summary.boards {
        let mut of_board = Vec::new();
        let look: [fn(&Summary, &Board, &mut Vec<Finding>); 8] = [
            restarts::find,
            camera::find,
            faults::find,
            throughput::find,
            memory::find,
            heat::find,
            scores::find,
            log_quality::find,
        ];
        for look in look {
            look(summary, board, &mut of_board);
        }
        findings.extend(of_board.into_iter().map(|finding| Finding { board: board.name.clone(), ..finding }));
    }
    differences::find(summary, &mut findings);
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.order.total_cmp(&a.order)).then(a.time.cmp(&b.time)));
    findings
}

/// How long the board's part of the log is, in seconds.
fn span(board: &Board) -> f64 {
    let times = board.first.and_then(|first| first.time).zip(board.last.and_then(|last| last.time));
    times.map_or(0.0, |(first, last)| (last - first).max(0) as f64 / 1000.0)
}

/// The middle value.
fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
