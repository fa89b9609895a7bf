//! Progress of a long command: a bar with the time left on a terminal, a log line each tenth elsewhere; each hundredth where a line
//! runs it in the background and shows it on its page.

use crate::background;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;

/// Reports the progress of a task.
pub struct ProgressReporter {
    bar: ProgressBar,
    what: &'static str,
    total: u64,
    /// Log lines for the whole task.
    steps: u64,
    logged: Cell<u64>,
}

impl ProgressReporter {
    /// A task of `total` steps.
    pub fn new(what: &'static str, total: u64) -> ProgressReporter {
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg:9} {wide_bar} {percent:>3} %, {eta} left ") {
            bar.set_style(style);
        }
        let steps = if background::is_entered() { 100 } else { 10 };
        ProgressReporter { bar, what, total, steps, logged: Cell::new(0) }
    }

    /// Reports that `done` steps are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
        let step = self.steps * done / self.total.max(1);
        if self.bar.is_hidden() && step > self.logged.replace(step) {
            log::info!(percent = 100 * step / self.steps, seconds_left = self.bar.eta().as_secs(); "{}", self.what);
        }
    }

    /// All steps are done: removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
