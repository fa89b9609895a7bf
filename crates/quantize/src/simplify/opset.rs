//! Opset 9 to 12 as 13: DequantizeLinear has a scale for each channel from there on.

use crate::network::{Attributes, Network, int_attribute, node};
use crate::{QuantizeError, array};
use tract_onnx::pb::{NodeProto, OperatorSetIdProto};

/// The first opset whose DequantizeLinear has an axis.
const PER_CHANNEL: i64 = 13;
/// The oldest opset whose operators can be rewritten here.
const OLDEST: i64 = 9;

/// Raises the opset to 13 where it is older; returns what it was.
///
/// # Errors
/// [`QuantizeError::Model`] below opset 9, or for a node that changed its meaning and cannot be rewritten.
pub fn raise(network: &mut Network) -> Result<Option<i64>, QuantizeError> {
    let opset = network.opset();
    if opset >= PER_CHANNEL {
        return Ok(None);
    }
    if opset < OLDEST {
        return Err(QuantizeError::Model(format!(
            "opset {opset} is older than {OLDEST}, the oldest that is understood: export the model with opset 13 or later"
        )));
    }
    // The old ones stay meanwhile, so that new names are none of theirs.
    let nodes = network.nodes().to_vec();
    network.graph_mut().node = raise_nodes(network, nodes, opset)?;
    let standard = |set: &&mut OperatorSetIdProto| set.domain.is_empty() || set.domain == "ai.onnx";
    if let Some(set) = network.model_mut().opset_import.iter_mut().find(standard) {
        set.version = PER_CHANNEL;
    }
    Ok(Some(opset))
}

fn raise_nodes(network: &mut Network, nodes: Vec<NodeProto>, opset: i64) -> Result<Vec<NodeProto>, QuantizeError> {
    let mut raised = Vec::with_capacity(nodes.len());
    for node in nodes {
        raise_node(network, node, opset, &mut raised)?;
    }
    Ok(raised)
}

fn raise_node(
    network: &mut Network,
    mut old: NodeProto,
    opset: i64,
    to: &mut Vec<NodeProto>,
) -> Result<(), QuantizeError> {
    // Branches and bodies of loops are of the same opset. What becomes an input of their nodes is a constant of the whole network.
    for graph in old.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs)) {
        graph.node = raise_nodes(network, std::mem::take(&mut graph.node), opset)?;
    }
    let base = old.output.first().cloned().unwrap_or_default();
    match old.op_type.as_str() {
        // Axes became an input.
        "Squeeze" | "Unsqueeze" | "ReduceSum" => attribute_to_input(network, &mut old, "axes", 1, &base),
        "Split" => attribute_to_input(network, &mut old, "split", 1, &base),
        "Pad" if opset < 11 => {
            attribute_to_input(network, &mut old, "pads", 1, &base);
            float_to_input(network, &mut old, "value", 2, &base);
        }
        "Clip" if opset < 11 => {
            float_to_input(network, &mut old, "min", 1, &base);
            float_to_input(network, &mut old, "max", 2, &base);
        }
        "Slice" if opset < 10 => {
            for (index, name) in ["starts", "ends", "axes"].into_iter().enumerate() {
                attribute_to_input(network, &mut old, name, index + 1, &base);
            }
        }
        "TopK" if opset < 10 => {
            let k = old.int("k", 1);
            old.attribute.retain(|attribute| attribute.name != "k");
            let name = network.fresh(&format!("{base}.k"));
            network.set_constant(array::of_integers(&name, &[1], &[k]));
            set_input(&mut old, 1, name);
        }
        // Nearest neighbour by rounding down, as it was before there was a choice, and nothing became smaller.
        "Upsample" => {
            old.op_type = "Resize".into();
            as_resize(&mut old, "floor");
        }
        "Resize" if opset < 11 => {
            let mode = nearest_mode(network, &old)?;
            as_resize(&mut old, mode);
        }
        // The same under another name.
        "Scatter" => old.op_type = "ScatterElements".into(),
        "Dropout" if opset < 12 => dropout(network, &mut old, opset, &base)?,
        // Before, the dimensions from the axis on were one.
        "Softmax" | "LogSoftmax" | "Hardmax" => return softmax(network, old, to),
        _ => {}
    }
    to.push(old);
    Ok(())
}

