//! A request to stop, visible to every thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
    /// A shutdown that SIGINT and SIGTERM ask for. A second signal ends the process at once, with exit code 1. While no run needs
    /// an orderly stop ([`Shutdown::stop_orderly`]) the first one does, with exit code 0: whoever loads from a share that stalls is
    /// not waited for.
    ///
    /// # Errors
    /// Where the handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Shutdown> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let shutdown = Shutdown::default();
        shutdown.idle.store(true, Relaxed);
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 0, Arc::clone(&shutdown.idle))?;
            // In this order: the second signal finds the flag that the first one set.
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&shutdown.signalled))?;
            signal_hook::flag::register(signal, Arc::clone(&shutdown.signalled))?;
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
