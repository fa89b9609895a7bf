//! A model for fixed shapes: the order of its ops, what they cost, what they hold in memory.

use super::model::{element_kind, one_line};
use super::{EngineError, TensorInfo};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{Cost, SimplePlan};
use tract_onnx::tract_core::model::memory::eval_tmp_memory_usage;
use tract_onnx::tract_core::ops::konst::Const;

/// A model that is ready to run; shared by all sessions that run it.
pub struct Plan {
    pub(super) executable: Arc<TypedSimplePlan>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    ops: Vec<OpCost>,
    memory: Memory,
}

/// What a plan holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Constants: weights, biases, tables.
    pub weights_bytes: u64,
    /// The most that values between ops take at any one time.
    pub arena_bytes: u64,
}

/// One op of a plan and what it costs.
#[derive(Debug, Clone)]
pub struct OpCost {
    /// The node's name in the model, as far as it survives optimisation.
    pub name: String,
    /// The kind of op.
    pub op: String,
    /// Multiply-accumulates a run.
    pub macs: u64,
    /// Whether those are computed on integers.
    pub in_integers: bool,
    pub(super) node: usize,
}

impl Plan {
    pub(super) fn new(model: TypedModel, weights_bytes: u64, output_names: &[String]) -> Result<Plan, EngineError> {
        let failed = |error: TractError| EngineError::Unsupported(one_line(&error));
        let inputs = infos(&model, model.input_outlets().map_err(failed)?)?;
        let mut outputs = infos(&model, model.output_outlets().map_err(failed)?)?;
        for (output, name) in outputs.iter_mut().zip(output_names) {
            output.name.clone_from(name);
        }
        let executable = SimplePlan::new(model).map_err(failed)?;
        let order = executable.order_without_consts();
        let model = executable.model();
        let ops = order.iter().map(|&node| cost(model, node)).collect::<TractResult<_>>().map_err(failed)?;
        let memory = Memory { weights_bytes, arena_bytes: arena_bytes(model, order).map_err(failed)? };
        Ok(Plan { inputs, outputs, ops, memory, executable })
    }

    /// The inputs, in the model's order.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// The outputs, in the model's order.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Every op in the order of execution, with its cost.
    pub fn ops(&self) -> &[OpCost] {
        &self.ops
    }

    /// What the plan holds in memory.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Multiply-accumulates a run.
    pub fn macs(&self) -> u64 {
        self.ops.iter().map(|op| op.macs).sum()
    }

    /// The share of multiply-accumulates that run on integers, 0 to 1; 1 for a model without any.
    pub fn integer_coverage(&self) -> f64 {
        let in_integers: u64 = self.ops.iter().filter(|op| op.in_integers).map(|op| op.macs).sum();
        match self.macs() {
            0 => 1.0,
            all => in_integers as f64 / all as f64,
        }
    }

    /// The kernels that run this plan, by name.
    pub fn kernel(&self) -> &'static str {
        "tract"
    }
}

fn infos(model: &TypedModel, outlets: &[OutletId]) -> Result<Vec<TensorInfo>, EngineError> {
    outlets
        .iter()
        .map(|&outlet| {
            let name = model.node(outlet.node).name.clone();
            let fact = model.outlet_fact(outlet).map_err(|error| EngineError::Unsupported(one_line(&error)))?;
            let shape = fact.shape.as_concrete().ok_or_else(|| {
                EngineError::Unsupported(format!("the shape of \"{name}\" depends on the data: {:?}", fact.shape))
            })?;
            Ok(TensorInfo { name, kind: element_kind(fact.datum_type)?, shape: shape.to_vec() })
        })
        .collect()
}

fn cost(model: &TypedModel, node: usize) -> TractResult<OpCost> {
    let facts = model.node_input_facts(node)?;
    let node = model.node(node);
    let mut macs = 0;
    let mut in_integers = true;
    for (kind, count) in node.op.cost(&facts)? {
        if let Cost::FMA(datum_type) = kind {
            macs += count.to_i64()?.unsigned_abs();
            in_integers &= datum_type.is_integer();
        }
    }
    Ok(OpCost { name: node.name.clone(), op: node.op.name().into_owned(), macs, in_integers, node: node.id })
}

/// The most that the values between ops take at any one time.
fn arena_bytes(model: &TypedModel, order: &[usize]) -> TractResult<u64> {
    let steps = eval_tmp_memory_usage(model, order, |node: &TypedNode| !node.op_is::<Const>())?;
    let mut most = 0;
    for (_, bytes) in steps {
        most = most.max(bytes.to_i64()?.unsigned_abs());
    }
    Ok(most)
}
