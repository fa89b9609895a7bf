//! Prints the text report of log files or folders: `report FILE…`.

use lineside_fieldlog::{TimeRange, find_logs, inspect};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let sources = find_logs(&paths);
    if sources.is_empty() {
        return Err("usage: report FILE…".into());
    }
    let report = inspect(sources, TimeRange::default(), &mut |_, _| ());
    if let (true, Some(why)) = (report.nothing_readable(), report.unreadable()) {
        return Err(why.into());
    }
    std::io::stdout().write_all(report.to_text().as_bytes())?;
    Ok(())
}
