//! `lineside infer`: runs any ONNX model on `.npy` arrays.

use super::WrongArguments;
use super::outputs::{refuse_inputs, write_output};
use crate::bundle;
use crate::files;
use anyhow::Context;
use lineside_engine::{Session, npy};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct InferArguments {
    /// The ONNX model
    model: PathBuf,
    /// An input array; once for each input, in the model's order
    #[arg(short, long = "input", value_name = "X.npy", required = true)]
    input: Vec<PathBuf>,
    /// The file for an output, in the model's order; outputs without a file are not written
    #[arg(short, long = "output", value_name = "Y.npy", required = true)]
    output: Vec<PathBuf>,
}

pub fn run(arguments: &InferArguments) -> anyhow::Result<ExitCode> {
    let read: Vec<&Path> = arguments.input.iter().chain([&arguments.model]).map(PathBuf::as_path).collect();
    for output in &arguments.output {
        refuse_inputs(output, read.iter().copied())?;
    }
    let model_name = || arguments.model.display().to_string();
    let model = bundle::load_model(&arguments.model, files::MAX_ARRAY).with_context(model_name)?;
    let stated = model.inputs().with_context(model_name)?;
    if stated.len() != arguments.input.len() {
        let message =
            format!("{}: {} inputs, but -i was given {} times", model_name(), stated.len(), arguments.input.len());
        return Err(WrongArguments(message).into());
    }
    let mut arrays = Vec::new();
    for (path, input) in arguments.input.iter().zip(&stated) {
        let bytes = files::read(path, files::MAX_ARRAY).with_context(|| path.display().to_string())?;
        let array = npy::read(&bytes).with_context(|| path.display().to_string())?;
        anyhow::ensure!(
            array.kind() == input.kind,
            "{}: holds {}, but input \"{}\" takes {}",
            path.display(),
            array.kind(),
            input.name,
            input.kind
        );
        arrays.push(array);
    }
    let shapes: Vec<Vec<usize>> = arrays.iter().map(|array| array.shape().to_vec()).collect();
    let plan = model.plan(&shapes).with_context(model_name)?;
    if plan.outputs().len() < arguments.output.len() {
        let message = format!(
            "{}: {} outputs, but -o was given {} times",
            model_name(),
            plan.outputs().len(),
            arguments.output.len()
        );
        return Err(WrongArguments(message).into());
    }
    for (index, output) in arguments.output.iter().enumerate() {
        if arguments.output[..index].contains(output) {
            return Err(WrongArguments(format!("{}: given for two outputs", output.display())).into());
        }
    }
    let mut session = Session::new(Arc::new(plan)).with_context(model_name)?;
    for (index, array) in arrays.into_iter().enumerate() {
        session.set_input(index, array).with_context(|| arguments.input[index].display().to_string())?;
    }
    session.run().with_context(model_name)?;
    for (path, tensor) in arguments.output.iter().zip(session.outputs()) {
        write_output(path, |out| npy::write(out, tensor)).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
