//! The episode of each cause: when it begins, lasts and ends, and which of that is reported.

use super::Record;
use super::cause::{CAUSES, Cause};
use log::Level;
use std::time::{Duration, Instant};

/// The kind of these records.
pub const FAULT: &str = "fault";

/// While a fault lasts it is reported again this often.
const AGAIN: Duration = Duration::from_secs(60);
/// Episodes of one cause that are reported at once, and the time after which one more may be.
const AT_ONCE: u32 = 5;
const ONE_MORE: Duration = Duration::from_secs(60);

/// A report about an episode.
#[derive(Debug, PartialEq)]
pub(super) struct Notice {
    cause: Cause,
    state: Phase,
    text: String,
    count: u64,
    held_back: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    Begin,
    Again,
    End { seconds: f64 },
}

impl Notice {
    pub(super) fn record(self) -> Record {
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
pub(super) struct Episodes {
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
    pub(super) fn active(&self) -> u32 {
        let active = CAUSES.into_iter().filter(|cause| self.of[*cause as usize].since.is_some());
        active.map(Cause::bit).sum()
    }

    pub(super) fn fail(&mut self, cause: Cause, text: &str, new_reason: bool, now: Instant) -> Option<Notice> {
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

    pub(super) fn resolve(&mut self, cause: Cause, now: Instant) -> Option<Notice> {
        let episode = &mut self.of[cause as usize];
        if episode.since.is_some() {
            episode.resolved.get_or_insert(now);
        }
        self.end_if_over(cause, now)
    }

    pub(super) fn end_if_over(&mut self, cause: Cause, now: Instant) -> Option<Notice> {
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
}
