//! The summary of one board: its runs, and the counts over all of them.

mod content;
mod duplicates;
mod lifecycle;
mod records;

use super::bucket::Bucket;
use super::exit_reason::ExitReason;
use super::faults::Faults;
use super::latency::Latency;
use super::line_ref::{LineRef, Occurrences, Peak};
use super::memory_trend::MemoryGrowth;
use super::notable_frames::NotableFrames;
use super::run::{Discontinuity, Run, Start, WatchTime};
use super::run_list::RunSummary;
use super::series::Series;
use super::status::{FrameCounts, PartTotals, STAGES, Status};
use super::system_event::{SystemEvent, parse_kernel, parse_systemd};
use crate::hash::fnv;
use crate::parser::{Entry, EntryKind, Millis};
use duplicates::{DuplicateFilter, FinishedRuns, event_number};
use std::collections::VecDeque;

/// Intervals of time that are kept.
pub const BUCKETS: usize = 2048;
/// Runs that may still get records: lines later than eight starts after a run do not belong to it.
const RECENT: usize = 8;
/// Things of a kind that are listed one by one.
const LISTED: usize = 64;

/// How often runs ended for one reason.
#[derive(Debug, Clone)]
pub struct ExitCount {
    /// The reason, with the message of the first such run.
    pub exit_reason: ExitReason,
    /// Where.
    pub seen: Occurrences,
    /// Seconds until the next runs began.
    pub down: f64,
    /// When, of the first few.
    pub times: Vec<Millis>,
}

/// One of the board's throttle bits 0 to 3: under-voltage, frequency capped, throttled, soft temperature limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThrottleBit {
    /// Statuses in which it was set.
    pub seen: Occurrences,
    /// Seconds that these cover.
    pub seconds: f64,
    /// The first status that reports it as set since boot.
    pub since_boot: Option<LineRef>,
}

/// A review that the service requested.
#[derive(Debug, Clone, Default)]
pub struct Review {
    /// Which statistic was over its limit.
    pub statistic: String,
    /// Its value.
    pub value: f64,
    /// Its limit.
    pub limit: f64,
    /// What it guesses.
    pub cause: String,
    /// Where it was requested; `None` if that is not in the log.
    pub from: Option<LineRef>,
    /// Where it was over.
    pub to: Option<LineRef>,
}

/// What came of a record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Whether its clock goes backwards.
    pub backwards: bool,
    /// The input in which it was seen before, so that it does not count.
    pub seen_in: Option<u32>,
}

