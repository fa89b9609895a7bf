//! What the main thread does for the parts of a run: shifts, records, and faults of lines that are too slow.

use super::records;
use super::shifts::Shifts;
use crate::config::{Config, PartConfig};
use crate::sink::part::{PartLineCounts, PartRow, PartStatus, PartThread, PulseCounts, RejectCounts, UnjudgedRun};
use crate::telemetry::{Cause, Telemetry};
use std::time::{Duration, Instant};

/// How often parts without a verdict are recorded, at most.
const RECORD_EVERY: Duration = Duration::from_secs(1);

/// Looks after the parts of a run, on the main thread.
pub(super) struct PartWatch {
    thread: PartThread,
    shifts: Shifts,
    /// Of parts without a verdict, on their way to the records.
    runs: Vec<UnjudgedRun>,
    /// What was told already.
    told: PartLineCounts,
    seen_beats: u64,
    telemetry: Telemetry,
}

impl PartWatch {
    pub(super) fn new(config: &Config, thread: PartThread, telemetry: Telemetry) -> PartWatch {
        let minutes = config.part.as_ref().map(PartConfig::shift_minutes).unwrap_or_default();
        let shifts = Shifts::of_this_board(minutes);
        let told = PartLineCounts::default();
        let mut watch = PartWatch { thread, shifts, runs: Vec::with_capacity(128), told, seen_beats: 0, telemetry };
        watch.take_shift();
        watch
    }

    pub(super) fn status(&self) -> PartStatus {
        self.thread.parts().status()
    }

    /// Whether its thread has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.thread.has_failed()
    }

    /// Whether its thread has worked since this was last asked.
    pub(super) fn has_beaten(&mut self) -> bool {
        self.thread.parts().has_beaten(&mut self.seen_beats)
    }

    /// To be called many times a second.
    pub(super) fn poll(&mut self) {
        self.take_shift();
        self.record_unjudged(RECORD_EVERY);
        self.check_lines();
    }

    /// Ends the thread and tells the rest; returns the final counts, and the id of the next part.
    pub(super) fn end(&mut self) -> (PartStatus, u64) {
        self.thread.stop();
        self.record_unjudged(Duration::ZERO);
        self.check_lines();
        let parts = self.thread.parts();
        if let Some(shift) = self.shifts.current {
            self.record_shift(shift, &parts.rows());
        }
        (parts.status(), parts.next_id())
    }

    /// From now on parts count under the shift that the clock on the wall says.
    fn take_shift(&mut self) {
        let Some(shift) = self.shifts.changed(Instant::now(), jiff::Timestamp::now()) else { return };
        let parts = self.thread.parts();
        // A part counts under one shift alone: nothing changes in the new one before it is set, nor in the old one after that.
        let begun = self.shifts.sums(&parts.rows());
        parts.set_shift(shift.now);
        if let Some(before) = shift.before {
            self.record_shift(before, &parts.rows());
        }
        self.shifts.begun = begun;
    }

    /// What a shift came to that ends.
    fn record_shift(&self, shift: usize, rows: &[PartRow]) {
        let (now, begun) = (self.shifts.sums(rows)[shift], self.shifts.begun[shift]);
        let results = std::array::from_fn(|at| now[at] - begun[at]);
        let name = rows.get(shift).map_or("", |row| &row.shift);
        self.telemetry.log_and_persist(records::shift(&self.telemetry, name, results));
    }

    fn record_unjudged(&mut self, age: Duration) {
        let Some(forgotten) = self.thread.parts().take_unjudged(age, &mut self.runs) else { return };
        for run in &self.runs {
            self.telemetry.log_and_persist(records::unjudged(&self.telemetry, run));
        }
        if forgotten > 0 {
            let text = format!("{forgotten} parts without a verdict are in no record: too many reasons in one second");
            self.telemetry.report_count("part", &text, forgotten);
        }
    }

    /// Results that came too fast for the lines, and bad parts that were not rejected.
    fn check_lines(&mut self) {
        let (now, told) = (self.status().lines, self.told);
        let pulses = now.pulses;
        if pulses.waited > 0 && told.pulses.waited == 0 {
            let text = "a result waited for the pulse of the one before: part.pulse_ms + part.setup_ms is longer than the time between \
                        two results; shorten the pulse (counted in parts_waited)";
            self.telemetry.report_once("part", text);
        }
        let late = |pulses: PulseCounts| pulses.cut + pulses.overdue + pulses.unshown;
        if late(pulses) == late(told.pulses) {
            self.telemetry.resolve(Cause::PartPulses);
        } else {
            let text = format!(
                "results come faster than the lines can show them: so far {} pulses were cut short, {} results came after the deadline \
                 and {} never; shorten part.pulse_ms and part.setup_ms",
                pulses.cut, pulses.overdue, pulses.unshown
            );
            self.telemetry.fail(Cause::PartPulses, &text);
        }
        let missed = |rejects: RejectCounts| rejects.late + rejects.lost;
        if missed(now.rejects) == missed(told.rejects) {
            self.telemetry.resolve(Cause::Reject);
        } else {
            let text = format!(
                "bad parts passed the ejector: so far {} whose result came when they were past it and {} for which there was no room or \
                 whose run ended; look after them by hand, and check the distance (part.reject)",
                now.rejects.late, now.rejects.lost
            );
            self.telemetry.fail(Cause::Reject, &text);
        }
        self.told = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::part::NoResultReason;
    use crate::telemetry::json_line;

    /// tests/line/field_log.rs holds the records of a line without GPIO lines against the page.
    #[test]
    fn what_is_recorded_of_parts_is_what_the_documentation_says() {
        let page = include_str!("../../docs/field-log.md");
        let (reason, since) = (NoResultReason::Late, Instant::now());
        let run = UnjudgedRun { first: 7, count: 3, reason, since };
        let telemetry = Telemetry::default();
        for record in [records::unjudged(&telemetry, &run), records::shift(&telemetry, "06:00", [5, 2, 1])] {
            let section =
                page.split(&format!("\n### {}\n", record.kind())).nth(1).unwrap().split("\n### ").next().unwrap();
            let json: serde_json::Value = serde_json::from_str(&json_line(&record, false)).unwrap();
            let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
            assert!(keys.len() >= 6, "{json}");
            for key in keys.into_iter().filter(|key| !["time", "record"].contains(&key.as_str())) {
                assert!(section.contains(&format!("`{key}`")), "docs/field-log.md lacks {key} of {json}");
            }
        }
        for reason in NoResultReason::ALL {
            assert!(
                page.contains(&format!("`{}`", reason.word())),
                "docs/field-log.md lacks the reason {}",
                reason.word()
            );
        }
    }
}
