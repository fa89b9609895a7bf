//! Records that stand in two inputs: in one with their time in UTC, in the other with a local time whose zone nothing else shows.

use super::time::Millis;
use super::{Entry, EntryKind};
use crate::hash::fnv;
use std::collections::HashMap;

/// Records that are remembered of an input.
const MAX: usize = 4096;
/// Zones differ from UTC by quarters of an hour.
const QUARTER: Millis = 15 * 60_000;
/// By how much the times of one record may differ in two inputs.
const APART: Millis = 10_000;

/// Times of records that are found again by their run and its own clock.
#[derive(Debug, Default)]
pub struct Anchors {
    times: HashMap<u64, Millis>,
}

impl Anchors {
    /// Remembers the time of an entry, if it is found again.
    pub fn note(&mut self, entry: &Entry) {
        let known = entry.kind == EntryKind::Record && matches!(entry.record(), b"start" | b"status" | b"stop");
        if let (true, Some(time), Some(run)) = (known && self.times.len() < MAX, entry.time, entry.fields.get("run")) {
            let uptime = entry.fields.number("uptime_s").unwrap_or(0.0).to_bits().to_le_bytes();
            let bytes = [entry.record(), run, &uptime].concat();
            let key = fnv(bytes);
            self.times.entry(key).or_insert(time);
        }
    }

    /// The offset from UTC of these times, by those of the same records in `utc`: that of the earliest.
    pub fn offset_from(&self, utc: &Anchors) -> Option<Millis> {
        let both = self.times.iter().filter_map(|(key, local)| Some((*local, *local - utc.times.get(key)?)));
        let offsets = both.filter_map(|(local, apart)| {
            let offset = (apart + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
            ((apart - offset).abs() <= APART && offset.abs() <= 56 * QUARTER).then_some((local, offset))
        });
        offsets.min().map(|(_, offset)| offset)
    }
}
