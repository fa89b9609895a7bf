//! `lineside run`: runs a line. Without a configuration: the demo on the shipped frames.

use crate::escape::one_line;
use crate::line::{self, CameraOutcome, Line, RunOutcome};
use crate::pipeline::{Shutdown, Status};
use crate::service::Reload;
use crate::sink::part::{PartStatus, RejectCounts};
use crate::telemetry::Telemetry;
use anyhow::Context;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct RunArguments {
    /// The configuration [default: the demo's]
    config: Option<PathBuf>,
    /// Stop after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
}

pub fn run(arguments: &RunArguments, telemetry: &Telemetry) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::on_signals().context("cannot watch for signals")?;
    let reload = Reload::on_signal().context("cannot watch for signals")?;
    let outcomes = line::run_all(Line {
        path: arguments.config.as_deref(),
        frames: arguments.frames,
        shutdown,
        reload,
        telemetry: telemetry.clone(),
        console: Box::new(std::io::stdout()),
        coloured: std::io::stdout().is_terminal() && super::wants_colours(),
        summary: &summary,
    })?;
    for losses in outcomes.iter().filter_map(|line| line.outcome.as_ref()?.losses()) {
        log::warn!("{losses}");
    }
    outcomes.iter().try_for_each(CameraOutcome::check)?;
    Ok(ExitCode::SUCCESS)
}

/// The sum of a run; it ends without a line end.
fn summary(outcome: &RunOutcome) -> String {
    let status = &outcome.ending.status;
    let Status { counts, defects, longest_latency, enlarging, .. } = *status;
    let mut lines = vec![
        String::new(),
        format!(
            "{} frames: {} inspected, {} skipped as similar, {} dropped as stale, {} failed",
            counts.captured, counts.inspected, counts.skipped_similar, counts.dropped_stale, counts.failed
        ),
        format!(
            "{} with defects; frame to verdict {:.1} ms on average, {:.1} ms at most",
            defects,
            status.mean_latency_ms(),
            longest_latency.as_secs_f64() * 1e3
        ),
    ];
    if let Some(PartStatus { counts, lines: shown }) = &outcome.parts {
        let [ok, nok, none] = counts.results;
        lines.push(format!(
            "{} parts: {ok} OK, {nok} NOK, {none} without a result; {} verdicts came too late, {} results were shown too late or never",
            counts.parts,
            counts.late,
            shown.pulses.overdue + shown.pulses.unshown
        ));
        let rejects = shown.rejects;
        if rejects != RejectCounts::default() {
            lines.push(format!("{} rejected, {} passed the ejector", rejects.given, rejects.late + rejects.lost));
        }
    }
    if enlarging.done > 0 {
        lines.push(format!(
            "{} enlarged in {:.1} ms on average ({:.0} a second), {:.1} ms at most; {} took longer than they may",
            enlarging.done,
            enlarging.mean_ms(),
            1e3 / enlarging.mean_ms(),
            enlarging.longest.as_secs_f64() * 1e3,
            enlarging.late
        ));
    }
    lines.push(format!("records and pictures: {}", one_line(&outcome.output.display().to_string())));
    lines.join("\n")
}
