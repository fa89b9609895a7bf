//! `lineside inspect`: reports what happened, from logs.

use super::outputs::{refuse_inputs, write_output};
use super::progress::ProgressReporter;
use super::{WrongArguments, print_json};
use anyhow::Context;
use lineside_fieldlog::{FieldlogError, LogSource, Report, TimeRange, find_logs, inspect, parse_time};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Logs of at least this many bytes get a progress bar.
const PROGRESS_BYTES: u64 = 64 << 20;

#[derive(clap::Args)]
pub struct InspectArguments {
    /// Logs of any form, plain, gzip or zstd: files, folders of them, or - for a pipe
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read this board's journal, by journalctl
    #[arg(long)]
    journal: bool,
    /// Nothing before: 2026-11-21, "2026-11-21 14:00" (UTC), RFC 3339, or -90min, -2h, -3d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Nothing after
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Write one self-contained page with plots and event pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &InspectArguments) -> anyhow::Result<ExitCode> {
    let now = jiff::Timestamp::now().as_millisecond();
    let time = |text: &Option<String>| text.as_ref().map(|text| parse_time(text, now)).transpose();
    let range = match (time(&arguments.since), time(&arguments.until)) {
        (Ok(since), Ok(until)) => TimeRange::new(since, until),
        (Err(error), _) | (_, Err(error)) => return Err(WrongArguments(error.to_string()).into()),
    };
    if let (Some(since), Some(until)) = (range.since, range.until)
        && since > until
    {
        return Err(WrongArguments("--since is after --until".into()).into());
    }
    let mut sources = find_logs(&arguments.files);
    if arguments.journal {
        sources.push(LogSource::Journal(journal_arguments(range)));
    }
    if sources.is_empty() {
        let message = if arguments.files.is_empty() {
            "nothing to read: name log files or folders, or -, or give --journal".into()
        } else {
            let folders: Vec<String> = arguments.files.iter().map(|path| path.display().to_string()).collect();
            format!(
                "{}: no file in it has the name of a log (events.jsonl, *.log, *.json, *.txt …)",
                folders.join(", ")
            )
        };
        return Err(WrongArguments(message).into());
    }

    if let Some(page) = &arguments.html {
        let files = sources.iter().filter_map(|source| match source {
            LogSource::File(path) => Some(path.as_path()),
            _ => None,
        });
        refuse_inputs(page, files)?;
    }
    let mut bar: Option<ProgressReporter> = None;
    let report = inspect(sources, range, &mut |read, total| {
        if total >= PROGRESS_BYTES {
            bar.get_or_insert_with(|| ProgressReporter::new("inspect", total)).at(read);
        }
    });
    if let Some(bar) = bar {
        bar.finish();
    }
    let unreadable = report.unreadable();
    anyhow::ensure!(!report.nothing_readable(), "{}", unreadable.unwrap_or_default());

    if let Some(path) = &arguments.html {
        write_page(&report, path).with_context(|| format!("{}: the page cannot be written", path.display()))?;
    }
    if arguments.json {
        print_json(&report.to_json())?;
    } else {
        super::stdout().write_all(report.to_text().as_bytes())?;
    }
    let whole = unreadable.is_none() && !report.has_unread_lines();
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_page(report: &Report, path: &Path) -> std::io::Result<()> {
    write_output(path, |page| {
        report.write_html(page).map_err(|error| match error {
            FieldlogError::Io(error) => error,
            other => std::io::Error::other(other),
        })
    })
}

/// The arguments of `journalctl`: the service's lines, those of systemd about it, and the kernel's, which report problems of the
/// power supply, USB and memory. (`-u lineside` leaves out the kernel's.)
fn journal_arguments(range: TimeRange) -> Vec<String> {
    let mut arguments: Vec<String> = ["-o", "export", "--no-pager", "-q"].map(String::from).to_vec();
    for (name, time) in [("--since", range.since), ("--until", range.until)] {
        // journalctl takes seconds since 1970 with an @.
        arguments.extend(time.map(|time| format!("{name}=@{}.{:03}", time.div_euclid(1000), time.rem_euclid(1000))));
    }
    let matches = "_SYSTEMD_UNIT=lineside.service + _PID=1 UNIT=lineside.service + _TRANSPORT=kernel";
    arguments.extend(matches.split(' ').map(String::from));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journalctl_gets_the_time_range() {
        let range = TimeRange::new(Some(1_795_233_600_500), None);
        let arguments = journal_arguments(range);
        assert!(arguments.contains(&"--since=@1795233600.500".to_string()), "{arguments:?}");
        assert!(!arguments.iter().any(|argument| argument.starts_with("--until")));
    }
}
