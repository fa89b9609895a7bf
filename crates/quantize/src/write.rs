//! The network with QuantizeLinear and DequantizeLinear where they belong (QDQ), as every runtime reads it.

use crate::calibrate::Quant;
use crate::decisions::Decisions;
use crate::layer::rounding::Rounded;
use crate::layer::{Kind, Layer};
use crate::network::{Names, Network, int_attribute, node};
use crate::shield::shield;
use crate::{array, tables};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::NodeProto;

/// Writes them into a copy of `network`.
pub fn quantized(network: &Network, decisions: &Decisions<'_>) -> Network {
    let mut written = network.clone();
    let standard = network.opset() >= SIXTEEN_BITS;
    let domain = if standard { "" } else { EXTENSIONS };
    if decisions.wide.is_some_and(|wide| !wide.wide.layers.is_empty()) && !standard {
        written.import(EXTENSIONS, 1);
    }
    let names = Names::of(network);
    let mut writer =
        Writer { network: &mut written, decisions, domain, names, operands: HashMap::new(), addends: HashMap::new() };
    let nodes = writer.nodes();
    written.graph_mut().node = nodes;
    shield(&mut written);
    tables::store(&mut written, decisions.tables);
    // What was known of tensors in between does not hold for their new names.
    written.graph_mut().value_info.clear();
    written
}

/// The first opset whose QuantizeLinear makes 16 bits.
const SIXTEEN_BITS: i64 = 21;
/// Where ONNX Runtime has it for older ones.
const EXTENSIONS: &str = "com.microsoft";

struct Writer<'a, 'b> {
    network: &'a mut Network,
    decisions: &'a Decisions<'b>,
    /// Of what quantizes to 16 bits.
    domain: &'static str,
    names: Names,
    /// Bytes of constants that computing nodes take.
    operands: HashMap<String, String>,
    /// By what an addition behind a product makes: its constant in steps of the sums.
    addends: HashMap<String, (String, String)>,
}

impl Writer<'_, '_> {
    fn nodes(&mut self) -> Vec<NodeProto> {
        let placement = self.decisions.placement;
        let old = self.network.nodes().to_vec();
        // Of a tensor that floats make, integer nodes take the bytes and all others the floats.
        let mut dequantized: HashMap<String, String> = HashMap::new();
        // And layers in A16W8 take 16 bits.
        let mut widened: HashMap<String, String> = HashMap::new();
        let inputs: Vec<String> = self.network.graph().input.iter().map(|input| input.name.clone()).collect();
        let mut nodes: Vec<NodeProto> = Vec::new();
        for input in &inputs {
            if !self.is_bytes(input) {
                continue;
            }
            self.float_made(input, &mut dequantized, &mut widened, &mut nodes);
        }
        // A convolution whose clip is done by its range writes to the name behind the clip.
        let mut behind: HashMap<String, String> = HashMap::new();
        let done = |&(&at, &limits): &(&usize, &(f32, f32))| self.is_done_by_bytes(&old[at].output[0], limits);
        let done: HashSet<usize> = placement.clips.iter().filter(done).map(|(&at, _)| at).collect();
        for &at in &done {
            behind.insert(old[at].input[0].clone(), old[at].output[0].clone());
        }
        for (at, node) in old.iter().enumerate().filter(|(at, _)| !done.contains(at)) {
            let mut node = node.clone();
            if let Some((old, new)) = node.output.first().and_then(|name| self.addends.remove(name)) {
                node.input.iter_mut().filter(|name| **name == old).for_each(|name| name.clone_from(&new));
            }
            let is_integer = placement.integer.contains(&at);
            let makes_bytes = placement.makes_bytes(at);
            if is_integer {
                let takes_wide = self.takes_wide(at, &node);
                for name in &mut node.input {
                    let taken = match widened.get(name) {
                        Some(widened) if takes_wide => Some(widened),
                        // What has 16 bits already goes by its own name.
                        _ if takes_wide && self.makes_wide(name) => None,
                        _ => dequantized.get(name),
                    };
                    if let Some(taken) = taken {
                        name.clone_from(taken);
                    }
                }
            }
            if let Some(layer) = placement.layers.get(&at) {
                self.weights(layer, &mut node, &mut nodes);
            } else if is_integer && matches!(node.op_type.as_str(), "Add" | "Mul") {
                self.constant_operands(&mut node, &mut nodes);
            }
            let mut made = Vec::new();
            for name in &mut node.output {
                if let Some(after) = behind.get(name) {
                    name.clone_from(after);
                }
                if !self.is_bytes(name) {
                    continue;
                }
                made.push(name.clone());
                if makes_bytes {
                    *name = self.names.part(name, "float");
                }
            }
            nodes.push(node);
            for name in made {
                if !makes_bytes {
                    self.float_made(&name, &mut dequantized, &mut widened, &mut nodes);
                } else if self.makes_wide(&name) {
                    let floats = self.names.part(&name, "float");
                    self.wide_pair(&name, &floats, &name, &mut nodes);
                    // For layers of 8 bits, if any takes it.
                    let output = self.names.part(&name, "dequantized");
                    if self.is_taken_by_bytes(&name) {
                        self.pair(&name, &name, &output, &mut nodes);
                        dequantized.insert(name, output);
                    }
                } else {
                    let floats = self.names.part(&name, "float");
                    self.pair(&name, &floats, &name, &mut nodes);
                }
            }
        }
        nodes
    }

