//! What is refused before anything is quantized.

use crate::QuantizeError;
use crate::layer::{Kind, Layer};
use crate::network::{Network, name_of};
use std::collections::HashSet;
use tract_onnx::pb::NodeProto;

/// Those of the names that nothing in the network has.
pub fn unknown(network: &Network, keep: &HashSet<String>) -> Vec<String> {
    let has = |name: &&String| {
        let is = |node: &NodeProto| node.name == **name || node.op_type == **name || node.output.contains(name);
        network.nodes().iter().any(is)
    };
    let mut unknown: Vec<String> = keep.iter().filter(|name| !has(name)).cloned().collect();
    unknown.sort();
    unknown
}

/// Refuses a network that has integer operators.
///
/// # Errors
/// [`QuantizeError::Model`], which names the first of them.
pub fn refuse_quantized(network: &Network) -> Result<(), QuantizeError> {
    let integer = |op: &str| {
        op.starts_with("QLinear")
            || matches!(
                op,
                "QuantizeLinear"
                    | "DequantizeLinear"
                    | "DynamicQuantizeLinear"
                    | "MatMulInteger"
                    | "ConvInteger"
                    | "QGemm"
            )
    };
    match network.nodes().iter().find(|node| integer(&node.op_type)) {
        Some(node) => Err(QuantizeError::Model(format!(
            "it is quantized already (node \"{}\", {}): give the float model that it was made from",
            name_of(node),
            node.op_type
        ))),
        None => Ok(()),
    }
}

/// Refuses layers whose weights or biases hold NaN or infinity.
///
/// # Errors
/// [`QuantizeError::Model`], which names the first of them.
pub fn refuse_strange_weights<'a>(
    network: &Network,
    layers: impl Iterator<Item = &'a Layer>,
) -> Result<(), QuantizeError> {
    for layer in layers.filter(|layer| layer.kind != Kind::Product) {
        let bias = layer.bias.as_ref().and_then(|name| network.floats(name)).unwrap_or_default();
        if !layer.weights(network)?.iter().chain(&bias).all(|value| value.is_finite()) {
            return Err(QuantizeError::Model(format!("the weights of node \"{}\" hold NaN or infinity", layer.name)));
        }
    }
    Ok(())
}

/// Whether a node is to stay in floats: by its name, its operator or what it makes.
pub fn is_kept(node: &NodeProto, keep: &HashSet<String>) -> bool {
    keep.contains(name_of(node)) || keep.contains(&node.op_type) || node.output.iter().any(|name| keep.contains(name))
}