/// The summary of one board.
pub struct Board {
    /// Its host name, or where its log is from.
    pub name: String,
    /// Whether `name` is a host name.
    pub named: bool,
    /// The runs that are over, and at last all.
    pub runs: Vec<RunSummary>,
    recent: VecDeque<Run>,
    /// How runs ended.
    pub exit_counts: Vec<ExitCount>,
    /// The last start record.
    pub start: Option<Start>,
    /// Its first line.
    pub first: Option<LineRef>,
    /// Its last line.
    pub last: Option<LineRef>,
    /// Over time.
    pub series: Series<Bucket>,
    /// Events by the hour.
    pub hours: Series<u64>,
    /// Events by the hour of the day, UTC.
    pub by_hour: [u64; 24],
    /// Latency by stage, over all.
    pub latency: [Latency; STAGES.len()],
    /// Frame-to-verdict time of event frames: all that is known where a run was too short for a status.
    pub event_latency: Latency,
    /// Frames by fate, over all runs.
    pub frames: FrameCounts,
    /// Of these, frames before the log begins.
    pub frames_before_log: u64,
    /// Seconds between the last status and the last line of runs without a stop: their frames are not in `frames`.
    pub uncounted: f64,
    /// Statuses with failed frames.
    pub failed: Occurrences,
    /// Frames that counted as defect.
    pub defects: u64,
    /// Event records.
    pub events: u64,
    /// How long the line was inspected.
    pub watch: WatchTime,
    /// Seconds between runs.
    pub down: f64,
    /// Faults.
    pub faults: Faults,
    /// How many faults were on when the log ended.
    pub faults_open: usize,
    /// The frames to look at.
    pub worst: NotableFrames,
    /// Reviews.
    pub reviews: Vec<Review>,
    /// Resident memory.
    pub rss: Peak,
    /// Its share of the budget.
    pub rss_share: Peak,
    /// The run whose memory grew most.
    pub growth: Option<MemoryGrowth>,
    /// In °C.
    pub temperature: Peak,
    /// Throttle bits.
    pub bits: [ThrottleBit; 4],
    /// The highest rung of the heat ladder.
    pub heat: Peak,
    /// What the service reduces at that rung.
    pub heat_name: String,
    /// Seconds at a rung above 0.
    pub heat_seconds: f64,
    /// Statuses whose frames do not add up.
    pub sums_wrong: Occurrences,
    /// Whether records lost what they count with the ends of their lines.
    pub counts_lost: bool,
    /// Clocks that were set, and missing lines.
    pub discontinuities: Vec<(Discontinuity, LineRef)>,
    /// How many of these there were.
    pub discontinuity_counts: (u64, u64),
    /// Versions of the program, with the starts.
    pub versions: Vec<(String, Occurrences)>,
    /// Bundles, with the starts.
    pub bundles: Vec<(String, Occurrences)>,
    /// Messages of the kernel.
    pub kernel: Vec<(SystemEvent, Occurrences)>,
    /// Panics after which the run went on.
    pub caught_panics: Occurrences,
    /// The first of them.
    pub caught_panic: String,
    /// systemd stopped restarting the service.
    pub gave_up: Option<LineRef>,
    /// Changes by itself to the version before of a bundle.
    pub reverted: Occurrences,
    /// From which version to which, and why, of the last one.
    pub reverted_why: String,
    /// Failures of one of several cameras, which was started again alone.
    pub camera_failed: Occurrences,
    /// After a run no other one could begin, and why the last time.
    pub start_failed: Occurrences,
    pub start_failed_why: String,
    /// The last reason.
    pub camera_failed_why: String,
    /// Configurations that were refused while it ran.
    pub refused: Occurrences,
    /// Why the last of them.
    pub refused_why: String,
    /// Log lines that were suppressed.
    pub held_back: u64,
    /// Verdicts that the disk did not take in time.
    pub unrecorded: u64,
    /// Frames that a shadow judged, of which it said otherwise, that it had no time for, and that it failed on.
    pub shadow: [u64; 4],
    /// Parts by result.
    pub parts: PartTotals,
    /// Records of frames of which it said otherwise.
    pub shadow_records: Occurrences,
    /// Records of parts without a verdict.
    pub part_records: Occurrences,
    /// How the run before the first of the log ended, as that one found it.
    pub before_first: Option<(String, LineRef)>,
    /// The largest distance of the scores to the bundle's baseline.
    pub drift: Peak,
    since: Option<Millis>,
    held_back_sum: u64,
    boot: String,
    panicking: bool,
    duplicates: DuplicateFilter,
    finished: FinishedRuns,
    next_key: u64,
}

