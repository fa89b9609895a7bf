//! Loads models one after the other, runs each in turn and prints what that takes: `memory [--apart] [--threads N] MODEL.onnx…`.
//!
//! They share one workspace; with `--apart` each has its own. Dimensions that a model leaves open follow its name:
//! `MODEL.onnx:1x64,1x64`. Memory is that of the process, as Linux counts it.

use lineside_engine::{ElementKind, Model, Session, Tensor, Workspace};
use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut apart, mut threads, mut models) = (false, 1, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--apart" => apart = true,
            "--threads" => threads = arguments.next().ok_or("--threads needs a number")?.parse()?,
            _ => models.push(argument),
        }
    }
    if models.is_empty() {
        return Err("usage: memory [--apart] [--threads N] MODEL.onnx[:SHAPE,…]…".into());
    }
    let at_start = resident("VmRSS")?;
    println!("resident at start {at_start:.1} MiB");
    println!("     file    load  weights    arena   border  resident  peak while loading");
    let shared = Workspace::new(threads)?;
    let mut sessions = Vec::new();
    let mut arenas = 0;
    for name in &models {
        let (path, shapes) = parse(name)?;
        let before = resident("VmRSS")?;
        // The highest so far is forgotten, so that each model's own is seen.
        std::fs::write("/proc/self/clear_refs", "5")?;
        let start = Instant::now();
        let plan = Arc::new(Model::load(path)?.plan(&shapes)?);
        let time = start.elapsed().as_secs_f64() * 1e3;
        let peak = resident("VmHWM")? - before;
        let own = if apart { Workspace::new(threads)? } else { shared.clone() };
        let mut session = Session::in_workspace(Arc::clone(&plan), &own)?;
        fill(&mut session)?;
        arenas = if apart { arenas + own.bytes() } else { own.bytes() };
        let memory = plan.memory();
        println!(
            "{:6.1} MiB {time:4.0} ms {:8.1} {:8.1} {:8.1} {:9.1} {peak:9.1}  {name}",
            mib(std::fs::metadata(path)?.len()),
            mib(memory.weights_bytes),
            mib(memory.arena_bytes + (threads as u64 - 1) * memory.thread_bytes),
            mib(memory.border_bytes),
            resident("VmRSS")?,
        );
        sessions.push(session);
    }
    let loaded = resident("VmRSS")?;
    std::fs::write("/proc/self/clear_refs", "5")?;
    for round in 0..3 {
        for (session, name) in sessions.iter_mut().zip(&models) {
            let start = Instant::now();
            session.run()?;
            if round == 2 {
                let mut hash = DefaultHasher::new();
                session.outputs().iter().for_each(|output| hash_values(output, &mut hash));
                println!("{:8.1} ms, output {:016x}  {name}", start.elapsed().as_secs_f64() * 1e3, hash.finish());
            }
        }
    }
    println!(
        "arenas {:.1} MiB, resident {loaded:.1} MiB, at most while running {:.1} MiB",
        mib(arenas),
        resident("VmHWM")?
    );
    Ok(())
}

type Shapes = Vec<Vec<usize>>;

/// A model's file, and the shapes behind its name.
fn parse(name: &str) -> Result<(&Path, Shapes), Box<dyn Error>> {
    let Some((path, shapes)) = name.rsplit_once(':') else { return Ok((Path::new(name), Vec::new())) };
    let shape = |text: &str| text.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>();
    Ok((Path::new(path), shapes.split(',').map(shape).collect::<Result<_, _>>()?))
}

/// Numbers that are not all equal, for inputs of bytes and floats; ones for indices and masks.
fn fill(session: &mut Session) -> Result<(), Box<dyn Error>> {
    let kinds: Vec<ElementKind> = session.plan().inputs().iter().map(|input| input.kind).collect();
    for (index, kind) in kinds.into_iter().enumerate() {
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8;
        match kind {
            ElementKind::U8 => {
                session.input_mut::<u8>(index)?.iter_mut().enumerate().for_each(|(i, value)| *value = byte(i));
            }
            ElementKind::F32 => {
                let values = session.input_mut::<f32>(index)?.iter_mut().enumerate();
                values.for_each(|(i, value)| *value = f32::from(byte(i)) / 128.0 - 1.0);
            }
            ElementKind::I64 => session.input_mut::<i64>(index)?.fill(1),
            _ => {}
        }
    }
    Ok(())
}

/// What the networks give, to compare runs by eye.
fn hash_values(output: &Tensor, hash: &mut DefaultHasher) {
    output.values::<f32>().into_iter().flatten().for_each(|value| value.to_bits().hash(hash));
    output.values::<u8>().hash(hash);
    output.values::<i8>().hash(hash);
    output.values::<i64>().hash(hash);
}

/// A line of `/proc/self/status`, MiB.
fn resident(what: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).ok_or("no such line")?;
    let kib = line.trim().trim_end_matches("kB").trim().parse::<f64>()?;
    Ok(kib / 1024.0)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
