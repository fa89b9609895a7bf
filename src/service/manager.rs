//! Tells the manager what the service does (`sd_notify(3)`).

use crate::pipeline::Status;
use crate::times::{FEED, STATUS};
use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// The way to the manager.
pub struct Manager {
    fed: Option<Instant>,
    told: Option<(Instant, u64)>,
}

impl Default for Manager {
    fn default() -> Self {
        Manager::new()
    }
}

impl Manager {
    /// Whoever started this process, where it wants to be told.
    pub fn new() -> Manager {
        Manager { fed: None, told: None }
    }

    /// Everything is up: units that wait for this one may start.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::Watchdog]);
    }

    /// A new configuration is being taken; [`Manager::ready`] ends that.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The service ends.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn say(&self, text: &str) {
        tell(&[NotifyState::Status(text)]);
    }

    /// Every thread has got on since this was called last.
    pub fn alive(&mut self) {
        if self.fed.is_none_or(|fed| fed.elapsed() >= FEED) {
            tell(&[NotifyState::Watchdog]);
            self.fed = Some(Instant::now());
        }
    }

    /// Renews the line from time to time; `board` says how the board is, in words.
    pub fn progress(&mut self, status: &Status, board: impl FnOnce() -> Option<String>) {
        let (since, frames) = match self.told {
            Some((told, _)) if told.elapsed() < STATUS => return,
            Some((told, before)) => (told.elapsed(), status.counts.captured - before.min(status.counts.captured)),
            None => (Duration::ZERO, 0),
        };
        self.told = Some((Instant::now(), status.counts.captured));
        if !since.is_zero() {
            let line = line(status, frames as f64 / since.as_secs_f64());
            let board = board().map_or(String::new(), |board| format!("; {board}"));
            self.say(&(line + &board));
        }
    }
}

/// What an engineer wants to see at a glance.
fn line(status: &Status, fps: f64) -> String {
    let counts = status.counts;
    let judged = counts.inspected + counts.skipped_similar;
    if fps == 0.0 {
        return format!("no frame is coming; {judged} inspected, {} with defects", status.defects);
    }
    format!(
        "{fps:.1} frames a second, score {:.3}, {:.1} ms to a verdict; {judged} inspected, {} with defects, {} failed",
        status.score,
        status.mean_latency_ms(),
        status.defects,
        counts.failed
    )
}

/// Where nobody listens, or not any more, there is nothing to be done about it.
fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!(error = error.to_string().as_str(); "manager_not_told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Counts;

    #[test]
    fn the_line_tells_the_rate_and_that_nothing_comes() {
        let counts = Counts { captured: 30, inspected: 28, skipped_similar: 1, dropped_stale: 0, failed: 1 };
        let status = Status { counts, score: 0.25, defects: 2, ..Status::default() };
        let text = line(&status, 12.34);
        assert!(text.contains("12.3 frames a second, score 0.250") && text.contains("29 inspected, 2 with"), "{text}");
        assert!(line(&status, 0.0).starts_with("no frame is coming"));
    }
}
