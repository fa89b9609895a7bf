//! Faults: what goes wrong for a while, reported when it begins, once a minute while it lasts, and when it is over.
//!
//! Each [`Cause`] has an episode of its own, so the memory is fixed, and a thing that fails a hundred times a second is three
//! lines and not a flood. A cause that comes and goes all the time is reported five times at once and then once a minute;
//! the episodes between are only counted (`held_back`). Whoever finds that something fails calls [`Telemetry::fail`];
//! whoever finds that it works calls [`Telemetry::resolve`], as often as is convenient: where there is no fault that costs
//! one read of a number.

use super::cause::{CAUSES, Cause, FAULT_WORDS};
use super::episode::{Episodes, FAULT, Notice};
use super::{Record, Telemetry};
use log::Level;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

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

    /// Whether each of [`FAULT_WORDS`] is active.
    pub fn fault_flags(&self) -> [bool; FAULT_WORDS.len()] {
        FAULT_WORDS.map(|word| CAUSES.into_iter().any(|one| one.word() == word && self.shared.faults.is_active(one)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_fault_is_logged_when_the_lock_is_free() {
        // The log itself counts a failure while it writes: it would wait for ever for a lock that is held.
        #[derive(Clone, Default)]
        struct Asking(Arc<Mutex<(Option<Telemetry>, Vec<String>)>>);
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
}
