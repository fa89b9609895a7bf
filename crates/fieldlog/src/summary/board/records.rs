//! Records of a running program: statuses, events, faults, reviews.

use super::duplicates::event_number;
use super::{Board, LISTED, Review};
use crate::parser::Entry;
use crate::summary::exit_reason::NextRun;
use crate::summary::faults::{FaultLine, is_frozen};
use crate::summary::line_ref::LineRef;
use crate::summary::run::Discontinuity;
use crate::summary::series::Merge;
use crate::summary::status::{FrameCounts, Status};

impl Board {
    /// Adds a status, or the counts of a stop record. Returns the input in which it was seen before.
    pub(super) fn status(&mut self, entry: &Entry, line_ref: LineRef, is_status: bool) -> Option<u32> {
        let status = Status::read(&entry.fields);
        let named = entry.fields.get("run").is_some();
        let mut at = self.run(entry, line_ref);
        if entry.cut_short {
            // It shows that the run went on, but no number of it is known.
            self.counts_lost = true;
            return None;
        }
        if let Some(input) = self.recent[at].knows(&status, line_ref.time, named) {
            return Some(input);
        }
        if let Some(frames) = status.frames {
            if is_status && entry.fields.get("run").is_none() && !frames.continues(&self.recent[at].frames) {
                // The counts restarted: another run, whose start is missing.
                let next = NextRun { time: line_ref.time, line_ref, ..NextRun::default() };
                self.recent[at].evidence.next.get_or_insert(next);
                at = self.begin_unnamed(line_ref);
            }
            if !frames.add_up() {
                self.sums_wrong.add(line_ref);
            }
        }
        let run = &mut self.recent[at];
        let first = !run.begun && run.frames == FrameCounts::default();
        if first && self.since.is_some() {
            // It is unknown how much of its counts lies in the requested time range.
            run.baseline(status, entry.time, line_ref);
            return None;
        }
        let bits = status.throttled.unwrap_or(0);
        let (rss, budget, celsius, rung) = (status.rss, run.budget(), status.temperature, status.heat);
        let (enlarged, distance) = (status.enlarged, status.drift_ks);
        let interval = run.status(status, line_ref);
        if first {
            self.frames_before_log += run.frames.captured - run.before.captured.min(run.frames.captured);
        }
        if let Some(discontinuity) = interval.before {
            match discontinuity {
                Discontinuity::Clock(_) => self.discontinuity_counts.0 += 1,
                Discontinuity::Gap(_) => self.discontinuity_counts.1 += 1,
            }
            if self.discontinuities.len() < LISTED {
                self.discontinuities.push((discontinuity, line_ref));
            }
        }
        if interval.bucket.frames.failed > 0 {
            self.failed.add(line_ref);
        }
        for (stage, latency) in self.latency.iter_mut().enumerate() {
            if let Some(of) = interval.bucket.stages[stage].of() {
                let frames =
                    if stage == 3 { (enlarged as f64).min(interval.judged).max(1.0) } else { interval.judged.max(1.0) };
                latency.interval(frames, of);
            }
        }
        if let Some(rss) = rss {
            self.rss.observe(rss as f64, line_ref);
            if let Some(budget) = budget.filter(|budget| *budget > 0) {
                self.rss_share.observe(rss as f64 / budget as f64, line_ref);
            }
        }
        if let Some(distance) = distance {
            self.drift.observe(distance, line_ref);
        }
        if let Some(celsius) = celsius {
            self.temperature.observe(celsius, line_ref);
        }
        if let Some(rung) = rung.filter(|rung| *rung > 0) {
            self.heat.observe(rung as f64, line_ref);
            self.heat_seconds += interval.seconds;
        }
        for (number, bit) in self.bits.iter_mut().enumerate() {
            if bits >> number & 1 == 1 {
                bit.seen.add(line_ref);
                bit.seconds += interval.seconds;
            }
            if bits >> (16 + number) & 1 == 1 {
                bit.since_boot.get_or_insert(line_ref);
            }
        }
        if let Some(time) = line_ref.time {
            self.series.at(time).merge(interval.bucket);
        }
        None
    }

