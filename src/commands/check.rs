//! `lineside check`: everything that `run` would need, tried on this board, and the bill of its memory.

use super::board::Purpose;
use super::setup::{configuration, prepare};
use super::status_page;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration; without it the demo is checked
    config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = configuration(arguments.config.as_deref())?;
    let ready = prepare(&config, Purpose::Check)?;
    let page = status_page::prove(&config)?;
    let budget = config.budget.memory;
    let broker = ready.broker.as_ref().map(ToString::to_string);
    if arguments.json {
        super::print_json(&serde_json::json!({
            "source": ready.source,
            "lines": ready.lines,
            "heat": ready.heat,
            "status_page": page,
            "bundles": ready.bundles,
            "broker": broker,
            "enlarging": ready.enlarging,
            "bill": ready.bill,
            "bill_bytes": ready.bill.total(),
            "budget_bytes": budget.as_u64(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "source   {}", ready.source)?;
    for line in &ready.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "heat     {}", ready.heat)?;
    writeln!(out, "page     {page}")?;
    for bundle in &ready.bundles {
        writeln!(out, "bundle   {bundle}")?;
    }
    if let Some(enlarging) = &ready.enlarging {
        writeln!(out, "enlarges {enlarging}")?;
    }
    if let Some(broker) = &broker {
        writeln!(out, "broker   {broker}")?;
    }
    writeln!(out, "output   {}", ready.output.display())?;
    writeln!(out, "memory\n{}", ready.bill)?;
    writeln!(out, "  {:<38} {:>12}", "budget.memory", budget.to_string())?;
    writeln!(out, "ready to run")?;
    Ok(ExitCode::SUCCESS)
}
