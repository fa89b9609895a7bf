//! Faults: how often, how long, and which are still on. In fixed memory.

use super::line_ref::{LineRef, Occurrences, Peak};
use crate::parser::Millis;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

/// Kinds of faults, such as `camera`, that are distinguished: more than the program has.
const KINDS: usize = 24;
/// Causes of one kind that are distinguished.
const CAUSES: usize = 24;
/// Faults that are on at once, at most.
const OPEN: usize = 48;
/// What further kinds count as, together.
pub const OTHER_KINDS: &str = "other kinds";
/// What further causes of one kind count as, together.
const OTHER_CAUSES: &str = "other causes";
/// Episodes that are kept one by one.
const EPISODES: usize = 512;

/// All faults of one cause.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// `camera`, `disk`, …
    pub fault: String,
    /// One line.
    pub cause: String,
    /// Episodes in the log.
    pub seen: Occurrences,
    /// Failures in them.
    pub failures: u64,
    /// Suppressed lines; an episode has two.
    pub held_back: u64,
    /// How long they took together, in seconds.
    pub seconds: f64,
    /// The longest, in seconds.
    pub longest: Peak,
    /// Of causes that are not distinguished: episodes whose end was not read yet.
    unended: u64,
}

/// Whether a camera fault is a frozen picture; otherwise the camera is unavailable.
pub fn is_frozen(cause: &str) -> bool {
    cause.contains("has not changed")
}

/// A line about a fault.
#[derive(Debug, Clone, Copy)]
pub struct FaultLine<'a> {
    /// The run in which it is.
    pub run: u64,
    /// What fails.
    pub fault: &'a str,
    /// Why.
    pub cause: &'a str,
    /// When.
    pub time: Millis,
    /// Whether it repeats that the fault is still there.
    pub again: bool,
    /// How often it failed, so far.
    pub count: u64,
    /// Suppressed lines before this one.
    pub held_back: u64,
    /// The line.
    pub line_ref: LineRef,
}

/// One episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Episode {
    /// The fault's number.
    pub fault: usize,
    /// When it began.
    pub from: Millis,
    /// When it ended; `None` if unknown.
    pub to: Option<Millis>,
    /// Its first line.
    pub line_ref: LineRef,
}

/// One episode that is on.
#[derive(Debug, Clone, Copy)]
struct OpenEpisode {
    episode: Episode,
    /// The run in which it is.
    run: u64,
    /// Failures that were counted so far.
    failures: u64,
}

/// The faults of one board.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// By cause.
    pub causes: Vec<Fault>,
    /// In the order in which they began.
    pub episodes: Vec<Episode>,
    /// Those that are on.
    open: Vec<OpenEpisode>,
    /// Each kind, with how many causes of it are distinguished.
    kinds: Vec<(String, usize)>,
    /// The number of a cause, by the hash of its kind and its text without numbers.
    numbers: HashMap<u64, usize>,
}

impl Faults {
    /// A fault begins, or is repeated.
    pub fn begin(&mut self, line: FaultLine) {
        let number = self.number(line.fault, line.cause);
        self.causes[number].held_back += line.held_back;
        if self.causes[number].cause == OTHER_CAUSES {
            // Many that are not distinguished have no episodes of their own.
            if !line.again {
                self.causes[number].seen.add(line.line_ref);
                self.causes[number].failures += line.count;
                self.causes[number].unended += 1;
            }
            return;
        }
        if let Some(at) = self.find(line.run, line.fault, number) {
            let open = &mut self.open[at];
            // Its reason may be another one now. A run that is cut has no end that says how often it failed.
            open.episode.fault = number;
            self.causes[number].failures += line.count.saturating_sub(open.failures);
            open.failures = open.failures.max(line.count);
            return;
        }
        self.causes[number].seen.add(line.line_ref);
        self.causes[number].failures += line.count;
        let episode = Episode { fault: number, from: line.time, to: None, line_ref: line.line_ref };
        self.open.push(OpenEpisode { episode, run: line.run, failures: line.count });
        // A log that lost its ends must not make the list long.
        if self.open.len() > OPEN {
            let open = self.open.remove(0);
            self.keep(open.episode);
        }
    }

