//! One input, and what came of reading it.

use crate::input::LogSource;
use crate::order::Order;
use std::path::Path;

/// One input and what came of reading it.
#[derive(Debug, Clone)]
pub struct Input {
    /// Where it comes from.
    pub source: LogSource,
    /// Its name in the report.
    pub name: String,
    /// Its size as it is stored, in bytes; 0 where unknown.
    pub bytes: u64,
    /// Lines that were read.
    pub lines: u64,
    /// Records of Lineside among them.
    pub records: u64,
    /// Lines of it that were read before, from it or from another input, and do not count.
    pub repeated: u64,
    /// The inputs that have them, too: the first few.
    pub(super) repeated_in: Vec<usize>,
    /// What was wrong with it, one line each.
    pub notes: Vec<String>,
    /// Whether it could not be read.
    pub unreadable: bool,
    /// Lines of ours that are not understood, or not placed in time.
    pub unread: u64,
    /// The first of them.
    pub first_unread: Option<UnreadLine>,
    /// Whether a part of it is missing in what was read.
    pub incomplete: bool,
    /// Whether it could not be read to its end.
    pub broken_off: bool,
    /// Whether its lines are in the order of time.
    pub order: Order,
}

/// A line that was not read.
#[derive(Debug, Clone, serde::Serialize)]
pub struct UnreadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Its beginning.
    pub text: String,
}

impl Input {
    pub(super) fn new(source: LogSource) -> Input {
        let name = match &source {
            LogSource::File(path) => path.display().to_string(),
            LogSource::Stdin => "-".into(),
            LogSource::Journal(_) => "journal".into(),
            LogSource::PassedOver { folder, .. } => folder.display().to_string(),
        };
        let bytes = match &source {
            LogSource::File(path) => std::fs::metadata(path).map_or(0, |data| data.len()),
            _ => 0,
        };
        Input {
            source,
            name,
            bytes,
            lines: 0,
            records: 0,
            repeated: 0,
            repeated_in: Vec::new(),
            notes: Vec::new(),
            unreadable: false,
            unread: 0,
            first_unread: None,
            incomplete: false,
            broken_off: false,
            order: Order::default(),
        }
    }

    /// What it has in common with files that were rotated from the same one: `lineside.log.3.gz` and `lineside.log`,
    /// `events-20261121T041500123Z.jsonl` and `events.jsonl`.
    pub fn family(&self) -> String {
        const ENDINGS: [&str; 7] = [".gz", ".zst", ".old", ".bak", ".orig", ".save", "~"];
        let digits = |c: char| c.is_ascii_digit() || "-.TZ".contains(c);
        let mut name = self.name.as_str();
        while let Some(shorter) = ENDINGS.iter().find_map(|end| name.strip_suffix(end)) {
            name = shorter;
        }
        let name = name.trim_end_matches(digits);
        match name.rsplit_once('.') {
            Some((stem, end)) if !end.contains('/') => format!("{}.{end}", stem.trim_end_matches(digits)),
            _ => name.to_string(),
        }
    }

    /// The folder of the file.
    pub fn folder(&self) -> Option<&Path> {
        match &self.source {
            LogSource::File(path) => path.parent(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_of_one_family() {
        let family = |name: &str| Input::new(LogSource::File(name.into())).family();
        for (rotated, newest) in [
            ("a/lineside.log.3.gz", "a/lineside.log"),
            ("a/events-20261121T041500123Z.jsonl", "a/events.jsonl"),
            ("a.d/syslog.1", "a.d/syslog"),
            ("a/lineside.log.1.old", "a/lineside.log"),
            ("a/lineside.log.bak", "a/lineside.log"),
        ] {
            assert_eq!(family(rotated), family(newest));
        }
        assert_ne!(family("a/events.jsonl"), family("b/events.jsonl"));
        assert_ne!(family("a.log"), family("b.log"));
    }
}
