//! GPIO lines that say which product comes: a binary code, which counts once it stands still.

use super::signals::blame;
use crate::board::InputLevels;
use crate::config::Config;
use crate::pipeline::{Commands, Selection};
use crate::telemetry::{Cause, Telemetry};
use std::time::{Duration, Instant};

/// Who asks, in records.
const BY: &str = "gpio";

/// The lines, and what they say.
pub struct ProductLines {
    levels: InputLevels,
    settled: SettledCode,
}

/// A code that counts once it has stood still for long enough: the lines of a code never change at the same moment.
#[derive(Debug)]
struct SettledCode {
    settle: Duration,
    /// The code that was read last, and since when it is the same.
    last: Option<(u16, Instant)>,
    /// The code that counted last.
    counted: Option<u16>,
}

impl ProductLines {
    /// Opens the lines of a configuration, where it has some.
    pub(super) fn open(config: &Config) -> anyhow::Result<Option<ProductLines>> {
        let section = &config.products;
        if section.lines.get_ref().is_empty() {
            return Ok(None);
        }
        let levels = InputLevels::open(section.addresses()).map_err(|error| blame(config, &section.lines, error))?;
        let settle = Duration::from_secs_f64(section.settle_ms.get_ref() / 1e3);
        Ok(Some(ProductLines { levels, settled: SettledCode::new(settle) }))
    }

    /// Whether they have said something yet.
    pub(super) fn have_settled(&self) -> bool {
        self.settled.counted.is_some()
    }

    /// Reads the lines, and asks for the product whose code they have settled on.
    pub(super) fn poll(&mut self, now: Instant, commands: &Commands, telemetry: &Telemetry) {
        match self.levels.read() {
            Ok(code) => {
                telemetry.resolve(Cause::ProductLines);
                if let Some(code) = self.settled.read(code, now) {
                    // What comes of it is a record.
                    let _ = commands.select(Selection::Code(code), BY);
                }
            }
            Err(error) => telemetry.fail(Cause::ProductLines, &error),
        }
    }
}

impl SettledCode {
    fn new(settle: Duration) -> SettledCode {
        SettledCode { settle, last: None, counted: None }
    }

    /// Takes a reading; returns a code that counts from now on.
    fn read(&mut self, code: u16, now: Instant) -> Option<u16> {
        let since = match self.last {
            Some((last, since)) if last == code => since,
            _ => self.last.insert((code, now)).1,
        };
        let is_new = self.counted != Some(code) && now.saturating_duration_since(since) >= self.settle;
        is_new.then(|| *self.counted.insert(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_counts_once_when_it_has_stood_still() {
        let begin = Instant::now();
        let mut lines = SettledCode::new(Duration::from_millis(50));
        let mut read = |ms: u64, code: u16| lines.read(code, begin + Duration::from_millis(ms));
        // From 1 to 2 by way of 3 and 0, as bits change one after the other.
        let readings = [(0, 1), (20, 1), (50, 1), (70, 1), (80, 3), (100, 0), (120, 2), (160, 2), (170, 2), (900, 2)];
        let counted: Vec<Option<u16>> = readings.into_iter().map(|(ms, code)| read(ms, code)).collect();
        assert_eq!(counted, [None, None, Some(1), None, None, None, None, None, Some(2), None]);
        // A loose contact flaps faster than that, for ever: nothing counts, not even what it was before.
        assert!((0..1000).all(|at| read(1000 + 10 * at, (at % 2) as u16).is_none()));
        // It comes back to what counts already: nothing has changed.
        assert!((0..10).all(|at| read(20_000 + 20 * at, 2).is_none()));
    }
}
