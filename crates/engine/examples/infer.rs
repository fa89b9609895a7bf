//! Runs an ONNX model on arrays and prints what it gave: `infer MODEL.onnx X.npy… [-o Y.npy…]`.

use lineside_engine::{Model, Session, npy};
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("infer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let at = arguments.iter().position(|argument| argument == "-o").unwrap_or(arguments.len());
    let Some((model, inputs)) = arguments[..at].split_first() else {
        return Err("usage: infer MODEL.onnx X.npy… [-o Y.npy…]".into());
    };
    let files = arguments.get(at + 1..).unwrap_or_default();
    let read = |path: &String| Ok::<_, Box<dyn Error>>(npy::read(&std::fs::read(path)?)?);
    let inputs = inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.shape().to_vec()).collect();
    let plan = Arc::new(Model::load(Path::new(model))?.plan(&shapes)?);
    println!(
        "kernels {}, {:.1} % of the multiply-accumulates in integers",
        plan.kernel(),
        plan.integer_coverage() * 100.0
    );
    for op in plan.ops() {
        println!("  {:16} {:12} MAC  {}", op.op, op.macs, op.name);
    }
    let mut session = Session::new(plan)?;
    for (i, input) in inputs.into_iter().enumerate() {
        session.set_input(i, input)?;
    }
    session.run()?;
    let mut times: Vec<_> = (0..9)
        .map(|_| {
            let start = Instant::now();
            session.run().map(|()| start.elapsed())
        })
        .collect::<Result<_, _>>()?;
    times.sort_unstable();
    println!("median time {:.3} ms of {} runs", times[times.len() / 2].as_secs_f64() * 1e3, times.len());
    for (i, output) in session.outputs().iter().enumerate() {
        println!("output {i}: {output}");
        if let Some(path) = files.get(i) {
            npy::write(File::create(path)?, output)?;
        }
    }
    Ok(())
}
