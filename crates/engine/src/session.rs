//! Runs a plan in an arena of its own.

use super::kernels::arena::{AlignedBytes, Arena};
use super::pool::{Poisoned, ThreadPool};
use super::step::{ArenaTensor, StepContext};
use super::tensor::Buffer;
use super::{Element, EngineError, Plan, Tensor, TensorInfo};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state of one thread that runs a plan: write the inputs, run, read the outputs.
pub struct Session {
    plan: Arc<Plan>,
    /// Dropped before the arena in which its threads work.
    pool: Option<ThreadPool>,
    arena: Arena,
    _arena_bytes: AlignedBytes,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

/// How long one op took in one run.
#[derive(Debug, Clone, Copy)]
pub struct OpTime {
    /// Its index in [`Plan::ops`].
    pub op: usize,
    /// The time it took.
    pub time: Duration,
}

impl Session {
    /// A session on the caller's thread, with zeroed inputs and outputs.
    ///
    /// # Errors
    /// [`EngineError::Run`] where the plan's state cannot be set up.
    pub fn new(plan: Arc<Plan>) -> Result<Session, EngineError> {
        Session::with_threads(plan, 1)
    }

    /// A session whose runs are shared by `threads` threads, the caller's among them. The bytes are the same for any
    /// number.
    ///
    /// # Errors
    /// [`EngineError::Run`] where the threads cannot be started.
    pub fn with_threads(plan: Arc<Plan>, threads: usize) -> Result<Session, EngineError> {
        let mut arena_bytes = plan.arena(threads);
        let arena = arena_bytes.arena();
        let failed = |error| EngineError::Run(format!("cannot start {threads} threads: {error}"));
        let pool = (threads > 1).then(|| ThreadPool::new(&plan, arena, threads)).transpose().map_err(failed)?;
        let inputs = plan.inputs().iter().map(Tensor::zeroed).collect();
        let outputs = plan.outputs().iter().map(Tensor::zeroed).collect();
        Ok(Session { plan, pool, arena, _arena_bytes: arena_bytes, inputs, outputs })
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
        let info = self.plan.inputs().get(index).ok_or_else(|| no_such_tensor("inputs", has, index))?;
        let mismatch = || wrong_element::<T>(info);
        self.inputs.get_mut(index).and_then(Tensor::values_mut).ok_or_else(mismatch)
    }

    /// Replaces input `index` by `tensor`.
    ///
    /// # Errors
    /// [`EngineError::Count`] where there is no such input, [`EngineError::Mismatch`] for another type or shape.
    pub fn set_input(&mut self, index: usize, tensor: Tensor) -> Result<(), EngineError> {
        let has = self.inputs.len();
        let info = self.plan.inputs().get(index).ok_or_else(|| no_such_tensor("inputs", has, index))?;
        if tensor.kind() != info.kind || tensor.shape() != info.shape {
            let name = format!("input \"{}\"", info.name);
            return Err(EngineError::Mismatch { name, expected: info.to_string(), found: tensor.to_string() });
        }
        self.inputs[index] = tensor;
        Ok(())
    }

    /// Runs the model once, without allocating unless an op runs through tract.
    ///
    /// # Errors
    /// [`EngineError::Run`] where an op that runs through tract fails, or an index is out of range.
    pub fn run(&mut self) -> Result<(), EngineError> {
        self.run_with(|_| {})
    }

    /// Runs the model once and returns how long each op took.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_timed(&mut self) -> Result<Vec<OpTime>, EngineError> {
        let mut times = Vec::with_capacity(self.plan.ops().len());
        let mut start = Instant::now();
        self.run_with(|op| {
            let now = Instant::now();
            times.push(OpTime { op, time: now - start });
            start = now;
        })?;
        Ok(times)
    }