/// The ratio became an input; before opset 10 the mask had the type of what is dropped from, and is of truth values since.
fn dropout(network: &mut Network, node: &mut NodeProto, opset: i64, base: &str) -> Result<(), QuantizeError> {
    if opset < 10 && node.output.get(1).is_some_and(|mask| !mask.is_empty()) {
        let name = crate::network::name_of(node);
        return Err(QuantizeError::Model(format!(
            "Dropout \"{name}\" of opset {opset} gives a mask of floats: export the model for inference, with opset 13 or later"
        )));
    }
    float_to_input(network, node, "ratio", 1, base);
    Ok(())
}

fn attribute_to_input(network: &mut Network, node: &mut NodeProto, name: &str, index: usize, base: &str) {
    let Some(values) = node.ints(name).map(<[i64]>::to_vec) else { return };
    node.attribute.retain(|attribute| attribute.name != name);
    let constant = network.fresh(&format!("{base}.{name}"));
    network.set_constant(array::of_integers(&constant, &[values.len()], &values));
    set_input(node, index, constant);
}

fn float_to_input(network: &mut Network, node: &mut NodeProto, name: &str, index: usize, base: &str) {
    let Some(value) = node.attribute(name).map(|attribute| attribute.f) else { return };
    node.attribute.retain(|attribute| attribute.name != name);
    let constant = network.fresh(&format!("{base}.{name}"));
    network.set_constant(array::of_floats(&constant, &[], &[value]));
    set_input(node, index, constant);
}

fn set_input(node: &mut NodeProto, index: usize, name: String) {
    while node.input.len() <= index {
        node.input.push(String::new());
    }
    node.input[index] = name;
}

/// The rule of the nearest neighbour that an early Resize follows: up along axes that become smaller, down along others, as ONNX
/// Runtime has it. Later there is one for all axes.
fn nearest_mode(network: &Network, node: &NodeProto) -> Result<&'static str, QuantizeError> {
    if node.text("mode").is_some_and(|mode| mode != "nearest") {
        return Ok("floor");
    }
    let refused = |why: &str| {
        let name = crate::network::name_of(node);
        QuantizeError::Model(format!("Resize \"{name}\" {why}: export the model with opset 11 or later"))
    };
    let scales = node.input.get(1).and_then(|scales| network.floats(scales));
    let scales = scales.ok_or_else(|| refused("has scales that are computed"))?;
    match (scales.iter().any(|&scale| scale < 1.0), scales.iter().any(|&scale| scale > 1.0)) {
        (true, true) => Err(refused("makes one axis smaller and another one larger")),
        (true, false) => Ok("ceil"),
        (false, _) => Ok("floor"),
    }
}

/// From (x, scales) to (x, no region, scales).
fn as_resize(node: &mut NodeProto, nearest: &str) {
    if let [x, scales] = node.input.as_slice() {
        node.input = vec![x.clone(), String::new(), scales.clone()];
    }
    let text = |name: &str, value: &str| tract_onnx::pb::AttributeProto {
        name: name.into(),
        r#type: tract_onnx::pb::attribute_proto::AttributeType::String as i32,
        s: value.as_bytes().to_vec(),
        ..Default::default()
    };
    node.attribute.push(text("coordinate_transformation_mode", "asymmetric"));
    node.attribute.push(text("nearest_mode", nearest));
}

