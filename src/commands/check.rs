//! `lineside check`: everything that `run` needs, tried on this board, and the bill of its memory.

use crate::escape::one_line;
use crate::line::{Mode, check_modbus, check_page, configuration, plan};
use crate::telemetry::Telemetry;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct CheckArguments {
    /// The configuration [default: the demo's]
    config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &CheckArguments, telemetry: &Telemetry) -> anyhow::Result<ExitCode> {
    let config = configuration(arguments.config.as_deref())?;
    let plan = plan(&config, Mode::Check, telemetry)?;
    if let Some(problem) = arguments.config.as_ref().and_then(|path| config.exposed_password(path)) {
        log::warn!("{problem}");
    }
    let exposed = arguments.config.as_ref().and_then(|path| config.exposed_token(path));
    let page = check_page(&config)? + &exposed.map_or(String::new(), |problem| format!(" ({problem})"));
    let modbus = check_modbus(&config)?;
    let budget = *config.budget.memory.get_ref();
    let broker = plan.broker.as_ref().map(ToString::to_string);
    if arguments.json {
        super::print_json(&serde_json::json!({
            "source": plan.source,
            "command": plan.command,
            "lines": plan.lines,
            "heat": plan.heat,
            "status_page": page,
            "modbus": modbus,
            "bundles": plan.bundles,
            "tasks": plan.tasks,
            "products": plan.products,
            "region": plan.region,
            "alignment": plan.alignment,
            "tolerance": plan.tolerance,
            "broker": broker,
            "verdict": plan.cost,
            "enlarging": plan.enlarging,
            "bill": plan.bill,
            "bill_bytes": plan.bill.total(),
            "budget_bytes": budget.as_u64(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = crate::commands::stdout();
    writeln!(out, "source   {}", one_line(&plan.source))?;
    if let Some(command) = &plan.command {
        // Escaped already, as a shell takes it.
        writeln!(out, "command  {command}")?;
    }
    for line in &plan.lines {
        writeln!(out, "{}", one_line(line))?;
    }
    writeln!(out, "heat     {}", plan.heat)?;
    writeln!(out, "page     {}", one_line(&page))?;
    if config.modbus.is_some() {
        writeln!(out, "modbus   {}", one_line(&modbus))?;
    }
    for bundle in &plan.bundles {
        writeln!(out, "bundle   {}", one_line(bundle))?;
    }
    for product in &plan.products {
        writeln!(out, "product  {}", one_line(product))?;
    }
    for task in &plan.tasks {
        writeln!(out, "task     {}", one_line(task))?;
    }
    if let Some(region) = &plan.region {
        writeln!(out, "region   {region}")?;
    }
    if let Some(alignment) = &plan.alignment {
        writeln!(out, "aligned  {alignment}")?;
    }
    if let Some(tolerance) = plan.tolerance {
        writeln!(out, "varies   {tolerance} beyond what was taught")?;
    }
    if let Some(cost) = &plan.cost {
        writeln!(out, "verdict  {cost}")?;
    }
    if let Some(enlarging) = &plan.enlarging {
        writeln!(out, "enlarges {}", one_line(&enlarging.to_string()))?;
    }
    if let Some(broker) = &broker {
        writeln!(out, "broker   {}", one_line(broker))?;
    }
    writeln!(out, "output   {}", one_line(&plan.output.display().to_string()))?;
    writeln!(out, "memory\n{}", plan.bill)?;
    writeln!(out, "  {:<38} {:>12}", "budget.memory", budget.to_string())?;
    writeln!(out, "ready to run")?;
    Ok(ExitCode::SUCCESS)
}
