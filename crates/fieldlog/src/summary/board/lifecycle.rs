//! When runs begin and end, and why.

use super::duplicates::FinishedRun;
use super::{Board, ExitCount, RECENT};
use crate::hash::fnv;
use crate::parser::Entry;
use crate::summary::exit_reason::{ExitReason, NextRun};
use crate::summary::line_ref::{LineRef, Occurrences, count_value};
use crate::summary::run::{Run, Start};
use crate::summary::run_list::{self, RunSummary};
use crate::summary::system_event::SystemEvent;

/// Programs that were ended for lack of memory and are named.
const PROGRAMS: usize = 32;

impl Board {
    /// The run of a record; one that is not known yet begins here, unseen.
    pub(super) fn run(&mut self, entry: &Entry, line_ref: LineRef) -> usize {
        let at = match entry.fields.get("run") {
            Some(id) => {
                let key = fnv(id) >> 1;
                match self.recent.iter().rposition(|run| run.key == key) {
                    Some(at) => at,
                    None => self.begin(key, String::from_utf8_lossy(&id[..id.len().min(64)]).into_owned(), line_ref),
                }
            }
            // A message after the stop record does not belong to the run that ended.
            None => match self.recent.back() {
                Some(run) if !run.attempt => self.recent.len() - 1,
                _ => self.begin_unnamed(line_ref),
            },
        };
        let run = &mut self.recent[at];
        run.last_record = run.last_record.max(line_ref.time);
        run.last = if line_ref.time.is_some() || run.last.time.is_none() { line_ref } else { run.last };
        run.pid = run.pid.or(entry.pid);
        at
    }

    pub(super) fn begin_unnamed(&mut self, line_ref: LineRef) -> usize {
        self.next_key += 1;
        self.begin(self.next_key, String::new(), line_ref)
    }

    pub(super) fn begin(&mut self, key: u64, id: String, line_ref: LineRef) -> usize {
        self.recent.push_back(Run::new(key, id, line_ref));
        if self.recent.len() > RECENT
            && let Some(run) = self.recent.pop_front()
        {
            self.finish_run(run);
        }
        self.recent.len() - 1
    }

    /// Adds a start record. Returns the input in which it was seen before.
    pub(super) fn start_record(&mut self, entry: &Entry, line_ref: LineRef) -> Option<u32> {
        let start = Start::read(entry);
        let at = match entry.fields.get("run") {
            Some(_) => self.run(entry, line_ref),
            None => self.begin_unnamed(line_ref),
        };
        let run = &mut self.recent[at];
        if run.begun {
            return Some(run.first.input);
        }
        run.begun = true;
        run.take_threshold(entry.fields.number("threshold"));
        run.attempt = false;
        run.first = line_ref;
        run.pid = entry.fields.count("pid").or(entry.pid).or(run.pid);
        let mut start = start;
        if start.boot.is_empty() {
            start.boot = entry.fields.short_text("_BOOT_ID");
        }
        let next =
            NextRun { time: line_ref.time, boot: start.boot.clone(), previous: start.previous.clone(), line_ref };
        run.start = Some(start);
        if self.runs.is_empty() && self.recent.len() == 1 {
            self.before_first = Some((next.previous.clone(), line_ref));
        }
        for (before, run) in self.recent.iter_mut().enumerate() {
            if before != at {
                run.evidence.next.get_or_insert_with(|| next.clone());
            }
        }
        self.gave_up = None;
        self.take_start(at, line_ref);
        if let Some(time) = line_ref.time {
            self.series.at(time).starts += 1;
        }
        None
    }

    /// Takes version, bundles and board data from a start record.
    pub(super) fn take_start(&mut self, at: usize, line_ref: LineRef) {
        let Some(start) = self.recent[at].start.clone() else { return };
        for (list, value) in [(&mut self.versions, &start.version), (&mut self.bundles, &start.bundles)] {
            if value.is_empty() {
                continue;
            }
            count_value(list, value.clone(), 1, line_ref);
        }
        self.start = Some(start);
    }

