//! Dynamic quantization: weights as bytes, the range of what they meet found at each run. It needs no samples.
//!
//! `x W` becomes DynamicQuantizeLinear, MatMulInteger, Cast and Mul by `scale of x · scale of each output`; a convolution the same by
//! ConvInteger. A table from which rows are gathered (an embedding) has a scale for each row, and what is gathered is multiplied by it.
//! What multiplies two tensors of the network stays in floats, as do all other operators.

use crate::check::{refuse_quantized, refuse_strange_weights, unknown};
use crate::layer::rounding;
use crate::layer::{Kind, Layer};
use crate::network::{Network, int_attribute, name_of, node};
use crate::simplify::{Simplified, simplify};
use crate::{QuantizeError, array, tables, types};
use std::collections::{BTreeMap, HashMap, HashSet};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto};

/// A network whose weights are bytes.
#[derive(Debug)]
#[non_exhaustive]
pub struct DynamicallyQuantized {
    /// The ONNX file.
    pub bytes: Vec<u8>,
    /// What was done.
    pub report: DynamicReport,
}

/// What was done.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct DynamicReport {
    /// What the network lost before.
    pub simplified: Simplified,
    /// The nodes with weights that run in integers, in the network's order.
    pub layers: Vec<String>,
    /// The tables that are stored as bytes, by the name of the constant.
    pub tables: Vec<String>,
    /// The nodes with weights that stay in floats, and why.
    pub left: Vec<(String, String)>,
    /// What was to be kept in floats and is no node's name, output or operator.
    pub unknown_keep: Vec<String>,
}

/// Quantizes the weights of an ONNX file. Nodes that `keep` names, by name, output or operator, stay in floats.
///
/// # Errors
/// [`QuantizeError::Model`] where there is nothing to quantize, the network is quantized already, or holds NaN.
pub fn quantize_dynamic(bytes: &[u8], keep: &HashSet<String>) -> Result<DynamicallyQuantized, QuantizeError> {
    let mut network = Network::parse(bytes)?;
    refuse_quantized(&network)?;
    let simplified = simplify(&mut network, None, 1)?;
    let unknown_keep = unknown(&network, keep);
    let mut left = Vec::new();
    let layers = layers(&network, keep, &mut left);
    let tables = tables::find(&network, keep);
    if layers.is_empty() && tables.is_empty() {
        let why = left.first().map_or(String::new(), |(name, reason)| format!(" (\"{name}\": {reason})"));
        return Err(QuantizeError::Model(format!(
            "no convolution, matrix product or table in it has constant weights{why}"
        )));
    }
    refuse_strange_weights(&network, layers.values())?;
    for table in &tables {
        if !network.floats(table).unwrap_or_default().iter().all(|value| value.is_finite()) {
            return Err(QuantizeError::Model(format!("the table \"{table}\" holds NaN or infinity")));
        }
    }
    let names = layers.values().map(|layer| layer.name.clone()).collect();
    let mut writer = Writer { network: &mut network, inputs: HashMap::new() };
    let nodes = writer.nodes(&layers)?;
    network.graph_mut().node = nodes;
    tables::store(&mut network, &tables);
    let report = DynamicReport { simplified, layers: names, tables, left, unknown_keep };
    Ok(DynamicallyQuantized { bytes: network.encode(), report })
}

fn layers(network: &Network, keep: &HashSet<String>, left: &mut Vec<(String, String)>) -> BTreeMap<usize, Layer> {
    let types = types::of(network);
    let mut layers = BTreeMap::new();
    for (at, node) in network.nodes().iter().enumerate() {
        let reason = match node.op_type.as_str() {
            "LSTM" | "GRU" | "RNN" => "a recurrent layer has no integer form in ONNX's own operators".to_string(),
            "Conv" | "ConvTranspose" | "Gemm" | "MatMul" if crate::check::is_kept(node, keep) => {
                "kept by request".to_string()
            }
            "Conv" | "ConvTranspose" | "Gemm" | "MatMul" if !types.is_float(&node.input[0]) => {
                "its input is of a type that is not known to be float".to_string()
            }
            "Conv" | "ConvTranspose" | "Gemm" | "MatMul" => match Layer::new(network, at) {
                Ok(Layer { kind: Kind::ConvTranspose(_), .. }) => {
                    "ONNX has no dynamic form of a transposed convolution".into()
                }
                Ok(Layer { kind: Kind::Product, .. }) => "both its operands come from the network".into(),
                Ok(layer) => {
                    layers.insert(at, layer);
                    continue;
                }
                Err(reason) => reason,
            },
            _ => continue,
        };
        left.push((name_of(node).to_string(), reason));
    }
    layers
}

