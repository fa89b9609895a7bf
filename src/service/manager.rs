//! Notifies the service manager (`sd_notify(3)`).

use crate::escape::one_line;
use crate::pipeline::Status;
use crate::times::{FEED, STATUS};
use sd_notify::NotifyState;
use std::time::{Duration, Instant};

/// The connection to the service manager.
pub struct ServiceManager {
    fed: Option<Instant>,
    /// When the status text was renewed last, and the frames captured by then.
    renewed: Option<(Instant, u64)>,
}

impl Default for ServiceManager {
    fn default() -> Self {
        ServiceManager::new()
    }
}

impl ServiceManager {
    /// The manager that started this process; without one, nothing is sent.
    pub fn new() -> ServiceManager {
        ServiceManager { fed: None, renewed: None }
    }

    /// Everything is up: units that wait for this one may start.
    pub fn ready(&self) {
        notify(&[NotifyState::Ready, NotifyState::Watchdog]);
    }

    /// A new configuration is being taken; [`ServiceManager::ready`] ends that.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    /// The service ends.
    pub fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        // The end of a line would begin another message of the protocol.
        notify(&[NotifyState::Status(&one_line(text))]);
    }

    /// Feeds the watchdog: every thread has made progress since this was called last.
    pub fn alive(&mut self) {
        if self.fed.is_none_or(|fed| fed.elapsed() >= FEED) {
            notify(&[NotifyState::Watchdog]);
            self.fed = Some(Instant::now());
        }
    }

    /// Renews the line from time to time; `board` describes the board.
    pub fn progress(&mut self, status: &Status, board: impl FnOnce() -> Option<String>) {
        let (since, frames) = match self.renewed {
            Some((at, _)) if at.elapsed() < STATUS => return,
            Some((at, before)) => (at.elapsed(), status.counts.captured - before.min(status.counts.captured)),
            None => (Duration::ZERO, 0),
        };
        self.renewed = Some((Instant::now(), status.counts.captured));
        if !since.is_zero() {
            let line = line(status, frames as f64 / since.as_secs_f64());
            let board = board().map_or(String::new(), |board| format!("; {board}"));
            self.status(&(line + &board));
        }
    }
}

/// The rate, the last severity and the counts, in one line.
pub(super) fn line(status: &Status, fps: f64) -> String {
    let counts = status.counts;
    let judged = counts.inspected + counts.skipped_similar;
    if fps == 0.0 {
        return format!("no frame is coming; {judged} inspected, {} with defects", status.defects);
    }
    format!(
        "{fps:.1} frames a second, severity {:.2}, {:.1} ms to a verdict; {judged} inspected, {} with defects, {} failed",
        status.severity,
        status.mean_latency_ms(),
        status.defects,
        counts.failed
    )
}

/// Sends states. Where nobody listens, or not any more, there is nothing to be done about it.
pub(super) fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!(error = error.to_string().as_str(); "manager_not_told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Counts;

    #[test]
    fn the_line_has_the_rate_or_says_that_no_frame_comes() {
        let counts = Counts { captured: 30, inspected: 28, skipped_similar: 1, dropped_stale: 0, failed: 1 };
        let status = Status { counts, severity: 0.25, defects: 2, ..Status::default() };
        let text = line(&status, 12.34);
        assert!(
            text.contains("12.3 frames a second, severity 0.25") && text.contains("29 inspected, 2 with"),
            "{text}"
        );
        assert!(line(&status, 0.0).starts_with("no frame is coming"));
    }
}
