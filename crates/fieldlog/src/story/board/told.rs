//! What records tell of a run that goes on: statuses, events, faults, reviews.

use super::{Board, LISTED, Review};
use crate::form::Entry;
use crate::story::ending::Next;
use crate::story::faults::{Told, is_frozen};
use crate::story::place::Place;
use crate::story::run::Break;
use crate::story::series::Merge;
use crate::story::status::{Frames, Status};

impl Board {
    pub(super) fn status(&mut self, entry: &Entry, place: Place, is_status: bool) {
        let status = Status::read(&entry.fields);
        let mut at = self.run(entry, place);
        if self.recent[at].knows(&status, place.time) {
            return;
        }
        if let Some(frames) = status.frames {
            if is_status && entry.fields.get("run").is_none() && !frames.goes_on_from(&self.recent[at].frames) {
                // Counts begin anew: another run, whose start is missing.
                let next = Next { time: place.time, place, ..Next::default() };
                self.recent[at].evidence.next.get_or_insert(next);
                at = self.begin_unnamed(place);
            }
            if !frames.add_up() {
                self.sums_wrong.again(place);
            }
        }
        let run = &mut self.recent[at];
        let first = !run.begun && run.frames == Frames::default();
        if first && self.since.is_some() {
            // How much of what it counts is of the time that was asked for, nobody knows.
            return run.baseline(status, entry.time, place);
        }
        let bits = status.throttled.unwrap_or(0);
        let (rss, budget, celsius, rung) = (status.rss, run.budget(), status.temperature, status.heat);
        let (enlarged, distance) = (status.enlarged, status.drift_ks);
        let interval = run.status(status, place);
        if first {
            self.frames_before_log += run.frames.captured - run.before.captured.min(run.frames.captured);
        }
        if let Some(broken) = interval.before {
            match broken {
                Break::Clock(_) => self.break_counts.0 += 1,
                Break::Gap(_) => self.break_counts.1 += 1,
            }
            if self.breaks.len() < LISTED {
                self.breaks.push((broken, place));
            }
        }
        if interval.bucket.frames.failed > 0 {
            self.failed.again(place);
        }
        for (stage, latency) in self.latency.iter_mut().enumerate() {
            if let Some(of) = interval.bucket.stages[stage].of() {
                let frames =
                    if stage == 3 { (enlarged as f64).min(interval.judged).max(1.0) } else { interval.judged.max(1.0) };
                latency.interval(frames, of);
            }
        }
        if let Some(rss) = rss {
            self.rss.at(rss as f64, place);
            if let Some(budget) = budget.filter(|budget| *budget > 0) {
                self.rss_share.at(rss as f64 / budget as f64, place);
            }
        }
        if let Some(distance) = distance {
            self.drift.at(distance, place);
        }
        if let Some(celsius) = celsius {
            self.temperature.at(celsius, place);
        }
        if let Some(rung) = rung.filter(|rung| *rung > 0) {
            self.heat.at(rung as f64, place);
            self.heat_seconds += interval.seconds;
        }
        for (number, bit) in self.bits.iter_mut().enumerate() {
            if bits >> number & 1 == 1 {
                bit.seen.again(place);
                bit.seconds += interval.seconds;
            }
            if bits >> (16 + number) & 1 == 1 {
                bit.since_boot.get_or_insert(place);
            }
        }
        if let Some(time) = place.time {
            self.series.at(time).merge(interval.bucket);
        }
    }

    pub(super) fn event(&mut self, entry: &Entry, place: Place) {
        let at = self.run(entry, place);
        self.recent[at].events += 1;
        self.events += 1;
        self.worst.event(entry, place);
        if let Some(ms) = entry.fields.number("latency_ms") {
            self.event_latency.frames(1.0, ms);
        }
        if let Some(time) = place.time {
            *self.hours.at(time) += 1;
            self.by_hour[time.div_euclid(3_600_000).rem_euclid(24) as usize] += 1;
            self.series.at(time).events += 1;
        }
    }

    pub(super) fn fault(&mut self, entry: &Entry, place: Place) {
        let fields = &entry.fields;
        let fault = fields.text("fault").unwrap_or_default();
        let mut cause = fields.text("cause").unwrap_or_default().into_owned();
        cause.truncate(cause.floor_char_boundary(240));
        match fields.get("state") {
            Some(b"end") => self.fault_ends(entry, &fault, &cause, fields.number("seconds"), place),
            _ => self.fault_begins(entry, &fault, &cause, place),
        }
    }

    pub(super) fn fault_begins(&mut self, entry: &Entry, fault: &str, cause: &str, place: Place) {
        let (at, told) = self.told(entry, fault, cause, place);
        if fault == "camera" {
            self.recent[at].camera_lost(told.time, is_frozen(cause));
        }
        self.faults.begin(told);
    }

    pub(super) fn fault_ends(&mut self, entry: &Entry, fault: &str, cause: &str, seconds: Option<f64>, place: Place) {
        let (at, told) = self.told(entry, fault, cause, place);
        let since = self.faults.end(told, seconds);
        if fault == "camera" {
            self.recent[at].camera_back(since, told.time, is_frozen(cause));
        }
    }

    fn told<'a>(&mut self, entry: &Entry, fault: &'a str, cause: &'a str, place: Place) -> (usize, Told<'a>) {
        let at = self.run(entry, place);
        let run = &self.recent[at];
        let time = place.time.or(run.last.time).unwrap_or_default();
        let number = |key: &str, usual: u64| entry.fields.count(key).unwrap_or(usual);
        let (count, held_back) = (number("count", 1), number("held_back", 0));
        (at, Told { run: run.key, fault, cause, time, count, held_back, place })
    }

    pub(super) fn review(&mut self, entry: &Entry, place: Place) {
        let text = |key: &str| entry.fields.text(key).unwrap_or_default().into_owned();
        let statistic = text("statistic");
        if text("review") == "over" {
            match self.reviews.iter_mut().rev().find(|review| review.to.is_none() && review.statistic == statistic) {
                Some(review) => review.to = Some(place),
                None => match self.reviews.last_mut().filter(|review| review.to.is_none()) {
                    Some(review) => review.to = Some(place),
                    None => self.reviews.push(Review { statistic, to: Some(place), ..Review::default() }),
                },
            }
            return;
        }
        if self.reviews.len() < LISTED {
            let number = |key: &str| entry.fields.number(key).unwrap_or(0.0);
            let (value, limit, cause) = (number("value"), number("limit"), text("cause"));
            self.reviews.push(Review { statistic, value, limit, cause, from: Some(place), to: None });
        }
    }
}
