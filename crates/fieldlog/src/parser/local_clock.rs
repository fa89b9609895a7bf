//! From times without zone, year or date to times in UTC, for one input.
//!
//! The zone comes from records that have a time of their own, or an image's name with one. A year is chosen so that times go on.
//! A step of whole or half hours against the run's own clock is summer time, or another zone, and not a clock that was set.

use super::months::Months;
use super::stamp::Stamp;
use super::time::{self, Millis};
use std::collections::VecDeque;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// Zones differ from UTC by quarters of an hour.
const QUARTER: Millis = 15 * MINUTE;
/// Steps of local time are multiples of this.
const STEP: Millis = 30 * MINUTE;
/// By how much a step may differ from that: lines have whole seconds, statuses are written late on a busy board.
const TOLERANCE: Millis = 5_000;
/// The longest step: from one end of the zones to the other.
const MAX_STEP: Millis = 26 * HOUR;
/// By how much a line's time and that of its content may differ.
const HINT_APART: Millis = 2 * MINUTE;
/// By how much a line may be newer than its file's last change: the file's time may be of another zone.
const NEWER: Millis = 2 * DAY;
/// Runs whose own clock is followed at the same time, one for each board in a file.
const RUNS: usize = 8;

/// What a time came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// In UTC.
    At(Millis),
    /// In UTC, from a local time whose zone is not known: taken as UTC.
    Assumed(Millis),
    /// It has a month that is not understood, or only a time since the machine was started.
    Unknown,
}

/// The local clock of one input.
#[derive(Debug, Clone, Default)]
pub struct LocalClock {
    newest: Option<Millis>,
    /// Whether there were local times.
    local: bool,
    months: Months,
    /// Local time minus UTC, once it is known; it holds the steps so far.
    offset: Option<Millis>,
    /// The steps of local time since the first line, where the zone is not known.
    step: Millis,
    /// UTC minus the time since the machine was started.
    boot: Option<Millis>,
    /// The latest local time of a line without a year.
    latest: Option<Millis>,
    runs: VecDeque<RunClock>,
    /// The process and the time of the last local line.
    last: Option<(u64, Millis)>,
    /// Whether the newest line comes first.
    backwards: bool,
    /// A 29 February that fits no year of the lines before it.
    leap: Option<Millis>,
    /// What the first line's year is near to, where that is known.
    began_near: Option<Millis>,
}

/// A run's own clock at its last status.
#[derive(Debug, Clone, Copy)]
struct RunClock {
    run: u64,
    time: Millis,
    uptime: Millis,
}

impl LocalClock {
    /// `newest` is when the input was last written to, where that is known.
    pub fn new(newest: Option<Millis>) -> LocalClock {
        LocalClock { newest, ..LocalClock::default() }
    }

    /// What was learned of zone and months, to read the input from its beginning again. `first`: the first offset that was learned.
    pub fn restarted(mut self, first: Option<Millis>) -> LocalClock {
        self.months.restart();
        self.offset = first;
        LocalClock {
            local: self.local,
            newest: self.newest,
            months: self.months,
            offset: self.offset,
            boot: self.boot,
            backwards: self.backwards,
            latest: self.began_near,
            began_near: self.began_near,
            ..LocalClock::default()
        }
    }

    /// The offset of local times from UTC, once it is known.
    pub fn offset(&self) -> Option<Millis> {
        self.offset
    }

    /// Whether the newest line comes first, so that the runs' own clocks go backwards.
    pub fn set_backwards(&mut self, backwards: bool) {
        self.backwards = backwards;
    }

    /// The steps of local time that were taken back, where the zone is not known: read backwards, those of the whole input.
    pub fn steps(&self) -> Option<Millis> {
        self.offset.is_none().then_some(self.step)
    }

    /// A 29 February that fits no year of the lines before it.
    pub fn leap(&self) -> Option<Millis> {
        self.leap
    }

    /// Years are those near this local time.
    pub fn begin_near(&mut self, local: Millis) {
        self.latest = Some(local);
        self.began_near = Some(local);
    }

    /// Whether there were local times whose offset from UTC is not known.
    pub fn lacks_offset(&self) -> bool {
        self.local && self.offset.is_none()
    }

    /// Sets the offset of local times from UTC, as another input shows it.
    pub fn set_offset(&mut self, offset: Millis) {
        self.offset = Some(offset);
    }

