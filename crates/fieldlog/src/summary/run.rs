//! One run of the program on a board, from its start to its end, as far as the log has it.

use super::bucket::Bucket;
use super::event_numbers::EventNumbers;
use super::exit_reason::ExitEvidence;
use super::line_ref::{LineRef, Peak};
use super::memory_trend::MemoryTrend;
use super::status::{FrameCounts, PartTotals, Source, Status};
use crate::parser::{Entry, Millis};

/// The interval of statuses without one, in seconds.
const USUAL: f64 = 10.0;
/// The longest interval between two statuses, in seconds.
const LONGEST: f64 = 600.0;

/// A start record.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // docs/field-log.md describes the fields
pub struct Start {
    pub version: String,
    pub source: String,
    pub config: String,
    pub bundles: String,
    pub budget: Option<u64>,
    pub bill: Option<u64>,
    pub items: String,
    pub board: String,
    pub cpu: String,
    pub cores: Option<u64>,
    pub kernel: String,
    pub os: String,
    pub boot: String,
    pub previous: String,
}

impl Start {
    /// Reads a start record.
    pub fn read(entry: &Entry) -> Start {
        let text = |key: &str| entry.fields.short_text(key);
        Start {
            version: text("version"),
            source: text("source"),
            config: text("config"),
            bundles: text("bundles"),
            budget: entry.fields.count("budget_bytes"),
            bill: entry.fields.count("bill_bytes"),
            items: text("bill"),
            board: text("board"),
            cpu: text("cpu"),
            cores: entry.fields.count("cores"),
            kernel: text("kernel"),
            os: text("os"),
            boot: text("boot"),
            previous: text("previous"),
        }
    }
}

/// How long a run inspected the line, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WatchTime {
    /// Frames were inspected, or none was due.
    pub watched: f64,
    /// The camera was away.
    pub away: f64,
    /// The camera sent the same picture.
    pub frozen: f64,
    /// Frames were captured and none was inspected.
    pub unjudged: f64,
}

impl WatchTime {
    /// The time in which nothing was inspected.
    pub fn blind(&self) -> f64 {
        self.away + self.frozen + self.unjudged
    }

    /// Adds another.
    pub fn add(&mut self, other: &WatchTime) {
        self.watched += other.watched;
        self.away += other.away;
        self.frozen += other.frozen;
        self.unjudged += other.unjudged;
    }
}

/// A clock that was set, or lines that are missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Discontinuity {
    /// The wall clock was set by so many seconds.
    Clock(f64),
    /// The log has no lines for so many seconds, although the run continued.
    Gap(f64),
}

/// One run.
pub struct Run {
    /// What records call it; empty where they do not.
    pub id: String,
    /// Its number for this reading.
    pub key: u64,
    /// Its process.
    pub pid: Option<u64>,
    /// The start record, where the log has it.
    pub start: Option<Start>,
    /// Whether its start is in the log and in the requested time range.
    pub begun: bool,
    /// Whether it is only an attempt: the program ended before its start record.
    pub attempt: bool,
    /// Its first line.
    pub first: LineRef,
    /// Its last line.
    pub last: LineRef,
    /// The time of its last record: what systemd reports of it is no sign of life.
    pub last_record: Option<Millis>,
    /// Frames by fate, so far.
    pub frames: FrameCounts,
    /// Frames before the requested time range.
    pub before: FrameCounts,
    /// Frames that counted as defect.
    pub defects: u64,
    /// Of these, before the requested time range.
    pub defects_before: u64,
    /// Event records.
    pub events: u64,
    /// Their numbers.
    pub event_numbers: EventNumbers,
    /// The share of normal frames, 0..1, that may count as defect: what the threshold leaves. From the start record or, of older
    /// programs, from the first event.
    promised: Option<f64>,
    /// How long it inspected the line.
    pub watch: WatchTime,
    /// Resident memory.
    pub rss: Peak,
    /// How memory grew.
    pub growth: MemoryTrend,
    /// Seconds since its start, by its last status.
    pub uptime: Option<f64>,
    /// Log lines that it suppressed.
    pub held_back: u64,
    /// Verdicts that the disk did not take in time.
    pub unrecorded: u64,
    /// Frames that a shadow judged, of which it said otherwise, that it had no time for, and that it failed on.
    pub shadow: [u64; 4],
    /// Parts by result.
    pub parts: PartTotals,
    /// Evidence of why it ended.
    pub evidence: ExitEvidence,
    /// Since when the camera is away or frozen.
    camera: Option<(Millis, bool)>,
    /// Seconds of this interval in which it was away or frozen.
    outage: (f64, f64),
    last_status: Option<(Millis, Status)>,
    /// Whether the last status has a time.
    last_timed: bool,
    /// The input of the last status.
    last_input: u32,
}

