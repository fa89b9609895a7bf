//! What the service wrote to the journal.

use super::machine::Machine;
use anyhow::{Context, Result};

/// An entry of the journal.
#[derive(Debug)]
pub struct Entry {
    /// When it came, in milliseconds since the board's start.
    pub at: f64,
    /// The line.
    pub text: String,
}

impl Entry {
    /// Whether it is a record of this kind.
    pub fn is(&self, record: &str) -> bool {
        self.value("record") == Some(record)
    }

    /// The value of a record's key that stands bare.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.text.split(' ').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }

    /// The number of a record's key.
    pub fn number(&self, key: &str) -> Result<f64> {
        let value = self.value(key).with_context(|| format!("{key} is not in {}", self.text))?;
        value.parse().with_context(|| self.text.clone())
    }
}

/// What the service and systemd said of it since a time of the board's clock, in milliseconds.
pub fn since(machine: &mut Machine, time: f64) -> Result<Vec<Entry>> {
    let text = machine.run("journalctl -b -u lineside -n 1000 -q --no-pager --no-hostname -o short-monotonic")?;
    let entries = text.lines().filter_map(|line| {
        let (at, text) = line.strip_prefix('[')?.split_once("] ")?;
        Some(Entry { at: at.trim().parse::<f64>().ok()? * 1e3, text: text.into() })
    });
    Ok(entries.filter(|entry| entry.at >= time).collect())
}

/// The records of one kind among them.
pub fn records(machine: &mut Machine, record: &str, time: f64) -> Result<Vec<Entry>> {
    Ok(since(machine, time)?.into_iter().filter(|entry| entry.is(record)).collect())
}
