//! Nodes that depend on constants alone become constants.

use crate::array;
use crate::network::{Attributes, Network, node_inputs};
use lineside_engine::{Model, Session, Tensor};
use prost::Message;
use std::collections::HashSet;
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, type_proto};

/// Computes what can be computed; returns how many nodes are gone.
pub fn fold(network: &mut Network) -> usize {
    let nodes = std::mem::take(&mut network.graph_mut().node);
    let before = nodes.len();
    let outputs: HashSet<String> = network.graph().output.iter().map(|output| output.name.clone()).collect();
    let mut kept = Vec::with_capacity(before);
    for node in nodes {
        let is_output = node.output.iter().any(|name| outputs.contains(name));
        let folded = if is_output { None } else { folded(network, &node) };
        match folded {
            Some(constants) => constants.into_iter().for_each(|constant| network.set_constant(constant)),
            None => kept.push(node),
        }
    }
    let gone = before - kept.len();
    network.graph_mut().node = kept;
    gone
}

/// The constants that a node makes; `None` where it is to be computed each time.
fn folded(network: &Network, node: &NodeProto) -> Option<Vec<TensorProto>> {
    if node.op_type == "Constant" {
        return constant_node(node).map(|constant| vec![constant]);
    }
    let taken: Vec<&str> = node_inputs(node).collect();
    // Random ops have no inputs; subgraphs may take anything; an integer form of weights is there to save memory.
    let left_alone =
        matches!(node.op_type.as_str(), "DequantizeLinear" | "QuantizeLinear" | "DynamicQuantizeLinear" | "Dropout");
    let subgraphs = node.attribute.iter().any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty());
    if taken.is_empty() || left_alone || subgraphs || !taken.iter().all(|name| network.is_fixed(name)) {
        return None;
    }
    if node.op_type == "Cast" {
        return cast(network, node).map(|constant| vec![constant]);
    }
    computed(network, node)
}

/// A Cast between numbers; whoever runs it alone takes i64 for the symbols of shapes.
fn cast(network: &Network, node: &NodeProto) -> Option<TensorProto> {
    let (from, name) = (network.constant(node.input.first()?)?, node.output.first()?);
    let (shape, to) = (array::shape(from), DataType::try_from(i32::try_from(node.int("to", 0)).ok()?).ok()?);
    if array::is_float(from) {
        let values = array::floats(from).ok()?;
        return match to {
            DataType::Float => Some(array::of_floats(name, &shape, &values)),
            DataType::Int64 => {
                Some(array::of_integers(name, &shape, &values.iter().map(|&value| value as i64).collect::<Vec<_>>()))
            }
            _ => None,
        };
    }
    let values = array::integers(from).ok()?;
    match to {
        DataType::Int64 => Some(array::of_integers(name, &shape, &values)),
        DataType::Int32 => {
            let values: Option<Vec<i32>> = values.iter().map(|&value| i32::try_from(value).ok()).collect();
            Some(array::of_i32(name, &shape, &values?))
        }
        DataType::Float => {
            Some(array::of_floats(name, &shape, &values.iter().map(|&value| value as f32).collect::<Vec<_>>()))
        }
        _ => None,
    }
}

fn constant_node(node: &NodeProto) -> Option<TensorProto> {
    let name = node.output.first()?;
    let [attribute] = node.attribute.as_slice() else { return None };
    Some(match attribute.name.as_str() {
        "value" => TensorProto { name: name.clone(), ..attribute.t.clone()? },
        "value_float" => array::of_floats(name, &[], &[attribute.f]),
        "value_floats" => array::of_floats(name, &[attribute.floats.len()], &attribute.floats),
        "value_int" => array::of_integers(name, &[], &[attribute.i]),
        "value_ints" => array::of_integers(name, &[attribute.ints.len()], &attribute.ints),
        _ => return None,
    })
}