impl Board {
    /// A board without data; `since` is the start of the requested time range.
    pub fn new(name: String, named: bool, since: Option<Millis>) -> Board {
        Board {
            since,
            name,
            named,
            runs: Vec::new(),
            recent: VecDeque::new(),
            exit_counts: Vec::new(),
            start: None,
            first: None,
            last: None,
            series: Series::new(10_000, BUCKETS),
            hours: Series::new(3_600_000, 24 * 62),
            by_hour: [0; 24],
            latency: Default::default(),
            event_latency: Latency::default(),
            frames: FrameCounts::default(),
            frames_before_log: 0,
            uncounted: 0.0,
            failed: Occurrences::default(),
            defects: 0,
            events: 0,
            watch: WatchTime::default(),
            down: 0.0,
            faults: Faults::default(),
            faults_open: 0,
            worst: NotableFrames::default(),
            reviews: Vec::new(),
            rss: Peak::default(),
            rss_share: Peak::default(),
            growth: None,
            temperature: Peak::default(),
            bits: [ThrottleBit::default(); 4],
            heat: Peak::default(),
            heat_name: String::new(),
            heat_seconds: 0.0,
            sums_wrong: Occurrences::default(),
            counts_lost: false,
            discontinuities: Vec::new(),
            discontinuity_counts: (0, 0),
            versions: Vec::new(),
            bundles: Vec::new(),
            kernel: Vec::new(),
            caught_panics: Occurrences::default(),
            caught_panic: String::new(),
            gave_up: None,
            reverted: Occurrences::default(),
            reverted_why: String::new(),
            camera_failed: Occurrences::default(),
            start_failed: Occurrences::default(),
            start_failed_why: String::new(),
            camera_failed_why: String::new(),
            refused: Occurrences::default(),
            refused_why: String::new(),
            held_back: 0,
            unrecorded: 0,
            shadow: [0; 4],
            parts: PartTotals::default(),
            shadow_records: Occurrences::default(),
            part_records: Occurrences::default(),
            before_first: None,
            drift: Peak::default(),
            held_back_sum: 0,
            boot: String::new(),
            panicking: false,
            duplicates: DuplicateFilter::default(),
            finished: FinishedRuns::default(),
            next_key: 1 << 63,
        }
    }

    /// Adds a record in the requested time range.
    pub fn record(&mut self, kind: &[u8], entry: &Entry, line_ref: LineRef) -> Taken {
        let backwards = self.extend_span(line_ref);
        Taken { backwards, seen_in: self.new_record(kind, entry, line_ref) }
    }

    /// Adds a record if it is new. Returns the input in which it was seen before.
    fn new_record(&mut self, kind: &[u8], entry: &Entry, line_ref: LineRef) -> Option<u32> {
        if let Some(boot) = entry.fields.get("_BOOT_ID").filter(|boot| *boot != self.boot.as_bytes()) {
            if !self.boot.is_empty() {
                self.rebooted(line_ref);
            }
            self.boot = String::from_utf8_lossy(boot).into_owned();
        }
        if let Some(id) = entry.fields.get("run") {
            let key = fnv(id) >> 1;
            if self.recent.iter().all(|run| run.key != key)
                && let Some(input) = self.finished.seen_in(key, entry)
            {
                return Some(input);
            }
        }
        if entry.cut_short && matches!(kind, b"event" | b"fault") {
            // It shows that the run went on, but not what happened.
            self.run(entry, line_ref);
            self.counts_lost = true;
            return None;
        }
        // These have their own ways to be recognized.
        let numbered = kind == b"event" && event_number(entry).is_some();
        if !numbered
            && !matches!(kind, b"status" | b"start" | b"goes_on" | b"normal")
            && let Some(input) = self.duplicates.seen_in(entry, line_ref)
        {
            return Some(input);
        }
        match kind {
            b"status" => return self.status(entry, line_ref, true),
            b"start" => {
                if let Some(input) = self.start_record(entry, line_ref) {
                    return Some(input);
                }
            }
            b"goes_on" => {
                let at = self.run(entry, line_ref);
                self.recent[at].start.get_or_insert_with(|| Start::read(entry));
                self.recent[at].take_threshold(entry.fields.number("threshold"));
                self.take_start(at, line_ref);
            }
            // Kept for teaching; nothing happened.
            b"normal" => (),
            b"stop" => self.stop_record(entry, line_ref),
            b"event" => {
                if let Some(input) = self.event(entry, line_ref) {
                    return Some(input);
                }
            }
            b"fault" => self.fault(entry, line_ref),
            b"review" => self.review(entry, line_ref),
            b"heat" => {
                let rung = entry.fields.number("rung").unwrap_or(0.0);
                if rung > 0.0 && (self.heat_name.is_empty() || rung > self.heat.value) {
                    self.heat_name = entry.fields.short_text("name");
                }
                if rung > 0.0 {
                    self.heat.observe(rung, line_ref);
                }
            }
            b"shadow" => self.shadow_records.add(line_ref),
            b"part" => self.part_records.add(line_ref),
            b"bundle_reverted" => {
                self.reverted.add(line_ref);
                let word = |name| entry.fields.short_text(name);
                self.reverted_why = format!("from {} to {}: {}", word("from"), word("to"), word("reason"));
            }
            b"camera_failed" => {
                self.camera_failed.add(line_ref);
                self.camera_failed_why = entry.fields.short_text("error");
            }
            b"start_failed" => {
                self.start_failed.add(line_ref);
                self.start_failed_why = entry.fields.short_text("error");
            }
            b"reload_refused" => {
                self.refused.add(line_ref);
                self.refused_why = entry.fields.short_text("error");
            }
            _ => (),
        }
        self.held_back_sum += entry.fields.count("held_back").filter(|_| kind != b"stop").unwrap_or(0);
        None
    }

