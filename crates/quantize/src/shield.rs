//! Layers that stay in floats between integers, kept from ONNX Runtime.
//!
//! Where the input of a convolution or Gemm is dequantized and its output quantized (behind a Relu or Clip at most), ONNX Runtime rounds
//! its weights to i8 by one scale for all channels (`WeightBiasQuantization`, level 1, from 1.21 on), whatever the file says. A layer was
//! kept in floats because its weights or what it makes are sensitive, so that is the last thing to do. It leaves layers alone whose bias
//! is no initializer: theirs is written as i32 with a step that is a power of two, which costs nothing that `f32` could show.

use crate::array;
use crate::network::{Attributes, Edges, Network, node};
use tract_onnx::pb::NodeProto;

/// Writes the biases of such layers as i32.
pub fn shield(network: &mut Network) {
    let edges = network.edges();
    let exposed: Vec<usize> = (0..network.nodes().len()).filter(|&at| is_exposed(network, &edges, at)).collect();
    let mut nodes = network.nodes().to_vec();
    for &at in exposed.iter().rev() {
        let name = nodes[at].output[0].clone();
        let Some(bias) = bias(network, &nodes[at]).filter(|bias| bias.iter().all(|value| value.is_finite())) else {
            continue;
        };
        let largest = bias.iter().fold(0f32, |most, value| most.max(value.abs()));
        // The largest takes 30 bits.
        let step = if largest > 0.0 { libm::ldexpf(1.0, (libm::ilogbf(largest) - 29).clamp(-126, 127)) } else { 1.0 };
        let levels: Vec<i32> = bias.iter().map(|value| (value / step).round_ties_even() as i32).collect();
        let [stored, scale, output] =
            ["bias_quantized", "bias_scale", "bias"].map(|part| network.fresh(&format!("{name}_{part}")));
        network.set_constant(array::of_i32(&stored, &[levels.len()], &levels));
        network.set_constant(array::of_floats(&scale, &[], &[step]));
        let layer = &mut nodes[at];
        layer.input.resize(3, String::new());
        layer.input[2].clone_from(&output);
        nodes.insert(at, node("DequantizeLinear", &output, &[&stored, &scale], &[&output], Vec::new()));
    }
    network.graph_mut().node = nodes;
}

/// Whether ONNX Runtime would round the weights of a node.
fn is_exposed(network: &Network, edges: &Edges, at: usize) -> bool {
    let nodes = network.nodes();
    let made_by = |name: &String, op: &str| edges.producer.get(name).is_some_and(|&maker| nodes[maker].op_type == op);
    let layer = &nodes[at];
    let [input, weight, ..] = layer.input.as_slice() else { return false };
    if !matches!(layer.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm")
        || !made_by(input, "DequantizeLinear")
        || network.constant(weight).is_none_or(|weight| !array::is_float(weight))
    {
        return false;
    }
    let mut output = &layer.output[0];
    while let Some(taker) = edges.only_taker(output).map(|taker| &nodes[taker]) {
        match taker.op_type.as_str() {
            "QuantizeLinear" => return true,
            "Relu" | "Clip" => output = &taker.output[0],
            _ => return false,
        }
    }
    false
}

/// The bias of a node, or zeros where it has none; `None` where it has one that ONNX Runtime does not look at either.
fn bias(network: &Network, layer: &NodeProto) -> Option<Vec<f32>> {
    if let Some(name) = layer.input.get(2).filter(|name| !name.is_empty()) {
        return network.constant(name).filter(|bias| bias.dims.len() == 1).and_then(|bias| array::floats(bias).ok());
    }
    let shape = array::shape(network.constant(&layer.input[1])?);
    let outputs = match layer.op_type.as_str() {
        "Conv" => *shape.first()?,
        "Gemm" if layer.int("transB", 0) != 0 => *shape.first()?,
        "Gemm" => *shape.get(1)?,
        _ => shape.get(1)?.checked_mul(usize::try_from(layer.int("group", 1)).ok()?)?,
    };
    Some(vec![0.0; outputs])
}
