//! `lineside bench`: latency and memory of a model on this CPU.

use super::{WrongArguments, percentile};
use crate::bundle::{self, Manifest, Task};
use crate::escape::one_line;
use crate::files;
use crate::task::Judge;
use crate::task::super_resolution::Enlarger;
use anyhow::Context;
use lineside_engine::{Model, OpDomain, Session, measured_peak};
use lineside_picture::{Layout, Picture};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct BenchArguments {
    /// An ONNX file, or a bundle's name or folder
    model: String,
    /// Number of threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Number of timed runs [default: as many as fit into two seconds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Shape of an input with open dimensions, such as 1,1,240,320; once for each input
    #[arg(long, value_name = "DIMS", value_parser = shape)]
    shape: Vec<Shape>,
    /// Report the time of each op, too
    #[arg(long)]
    ops: bool,
    /// Report the time of the same network in floats, too, where the model still contains it
    #[arg(long, value_name = "fp32", value_parser = ["fp32"])]
    against: Option<String>,
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

pub fn run(arguments: &BenchArguments) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let (model, shapes) = load(arguments)?;
    let floats = arguments.against.is_some().then(|| model.in_floats()).transpose();
    let floats = floats.with_context(|| arguments.model.clone())?;
    let plan = Arc::new(model.plan(&shapes).with_context(|| arguments.model.clone())?);
    let mut session = Session::with_threads(Arc::clone(&plan), arguments.threads as usize)?;
    session.run()?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;

    let times = timed(&mut session, arguments.runs)?;
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| percentile(&times, q));
    let memory = plan.memory();
    let ops = op_times(&mut session)?;
    let shares = Shares::of(session.plan(), &ops);
    let peak = if arguments.ops { measured_peak(plan.kernel())? } else { 0.0 };
    let fp32 = match floats {
        Some(floats) => {
            let mut session = Session::new(Arc::new(floats.plan(&shapes).with_context(|| arguments.model.clone())?))?;
            session.run()?;
            Some(percentile(&timed(&mut session, arguments.runs)?, 0.5))
        }
        None => None,
    };

    let verdict = verdict(arguments)?;
    let frames = frames(arguments)?;

    if arguments.json {
        let rows = plan.ops().iter().zip(&ops).map(|(op, ms)| {
            serde_json::json!({ "name": op.name, "op": op.op, "macs": op.macs, "in_integers": op.in_integers,
                                "domain": domain_name(op.domain), "ms": ms })
        });
        let ops: Vec<_> = if arguments.ops { rows.collect() } else { Vec::new() };
        super::print_json(&serde_json::json!({
            "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "runs": times.len(),
            "macs": plan.macs(), "integer_coverage": plan.integer_coverage(),
            "time_in_integers": shares.integers, "time_in_floats": shares.floats, "time_in_islands": shares.islands,
            "arena_bytes": memory.arena_bytes, "weights_bytes": memory.weights_bytes,
            "kernel": plan.kernel(), "threads": arguments.threads, "ops": ops, "load_ms": load_ms,
            "peak_macs_per_second": arguments.ops.then_some(peak), "fp32_p50_ms": fp32,
            "frames": frames,
            "verdict_p50_ms": verdict.as_ref().map(|v| v.whole), "views_p50_ms": verdict.as_ref().map(|v| v.views),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = crate::commands::stdout();
    writeln!(
        out,
        "p50 {p50:.3} ms   p95 {p95:.3} ms   p99 {p99:.3} ms   ({} runs, {} thread{})",
        times.len(),
        arguments.threads,
        if arguments.threads == 1 { "" } else { "s" }
    )?;
    let per_second = plan.macs() as f64 / (p50 * 1e6);
    writeln!(
        out,
        "{:.1} M MAC, {per_second:.2} G MAC/s, {:.1} % of {} in integers, kernel {}",
        plan.macs() as f64 / 1e6,
        plan.integer_coverage() * 100.0,
        if plan.macs() == 0 { "its ops" } else { "them" },
        plan.kernel()
    )?;
    writeln!(
        out,
        "of the time {:.0} % on integers, {:.0} % on floats{}",
        shares.integers * 100.0,
        shares.floats * 100.0,
        match plan.islands().count() {
            0 => String::new(),
            count => format!(", {:.0} % in {count} ops that run through tract", shares.islands * 100.0),
        }
    )?;
    writeln!(
        out,
        "arena {}, weights {}",
        bytesize::ByteSize(memory.arena_bytes),
        bytesize::ByteSize(memory.weights_bytes)
    )?;
    writeln!(out, "loaded and run once in {load_ms:.0} ms")?;
    if let Some(Verdicts { size: (width, height), whole, views }) = verdict {
        writeln!(
            out,
            "verdict on a frame of {width}x{height}: p50 {whole:.3} ms, {:.2} times its backbone runs ({views:.3} ms)",
            whole / views
        )?;
    }
    for Frames { width, height, p50_ms, per_second } in &frames {
        let size = format!("{width}x{height}");
        writeln!(out, "frames of {size:>7} in colour, enlarged whole: p50 {p50_ms:>8.3} ms, {per_second:.0} a second")?;
    }
    if let Some(fp32) = fp32 {
        writeln!(out, "the same network in fp32: p50 {fp32:.3} ms, {:.1} times as long", fp32 / p50)?;
    }
    if arguments.ops {
        writeln!(out, "peak of this kernel set here, measured: {:.1} G MAC/s", peak / 1e9)?;
        writeln!(out, "\n{:>9} {:>10} {:>9} {:>7}  op", "ms", "M MAC", "G MAC/s", "of peak")?;
        for (op, ms) in plan.ops().iter().zip(&ops) {
            let rate = if *ms > 0.0 { op.macs as f64 / (ms * 1e6) } else { 0.0 };
            let share =
                if op.in_integers && op.macs > 0 { format!("{:.0} %", rate * 1e11 / peak) } else { String::new() };
            writeln!(
                out,
                "{ms:>9.3} {:>10.2} {rate:>9.2} {share:>7}  {} {}",
                op.macs as f64 / 1e6,
                op.op,
                one_line(&op.name)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Shares of the time of a run, 0 to 1.
struct Shares {
    integers: f64,
    floats: f64,
    islands: f64,
}

impl Shares {
    /// From the time of each op of a plan.
    fn of(plan: &lineside_engine::Plan, ms: &[f64]) -> Shares {
        let whole: f64 = ms.iter().sum();
        let share = |domain: OpDomain| {
            let of_domain = plan.ops().iter().zip(ms).filter(|(op, _)| op.domain == domain);
            // From 0: the sum of none is -0 otherwise.
            let part = of_domain.fold(0.0, |sum, (_, ms)| sum + ms);
            if whole > 0.0 { part / whole } else { 0.0 }
        };
        let [integers, floats, islands] = [OpDomain::Integers, OpDomain::Floats, OpDomain::Island].map(share);
        Shares { integers, floats, islands }
    }
}

fn domain_name(domain: OpDomain) -> &'static str {
    match domain {
        OpDomain::Integers => "integers",
        OpDomain::Floats => "floats",
        _ => "island",
    }
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

/// The model, and the shapes of its inputs that the arguments state.
fn load(arguments: &BenchArguments) -> anyhow::Result<(Model, Vec<Vec<usize>>)> {
    let mut shapes: Vec<Vec<usize>> = arguments.shape.iter().map(|shape| shape.0.clone()).collect();
    let path = Path::new(&arguments.model);
    if !path.is_file() {
        let bundle = bundle::find(&arguments.model)?;
        if shapes.is_empty() {
            shapes.push(default_shape(bundle.manifest()));
        }
        return Ok((bundle.model()?, shapes));
    }
    let model = bundle::load_model(path, files::MAX_ARRAY).with_context(|| arguments.model.clone())?;
    let open = model.inputs()?.iter().any(|input| input.shape.iter().skip(1).any(Option::is_none));
    if shapes.is_empty() && open {
        let message = format!("{}: its input has open dimensions: add --shape, such as 1,1,240,320", arguments.model);
        return Err(WrongArguments(message).into());
    }
    Ok((model, shapes))
}

/// Medians in milliseconds.
struct Verdicts {
    /// The frame's width and height in pixels.
    size: (usize, usize),
    /// From a frame to its verdict.
    whole: f64,
    /// What the networks take of it, over all views.
    views: f64,
}

/// Times verdicts where the model is a bundle that judges frames.
fn verdict(arguments: &BenchArguments) -> anyhow::Result<Option<Verdicts>> {
    if Path::new(&arguments.model).is_file() {
        return Ok(None);
    }
    let bundle = bundle::find(&arguments.model)?;
    if !bundle.manifest().task.judges_frames() {
        return Ok(None);
    }
    let mut judge = Judge::new(&bundle, None, arguments.threads as usize)?;
    let taught = bundle.manifest().anomaly.as_ref().and_then(|section| section.taught.as_ref()?.size.first());
    let size = taught.map_or((640, 480), |size| (size.width, size.height));
    let size = judge.frame_size().unwrap_or(size);
    let mut frame = Picture::new(Layout::Rgb, size.0, size.1);
    frame.data_mut().iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * i / 7 % 251) as u8);
    if let Some(aligner) = judge.aligner() {
        aligner.draw_mark(&mut frame);
    }
    let (mut whole, mut views, mut answer) = (Vec::new(), Vec::new(), Default::default());
    let started = Instant::now();
    while match arguments.runs {
        Some(runs) => (whole.len() as u64) < runs,
        None => whole.len() < 5 || started.elapsed() < Duration::from_secs(2),
    } {
        let start = Instant::now();
        judge.prepare(&frame)?;
        let spent = judge.judge(size, &mut answer)?;
        whole.push(start.elapsed().as_secs_f64() * 1e3);
        views.push(spent.as_secs_f64() * 1e3);
    }
    whole.sort_by(f64::total_cmp);
    views.sort_by(f64::total_cmp);
    Ok(Some(Verdicts { size, whole: percentile(&whole, 0.5), views: percentile(&views, 0.5) }))
}

/// Frames of one size, enlarged whole.
#[derive(serde::Serialize)]
struct Frames {
    width: usize,
    height: usize,
    p50_ms: f64,
    per_second: f64,
}

/// Times frames in colour, chroma and all, where the model is a bundle that enlarges them.
fn frames(arguments: &BenchArguments) -> anyhow::Result<Vec<Frames>> {
    if Path::new(&arguments.model).is_file() || bundle::find(&arguments.model)?.manifest().task != Task::SuperResolution
    {
        return Ok(Vec::new());
    }
    let mut enlarger = Enlarger::new(bundle::find(&arguments.model)?)?.with_threads(arguments.threads as usize)?;
    let timed = |(width, height)| {
        let p50_ms = enlarger.time_of(width, height)?.as_secs_f64() * 1e3;
        anyhow::Ok(Frames { width, height, p50_ms, per_second: 1e3 / p50_ms })
    };
    [(96, 96), (160, 120), (320, 240), (640, 480)].into_iter().map(timed).collect()
}

/// Times of single runs in milliseconds, sorted.
fn timed(session: &mut Session, runs: Option<u64>) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    let started = Instant::now();
    while match runs {
        Some(runs) => (times.len() as u64) < runs,
        None => times.len() < 5 || started.elapsed() < Duration::from_secs(2),
    } {
        let start = Instant::now();
        session.run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// A bundle's own input, its first view, or a frame of 320×240 where it takes any size; a backbone takes multiples of 32.
fn default_shape(manifest: &Manifest) -> Vec<usize> {
    let channels = manifest.input.channels.count();
    let is_nhwc = manifest.input.preparation.as_ref().is_some_and(|section| section.order == bundle::AxisOrder::Nhwc);
    let view = manifest.anomaly.as_ref().and_then(|anomaly| anomaly.views.first().copied());
    let (width, height) = match (view, manifest.task) {
        (Some(view), _) => (view.width, view.height),
        (None, Task::Backbone) => (320, 320),
        (None, _) => (320, 240),
    };
    let (height, width) = (manifest.input.height.unwrap_or(height), manifest.input.width.unwrap_or(width));
    if is_nhwc { vec![1, height, width, channels] } else { vec![1, channels, height, width] }
}