    /// Adds an event. Returns the input of its run where it was seen before.
    pub(super) fn event(&mut self, entry: &Entry, line_ref: LineRef) -> Option<u32> {
        let at = self.run(entry, line_ref);
        let number = event_number(entry);
        if let Some(number) = number
            && !self.recent[at].event_numbers.insert(number)
        {
            return Some(self.recent[at].other_input(line_ref.input));
        }
        // A repeated line of an event with a number is that event again.
        let times = if number.is_some() { 1 } else { entry.times };
        self.recent[at].events = self.recent[at].events.saturating_add(times);
        self.recent[at].take_threshold(entry.fields.number("threshold"));
        self.events = self.events.saturating_add(times);
        self.worst.event(entry, line_ref);
        if let Some(ms) = entry.fields.number("latency_ms") {
            self.event_latency.frames(1.0, ms);
        }
        if let Some(time) = line_ref.time {
            *self.hours.at(time) += times;
            self.by_hour[time.div_euclid(3_600_000).rem_euclid(24) as usize] += times;
            self.series.at(time).events += times;
        }
        None
    }

    pub(super) fn fault(&mut self, entry: &Entry, line_ref: LineRef) {
        let fields = &entry.fields;
        let fault = fields.short_text("fault");
        let mut cause = fields.short_text("cause");
        cause.truncate(cause.floor_char_boundary(240));
        match fields.get("state") {
            Some(b"end") => self.fault_ends(entry, &fault, &cause, fields.number("seconds"), line_ref),
            _ => self.fault_begins(entry, &fault, &cause, line_ref),
        }
    }

    pub(super) fn fault_begins(&mut self, entry: &Entry, fault: &str, cause: &str, line_ref: LineRef) {
        let (at, fault_line) = self.fault_line(entry, fault, cause, line_ref);
        if fault == "camera" {
            self.recent[at].camera_lost(fault_line.time, is_frozen(cause));
        }
        self.faults.begin(fault_line);
    }

    pub(super) fn fault_ends(
        &mut self,
        entry: &Entry,
        fault: &str,
        cause: &str,
        seconds: Option<f64>,
        line_ref: LineRef,
    ) {
        let (at, fault_line) = self.fault_line(entry, fault, cause, line_ref);
        let since = self.faults.end(fault_line, seconds);
        if fault == "camera" {
            self.recent[at].camera_back(since, fault_line.time, is_frozen(cause));
        }
    }

    fn fault_line<'a>(
        &mut self,
        entry: &Entry,
        fault: &'a str,
        cause: &'a str,
        line_ref: LineRef,
    ) -> (usize, FaultLine<'a>) {
        let at = self.run(entry, line_ref);
        let run = &self.recent[at];
        let time = line_ref.time.or(run.last.time).unwrap_or_default();
        let number = |key: &str, usual: u64| entry.fields.count(key).unwrap_or(usual);
        let (count, held_back) = (number("count", 1).saturating_mul(entry.times), number("held_back", 0));
        let again = entry.fields.get("state") == Some(b"again");
        (at, FaultLine { run: run.key, fault, cause, time, again, count, held_back, line_ref })
    }

    pub(super) fn review(&mut self, entry: &Entry, line_ref: LineRef) {
        let text = |key: &str| entry.fields.short_text(key);
        let statistic = text("statistic");
        if text("review") == "over" {
            let room = self.reviews.len() < LISTED;
            match self.reviews.iter_mut().rev().find(|review| review.to.is_none() && review.statistic == statistic) {
                Some(review) => review.to = Some(line_ref),
                None => match self.reviews.last_mut().filter(|review| review.to.is_none()) {
                    Some(review) => review.to = Some(line_ref),
                    None if room => {
                        self.reviews.push(Review { statistic, to: Some(line_ref), ..Review::default() });
                    }
                    None => (),
                },
            }
            return;
        }
        if self.reviews.len() < LISTED {
            let number = |key: &str| entry.fields.number(key).unwrap_or(0.0);
            let (value, limit, cause) = (number("value"), number("limit"), text("cause"));
            self.reviews.push(Review { statistic, value, limit, cause, from: Some(line_ref), to: None });
        }
    }
}