/// What a status adds to the board's summary.
pub struct Interval {
    /// Its share of the time.
    pub bucket: Bucket,
    /// A clock that was set, or lines that are missing, before it.
    pub before: Option<Discontinuity>,
    /// How many seconds it covers.
    pub seconds: f64,
    /// Frames that got a verdict in it.
    pub judged: f64,
}

impl Run {
    /// A run whose first line is at `line_ref`.
    pub fn new(key: u64, id: String, line_ref: LineRef) -> Run {
        Run {
            id,
            key,
            pid: None,
            start: None,
            begun: false,
            attempt: false,
            first: line_ref,
            last: line_ref,
            last_record: None,
            frames: FrameCounts::default(),
            before: FrameCounts::default(),
            defects: 0,
            defects_before: 0,
            events: 0,
            event_numbers: EventNumbers::default(),
            promised: None,
            watch: WatchTime::default(),
            rss: Peak::default(),
            growth: MemoryTrend::default(),
            uptime: None,
            held_back: 0,
            unrecorded: 0,
            shadow: [0; 4],
            parts: PartTotals::default(),
            evidence: ExitEvidence::default(),
            camera: None,
            outage: (0.0, 0.0),
            last_status: None,
            last_timed: false,
            last_input: line_ref.input,
        }
    }

    /// Takes the threshold of a record, from which on a frame counts as defect. A score is the share of normal frames that score
    /// lower, so the threshold is a promise.
    pub fn take_threshold(&mut self, threshold: Option<f64>) {
        let share = threshold.filter(|threshold| (0.0..1.0).contains(threshold)).map(|threshold| 1.0 - threshold);
        self.promised = self.promised.or(share);
    }

    /// The boot in which it ran.
    pub fn boot(&self) -> &str {
        self.start.as_ref().map_or("", |start| &start.boot)
    }

    /// The budget, in bytes.
    pub fn budget(&self) -> Option<u64> {
        self.start.as_ref().and_then(|start| start.budget)
    }

    /// Frames in the requested time range.
    pub fn counted(&self) -> FrameCounts {
        self.frames.since(&self.before)
    }

    /// The camera goes away, or freezes.
    pub fn camera_lost(&mut self, time: Millis, frozen: bool) {
        self.camera.get_or_insert((time, frozen));
    }

    /// The camera is back.
    pub fn camera_back(&mut self, since: Millis, time: Millis, frozen: bool) {
        let (since, frozen) = self.camera.take().unwrap_or((since, frozen));
        self.count_outage(since, time, frozen);
    }

    fn count_outage(&mut self, since: Millis, time: Millis, frozen: bool) {
        let from = self.last_status.as_ref().map_or(self.first.time.unwrap_or(since), |(time, _)| *time).max(since);
        let seconds = (time - from).max(0) as f64 / 1000.0;
        if frozen {
            self.outage.1 += seconds;
        } else {
            self.outage.0 += seconds;
        }
    }

    /// Adds the time after its last status, which no status covers; if it `hung`, nothing was inspected then. Returns the
    /// seconds.
    pub fn broke_off(&mut self, hung: bool) -> f64 {
        let (then, status) = match &self.last_status {
            Some((then, status)) => (Some(*then), status.clone()),
            None => (self.first.time, Status::default()),
        };
        let Some((then, end)) = then.zip(self.last.time) else { return 0.0 };
        let seconds = ((end - then) as f64 / 1000.0).clamp(0.0, LONGEST);
        let watch = match hung {
            true => WatchTime { unjudged: seconds, ..WatchTime::default() },
            false => self.watch_of(&status, &Bucket::default(), seconds, end, true),
        };
        self.watch.add(&watch);
        seconds
    }

