//! A model for fixed shapes: the order of its steps, the offset of every value in the arena, and what it costs.
//!
//! | file | decides |
//! |---|---|
//! | `data_layout` | which values are stored channels last |
//! | `alias` | which values share memory |
//! | `scratch` | memory for values in another arrangement |
//! | `transposed` | transposed convolutions as ordinary ones |
//! | `layout` | halos, lifetimes, offsets in the arena |
//! | `lower/` | the steps of each op, and its weights in the order of the kernel set |

mod alias;
mod data_layout;
mod layout;
mod lower;
mod scratch;
mod transposed;

use super::graph::{Graph, Node, Op, RecurrenceWeights};
use super::kernels::Kernels;
use super::kernels::gather::{GatherStep, Rows};
use super::kernels::live::Live;
use super::step::{ArenaTensor, CheckedStep, Step};
use super::{EngineError, TensorInfo};
use std::ops::Range;

/// A model that is ready to run; shared by all sessions that run it.
pub struct Plan {
    pub(super) kernels: &'static dyn Kernels,
    pub(super) steps: Vec<CheckedStep>,
    /// The steps of each op in `ops`.
    pub(super) op_steps: Vec<Range<usize>>,
    /// Bytes that lie in the arena from the start.
    pub(super) constants: Vec<(usize, Vec<u8>)>,
    /// Where the session puts inputs and finds outputs, in their own byte order.
    pub(super) input_tensors: Vec<ArenaTensor>,
    pub(super) output_tensors: Vec<ArenaTensor>,
    /// What is in use of each output, where its shape is a bound.
    pub(super) output_live: Vec<Option<Live>>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    ops: Vec<OpCost>,
    memory: MemoryUsage,
    /// Of the arena's bytes, those that islands take from the heap while they run.
    island_bytes: u64,
}

/// What a plan holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MemoryUsage {
    /// Constants: weights, biases, tables.
    pub weights_bytes: u64,
    /// Everything between ops, for each workspace of one thread.
    pub arena_bytes: u64,
    /// What each further thread of a workspace adds to that.
    pub thread_bytes: u64,
    /// Inputs and outputs, for each session.
    pub border_bytes: u64,
}

/// What an op works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpDomain {
    /// Integers, or bytes that are moved.
    Integers,
    /// Floats, in the engine's own loops: the same bits on every CPU.
    Floats,
    /// Left to tract, an island: what it computes in floats may differ from CPU to CPU.
    Island,
}

/// One op of a plan and what it costs.
#[derive(Debug, Clone)]
pub struct OpCost {
    /// The node's name in the model.
    pub name: String,
    /// The kind of op.
    pub op: String,
    /// Multiply-accumulates a run.
    pub macs: u64,
    /// Whether those are computed on integers.
    pub in_integers: bool,
    /// What it reads and writes.
    pub domain: OpDomain,
}

/// The op under which inputs and outputs are brought into the plan's layout and back.
const BORDER: &str = "Border";

impl Plan {
    pub(super) fn new(graph: Graph, kernels: &'static dyn Kernels) -> Result<Plan, EngineError> {
        let infos = |ids: &[usize]| -> Vec<TensorInfo> {
            let info = |&id: &usize| {
                let value = &graph.values[id];
                let counted_axis = value.counted.map(|counted| counted.axis);
                TensorInfo { name: value.name.clone(), kind: value.kind, shape: value.shape.clone(), counted_axis }
            };
            ids.iter().map(info).collect()
        };
        let (inputs, outputs) = (infos(&graph.inputs), infos(&graph.outputs));
        let border = |name: &str| OpCost {
            name: name.to_owned(),
            op: BORDER.to_owned(),
            macs: 0,
            in_integers: true,
            domain: OpDomain::Integers,
        };
        let cost = |node: &Node| OpCost {
            name: node.name.clone(),
            op: node.op.kind().to_owned(),
            macs: graph.macs(node),
            in_integers: node.op.in_integers(),
            domain: domain(&graph, node),
        };
        let computed = graph.nodes.iter().filter(|node| !matches!(node.op, Op::Constant(_)));
        let ops = std::iter::once(border("inputs")).chain(computed.map(cost)).chain([border("outputs")]).collect();
        let island_bytes = |node: &Node| match &node.op {
            Op::Island(island) => (island.weights_bytes(), island.arena_bytes()),
            _ => (0, 0),
        };
        let islands = graph.nodes.iter().map(island_bytes).fold((0, 0), |(w, a), (x, y)| (w + x, a.max(y)));
        let lowered = lower::lower(graph, kernels).map_err(EngineError::Unsupported)?;
        let constants: usize = lowered.constants.iter().map(|(_, bytes)| bytes.len()).sum();
        let packed: usize = lowered.steps.iter().map(|step| weights_bytes(step.step())).sum();
        let memory = MemoryUsage {
            weights_bytes: (packed + constants) as u64 + islands.0,
            arena_bytes: (lowered.arena_bytes + lowered.scratch_bytes) as u64 + islands.1,
            thread_bytes: lowered.scratch_bytes as u64,
            border_bytes: inputs.iter().chain(&outputs).map(|info| info.bytes() as u64).sum(),
        };

        Ok(Plan {
            kernels,
            steps: lowered.steps,
            op_steps: lowered.op_steps,
            constants: lowered.constants,
            input_tensors: lowered.inputs,
            output_tensors: lowered.outputs,
            output_live: lowered.live,
            inputs,
            outputs,
            ops,
            memory,
            island_bytes: islands.1,
        })
    }

