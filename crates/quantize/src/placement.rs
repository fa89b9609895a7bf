//! Where QuantizeLinear and DequantizeLinear stand: which nodes run in integers, and which tensors are bytes for that.

use crate::check::is_kept;
use crate::function::{self, Functions};
use crate::layer::{Kind, Layer};
use crate::network::{Attributes, Network, node_inputs};
use crate::types::Types;
use std::collections::{BTreeMap, HashMap, HashSet};
use tract_onnx::pb::NodeProto;

/// What runs in integers.
#[derive(Clone)]
pub struct Placement {
    /// The weighted nodes that run in integers, by their place in the network.
    pub layers: BTreeMap<usize, Layer>,
    /// The tensors that are bytes, in the order in which they come about.
    pub tensors: Vec<String>,
    /// A tensor whose scale is that of another one, as its node only moves elements.
    pub same_scale: HashMap<String, String>,
    /// The nodes that run in integers, weighted or not.
    pub integer: HashSet<usize>,
    /// Why nodes with weights stay in floats, by name.
    pub left: Vec<(String, String)>,
    /// Clipping nodes between a layer and its bytes: where no byte stands for what they cut off, the bytes take their place.
    pub clips: HashMap<usize, (f32, f32)>,
    /// Functions of one tensor, which are done between bytes.
    pub functions: Functions,
}

impl Placement {
    /// Whether what a node makes are bytes for all that take it: it runs in integers, or is a clip behind one that does.
    pub fn makes_bytes(&self, at: usize) -> bool {
        self.integer.contains(&at) || self.clips.contains_key(&at)
    }

    /// The tensor whose scale `name` has: itself, or where its elements come from.
    pub fn scaled<'a>(&'a self, name: &'a str) -> &'a str {
        let mut name = name;
        while let Some(from) = self.same_scale.get(name) {
            name = from;
        }
        name
    }
}

/// Nodes that move elements, so that bytes stay what they are.
const MOVES: [&str; 13] = [
    "MaxPool",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Slice",
    "Split",
    "DepthToSpace",
    "SpaceToDepth",
    "GlobalMaxPool",
    "Gather",
    "Expand",
];

/// Nodes that compute and have an integer rule, where all that they take are bytes.
const COMPUTES: [&str; 6] = ["Add", "Mul", "AveragePool", "GlobalAveragePool", "Concat", "Resize"];

/// Decides it. Nodes that `keep` names, by name or operator, stay in floats.
pub fn place(network: &Network, types: &Types, keep: &HashSet<String>) -> Placement {
    let edges = network.edges();
    let mut layers = BTreeMap::new();
    let mut left = Vec::new();
    let named = |node: &NodeProto| is_kept(node, keep);
    for (at, node) in network.nodes().iter().enumerate() {
        if !matches!(node.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul") {
            continue;
        }
        let name = crate::network::name_of(node).to_string();
        if named(node) {
            left.push((name, "kept by request".into()));
            continue;
        }
        if !types.is_float(&node.input[0]) {
            left.push((name, "its input is of a type that is not known to be float".into()));
            continue;
        }
        match Layer::new(network, at) {
            Ok(layer) if layer.kind == Kind::Product && !types.is_float(&layer.weight) => {
                left.push((name, "its second operand is of a type that is not known to be float".into()));
            }
            Ok(layer) => {
                layers.insert(at, layer);
            }
            Err(reason) => left.push((name, reason)),
        }
    }
    // A clip right behind a convolution, which nothing else takes, is in most cases what the bytes' range does.
    let mut clips = HashMap::new();
    for layer in layers.values() {
        if let Some(next) = edges.only_taker(&layer.output)
            && let Some(range) = function::clip(network, &network.nodes()[next])
        {
            clips.insert(next, range);
        }
    }
    // The tensors that begin anew: what a weighted node makes (behind its clip).
    let cuts: HashSet<&str> = layers
        .values()
        .map(|layer| layer.output.as_str())
        .filter(|output| edges.only_taker(output).is_none_or(|next| !clips.contains_key(&next)))
        .chain(clips.keys().map(|&at| network.nodes()[at].output[0].as_str()))
        .collect();
    let functions = function::find(network, |name| cuts.contains(name));
    let (tensors, same_scale, integer) = tensors(network, types, &layers, &clips, &functions, &named);
    Placement { layers, tensors, same_scale, integer, left, clips, functions }
}

type Tensors = (Vec<String>, HashMap<String, String>, HashSet<usize>);

