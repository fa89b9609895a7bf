//! What a file says of itself beside what it computes: who wrote it, what it notes, and which op makes which tensor.

use super::tract;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Constants of at most so many values are kept: means, factors and the like.
const MOST_VALUES: i64 = 16;

/// A model's outline.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outline {
    /// The program that wrote the file; empty where it does not say.
    pub producer: String,
    /// What the file notes, by name, in its order.
    pub metadata: Vec<(String, String)>,
    /// The outputs' names, in the model's order.
    pub outputs: Vec<String>,
    /// The nodes, in the file's order.
    pub nodes: Vec<OutlineNode>,
    /// Small constants of floats, by name.
    constants: Vec<(String, Vec<f32>)>,
}

/// A node by its names.
#[derive(Debug, Clone)]
pub struct OutlineNode {
    /// The operator.
    pub op: String,
    /// What it takes.
    pub inputs: Vec<String>,
    /// What it makes.
    pub outputs: Vec<String>,
}

impl Outline {
    pub(super) fn of(model: &ModelProto, graph: &GraphProto) -> Outline {
        let metadata = model.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone()));
        let of_nodes = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(constant_of);
        let initializers = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let constants = initializers.chain(of_nodes).filter_map(|(name, tensor)| Some((name.into(), floats(tensor)?)));
        let nodes = graph.node.iter().map(|node| OutlineNode {
            op: node.op_type.clone(),
            inputs: node.input.clone(),
            outputs: node.output.clone(),
        });
        Outline {
            producer: model.producer_name.clone(),
            metadata: metadata.collect(),
            outputs: graph.output.iter().map(|output| output.name.clone()).collect(),
            nodes: nodes.collect(),
            constants: constants.collect(),
        }
    }

    /// A note of the file.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The node that makes a tensor.
    pub fn maker(&self, tensor: &str) -> Option<&OutlineNode> {
        self.nodes.iter().find(|node| node.outputs.iter().any(|output| output == tensor))
    }

    /// The nodes that take a tensor.
    pub fn takers<'a>(&'a self, tensor: &'a str) -> impl Iterator<Item = &'a OutlineNode> {
        self.nodes.iter().filter(move |node| node.inputs.iter().any(|input| input == tensor))
    }

    /// The values of a constant of floats with 16 values at most.
    pub fn constant(&self, tensor: &str) -> Option<&[f32]> {
        self.constants.iter().find(|(name, _)| name == tensor).map(|(_, values)| values.as_slice())
    }
}

fn constant_of(node: &NodeProto) -> Option<(&str, &TensorProto)> {
    let tensor = node.attribute.iter().find(|attribute| attribute.name == "value")?.t.as_ref()?;
    Some((node.output.first()?, tensor))
}

fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    let count = tensor.dims.iter().try_fold(1i64, |product, &dim| product.checked_mul(dim))?;
    if !(1..=MOST_VALUES).contains(&count) {
        return None;
    }
    // Text, and other types that the engine does not know, are no numbers to read here.
    let array = tract::constant(tensor).ok()?;
    let array = array.cast_to::<f32>().ok()?;
    Some(array.to_plain_array_view::<f32>().ok()?.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use crate::Model;

    #[test]
    fn names_makers_and_small_constants_are_found() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/two_in_two_out.onnx");
        let outline = Model::load(&path).unwrap().outline();
        assert_eq!(outline.outputs, ["sum", "scaled"]);
        assert_eq!(outline.maker("scaled").unwrap().op, "MatMul");
        assert_eq!(outline.takers("a").map(|node| node.op.as_str()).collect::<Vec<_>>(), ["Add"]);
        assert_eq!(outline.constant("weight"), Some(&[1.0, 0.0, 2.0, 0.0, 0.0, 10.0][..]));
        assert!(outline.maker("a").is_none() && outline.constant("a").is_none() && outline.note("labels").is_none());
    }
}