/// As it was: flattened to two dimensions at the axis. At the last axis that is the same as now; elsewhere only where all that
/// follows the axis has one element may it be taken as now, which nobody knows here.
fn softmax(network: &mut Network, mut old: NodeProto, to: &mut Vec<NodeProto>) -> Result<(), QuantizeError> {
    let axis = old.int("axis", 1);
    old.attribute.retain(|attribute| attribute.name != "axis");
    old.attribute.push(int_attribute("axis", -1));
    if axis == -1 {
        to.push(old);
        return Ok(());
    }
    let (Some(input), Some(output)) = (old.input.first().cloned(), old.output.first().cloned()) else {
        return Err(QuantizeError::Model(format!("{} without input or output", old.op_type)));
    };
    // x -> flattened at the axis -> softmax over the second -> the shape of x.
    let [flat, soft, shape, reshaped] =
        ["flat", "soft", "shape", "reshaped"].map(|part| network.fresh(&format!("{output}.{part}")));
    to.push(node("Shape", &shape, &[&input], &[&shape], Vec::new()));
    to.push(node("Flatten", &flat, &[&input], &[&flat], vec![int_attribute("axis", axis)]));
    (old.input, old.output) = (vec![flat], vec![soft.clone()]);
    to.push(old);
    // The output's name is in most cases that of the old node.
    to.push(node("Reshape", &reshaped, &[&soft, &shape], &[&output], Vec::new()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto};

    /// The rule that an early Resize by these factors gets.
    fn rule(scales: &[f32], mode: &str) -> Result<Option<String>, String> {
        let mut resize = node("Resize", "small", &["x", "scales"], &["y"], Vec::new());
        resize.attribute.push(tract_onnx::pb::AttributeProto {
            name: "mode".into(),
            s: mode.as_bytes().to_vec(),
            ..Default::default()
        });
        let value = |name: &str| ValueInfoProto { name: name.into(), ..Default::default() };
        let graph = GraphProto {
            node: vec![resize],
            initializer: vec![array::of_floats("scales", &[scales.len()], scales)],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        };
        let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 10 }];
        let model = ModelProto { graph: Some(graph), opset_import, ..Default::default() };
        let mut network = Network::parse(&model.encode_to_vec()).map_err(|error| error.to_string())?;
        raise(&mut network).map_err(|error| error.to_string())?;
        Ok(network.nodes()[0].text("nearest_mode"))
    }

    #[test]
    fn an_early_resize_keeps_its_rule() {
        assert_eq!(rule(&[1.0, 1.0, 2.0, 2.0], "nearest"), Ok(Some("floor".into())));
        assert_eq!(rule(&[1.0, 1.0, 0.6, 1.0], "nearest"), Ok(Some("ceil".into())));
        let mixed = rule(&[1.0, 1.0, 0.6, 2.0], "nearest").unwrap_err();
        assert!(mixed.contains("Resize \"small\" makes one axis smaller"), "{mixed}");
        assert!(rule(&[1.0, 1.0, 0.6, 2.0], "linear").is_ok());
    }

    /// A node of that operator in a network of an older opset, as it is raised.
    fn raised(opset: i64, old: NodeProto) -> Result<NodeProto, String> {
        let value = |name: &str| ValueInfoProto { name: name.into(), ..Default::default() };
        let graph =
            GraphProto { node: vec![old], input: vec![value("x")], output: vec![value("y")], ..Default::default() };
        let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: opset }];
        let model = ModelProto { graph: Some(graph), opset_import, ..Default::default() };
        let mut network = Network::parse(&model.encode_to_vec()).map_err(|error| error.to_string())?;
        raise(&mut network).map_err(|error| error.to_string())?;
        let node = network.nodes()[0].clone();
        // What became an input is a constant.
        let made = node.input.iter().filter(|name| !["x", "i", "u"].contains(&name.as_str()));
        assert!(made.into_iter().all(|name| network.constant(name).is_some()), "{node:?}");
        Ok(node)
    }

    #[test]
    fn what_is_gone_in_opset_13_is_written_as_it_is_there() {
        let scatter =
            raised(9, node("Scatter", "s", &["x", "i", "u"], &["y"], vec![int_attribute("axis", 1)])).unwrap();
        assert_eq!((scatter.op_type.as_str(), scatter.int("axis", 0)), ("ScatterElements", 1));
        let ratio = || {
            let kind = tract_onnx::pb::attribute_proto::AttributeType::Float as i32;
            vec![tract_onnx::pb::AttributeProto { name: "ratio".into(), f: 0.3, r#type: kind, ..Default::default() }]
        };
        for outputs in [&["y"][..], &["y", "mask"]] {
            let dropout = raised(10, node("Dropout", "d", &["x"], outputs, ratio())).unwrap();
            assert_eq!((dropout.attribute.len(), dropout.input.len()), (0, 2));
        }
        assert!(raised(9, node("Dropout", "d", &["x"], &["y"], ratio())).is_ok());
        let mask = raised(9, node("Dropout", "d", &["x"], &["y", "mask"], ratio())).unwrap_err();
        assert!(mask.contains("Dropout \"d\" of opset 9 gives a mask of floats"), "{mask}");
    }
}
