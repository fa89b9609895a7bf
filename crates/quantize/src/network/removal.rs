//! Nodes that do nothing, or that nobody takes.

use super::{Attributes, Network, needed_names};
use std::collections::HashSet;
use tract_onnx::pb::NodeProto;

/// Drops them; returns how many nodes are gone.
pub fn remove(network: &mut Network) -> usize {
    let before = network.nodes().len();
    pass_on(network);
    drop_dead_ends(network);
    before - network.nodes().len()
}

/// Takers of an Identity or a Dropout take its input instead, unless it names an output of the graph.
fn pass_on(network: &mut Network) {
    let edges = network.edges();
    let idle: Vec<usize> = (0..network.nodes().len())
        .filter(|&at| {
            let node = &network.nodes()[at];
            let others =
                node.output.iter().skip(1).any(|name| !edges.takers(name).is_empty() || edges.outputs.contains(name));
            does_nothing(network, node) && !others && !node.output.iter().any(|name| edges.outputs.contains(name))
        })
        .collect();
    for at in idle {
        let node = network.nodes()[at].clone();
        if let (Some(from), Some(to)) = (node.output.first(), node.input.first()) {
            network.rewire(from, to);
        }
    }
}

fn does_nothing(network: &Network, node: &NodeProto) -> bool {
    match node.op_type.as_str() {
        "Identity" => true,
        // Trained networks run in inference, unless the node says that it still trains.
        "Dropout" => node.input.get(2).is_none_or(|mode| mode.is_empty()),
        "Pad" => {
            let zero = |pads: &[i64]| !pads.is_empty() && pads.iter().all(|&pad| pad == 0);
            let stated = node.input.get(1).and_then(|name| network.constant(name));
            stated.and_then(|pads| crate::array::integers(pads).ok()).is_some_and(|pads| zero(&pads))
                || node.ints("pads").is_some_and(zero)
        }
        _ => false,
    }
}

fn drop_dead_ends(network: &mut Network) {
    let mut needed: HashSet<String> = network.graph().output.iter().map(|output| output.name.clone()).collect();
    let nodes = std::mem::take(&mut network.graph_mut().node);
    let mut kept: Vec<NodeProto> = Vec::with_capacity(nodes.len());
    for node in nodes.into_iter().rev() {
        if node.output.iter().any(|name| needed.contains(name)) {
            needed.extend(needed_names(&node).into_iter().map(String::from));
            kept.push(node);
        }
    }
    kept.reverse();
    network.graph_mut().node = kept;
}
