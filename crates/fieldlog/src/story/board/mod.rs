//! The story of one board: its runs, and what is counted over all of them.

mod heard;
mod lives;
mod told;

use super::bucket::Bucket;
use super::ending::Ending;
use super::faults::Faults;
use super::growth::Grown;
use super::latency::Latency;
use super::manager::{Said, kernel, manager};
use super::place::{Peak, Place, Seen};
use super::run::{Break, Run, Start, Watch};
use super::runs::Row;
use super::series::Series;
use super::status::{Frames, STAGES, Status};
use super::worst::Worst;
use crate::form::{Entry, Millis, Voice};
use heard::Heard;
use std::collections::VecDeque;

/// Stretches of time that are kept.
pub const BUCKETS: usize = 2048;
/// Runs that may still be told of: what comes later than eight starts after a run is not its own.
const RECENT: usize = 8;
/// Things of a kind that are listed one by one.
const LISTED: usize = 64;

/// How often runs ended in a way.
#[derive(Debug, Clone)]
pub struct Endings {
    /// The way, with the words of the first.
    pub ending: Ending,
    /// Where.
    pub seen: Seen,
    /// Seconds until the next runs began.
    pub down: f64,
    /// When, of the first few.
    pub times: Vec<Millis>,
}

/// One of the board's throttle bits 0 to 3: under-voltage, frequency capped, throttled, soft temperature limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bit {
    /// Statuses in which it was set.
    pub seen: Seen,
    /// Seconds that these cover.
    pub seconds: f64,
    /// The first status that says that it was set since the machine was started.
    pub since_boot: Option<Place>,
}

/// A review that the service asked for.
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
    /// Where it was asked for; `None` where that is not in the log.
    pub from: Option<Place>,
    /// Where it was over.
    pub to: Option<Place>,
}

/// The story of one board.
pub struct Board {
    /// Its host name, or where its log is from.
    pub name: String,
    /// Whether `name` is a host name.
    pub named: bool,
    /// The runs that are over, and at last all.
    pub rows: Vec<Row>,
    recent: VecDeque<Run>,
    /// How runs ended.
    pub endings: Vec<Endings>,
    /// What the last start record tells.
    pub start: Option<Start>,
    /// Its first line.
    pub first: Option<Place>,
    /// Its last line.
    pub last: Option<Place>,
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
    pub frames: Frames,
    /// Of these, frames before the log begins.
    pub frames_before_log: u64,
    /// Seconds between the last status and the last line of runs without a stop: their frames are not in `frames`.
    pub uncounted: f64,
    /// Statuses that tell of failed frames.
    pub failed: Seen,
    /// Frames that counted as defect.
    pub defects: u64,
    /// Event records.
    pub events: u64,
    /// How long the line was watched.
    pub watch: Watch,
    /// Seconds between runs.
    pub down: f64,
    /// Faults.
    pub faults: Faults,
    /// How many faults were on when the log ended.
    pub faults_open: usize,
    /// The frames to look at.
    pub worst: Worst,
    /// Reviews.
    pub reviews: Vec<Review>,
    /// Resident memory.
    pub rss: Peak,
    /// Its share of the budget.
    pub rss_share: Peak,
    /// The run whose memory grew most.
    pub growth: Option<Grown>,
    /// In °C.
    pub temperature: Peak,
    /// Throttle bits.
    pub bits: [Bit; 4],
    /// The highest rung of the heat ladder.
    pub heat: Peak,
    /// What is given up at that rung.
    pub heat_name: String,
    /// Seconds at a rung above 0.
    pub heat_seconds: f64,
    /// Statuses whose frames do not add up.
    pub sums_wrong: Seen,
    /// Clocks that were set, and missing lines.
    pub breaks: Vec<(Break, Place)>,
    /// How many of these there were.
    pub break_counts: (u64, u64),
    /// Versions of the program, with the starts.
    pub versions: Vec<(String, Seen)>,
    /// Bundles, with the starts.
    pub bundles: Vec<(String, Seen)>,
    /// What the kernel said.
    pub kernel: Vec<(Said, Seen)>,
    /// systemd has given up on the service.
    pub gave_up: Option<Place>,
    /// Configurations that were refused while it ran.
    pub refused: Seen,
    /// Why the last of them.
    pub refused_why: String,
    /// Log lines that were held back.
    pub held_back: u64,
    /// How the run before the first of the log ended, as that one found it.
    pub before_first: Option<(String, Place)>,
    /// The largest distance of the scores to the bundle's baseline.
    pub drift: Peak,
    since: Option<Millis>,
    held_back_told: u64,
    boot: String,
    panicking: bool,
    heard: Heard,
    next_key: u64,
}