    /// Bytes of an arena for so many threads.
    pub(super) fn arena_bytes(&self, threads: usize) -> usize {
        let others = threads.saturating_sub(1) as u64 * self.memory.thread_bytes;
        (self.memory.arena_bytes - self.island_bytes + others) as usize
    }

    /// The most that an island takes beside the arena.
    pub(super) fn island_bytes(&self) -> u64 {
        self.island_bytes
    }

    /// The inputs, in the model's order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The outputs, in the model's order. An axis whose length is only known in a run ([`TensorInfo::counted_axis`]) has its bound.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Every op in the order of execution, with its cost.
    pub fn ops(&self) -> &[OpCost] {
        &self.ops
    }

    /// What the plan holds in memory.
    pub fn memory(&self) -> MemoryUsage {
        self.memory
    }

    /// Multiply-accumulates a run.
    pub fn macs(&self) -> u64 {
        self.ops.iter().map(|op| op.macs).sum()
    }

    /// The share of multiply-accumulates that run on integers, 0 to 1; of ops for a model without any.
    pub fn integer_coverage(&self) -> f64 {
        let share = |of: &dyn Fn(&OpCost) -> u64| {
            let in_integers: u64 = self.ops.iter().filter(|op| op.in_integers).map(of).sum();
            let all: u64 = self.ops.iter().map(of).sum();
            (all > 0).then(|| in_integers as f64 / all as f64)
        };
        // Inputs and outputs are no ops of the model's; what only passes them on computes nothing in floats.
        let count = |op: &OpCost| u64::from(op.op != BORDER);
        share(&|op| op.macs).or_else(|| share(&count)).unwrap_or(1.0)
    }

    /// The nodes that are left to tract, whose floats may differ from CPU to CPU.
    pub fn islands(&self) -> impl Iterator<Item = &OpCost> {
        self.ops.iter().filter(|op| op.domain == OpDomain::Island)
    }

    /// The kernel set that runs the plan.
    pub fn kernel(&self) -> &'static str {
        self.kernels.name()
    }
}

/// Floats are what an op computes in where it reads or writes any, but for a product of integers whose result is scaled.
fn domain(graph: &Graph, node: &Node) -> OpDomain {
    let mut values = node.inputs.iter().chain(&node.outputs);
    match node.op {
        Op::Island(_) => OpDomain::Island,
        _ if node.op.in_integers() && graph.macs(node) > 0 => OpDomain::Integers,
        _ if values.any(|&id| graph.values[id].kind.is_float()) => OpDomain::Floats,
        _ => OpDomain::Integers,
    }
}

fn weights_bytes(step: &Step) -> usize {
    match step {
        Step::Conv(step) => step.packed.weights.len() + 8 * step.packed.bias.len() + 4 * step.taps.len(),
        Step::Depthwise(step) => step.packed.weights.len() + 8 * step.packed.bias.len(),
        Step::Float(step) => step.weights_bytes(),
        Step::Lut { .. } => 256,
        Step::ChannelLut { tables, .. } => 256 * tables.len(),
        Step::Softmax { .. } => 1024,
        Step::Recurrent(step) => match &step.layer.weights {
            RecurrenceWeights::Computed => 0,
            RecurrenceWeights::Floats(weights) => 4 * weights.len(),
            RecurrenceWeights::Bytes(q) => 2 * q.weights.len() + 4 * q.scale.len(),
        },
        Step::Gather(GatherStep { x: Rows::Table(table), .. }) => table.len(),
        _ => 0,
    }
}