    /// A fault ends after `seconds`. Returns when it began.
    pub fn end(&mut self, line: FaultLine, seconds: Option<f64>) -> Millis {
        let number = self.number(line.fault, line.cause);
        self.causes[number].held_back += line.held_back;
        let began = seconds.map(|seconds| line.time - (seconds * 1000.0) as Millis);
        let cause = &mut self.causes[number];
        if cause.cause == OTHER_CAUSES {
            match cause.unended.checked_sub(1) {
                Some(unended) => cause.unended = unended,
                None => cause.seen.add(line.line_ref),
            }
            cause.failures += line.count.saturating_sub(1);
            cause.seconds += seconds.unwrap_or(0.0);
            cause.longest.observe(seconds.unwrap_or(0.0), line.line_ref);
            return began.unwrap_or(line.time);
        }
        let (episode, counted) = match self.find(line.run, line.fault, number) {
            Some(at) => {
                let open = self.open.remove(at);
                (Episode { to: Some(line.time), ..open.episode }, open.failures)
            }
            None => {
                // Its begin is not in the log.
                self.causes[number].seen.add(line.line_ref);
                self.causes[number].failures += 1;
                let from = began.unwrap_or(line.time);
                (Episode { fault: number, from, to: Some(line.time), line_ref: line.line_ref }, 1)
            }
        };
        let seconds = seconds.unwrap_or((line.time - episode.from).max(0) as f64 / 1000.0);
        let cause = &mut self.causes[episode.fault];
        cause.failures += line.count.saturating_sub(counted);
        cause.seconds += seconds;
        cause.longest.observe(seconds, episode.line_ref);
        self.keep(episode);
        began.unwrap_or(episode.from)
    }

    /// A run is over: what is on ends with it, unseen.
    pub fn run_over(&mut self, run: u64, time: Millis) {
        let (over, open): (Vec<_>, _) = std::mem::take(&mut self.open).into_iter().partition(|open| open.run == run);
        self.open = open;
        for OpenEpisode { episode, .. } in over {
            self.lasted(episode, time);
            self.keep(episode);
        }
    }

    /// End of the log: active faults lasted at least until then. Returns how many were active.
    pub fn close(&mut self, time: Millis) -> usize {
        let open = std::mem::take(&mut self.open);
        for OpenEpisode { episode, .. } in &open {
            self.lasted(*episode, time);
            self.keep(*episode);
        }
        self.episodes.sort_by_key(|episode| episode.from);
        open.len()
    }

    /// The faults of a kind, the longest first.
    pub fn of<'a>(&'a self, fault: &'a str) -> impl Iterator<Item = &'a Fault> {
        self.causes.iter().filter(move |cause| cause.fault == fault)
    }

    fn lasted(&mut self, episode: Episode, until: Millis) {
        let seconds = (until - episode.from).max(0) as f64 / 1000.0;
        let cause = &mut self.causes[episode.fault];
        cause.seconds += seconds;
        cause.longest.observe(seconds, episode.line_ref);
    }

    /// The open episode of a cause; where a fault has one only, it is that whatever its cause is now.
    fn find(&self, run: u64, fault: &str, number: usize) -> Option<usize> {
        if let Some(at) = self.open.iter().position(|open| open.run == run && open.episode.fault == number) {
            return Some(at);
        }
        let mut same = (0..self.open.len())
            .filter(|at| self.open[*at].run == run && self.causes[self.open[*at].episode.fault].fault == fault);
        let first = same.next()?;
        same.next().is_none().then_some(first)
    }

    /// The number of a cause; causes that differ in their numbers only (which frame, how long) are one. What comes after too many
    /// kinds, or too many causes of a kind, counts together: neither memory nor time grows with what a log makes up.
    fn number(&mut self, fault: &str, cause: &str) -> usize {
        let hash = |fault: &str, cause: &str| {
            let mut hasher = self.numbers.hasher().build_hasher();
            fault.hash(&mut hasher);
            without_numbers(cause).for_each(|c| c.hash(&mut hasher));
            hasher.finish()
        };
        let known = hash(fault, cause);
        if let Some(number) = self.numbers.get(&known) {
            return *number;
        }
        let room = self.kinds.len() < KINDS;
        let (fault, cause) = match self.kinds.iter_mut().find(|(kind, _)| kind == fault) {
            Some((_, causes)) if *causes < CAUSES => {
                *causes += 1;
                (fault, cause)
            }
            Some(_) => (fault, OTHER_CAUSES),
            None if room => {
                self.kinds.push((fault.into(), 1));
                (fault, cause)
            }
            None => (OTHER_KINDS, OTHER_CAUSES),
        };
        let known = hash(fault, cause);
        if let Some(number) = self.numbers.get(&known) {
            return *number;
        }
        self.causes.push(Fault { fault: fault.into(), cause: cause.into(), ..Fault::default() });
        self.numbers.insert(known, self.causes.len() - 1);
        self.causes.len() - 1
    }

    /// Keeps an episode; where there are too many, the shortest goes.
    fn keep(&mut self, episode: Episode) {
        self.episodes.push(episode);
        if self.episodes.len() > EPISODES {
            let length = |episode: &Episode| episode.to.map_or(Millis::MAX, |to| to - episode.from);
            if let Some((shortest, _)) = self.episodes.iter().enumerate().min_by_key(|(_, episode)| length(episode)) {
                self.episodes.swap_remove(shortest);
            }
        }
    }
}

