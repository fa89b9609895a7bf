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

/// Runs the node alone. What cannot be run so is left to whoever runs the network.
fn computed(network: &Network, node: &NodeProto) -> Option<Vec<TensorProto>> {
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
