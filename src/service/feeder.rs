//! Feeds the watchdog while a line loads what it needs for its next run: that may take longer than the watchdog waits.

use super::manager::notify;
use crate::threads::not_started;
use crate::times::{FEED, LOADING, WATCHDOG};
use sd_notify::NotifyState;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Feeds the watchdog until it is dropped, but not longer than [`LOADING`].
#[must_use]
pub struct Feeder {
    /// Held for its end alone.
    _guard: Sender<()>,
}

impl Feeder {
    /// Begins to feed.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start() -> io::Result<Feeder> {
        Feeder::with(FEED, LOADING, || {
            // A reload has a limit of its own.
            notify(&[NotifyState::Watchdog, NotifyState::ExtendTimeoutUsec(WATCHDOG.as_micros() as u32)]);
        })
    }

    fn with(every: Duration, longest: Duration, feed: impl Fn() + Send + 'static) -> io::Result<Feeder> {
        let (guard, ended) = channel::<()>();
        let begun = Instant::now();
        let work = move || {
            while begun.elapsed() < longest {
                feed();
                if ended.recv_timeout(every) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
            }
        };
        let thread = Builder::new().name("watchdog".into()).stack_size(1 << 16).spawn(work);
        thread.map_err(|error| not_started("watchdog", &error))?;
        Ok(Feeder { _guard: guard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_feeds_until_it_is_dropped_or_for_too_long() {
        let (fed, feedings) = channel();
        let feed = move || fed.send(()).unwrap_or_default();
        let feeder = Feeder::with(Duration::from_millis(1), Duration::from_secs(600), feed).unwrap();
        (0..5).for_each(|_| feedings.recv().unwrap());
        drop(feeder);
        // The thread ends, and its end of the channel with it.
        assert!(feedings.iter().count() < 600_000);

        let (fed, feedings) = channel();
        let feed = move || fed.send(()).unwrap_or_default();
        let feeder = Feeder::with(Duration::from_millis(1), Duration::from_millis(20), feed).unwrap();
        assert!(feedings.iter().count() >= 1, "it gives up by itself");
        drop(feeder);
    }
}