/// A text with one `0` for each row of digits.
fn without_numbers(text: &str) -> impl Iterator<Item = char> {
    let mut digit = false;
    text.chars().filter_map(move |c| match (c.is_ascii_digit(), std::mem::replace(&mut digit, c.is_ascii_digit())) {
        (true, true) => None,
        (true, false) => Some('0'),
        (false, _) => Some(c),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(run: u64, fault: &'a str, cause: &'a str, time: Millis, count: u64) -> FaultLine<'a> {
        FaultLine { run, fault, cause, time, again: false, count, held_back: 0, line_ref: LineRef::default() }
    }

    #[test]
    fn episodes_are_counted_and_timed() {
        let mut faults = Faults::default();
        faults.begin(line(1, "camera", "gone", 1000, 1));
        faults.begin(line(1, "camera", "gone", 61_000, 13));
        faults.begin(line(1, "camera", "busy", 62_000, 14));
        assert_eq!(faults.end(line(1, "camera", "busy", 91_000, 18), Some(90.0)), 1000);
        faults.end(line(1, "disk", "full", 100_000, 7), Some(30.0));
        assert_eq!(faults.causes[1].seconds, 90.0, "the whole episode counts for its last cause");
        assert_eq!((faults.causes[2].seconds, faults.causes[2].failures), (30.0, 7));
        assert_eq!((faults.episodes[1].from, faults.episodes[1].to), (70_000, Some(100_000)));
        faults.begin(line(2, "camera", "gone", 200_000, 1));
        assert_eq!(faults.close(260_000), 1);
        assert_eq!(faults.causes[0].longest.value, 60.0);
    }

    #[test]
    fn failures_are_counted_once_also_where_the_end_is_missing() {
        let mut faults = Faults::default();
        let again = |time, count| FaultLine { again: true, ..line(1, "camera", "gone", time, count) };
        faults.begin(line(1, "camera", "gone", 1000, 2));
        faults.begin(again(61_000, 13));
        // The power fails: there is no end.
        faults.run_over(1, 62_000);
        assert_eq!(faults.causes[0].failures, 13);
        // The log begins in the middle.
        faults.begin(again(200_000, 5));
        faults.end(line(1, "camera", "gone", 210_000, 8), Some(90.0));
        assert_eq!((faults.causes[0].failures, faults.causes[0].seen.count), (13 + 8, 2));
    }

    #[test]
    fn numbers_make_no_new_cause() {
        let mut faults = Faults::default();
        for seconds in [60, 61, 120] {
            faults
                .end(line(1, "camera", &format!("cam: the picture has not changed for {seconds} s"), 0, 1), Some(1.0));
        }
        faults.end(line(1, "camera", "cam: busy", 0, 1), None);
        assert_eq!(faults.causes.iter().map(|cause| cause.seen.count).collect::<Vec<_>>(), [3, 1]);
    }

    #[test]
    fn memory_is_fixed() {
        let mut faults = Faults::default();
        for i in 0..10_000 {
            let letters: String = i.to_string().chars().map(|c| (c as u8 - b'0' + b'a') as char).collect();
            let (cause, time) = (format!("part-{letters}.png: cut"), i as Millis * 1000);
            faults.begin(line(i, "frame", &cause, time, 1));
            if i % 2 == 0 {
                faults.end(line(i, "frame", &cause, time + 5, 1), None);
            }
        }
        assert!(faults.causes.len() <= CAUSES + 1 && faults.episodes.len() <= EPISODES && faults.open.len() <= OPEN);
        assert_eq!(faults.causes.iter().map(|cause| cause.seen.count).sum::<u64>(), 10_000);
    }

    #[test]
    fn kinds_are_bounded_and_the_known_ones_keep_their_causes() {
        let mut faults = Faults::default();
        faults.begin(line(1, "camera", "gone", 0, 1));
        for i in 0..300_000 {
            let letters: String = i.to_string().chars().map(|c| (c as u8 - b'0' + b'a') as char).collect();
            faults.end(line(1, &letters, &letters, i, 1), Some(1.0));
        }
        faults.end(line(1, "camera", "busy", 400_000, 2), Some(1.0));
        assert!(faults.causes.len() <= KINDS + 2 && faults.numbers.len() == faults.causes.len());
        let others = faults.causes.iter().find(|cause| cause.fault == OTHER_KINDS).unwrap();
        assert_eq!(others.seen.count, 300_000 - (KINDS as u64 - 1));
        assert_eq!(faults.of("camera").map(|cause| cause.cause.as_str()).collect::<Vec<_>>(), ["gone", "busy"]);
        assert_eq!(faults.causes.iter().map(|cause| cause.seen.count).sum::<u64>(), 300_001);
    }
}
