//! Golden vectors: inputs, and the outputs that the reference kernels compute of them.

use super::error::MakeError;
use lineside_engine::{Model, Session, Tensor, kernel_names};
use std::sync::Arc;

/// The outputs of the reference kernels for an input.
///
/// # Errors
/// [`MakeError::Engine`] where the network cannot be planned or run.
pub fn reference_outputs(model: &Model, input: &Tensor) -> Result<Vec<Tensor>, MakeError> {
    // The last one is the reference.
    let reference = kernel_names().last().copied().unwrap_or("reference");
    outputs_of(model, input, reference)
}

fn outputs_of(model: &Model, input: &Tensor, kernel: &str) -> Result<Vec<Tensor>, MakeError> {
    let plan = model.clone().plan_with(&[input.shape().to_vec()], kernel)?;
    let mut session = Session::new(Arc::new(plan))?;
    session.set_input(0, input.clone())?;
    session.run()?;
    Ok(session.outputs().to_vec())
}

/// The first of the floats that is not finite.
pub fn no_number(output: &Tensor) -> Option<f32> {
    output.values::<f32>()?.iter().copied().find(|value| !value.is_finite())
}
