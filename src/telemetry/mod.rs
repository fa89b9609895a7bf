//! Records: what the program tells of itself, in one form wherever they go. `docs/field-log.md` lists every kind and field.
//!
//! ```text
//! log::info!(captured = 7; "status")   --+                +-- a line of text, or a JSON object, on stderr
//! Record::info("status").with(…).log() --+--> limit.rs ---+-- the journal, with fields of its own
//! fault.rs ----------------------------> +
//!                   keep() --> a bounded queue --> the writer's events.jsonl
//! ```
//!
//! Rooms below `commands` use `log`'s macros, whose message is the record's kind and whose key-values are its fields, and
//! `fault` for what goes wrong and becomes well again. Logs go to stderr or the journal; stdout belongs to the command's
//! result.

pub mod fault;
mod form;
mod keep;
mod limit;
mod output;

pub use form::{json_line, text_line};
pub use keep::{keep, keep_here, keep_nowhere};
pub use output::{LogFormat, held_back, init, lost};

use log::Level;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The run that records belong to; 0 while there is none. Above the lowest 32 bits a one, so that every id is a run.
static RUN: AtomicU64 = AtomicU64::new(0);
const IS_RUN: u64 = 1 << 32;
/// What follows a run's eight digits in the ids of its events, so that none repeats in a fleet and in years; and how many there are.
static REST: AtomicU32 = AtomicU32::new(0);
static EVENTS: AtomicU64 = AtomicU64::new(0);

/// One thing that is told: a kind and fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    time: jiff::Timestamp,
    level: Level,
    kind: Cow<'static, str>,
    run: Option<u32>,
    fields: Vec<(Cow<'static, str>, Value)>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number of things, or bytes.
    Count(u64),
    /// A whole number that may be negative.
    Whole(i64),
    /// Any number.
    Number(f64),
    /// Yes or no.
    Truth(bool),
    /// Words.
    Text(String),
    /// Rectangles: x, y, width, height.
    Areas(Vec<[usize; 4]>),
    /// Named texts: an object in JSON, fields of their own elsewhere.
    Group(Vec<(&'static str, String)>),
}

impl Record {
    /// A record of a kind, as of now, of the run that is on.
    pub fn new(level: Level, kind: impl Into<Cow<'static, str>>) -> Record {
        let run = RUN.load(Relaxed);
        let run = (run & IS_RUN != 0).then_some(run as u32);
        Record { time: jiff::Timestamp::now(), level, kind: kind.into(), run, fields: Vec::new() }
    }

    /// A record of what went as it should.
    pub fn info(kind: &'static str) -> Record {
        Record::new(Level::Info, kind)
    }

    /// With one more field.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Record {
        self.add(name, value);
        self
    }

    /// With one more field where its value is known.
    pub fn with_known(self, name: &'static str, value: Option<impl Into<Value>>) -> Record {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// As of another time.
    pub fn at(self, time: jiff::Timestamp) -> Record {
        Record { time, ..self }
    }

    /// Of the same run and with the same fields, but of another kind, as of now.
    pub fn again_as(&self, kind: &'static str) -> Record {
        Record { kind: kind.into(), time: jiff::Timestamp::now(), ..self.clone() }
    }

    /// Adds a field.
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        self.fields.push((name.into(), value.into()));
    }

    /// What it tells of.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// How much it matters.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Writes it to the log.
    pub fn log(self) {
        output::log(self);
    }
}

/// From now on records belong to a run, which is called by the first eight hexadecimal digits of `id`.
pub fn begin_run(id: u64) {
    RUN.store(IS_RUN | (id >> 32), Relaxed);
    REST.store(id as u32, Relaxed);
    EVENTS.store(0, Relaxed);
}

/// An id that no other event has: the 16 digits of the run's, and a number.
pub fn event_id() -> String {
    let number = EVENTS.fetch_add(1, Relaxed) + 1;
    format!("{:08x}{:08x}-{number}", RUN.load(Relaxed) as u32, REST.load(Relaxed))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Count(count) => write!(f, "{count}"),
            Value::Whole(number) => write!(f, "{number}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Truth(truth) => write!(f, "{truth}"),
            Value::Text(text) => f.write_str(text),
            Value::Areas(areas) => areas.iter().enumerate().try_for_each(|(i, [x, y, width, height])| {
                write!(f, "{}{x},{y},{width},{height}", if i == 0 { "" } else { ";" })
            }),
            Value::Group(members) => members
                .iter()
                .enumerate()
                .try_for_each(|(i, (name, text))| write!(f, "{}{name}={text}", if i == 0 { "" } else { " " })),
        }
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Value {
        Value::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Value {
        Value::Count(count as u64)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Value {
        Value::Count(u64::from(count))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Whole(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Truth(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}
