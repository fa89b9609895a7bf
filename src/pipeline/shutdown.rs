//! A request to stop, visible to every thread.

use crate::threads::{not_started, print_last_line};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// The name of the thread that hears signals.
const NAME: &str = "signals";
/// Its stack, in bytes.
const STACK: usize = 1 << 17;

/// Signals within this time of the first are the same request: a terminal and a supervisor both ask, or a hand slips.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Set once, by a signal or by the end of the work; never cleared.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    requested: Arc<AtomicBool>,
    /// Another run is to follow this one at once.
    hands_over: Arc<AtomicBool>,
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
    /// Where the handlers or the thread that hears them cannot be installed.
    pub fn on_signals() -> std::io::Result<Shutdown> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let shutdown = Shutdown::default();
        shutdown.idle.store(true, Relaxed);
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        let (idle, signalled) = (Arc::clone(&shutdown.idle), Arc::clone(&shutdown.signalled));
        let hear = move || {
            let mut first = None;
            for _ in signals.forever() {
                let since: Instant = *first.get_or_insert_with(Instant::now);
                let is_second = signalled.swap(true, Relaxed);
                if !is_second && idle.load(Relaxed) {
                    signal_hook::low_level::exit(0);
                }
                if is_second && since.elapsed() >= SAME_REQUEST {
                    print_last_line("lineside: a second signal: it ends at once, without its stop record");
                    signal_hook::low_level::exit(1);
                }
            }
        };
        Builder::new().name(NAME.into()).stack_size(STACK).spawn(hear).map_err(|error| not_started(NAME, &error))?;
        Ok(shutdown)
    }

    /// Another run, which the same signals end; to ask this one to stop does not stop the other.
    pub fn another(&self) -> Shutdown {
        Shutdown { requested: Arc::default(), hands_over: Arc::default(), ..self.clone() }
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

    /// The same, where another run follows at once that takes the alarm over as it is.
    pub fn ask_and_hand_over(&self) {
        self.hands_over.store(true, Relaxed);
        self.ask();
    }

    /// Whether another run takes the alarm over as it is.
    pub fn hands_over(&self) -> bool {
        self.hands_over.load(Relaxed) && !self.is_signalled()
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
