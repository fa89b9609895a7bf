//! SIGHUP: whoever runs the service asks for the configuration to be read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Set by SIGHUP, cleared once it was seen.
#[derive(Debug, Clone, Default)]
pub struct Reload {
    asked: Arc<AtomicBool>,
}

impl Reload {
    /// A wish that SIGHUP utters.
    ///
    /// # Errors
    /// Where the handler cannot be installed.
    pub fn on_signal() -> std::io::Result<Reload> {
        let reload = Reload::default();
        signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&reload.asked))?;
        Ok(reload)
    }

    /// Whether it was asked for since the last call.
    pub fn take(&self) -> bool {
        self.asked.swap(false, Relaxed)
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
    }
}
