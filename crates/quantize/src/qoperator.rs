//! Nodes in integers as operators of their own (QLinearConv, QLinearMatMul), for runtimes that do not look at what stands around a node.
//!
//! A convolution or product between DequantizeLinear and QuantizeLinear is one operator with the same scales and zero points, so nothing
//! changes but the spelling. Where a Relu or Clip stands before the QuantizeLinear, it clips the operator's bytes between two such nodes: that
//! gives the same bytes, as rounding keeps the order of numbers. Nodes that only move elements take bytes as they are. What ONNX has no such
//! operator for keeps the other form.

use crate::function;
use crate::network::{Edges, Names, Network, node, remove};
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
    let mut names = Names::of(network);
    let mut gone = HashSet::new();
    let mut nodes = Vec::with_capacity(old.len());
    for (at, node) in old.iter().enumerate() {
        match operator(network, &edges, at, &mut names) {
            Some((operator, quantize)) => {
                gone.extend(quantize);
                nodes.extend(operator);
            }
            None if gone.contains(&at) => {}
            None => nodes.push(node.clone()),
        }
    }
    network.graph_mut().node = nodes;
    // DequantizeLinear that nobody takes any more.
    remove(network);
}

/// A node as an operator that takes and makes bytes, with a DequantizeLinear where a clip follows, and the place of the QuantizeLinear that it
/// replaces, if any.
fn operator(network: &Network, edges: &Edges, at: usize, names: &mut Names) -> Option<(Vec<NodeProto>, Option<usize>)> {
    let nodes = network.nodes();
    let old = &nodes[at];
    let [output] = old.output.as_slice() else { return None };
    let mut after = edges.only_taker(output)?;
    let weighted = matches!(old.op_type.as_str(), "Conv" | "MatMul");
    let clip = nodes.get(after).filter(|node| weighted && function::clip(network, node).is_some());
    if let Some(clip) = clip {
        after = edges.only_taker(clip.output.first()?)?;
    }
    let quantized = clip.map_or(output, |clip| &clip.output[0]);
    let quantize =
        nodes.get(after).filter(|node| node.op_type == "QuantizeLinear" && node.input.first() == Some(quantized))?;
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
            let made = |bytes: &str| node(op, &old.name, &inputs, &[bytes], old.attribute.clone());
            if clip.is_some() {
                let [bytes, name] = ["unclipped", "unclipped_dequantize"].map(|part| names.part(output, part));
                let floats = node("DequantizeLinear", &name, &[&bytes, to_scale, to_zero], &[output], Vec::new());
                return Some((vec![made(&bytes), floats], None));
            }
            made(&quantize.output[0])
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
    Some((vec![made], Some(after)))
}

fn is_wide(network: &Network, zero_point: &str) -> bool {
    network.constant(zero_point).is_some_and(|zero| zero.data_type == DataType::Uint16 as i32)
}
