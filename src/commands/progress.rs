//! Progress of a long command: a bar with the time left on a terminal, a log line each tenth elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;

/// Reports the progress of a task.
pub struct ProgressReporter {
    bar: ProgressBar,
    what: &'static str,
    total: u64,
    tenths: Cell<u64>,
}

impl ProgressReporter {
    /// A task of `total` steps.
    pub fn new(what: &'static str, total: u64) -> ProgressReporter {
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg:9} {wide_bar} {percent:>3} %, {eta} left ") {
            bar.set_style(style);
        }
        ProgressReporter { bar, what, total, tenths: Cell::new(0) }
    }

    /// Reports that `done` steps are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
        let tenths = 10 * done / self.total.max(1);
        if self.bar.is_hidden() && tenths > self.tenths.replace(tenths) {
            log::info!(percent = 10 * tenths, seconds_left = self.bar.eta().as_secs(); "{}", self.what);
        }
    }

    /// All steps are done: removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
