//! Results on the lines, one after the other, as pulses that a controller can count.
//!
//! ```text
//!            with a strobe                                without one
//! OK     ____/‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾\______________         ____/‾‾‾‾‾‾‾‾\______________
//! NOK    ____________________/‾‾‾‾‾‾‾‾‾‾‾‾‾‾         __________________/‾‾‾‾‾‾‾‾\
//! strobe ________/‾‾‾‾‾‾‾‾\______/‾‾‾‾‾‾‾‾\_
//!            |   |        |  |                           |        |    |
//!            |setup| pulse  |  next part                 |  pulse | at least setup
//! ```
//!
//! With a strobe the result lines keep their level until the next result. A result that comes while the one before is on the lines
//! waits until its pulse is over. Where it would miss its deadline by that, the pulse is cut short, but not below a millisecond:
//! then both are counted.

use super::ledger::MAX_IN_FLIGHT;
use super::outcome::PartResult;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A pulse is not cut shorter than this.
pub const MIN_PULSE: Duration = Duration::from_millis(1);

/// The lengths of pulses.
#[derive(Debug, Clone, Copy)]
pub struct PulseTiming {
    /// Result lines stand still for so long before the strobe; without a strobe, they are off for so long between two results.
    pub setup: Duration,
    /// How long the strobe lasts, or the result line where there is none.
    pub pulse: Duration,
    /// Whether there is a strobe.
    pub strobe: bool,
    /// What sets the NOK line: a part that has no result does, too.
    pub no_result_is_nok: bool,
}

/// What the lines are to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResultLevels {
    /// The OK line.
    pub ok: bool,
    /// The NOK line.
    pub nok: bool,
    /// The strobe.
    pub strobe: bool,
}

/// Counts of pulses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PulseCounts {
    /// Results that the lines have shown.
    pub shown: u64,
    /// Of these, those that waited for the pulse before.
    pub waited: u64,
    /// Pulses that were cut short for the next result.
    pub cut: u64,
    /// Results that the lines showed after the deadline all the same.
    pub overdue: u64,
    /// Results that were never shown, because too many waited.
    pub unshown: u64,
}

/// Results that wait for the lines, and the one on them.
pub(super) struct PulseTrain {
    timing: PulseTiming,
    waiting: VecDeque<(PartResult, Instant)>,
    phase: Phase,
    levels: ResultLevels,
    pub counts: PulseCounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing to show.
    Idle,
    /// Result lines are set, the strobe is not yet.
    Setup { until: Instant, due: Instant },
    /// The pulse.
    Pulse { since: Instant },
    /// Between two pulses of result lines.
    Gap { until: Instant },
}

impl PulseTrain {
    pub fn new(timing: PulseTiming) -> PulseTrain {
        let timing = PulseTiming { pulse: timing.pulse.max(MIN_PULSE), ..timing };
        PulseTrain {
            timing,
            waiting: VecDeque::with_capacity(MAX_IN_FLIGHT),
            phase: Phase::Idle,
            levels: ResultLevels::default(),
            counts: PulseCounts::default(),
        }
    }

    /// A result that is to be shown until `due`. To be followed by [`Self::tick`].
    pub fn push(&mut self, result: PartResult, due: Instant) {
        if self.waiting.len() >= MAX_IN_FLIGHT {
            self.counts.unshown += 1;
            return;
        }
        if self.phase != Phase::Idle || !self.waiting.is_empty() {
            self.counts.waited += 1;
        }
        self.waiting.push_back((result, due));
    }

    /// What the lines are to show from now on. Each level lasts at least as long as it should from the time when it was set, even if
    /// this is called late: at most one thing changes at a call.
    pub fn tick(&mut self, now: Instant) -> ResultLevels {
        match self.phase {
            Phase::Setup { until, due } if now >= until => {
                self.levels.strobe = true;
                self.begin_pulse(due, now);
            }
            Phase::Pulse { since } if now >= self.end_of_pulse(since) => {
                self.counts.cut += u64::from(now < since + self.timing.pulse);
                self.levels.strobe = false;
                if self.timing.strobe {
                    self.phase = Phase::Idle;
                    self.begin(now);
                } else {
                    self.levels = ResultLevels::default();
                    self.phase = Phase::Gap { until: now + self.timing.setup };
                }
            }
            Phase::Gap { until } if now >= until => {
                self.phase = Phase::Idle;
                self.begin(now);
            }
            Phase::Idle => self.begin(now),
            _ => {}
        }
        self.levels
    }

    /// When [`Self::tick`] has something to do.
    pub fn next(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::Setup { until, .. } | Phase::Gap { until } => Some(until),
            Phase::Pulse { since } => Some(self.end_of_pulse(since)),
        }
    }

    /// Whether everything was shown, for as long as it should be.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle && self.waiting.is_empty()
    }

    /// Begins with the next result, where one waits.
    fn begin(&mut self, now: Instant) {
        let Some((result, due)) = self.waiting.pop_front() else { return };
        let nok = result == PartResult::Nok || result == PartResult::NoResult && self.timing.no_result_is_nok;
        self.levels = ResultLevels { ok: result == PartResult::Ok, nok, strobe: false };
        if self.timing.strobe {
            self.phase = Phase::Setup { until: now + self.timing.setup, due };
        } else {
            self.begin_pulse(due, now);
        }
    }

    fn begin_pulse(&mut self, due: Instant, now: Instant) {
        self.counts.shown += 1;
        self.counts.overdue += u64::from(now > due);
        self.phase = Phase::Pulse { since: now };
    }

    /// When the pulse ends that began at `since`: as early as those that wait need it.
    fn end_of_pulse(&self, since: Instant) -> Instant {
        let PulseTiming { setup, pulse, .. } = self.timing;
        let mut end = since + pulse;
        let mut before = Duration::ZERO;
        for (_, due) in &self.waiting {
            // The shortest pulses of those that come before it, and its own setup.
            end = end.min(due.checked_sub(before + setup).unwrap_or(since));
            before += MIN_PULSE + setup;
            if end <= since + MIN_PULSE {
                break;
            }
        }
        end.max(since + MIN_PULSE)
    }
}
