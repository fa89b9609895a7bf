//! Faults: what goes wrong for a while, reported when it begins, once a minute while it lasts, and when it is over.
//!
//! Each [`Cause`] has an episode of its own, so the memory is fixed, and a thing that fails a hundred times a second is three
//! lines and not a flood. A cause that comes and goes all the time is reported five times at once and then once a minute;
//! the episodes between are only counted (`held_back`). Whoever finds that something fails calls [`Telemetry::fail`];
//! whoever finds that it works calls [`Telemetry::resolve`], as often as is convenient: where there is no fault that costs
//! one read of a number.

use super::{Record, Telemetry};
use log::Level;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The kind of these records.
pub const FAULT: &str = "fault";

/// While a fault lasts it is reported again this often.
const AGAIN: Duration = Duration::from_secs(60);
/// What fails now and then is over after this time without a failure.
const QUIET: Duration = Duration::from_secs(10);
/// Episodes of one cause that are reported at once, and the time after which one more may be.
const AT_ONCE: u32 = 5;
const ONE_MORE: Duration = Duration::from_secs(60);

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no camera, or it sends nothing.
    Camera,
    /// The camera sends the same picture again and again.
    Frozen,
    /// The trigger's line cannot be read.
    Trigger,
    /// The alarm's line cannot be set.
    Alarm,
    /// The heartbeat's line cannot be set.
    Heartbeat,
    /// Records cannot be written.
    Records,
    /// Pictures cannot be written.
    Pictures,
    /// A frame cannot be read, decoded or judged.
    Frame,
    /// The bundle's model fails.
    Bundle,
    /// The spot cannot be enlarged.
    Enlarge,
    /// Enlarging takes longer than its limit.
    Late,
    /// Log lines cannot be written.
    Log,
    /// The broker is away.
    Mqtt,
    /// Records for the broker cannot be written.
    Spool,
    /// The status page cannot be served.
    Page,
}

const CAUSES: [Cause; 15] = [
    Cause::Camera,
    Cause::Frozen,
    Cause::Trigger,
    Cause::Alarm,
    Cause::Heartbeat,
    Cause::Records,
    Cause::Pictures,
    Cause::Frame,
    Cause::Bundle,
    Cause::Enlarge,
    Cause::Late,
    Cause::Log,
    Cause::Mqtt,
    Cause::Spool,
    Cause::Page,
];

impl Cause {
    /// As records call it.
    fn word(self) -> &'static str {
        match self {
            Cause::Camera | Cause::Frozen => "camera",
            Cause::Trigger => "trigger",
            Cause::Alarm | Cause::Heartbeat => "alarm",
            Cause::Records | Cause::Pictures | Cause::Spool => "disk",
            Cause::Frame => "frame",
            Cause::Bundle => "bundle",
            Cause::Enlarge | Cause::Late => "enlarge",
            Cause::Log => "log",
            Cause::Page => "page",
            Cause::Mqtt => "mqtt",
        }
    }

    fn level(self) -> Level {
        match self {
            Cause::Camera | Cause::Frozen | Cause::Frame | Cause::Late | Cause::Mqtt => Level::Warn,
            _ => Level::Error,
        }
    }

    /// How long it must not fail to be over: states are over at once, what is tried again and again is not.
    fn quiet(self) -> Duration {
        match self {
            Cause::Camera | Cause::Frozen | Cause::Trigger => Duration::ZERO,
            Cause::Alarm | Cause::Heartbeat | Cause::Mqtt | Cause::Page => Duration::ZERO,
            _ => QUIET,
        }
    }
}

/// The faults of a telemetry.
#[derive(Default)]
pub(super) struct FaultTracker {
    episodes: Mutex<Episodes>,
    /// A bit for each active cause, so that to resolve what does not fail costs one read.
    active: AtomicU32,
}

impl FaultTracker {
    /// Changes the episodes. What is to be reported is returned: it is written when the lock is free again.
    fn update(&self, change: impl FnOnce(&mut Episodes) -> Option<Notice>) -> Option<Notice> {
        let mut episodes = self.episodes.lock().unwrap_or_else(PoisonError::into_inner);
        let notice = change(&mut episodes);
        self.active.store(episodes.active(), Relaxed);
        notice
    }

    fn is_active(&self, cause: Cause) -> bool {
        self.active.load(Relaxed) & cause.bit() != 0
    }

