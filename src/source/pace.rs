//! Paces frames at a fixed rate.

use std::time::{Duration, Instant};

/// Delays frames to a fixed rate.
pub(super) struct Pace {
    interval: Option<Duration>,
    due: Option<Instant>,
}

impl Pace {
    /// `fps` frames per second; `None`: as fast as they are taken.
    pub(super) fn new(fps: Option<f64>) -> Pace {
        Pace { interval: fps.map(|fps| Duration::from_secs_f64(1.0 / fps)), due: None }
    }

    pub(super) fn is_live(&self) -> bool {
        self.interval.is_some()
    }

    /// Waits for the next frame's time, but at most 100 ms; true once it has come.
    pub(super) fn wait(&mut self) -> bool {
        let Some(interval) = self.interval else { return true };
        let now = Instant::now();
        let due = *self.due.get_or_insert(now);
        if due > now {
            std::thread::sleep((due - now).min(Duration::from_millis(100)));
            if Instant::now() < due {
                return false;
            }
        }
        // After a long pause the rate starts over instead of catching up.
        let late = now.saturating_duration_since(due) > interval * 4;
        self.due = Some(if late { now + interval } else { due + interval });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_keeps_its_rate() {
        let mut pace = Pace::new(Some(200.0));
        let start = Instant::now();
        let mut frames = 0;
        while frames < 21 {
            frames += usize::from(pace.wait());
        }
        assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
        assert!(Pace::new(None).wait());
    }
}
