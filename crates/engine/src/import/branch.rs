//! `If` whose condition is known at load: the nodes of the branch that is taken are imported in its place.

use super::onnx::Attributes;
use super::{Binding, Handled, Imported, Importer, describe, in_order};
use crate::tract::constant;
use std::collections::HashMap;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

impl<'a> Importer<'a> {
    pub(super) fn branch(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let Some(condition) = self.known(node, 0)? else {
            return Err("which branch is taken depends on the values of an input, and plans are fixed".into());
        };
        let taken = super::onnx::raw_bytes(&condition)?.first().is_some_and(|&byte| byte != 0);
        let name = if taken { "then_branch" } else { "else_branch" };
        let branch = node.attribute(name).and_then(|attribute| attribute.g.as_ref());
        let branch = branch.ok_or_else(|| format!("its {name} is missing"))?;
        // A constant of the branch hides what has its name outside.
        let mut hidden = HashMap::new();
        for tensor in &branch.initializer {
            let read = constant(tensor).map_err(|problem| format!("initializer \"{}\": {problem}", tensor.name))?;
            let name = tensor.name.as_str();
            self.note_bits(name, tensor);
            let outside = (self.held.remove(name), self.large.remove(name));
            hidden.entry(name).or_insert(outside);
            self.held.insert(name, Binding::Constant(Arc::new(read)));
        }
        let known = self.held.keys().chain(self.large.keys()).copied().collect();
        for inner in in_order(&branch.node, known)? {
            self.checked_node(inner).map_err(|refused| refused.within(&describe(inner)))?;
        }
        let given: Imported<Vec<Binding>> = branch.output.iter().map(|output| self.get(&output.name)).collect();
        let given = given?;
        // Its names end with it: another branch may have the same.
        for name in branch.node.iter().flat_map(|inner| &inner.output) {
            self.held.remove(name.as_str());
        }
        for (name, (held, large)) in hidden {
            self.held.remove(name);
            self.held.extend(held.map(|held| (name, held)));
            self.large.extend(large.map(|large| (name, large)));
        }
        for (index, held) in given.into_iter().enumerate() {
            self.give(node, index, held);
        }
        Ok(Handled::Yes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, floats, graph, input, model, node, refused, with_graph};
    use crate::{Model, Session};
    use std::sync::Arc;
    use tract_onnx::pb::tensor_proto::DataType;
    use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

    const SHAPE: [i64; 2] = [1, 2];

    /// `If` of one branch, which gives its last node's output.
    fn choice(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>, output: &str) -> NodeProto {
        let given = vec![input(&nodes.last().unwrap().output[0], DataType::Float, &SHAPE)];
        let branch = GraphProto { node: nodes, initializer, output: given, ..Default::default() };
        with_graph(node("If", &["truth"], output), "then_branch", branch)
    }

    /// Nodes from `x` to `y`; `k` is 10 outside.
    fn network(nodes: Vec<NodeProto>) -> ModelProto {
        let mut model = model();
        *graph(&mut model) = GraphProto {
            node: nodes,
            initializer: vec![bytes("truth", &[], DataType::Bool, &[1]), floats("k", &[], &[10.0])],
            input: vec![input("x", DataType::Float, &SHAPE)],
            output: vec![input("y", DataType::Float, &SHAPE)],
            ..Default::default()
        };
        model
    }

    fn output(model: ModelProto) -> Vec<f32> {
        let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap();
        session.input_mut::<f32>(0).unwrap().copy_from_slice(&[1.0, 2.0]);
        session.run().unwrap();
        session.output::<f32>(0).unwrap().to_vec()
    }

    #[test]
    fn names_of_a_branch_end_with_it() {
        let doubled = |from: &str| vec![node("Add", &[from, from], "inner"), node("Neg", &["inner"], "given")];
        let nodes = vec![
            choice(doubled("x"), Vec::new(), "a"),
            choice(doubled("a"), Vec::new(), "b"),
            // The constant of its own hides the one outside, which is as it was after it.
            choice(vec![node("Mul", &["b", "k"], "inner")], vec![floats("k", &[], &[3.0])], "c"),
            node("Add", &["c", "k"], "y"),
        ];
        assert_eq!(output(network(nodes)), [22.0, 34.0]);
    }

    #[test]
    fn a_branch_makes_no_tensor_of_a_name_outside_and_leaves_none_behind() {
        let twice = vec![choice(vec![node("Neg", &["x"], "k")], Vec::new(), "y")];
        refused(network(twice), &["\"k\" is the name of another tensor, too"]);
        let behind =
            vec![choice(vec![node("Neg", &["x"], "inner")], Vec::new(), "a"), node("Add", &["a", "inner"], "y")];
        refused(network(behind), &["\"inner\" comes from nowhere"]);
    }
}
