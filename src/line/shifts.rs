//! Shifts: which one it is by the clock on the wall, and what parts had come to when it began.

use crate::files;
use crate::sink::part::PartRow;
use jiff::tz::TimeZone;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the clock on the wall is asked.
const SHIFT_EVERY: Duration = Duration::from_secs(1);
/// The rules of this board's time zone.
const LOCAL_TIME: &str = "/etc/localtime";
/// They are smaller than this.
const MAX_ZONE: u64 = 1 << 20;

/// The shifts of a day, by the clock on the wall.
pub(super) struct Shifts {
    /// When they begin, in minutes after midnight, in order.
    begins: Vec<u32>,
    zone: TimeZone,
    pub(super) current: Option<usize>,
    asked: Option<Instant>,
    /// The results of each shift when the current one began.
    pub(super) begun: Vec<[u64; 3]>,
}

/// A shift that begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShiftChange {
    pub(super) now: usize,
    pub(super) before: Option<usize>,
}

impl Shifts {
    /// Shifts that begin so many minutes after midnight, in order, in this board's time zone.
    pub(super) fn of_this_board(begins: Vec<u32>) -> Shifts {
        Shifts::new(begins, local_zone(Path::new(LOCAL_TIME)))
    }

    fn new(begins: Vec<u32>, zone: TimeZone) -> Shifts {
        let begun = vec![[0; 3]; begins.len().max(1)];
        Shifts { begins, zone, current: None, asked: None, begun }
    }

    /// The shift at a time, where it is another one than before.
    pub(super) fn changed(&mut self, now: Instant, wall: jiff::Timestamp) -> Option<ShiftChange> {
        if self.begins.is_empty() || self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < SHIFT_EVERY)
        {
            return None;
        }
        self.asked = Some(now);
        let time = wall.to_zoned(self.zone.clone()).time();
        let minute = u32::from(time.hour() as u8) * 60 + u32::from(time.minute() as u8);
        // Before the first one of the day the last one of yesterday goes on.
        let last = self.begins.len() - 1;
        let shift = self.begins.partition_point(|begin| *begin <= minute).checked_sub(1).unwrap_or(last);
        let before = self.current.replace(shift);
        (before != Some(shift)).then_some(ShiftChange { now: shift, before })
    }

    /// The results of all products by shift; rows have all shifts of a product, in order.
    pub(super) fn sums(&self, rows: &[PartRow]) -> Vec<[u64; 3]> {
        let mut sums = vec![[0; 3]; self.begun.len()];
        for (at, row) in rows.iter().enumerate() {
            let sum = &mut sums[at % self.begun.len()];
            *sum = std::array::from_fn(|result| sum[result] + row.results[result]);
        }
        sums
    }
}

/// The time zone of this board; UTC where it has none.
fn local_zone(path: &Path) -> TimeZone {
    let rules = files::read(path, MAX_ZONE).ok();
    rules.and_then(|rules| TimeZone::tzif("local", &rules).ok()).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shift_is_that_of_the_clock_on_the_wall() {
        let mut shifts = Shifts::new(vec![360, 840, 1320], TimeZone::fixed(jiff::tz::offset(2)));
        let begun = Instant::now();
        let mut at =
            |seconds: u64, wall: &str| shifts.changed(begun + Duration::from_secs(seconds), wall.parse().unwrap());
        // Before the first shift of the day it still is the night's.
        assert_eq!(at(0, "2026-11-30T03:59:59Z"), Some(ShiftChange { now: 2, before: None }));
        assert_eq!(at(1, "2026-11-30T04:00:00Z"), Some(ShiftChange { now: 0, before: Some(2) }));
        assert_eq!(at(2, "2026-11-30T11:59:00Z"), None);
        // It is asked for once a second.
        assert_eq!(at(2, "2026-11-30T12:00:00Z"), None);
        assert_eq!(at(3, "2026-11-30T12:00:00Z"), Some(ShiftChange { now: 1, before: Some(0) }));
        // A clock that is set back goes back to the shift before.
        assert_eq!(at(4, "2026-11-30T11:00:00Z"), Some(ShiftChange { now: 0, before: Some(1) }));
        assert_eq!(at(5, "2026-11-30T21:00:00Z"), Some(ShiftChange { now: 2, before: Some(0) }));
        assert_eq!(
            Shifts::new(Vec::new(), TimeZone::UTC).changed(begun, "2026-11-30T21:00:00Z".parse().unwrap()),
            None
        );
    }

    #[test]
    fn a_board_without_a_time_zone_has_utc() {
        assert_eq!(local_zone(Path::new("/nowhere")), TimeZone::UTC);
        let folder = tempfile::tempdir().unwrap();
        let damaged = folder.path().join("localtime");
        std::fs::write(&damaged, "no zone").unwrap();
        assert_eq!(local_zone(&damaged), TimeZone::UTC);
    }
}
