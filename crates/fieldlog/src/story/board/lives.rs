//! When runs begin and end, and why.

use super::heard::fnv;
use super::{Board, Endings, RECENT};
use crate::form::Entry;
use crate::story::ending::{Ending, Next};
use crate::story::manager::Said;
use crate::story::place::{Place, Seen, tally};
use crate::story::run::{Run, Start};
use crate::story::runs::{self, Row};

impl Board {
    /// The run of a record; one that is not known yet begins here, unseen.
    pub(super) fn run(&mut self, entry: &Entry, place: Place) -> usize {
        let at = match entry.fields.get("run") {
            Some(id) => {
                let key = fnv(id) >> 1;
                match self.recent.iter().rposition(|run| run.key == key) {
                    Some(at) => at,
                    None => self.begin(key, String::from_utf8_lossy(&id[..id.len().min(64)]).into_owned(), place),
                }
            }
            // What a program says after its stop record is not of a run that is over.
            None => match self.recent.back() {
                Some(run) if !run.attempt => self.recent.len() - 1,
                _ => self.begin_unnamed(place),
            },
        };
        let run = &mut self.recent[at];
        run.last = if place.time.is_some() || run.last.time.is_none() { place } else { run.last };
        run.pid = run.pid.or(entry.pid);
        at
    }

    pub(super) fn begin_unnamed(&mut self, place: Place) -> usize {
        self.next_key += 1;
        self.begin(self.next_key, String::new(), place)
    }

    pub(super) fn begin(&mut self, key: u64, id: String, place: Place) -> usize {
        self.recent.push_back(Run::new(key, id, place));
        if self.recent.len() > RECENT
            && let Some(run) = self.recent.pop_front()
        {
            self.over(run);
        }
        self.recent.len() - 1
    }

    pub(super) fn started(&mut self, entry: &Entry, place: Place) {
        let start = Start::read(entry);
        let at = match entry.fields.get("run") {
            Some(_) => self.run(entry, place),
            None => self.begin_unnamed(place),
        };
        let run = &mut self.recent[at];
        if run.begun {
            return;
        }
        run.begun = true;
        run.attempt = false;
        run.first = place;
        run.pid = entry.fields.count("pid").or(entry.pid).or(run.pid);
        let mut start = start;
        if start.boot.is_empty() {
            start.boot = entry.fields.text("_BOOT_ID").unwrap_or_default().into_owned();
        }
        let next = Next { time: place.time, boot: start.boot.clone(), previous: start.previous.clone(), place };
        run.start = Some(start);
        if self.rows.is_empty() && self.recent.len() == 1 {
            self.before_first = Some((next.previous.clone(), place));
        }
        for (before, run) in self.recent.iter_mut().enumerate() {
            if before != at {
                run.evidence.next.get_or_insert_with(|| next.clone());
            }
        }
        self.gave_up = None;
        self.knows_start(at, place);
        if let Some(time) = place.time {
            self.series.at(time).starts += 1;
        }
    }

    /// Takes over what a start record tells of the board.
    pub(super) fn knows_start(&mut self, at: usize, place: Place) {
        let Some(start) = self.recent[at].start.clone() else { return };
        for (list, value) in [(&mut self.versions, &start.version), (&mut self.bundles, &start.bundles)] {
            if value.is_empty() {
                continue;
            }
            tally(list, value.clone(), place);
        }
        self.start = Some(start);
    }

    pub(super) fn stopped(&mut self, entry: &Entry, place: Place) {
        // A stop without a run that is known: its beginning is not in the log.
        let at = self.run(entry, place);
        if self.recent[at].evidence.stop.is_some() {
            return;
        }
        let reason = entry.fields.text("reason").unwrap_or_default().into_owned();
        self.recent[at].evidence.stop = Some((reason, place));
        self.status(entry, place, false);
    }

    /// systemd, the kernel or the program itself, outside records.
    pub(super) fn said(&mut self, said: Said, place: Place) {
        match said {
            Said::Watchdog => {
                if let Some(run) = self.recent.back_mut() {
                    run.evidence.watchdog.get_or_insert(place);
                }
            }
            Said::OutOfMemory => {
                if let Some(run) = self.recent.back_mut() {
                    run.evidence.out_of_memory.get_or_insert(place);
                }
            }
            Said::Signal(signal) => self.victim(None, place).evidence.signal = Some((signal, place)),
            Said::Exit(status) => self.victim(None, place).evidence.exit = Some((status, place)),
            Said::GaveUp => self.gave_up = Some(place),
            Said::Boot => self.rebooted(place),
            Said::Stopping => (),
            other => tally(&mut self.kernel, other, place),
        }
    }