    /// The input from which this status was added before, or a later one that has its counts. `named`: the status itself names
    /// this run.
    pub fn knows(&self, status: &Status, time: Option<Millis>, named: bool) -> Option<u32> {
        let (before, last) = self.last_status.as_ref()?;
        let known = match (status.uptime, last.uptime) {
            // The program's own clock never goes backwards.
            (Some(now), Some(before)) => now <= before && (named || last.frames == status.frames),
            _ => time.is_some_and(|time| time <= *before) && last.frames == status.frames,
        };
        known.then_some(self.last_input)
    }

    /// The input of its first line, or of its last status where that is `input`.
    pub fn other_input(&self, input: u32) -> u32 {
        if self.first.input == input { self.last_input } else { self.first.input }
    }

    /// A status before the requested time range: it only sets the counts to start from.
    pub fn baseline(&mut self, status: Status, time: Option<Millis>, line_ref: LineRef) {
        if let Some(frames) = status.frames {
            self.frames = frames;
            self.before = frames;
            self.defects = status.defects;
            self.defects_before = status.defects;
        }
        self.uptime = status.uptime.or(self.uptime);
        self.last = line_ref;
        if let Some(time) = time {
            self.last_status = Some((time, status));
            self.last_timed = true;
        }
    }

    /// Adds a status, or the counts of a stop record.
    pub fn status(&mut self, status: Status, line_ref: LineRef) -> Interval {
        let now = line_ref.time.or(self.last.time).unwrap_or_default();
        let before = self.last_status.take();
        let timed = line_ref.time.is_some();
        let (seconds, discontinuity) = self.seconds_since(&before, &status, now, timed && self.last_timed);
        let first = !self.begun && before.is_none();
        let mut bucket = Bucket { first: Some(line_ref), seconds, ..Bucket::default() };
        let mut judged = 0.0;
        if let Some(frames) = status.frames {
            // Of a run that began before the log, nobody knows how many of its frames are of this interval.
            let new = if first { FrameCounts::default() } else { frames.since(&self.frames) };
            judged = if first { status.fps.unwrap_or(1.0) * seconds } else { new.judged() as f64 };
            bucket.frames = new;
            if new.dropped_stale > 0 {
                bucket.dropped.observe(new.dropped_stale as f64 / new.captured.max(1) as f64, line_ref);
            }
            if let Some(promised) = self.promised.filter(|_| new.judged() > 0) {
                bucket.promised.add(promised, new.judged() as f64);
            }
            bucket.defects = if first { 0 } else { status.defects.saturating_sub(self.defects) };
            self.frames = frames;
            self.defects = self.defects.max(status.defects);
        }
        let watch = self.watch_of(&status, &bucket, seconds, now, first);
        bucket.watched = watch.watched;
        bucket.blind = watch.blind();
        self.watch.add(&watch);
        self.looks(&status, &mut bucket, line_ref, seconds, judged);
        let weight = judged.max(1.0);
        // A status of a longer interval, from another file, repeats what shorter ones reported.
        let reported_before = !first && status.seconds.is_some_and(|covers| covers > 2.0 * seconds + 5.0);
        if !reported_before {
            for (stage, reported) in bucket.stages.iter_mut().zip(status.stages) {
                if let Some(reported) = reported {
                    stage.add(weight, reported);
                }
            }
            if let Some(verdict) = status.stages[0] {
                bucket.p99.observe(verdict.p99, line_ref);
            }
            for (bins, reported) in [(&mut bucket.scores, status.scores), (&mut bucket.severities, status.severities)] {
                for (bin, reported) in bins.iter_mut().zip(reported.unwrap_or_default()) {
                    *bin += u64::from(reported);
                }
            }
        }
        self.uptime = status.uptime.or(self.uptime);
        self.last = line_ref;
        self.last_input = line_ref.input;
        self.last_status = Some((now, status));
        self.last_timed = timed;
        Interval { bucket, before: discontinuity, seconds, judged }
    }