impl Board {
    /// A board of which nothing is known; nothing before `since` was asked for.
    pub fn new(name: String, named: bool, since: Option<Millis>) -> Board {
        Board {
            since,
            name,
            named,
            rows: Vec::new(),
            recent: VecDeque::new(),
            endings: Vec::new(),
            start: None,
            first: None,
            last: None,
            series: Series::new(10_000, BUCKETS),
            hours: Series::new(3_600_000, 24 * 62),
            by_hour: [0; 24],
            latency: Default::default(),
            event_latency: Latency::default(),
            frames: Frames::default(),
            frames_before_log: 0,
            uncounted: 0.0,
            failed: Seen::default(),
            defects: 0,
            events: 0,
            watch: Watch::default(),
            down: 0.0,
            faults: Faults::default(),
            faults_open: 0,
            worst: Worst::default(),
            reviews: Vec::new(),
            rss: Peak::default(),
            rss_share: Peak::default(),
            growth: None,
            temperature: Peak::default(),
            bits: [Bit::default(); 4],
            heat: Peak::default(),
            heat_name: String::new(),
            heat_seconds: 0.0,
            sums_wrong: Seen::default(),
            breaks: Vec::new(),
            break_counts: (0, 0),
            versions: Vec::new(),
            bundles: Vec::new(),
            kernel: Vec::new(),
            gave_up: None,
            refused: Seen::default(),
            refused_why: String::new(),
            held_back: 0,
            before_first: None,
            drift: Peak::default(),
            held_back_told: 0,
            boot: String::new(),
            panicking: false,
            heard: Heard::default(),
            next_key: 1 << 63,
        }
    }

    /// A record of the time that was asked for. Gives whether its clock goes backwards.
    pub fn record(&mut self, kind: &[u8], entry: &Entry, place: Place) -> bool {
        let backwards = self.seen(place);
        if let Some(boot) = entry.fields.text("_BOOT_ID").filter(|boot| *boot != self.boot) {
            if !self.boot.is_empty() {
                self.rebooted(place);
            }
            self.boot = boot.into_owned();
        }
        match kind {
            b"status" => {
                self.status(entry, place, true);
                return backwards;
            }
            b"start" => self.started(entry, place),
            b"goes_on" => {
                let at = self.run(entry, place);
                self.recent[at].start.get_or_insert_with(|| Start::read(entry));
                self.knows_start(at, place);
            }
            // Kept for teaching; nothing happened.
            b"normal" => (),
            _ if self.heard.before(entry, place) => return backwards,
            b"stop" => self.stopped(entry, place),
            b"event" => self.event(entry, place),
            b"fault" => self.fault(entry, place),
            b"review" => self.review(entry, place),
            b"heat" => {
                let rung = entry.fields.number("rung").unwrap_or(0.0);
                if rung > 0.0 && (self.heat_name.is_empty() || rung > self.heat.value) {
                    self.heat_name = entry.fields.text("name").unwrap_or_default().into_owned();
                }
                if rung > 0.0 {
                    self.heat.at(rung, place);
                }
            }
            b"reload_refused" => {
                self.refused.again(place);
                self.refused_why = entry.fields.text("error").unwrap_or_default().into_owned();
            }
            _ => (),
        }
        self.held_back_told += entry.fields.count("held_back").filter(|_| kind != b"stop").unwrap_or(0);
        backwards
    }

    /// A record from before the time that was asked for: it only tells from where to count.
    pub fn earlier(&mut self, kind: &[u8], entry: &Entry, place: Place) {
        match kind {
            b"start" => {
                self.started(entry, place);
                if let Some(run) = self.recent.back_mut() {
                    run.begun = false;
                }
            }
            b"status" => {
                let at = self.run(entry, place);
                self.recent[at].baseline(Status::read(&entry.fields), entry.time, place);
            }
            b"stop" => self.stopped(entry, place),
            _ => (),
        }
    }

    /// Somebody speaks outside records: systemd, the kernel, or the program itself.
    pub fn outside(&mut self, entry: &Entry, place: Place) {
        if entry.voice == Voice::Boot {
            return self.rebooted(place);
        }
        if self.heard.before(entry, place) {
            return;
        }
        match entry.voice {
            Voice::Manager => manager(&entry.message).into_iter().for_each(|said| self.said(said, place)),
            Voice::Kernel => kernel(&entry.message).into_iter().for_each(|said| self.said(said, place)),
            _ => self.words(entry, place),
        }
    }

    /// Whether the clock went backwards by more than what may lie between a frame and its line.
    fn seen(&mut self, place: Place) -> bool {
        let before = self.last.and_then(|last| last.time);
        self.first.get_or_insert(place);
        if self.first.is_some_and(|first| first.time.is_none()) && place.time.is_some() {
            self.first = Some(place);
        }
        if place.time.is_some() {
            let backwards = place.time.zip(before).is_some_and(|(now, before)| now < before - 60_000);
            if backwards || place.time >= before {
                self.last = Some(place);
            }
            return backwards;
        }
        self.last.get_or_insert(place);
        false
    }

    /// The log is over.
    pub fn close(&mut self) {
        self.held_back = self.held_back.max(self.held_back_told);
        for run in std::mem::take(&mut self.recent) {
            self.over(run);
        }
        if let Some(time) = self.last.and_then(|last| last.time) {
            self.faults_open = self.faults.close(time);
        }
    }

    /// Whether a run goes on when the log ends.
    pub fn goes_on(&self) -> bool {
        self.rows.last().is_some_and(|row| row.ending == Ending::Open)
    }
}
