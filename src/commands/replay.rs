//! `lineside replay`: re-runs recorded events and reports any verdict that is not bit-identical.

use super::progress::ProgressReporter;
use crate::bundle::{self, Bundle};
use crate::escape::one_line;
use crate::field::replay::{OutcomeKind, RecordedVerdict, RunInfo, VerdictChecker, VerdictReader};
use anyhow::Context;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct ReplayArguments {
    /// A folder of results, or a copy: events.jsonl and the pictures beside it
    folder: PathBuf,
    /// A bundle of the events that is not installed on this machine, by name or folder; may be repeated
    #[arg(long = "bundle", value_name = "BUNDLE")]
    bundles: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A verdict that is not known to be identical.
#[derive(serde::Serialize)]
struct Other {
    outcome: &'static str,
    time: String,
    run: String,
    frame: String,
    why: String,
}

pub fn run(arguments: &ReplayArguments) -> anyhow::Result<ExitCode> {
    let folder = &arguments.folder;
    let bundles: Vec<Bundle> = arguments.bundles.iter().map(|name| bundle::find(name)).collect::<Result<_, _>>()?;
    let (total, boards) = first_look(folder)?;
    let records = total.record_files;
    anyhow::ensure!(records > 0, "{}: no events.jsonl in it; name the folder of a line's results", folder.display());
    anyhow::ensure!(
        total.judged > 0,
        "{}: no event in its records ({} lines are no records): nothing to judge again",
        folder.display(),
        total.unreadable
    );

    let mut checker = VerdictChecker::new(folder, bundles);
    let mut records = VerdictReader::open(folder)?;
    let progress = ProgressReporter::new("judging", total.judged);
    let (mut counts, mut others, unknown) = ([0u64; OutcomeKind::ALL.len()], Vec::new(), RunInfo::default());
    let mut done = 0;
    while let Some(judged) = records.next_verdict()? {
        let outcome = checker.check(&judged, records.run(&judged.run).unwrap_or(&unknown))?;
        counts[outcome.kind as usize] += 1;
        if outcome.kind != OutcomeKind::Equal {
            let RecordedVerdict { time, run, frame, .. } = judged;
            others.push(Other { outcome: outcome.kind.word(), time, run, frame, why: outcome.why });
        }
        done += 1;
        progress.at(done);
    }
    progress.finish();

    let count = |kind: OutcomeKind| counts[kind as usize];
    let faults: u64 = OutcomeKind::ALL.into_iter().filter(|kind| kind.is_fault()).map(count).sum();
    if arguments.json {
        let words: serde_json::Map<String, serde_json::Value> =
            OutcomeKind::ALL.into_iter().map(|kind| (kind.word().replace(' ', "_"), count(kind).into())).collect();
        super::print_json(&serde_json::json!({
            "verdicts": done, "outcomes": words, "unreadable_lines": records.unreadable, "others": others,
        }))?;
    } else {
        let mut out = crate::commands::stdout();
        for board in &boards {
            writeln!(out, "{}", one_line(board))?;
        }
        // What had to make room may be nearly all; `--json` names that, too.
        for Other { outcome, time, frame, why, .. } in others.iter().filter(|is| is.outcome != OutcomeKind::Gone.word())
        {
            let line = format!("{outcome:<16} {time} {frame}: {why}");
            writeln!(out, "{}", one_line(&line))?;
        }
        let counted: Vec<String> = OutcomeKind::ALL
            .into_iter()
            .filter(|kind| count(*kind) > 0)
            .map(|kind| match kind {
                OutcomeKind::Equal => format!("{} equal to the last bit", count(kind)),
                _ => format!("{} {}", count(kind), kind.word()),
            })
            .collect();
        writeln!(out, "{done} verdicts: {}", counted.join(", "))?;
        if records.unreadable > 0 {
            writeln!(out, "{} lines are no records, and were left out", records.unreadable)?;
        }
    }
    // What exits with 0 counts as verified.
    anyhow::ensure!(
        faults > 0 || count(OutcomeKind::Equal) > 0,
        "{}: no verdict could be judged again ({} gone, {} unknown), so nothing is verified: take records whose frames are there",
        folder.display(),
        count(OutcomeKind::Gone),
        count(OutcomeKind::Unknown)
    );
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The amount of work.
struct Total {
    record_files: usize,
    judged: u64,
    unreadable: u64,
}

/// Counts the verdicts, and describes each kind of board in the records.
fn first_look(folder: &Path) -> anyhow::Result<(Total, Vec<String>)> {
    let context = || folder.display().to_string();
    let record_files = crate::sink::record_files(folder).with_context(context)?.len();
    let mut records = VerdictReader::open(folder).with_context(context)?;
    let mut judged = 0;
    while records.next_verdict().with_context(context)?.is_some() {
        judged += 1;
    }
    let mut boards: Vec<String> = Vec::new();
    for RunInfo { host, version, cpu, kernel, .. } in records.runs() {
        let cpu = if cpu.is_empty() { "unknown CPU" } else { cpu };
        let board = format!("{host} ({cpu}, kernel {kernel}), lineside {version}");
        if !boards.contains(&board) {
            boards.push(board);
        }
    }
    Ok((Total { record_files, judged, unreadable: records.unreadable }, boards))
}