    /// The time of a line. `hint`: the time in UTC that its content has, at most minutes earlier.
    pub fn place(&mut self, stamp: &Stamp, hint: Option<Millis>) -> Placed {
        // A file may be newer than what it was copied with.
        self.newest = self.newest.map(|newest| newest.max(hint.unwrap_or(newest)));
        match *stamp {
            Stamp::Utc(time) => Placed::At(time),
            Stamp::SinceBoot(since) => {
                self.boot = hint.map(|hint| hint - since).or(self.boot);
                self.boot.map_or(Placed::Unknown, |boot| Placed::At(boot + since))
            }
            Stamp::Local(local) => self.utc_of(local, hint),
            Stamp::Yearless { month, day, clock, offset } => {
                let near = hint.map(|hint| hint + self.offset.unwrap_or(0));
                let hinted = near.map(time::month_and_day);
                let Some(month) = self.months.resolve(&month, day, hinted) else { return Placed::Unknown };
                let Some(local) = self.with_year(i64::from(month), i64::from(day), clock, near) else {
                    return Placed::Unknown;
                };
                if (month, day) == (2, 29) && self.latest.is_some_and(|latest| (latest - local).abs() > 180 * DAY) {
                    self.leap.get_or_insert(local);
                }
                self.latest = self.latest.max(Some(local));
                if let Some(offset) = offset {
                    self.offset = Some(offset);
                    return Placed::At(local - offset);
                }
                self.utc_of(local, hint)
            }
        }
    }

    fn utc_of(&mut self, local: Millis, hint: Option<Millis>) -> Placed {
        self.local = true;
        if let Some(hint) = hint {
            let offset = (local - hint + QUARTER / 2).div_euclid(QUARTER) * QUARTER;
            if offset.abs() <= 14 * HOUR && (local - hint - offset).abs() <= HINT_APART {
                self.offset = Some(offset);
                self.step = 0;
            }
        }
        match self.offset {
            Some(offset) => Placed::At(local - offset),
            None => Placed::Assumed(local - self.step),
        }
    }

    /// The local time in the year that fits: that of its record, or near the latest line and not after the input was written.
    /// `None` for a day that no year has.
    fn with_year(&self, month: i64, day: i64, clock: Millis, hint: Option<Millis>) -> Option<Millis> {
        let newest = self.newest.unwrap_or(Millis::MAX).saturating_add(NEWER);
        if let Some(near) = hint {
            // What a record shows of its time is taken where it is the same day, or one beside it.
            let year = time::year(near);
            let times =
                [year - 1, year, year + 1].into_iter().filter_map(|year| Some(time::civil(year, month, day)? + clock));
            if let Some(time) =
                times.min_by_key(|time| (time - near).abs()).filter(|time| (time - near).abs() <= 28 * HOUR)
            {
                return Some(time);
            }
        }
        let near = self.latest;
        let year = time::year(near.or(self.newest).unwrap_or_default());
        let candidates = [year + 1, year, year - 1, year - 2, year - 3, year - 4];
        let mut times = candidates.into_iter().filter_map(|year| Some(time::civil(year, month, day)? + clock));
        let fitting = |time: &Millis| *time <= newest;
        let chosen = match near {
            Some(near) => times.clone().filter(fitting).min_by_key(|time| (time - near).abs()),
            None => times.clone().find(fitting),
        };
        chosen.or_else(|| times.next())
    }

    /// A status of a run at a local time, as `place` gave it. Returns its time with the step of local time before it, and whether
    /// there was one.
    pub fn status(&mut self, run: u64, time: Millis, uptime: f64) -> (Millis, bool) {
        let uptime = (uptime.clamp(0.0, 1e10) * 1000.0) as Millis;
        let known = self.runs.iter().position(|known| known.run == run).and_then(|at| self.runs.remove(at));
        let mut time = time;
        let mut stepped = false;
        let backwards = self.backwards;
        let goes_on = |before: &RunClock| if backwards { uptime <= before.uptime } else { uptime >= before.uptime };
        if let Some(before) = known.filter(goes_on) {
            let apart = (time - before.time) - (uptime - before.uptime);
            let step = (apart + STEP / 2).div_euclid(STEP) * STEP;
            if step != 0 && step.abs() <= MAX_STEP && (apart - step).abs() <= TOLERANCE {
                self.take_step(step);
                time -= step;
                stepped = true;
            }
        }
        if self.runs.len() == RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(RunClock { run, time, uptime });
        (time, stepped)
    }

    /// Another local line of a process: a step of an hour or half of one that no longer silence explains is taken at once; the
    /// next status shows whether it was one. Returns the time with it.
    pub fn line(&mut self, process: u64, time: Millis) -> Millis {
        const SOON: Millis = 2 * MINUTE;
        let mut time = time;
        if let Some((_, before)) = self.last.filter(|(of, _)| *of == process) {
            let apart = time - before;
            let (sign, near) = if self.backwards { (-1, before + HOUR) } else { (1, before - HOUR) };
            let soon = |step: &Millis| (0..SOON).contains(&(sign * (apart - step)));
            let step = [-HOUR, -STEP, HOUR, STEP].into_iter().find(soon);
            if let Some(step) = step.filter(|_| self.runs.iter().any(|run| sign * (run.time - near) > 0)) {
                self.take_step(step);
                time -= step;
            }
        }
        self.last = Some((process, time));
        time
    }

    /// The last local line of a process was at this time.
    pub fn seen(&mut self, process: u64, time: Millis) {
        self.last = Some((process, time));
    }

