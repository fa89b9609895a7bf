//! Nodes in integers as operators of their own (QLinearConv, QLinearMatMul), for runtimes that do not look at what stands around a node.
//!
//! A convolution or product between DequantizeLinear and QuantizeLinear is one operator with the same scales and zero points, so nothing
//! changes but the spelling. Nodes that only move elements take bytes as they are. What ONNX has no such operator for keeps the other form.

use crate::network::{Edges, Network, node, remove};
use std::collections::HashSet;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

/// Nodes that move elements and take bytes (opset 13).
const MOVES: [&str; 10] = [
    "MaxPool",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Slice",
    "DepthToSpace",
    "SpaceToDepth",
    "Expand",
];

/// Writes each node that can be as such an operator.
pub fn spell(network: &mut Network) {
    let edges = network.edges();
    let old = network.nodes();
    let mut gone = HashSet::new();
    let mut nodes = Vec::with_capacity(old.len());
    for (at, node) in old.iter().enumerate() {
        match operator(network, &edges, at) {
            Some((operator, quantize)) => {
                gone.insert(quantize);
                nodes.push(operator);
            }
            None if gone.contains(&at) => {}
            None => nodes.push(node.clone()),
        }
    }
    network.graph_mut().node = nodes;
    // DequantizeLinear that nobody takes any more.
    remove(network);
}

/// A node as an operator that takes and makes bytes, and the place of the QuantizeLinear that it replaces.
fn operator(network: &Network, edges: &Edges, at: usize) -> Option<(NodeProto, usize)> {
    let nodes = network.nodes();
    let old = &nodes[at];
    let [output] = old.output.as_slice() else { return None };
    let after = edges.only_taker(output)?;
    let quantize =
        nodes.get(after).filter(|node| node.op_type == "QuantizeLinear" && node.input.first() == Some(output))?;
    let [_, to_scale, to_zero] = quantize.input.as_slice() else { return None };
    // No such operator takes or makes 16 bits.
    if is_wide(network, to_zero) {
        return None;
    }
    // Bytes, scale and zero point of an input.
    let bytes = |place: usize| {
        let made = nodes.get(*edges.producer.get(old.input.get(place)?)?)?;
        match made.input.as_slice() {
            [bytes, scale, zero] if made.op_type == "DequantizeLinear" && !is_wide(network, zero) => {
                Some([bytes.as_str(), scale, zero])
            }
            _ => None,
        }
    };
    let same =
        |a: &str, b: &str| network.constant(a).zip(network.constant(b)).is_some_and(|(a, b)| a.raw_data == b.raw_data);
    let made = match old.op_type.as_str() {
        "Conv" | "MatMul" => {
            let is_convolution = old.op_type == "Conv";
            let mut inputs = [bytes(0)?, bytes(1)?].concat();
            inputs.extend([to_scale.as_str(), to_zero]);
            if is_convolution && old.input.get(2).is_some_and(|bias| !bias.is_empty()) {
                inputs.push(bytes(2)?[0]);
            }
            let op = if is_convolution { "QLinearConv" } else { "QLinearMatMul" };
            node(op, &old.name, &inputs, &[&quantize.output[0]], old.attribute.clone())
        }
        op if MOVES.contains(&op) => {
            let [from, scale, zero] = bytes(0)?;
            if !(same(scale, to_scale) && same(zero, to_zero)) {
                return None;
            }
            let mut made = old.clone();
            made.input[0] = from.into();
            made.output[0].clone_from(&quantize.output[0]);
            made
        }
        _ => return None,
    };
    Some((made, after))
}

fn is_wide(network: &Network, zero_point: &str) -> bool {
    network.constant(zero_point).is_some_and(|zero| zero.data_type == DataType::Uint16 as i32)
}
