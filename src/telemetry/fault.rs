//! What goes wrong for a while: told when it begins, once a minute while it lasts, and when it is over.
//!
//! Each [`Cause`] is an episode of its own, so the memory is fixed, and a thing that fails a hundred times a second is three
//! lines and not a flood. A cause that comes and goes all the time is told five times at once and then once a minute; the
//! episodes between are only counted (`held_back`). Whoever finds that something fails calls [`failed`]; whoever finds that
//! it works calls [`well`], as often as is convenient: where there is no fault that costs one read of a number.

use super::{Record, keep};
use log::Level;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The kind of these records.
pub const KIND: &str = "fault";

/// While a fault lasts it is told again this often.
const AGAIN: Duration = Duration::from_secs(60);
/// What fails now and then counts as well again after this time without a failure.
const QUIET: Duration = Duration::from_secs(10);
/// Episodes of one cause that are told at once, and the time after which one more may be told.
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
    /// Enlarging takes longer than it may.
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

    /// How long it must be well to be over: states are over at once, what is tried again and again is not.
    fn quiet(self) -> Duration {
        match self {
            Cause::Camera | Cause::Frozen | Cause::Trigger => Duration::ZERO,
            Cause::Alarm | Cause::Heartbeat | Cause::Mqtt | Cause::Page => Duration::ZERO,
            _ => QUIET,
        }
    }
}

static EPISODES: Mutex<Episodes> = Mutex::new(Episodes::new());
/// A bit for each cause whose episode is on.
static ON: AtomicU32 = AtomicU32::new(0);

/// Something failed: `text` is one line that says what is wrong, where, and what to do.
pub fn failed(cause: Cause, text: &str) {
    tell(lock().failed(cause, text, false, Instant::now()));
}

/// The same, where the reason is another one than was told last: it is told at once.
pub fn failed_otherwise(cause: Cause, text: &str) {
    tell(lock().failed(cause, text, true, Instant::now()));
}

/// It failed once more, for the same reason. Does nothing where it was not told that it fails.
pub fn failed_again(cause: Cause) {
    if is_on(cause) {
        tell(lock().failed(cause, "", false, Instant::now()));
    }
}

/// It works.
pub fn well(cause: Cause) {
    if is_on(cause) {
        tell(lock().well(cause, Instant::now()));
    }
}

/// Looks which episodes are over; to be called a few times a second.
pub fn tick() {
    if ON.load(Relaxed) != 0 {
        for cause in CAUSES {
            tell(lock().end_if_over(cause, Instant::now()));
        }
    }
}

/// Forgets what is on: what follows is another run.
pub fn forget() {
    lock().forget();
    ON.store(0, Relaxed);
}

/// Something happened in a moment and is over; told as an end without a begin.
pub fn happened(fault: &'static str, text: &str) {
    give(momentary(fault, text));
}

/// The same, of something that happened so many times.
pub fn happened_often(fault: &'static str, text: &str, count: u64) {
    give(momentary(fault, text).with("count", count));
}