    fn take_step(&mut self, step: Millis) {
        match &mut self.offset {
            Some(offset) => *offset += step,
            None => self.step += step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::stamp;

    fn millis(text: &str) -> Millis {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn place(clock: &mut LocalClock, text: &str, hint: Option<&str>) -> Placed {
        clock.place(&stamp::read(text.as_bytes()).unwrap().0, hint.map(millis))
    }

    #[test]
    fn years_go_on_over_the_turn_of_the_year() {
        for newest in ["2026-12-31T23:59:59Z", "2027-01-01T00:10:00Z", "2027-03-01T00:00:00Z", "2027-06-01T00:00:00Z"] {
            let mut clock = LocalClock::new(Some(millis(newest)));
            assert_eq!(
                place(&mut clock, "Dec 31 23:59:50", None),
                Placed::Assumed(millis("2026-12-31T23:59:50Z")),
                "{newest}"
            );
            assert_eq!(
                place(&mut clock, "Jan  1 00:00:10", None),
                Placed::Assumed(millis("2027-01-01T00:00:10Z")),
                "{newest}"
            );
        }
        // The clock of a board without a battery begins anew, and does not take the year along.
        let mut clock = LocalClock::new(Some(millis("2026-11-29T00:00:00Z")));
        assert_eq!(place(&mut clock, "Nov 28 10:00:00", None), Placed::Assumed(millis("2026-11-28T10:00:00Z")));
        assert_eq!(place(&mut clock, "Jan  1 00:00:05", None), Placed::Assumed(millis("2026-01-01T00:00:05Z")));
        assert_eq!(place(&mut clock, "Nov 28 10:01:00", None), Placed::Assumed(millis("2026-11-28T10:01:00Z")));
        let mut clock = LocalClock::new(Some(millis("2026-11-29T00:00:00Z")));
        assert_eq!(place(&mut clock, "Feb 29 10:00:00", None), Placed::Assumed(millis("2024-02-29T10:00:00Z")));
    }

    #[test]
    fn the_zone_is_that_of_records_with_a_time() {
        let mut clock = LocalClock::new(Some(millis("2026-11-29T00:00:00Z")));
        assert_eq!(place(&mut clock, "Nov 28 21:00:00", None), Placed::Assumed(millis("2026-11-28T21:00:00Z")));
        let own = millis("2026-11-28T20:01:00Z");
        assert_eq!(place(&mut clock, "Nov 28 21:01:00", Some("2026-11-28T20:01:00.3Z")), Placed::At(own));
        assert_eq!(
            place(&mut clock, "Xyz  1 00:30:00", Some("2026-11-30T23:30:00.3Z")),
            Placed::At(millis("2026-11-30T23:30:00Z"))
        );
        assert_eq!(place(&mut clock, "Xyz  2 00:30:00", None), Placed::At(millis("2026-12-01T23:30:00Z")));
        assert_eq!(place(&mut clock, "Abc  7 00:30:00", None), Placed::Unknown);
        assert_eq!(place(&mut clock, "[   10.000000]", None), Placed::Unknown);
        assert_eq!(place(&mut clock, "[   11.000000]", Some("2026-11-28T20:01:00Z")), Placed::At(own));
        assert_eq!(place(&mut clock, "[   12.000000]", None), Placed::At(own + 1000));
    }

    #[test]
    fn steps_of_whole_hours_are_summer_time_and_others_are_not() {
        let start = millis("2026-10-25T02:59:50Z");
        for (apart, step) in
            [(-HOUR, -HOUR), (HOUR, HOUR), (-STEP, -STEP), (-HOUR + 900, -HOUR), (-17 * MINUTE, 0), (300_000, 0)]
        {
            let mut clock = LocalClock::new(None);
            assert_eq!(clock.status(1, start, 100.0), (start, false));
            let time = start + 10_000 + apart;
            assert_eq!(clock.status(1, time, 110.0), (time - step, step != 0), "{apart}");
            // What follows is of the same zone.
            assert_eq!(clock.place(&Stamp::Local(time + 10_000), None), Placed::Assumed(time + 10_000 - step));
        }
        // Another run's clock says nothing.
        let mut clock = LocalClock::new(None);
        clock.status(1, start, 100.0);
        assert_eq!(clock.status(2, start - HOUR, 110.0), (start - HOUR, false));
    }

    #[test]
    fn an_event_right_behind_the_step_is_placed_and_the_next_status_corrects() {
        let start = millis("2026-10-25T02:59:50Z");
        let mut clock = LocalClock::new(None);
        clock.status(1, start, 100.0);
        clock.seen(812, start);
        assert_eq!(clock.line(812, start + 3_000 - HOUR), start + 3_000);
        assert_eq!(clock.place(&Stamp::Local(start + 10_000 - HOUR), None), Placed::Assumed(start + 10_000));
        assert_eq!(clock.status(1, start + 10_000, 110.0), (start + 10_000, false));
        // A silence of an hour is no step, as the run's own clock shows.
        clock.seen(812, start + 10_000);
        assert_eq!(clock.line(812, start + 10_000 + HOUR), start + 10_000);
        let (time, stepped) = clock.status(1, start + 20_000, 3_720.0);
        assert_eq!((time, stepped), (start + 20_000 + HOUR, true));
    }
}
