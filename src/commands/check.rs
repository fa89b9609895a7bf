//! `lineside check`: everything that `run` needs, tried on this board, and the bill of its memory.

use crate::config::Config;
use crate::escape::one_line;
use crate::line::{LinePlan, Mode, check_modbus, check_page, configurations, plan, plan_cameras};
use crate::memory::Bill;
use crate::telemetry::Telemetry;
use bytesize::ByteSize;
use std::io::Write;
use std::path::{Path, PathBuf};
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
    let path = arguments.config.as_deref();
    let configs = configurations(path)?;
    match &configs[..] {
        [config] if config.camera.is_none() => check_line(config, path, arguments.json, telemetry)?,
        _ => check_cameras(&configs, path, arguments.json, telemetry)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check_line(config: &Config, path: Option<&Path>, json: bool, telemetry: &Telemetry) -> anyhow::Result<()> {
    let plan = plan(config, Mode::Check, telemetry)?;
    warn_of_password(config, path);
    let servers = Servers::check(config, path)?;
    let budget = *config.budget.memory.get_ref();
    if json {
        let mut document = document(&plan, &servers);
        document.insert("bill".into(), serde_json::to_value(&plan.bill)?);
        document.insert("bill_bytes".into(), plan.bill.total().into());
        document.insert("budget_bytes".into(), budget.as_u64().into());
        return super::print_json(&document);
    }
    let mut out = crate::commands::stdout();
    print(config, &plan, &servers, &mut out)?;
    print_bill(&plan.bill, budget, &mut out)
}

/// Each camera by itself, and the bill of all.
fn check_cameras(configs: &[Config], path: Option<&Path>, json: bool, telemetry: &Telemetry) -> anyhow::Result<()> {
    let name = |config: &Config| config.camera.as_ref().map_or(String::new(), |camera| camera.name.clone());
    let telemetries: Vec<Telemetry> = configs.iter().map(|config| telemetry.of_camera(&name(config))).collect();
    let plan = plan_cameras(configs, Mode::Check, &telemetries)?;
    configs.iter().for_each(|config| warn_of_password(config, path));
    let servers = configs.iter().map(|config| Servers::check(config, path)).collect::<Result<Vec<_>, _>>()?;
    let budget = configs.first().map_or(ByteSize::b(0), |config| *config.budget.memory.get_ref());
    let cameras = configs.iter().zip(&plan.lines).zip(&plan.bills).zip(&servers);
    if json {
        let camera = |(((config, line), bill), servers): (((&Config, &LinePlan), &Bill), &Servers)| {
            let mut document = document(line, servers);
            document.insert("camera".into(), name(config).into());
            document.insert("bill".into(), serde_json::to_value(bill)?);
            document.insert("bill_bytes".into(), bill.total().into());
            anyhow::Ok(serde_json::Value::Object(document))
        };
        let cameras = cameras.map(camera).collect::<anyhow::Result<Vec<_>>>()?;
        return super::print_json(&serde_json::json!({
            "cameras": cameras,
            "bill": plan.bill,
            "bill_bytes": plan.bill.total(),
            "budget_bytes": budget.as_u64(),
        }));
    }
    let mut out = crate::commands::stdout();
    for (((config, line), bill), servers) in cameras {
        writeln!(out, "camera   {}", name(config))?;
        print(config, line, servers, &mut out)?;
        writeln!(out, "  {:<34} {:>12}\n", "memory of this camera", ByteSize(bill.total()).to_string())?;
    }
    print_bill(&plan.bill, budget, &mut out)
}

/// What is said of those who are served.
struct Servers {
    page: String,
    modbus: String,
}

impl Servers {
    fn check(config: &Config, path: Option<&Path>) -> anyhow::Result<Servers> {
        let exposed = path.and_then(|path| config.exposed_token(path));
        let page = check_page(config)? + &exposed.map_or(String::new(), |problem| format!(" ({problem})"));
        Ok(Servers { page, modbus: check_modbus(config)? })
    }
}

fn warn_of_password(config: &Config, path: Option<&Path>) {
    if let Some(problem) = path.and_then(|path| config.exposed_password(path)) {
        log::warn!("{problem}");
    }
}

fn document(plan: &LinePlan, servers: &Servers) -> serde_json::Map<String, serde_json::Value> {
    let document = serde_json::json!({
        "source": plan.source,
        "command": plan.command,
        "lines": plan.lines,
        "heat": plan.heat,
        "status_page": servers.page,
        "modbus": servers.modbus,
        "bundles": plan.bundles,
        "tasks": plan.tasks,
        "products": plan.products,
        "region": plan.region,
        "alignment": plan.alignment,
        "tolerance": plan.tolerance,
        "broker": plan.broker.as_ref().map(ToString::to_string),
        "verdict": plan.cost,
        "enlarging": plan.enlarging,
    });
    match document {
        serde_json::Value::Object(document) => document,
        _ => serde_json::Map::new(),
    }
}

fn print(config: &Config, plan: &LinePlan, servers: &Servers, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "source   {}", one_line(&plan.source))?;
    if let Some(command) = &plan.command {
        // Escaped already, as a shell takes it.
        writeln!(out, "command  {command}")?;
    }
    for line in &plan.lines {
        writeln!(out, "{}", one_line(line))?;
    }
    writeln!(out, "heat     {}", plan.heat)?;
    writeln!(out, "page     {}", one_line(&servers.page))?;
    if config.modbus.is_some() {
        writeln!(out, "modbus   {}", one_line(&servers.modbus))?;
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
    if let Some(broker) = &plan.broker {
        writeln!(out, "broker   {}", one_line(&broker.to_string()))?;
    }
    writeln!(out, "output   {}", one_line(&plan.output.display().to_string()))?;
    Ok(())
}

fn print_bill(bill: &Bill, budget: ByteSize, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "memory\n{bill}")?;
    writeln!(out, "  {:<38} {:>12}", "budget.memory", budget.to_string())?;
    writeln!(out, "ready to run")?;
    Ok(())
}
