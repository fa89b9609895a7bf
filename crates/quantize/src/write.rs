//! The network with QuantizeLinear and DequantizeLinear where they belong (QDQ), as every runtime reads it.

use crate::calibrate::Quant;
use crate::layer::rounding::Rounded;
use crate::layer::{Kind, Layer};
use crate::network::{Network, int_attribute, node};
use crate::placement::Placement;
use crate::{array, tables};
use std::collections::{BTreeMap, HashMap};
use tract_onnx::pb::NodeProto;

/// All that was decided about a network.
pub struct Decisions<'a> {
    /// What runs in integers.
    pub placement: &'a Placement,
    /// The bytes of each tensor.
    pub quants: &'a HashMap<String, Quant>,
    /// Rounded weights of each layer, by the layer's place.
    pub weights: &'a BTreeMap<usize, Rounded>,
    /// Biases of each layer, by the layer's place; corrected ones.
    pub biases: &'a BTreeMap<usize, Vec<f32>>,
    /// Tables that are stored as bytes.
    pub tables: &'a [String],
}

/// Writes them into a copy of `network`.
pub fn quantized(network: &Network, decisions: &Decisions<'_>) -> Network {
    let mut written = network.clone();
    let mut writer = Writer { network: &mut written, decisions, operands: HashMap::new() };
    let nodes = writer.nodes();
    written.graph_mut().node = nodes;
    tables::store(&mut written, decisions.tables);
    // What was known of tensors in between does not hold for their new names.
    written.graph_mut().value_info.clear();
    written
}

struct Writer<'a, 'b> {
    network: &'a mut Network,
    decisions: &'a Decisions<'b>,
    /// Bytes of constants that computing nodes take.
    operands: HashMap<String, String>,
}

impl Writer<'_, '_> {
    fn nodes(&mut self) -> Vec<NodeProto> {
        let placement = self.decisions.placement;
        let old = self.network.nodes().to_vec();
        // Of a tensor that floats make, integer nodes take the bytes and all others the floats.
        let mut dequantized: HashMap<String, String> = HashMap::new();
        let inputs: Vec<String> = self.network.graph().input.iter().map(|input| input.name.clone()).collect();
        let mut nodes: Vec<NodeProto> = Vec::new();
        for input in &inputs {
            if !self.is_bytes(input) {
                continue;
            }
            let output = format!("{input}_dequantized");
            self.pair(input, input, &output, &mut nodes);
            dequantized.insert(input.clone(), output);
        }
        // A convolution whose clip is done by its range writes to the name behind the clip.
        let mut behind: HashMap<String, String> = HashMap::new();
        for &at in placement.clips.keys() {
            let clip = &old[at];
            if self.is_bytes(&clip.output[0]) {
                behind.insert(clip.input[0].clone(), clip.output[0].clone());
            }
        }
        for (at, node) in old.iter().enumerate() {
            if placement.clips.contains_key(&at) && self.is_bytes(&node.output[0]) {
                continue;
            }
            let mut node = node.clone();
            let is_integer = placement.integer.contains(&at);
            if is_integer {
                for name in &mut node.input {
                    if let Some(bytes) = dequantized.get(name) {
                        name.clone_from(bytes);
                    }
                }
            }
            if let Some(layer) = placement.layers.get(&at) {
                self.weights(layer, &mut node, &mut nodes);
            } else if is_integer && matches!(node.op_type.as_str(), "Add" | "Mul") {
                self.constant_operands(&mut node, &mut nodes);
            }
            let mut pairs = Vec::new();
            for name in &mut node.output {
                if let Some(after) = behind.get(name) {
                    name.clone_from(after);
                }
                if !self.is_bytes(name) {
                    continue;
                }
                if is_integer {
                    let made = format!("{name}_float");
                    pairs.push((made.clone(), name.clone(), name.clone()));
                    *name = made;
                } else {
                    let output = format!("{name}_dequantized");
                    dequantized.insert(name.clone(), output.clone());
                    pairs.push((name.clone(), name.clone(), output));
                }
            }
            nodes.push(node);
            for (from, tensor, to) in pairs {
                self.pair(&tensor, &from, &to, &mut nodes);
            }
        }
        nodes
    }

    fn is_bytes(&self, name: &str) -> bool {
        self.decisions.quants.contains_key(name)
    }