/// The faults that are on, each once: `camera disk`; nothing where there is none.
pub fn on() -> Option<String> {
    let mut words: Vec<&str> = Vec::new();
    for word in CAUSES.into_iter().filter(|cause| is_on(*cause)).map(Cause::word) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn momentary(fault: &'static str, text: &str) -> Record {
    let record = Record::new(Level::Warn, KIND).with("fault", fault).with("state", "end");
    record.with("cause", text).with("seconds", 0.0)
}

fn is_on(cause: Cause) -> bool {
    ON.load(Relaxed) & cause.bit() != 0
}

fn lock() -> MutexGuard<'static, Episodes> {
    EPISODES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(told: Option<Told>) {
    if let Some(told) = told {
        give(told.record());
    }
}

fn give(record: Record) {
    keep(record.clone());
    record.log();
}

impl Cause {
    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A line about an episode.
#[derive(Debug, PartialEq)]
struct Told {
    cause: Cause,
    state: State,
    text: String,
    count: u64,
    held_back: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Begin,
    Again,
    End { seconds: f64 },
}

impl Told {
    fn record(self) -> Record {
        let (word, level) = match self.state {
            State::Begin => ("begin", self.cause.level()),
            State::Again => ("again", self.cause.level()),
            State::End { .. } => ("end", Level::Info),
        };
        let mut record = Record::new(level, KIND).with("fault", self.cause.word()).with("state", word);
        record.add("cause", self.text);
        if let State::End { seconds } = self.state {
            record.add("seconds", seconds);
        }
        if self.state != State::Begin || self.count > 1 {
            record.add("count", self.count);
        }
        if self.held_back > 0 {
            record.add("held_back", self.held_back);
        }
        record
    }
}

/// An episode of every cause, on or not.
struct Episodes {
    of: [Episode; CAUSES.len()],
}

struct Episode {
    since: Option<Instant>,
    failed: Option<Instant>,
    well: Option<Instant>,
    /// Failures of this episode.
    count: u64,
    /// When a line of it was told last; `None` where none was, because there were too many before it.
    told: Option<Instant>,
    text: String,
    /// Episodes that may still be told, and since when.
    left: u32,
    earned: Option<Instant>,
    /// Lines that were held back since the last one that was told.
    held_back: u64,
}

impl Episode {
    const NEW: Episode = Episode {
        since: None,
        failed: None,
        well: None,
        count: 0,
        told: None,
        text: String::new(),
        left: AT_ONCE,
        earned: None,
        held_back: 0,
    };

    /// Whether one more may be told now.
    fn may_be_told(&mut self, now: Instant) -> bool {
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

impl Episodes {
    const fn new() -> Episodes {
        Episodes { of: [Episode::NEW; CAUSES.len()] }
    }

    fn forget(&mut self) {
        *self = Episodes::new();
    }

    fn failed(&mut self, cause: Cause, text: &str, otherwise: bool, now: Instant) -> Option<Told> {
        let episode = &mut self.of[cause as usize];
        if episode.since.is_none() {
            episode.since = Some(now);
            episode.count = 0;
            episode.told = None;
            ON.fetch_or(cause.bit(), Relaxed);
        }
        episode.count += 1;
        episode.failed = Some(now);
        episode.well = None;
        let tell = match episode.told {
            None => episode.may_be_told(now),
            Some(told) => otherwise || now.saturating_duration_since(told) >= AGAIN,
        };
        if !text.is_empty() && (tell || episode.told.is_none()) {
            episode.text.clear();
            episode.text.push_str(text);
        }
        if !tell {
            // Of an episode that is told, further failures are in its count.
            episode.held_back += u64::from(episode.told.is_none());
            return None;
        }
        let state = if episode.told.is_none() { State::Begin } else { State::Again };
        episode.told = Some(now);
        Some(episode.line(cause, state))
    }

    fn well(&mut self, cause: Cause, now: Instant) -> Option<Told> {
        let episode = &mut self.of[cause as usize];
        if episode.since.is_some() {
            episode.well.get_or_insert(now);
        }
        self.end_if_over(cause, now)
    }

    fn end_if_over(&mut self, cause: Cause, now: Instant) -> Option<Told> {
        let episode = &mut self.of[cause as usize];
        let (since, failed, well) = (episode.since?, episode.failed?, episode.well?);
        if now.saturating_duration_since(failed) < cause.quiet() {
            return None;
        }
        let seconds = well.saturating_duration_since(since).as_secs_f64();
        let line = episode.line(cause, State::End { seconds: (seconds * 10.0).round() / 10.0 });
        let told = episode.told.is_some();
        (episode.since, episode.failed, episode.well) = (None, None, None);
        ON.fetch_and(!cause.bit(), Relaxed);
        if told {
            return Some(line);
        }
        episode.held_back = line.held_back + 1;
        None
    }
}

impl Episode {
    fn line(&mut self, cause: Cause, state: State) -> Told {
        let held_back = std::mem::take(&mut self.held_back);
        Told { cause, state, text: self.text.clone(), count: self.count, held_back }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(of: f64) -> Duration {
        Duration::from_secs_f64(of)
    }

    #[test]
    fn an_outage_is_told_when_it_begins_once_a_minute_and_when_it_ends() {
        let (mut episodes, start) = (Episodes::new(), Instant::now());
        let mut told = Vec::new();
        // Tried every five seconds for three minutes; after seventy the reason is another.
        for try_ in 0..36 {
            let text = if try_ < 14 { "no such camera" } else { "busy" };
            let now = start + seconds(5.0 * f64::from(try_));
            told.extend(episodes.failed(Cause::Camera, text, try_ == 14, now).map(|told| (try_, told)));
        }
        let at: Vec<(i32, State, &str)> = told.iter().map(|(at, told)| (*at, told.state, &told.text[..])).collect();
        assert_eq!(
            at,
            [
                (0, State::Begin, "no such camera"),
                (12, State::Again, "no such camera"),
                (14, State::Again, "busy"),
                (26, State::Again, "busy"),
            ]
        );
        let end = episodes.well(Cause::Camera, start + seconds(183.04)).unwrap();
        assert_eq!((end.state, end.count, end.held_back), (State::End { seconds: 183.0 }, 36, 0));
        assert_eq!(episodes.well(Cause::Camera, start + seconds(184.0)), None);
        let line = super::super::text_line(&end.record());
        assert!(line.contains("fault=camera state=end cause=busy seconds=183 count=36"), "{line}");
    }

    #[test]
    fn what_fails_now_and_then_is_one_episode_until_it_is_quiet() {
        let (mut episodes, start) = (Episodes::new(), Instant::now());
        let mut told = Vec::new();
        // Ten frames a second, every other one fails, for half a minute.
        for frame in 0..300_u32 {
            let now = start + seconds(f64::from(frame) / 10.0);
            let line = match frame % 2 {
                0 => episodes.failed(Cause::Frame, "cut", false, now),
                _ => episodes.well(Cause::Frame, now),
            };
            told.extend(line);
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(episodes.end_if_over(Cause::Frame, start + seconds(39.0)), None);
        let end = episodes.end_if_over(Cause::Frame, start + seconds(40.0)).unwrap();
        assert_eq!((end.state, end.count), (State::End { seconds: 29.9 }, 150));
    }

    #[test]
    fn a_cause_that_comes_and_goes_is_not_a_flood_and_nothing_goes_uncounted() {
        let (mut episodes, start) = (Episodes::new(), Instant::now());
        let (mut begins, mut ends, mut failures, mut held_back) = (0, 0, 0, 0);
        // A loose plug: away for a second every two, for an hour.
        for round in 0..1800_u32 {
            let now = start + seconds(2.0 * f64::from(round));
            for line in
                [episodes.failed(Cause::Camera, "gone", false, now), episodes.well(Cause::Camera, now + seconds(1.0))]
                    .into_iter()
                    .flatten()
            {
                held_back += line.held_back;
                match line.state {
                    State::Begin => begins += 1,
                    State::Again => panic!("none lasts so long"),
                    State::End { .. } => {
                        ends += 1;
                        failures += line.count;
                    }
                }
            }
        }
        assert_eq!(begins, ends);
        assert!((60..=66).contains(&begins), "{begins}");
        // Each that was not told would have been two lines, but for the last, whose count is told with the next.
        assert_eq!(failures + held_back / 2 + episodes.of[Cause::Camera as usize].held_back / 2, 1800);
    }

    #[test]
    fn one_that_was_held_back_and_lasts_is_told_after_all() {
        let (mut episodes, start) = (Episodes::new(), Instant::now());
        for _ in 0..AT_ONCE {
            assert!(episodes.failed(Cause::Camera, "gone", false, start).is_some());
            assert!(episodes.well(Cause::Camera, start).is_some());
        }
        assert_eq!(episodes.failed(Cause::Camera, "gone", false, start + seconds(1.0)), None);
        let line = episodes.failed(Cause::Camera, "gone", false, start + seconds(61.0)).unwrap();
        assert_eq!((line.state, line.count, line.held_back), (State::Begin, 2, 1));
        let line = super::super::text_line(&line.record());
        assert!(line.ends_with("state=begin cause=gone count=2 held_back=1"), "{line}");
    }

    #[test]
    fn every_cause_has_its_own_place() {
        for (at, cause) in CAUSES.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
        }
    }
}
