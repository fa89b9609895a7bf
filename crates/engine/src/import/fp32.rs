//! The fp32 network that a quantized model came from, as far as it is still in it: constants dequantized, every
//! QuantizeLinear and DequantizeLinear between ops taken away, QLinear ops as the float ops they stand for.

use super::onnx::{Attributes, floats, integers_32};
use super::operator::check_operator;
use crate::tract::constant;
use std::collections::HashMap;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, type_proto};

/// The model in floats.
///
/// # Errors
/// A line that says why there is none: an op has no float form that is known here.
pub fn in_floats(mut model: ModelProto) -> Result<ModelProto, String> {
    let graph = model.graph.as_mut().ok_or("no graph in it")?;
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
            // Of another domain, it only has the name of one that quantizes.
            _ if check_operator(&node.domain, &node.op_type).is_err() => kept.push(node),
            "DequantizeLinear" if constants.contains_key(&node.input[0]) => {
                let axis = node.int("axis", 1);
                let inputs = [0, 1, 2].map(|i| node.input.get(i).map_or("", String::as_str));
                graph.initializer.push(dequantized(inputs, axis, &constants, &output)?);
            }
            "QuantizeLinear" | "DequantizeLinear" => {
                aliases.insert(output, node.input[0].clone());
            }
            name if name.starts_with("QLinear") || name == "QGemm" => {
                kept.push(float_op(&node, &constants, &mut graph.initializer)?);
            }
            "MatMulInteger" | "ConvInteger" => {
                return Err(format!("its fp32 form is not in it any more: it has {}", node.op_type));
            }
            _ => kept.push(node),
        }
    }
    graph.node = kept;
    // What is stated of the values between is stated of bytes.
    graph.value_info.clear();
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

/// A QLinear op as the float op that it stands for; each operand is followed by its scale and its zero point.
fn float_op(
    node: &NodeProto,
    constants: &HashMap<String, TensorProto>,
    made: &mut Vec<TensorProto>,
) -> Result<NodeProto, String> {
    let (name, operands, bias) = match node.op_type.as_str() {
        "QLinearConv" => ("Conv", vec![0, 3], Some(8)),
        "QGemm" => ("Gemm", vec![0, 3], Some(6)),
        "QLinearMatMul" => ("MatMul", vec![0, 3], None),
        "QLinearAdd" => ("Add", vec![0, 3], None),
        "QLinearMul" => ("Mul", vec![0, 3], None),
        "QLinearConcat" => ("Concat", (2..node.input.len()).step_by(3).collect(), None),
        "QLinearSigmoid" => ("Sigmoid", vec![0], None),
        "QLinearLeakyRelu" => ("LeakyRelu", vec![0], None),
        "QLinearSoftmax" => ("Softmax", vec![0], None),
        "QLinearAveragePool" => ("AveragePool", vec![0], None),
        "QLinearGlobalAveragePool" => ("GlobalAveragePool", vec![0], None),
        other => return Err(format!("the float form of {other} is not known")),
    };
    let input = |i: usize| node.input.get(i).map_or("", String::as_str);
    let new_name = |i: usize| format!("{}:{i} in floats", node.output.first().map_or("", String::as_str));
    let mut inputs = Vec::new();
    for at in operands {
        let Some(stored) = constants.get(input(at)) else {
            inputs.push(input(at).to_owned());
            continue;
        };
        // The outputs of a convolution come first, those of a product last.
        let first = name == "Conv" || (name == "Gemm" && node.int("transB", 0) != 0);
        let axis = if first { 0 } else { stored.dims.len() as i64 - 1 };
        made.push(dequantized([input(at), input(at + 1), input(at + 2)], axis, constants, &new_name(at))?);
        inputs.push(new_name(at));
    }
    if let Some(bias) = bias
        && let Some(stored) = constants.get(input(bias))
    {
        let scale = |at: usize| floats(&constant(constants.get(input(at)).ok_or("a scale is no constant")?)?);
        let (x, w, alpha) = (scale(1)?, scale(4)?, node.float("alpha", 1.0));
        let scale: Vec<f32> = w.iter().map(|w| alpha * x[0] * w).collect();
        made.push(real(stored, &scale, &[0], 0, &new_name(bias))?);
        inputs.push(new_name(bias));
    }
    let (op_type, domain) = (name.to_owned(), String::new());
    Ok(NodeProto { op_type, domain, input: inputs, ..node.clone() })
}

/// A constant of the model in floats, from its name and those of its scale and its zero point.
fn dequantized(
    [stored, scale, zero]: [&str; 3],
    axis: i64,
    constants: &HashMap<String, TensorProto>,
    name: &str,
) -> Result<TensorProto, String> {
    let stored = constants.get(stored).ok_or("a constant is missing")?;
    let scale = floats(&constant(constants.get(scale).ok_or("a scale is no constant")?)?)?;
    let zero = match constants.get(zero) {
        Some(zero) => integers_32(&constant(zero)?)?,
        None => vec![0],
    };
    real(stored, &scale, &zero, axis, name)
}

/// `scale * (stored - zero)`, each for all elements or by place along `axis`.
fn real(stored: &TensorProto, scale: &[f32], zero: &[i32], axis: i64, name: &str) -> Result<TensorProto, String> {
    let axis = if axis < 0 { axis + stored.dims.len() as i64 } else { axis };
    let inner: i64 = stored.dims.iter().skip(axis as usize + 1).product();
    let place = |i: usize, count: usize| i / inner.max(1) as usize % count;
    let number =
        |(i, &number): (usize, &i32)| (number - zero[place(i, zero.len())]) as f32 * scale[place(i, scale.len())];
    Ok(TensorProto {
        name: name.to_owned(),
        dims: stored.dims.clone(),
        data_type: DataType::Float as i32,
        float_data: integers_32(&constant(stored)?)?.iter().enumerate().map(number).collect(),
        ..Default::default()
    })
}
