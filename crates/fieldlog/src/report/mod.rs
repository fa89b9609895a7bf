//! What was found, said to people, to programs and as a page.

mod html;
mod json;
mod stretches;
mod text;

use super::findings::{self, Finding, Weight};
use super::input::{Input, LogSource};
use super::say;
use super::story::{Board, Latency, Place, Story};

/// What was read from logs, and the findings.
pub struct Report {
    story: Story,
    findings: Vec<Finding>,
    /// What each input is called where its lines are named.
    names: Vec<String>,
}

impl Report {
    pub(super) fn new(story: Story) -> Report {
        let findings = findings::find(&story);
        let names = short_names(&story.inputs);
        Report { story, findings, names }
    }

    /// How many findings of each weight, grave ones first.
    fn weights(&self) -> [(Weight, usize); 3] {
        [Weight::Grave, Weight::Warning, Weight::Note]
            .map(|weight| (weight, self.findings.iter().filter(|finding| finding.weight == weight).count()))
    }

    /// `1 grave, 2 warnings`, or that there is nothing.
    fn summary(&self) -> String {
        let said: Vec<String> = self
            .weights()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(weight, count)| match (weight, count) {
                (Weight::Grave, count) => format!("{count} grave"),
                (weight, 1) => format!("1 {}", weight.word()),
                (weight, count) => format!("{count} {}s", weight.word()),
            })
            .collect();
        if said.is_empty() { "none".into() } else { said.join(", ") }
    }

    /// What is said where there are no findings.
    fn nothing_found(&self) -> &'static str {
        match self.story.boards.is_empty() {
            true => "No record of Lineside lies in these logs, or none in the time that was asked for.",
            false => "Nothing in these logs asks for anybody's attention.",
        }
    }

    /// Lines as `a.log:1203`; of the journal, which has no lines to go to, the time.
    fn places(&self, places: &[Place]) -> String {
        let said: Vec<String> = places.iter().map(|place| self.place(place)).collect();
        said.join(", ")
    }

    fn place(&self, place: &Place) -> String {
        let input = place.input as usize;
        match (self.story.inputs.get(input).map(|input| &input.source), place.time) {
            (Some(LogSource::Journal(_)), Some(time)) => format!("journal, {}", say::time(time)),
            _ => format!("{}:{}", self.names.get(input).map_or("?", String::as_str), place.line),
        }
    }

    /// A stage's latency over all boards; that of event frames where no status tells of verdicts.
    fn latency(&self, stage: usize) -> Latency {
        let sum = |of: &dyn Fn(&Board) -> &Latency| {
            let mut all = Latency::default();
            self.story.boards.iter().for_each(|board| all.add(of(board)));
            all
        };
        let all = sum(&|board| &board.latency[stage]);
        if stage == 0 && all.count() <= 0.0 { sum(&|board| &board.event_latency) } else { all }
    }

    /// Whether no input could be read at all.
    pub fn nothing_readable(&self) -> bool {
        !self.story.inputs.is_empty() && self.story.inputs.iter().all(|input| input.unreadable)
    }

    /// Inputs that could not be read, the first few with the reason, in one line; `None` where all could.
    pub fn unreadable(&self) -> Option<String> {
        const NAMED: usize = 3;
        let inputs = self.story.inputs.iter().filter(|input| input.unreadable);
        let mut said: Vec<String> = inputs.map(|input| format!("{}: {}", input.name, input.notes.join("; "))).collect();
        if said.len() > NAMED {
            let more = said.split_off(NAMED).len();
            said.push(format!("and {more} more"));
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// File names where they tell inputs apart, else whole paths.
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

/// What the board is, in one line; empty where no start record tells.
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
            parts.push(format!("{what}{}", say::short(&say::without_hashes(value), 160)));
        }
    }
    parts.join("; ")
}

/// Why the line was not watched and for how long, each; `None` where it always was.
fn blind(board: &Board) -> Option<String> {
    let watch = board.watch;
    let parts = [
        ("camera away", watch.away),
        ("camera frozen", watch.frozen),
        ("no frame judged", watch.unjudged),
        ("program not running", board.down),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(_, seconds)| *seconds > 0.0)
        .map(|(what, seconds)| format!("{what} {}", say::seconds(*seconds)))
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}