    /// Forgets what is active: what follows is another run.
    pub(super) fn forget(&self) {
        self.update(|episodes| {
            *episodes = Episodes::default();
            None
        });
    }
}

/// Faults: reported when they begin, once a minute while they last, and when they are over.
impl Telemetry {
    /// Something failed: `text` is one line that says what is wrong, where, and what to do.
    pub fn fail(&self, cause: Cause, text: &str) {
        self.update_faults(|episodes, now| episodes.fail(cause, text, false, now));
    }

    /// The same, where the reason is another one than was reported last: it is reported at once.
    pub fn fail_with_new_reason(&self, cause: Cause, text: &str) {
        self.update_faults(|episodes, now| episodes.fail(cause, text, true, now));
    }

    /// It failed once more, for the same reason. Does nothing where the fault is not active.
    pub fn fail_again(&self, cause: Cause) {
        if self.shared.faults.is_active(cause) {
            self.update_faults(|episodes, now| episodes.fail(cause, "", false, now));
        }
    }

    /// It works.
    pub fn resolve(&self, cause: Cause) {
        if self.shared.faults.is_active(cause) {
            self.update_faults(|episodes, now| episodes.resolve(cause, now));
        }
    }

    /// Ends the faults that have been resolved for long enough; to be called a few times a second.
    pub fn end_resolved_faults(&self) {
        for cause in CAUSES.into_iter().filter(|cause| self.shared.faults.is_active(*cause)) {
            self.update_faults(|episodes, now| episodes.end_if_over(cause, now));
        }
    }

    /// Something happened in a moment and is over: reported as an end without a begin.
    pub fn report_once(&self, fault: &'static str, text: &str) {
        self.log_and_persist(momentary(fault, text));
    }

    /// The same, of something that happened `count` times.
    pub fn report_count(&self, fault: &'static str, text: &str, count: u64) {
        self.log_and_persist(momentary(fault, text).with("count", count));
    }

    /// The active faults, each once: `camera disk`; nothing where there is none.
    pub fn active_faults(&self) -> Option<String> {
        let mut words: Vec<&str> = Vec::new();
        let active = CAUSES.into_iter().filter(|cause| self.shared.faults.is_active(*cause));
        for word in active.map(Cause::word) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        (!words.is_empty()).then(|| words.join(" "))
    }

    fn update_faults(&self, change: impl FnOnce(&mut Episodes, Instant) -> Option<Notice>) {
        let notice = self.shared.faults.update(|episodes| change(episodes, Instant::now()));
        if let Some(notice) = notice {
            self.log_and_persist(notice.record());
        }
    }
}

fn momentary(fault: &'static str, text: &str) -> Record {
    let record = Record::new(Level::Warn, FAULT).with("fault", fault).with("state", "end");
    record.with("cause", text).with("seconds", 0.0)
}

impl Cause {
    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A report about an episode.
#[derive(Debug, PartialEq)]
struct Notice {
    cause: Cause,
    state: Phase,
    text: String,
    count: u64,
    held_back: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Begin,
    Again,
    End { seconds: f64 },
}

impl Notice {
    fn record(self) -> Record {
        let (word, level) = match self.state {
            Phase::Begin => ("begin", self.cause.level()),
            Phase::Again => ("again", self.cause.level()),
            Phase::End { .. } => ("end", Level::Info),
        };
        let mut record = Record::new(level, FAULT).with("fault", self.cause.word()).with("state", word);
        record.add("cause", self.text);
        if let Phase::End { seconds } = self.state {
            record.add("seconds", seconds);
        }
        if self.state != Phase::Begin || self.count > 1 {
            record.add("count", self.count);
        }
        if self.held_back > 0 {
            record.add("held_back", self.held_back);
        }
        record
    }
}

/// An episode of every cause, active or not.
struct Episodes {
    of: [Episode; CAUSES.len()],
}

struct Episode {
    since: Option<Instant>,
    failed: Option<Instant>,
    resolved: Option<Instant>,
    /// Failures of this episode.
    count: u64,
    /// When it was reported last; `None` where it was not, because there were too many before it.
    reported: Option<Instant>,
    text: String,
    /// Episodes that may still be reported, and since when.
    left: u32,
    earned: Option<Instant>,
    /// Reports that were held back since the last one.
    held_back: u64,
}

impl Episode {
    const NEW: Episode = Episode {
        since: None,
        failed: None,
        resolved: None,
        count: 0,
        reported: None,
        text: String::new(),
        left: AT_ONCE,
        earned: None,
        held_back: 0,
    };

