//! Runs an ONNX model on an array and prints what it gave: `infer MODEL.onnx X.npy [Y.npy]`.

use lineside_engine::{Model, Session, npy};
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

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
    let (model, x, y) = match arguments.as_slice() {
        [model, x] => (model, x, None),
        [model, x, y] => (model, x, Some(y)),
        _ => return Err("usage: infer MODEL.onnx X.npy [Y.npy]".into()),
    };
    let input = npy::read(&std::fs::read(x)?)?;
    let plan = Arc::new(Model::load(Path::new(model))?.plan(&[input.shape().to_vec()])?);
    println!(
        "kernels {}, {:.1} % of the multiply-accumulates in integers",
        plan.kernel(),
        plan.integer_coverage() * 100.0
    );
    let mut session = Session::new(plan)?;
    session.set_input(0, input)?;
    session.run()?;
    for (i, output) in session.outputs().iter().enumerate() {
        println!("output {i}: {:?}", output.shape());
    }
    if let (Some(path), Some(output)) = (y, session.outputs().first()) {
        npy::write(File::create(path)?, output)?;
    }
    Ok(())
}