    pub(super) fn stop_record(&mut self, entry: &Entry, line_ref: LineRef) {
        // A stop without a run that is known: its beginning is not in the log.
        let at = self.run(entry, line_ref);
        if self.recent[at].evidence.stop.is_some() {
            return;
        }
        let reason = entry.fields.short_text("reason");
        self.recent[at].evidence.stop = Some((reason, line_ref));
        self.status(entry, line_ref, false);
    }

    /// systemd, the kernel or the program itself, outside records; `times`: for how many such lines it stands.
    pub(super) fn system_event(&mut self, event: SystemEvent, times: u64, line_ref: LineRef) {
        match event {
            SystemEvent::Watchdog => {
                if let Some(run) = self.recent.back_mut() {
                    run.evidence.watchdog.get_or_insert(line_ref);
                }
            }
            SystemEvent::OutOfMemory => {
                if let Some(run) = self.recent.back_mut() {
                    run.evidence.out_of_memory.get_or_insert(line_ref);
                }
            }
            SystemEvent::Signal(signal) => {
                self.ended_process_run(None, line_ref).evidence.signal = Some((signal, line_ref))
            }
            SystemEvent::Exit(status) => {
                self.ended_process_run(None, line_ref).evidence.exit = Some((status, line_ref))
            }
            SystemEvent::GaveUp => self.gave_up = Some(line_ref),
            SystemEvent::Boot => self.rebooted(line_ref),
            SystemEvent::Stopping => (),
            SystemEvent::OtherOutOfMemory(_) if self.kernel.len() >= PROGRAMS => {
                count_value(&mut self.kernel, SystemEvent::OtherOutOfMemory("and others".into()), times, line_ref);
            }
            other => count_value(&mut self.kernel, other, times, line_ref),
        }
    }

    /// A message of the program that is not a record: a panic, or why it does not start.
    pub(super) fn program_message(&mut self, entry: &Entry, line_ref: LineRef) {
        let text = entry.message.replace('\n', " ");
        if text.starts_with("thread '") && text.contains("panicked at") {
            self.panicking = true;
            let run = self.ended_process_run(entry.pid, line_ref);
            // An earlier one that was caught gives way; of one crash the first panic says most.
            let caught = run.evidence.split_caught_panic(line_ref.time);
            let message = text[..text.floor_char_boundary(500)].trim_end_matches(':').to_string();
            run.evidence.panic.get_or_insert((message, line_ref));
            self.count_caught_panic(caught);
        } else if std::mem::take(&mut self.panicking) {
            if let Some((message, _)) = self.recent.back_mut().and_then(|run| run.evidence.panic.as_mut()) {
                message.push_str(": ");
                message.push_str(&text[..text.floor_char_boundary(300)]);
            }
        } else if let Some(message) = text.strip_prefix("lineside: ") {
            let message = message[..message.floor_char_boundary(500)].to_string();
            self.ended_process_run(entry.pid, line_ref).evidence.last_message.get_or_insert((message, line_ref));
        }
    }

    fn count_caught_panic(&mut self, caught: Option<(String, LineRef)>) {
        if let Some((message, line_ref)) = caught {
            if self.caught_panics.count == 0 {
                self.caught_panic = message;
            }
            self.caught_panics.add(line_ref);
        }
    }

    /// The run that a line about an ended process is about: the last one, unless that is over already; then it is an attempt
    /// that did not come to its start record.
    pub(super) fn ended_process_run(&mut self, pid: Option<u64>, line_ref: LineRef) -> &mut Run {
        let other = |run: &Run| {
            let gone = run.evidence.exit.is_some() || run.evidence.signal.is_some();
            let long_ago = run
                .evidence
                .stop
                .as_ref()
                .is_some_and(|(_, stop)| stop.time.zip(line_ref.time).is_some_and(|(stop, now)| now - stop > 5000));
            let another = run.pid.zip(pid).is_some_and(|(of, pid)| of != pid);
            gone || long_ago || another
        };
        let at = match self.recent.back() {
            Some(run) if !other(run) => self.recent.len() - 1,
            _ => {
                let at = self.begin_unnamed(line_ref);
                self.recent[at].attempt = true;
                self.recent[at].pid = pid;
                at
            }
        };
        self.recent[at].last = line_ref;
        &mut self.recent[at]
    }