    /// Whether one more may be reported now.
    fn may_be_reported(&mut self, now: Instant) -> bool {
        let earned = self.earned.get_or_insert(now);
        while self.left < AT_ONCE && now.saturating_duration_since(*earned) >= ONE_MORE {
            *earned += ONE_MORE;
            self.left += 1;
        }
        if self.left == AT_ONCE {
            *earned = now;
        }
        let may = self.left > 0;
        self.left -= u32::from(may);
        may
    }
}

impl Default for Episodes {
    fn default() -> Episodes {
        Episodes { of: [Episode::NEW; CAUSES.len()] }
    }
}

impl Episodes {
    /// A bit for each active cause.
    fn active(&self) -> u32 {
        let active = CAUSES.into_iter().filter(|cause| self.of[*cause as usize].since.is_some());
        active.map(Cause::bit).sum()
    }

    fn fail(&mut self, cause: Cause, text: &str, new_reason: bool, now: Instant) -> Option<Notice> {
        let episode = &mut self.of[cause as usize];
        if episode.since.is_none() {
            episode.since = Some(now);
            episode.count = 0;
            episode.reported = None;
        }
        episode.count += 1;
        episode.failed = Some(now);
        episode.resolved = None;
        let report = match episode.reported {
            None => episode.may_be_reported(now),
            Some(at) => new_reason || now.saturating_duration_since(at) >= AGAIN,
        };
        if !text.is_empty() && (report || episode.reported.is_none()) {
            episode.text.clear();
            episode.text.push_str(text);
        }
        if !report {
            // Further failures of an episode that was reported are in its count.
            episode.held_back += u64::from(episode.reported.is_none());
            return None;
        }
        let state = if episode.reported.is_none() { Phase::Begin } else { Phase::Again };
        episode.reported = Some(now);
        Some(episode.notice(cause, state))
    }

    fn resolve(&mut self, cause: Cause, now: Instant) -> Option<Notice> {
        let episode = &mut self.of[cause as usize];
        if episode.since.is_some() {
            episode.resolved.get_or_insert(now);
        }
        self.end_if_over(cause, now)
    }

    fn end_if_over(&mut self, cause: Cause, now: Instant) -> Option<Notice> {
        let episode = &mut self.of[cause as usize];
        let (since, failed, resolved) = (episode.since?, episode.failed?, episode.resolved?);
        if now.saturating_duration_since(failed) < cause.quiet() {
            return None;
        }
        let seconds = resolved.saturating_duration_since(since).as_secs_f64();
        let notice = episode.notice(cause, Phase::End { seconds: (seconds * 10.0).round() / 10.0 });
        let reported = episode.reported.is_some();
        (episode.since, episode.failed, episode.resolved) = (None, None, None);
        if reported {
            return Some(notice);
        }
        episode.held_back = notice.held_back + 1;
        None
    }
}

impl Episode {
    fn notice(&mut self, cause: Cause, state: Phase) -> Notice {
        let held_back = std::mem::take(&mut self.held_back);
        Notice { cause, state, text: self.text.clone(), count: self.count, held_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(of: f64) -> Duration {
        Duration::from_secs_f64(of)
    }

    #[test]
    fn an_outage_is_reported_when_it_begins_once_a_minute_and_when_it_ends() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let mut notices = Vec::new();
        // Tried every five seconds for three minutes; after seventy the reason is another.
        for try_ in 0..36 {
            let text = if try_ < 14 { "no such camera" } else { "busy" };
            let now = start + seconds(5.0 * f64::from(try_));
            notices.extend(episodes.fail(Cause::Camera, text, try_ == 14, now).map(|notice| (try_, notice)));
        }
        let at: Vec<(i32, Phase, &str)> =
            notices.iter().map(|(at, notice)| (*at, notice.state, &notice.text[..])).collect();
        assert_eq!(
            at,
            [
                (0, Phase::Begin, "no such camera"),
                (12, Phase::Again, "no such camera"),
                (14, Phase::Again, "busy"),
                (26, Phase::Again, "busy"),
            ]
        );
        let end = episodes.resolve(Cause::Camera, start + seconds(183.04)).unwrap();
        assert_eq!((end.state, end.count, end.held_back), (Phase::End { seconds: 183.0 }, 36, 0));
        assert_eq!(episodes.resolve(Cause::Camera, start + seconds(184.0)), None);
        let line = super::super::text_line(&end.record());
        assert!(line.contains("fault=camera state=end cause=busy seconds=183 count=36"), "{line}");
    }

    #[test]
    fn what_fails_now_and_then_is_one_episode_until_it_is_quiet() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let mut notices = Vec::new();
        // Ten frames a second, every other one fails, for half a minute.
        for frame in 0..300_u32 {
            let now = start + seconds(f64::from(frame) / 10.0);
            let line = match frame % 2 {
                0 => episodes.fail(Cause::Frame, "cut", false, now),
                _ => episodes.resolve(Cause::Frame, now),
            };
            notices.extend(line);
        }
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_eq!(episodes.end_if_over(Cause::Frame, start + seconds(39.0)), None);
        let end = episodes.end_if_over(Cause::Frame, start + seconds(40.0)).unwrap();
        assert_eq!((end.state, end.count), (Phase::End { seconds: 29.9 }, 150));
    }

