//! A request to stop, visible to every thread.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Signals within this time of the first are the same request: a terminal and a supervisor both ask, or a hand slips.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Set once, by a signal or by the end of the work; never cleared.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    requested: Arc<AtomicBool>,
    /// The same request, beyond this run.
    signalled: Arc<AtomicBool>,
    /// Nothing is at work that must end in order: a signal ends the process at once.
    idle: Arc<AtomicBool>,
}

/// While it lives, a signal asks for an orderly stop.
#[must_use]
pub struct OrderlyStop<'a>(&'a AtomicBool);

impl Drop for OrderlyStop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

impl Shutdown {
    /// A shutdown that SIGINT and SIGTERM ask for. A second signal, a second after the first or later, ends the process at once,
    /// with a word and exit code 1. While no run needs an orderly stop ([`Shutdown::stop_orderly`]) the first one does, with exit
    /// code 0: whoever loads from a share that stalls is not waited for.
    ///
    /// # Errors
    /// Where the handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Shutdown> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let shutdown = Shutdown::default();
        shutdown.idle.store(true, Relaxed);
        // When the first signal came, in milliseconds of the monotonic clock.
        let first = Arc::new(AtomicU64::new(0));
        for signal in [SIGINT, SIGTERM] {
            let (idle, signalled, first) =
                (Arc::clone(&shutdown.idle), Arc::clone(&shutdown.signalled), Arc::clone(&first));
            let handler = move || {
                let now = monotonic_ms();
                if idle.load(Relaxed) {
                    signal_hook::low_level::exit(0);
                }
                match first.compare_exchange(0, now, Relaxed, Relaxed) {
                    Ok(_) => signalled.store(true, Relaxed),
                    Err(first) if is_same_request(first, now) => (),
                    Err(_) => {
                        say_in_handler(b"lineside: a second signal: ends at once, without its stop record\n");
                        signal_hook::low_level::exit(1);
                    }
                }
            };
            // SAFETY: the handler calls only what POSIX allows in one, clock_gettime, poll, write and _exit; it takes no lock and no
            // memory, and does not panic.
            unsafe { signal_hook::low_level::register(signal, handler) }?;
        }
        Ok(shutdown)
    }

    /// Another run, which the same signals end; to ask this one to stop does not stop the other.
    pub fn another(&self) -> Shutdown {
        Shutdown { requested: Arc::default(), ..self.clone() }
    }

    /// From now on there is something to write down at the end, until the result is dropped.
    pub fn stop_orderly(&self) -> OrderlyStop<'_> {
        self.idle.store(false, Relaxed);
        OrderlyStop(&self.idle)
    }

    /// Asks every thread of this run to stop.
    pub fn ask(&self) {
        self.requested.store(true, Relaxed);
    }

    /// Whether a stop was asked for, by a signal or for this run.
    pub fn is_asked(&self) -> bool {
        self.requested.load(Relaxed) || self.is_signalled()
    }

    /// Whether a signal asked for it: no run is to follow.
    pub fn is_signalled(&self) -> bool {
        self.signalled.load(Relaxed)
    }
}

/// Whether a signal at `now` belongs to the request of the one at `first`; both in milliseconds.
fn is_same_request(first: u64, now: u64) -> bool {
    u128::from(now.saturating_sub(first)) < SAME_REQUEST.as_millis()
}

/// Milliseconds of the monotonic clock, from 1.
fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000).max(1)
}

/// Writes to standard error from a signal handler, where that takes it at once: a terminal that is held does not hold the end.
fn say_in_handler(text: &[u8]) {
    let stderr = rustix::stdio::stderr();
    let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut ready, Some(&at_once)) == Ok(1) && ready[0].revents() == PollFlags::OUT {
        let _ = rustix::io::write(stderr, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_signal_is_a_second_request() {
        assert!(is_same_request(5, 5) && is_same_request(5, 1004) && !is_same_request(5, 1005));
        // A clock that were to go back would not end the process.
        assert!(is_same_request(5, 1));
    }
}
