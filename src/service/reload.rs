//! SIGHUP: a request to read the configuration again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Set by SIGHUP or [`Reload::ask`], cleared by [`Reload::take`].
#[derive(Debug, Clone, Default)]
pub struct Reload {
    requested: Arc<AtomicBool>,
}

impl Reload {
    /// A request that SIGHUP makes.
    ///
    /// # Errors
    /// Where the handler cannot be installed.
    pub fn on_signal() -> std::io::Result<Reload> {
        let reload = Reload::default();
        signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&reload.requested))?;
        Ok(reload)
    }

    /// Requests a reload, as SIGHUP does.
    pub fn ask(&self) {
        self.requested.store(true, Relaxed);
    }

    /// Whether a reload was requested since the last call.
    pub fn take(&self) -> bool {
        self.requested.swap(false, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_seen_once() {
        let reload = Reload::on_signal().unwrap();
        assert!(!reload.take());
        signal_hook::low_level::raise(signal_hook::consts::SIGHUP).unwrap();
        assert!(reload.take() && !reload.take());
        reload.clone().ask();
        assert!(reload.take() && !reload.take());
    }
}
