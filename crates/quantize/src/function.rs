//! Functions of one tensor, element by element: between a DequantizeLinear and a QuantizeLinear they are a table of 256 entries,
//! whatever they are made of, and nothing is rounded within.

use crate::network::Network;
use std::collections::HashMap;
use tract_onnx::pb::NodeProto;

/// For each tensor that is a function of another one, element by element: that other one.
#[derive(Clone)]
pub struct Functions(HashMap<String, String>);

impl Functions {
    /// The tensor that `name` is a function of; itself where it is of none.
    pub fn root<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// Whether a node's output is a function of another tensor.
    pub fn holds(&self, node: &NodeProto) -> bool {
        node.output.first().is_some_and(|name| self.0.contains_key(name))
    }
}

/// Finds them. A tensor that `is_cut` names begins anew: what follows is a function of it.
pub fn find(network: &Network, is_cut: impl Fn(&str) -> bool) -> Functions {
    let mut found = Functions(HashMap::new());
    for node in network.nodes() {
        let Some(output) = node.output.first().filter(|_| node.output.len() == 1) else { continue };
        let Some(root) = root_of(network, &found, node, &is_cut) else { continue };
        found.0.insert(output.clone(), root);
    }
    found
}

fn root_of(network: &Network, found: &Functions, node: &NodeProto, is_cut: &impl Fn(&str) -> bool) -> Option<String> {
    let root = |name: &str| if is_cut(name) { name.to_string() } else { found.root(name).to_string() };
    let first = node.input.first()?;
    match node.op_type.as_str() {
        "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish" | "Elu" | "Erf" | "Exp" | "Log"
        | "Sqrt" | "Abs" | "Neg" | "Reciprocal" | "Floor" | "Ceil" | "Round" | "Softplus" | "Gelu" => Some(root(first)),
        "Clip" => {
            let limits = node.input.iter().skip(1);
            limits.clone().all(|limit| limit.is_empty() || network.scalar(limit).is_some()).then(|| root(first))
        }
        "Add" | "Mul" | "Sub" | "Div" | "Pow" | "Min" | "Max" => {
            let [a, b] = node.input.as_slice() else { return None };
            match (network.is_fixed(a), network.is_fixed(b)) {
                (false, true) => is_number(network, b).then(|| root(a)),
                (true, false) if node.op_type != "Pow" => is_number(network, a).then(|| root(b)),
                // Two functions of one tensor, such as x * sigmoid(x). A sum of a tensor with itself has a rule of its own.
                (false, false) if matches!(node.op_type.as_str(), "Add" | "Mul") && a != b => {
                    (root(a) == root(b)).then(|| root(a))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_number(network: &Network, name: &str) -> bool {
    let few = network.constant(name).is_some_and(|constant| constant.dims.len() <= 1);
    few && network.scalar(name).is_some()
}

/// What a clipping function leaves of its input's range: `Relu`, `Clip` with both limits, one or none.
pub fn clip(network: &Network, node: &NodeProto) -> Option<(f32, f32)> {
    match node.op_type.as_str() {
        "Relu" => Some((0.0, f32::INFINITY)),
        "Clip" => {
            let limit = |index: usize, open: f32| match node.input.get(index).filter(|name| !name.is_empty()) {
                None => Some(open),
                Some(name) => network.scalar(name),
            };
            // Of limits that cross, or are NaN, there is no range.
            Some((limit(1, f32::NEG_INFINITY)?, limit(2, f32::INFINITY)?)).filter(|(low, high)| low <= high)
        }
        _ => None,
    }
}