    #[test]
    fn a_cause_that_comes_and_goes_is_not_a_flood_and_nothing_goes_uncounted() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        let (mut begins, mut ends, mut failures, mut held_back) = (0, 0, 0, 0);
        // A loose plug: away for a second every two, for an hour.
        for round in 0..1800_u32 {
            let now = start + seconds(2.0 * f64::from(round));
            for line in
                [episodes.fail(Cause::Camera, "gone", false, now), episodes.resolve(Cause::Camera, now + seconds(1.0))]
                    .into_iter()
                    .flatten()
            {
                held_back += line.held_back;
                match line.state {
                    Phase::Begin => begins += 1,
                    Phase::Again => panic!("none lasts so long"),
                    Phase::End { .. } => {
                        ends += 1;
                        failures += line.count;
                    }
                }
            }
        }
        assert_eq!(begins, ends);
        assert!((60..=66).contains(&begins), "{begins}");
        // Each that was not reported would have been two lines, but for the last, whose count is in the next.
        assert_eq!(failures + held_back / 2 + episodes.of[Cause::Camera as usize].held_back / 2, 1800);
    }

    #[test]
    fn one_that_was_held_back_and_lasts_is_reported_after_all() {
        let (mut episodes, start) = (Episodes::default(), Instant::now());
        for _ in 0..AT_ONCE {
            assert!(episodes.fail(Cause::Camera, "gone", false, start).is_some());
            assert!(episodes.resolve(Cause::Camera, start).is_some());
        }
        assert_eq!(episodes.fail(Cause::Camera, "gone", false, start + seconds(1.0)), None);
        let line = episodes.fail(Cause::Camera, "gone", false, start + seconds(61.0)).unwrap();
        assert_eq!((line.state, line.count, line.held_back), (Phase::Begin, 2, 1));
        let line = super::super::text_line(&line.record());
        assert!(line.ends_with("state=begin cause=gone count=2 held_back=1"), "{line}");
    }

    #[test]
    fn a_fault_is_logged_when_the_lock_is_free() {
        // The log itself counts a failure while it writes: it would wait for ever for a lock that is held.
        #[derive(Clone, Default)]
        struct Asking(std::sync::Arc<Mutex<(Option<Telemetry>, Vec<String>)>>);
        impl std::io::Write for Asking {
            fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
                let mut log = self.0.lock().unwrap();
                let telemetry = log.0.clone().unwrap();
                telemetry.fail_again(Cause::Camera);
                log.1.push(telemetry.active_faults().unwrap_or_default());
                Ok(line.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let log = Asking::default();
        let target = super::super::LogTarget::Writer(Box::new(log.clone()));
        let telemetry = Telemetry::new(super::super::LogSettings { format: Default::default(), filter: None, target });
        log.0.lock().unwrap().0 = Some(telemetry.clone());
        telemetry.fail(Cause::Camera, "gone");
        telemetry.resolve(Cause::Camera);
        telemetry.fail(Cause::Mqtt, "gone");
        assert_eq!(log.0.lock().unwrap().1, ["camera", "", "mqtt"]);
        // The two know each other.
        log.0.lock().unwrap().0 = None;
    }

    #[test]
    fn every_cause_has_its_own_place() {
        for (at, cause) in CAUSES.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
        }
    }
}
