//! `lineside bench`: how long a model takes on this CPU, and what it holds in memory.

use super::{WrongArguments, percentile};
use crate::bundle::{self, Manifest};
use crate::engine::{Model, Plan, Session};
use anyhow::Context;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// An ONNX file, or a bundle's name or folder
    model: String,
    /// Threads that share a run; so far one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1))]
    threads: u32,
    /// Runs that are timed; without it, as many as fit into two seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Shape of an input with open dimensions, as 1,1,240,320; once for each input
    #[arg(long, value_name = "DIMS", value_parser = shape)]
    shape: Vec<Shape>,
    /// Also the time of each op
    #[arg(long)]
    ops: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone)]
struct Shape(Vec<usize>);

fn shape(text: &str) -> Result<Shape, String> {
    let dims =
        text.split(',').map(|dim| dim.trim().parse().ok().filter(|dim| *dim > 0)).collect::<Option<Vec<usize>>>();
    dims.map(Shape).ok_or_else(|| "expected positive numbers with commas, as 1,1,240,320".into())
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plan = Arc::new(plan(arguments)?);
    let mut session = Session::new(Arc::clone(&plan))?;
    session.run()?;

    let mut times = Vec::new();
    let started = Instant::now();
    while match arguments.runs {
        Some(runs) => (times.len() as u64) < runs,
        None => times.len() < 5 || started.elapsed() < Duration::from_secs(2),
    } {
        let start = Instant::now();
        session.run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| percentile(&times, q));
    let memory = plan.memory();
    let ops = if arguments.ops { op_times(&mut session)? } else { Vec::new() };

    if arguments.json {
        let ops: Vec<_> = plan.ops().iter().zip(&ops).map(|(op, ms)| {
            serde_json::json!({ "name": op.name, "op": op.op, "macs": op.macs, "in_integers": op.in_integers, "ms": ms })
        }).collect();
        super::print_json(&serde_json::json!({
            "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "runs": times.len(),
            "macs": plan.macs(), "integer_coverage": plan.integer_coverage(),
            "arena_bytes": memory.arena_bytes, "weights_bytes": memory.weights_bytes,
            "kernel": plan.kernel(), "threads": arguments.threads, "ops": ops,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "p50 {p50:.3} ms   p95 {p95:.3} ms   p99 {p99:.3} ms   ({} runs, {} thread)",
        times.len(),
        arguments.threads
    )?;
    let per_second = plan.macs() as f64 / (p50 * 1e6);
    writeln!(
        out,
        "{:.1} M MAC, {per_second:.2} G MAC/s, {:.1} % of them in integers, kernel {}",
        plan.macs() as f64 / 1e6,
        plan.integer_coverage() * 100.0,
        plan.kernel()
    )?;
    writeln!(
        out,
        "arena {}, weights {}",
        bytesize::ByteSize(memory.arena_bytes),
        bytesize::ByteSize(memory.weights_bytes)
    )?;
    if arguments.ops {
        writeln!(out, "\n{:>9} {:>10} {:>9}  op", "ms", "M MAC", "G MAC/s")?;
        for (op, ms) in plan.ops().iter().zip(&ops) {
            let rate = if *ms > 0.0 { op.macs as f64 / (ms * 1e6) } else { 0.0 };
            writeln!(out, "{ms:>9.3} {:>10.2} {rate:>9.2}  {} {}", op.macs as f64 / 1e6, op.op, op.name)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The median time of each op over some runs, in milliseconds, in the plan's order.
fn op_times(session: &mut Session) -> anyhow::Result<Vec<f64>> {
    const RUNS: usize = 9;
    let mut times = vec![Vec::with_capacity(RUNS); session.plan().ops().len()];
    for _ in 0..RUNS {
        for timed in session.run_timed()? {
            times[timed.op].push(timed.time.as_secs_f64() * 1e3);
        }
    }
    Ok(times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            percentile(&times, 0.5)
        })
        .collect())
}

fn plan(arguments: &Arguments) -> anyhow::Result<Plan> {
    let mut shapes: Vec<Vec<usize>> = arguments.shape.iter().map(|shape| shape.0.clone()).collect();
    let path = Path::new(&arguments.model);
    let model = if path.is_file() {
        let model = Model::load(path).with_context(|| arguments.model.clone())?;
        let open = model.inputs()?.iter().any(|input| input.shape.iter().skip(1).any(Option::is_none));
        if shapes.is_empty() && open {
            let message = format!("{}: its input has open dimensions: give --shape, as 1,1,240,320", arguments.model);
            return Err(WrongArguments(message).into());
        }
        model
    } else {
        let bundle = bundle::find(&arguments.model)?;
        if shapes.is_empty() {
            shapes.push(default_shape(bundle.manifest()));
        }
        bundle.model()?
    };
    model.plan(&shapes).with_context(|| arguments.model.clone())
}

/// A bundle's own input, or a frame of 320×240 where it takes any size.
fn default_shape(manifest: &Manifest) -> Vec<usize> {
    let channels = match manifest.input.channels {
        bundle::Channels::Rgb => 3,
        bundle::Channels::Luma => 1,
    };
    vec![1, channels, manifest.input.height.unwrap_or(240), manifest.input.width.unwrap_or(320)]
}
