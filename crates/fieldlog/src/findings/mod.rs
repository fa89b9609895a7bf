//! What somebody far away needs to know, in plain words, the weightiest first, each with the lines that show it.

mod camera;
mod change;
mod faults;
mod fleet;
mod heat;
mod memory;
mod record;
mod restarts;
mod scores;
mod speed;

use super::form::Millis;
use super::story::{Board, Place, Story};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Good to know.
    Note,
    /// Somebody should look after it.
    Warning,
    /// The line is not watched, or not rightly.
    Grave,
}

impl Weight {
    /// One word, the same in all outputs.
    pub fn word(self) -> &'static str {
        match self {
            Weight::Note => "note",
            Weight::Warning => "warning",
            Weight::Grave => "grave",
        }
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What kind it is: the same word always, for programs.
    pub kind: &'static str,
    /// The board; empty where it is about several.
    pub board: String,
    /// When it began, where that is known.
    pub time: Option<Millis>,
    /// What is wrong, in plain words.
    pub text: String,
    /// What to do; empty where there is nothing to be done.
    pub advice: String,
    /// The lines that show it.
    pub places: Vec<Place>,
    /// Among findings of one weight the larger comes first.
    order: f64,
}

/// Lines that are named for one finding.
const PLACES: usize = 4;

impl Finding {
    fn new(weight: Weight, kind: &'static str, text: String) -> Finding {
        Finding {
            weight,
            kind,
            board: String::new(),
            time: None,
            text,
            advice: String::new(),
            places: Vec::new(),
            order: 0.0,
        }
    }

    fn advice(mut self, advice: &str) -> Finding {
        self.advice = advice.into();
        self
    }

    /// The lines that show it; the first tells when it began.
    fn shown(mut self, places: impl IntoIterator<Item = Place>) -> Finding {
        for place in places {
            if self.places.len() < PLACES && !self.places.contains(&place) {
                self.places.push(place);
            }
        }
        self.time = self.time.or(self.places.iter().find_map(|place| place.time));
        self
    }

    fn order(mut self, order: f64) -> Finding {
        self.order = order;
        self
    }
}

/// All findings of a story.
pub fn find(story: &Story) -> Vec<Finding> {
    let mut findings = Vec::new();
    for board in &story.boards {
        let mut of_board = Vec::new();
        let look: [fn(&Story, &Board, &mut Vec<Finding>); 8] = [
            restarts::find,
            camera::find,
            faults::find,
            speed::find,
            memory::find,
            heat::find,
            scores::find,
            record::find,
        ];
        for look in look {
            look(story, board, &mut of_board);
        }
        findings.extend(of_board.into_iter().map(|finding| Finding { board: board.name.clone(), ..finding }));
    }
    fleet::find(story, &mut findings);
    findings.sort_by(|a, b| b.weight.cmp(&a.weight).then(b.order.total_cmp(&a.order)).then(a.time.cmp(&b.time)));
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
