//! The fp32 network that a QDQ model was quantized from, as far as it is still in it: constants dequantized, every
//! QuantizeLinear and DequantizeLinear between ops taken away.

use super::island::constant;
use super::onnx::{Attributes, floats, integers_32};
use std::collections::HashMap;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, type_proto};

/// The model in floats.
///
/// # Errors
/// A line that says why there is none: the model is not in QDQ form.
pub fn in_floats(model: &ModelProto) -> Result<ModelProto, String> {
    let mut model = model.clone();
    let graph = model.graph.as_mut().ok_or("no graph in it")?;
    let other = |node: &&NodeProto| {
        node.op_type.starts_with("QLinear")
            || matches!(node.op_type.as_str(), "QGemm" | "MatMulInteger" | "ConvInteger")
    };
    if let Some(node) = graph.node.iter().find(other) {
        return Err(format!("its fp32 form is not in it any more: it has {}; a QDQ model keeps it", node.op_type));
    }
    let constants: HashMap<String, TensorProto> =
        graph.initializer.iter().map(|t| (t.name.clone(), t.clone())).collect();
    let mut aliases: HashMap<String, String> = HashMap::new();
    let mut kept = Vec::new();
    for mut node in std::mem::take(&mut graph.node) {
        for input in &mut node.input {
            if let Some(source) = aliases.get(input.as_str()) {
                input.clone_from(source);
            }
        }
        let output = node.output.first().cloned().unwrap_or_default();
        match node.op_type.as_str() {
            "DequantizeLinear" if constants.contains_key(&node.input[0]) => {
                graph.initializer.push(dequantized(&node, &constants, &output)?);
            }
            "QuantizeLinear" | "DequantizeLinear" => {
                aliases.insert(output, node.input[0].clone());
            }
            _ => kept.push(node),
        }
    }
    graph.node = kept;
    rename_outputs(graph, &aliases);
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_mut().and_then(|t| t.value.as_mut())
            && matches!(DataType::try_from(tensor.elem_type), Ok(DataType::Uint8 | DataType::Int8))
        {
            tensor.elem_type = DataType::Float as i32;
        }
    }
    Ok(model)
}

fn rename_outputs(graph: &mut GraphProto, aliases: &HashMap<String, String>) {
    for output in &mut graph.output {
        if let Some(source) = aliases.get(&output.name) {
            output.name.clone_from(source);
        }
    }
}

fn dequantized(node: &NodeProto, constants: &HashMap<String, TensorProto>, name: &str) -> Result<TensorProto, String> {
    let find = |index: usize| node.input.get(index).and_then(|name| constants.get(name));
    let stored = find(0).ok_or("a constant is missing")?;
    let scale = floats(&constant(find(1).ok_or("a scale is no constant")?)?)?;
    let zero = match find(2) {
        Some(zero) => integers_32(&constant(zero)?)?,
        None => vec![0; scale.len()],
    };
    let axis = node.int("axis", 1);
    let axis = if axis < 0 { axis + stored.dims.len() as i64 } else { axis };
    let inner: i64 = stored.dims.iter().skip(axis as usize + 1).product();
    let numbers = integers_32(&constant(stored)?)?;
    let place = |i: usize| if scale.len() == 1 { 0 } else { i / inner.max(1) as usize % scale.len() };
    let real = |(i, &number): (usize, &i32)| (number - zero[place(i).min(zero.len() - 1)]) as f32 * scale[place(i)];
    Ok(TensorProto {
        name: name.to_owned(),
        dims: stored.dims.clone(),
        data_type: DataType::Float as i32,
        float_data: numbers.iter().enumerate().map(real).collect(),
        ..Default::default()
    })
}
