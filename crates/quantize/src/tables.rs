//! Tables from which rows are gathered (embeddings), as bytes with a scale for each row: what is gathered is multiplied by it.

use crate::array;
use crate::check::is_kept;
use crate::layer::rounding;
use crate::network::{Attributes, Names, Network, name_of, node};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::NodeProto;

/// Tables of fewer numbers are not worth a step of their own.
const SMALLEST_TABLE: usize = 4096;

/// Constants of floats whose rows are gathered, and which nothing else takes.
pub fn find(network: &Network, keep: &HashSet<String>) -> Vec<String> {
    let edges = network.edges();
    let is_gather = |at: &usize| {
        let node = &network.nodes()[*at];
        node.op_type == "Gather" && node.int("axis", 0) == 0 && !is_kept(node, keep)
    };
    let mut tables: Vec<String> = Vec::new();
    for node in network.nodes().iter().filter(|node| node.op_type == "Gather") {
        let name = &node.input[0];
        let Some(table) = network.constant(name) else { continue };
        let takers = edges.takers(name);
        let others = edges.outputs.contains(name) || !takers.iter().all(is_gather);
        let as_indices = takers.iter().any(|&at| network.nodes()[at].input.get(1) == Some(name));
        let large = table.dims.len() == 2 && array::count(table) >= SMALLEST_TABLE;
        if array::is_float(table) && large && !others && !as_indices && !tables.contains(name) {
            tables.push(name.clone());
        }
    }
    tables
}

/// Replaces the tables, and what gathers their rows.
pub fn store(network: &mut Network, tables: &[String]) {
    let mut names = Names::of(network);
    let mut stored: HashMap<&str, [String; 2]> = HashMap::new();
    for table in tables {
        let parts = ["bytes", "row_scales"].map(|part| names.part(table, part));
        store_bytes(network, table, &parts);
        stored.insert(table, parts);
    }
    let old = std::mem::take(&mut network.graph_mut().node);
    let mut nodes = Vec::with_capacity(old.len());
    for node in old {
        match stored.get(node.input.first().map_or("", String::as_str)) {
            Some(parts) if node.op_type == "Gather" => gather(network, &node, parts, &mut names, &mut nodes),
            _ => nodes.push(node),
        }
    }
    network.graph_mut().node = nodes;
}

/// The bytes of a table and a scale for each row.
fn store_bytes(network: &mut Network, name: &str, [bytes, scales]: &[String; 2]) {
    let Some(shape) = network.constant(name).map(array::shape) else { return };
    let values = network.floats(name).unwrap_or_default();
    let rounded = rounding::nearest(&values, &rounding::steps(&values, shape[0], true));
    network.set_constant(array::of_i8(bytes, &shape, &rounded.weights));
    network.set_constant(array::of_floats(scales, &[shape[0], 1], &rounded.scales));
}

/// Nodes are named by something that is theirs alone: the one that does the work keeps the old name.
fn gather(
    network: &mut Network,
    old: &NodeProto,
    [bytes, scales]: &[String; 2],
    names: &mut Names,
    nodes: &mut Vec<NodeProto>,
) {
    let base = old.output[0].as_str();
    let [row, factor, floats, one] = ["row", "row_scale", "row_float", "one"].map(|part| names.part(base, part));
    network.set_constant(array::of_floats(&one, &[], &[1.0]));
    nodes.push(node("Gather", name_of(old), &[bytes, &old.input[1]], &[&row], old.attribute.clone()));
    nodes.push(node("Gather", &factor, &[scales, &old.input[1]], &[&factor], old.attribute.clone()));
    nodes.push(node("DequantizeLinear", &floats, &[&row, &one], &[&floats], Vec::new()));
    nodes.push(node("Mul", &one, &[&floats, &factor], &[base], Vec::new()));
}
