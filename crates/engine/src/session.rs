//! Runs a plan in a workspace.

use super::kernels::arena::{Arena, Plain};
use super::kernels::live::Live;
use super::pool::{Poisoned, ThreadPool};
use super::step::{ArenaTensor, StepContext};
use super::tensor::Buffer;
use super::{Element, EngineError, Plan, Tensor, TensorInfo, Workspace};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The state of one thread that runs a plan: write the inputs, run, read the outputs.
pub struct Session {
    plan: Arc<Plan>,
    workspace: Workspace,
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
    /// A session on the caller's thread in a workspace of its own, with zeroed inputs and outputs. An output whose length is only
    /// known in a run ([`TensorInfo::counted_axis`]) has its bound until the first run, and what was found since.
    ///
    /// # Errors
    /// [`EngineError::Run`] where the plan's state cannot be set up.
    pub fn new(plan: Arc<Plan>) -> Result<Session, EngineError> {
        Session::with_threads(plan, 1)
    }

    /// A session in a workspace of its own, whose runs are shared by `threads` threads, the caller's among them. The bytes are
    /// the same for any number.
    ///
    /// # Errors
    /// [`EngineError::Run`] where the threads cannot be started.
    pub fn with_threads(plan: Arc<Plan>, threads: usize) -> Result<Session, EngineError> {
        Session::in_workspace(plan, &Workspace::new(threads)?)
    }

    /// A session that runs in the memory and with the threads of `workspace`, as other sessions do before and after it. The
    /// bytes are those of a session that has a workspace of its own.
    ///
    /// # Errors
    /// [`EngineError::Run`] where a thread of the workspace has failed.
    pub fn in_workspace(plan: Arc<Plan>, workspace: &Workspace) -> Result<Session, EngineError> {
        workspace.reserve(&plan)?;
        let inputs = plan.inputs().iter().map(Tensor::zeroed).collect();
        let outputs = plan.outputs().iter().map(Tensor::zeroed).collect();
        Ok(Session { plan, workspace: workspace.clone(), inputs, outputs })
    }

    /// The plan that this session runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The same plan for another session, on another thread for example: the packed weights are in memory once.
    pub fn shared_plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
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

    /// Output `index` of the last run, row-major; of [`Session::outputs`] it has the shape.
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
        let Session { plan, workspace, inputs, outputs } = self;
        let threads = workspace.threads();
        let mut workspace = workspace.lock();
        let arena = workspace.begin(plan)?;
        let result = run_in(arena, (workspace.pool(), threads), plan, (inputs, outputs), &mut after);
        workspace.end(plan);
        result
    }
}

/// Runs a plan in an arena that holds its constants.
fn run_in(
    arena: Arena,
    (pool, threads): (Option<&ThreadPool>, usize),
    plan: &Arc<Plan>,
    (inputs, outputs): (&[Tensor], &mut [Tensor]),
    after: &mut impl FnMut(usize),
) -> Result<(), EngineError> {
    let failed = |poisoned: Poisoned| EngineError::Run(poisoned.to_string());
    let context = StepContext { kernels: plan.kernels, arena, part: (0, 1) };
    let _poison_guard = pool.map(ThreadPool::poison_guard);
    for (tensor, slot) in inputs.iter().zip(&plan.input_tensors) {
        copy_in(tensor, slot, &context);
    }
    // On one thread nobody is to be waited for.
    let shared = pool.filter(|_| threads > 1).map(|pool| {
        let run = pool.start(plan, arena, threads);
        let part = (0, run.threads());
        (run, StepContext { part, ..context })
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
            let Some((run, part)) = &shared else {
                step.run(&context).map_err(failed_here)?;
                continue;
            };
            // After an error the other threads still go through all steps, and so must this one.
            if result.is_ok() {
                result = step.run(if step.is_shared() { part } else { &context }).map_err(failed_here);
            }
            run.barrier_wait(index).map_err(failed)?;
        }
        if op == last {
            let slots = plan.output_tensors.iter().zip(&plan.output_live).zip(plan.outputs());
            for (tensor, ((slot, live), info)) in outputs.iter_mut().zip(slots) {
                let used = live.zip(info.counted_axis).map(|(live, axis)| {
                    let count = live.count(arena);
                    tensor.set_length(axis, count);
                    (live, count)
                });
                copy_out(tensor, slot, used, &context);
            }
        }
        after(op);
    }
    result
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

/// Copies a tensor out of the arena: all of it, or the places of an axis that are in use.
fn copy_out(tensor: &mut Tensor, slot: &ArenaTensor, used: Option<(Live, usize)>, context: &StepContext) {
    /// The vector has the capacity of the whole tensor since it was made.
    fn fill<T: Copy, S: Plain>(
        values: &mut Vec<T>,
        stored: &[S],
        used: Option<(Live, usize)>,
        of: impl Fn(S) -> T + Copy,
    ) {
        values.clear();
        let Some((live, count)) = used else { return values.extend(stored.iter().map(|&element| of(element))) };
        for part in stored.chunks_exact(live.bound * live.inner) {
            values.extend(part[..count * live.inner].iter().map(|&element| of(element)));
        }
    }
    fn same<T: Plain>(values: &mut Vec<T>, slot: &ArenaTensor, used: Option<(Live, usize)>, arena: Arena) {
        fill(values, arena.read::<T>(slot.at, slot.len()), used, |element| element);
    }
    let arena = context.arena;
    match tensor.buffer_mut() {
        Buffer::Bool(values) => fill(values, arena.read::<u8>(slot.at, slot.len()), used, |byte| byte != 0),
        Buffer::U8(values) => same(values, slot, used, arena),
        Buffer::I8(values) => same(values, slot, used, arena),
        Buffer::U16(values) => same(values, slot, used, arena),
        Buffer::I16(values) => same(values, slot, used, arena),
        Buffer::U32(values) => same(values, slot, used, arena),
        Buffer::U64(values) => same(values, slot, used, arena),
        Buffer::F64(values) => same(values, slot, used, arena),
        Buffer::F16(values) => same(values, slot, used, arena),
        Buffer::I32(values) => same(values, slot, used, arena),
        Buffer::I64(values) => same(values, slot, used, arena),
        Buffer::F32(values) => same(values, slot, used, arena),
    }
}

fn no_such_tensor(what: &'static str, has: usize, index: usize) -> EngineError {
    EngineError::Count { what, has, asked: format!("number {index} was") }
}

fn wrong_element<T: Element>(info: &TensorInfo) -> EngineError {
    EngineError::Mismatch { name: format!("\"{}\"", info.name), expected: info.to_string(), found: T::KIND.to_string() }
}