struct Writer<'a> {
    network: &'a mut Network,
    /// Bytes, scale and zero point of tensors that are quantized already.
    inputs: HashMap<String, [String; 3]>,
}

impl Writer<'_> {
    fn nodes(&mut self, layers: &BTreeMap<usize, Layer>) -> Result<Vec<NodeProto>, QuantizeError> {
        let old = self.network.nodes().to_vec();
        let mut nodes = Vec::with_capacity(old.len());
        for (at, node) in old.into_iter().enumerate() {
            if let Some(layer) = layers.get(&at) {
                self.layer(layer, &node, &mut nodes)?;
            } else {
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    /// The bytes of a tensor with its range of this run; one node for all that take it.
    fn input(&mut self, name: &str, nodes: &mut Vec<NodeProto>) -> [String; 3] {
        if let Some(known) = self.inputs.get(name) {
            return known.clone();
        }
        let names = ["quantized", "scale", "zero_point"].map(|part| self.network.fresh(&format!("{name}_{part}")));
        let [bytes, scale, zero] = &names;
        nodes.push(node("DynamicQuantizeLinear", bytes, &[name], &[bytes, scale, zero], Vec::new()));
        self.inputs.insert(name.into(), names.clone());
        names
    }

    fn layer(&mut self, layer: &Layer, old: &NodeProto, nodes: &mut Vec<NodeProto>) -> Result<(), QuantizeError> {
        let [x, x_scale, x_zero] = self.input(&layer.input, nodes);
        let base = layer.output.as_str();
        let values = layer.weights(self.network)?;
        let rounded = rounding::nearest(&values, &rounding::steps(&values, layer.outputs, true));
        let [weight, scale, sums, floats, factor, product] =
            ["weight_quantized", "weight_scale", "sums", "sums_float", "factor", "product"]
                .map(|part| self.network.fresh(&format!("{base}_{part}")));
        let is_convolution = matches!(layer.kind, Kind::Conv(_));
        // Of a product, input × output, whatever Gemm had; of a convolution as it was, outputs first.
        let stored_shape = self.network.constant(&layer.weight).map(array::shape).unwrap_or_default();
        let (shape, stored) = if is_convolution {
            (stored_shape.clone(), layer.stored(&rounded.weights))
        } else {
            let turned = (0..layer.depth).flat_map(|k| (0..layer.outputs).map(move |o| o * layer.depth + k));
            (vec![layer.depth, layer.outputs], turned.map(|at| rounded.weights[at]).collect())
        };
        self.network.set_constant(array::of_i8(&weight, &shape, &stored));
        // Along the last dimension, or along the channels before those in space.
        let along: Vec<usize> = if is_convolution {
            [layer.outputs].into_iter().chain(stored_shape.iter().skip(2).map(|_| 1)).collect()
        } else {
            vec![layer.outputs]
        };
        self.network.set_constant(array::of_floats(&scale, &along, &rounded.scales));
        let (op, attributes) =
            if is_convolution { ("ConvInteger", old.attribute.clone()) } else { ("MatMulInteger", Vec::new()) };
        nodes.push(node(op, name_of(old), &[&x, &weight, &x_zero], &[&sums], attributes));
        nodes.push(node("Cast", &floats, &[&sums], &[&floats], vec![to_float()]));
        nodes.push(node("Mul", &factor, &[&x_scale, &scale], &[&factor], Vec::new()));
        let Some(bias) = &layer.bias else {
            nodes.push(node("Mul", &product, &[&floats, &factor], &[base], Vec::new()));
            return Ok(());
        };
        nodes.push(node("Mul", &product, &[&floats, &factor], &[&product], Vec::new()));
        let values = self.network.floats(bias).unwrap_or_default();
        let shaped = self.network.fresh(&format!("{base}_bias"));
        self.network.set_constant(array::of_floats(&shaped, &along, &values));
        nodes.push(node("Add", &shaped, &[&product, &shaped], &[base], Vec::new()));
        Ok(())
    }
}

fn to_float() -> AttributeProto {
    int_attribute("to", DataType::Float as i64)
}