    /// Output `index` of the last run, row-major.
    ///
    /// # Errors
    /// [`EngineError::Count`] where there is no such output, [`EngineError::Mismatch`] where its elements are not `T`.
    pub fn output<T: Element>(&self, index: usize) -> Result<&[T], EngineError> {
        let info =
            self.plan.outputs().get(index).ok_or_else(|| no_such_tensor("outputs", self.outputs.len(), index))?;
        self.outputs.get(index).and_then(Tensor::values).ok_or_else(|| wrong_element::<T>(info))
    }

    /// All outputs of the last run.
    pub fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    fn run_with(&mut self, mut after: impl FnMut(usize)) -> Result<(), EngineError> {
        let plan = &*self.plan;
        let context = StepContext { kernels: plan.kernels, arena: self.arena, part: (0, 1) };
        let failed = |poisoned: Poisoned| EngineError::Run(poisoned.to_string());
        self.pool.as_ref().map_or(Ok(()), ThreadPool::check_poisoned).map_err(failed)?;
        let _poison_guard = self.pool.as_ref().map(ThreadPool::poison_guard);
        for (tensor, slot) in self.inputs.iter().zip(&plan.input_tensors) {
            copy_in(tensor, slot, &context);
        }
        let shared = self.pool.as_ref().map(|pool| {
            let part = (0, pool.threads());
            (pool, pool.start(plan.steps.len()), StepContext { part, ..context })
        });
        let last = plan.op_steps.len() - 1;
        let mut result = Ok(());
        for (op, group) in plan.op_steps.iter().enumerate() {
            let failed_here = |message: String| {
                let op = &plan.ops()[op];
                EngineError::Run(format!("{} \"{}\": {message}", op.op, op.name))
            };
            for index in group.clone() {
                let step = &plan.steps[index];
                let Some((pool, first, part)) = &shared else {
                    step.run(&context).map_err(failed_here)?;
                    continue;
                };
                // After an error the other threads still go through all steps, and so must this one.
                if result.is_ok() {
                    result = step.run(if step.is_shared() { part } else { &context }).map_err(failed_here);
                }
                pool.barrier_wait(first + index).map_err(failed)?;
            }
            if op == last {
                for (tensor, slot) in self.outputs.iter_mut().zip(&plan.output_tensors) {
                    copy_out(tensor, slot, &context);
                }
            }
            after(op);
        }
        result
    }
}

/// Copies a tensor into the arena.
fn copy_in(tensor: &Tensor, slot: &ArenaTensor, context: &StepContext) {
    let arena = context.arena;
    match tensor.buffer() {
        Buffer::Bool(values) => {
            let bytes = arena.write::<u8>(slot.at, values.len());
            bytes.iter_mut().zip(values).for_each(|(byte, &value)| *byte = u8::from(value));
        }
        Buffer::U8(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::I8(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::U16(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::I16(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::U32(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::U64(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::F64(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::F16(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::I32(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::I64(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
        Buffer::F32(values) => arena.write(slot.at, values.len()).copy_from_slice(values),
    }
}

/// Copies a tensor out of the arena.
fn copy_out(tensor: &mut Tensor, slot: &ArenaTensor, context: &StepContext) {
    let arena = context.arena;
    match tensor.buffer_mut() {
        Buffer::Bool(values) => {
            let bytes = arena.read::<u8>(slot.at, slot.len());
            values.iter_mut().zip(bytes).for_each(|(value, &byte)| *value = byte != 0);
        }
        Buffer::U8(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::I8(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::U16(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::I16(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::U32(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::U64(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::F64(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::F16(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::I32(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::I64(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
        Buffer::F32(values) => values.copy_from_slice(arena.read(slot.at, slot.len())),
    }
}

fn no_such_tensor(what: &'static str, has: usize, index: usize) -> EngineError {
    EngineError::Count { what, has, asked: format!("number {index} was") }
}

fn wrong_element<T: Element>(info: &TensorInfo) -> EngineError {
    EngineError::Mismatch { name: format!("\"{}\"", info.name), expected: info.to_string(), found: T::KIND.to_string() }
}