    /// `from` to bytes and back, under the name `to`.
    fn pair(&mut self, tensor: &str, from: &str, to: &str, nodes: &mut Vec<NodeProto>) {
        let Some(quant) = self.decisions.quants.get(tensor).copied() else { return };
        let (scale, zero) = (format!("{tensor}_scale"), format!("{tensor}_zero_point"));
        self.network.set_constant(array::of_floats(&scale, &[], &[quant.scale]));
        self.network.set_constant(array::of_u8(&zero, &[], &[quant.zero_point]));
        let bytes = format!("{tensor}_quantized");
        nodes.push(node("QuantizeLinear", &bytes, &[from, &scale, &zero], &[&bytes], Vec::new()));
        nodes.push(node(
            "DequantizeLinear",
            &format!("{tensor}_dequantize"),
            &[&bytes, &scale, &zero],
            &[to],
            Vec::new(),
        ));
    }

    /// The weights and the bias of a layer as integers.
    fn weights(&mut self, layer: &Layer, node: &mut NodeProto, nodes: &mut Vec<NodeProto>) {
        let Some(rounded) = self.decisions.weights.get(&layer.at).filter(|_| layer.kind != Kind::Product) else {
            return;
        };
        let base = layer.output.as_str();
        let shape = self.network.constant(&layer.weight).map(array::shape).unwrap_or_default();
        let [weight, scale, zero, output] =
            ["weight_quantized", "weight_scale", "weight_zero_point", "weight"].map(|part| format!("{base}_{part}"));
        let one = rounded.scales.iter().all(|scale| *scale == rounded.scales[0]);
        let (scales, places): (&[f32], Vec<usize>) =
            if one { (&rounded.scales[..1], Vec::new()) } else { (&rounded.scales, vec![layer.outputs]) };
        self.network.set_constant(array::of_i8(&weight, &shape, &layer.stored(&rounded.weights)));
        self.network.set_constant(array::of_floats(&scale, &places, scales));
        self.network.set_constant(array::of_i8(&zero, &places, &vec![0; scales.len()]));
        let axis = if one { Vec::new() } else { vec![int_attribute("axis", layer.axis())] };
        nodes.push(crate::network::node("DequantizeLinear", &output, &[&weight, &scale, &zero], &[&output], axis));
        node.input[1] = output;
        let Some(bias) = self.decisions.biases.get(&layer.at) else { return };
        let Some(input) = self.decisions.quants.get(&layer.input) else { return };
        let steps: Vec<f32> = rounded.scales.iter().map(|scale| input.scale * scale).collect();
        let levels: Vec<i32> = bias.iter().zip(&steps).map(|(bias, step)| bias_level(*bias, *step)).collect();
        let [name, scale, zero, output] =
            ["bias_quantized", "bias_scale", "bias_zero_point", "bias"].map(|part| format!("{base}_{part}"));
        let (places, steps): (Vec<usize>, &[f32]) =
            if one { (Vec::new(), &steps[..1]) } else { (vec![steps.len()], &steps) };
        self.network.set_constant(array::of_i32(&name, &[levels.len()], &levels));
        self.network.set_constant(array::of_floats(&scale, &places, steps));
        self.network.set_constant(array::of_i32(&zero, &places, &vec![0; steps.len()]));
        let axis = if one { Vec::new() } else { vec![int_attribute("axis", 0)] };
        nodes.push(crate::network::node("DequantizeLinear", &output, &[&name, &scale, &zero], &[&output], axis));
        if node.input.len() > 2 {
            node.input[2] = output;
        } else {
            node.input.push(output);
        }
    }

    /// Constants beside a tensor as bytes with a scale of their own.
    fn constant_operands(&mut self, node: &mut NodeProto, nodes: &mut Vec<NodeProto>) {
        for name in &mut node.input {
            let Some(values) = self.network.floats(name) else { continue };
            if let Some(known) = self.operands.get(name) {
                name.clone_from(known);
                continue;
            }
            let shape = self.network.constant(name).map(array::shape).unwrap_or_default();
            let low = values.iter().copied().fold(0f32, f32::min);
            let high = values.iter().copied().fold(0f32, f32::max);
            let quant = Quant::over(low, high);
            let bytes: Vec<u8> = values.iter().map(|&value| quant.byte(value)).collect();
            let [stored, scale, zero, output] =
                ["quantized", "scale", "zero_point", "dequantized"].map(|part| format!("{name}_{part}"));
            self.network.set_constant(array::of_u8(&stored, &shape, &bytes));
            self.network.set_constant(array::of_floats(&scale, &[], &[quant.scale]));
            self.network.set_constant(array::of_u8(&zero, &[], &[quant.zero_point]));
            nodes.push(crate::network::node(
                "DequantizeLinear",
                &output,
                &[&stored, &scale, &zero],
                &[&output],
                Vec::new(),
            ));
            self.operands.insert(name.clone(), output.clone());
            *name = output;
        }
    }
}

/// A bias in steps of the sums.
fn bias_level(bias: f32, step: f32) -> i32 {
    // `as` saturates.
    (f64::from(bias) / f64::from(step)).round_ties_even() as i32
}
