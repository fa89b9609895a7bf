//! What the engine has no op for: one node in a model of its own, run by tract. Nodes whose inputs are all known are
//! run here, once.

use super::onnx::Attributes;
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{ForeignOp, Node, Op};
use crate::tract::{Constant, Island, constant, run_constants, single_node};
use std::sync::Arc;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{IntoArcTensor, tensor0, tensor1};

impl<'a> Importer<'a> {
    pub(super) fn constant_node(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let tensor = match node.attribute("value").and_then(|a| a.t.as_ref()) {
            Some(proto) => constant(proto)?,
            None => match (node.attribute("value_float"), node.attribute("value_int"), node.attribute("value_ints")) {
                (Some(a), _, _) => tensor0(a.f),
                (_, Some(a), _) => tensor0(a.i),
                (_, _, Some(a)) => tensor1(&a.ints),
                _ => match node.attribute("value_floats") {
                    Some(a) => tensor1(&a.floats),
                    None => return Err("a constant of an unusual type".into()),
                },
            },
        };
        self.done(node, Binding::Constant(Arc::new(tensor)))
    }

    /// Runs a node through tract: now where its inputs are known, in the graph otherwise.
    pub(super) fn island(&mut self, node: &'a NodeProto) -> Imported<()> {
        let mut constants: Vec<(String, Constant)> = Vec::new();
        let mut inputs = Vec::new();
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            match self.get(name)? {
                Binding::Constant(constant) => constants.push((name.clone(), constant)),
                held => {
                    let id = self.compute(&held)?;
                    if !inputs.iter().any(|(known, _)| known == name) {
                        inputs.push((name.clone(), id));
                    }
                }
            }
        }
        let facts: Vec<(String, ElementKind, Vec<usize>)> = inputs
            .iter()
            .map(|(name, id)| (name.clone(), self.graph.values[*id].kind, self.graph.values[*id].shape.clone()))
            .collect();
        let typed = single_node(node, self.proto, &constants, &facts)?;
        if inputs.is_empty() {
            for (index, value) in run_constants(typed)?.into_iter().enumerate() {
                self.add_computed(&value)?;
                self.give(node, index, Binding::Constant(value.into_arc_tensor()));
            }
            return Ok(());
        }
        let island = Island::new(typed)?;
        let outputs = island
            .outputs()
            .iter()
            .map(|(kind, shape)| self.new_value(&name_of(node), *kind, shape))
            .collect::<Imported<Vec<_>>>()?;
        for (index, &id) in outputs.iter().enumerate() {
            self.give(node, index, Binding::Value(id));
        }
        let inputs = inputs.into_iter().map(|(_, id)| id).collect();
        self.graph.nodes.push(Node { name: name_of(node), op: Op::Island(Box::new(island)), inputs, outputs });
        Ok(())
    }
}
