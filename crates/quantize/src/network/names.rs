//! Names of what is made of a tensor.

use super::{Network, subgraphs};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::GraphProto;

/// Gives each part of each tensor a name of its own: `TENSOR_PART`, with a number behind where something else is called so, as a weight
/// `conv1_weight` is beside a convolution that makes `conv1`.
pub struct Names {
    taken: HashSet<String>,
    made: HashMap<(String, &'static str), String>,
}

impl Names {
    /// For what is added to a network, whose own tensors and nodes keep their names.
    pub fn of(network: &Network) -> Names {
        let mut taken: HashSet<String> = network.constants.keys().cloned().collect();
        collect(network.graph(), &mut taken);
        Names { taken, made: HashMap::new() }
    }

    /// The name of a part of a tensor: the same whenever it is asked for.
    pub fn part(&mut self, tensor: &str, part: &'static str) -> String {
        let key = (tensor.to_string(), part);
        if let Some(known) = self.made.get(&key) {
            return known.clone();
        }
        let plain = format!("{tensor}_{part}");
        let mut name = plain.clone();
        for number in 1.. {
            if self.taken.insert(name.clone()) {
                break;
            }
            name = format!("{plain}_{number}");
        }
        self.made.insert(key, name.clone());
        name
    }
}

fn collect(graph: &GraphProto, names: &mut HashSet<String>) {
    names.extend(graph.input.iter().map(|input| input.name.clone()));
    names.extend(graph.initializer.iter().map(|constant| constant.name.clone()));
    for node in &graph.node {
        names.extend(node.output.iter().chain([&node.name]).cloned());
        subgraphs(node).for_each(|graph| collect(graph, names));
    }
}
