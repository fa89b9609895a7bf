//! How many layers of a network take bytes, 16 bits or floats.

use crate::network::{Edges, Network};
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

/// Convolutions and products of a network, by what they are computed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LayerCounts {
    /// Activations and weights of 8 bits.
    pub a8w8: usize,
    /// Weights of 8 bits, and 16 for what the layer takes or makes.
    pub a16w8: usize,
    /// All others.
    pub floats: usize,
}

/// Counts them.
pub fn census(network: &Network) -> LayerCounts {
    let edges = network.edges();
    let mut counts = LayerCounts::default();
    for node in network.nodes() {
        match node.op_type.as_str() {
            "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" => counts.a8w8 += 1,
            "Conv" | "ConvTranspose" | "Gemm" | "MatMul" => {
                let bits = |place: usize| node.input.get(place).and_then(|name| dequantized(network, &edges, name));
                match (bits(0), bits(1), quantized(network, &edges, node)) {
                    (Some(false), Some(false), None | Some(false)) => counts.a8w8 += 1,
                    (taken, Some(_), made) if taken == Some(true) || made == Some(true) => counts.a16w8 += 1,
                    _ => counts.floats += 1,
                }
            }
            _ => {}
        }
    }
    counts
}

/// Whether a tensor is dequantized from 16 bits; `None` where it is not dequantized.
fn dequantized(network: &Network, edges: &Edges, tensor: &str) -> Option<bool> {
    let maker = &network.nodes()[*edges.producer.get(tensor)?];
    (maker.op_type == "DequantizeLinear").then(|| is_wide(network, maker))
}

/// Whether a layer's output is quantized to 16 bits, behind a clip or not; `None` where it is not quantized.
fn quantized(network: &Network, edges: &Edges, layer: &NodeProto) -> Option<bool> {
    let mut output = layer.output.first()?;
    for _ in 0..network.nodes().len() {
        let taker = &network.nodes()[edges.only_taker(output)?];
        match taker.op_type.as_str() {
            "QuantizeLinear" => return Some(is_wide(network, taker)),
            "Relu" | "Clip" => output = taker.output.first()?,
            _ => return None,
        }
    }
    None
}

/// Whether a QuantizeLinear or DequantizeLinear is of 16 bits, by its zero point.
fn is_wide(network: &Network, node: &NodeProto) -> bool {
    let zero_point = node.input.get(2).and_then(|name| network.constant(name));
    zero_point.is_some_and(|zero| [DataType::Uint16 as i32, DataType::Int16 as i32].contains(&zero.data_type))
}
