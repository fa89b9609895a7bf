//! A record: a kind and its fields.

use log::Level;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// One record: a kind and fields, the time, and the run that it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub(super) time: jiff::Timestamp,
    pub(super) level: Level,
    pub(super) kind: Cow<'static, str>,
    /// The first eight hexadecimal digits of the run's id.
    pub(super) run: Option<u32>,
    /// The camera that it is about, where a file has several.
    pub(super) camera: Option<Arc<str>>,
    pub(super) fields: Vec<(Cow<'static, str>, Value)>,
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
    /// A record of a kind, as of now, that belongs to no run yet; [`Telemetry::record`](super::Telemetry::record) makes
    /// one that does.
    pub fn new(level: Level, kind: impl Into<Cow<'static, str>>) -> Record {
        Record { time: jiff::Timestamp::now(), level, kind: kind.into(), run: None, camera: None, fields: Vec::new() }
    }

    /// A record of level `info`.
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

    /// Its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its level.
    pub fn level(&self) -> Level {
        self.level
    }
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