    fn is_bytes(&self, name: &str) -> bool {
        self.decisions.quants.contains_key(name)
    }

    /// Whether what a tensor is rounded to has no place outside the range of the clip that makes it. 16 bits are not relied on: OpenVINO
    /// takes QuantizeLinear of 16 bits and what follows it away, and leaves a tensor as wide as it is.
    fn is_done_by_bytes(&self, name: &str, range: (f32, f32)) -> bool {
        !self.makes_wide(name) && self.decisions.quants.get(name).is_some_and(|quant| quant.ends_at(range))
    }

    fn is_wide(&self, at: usize) -> bool {
        self.decisions.wide.is_some_and(|decided| decided.wide.layers.contains(&at))
    }

    fn makes_wide(&self, name: &str) -> bool {
        self.decisions.wide.is_some_and(|decided| decided.wide.made.contains(name))
    }

    /// Whether a node takes 16 bits where it can: a layer in A16W8, or a node that is none and makes 16 bits.
    fn takes_wide(&self, at: usize, node: &NodeProto) -> bool {
        self.is_wide(at)
            || (!self.decisions.placement.layers.contains_key(&at)
                && node.output.iter().any(|name| self.makes_wide(name)))
    }

    /// Whether an integer node takes a tensor in bytes.
    fn is_taken_by_bytes(&self, name: &str) -> bool {
        let integer = &self.decisions.placement.integer;
        self.network.nodes().iter().enumerate().any(|(at, node)| {
            integer.contains(&at) && node.input.iter().any(|input| input == name) && !self.takes_wide(at, node)
        })
    }

    /// What floats make, or an input, in bytes and in 16 bits for those that take it so.
    fn float_made(
        &mut self,
        name: &str,
        dequantized: &mut HashMap<String, String>,
        widened: &mut HashMap<String, String>,
        nodes: &mut Vec<NodeProto>,
    ) {
        let takes_wide = self.decisions.wide.is_some_and(|decided| decided.wide.taken.contains(name));
        if takes_wide {
            let output = self.names.part(name, "widened");
            self.wide_pair(name, name, &output, nodes);
            widened.insert(name.into(), output);
        }
        if !takes_wide || self.is_taken_by_bytes(name) {
            let output = self.names.part(name, "dequantized");
            self.pair(name, name, &output, nodes);
            dequantized.insert(name.into(), output);
        }
    }

    /// `from` to 16 bits and back, under the name `to`.
    fn wide_pair(&mut self, tensor: &str, from: &str, to: &str, nodes: &mut Vec<NodeProto>) {
        let Some(quant) = self.decisions.wide.and_then(|decided| decided.quants.get(tensor)) else { return };
        let [scale, zero, stored, dequantize] = ["wide_scale", "wide_zero_point", "wide_quantized", "wide_dequantize"]
            .map(|part| self.names.part(tensor, part));
        self.network.set_constant(array::of_floats(&scale, &[], &[quant.scale]));
        self.network.set_constant(array::of_u16(&zero, &[], &[quant.zero_point]));
        for (op, name, input, output) in
            [("QuantizeLinear", stored.clone(), from, stored.as_str()), ("DequantizeLinear", dequantize, &stored, to)]
        {
            let mut made = node(op, &name, &[input, &scale, &zero], &[output], Vec::new());
            made.domain = self.domain.into();
            nodes.push(made);
        }
    }

    /// Weights and bias of a layer, and the step of what it takes.
    fn solution(&self, layer: &Layer) -> Option<(Rounded, Option<Vec<f32>>, Option<f32>)> {
        let wide = self.decisions.wide.filter(|decided| decided.wide.takes(layer.at, &layer.input));
        let solved = wide.map_or(self.decisions.solved, |decided| decided.solved);
        let scale = match wide {
            Some(decided) => decided.quants.get(&layer.input).map(|quant| quant.scale),
            None => self.decisions.quants.get(&layer.input).map(|quant| quant.scale),
        };
        Some((solved.weights.get(&layer.at)?.clone(), solved.biases.get(&layer.at).cloned(), scale))
    }

    /// `from` to bytes and back, under the name `to`.
    fn pair(&mut self, tensor: &str, from: &str, to: &str, nodes: &mut Vec<NodeProto>) {
        let Some(quant) = self.decisions.quants.get(tensor).copied() else { return };
        let [scale, zero, bytes, dequantize] =
            ["scale", "zero_point", "quantized", "dequantize"].map(|part| self.names.part(tensor, part));
        self.network.set_constant(array::of_floats(&scale, &[], &[quant.scale]));
        self.network.set_constant(array::of_u8(&zero, &[], &[quant.zero_point]));
        nodes.push(node("QuantizeLinear", &bytes, &[from, &scale, &zero], &[&bytes], Vec::new()));
        nodes.push(node("DequantizeLinear", &dequantize, &[&bytes, &scale, &zero], &[to], Vec::new()));
    }