fn tensors(
    network: &Network,
    types: &Types,
    layers: &BTreeMap<usize, Layer>,
    clips: &HashMap<usize, (f32, f32)>,
    functions: &Functions,
    named: &impl Fn(&NodeProto) -> bool,
) -> Tensors {
    let nodes = network.nodes();
    let edges = network.edges();
    // Bytes as they come about: behind convolutions, and behind nodes that take nothing but bytes.
    let mut bytes: HashSet<String> = HashSet::new();
    let mut integer: HashSet<usize> = layers.keys().copied().collect();
    for layer in layers.values() {
        bytes.insert(layer.input.clone());
        if layer.kind == Kind::Product {
            bytes.insert(layer.weight.clone());
        }
    }
    for (at, node) in nodes.iter().enumerate() {
        let Some(output) = node.output.first() else { continue };
        if let Some(layer) = layers.get(&at) {
            // A product may end in floats; a convolution may not, as it would be computed in floats then.
            let clipped = edges.only_taker(output).is_some_and(|next| clips.contains_key(&next));
            if layer.ends_in_bytes() && !clipped {
                bytes.insert(output.clone());
            }
            continue;
        }
        if let Some(layer) = layers.values().find(|layer| clips.contains_key(&at) && layer.output == node.input[0]) {
            if layer.ends_in_bytes() {
                bytes.insert(output.clone());
            }
            continue;
        }
        if named(node) || functions.holds(node) || !types.is_float(output) {
            continue;
        }
        let moves = MOVES.contains(&node.op_type.as_str());
        let computes = COMPUTES.contains(&node.op_type.as_str()) && can_compute(network, node);
        // Functions of bytes are tables, whose ends are bytes where they are taken by an integer node.
        let taken: Vec<&str> =
            if moves { node.input.iter().take(1).map(String::as_str).collect() } else { operands(network, node) };
        let all_bytes =
            !taken.is_empty() && taken.iter().all(|name| bytes.contains(functions.root(name)) || bytes.contains(*name));
        if (moves || computes) && all_bytes {
            integer.insert(at);
            bytes.extend(taken.iter().map(|name| name.to_string()));
            bytes.extend(node.output.iter().filter(|name| !name.is_empty()).cloned());
        }
    }
    drop_float_ends(network, &edges, layers, functions, &mut bytes, &mut integer);
    let mut ordered: Vec<String> = Vec::new();
    let made = network.graph().input.iter().map(|input| &input.name).chain(nodes.iter().flat_map(|node| &node.output));
    for name in made.filter(|name| bytes.contains(*name) && types.is_float(name)) {
        ordered.push(name.clone());
    }
    let mut same_scale = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        if integer.contains(&at) && MOVES.contains(&node.op_type.as_str()) {
            for output in &node.output {
                same_scale.insert(output.clone(), node.input[0].clone());
            }
        }
    }
    (ordered, same_scale, integer)
}

/// What a computing node takes besides sizes.
fn operands<'a>(network: &Network, node: &'a NodeProto) -> Vec<&'a str> {
    match node.op_type.as_str() {
        "Resize" | "AveragePool" | "GlobalAveragePool" => node.input.iter().take(1).map(String::as_str).collect(),
        _ => node_inputs(node).filter(|name| !network.is_fixed(name)).collect(),
    }
}

fn can_compute(network: &Network, node: &NodeProto) -> bool {
    match node.op_type.as_str() {
        // A constant beside a tensor: its own scale, where it is of floats.
        "Add" | "Mul" => {
            node_inputs(node).filter(|name| network.is_fixed(name)).all(|name| network.floats(name).is_some())
        }
        "Concat" => !node_inputs(node).any(|name| network.is_fixed(name)),
        "Resize" => node.text("mode").is_none_or(|mode| mode == "nearest" || mode == "linear"),
        _ => true,
    }
}

/// A node that only moves or computes pays in integers where an integer node takes what it makes; at the end of the network, where
/// floats are wanted, its rounding would only cost.
fn drop_float_ends(
    network: &Network,
    edges: &crate::network::Edges,
    layers: &BTreeMap<usize, Layer>,
    functions: &Functions,
    bytes: &mut HashSet<String>,
    integer: &mut HashSet<usize>,
) {
    for (at, node) in network.nodes().iter().enumerate().rev() {
        if !integer.contains(&at) || layers.contains_key(&at) {
            continue;
        }
        let mut wanted = false;
        for output in &node.output {
            wanted |= taken_by_integers(network, edges, functions, integer, output, output);
        }
        if !wanted {
            integer.remove(&at);
            node.output.iter().for_each(|output| {
                bytes.remove(output);
            });
        }
    }
}

fn taken_by_integers(
    network: &Network,
    edges: &crate::network::Edges,
    functions: &Functions,
    integer: &HashSet<usize>,
    root: &str,
    name: &str,
) -> bool {
    edges.takers(name).iter().any(|&taker| {
        let node = &network.nodes()[taker];
        integer.contains(&taker)
            || (functions.holds(node)
                && functions.root(&node.output[0]) == root
                && taken_by_integers(network, edges, functions, integer, root, &node.output[0]))
    })
}
