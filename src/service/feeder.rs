//! Feeds the watchdog while a line loads what it needs for its next run: that may take longer than the watchdog waits.

use super::manager::notify;
use crate::threads::not_started;
use crate::times::{FEED, LOADING, WATCHDOG};
use sd_notify::NotifyState;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Feeds the watchdog until it is dropped, but not longer than [`LOADING`] for one try to load.
#[must_use]
pub struct Feeder {
    /// Each message begins another try; the end of the channel ends the thread.
    tries: Sender<()>,
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
        let (tries, begins) = channel::<()>();
        let mut begun = Instant::now();
        let work = move || {
            loop {
                feed();
                let next = match begun.elapsed() < longest {
                    true => begins.recv_timeout(every),
                    // This try hangs. Whoever hangs in it begins no other one.
                    false => begins.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match next {
                    Ok(()) => begun = Instant::now(),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = Builder::new().name("watchdog".into()).stack_size(1 << 16).spawn(work);
        thread.map_err(|error| not_started("watchdog", &error))?;
        Ok(Feeder { tries })
    }

    /// Another try to load begins, or the wait for one: it has all the time of the first.
    pub fn begin_try(&self) {
        // The thread ends with this value and not before.
        let _ = self.tries.send(());
    }

    /// One that feeds whoever listens, once for each try.
    #[cfg(test)]
    pub fn once_a_try() -> (Feeder, std::sync::mpsc::Receiver<()>) {
        let (fed, feedings) = channel();
        let feed = move || fed.send(()).unwrap_or_default();
        (Feeder::with(Duration::from_secs(600), Duration::ZERO, feed).unwrap(), feedings)
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

        // A try of no time at all: fed when it begins and not again, until another one begins.
        let (feeder, feedings) = Feeder::once_a_try();
        feedings.recv().unwrap();
        feeder.begin_try();
        feedings.recv().unwrap();
        drop(feeder);
        assert_eq!(feedings.iter().count(), 0, "it gives up by itself");
    }
}
