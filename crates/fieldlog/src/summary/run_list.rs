//! The list of runs in fixed memory: runs that are over become rows, and where there are too many rows, neighbours that ended
//! alike become one.

use super::exit_reason::ExitReason;
use super::line_ref::LineRef;
use super::run::WatchTime;
use super::status::FrameCounts;

/// Rows that are kept.
const ROWS: usize = 400;

/// One run, or several that ended alike.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// How many runs it stands for.
    pub runs: u64,
    /// What records call it, or the first of them.
    pub id: String,
    /// The version of the program.
    pub version: String,
    /// The first line.
    pub first: LineRef,
    /// The last line.
    pub last: LineRef,
    /// Whether the first line is a start record.
    pub started: bool,
    /// Why it ended.
    pub exit_reason: ExitReason,
    /// The line that shows why.
    pub why: Option<LineRef>,
    /// Frames by fate.
    pub frames: FrameCounts,
    /// Frames that counted as defect.
    pub defects: u64,
    /// How long the line was inspected.
    pub watch: WatchTime,
    /// Seconds until the next run began.
    pub down_after: f64,
    /// Peak memory, in bytes.
    pub rss: f64,
}

impl RunSummary {
    fn seconds(&self) -> f64 {
        match (self.first.time, self.last.time) {
            (Some(first), Some(last)) => (last - first) as f64 / 1000.0,
            _ => 0.0,
        }
    }

    fn merge(&mut self, later: RunSummary) {
        self.runs += later.runs;
        self.last = later.last;
        if self.exit_reason.name() != later.exit_reason.name() && self.exit_reason.is_expected() {
            self.exit_reason = later.exit_reason;
            self.why = later.why;
        }
        self.frames = self.frames.plus(&later.frames);
        self.defects += later.defects;
        self.watch.add(&later.watch);
        self.down_after += later.down_after;
        self.rss = self.rss.max(later.rss);
    }
}

/// Adds a row; where there are too many, joins the two shortest neighbours that ended alike, or else the two shortest.
pub fn add(rows: &mut Vec<RunSummary>, row: RunSummary) {
    rows.push(row);
    if rows.len() <= ROWS {
        return;
    }
    let pairs = |alike: bool| {
        let fits = move |pair: &[RunSummary]| !alike || pair[0].exit_reason.name() == pair[1].exit_reason.name();
        let length = |pair: &[RunSummary]| pair[0].seconds() + pair[1].seconds();
        let found = rows.windows(2).enumerate().filter(|(_, pair)| fits(pair));
        found.min_by(|a, b| length(a.1).total_cmp(&length(b.1))).map(|(at, _)| at)
    };
    if let Some(at) = pairs(true).or_else(|| pairs(false)) {
        let later = rows.remove(at + 1);
        rows[at].merge(later);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_loop_of_a_month_is_a_few_rows() {
        let mut rows = Vec::new();
        for run in 0..20_000_i64 {
            let line_ref = |time| LineRef { input: 0, line: run as u64, time: Some(time) };
            add(
                &mut rows,
                RunSummary {
                    runs: 1,
                    id: String::new(),
                    version: String::new(),
                    first: line_ref(run * 1000),
                    last: line_ref(run * 1000 + 500),
                    started: true,
                    exit_reason: if run % 1000 == 0 { ExitReason::Watchdog } else { ExitReason::Cut },
                    why: None,
                    frames: FrameCounts { captured: 1, ..FrameCounts::default() },
                    defects: 0,
                    watch: WatchTime::default(),
                    down_after: 0.5,
                    rss: 0.0,
                },
            );
        }
        assert!(rows.len() <= ROWS);
        assert_eq!(rows.iter().map(|row| row.runs).sum::<u64>(), 20_000);
        assert_eq!(rows.iter().map(|row| row.frames.captured).sum::<u64>(), 20_000);
        let watchdogs: u64 =
            rows.iter().filter(|row| row.exit_reason == ExitReason::Watchdog).map(|row| row.runs).sum();
        assert!((20..=60).contains(&watchdogs), "{watchdogs}");
    }
}
