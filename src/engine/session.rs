//! Runs a plan, in buffers of its own.

use super::model::one_line;
use super::tensor::Buffer;
use super::{Element, EngineError, Plan, Tensor, TensorInfo};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::TypedOp;
use tract_onnx::tract_core::plan::{SimpleState, eval};

/// The state of one thread that runs a plan: write the inputs, run, read the outputs.
pub struct Session {
    plan: Arc<Plan>,
    state: TypedSimpleState,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// How long one op took in one run.
#[derive(Debug, Clone, Copy)]
pub struct OpTime {
    /// Its place in [`Plan::ops`].
    pub op: usize,
    /// The time it took.
    pub time: Duration,
}

type TypedSimpleState = SimpleState<TypedFact, Box<dyn TypedOp>>;

impl Session {
    /// A session with zeroed inputs and outputs.
    ///
    /// # Errors
    /// [`EngineError::Run`] where the plan's state cannot be set up.
    pub fn new(plan: Arc<Plan>) -> Result<Session, EngineError> {
        let state = SimpleState::new(&plan.executable).map_err(failed)?;
        let inputs = plan.inputs().iter().map(Tensor::zeroed).collect();
        let outputs = plan.outputs().iter().map(Tensor::zeroed).collect();
        Ok(Session { plan, state, inputs, outputs })
    }

    /// The plan that this session runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Input `index` to write to, row-major; it keeps its values from run to run.
    ///
    /// # Errors
    /// [`EngineError::Count`] where there is no such input, [`EngineError::Mismatch`] where its elements are not `T`.
    pub fn input_mut<T: Element>(&mut self, index: usize) -> Result<&mut [T], EngineError> {
        let has = self.inputs.len();
        let info = self.plan.inputs().get(index).ok_or_else(|| no_such("inputs", has, index))?;
        let mismatch = || wrong_element::<T>(info);
        self.inputs.get_mut(index).and_then(Tensor::values_mut).ok_or_else(mismatch)
    }

    /// Replaces input `index` by `tensor`.
    ///
    /// # Errors
    /// [`EngineError::Count`] where there is no such input, [`EngineError::Mismatch`] for another type or shape.
    pub fn set_input(&mut self, index: usize, tensor: Tensor) -> Result<(), EngineError> {
        let has = self.inputs.len();
        let info = self.plan.inputs().get(index).ok_or_else(|| no_such("inputs", has, index))?;
        if tensor.kind() != info.kind || tensor.shape() != info.shape {
            let name = format!("input \"{}\"", info.name);
            return Err(EngineError::Mismatch { name, expected: info.to_string(), found: tensor.to_string() });
        }
        self.inputs[index] = tensor;
        Ok(())
    }

    /// Runs the model once.
    ///
    /// # Errors
    /// [`EngineError::Run`] where an op fails.
    pub fn run(&mut self) -> Result<(), EngineError> {
        let values = self.input_values()?;
        let results = self.state.run(values).map_err(failed)?;
        self.keep(results)
    }

    /// Runs the model once and tells how long each op took.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_timed(&mut self) -> Result<Vec<OpTime>, EngineError> {
        let values = self.input_values()?;
        let plan = Arc::clone(&self.plan);
        let mut times = Vec::with_capacity(plan.ops().len());
        let results = self
            .state
            .run_plan_with_eval(values, |context, state, node, inputs| {
                let start = Instant::now();
                let result = eval(context, state, node, inputs);
                if let Some(op) = plan.ops().iter().position(|op| op.node == node.id) {
                    times.push(OpTime { op, time: start.elapsed() });
                }
                result
            })
            .map_err(failed)?;
        self.keep(results)?;
        Ok(times)
    }

    /// Output `index` of the last run, row-major.
    ///
    /// # Errors
    /// [`EngineError::Count`] where there is no such output, [`EngineError::Mismatch`] where its elements are not `T`.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], EngineError> {
        let info = self.plan.outputs().get(index).ok_or_else(|| no_such("outputs", self.outputs.len(), index))?;
        self.outputs.get(index).and_then(Tensor::values).ok_or_else(|| wrong_element::<T>(info))
    }

    /// All outputs of the last run.
    pub fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    fn input_values(&self) -> Result<TVec<TValue>, EngineError> {
        self.inputs.iter().map(|tensor| Ok(to_tract(tensor).map_err(failed)?.into_tvalue())).collect()
    }

    fn keep(&mut self, results: TVec<TValue>) -> Result<(), EngineError> {
        for (tensor, value) in self.outputs.iter_mut().zip(&results) {
            from_tract(value, tensor).map_err(failed)?;
        }
        Ok(())
    }
}

fn failed(error: TractError) -> EngineError {
    EngineError::Run(one_line(&error))
}

fn no_such(what: &'static str, has: usize, index: usize) -> EngineError {
    EngineError::Count { what, has, asked: format!("number {index} was") }
}

fn wrong_element<T: Element>(info: &TensorInfo) -> EngineError {
    EngineError::Mismatch { name: format!("\"{}\"", info.name), expected: info.to_string(), found: T::KIND.to_string() }
}

fn to_tract(tensor: &Tensor) -> TractResult<tract_onnx::prelude::Tensor> {
    use tract_onnx::prelude::Tensor as Value;
    let shape = tensor.shape();
    match tensor.buffer() {
        Buffer::U8(values) => Value::from_shape(shape, values),
        Buffer::I8(values) => Value::from_shape(shape, values),
        Buffer::I32(values) => Value::from_shape(shape, values),
        Buffer::I64(values) => Value::from_shape(shape, values),
        Buffer::F32(values) => Value::from_shape(shape, values),
    }
}

/// Copies a value into a tensor of the same kind and size.
fn from_tract(value: &TValue, tensor: &mut Tensor) -> TractResult<()> {
    let plain = value.cast_to_dt(value.datum_type().unquantized())?;
    macro_rules! copy {
        ($($type:ty),*) => {$(
            if let Some(values) = tensor.values_mut::<$type>() {
                let view = plain.to_plain_array_view::<$type>()?;
                for (to, from) in values.iter_mut().zip(view.iter()) {
                    *to = *from;
                }
                return Ok(());
            }
        )*};
    }
    copy!(u8, i8, i32, i64, f32);
    Ok(())
}