    /// Adds a record before the requested time range: it only sets the counts to start from.
    pub fn record_before_range(&mut self, kind: &[u8], entry: &Entry, line_ref: LineRef) {
        match kind {
            b"start" => {
                self.start_record(entry, line_ref);
                if let Some(run) = self.recent.back_mut() {
                    run.begun = false;
                }
            }
            b"status" if !entry.cut_short => {
                let at = self.run(entry, line_ref);
                self.recent[at].baseline(Status::read(&entry.fields), entry.time, line_ref);
            }
            b"stop" => self.stop_record(entry, line_ref),
            _ => (),
        }
    }

    /// Adds a message that is not a record: of systemd, the kernel or the program. Returns the input in which it was seen before.
    pub fn message(&mut self, entry: &Entry, line_ref: LineRef) -> Option<u32> {
        if entry.kind == EntryKind::Boot {
            self.rebooted(line_ref);
            return None;
        }
        if let Some(input) = self.duplicates.seen_in(entry, line_ref) {
            return Some(input);
        }
        match entry.kind {
            EntryKind::Systemd => parse_systemd(&entry.message)
                .into_iter()
                .for_each(|event| self.system_event(event, entry.times, line_ref)),
            EntryKind::Kernel => parse_kernel(&entry.message)
                .into_iter()
                .for_each(|event| self.system_event(event, entry.times, line_ref)),
            _ => self.program_message(entry, line_ref),
        }
        None
    }

    /// Whether the clock went backwards by more than what may lie between a frame and its line.
    fn extend_span(&mut self, line_ref: LineRef) -> bool {
        let before = self.last.and_then(|last| last.time);
        self.first.get_or_insert(line_ref);
        if self.first.is_some_and(|first| first.time.is_none()) && line_ref.time.is_some() {
            self.first = Some(line_ref);
        }
        if line_ref.time.is_some() {
            let backwards = line_ref.time.zip(before).is_some_and(|(now, before)| now < before - 60_000);
            if backwards || line_ref.time >= before {
                self.last = Some(line_ref);
            }
            return backwards;
        }
        self.last.get_or_insert(line_ref);
        false
    }

    /// The log is over.
    pub fn finish(&mut self) {
        self.held_back = self.held_back.max(self.held_back_sum);
        for run in std::mem::take(&mut self.recent) {
            self.finish_run(run);
        }
        if let Some(time) = self.last.and_then(|last| last.time) {
            self.faults_open = self.faults.close(time);
        }
    }

    /// Whether a run is still active at the end of the log.
    pub fn is_running(&self) -> bool {
        self.runs.last().is_some_and(|row| row.exit_reason == ExitReason::Open)
    }
}
