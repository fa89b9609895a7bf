//! Which layers are tried outside A8W8 together.

use crate::network::{Edges, Network};
use crate::placement::Placement;
use std::collections::BTreeSet;

/// Layers that are tried together at most.
const MOST: usize = 5;

/// Each of the layers by itself, and with those of them that take what it makes: directly, behind functions and moves, or behind one sum.
pub fn groups(network: &Network, placement: &Placement, layers: &[usize]) -> Vec<BTreeSet<usize>> {
    let edges = network.edges();
    let mut groups: Vec<BTreeSet<usize>> = layers.iter().map(|&at| BTreeSet::from([at])).collect();
    for &at in layers {
        let Some(layer) = placement.layers.get(&at) else { continue };
        let mut group = BTreeSet::from([at]);
        takers(network, &edges, placement, &layer.output, 1, &mut group);
        group.retain(|at| layers.contains(at));
        if (2..=MOST).contains(&group.len()) && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// Adds the layers that take `tensor`; `sums` says behind how many nodes of several tensors they may stand.
fn takers(
    network: &Network,
    edges: &Edges,
    placement: &Placement,
    tensor: &str,
    sums: usize,
    found: &mut BTreeSet<usize>,
) {
    for &at in edges.takers(tensor) {
        if found.len() > MOST {
            return;
        }
        if placement.layers.contains_key(&at) {
            found.insert(at);
            continue;
        }
        let node = &network.nodes()[at];
        let of_one = placement.clips.contains_key(&at)
            || placement.functions.holds(node)
            || node.output.iter().any(|name| placement.same_scale.contains_key(name));
        let left = if of_one { Some(sums) } else { sums.checked_sub(1) };
        if let Some(left) = left.filter(|_| of_one || placement.integer.contains(&at)) {
            node.output.iter().for_each(|name| takers(network, edges, placement, name, left, found));
        }
    }
}