/// Whether a node takes or states numbers in half or double precision: here they would become `f32`, and what it gives another type than
/// what it meets.
fn is_of_other_precision(network: &Network, node: &NodeProto) -> bool {
    let is_other =
        |kind: i32| [DataType::Float16, DataType::Bfloat16, DataType::Double].iter().any(|&other| other as i32 == kind);
    let taken = node_inputs(node).filter_map(|name| network.constant(name)).map(|constant| constant.data_type);
    let stated = node.attribute.iter().filter_map(|attribute| attribute.t.as_ref()).map(|tensor| tensor.data_type);
    let named = ["dtype", "to"].map(|name| node.int(name, 0)).into_iter().filter_map(|kind| i32::try_from(kind).ok());
    taken.chain(stated).chain(named).any(is_other)
}

/// Runs the node alone. What cannot be run so is left to whoever runs the network.
fn computed(network: &Network, node: &NodeProto) -> Option<Vec<TensorProto>> {
    if is_of_other_precision(network, node) {
        return None;
    }
    let mut model = ModelProto { graph: None, ..network.shell() };
    let output = |name: &String| ValueInfoProto {
        name: name.clone(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor::default())),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    };
    model.graph = Some(GraphProto {
        name: "constant".into(),
        node: vec![node.clone()],
        initializer: node_inputs(node).filter_map(|name| network.constant(name)).cloned().collect(),
        output: node.output.iter().filter(|name| !name.is_empty()).map(output).collect(),
        ..GraphProto::default()
    });
    let plan = Model::parse(&model.encode_to_vec()).ok()?.plan(&[]).ok()?;
    let mut session = Session::new(Arc::new(plan)).ok()?;
    session.run().ok()?;
    let names = node.output.iter().filter(|name| !name.is_empty());
    names.zip(session.outputs()).map(|(name, tensor)| stored(name, tensor)).collect()
}

fn stored(name: &str, tensor: &Tensor) -> Option<TensorProto> {
    let shape = tensor.shape();
    if let Some(values) = tensor.values::<f32>() {
        return Some(array::of_floats(name, shape, values));
    }
    if let Some(values) = tensor.values::<i64>() {
        return Some(array::of_integers(name, shape, values));
    }
    tensor.values::<i32>().map(|values| array::of_i32(name, shape, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{int_attribute, node};
    use tract_onnx::pb::OperatorSetIdProto;

    /// What is left of `nodes` over constants of that type, which all lead to the output.
    fn left(nodes: Vec<NodeProto>, kind: DataType) -> Vec<String> {
        let width = if kind == DataType::Double { 8 } else { 2 };
        let half = |name: &str| TensorProto {
            name: name.into(),
            dims: vec![2],
            data_type: kind as i32,
            raw_data: vec![0; 2 * width],
            ..Default::default()
        };
        let graph = GraphProto {
            node: nodes,
            initializer: vec![
                half("a"),
                half("b"),
                array::of_floats("f", &[2], &[1.0, 2.0]),
                array::of_integers("shape", &[1], &[2]),
            ],
            input: vec![ValueInfoProto { name: "x".into(), ..Default::default() }],
            output: vec![ValueInfoProto { name: "y".into(), ..Default::default() }],
            ..Default::default()
        };
        let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
        let model = ModelProto { graph: Some(graph), opset_import, ..Default::default() };
        let mut network = Network::parse(&model.encode_to_vec()).unwrap();
        fold(&mut network);
        network.nodes().iter().map(|node| node.op_type.clone()).collect()
    }

    #[test]
    fn constants_of_half_and_double_precision_keep_their_type() {
        let last = |with: &str| node("Mul", "last", &["x", with], &["y"], Vec::new());
        let sum = |a: &str, b: &str| node("Add", "sum", &[a, b], &["s"], Vec::new());
        for kind in [DataType::Float16, DataType::Bfloat16, DataType::Double] {
            assert_eq!(left(vec![sum("a", "b"), last("s")], kind), ["Add", "Mul"], "{kind:?}");
            let like = node("CastLike", "like", &["f", "a"], &["s"], Vec::new());
            assert_eq!(left(vec![like, last("s")], kind), ["CastLike", "Mul"], "{kind:?}");
            let to = vec![int_attribute("to", kind as i64)];
            assert_eq!(
                left(vec![node("Cast", "to", &["f"], &["s"], to), last("s")], kind),
                ["Cast", "Mul"],
                "{kind:?}"
            );
            assert_eq!(left(vec![sum("f", "f"), last("s")], kind), ["Mul"], "{kind:?}");
        }
    }
}