    /// How many seconds lie between two statuses, by the program's own clock if the status has it; `timed`: both have a time.
    fn seconds_since(
        &self,
        before: &Option<(Millis, Status)>,
        status: &Status,
        now: Millis,
        timed: bool,
    ) -> (f64, Option<Discontinuity>) {
        let Some((then, last)) = before else {
            let since_start = self.first.time.filter(|_| self.begun).map(|start| (now - start) as f64 / 1000.0);
            let uptime = status.uptime.filter(|_| self.begun);
            return (uptime.or(since_start).or(status.seconds).unwrap_or(USUAL).max(0.0), None);
        };
        let wall = (now - then) as f64 / 1000.0;
        let own = status.uptime.zip(last.uptime).map(|(now, then)| (now - then).max(0.0));
        let seconds = own.unwrap_or(wall.max(0.0));
        let covered = status.seconds.unwrap_or(USUAL);
        if let Some(own) = own.filter(|own| timed && (wall - own).abs() > 5.0) {
            return (seconds, Some(Discontinuity::Clock(wall - own)));
        }
        if seconds > 3.0 * covered + 30.0 {
            return (seconds, Some(Discontinuity::Gap(seconds - covered)));
        }
        (seconds, None)
    }

    /// Which part of an interval the line was inspected.
    fn watch_of(&mut self, status: &Status, bucket: &Bucket, seconds: f64, now: Millis, first: bool) -> WatchTime {
        if let Some((since, frozen)) = self.camera {
            self.count_outage(since, now, frozen);
        }
        let (away, frozen) = std::mem::take(&mut self.outage);
        let away = away.min(seconds);
        let frozen = frozen.min(seconds - away);
        let mut watch = WatchTime { watched: seconds - away - frozen, away, frozen, unjudged: 0.0 };
        let frames = bucket.frames;
        if watch.watched > 0.0 && !first && frames.judged() == 0 {
            let rest = std::mem::take(&mut watch.watched);
            match status.source {
                Source::Away => watch.away += rest,
                Source::Frozen => watch.frozen += rest,
                _ if frames.captured > 0 => watch.unjudged += rest,
                // No frame was due: the line stands still, or the trigger had no parts.
                _ => watch.watched = rest,
            }
        } else if self.camera.is_none() && status.source == Source::Frozen && away + frozen == 0.0 {
            watch = WatchTime { frozen: watch.watched, ..WatchTime::default() };
        }
        watch
    }

    /// The other values of a status: memory, temperature, brightness.
    fn looks(&mut self, status: &Status, bucket: &mut Bucket, line_ref: LineRef, seconds: f64, judged: f64) {
        if let Some(rss) = status.rss {
            self.rss.observe(rss as f64, line_ref);
            bucket.rss.observe(rss as f64, line_ref);
            self.growth.add(status.uptime.or(line_ref.time.map(|time| time as f64 / 1000.0)), rss, line_ref);
        }
        if let Some(peak) = status.peak_rss {
            self.rss.observe(peak as f64, line_ref);
        }
        if let Some(celsius) = status.temperature {
            bucket.temperature.add(celsius, seconds.max(0.1));
        }
        bucket.throttled = status.throttled.unwrap_or(0);
        bucket.throttled_at = (bucket.throttled & 0xf != 0).then_some(line_ref);
        bucket.heat = status.heat.unwrap_or(0);
        if let Some(brightness) = status.brightness {
            bucket.brightness.add(brightness, judged.max(0.1));
        }
        if let Some(sharpness) = status.sharpness {
            bucket.sharpness.add(sharpness, judged.max(0.1));
        }
        self.held_back = self.held_back.max(status.held_back);
        self.unrecorded = self.unrecorded.max(status.unrecorded);
        self.shadow = std::array::from_fn(|at| self.shadow[at].max(status.shadow[at]));
        self.parts = self.parts.with(&status.parts, u64::max);
    }
}