    /// The program's own words outside records: a panic, or why it does not start.
    pub(super) fn words(&mut self, entry: &Entry, place: Place) {
        let text = entry.message.replace('\n', " ");
        if text.starts_with("thread '") && text.contains("panicked at") {
            self.panicking = true;
            let run = self.victim(entry.pid, place);
            run.evidence.panic.get_or_insert((text.trim_end_matches(':').to_string(), place));
        } else if std::mem::take(&mut self.panicking) {
            if let Some((words, _)) = self.recent.back_mut().and_then(|run| run.evidence.panic.as_mut()) {
                words.push_str(": ");
                words.push_str(&text[..text.floor_char_boundary(300)]);
            }
        } else if let Some(words) = text.strip_prefix("lineside: ") {
            let words = words[..words.floor_char_boundary(500)].to_string();
            self.victim(entry.pid, place).evidence.last_words.get_or_insert((words, place));
        }
    }

    /// The run that a line about an ended process is about: the last one, unless that is over already; then it is an attempt
    /// that did not come to its start record.
    pub(super) fn victim(&mut self, pid: Option<u64>, place: Place) -> &mut Run {
        let other = |run: &Run| {
            let gone = run.evidence.exit.is_some() || run.evidence.signal.is_some();
            let long_ago = run
                .evidence
                .stop
                .as_ref()
                .is_some_and(|(_, stop)| stop.time.zip(place.time).is_some_and(|(stop, now)| now - stop > 5000));
            let another = run.pid.zip(pid).is_some_and(|(of, pid)| of != pid);
            gone || long_ago || another
        };
        let at = match self.recent.back() {
            Some(run) if !other(run) => self.recent.len() - 1,
            _ => {
                let at = self.begin_unnamed(place);
                self.recent[at].attempt = true;
                self.recent[at].pid = pid;
                at
            }
        };
        self.recent[at].last = place;
        &mut self.recent[at]
    }

    /// The machine was started anew.
    pub(super) fn rebooted(&mut self, place: Place) {
        if let Some(run) = self.recent.back_mut().filter(|run| !run.evidence.is_over()) {
            run.evidence.boot.get_or_insert(place);
        }
    }

    /// A run is over and becomes a row.
    pub(super) fn over(&mut self, mut run: Run) {
        if run.last.time.zip(self.since).is_some_and(|(last, since)| last < since) {
            return;
        }
        // A run that was told of after another began was not followed by that one.
        let late = |next: &Next| next.time.zip(run.last.time).is_some_and(|(next, last)| next < last);
        if run.evidence.next.as_ref().is_some_and(late) {
            run.evidence.next = None;
        }
        let (ending, why) = run.evidence.ending(run.boot());
        let next = run.evidence.next.as_ref().and_then(|next| next.time);
        let down = next.zip(run.last.time).map_or(0.0, |(next, last)| (next - last).max(0) as f64 / 1000.0);
        if let Some(time) = run.last.time {
            self.faults.run_over(run.key, time);
        }
        if !run.attempt {
            let seconds = run.broke_off(ending == Ending::Watchdog);
            // A run that stopped in order has told all.
            self.uncounted += if run.evidence.stop.is_none() { seconds } else { 0.0 };
        }
        match self.endings.iter_mut().find(|known| known.ending.word() == ending.word()) {
            Some(known) => {
                known.seen.again(why.unwrap_or(run.last));
                known.down += down;
                if known.times.len() < 8 {
                    known.times.extend(run.last.time);
                }
            }
            None => {
                let mut seen = Seen::default();
                seen.again(why.unwrap_or(run.last));
                self.endings.push(Endings {
                    ending: ending.clone(),
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
        // Of what came after the last status only events tell.
        let defects = run.defects.saturating_sub(run.defects_before).max(run.events);
        self.defects += defects;
        self.watch.add(&run.watch);
        self.down += down;
        self.held_back = self.held_back.max(run.held_back);
        let row = Row {
            runs: 1,
            version: run.start.as_ref().map(|start| start.version.clone()).unwrap_or_default(),
            id: run.id.clone(),
            first: run.first,
            last: run.last,
            started: run.begun,
            ending,
            why,
            frames: run.counted(),
            defects,
            watch: run.watch,
            down_after: down,
            rss: run.rss.value,
        };
        self.rss.at(run.rss.value, run.rss.place.unwrap_or(run.last));
        runs::add(&mut self.rows, row);
    }
}