    /// The machine rebooted.
    pub(super) fn rebooted(&mut self, line_ref: LineRef) {
        if let Some(run) = self.recent.back_mut().filter(|run| !run.evidence.has_ended()) {
            run.evidence.boot.get_or_insert(line_ref);
        }
    }

    /// A run is over and becomes a row.
    pub(super) fn finish_run(&mut self, mut run: Run) {
        if !run.id.is_empty() {
            let (uptime, stopped) = (run.uptime, run.evidence.stop.is_some());
            let (last_event, input) = (run.event_numbers.last(), run.first.input);
            self.finished.insert(run.key, FinishedRun { uptime, stopped, last_event, input });
        }
        if run.last.time.zip(self.since).is_some_and(|(last, since)| last < since) {
            return;
        }
        // A run with lines after the start of another was not followed by that one.
        let late = |next: &NextRun| next.time.zip(run.last.time).is_some_and(|(next, last)| next < last);
        if run.evidence.next.as_ref().is_some_and(late) {
            run.evidence.next = None;
        }
        let caught = run.evidence.split_caught_panic(run.last_record);
        self.count_caught_panic(caught);
        let (exit_reason, why) = run.evidence.exit_reason(run.boot());
        let next = run.evidence.next.as_ref().and_then(|next| next.time);
        let down = next.zip(run.last.time).map_or(0.0, |(next, last)| (next - last).max(0) as f64 / 1000.0);
        if let Some(time) = run.last.time {
            self.faults.run_over(run.key, time);
        }
        if !run.attempt {
            let seconds = run.broke_off(exit_reason == ExitReason::Watchdog);
            // The stop record of a run has all counts.
            self.uncounted += if run.evidence.stop.is_none() { seconds } else { 0.0 };
        }
        match self.exit_counts.iter_mut().find(|known| known.exit_reason.name() == exit_reason.name()) {
            Some(known) => {
                known.seen.add(why.unwrap_or(run.last));
                known.down += down;
                if known.times.len() < 8 {
                    known.times.extend(run.last.time);
                }
            }
            None => {
                let mut seen = Occurrences::default();
                seen.add(why.unwrap_or(run.last));
                self.exit_counts.push(ExitCount {
                    exit_reason: exit_reason.clone(),
                    seen,
                    down,
                    times: run.last.time.into_iter().collect(),
                });
            }
        }
        let grown = run.growth.judge();
        if grown.is_some_and(|grown| self.growth.is_none_or(|known| grown.to - grown.from > known.to - known.from)) {
            self.growth = grown;
        }
        self.frames = self.frames.plus(&run.counted());
        // After the last status only events count defects.
        let defects = run.defects.saturating_sub(run.defects_before).max(run.events);
        self.defects += defects;
        self.watch.add(&run.watch);
        self.down += down;
        self.held_back = self.held_back.max(run.held_back);
        self.unrecorded += run.unrecorded;
        self.shadow = std::array::from_fn(|at| self.shadow[at] + run.shadow[at]);
        self.parts = self.parts.with(&run.parts, u64::saturating_add);
        let row = RunSummary {
            runs: 1,
            version: run.start.as_ref().map(|start| start.version.clone()).unwrap_or_default(),
            id: run.id.clone(),
            first: run.first,
            last: run.last,
            started: run.begun,
            exit_reason,
            why,
            frames: run.counted(),
            defects,
            watch: run.watch,
            down_after: down,
            rss: run.rss.value,
        };
        self.rss.observe(run.rss.value, run.rss.line_ref.unwrap_or(run.last));
        run_list::add(&mut self.runs, row);
    }
}