    /// Whether ONNX Runtime would take a product in 16 bits for one of floats by weights alone (`DQMatMulToMatMulNBits`), and round what it
    /// takes to 8 bits. It does so for weights by one scale, or by channels along the axis 1; it does not see that -1 is the same.
    fn is_exposed(&self, layer: &Layer) -> bool {
        self.is_wide(layer.at) && matches!(layer.kind, Kind::MatMul | Kind::Gemm { transposed: false })
    }

    fn axis(&self, layer: &Layer) -> i64 {
        if self.is_exposed(layer) { -1 } else { layer.axis() }
    }

    /// The weights and the bias of a layer as integers.
    fn weights(&mut self, layer: &Layer, node: &mut NodeProto, nodes: &mut Vec<NodeProto>) {
        let Some((rounded, bias, input)) = self.solution(layer).filter(|_| layer.kind != Kind::Product) else { return };
        let base = layer.output.as_str();
        let shape = self.network.constant(&layer.weight).map(array::shape).unwrap_or_default();
        let [weight, scale, zero, output] =
            ["weight_quantized", "weight_scale", "weight_zero_point", "weight"].map(|part| self.names.part(base, part));
        let one = rounded.scales.iter().all(|scale| *scale == rounded.scales[0]) && !self.is_exposed(layer);
        let (scales, places): (&[f32], Vec<usize>) =
            if one { (&rounded.scales[..1], Vec::new()) } else { (&rounded.scales, vec![layer.outputs]) };
        self.network.set_constant(array::of_i8(&weight, &shape, &layer.stored(&rounded.weights)));
        self.network.set_constant(array::of_floats(&scale, &places, scales));
        self.network.set_constant(array::of_i8(&zero, &places, &vec![0; scales.len()]));
        let axis = if one { Vec::new() } else { vec![int_attribute("axis", self.axis(layer))] };
        nodes.push(crate::network::node("DequantizeLinear", &output, &[&weight, &scale, &zero], &[&output], axis));
        node.input[1] = output;
        if let (Kind::MatMul, Some(input)) = (&layer.kind, input) {
            self.addend(layer, rounded.scales.iter().map(|scale| input * scale));
        }
        let (Some(bias), Some(input)) = (bias, input) else { return };
        let mut steps: Vec<f32> = rounded.scales.iter().map(|scale| input * scale).collect();
        if self.is_wide(layer.at) {
            // Beside steps so small a bias may be too large for 32 bits; it need not be in steps of the sums.
            steps.iter_mut().zip(&bias).for_each(|(step, bias)| *step = step.max(bias.abs() / (1 << 30) as f32));
            if one {
                let most = steps.iter().copied().fold(0f32, f32::max);
                steps.fill(most);
            }
        }
        let levels: Vec<i32> = bias.iter().zip(&steps).map(|(bias, step)| bias_level(*bias, *step)).collect();
        let [name, scale, zero, output] =
            ["bias_quantized", "bias_scale", "bias_zero_point", "bias"].map(|part| self.names.part(base, part));
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

    /// What is added right behind a product, one number for each output, in steps of its sums. Where the sum is of integers it has to be;
    /// where it is of floats the steps are no loss that a byte shows, and both ways give the same bytes.
    fn addend(&mut self, layer: &Layer, steps: impl Iterator<Item = f32>) {
        if self.is_wide(layer.at) || self.is_bytes(&layer.output) {
            return;
        }
        let Some(taker) = self.network.edges().only_taker(&layer.output) else { return };
        let add = self.network.nodes()[taker].clone();
        let Some(old) = add.input.iter().find(|name| **name != layer.output).filter(|_| add.op_type == "Add") else {
            return;
        };
        let (Some(values), Some(shape)) = (self.network.floats(old), self.network.constant(old).map(array::shape))
        else {
            return;
        };
        if values.len() != layer.outputs || shape.last() != Some(&layer.outputs) {
            return;
        }
        let levels: Vec<(f64, f32)> =
            values.iter().zip(steps).map(|(&value, step)| (f64::from(value) / f64::from(step), step)).collect();
        if !levels.iter().all(|(level, _)| level.abs() < f64::from(1 << 30)) {
            return;
        }
        let values: Vec<f32> =
            levels.iter().map(|(level, step)| (level.round_ties_even() * f64::from(*step)) as f32).collect();
        let new = self.names.part(&layer.output, "addend");
        self.network.set_constant(array::of_floats(&new, &shape, &values));
        self.addends.insert(add.output[0].clone(), (old.clone(), new));
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
                ["quantized", "scale", "zero_point", "dequantized"].map(|part| self.names.part(name, part));
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
