//! What a verdict takes of this machine.

use super::trial_picture::trial_picture;
use crate::bundle::ViewSize;
use crate::task::{TaskError, Tasks};
use lineside_engine::Plan;
use std::fmt;
use std::time::{Duration, Instant};

/// Frames of unknown size are taken to have this one: VGA.
const USUAL: (usize, usize) = (640, 480);

/// What a verdict costs.
#[derive(Debug, Clone, serde::Serialize)]
pub struct VerdictCost {
    /// What the networks see of a frame.
    pub views: Vec<ViewSize>,
    /// Multiply-accumulates of the networks, over all views and tasks.
    pub macs: u64,
    /// Threads that share its runs.
    pub threads: usize,
    /// How long a verdict takes here where every task runs, in milliseconds.
    pub ms: f64,
}

impl VerdictCost {
    /// Measures verdicts on frames of this size, where it is known.
    ///
    /// # Errors
    /// [`TaskError`] where a frame cannot be judged.
    pub(super) fn measure(
        tasks: &mut Tasks,
        size: Option<(usize, usize)>,
        threads: usize,
    ) -> Result<VerdictCost, TaskError> {
        let ms = (time_of_verdict(tasks, size)?.as_secs_f64() * 1e5).round() / 100.0;
        let macs = tasks.plans().map(Plan::macs).sum();
        let views = tasks.iter().flat_map(|task| task.judge.view_sizes()).collect();
        Ok(VerdictCost { views, macs, threads, ms })
    }
}

/// The median of three verdicts by all tasks on a frame of this size, of that in which the region was drawn, or of the usual one.
pub(super) fn time_of_verdict(tasks: &mut Tasks, size: Option<(usize, usize)>) -> Result<Duration, TaskError> {
    let drawn = tasks.frame_size();
    let size = size.or(drawn).unwrap_or(USUAL);
    let frame = trial_picture(size);
    let mut times = [Duration::ZERO; 3];
    for time in &mut times {
        let start = Instant::now();
        tasks.judge_by_all(&frame)?;
        *time = start.elapsed();
    }
    times.sort();
    Ok(times[1])
}

impl fmt::Display for VerdictCost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerdictCost { views, macs, threads, ms } = self;
        let views: Vec<String> = views.iter().map(ViewSize::to_string).collect();
        let on = if *threads == 1 { "one thread".into() } else { format!("{threads} threads") };
        write!(
            out,
            "{ms:.1} ms on {on}, {:.0} M multiply-accumulates: views of {} pixels",
            *macs as f64 / 1e6,
            views.join(" and ")
        )
    }
}
