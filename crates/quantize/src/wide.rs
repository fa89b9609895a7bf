//! Layers in A16W8: weights of 8 bits, and 16 bits for what they make and, where that is no byte already, for what they take.
//!
//! They lie over what [`place`](crate::placement::place) decided. A tensor that such a layer makes has 16 bits for all that take it but
//! layers of 8 bits, which take bytes of it; nodes that only move or add elements pass 16 bits on. What a layer of 8 bits makes stays
//! bytes: to spare a tensor its bytes, both its maker and its taker have to be of 16 bits.

use crate::calibrate::{Histogram, WideQuant};
use crate::layer::Kind;
use crate::network::Network;
use crate::options::Options;
use crate::placement::Placement;
use crate::ranges::limits;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Which layers are in A16W8, and which tensors have 16 bits for that.
#[derive(Debug, Clone, Default)]
pub struct Wide {
    /// The layers, by their place in the network.
    pub layers: BTreeSet<usize>,
    /// Tensors that they make, and what moves and sums make of these.
    pub made: HashSet<String>,
    /// Tensors that floats make, or inputs of the network, which have 16 bits for wide layers and for what passes 16 bits on.
    pub taken: HashSet<String>,
}

impl Wide {
    /// Lays `layers`, as far as they run in integers, over a placement.
    pub fn over(network: &Network, placement: &Placement, layers: &BTreeSet<usize>) -> Wide {
        let layers: BTreeSet<usize> = layers.iter().copied().filter(|at| placement.layers.contains_key(at)).collect();
        let mut wide = Wide { layers, ..Wide::default() };
        if wide.layers.is_empty() {
            return wide;
        }
        let bytes: HashSet<&str> = placement.tensors.iter().map(String::as_str).collect();
        let producer = network.edges().producer;
        for (at, node) in network.nodes().iter().enumerate() {
            let passes = if let Some(layer) = placement.layers.get(&at) {
                if !wide.layers.contains(&at) {
                    continue;
                }
                let second = (layer.kind == Kind::Product).then_some(&layer.weight);
                for name in [Some(&layer.input), second].into_iter().flatten() {
                    let in_integers = producer.get(name).is_some_and(|&maker| placement.makes_bytes(maker));
                    if !in_integers && bytes.contains(name.as_str()) {
                        wide.taken.insert(name.clone());
                    }
                }
                true
            } else if placement.clips.contains_key(&at) {
                // The clip of a wide layer; its own tensor has no bytes.
                producer.get(&node.input[0]).is_some_and(|maker| wide.layers.contains(maker))
            } else if placement.functions.holds(node) {
                // A table between bytes; of 16 bits it is the floats, and makes 16 bits again where there would be bytes.
                let of_wide = wide.made.contains(placement.functions.root(&node.output[0]));
                wide.taken.extend(node.output.iter().filter(|name| of_wide && bytes.contains(name.as_str())).cloned());
                false
            } else {
                let is_wide = |name: &String| wide.made.contains(name) || wide.taken.contains(name);
                placement.integer.contains(&at) && node.input.iter().any(is_wide)
            };
            if passes {
                wide.made.extend(node.output.iter().filter(|name| bytes.contains(name.as_str())).cloned());
            }
        }
        wide
    }

    /// Whether what a layer takes has 16 bits.
    pub fn takes(&self, at: usize, tensor: &str) -> bool {
        self.layers.contains(&at) && (self.made.contains(tensor) || self.taken.contains(tensor))
    }
}

/// Room beyond what was seen of a tensor, to each side: of so many steps a quarter can be spared.
const ROOM: f32 = 1.25;

/// The 16 bits of each tensor that has bytes.
pub fn quants(
    network: &Network,
    placement: &Placement,
    histograms: &BTreeMap<String, Histogram>,
    options: &Options,
) -> HashMap<String, WideQuant> {
    let limits = limits(network, placement);
    let quant = |name: &String| {
        let root = placement.scaled(name);
        let (low, high) = match options.input_ranges.get(root) {
            Some(&stated) => stated,
            None => {
                let (low, high) = histograms.get(root)?.bounds?;
                let (least, most) = limits.get(root).copied().unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
                ((ROOM * low).clamp(least, most), (ROOM * high).clamp(least, most))
            }
        };
        Some((
            name.clone(),
            if options.symmetric { WideQuant::symmetric(low, high) } else { WideQuant::over(low, high) },
        ))
    };
    placement.tensors.iter().filter_map(quant).collect()
}
