//! Nodes whose inputs are all known, computed once when a model is loaded: by the ops that compute them in a run.

use super::{Binding, Handled, Imported, Importer};
use crate::graph::{Graph, Node, Op, ValueId, ZeroPoint};
use crate::tensor::Buffer;
use crate::{Plan, Session, Tensor, kernels};
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

impl<'a> Importer<'a> {
    /// Computes a node of constants. What the engine has no op for, or a tensor without elements, is left to tract.
    pub(super) fn fold(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (nodes, values) = (self.graph.nodes.len(), self.graph.values.len());
        // What is made meanwhile is a graph of its own, which ends here with its copies of constants.
        let (copies, bytes) = (std::mem::take(&mut self.copies), self.computed_bytes);
        let results = match self.computed(node) {
            Ok(Handled::Yes) => self.results(node, nodes, values),
            _ => None,
        };
        (self.copies, self.computed_bytes) = (copies, bytes);
        self.graph.nodes.truncate(nodes);
        self.graph.values.truncate(values);
        self.tables.retain(|&value, (source, _)| value < values && *source < values);
        self.reshaped.retain(|&value, origin| value < values && *origin < values);
        for name in &node.output {
            self.held.remove(name.as_str());
        }
        let Some(results) = results else { return Ok(Handled::No) };
        for (index, constant) in results {
            self.add_computed(&constant)?;
            self.give(node, index, Binding::Constant(Arc::new(constant)));
        }
        Ok(Handled::Yes)
    }

    /// The outputs of a node that was imported as nodes and values from these places on, each with its index.
    fn results(
        &mut self,
        node: &'a NodeProto,
        nodes: usize,
        values: usize,
    ) -> Option<Vec<(usize, tract_onnx::prelude::Tensor)>> {
        let mut results = Vec::new();
        let mut computed = Vec::new();
        for (index, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            match self.held.get(name.as_str())?.clone() {
                Binding::Constant(constant) => results.push((index, (*constant).clone())),
                held => computed.push((index, self.compute(&held).ok()?)),
            }
        }
        if computed.is_empty() {
            return Some(results);
        }
        let place = |id: ValueId| id.checked_sub(values);
        let made = self.graph.values.get(values..)?;
        let bytes: u64 = made.iter().map(|value| (value.len() * value.kind.size()) as u64).sum();
        if self.computed_bytes.saturating_add(bytes) > self.limit {
            return None;
        }
        let mut graph = Graph { values: made.to_vec(), ..Graph::default() };
        graph.values.iter_mut().for_each(|value| value.counted = None);
        for node in self.graph.nodes.drain(nodes..) {
            if reads_zero_points(&node.op) {
                return None;
            }
            let places = |ids: &[ValueId]| ids.iter().map(|&id| place(id)).collect::<Option<Vec<_>>>();
            let (inputs, outputs) = (places(&node.inputs)?, places(&node.outputs)?);
            graph.nodes.push(Node { inputs, outputs, ..node });
        }
        graph.outputs = computed.iter().map(|&(_, id)| place(id)).collect::<Option<_>>()?;
        for index in 0..graph.nodes.len() {
            graph.check(&graph.nodes[index]).and_then(|()| graph.count(index)).ok()?;
        }
        // The reference: what is computed once need not be fast, and every set gives the same bytes.
        let plan = Plan::new(graph, *kernels::available().last()?).ok()?;
        let mut session = Session::new(Arc::new(plan)).ok()?;
        session.run().ok()?;
        for (&(index, _), tensor) in computed.iter().zip(session.outputs()) {
            results.push((index, constant_of(tensor)?));
        }
        Some(results)
    }
}

/// Whether an op reads its zero points from other values than its inputs.
fn reads_zero_points(op: &Op) -> bool {
    let held = |zero: &ZeroPoint| matches!(zero, ZeroPoint::Held(_));
    match op {
        Op::Conv(conv) | Op::ConvTranspose(conv) | Op::Linear(conv) => held(&conv.zero_point),
        Op::MatMul { a, b, .. } => held(a) || held(b),
        _ => false,
    }
}

fn constant_of(tensor: &Tensor) -> Option<tract_onnx::prelude::Tensor> {
    let shape = tensor.shape();
    let constant = match tensor.buffer() {
        Buffer::Bool(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::U8(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::I8(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::U16(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::I16(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::I32(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::I64(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::U32(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::U64(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
        Buffer::F16(_) | Buffer::F64(_) => return None,
        Buffer::F32(values) => tract_onnx::prelude::Tensor::from_shape(shape, values),
    };
    constant.ok()
}
