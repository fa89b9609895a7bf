//! Which tensors hold floats: what an ONNX file leaves to whoever reads it.

use crate::network::{Attributes, Network};
use std::collections::HashMap;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{NodeProto, ValueInfoProto};

/// The element types of tensors, as far as they are known.
pub struct Types(HashMap<String, DataType>);

impl Types {
    /// Whether a tensor is known to hold `f32`.
    pub fn is_float(&self, name: &str) -> bool {
        self.0.get(name) == Some(&DataType::Float)
    }

    /// What a tensor is known to hold.
    pub fn kind(&self, name: &str) -> Option<DataType> {
        self.0.get(name).copied()
    }
}

/// The types of all tensors: of inputs and constants as stated, of nodes by their operator.
pub fn of(network: &Network) -> Types {
    let mut types = Types(HashMap::new());
    for input in &network.graph().input {
        if let Some(kind) = stated(input) {
            types.0.insert(input.name.clone(), kind);
        }
    }
    for node in network.nodes() {
        for (index, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            if let Some(kind) = made(network, &types, node, index) {
                types.0.insert(name.clone(), kind);
            }
        }
    }
    // What no operator's rule gives, the file states of outputs.
    for output in &network.graph().output {
        if let Some(kind) = stated(output).filter(|&kind| kind != DataType::Undefined) {
            types.0.entry(output.name.clone()).or_insert(kind);
        }
    }
    types
}

fn stated(input: &ValueInfoProto) -> Option<DataType> {
    let Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
    DataType::try_from(tensor.elem_type).ok()
}

fn made(network: &Network, types: &Types, node: &NodeProto, index: usize) -> Option<DataType> {
    let of = |index: usize| {
        let name = node.input.get(index)?;
        let constant = || network.constant(name).and_then(|constant| DataType::try_from(constant.data_type).ok());
        types.0.get(name).copied().or_else(constant)
    };
    match node.op_type.as_str() {
        "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" | "NonMaxSuppression" => Some(DataType::Int64),
        "TopK" if index == 1 => Some(DataType::Int64),
        "MaxPool" if index == 1 => Some(DataType::Int64),
        "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Not" | "Xor" | "IsNaN"
        | "IsInf" => Some(DataType::Bool),
        "Cast" => DataType::try_from(node.int("to", 1) as i32).ok(),
        "Constant" => {
            let value = node.attribute("value").and_then(|attribute| attribute.t.as_ref());
            value.and_then(|tensor| DataType::try_from(tensor.data_type).ok())
        }
        "ConstantOfShape" => match node.attribute("value").and_then(|attribute| attribute.t.as_ref()) {
            Some(tensor) => DataType::try_from(tensor.data_type).ok(),
            None => Some(DataType::Float),
        },
        "Where" => of(1),
        "DequantizeLinear" => Some(DataType::Float),
        "QuantizeLinear" | "DynamicQuantizeLinear" => None,
        "If" => {
            let branch = node.attribute("then_branch").and_then(|attribute| attribute.g.as_ref())?;
            stated(branch.output.get(index)?).filter(|&kind| kind != DataType::Undefined)
        }
        "MatMulIntegerToFloat" | "DynamicQuantizeMatMul" => Some(DataType::Float),
        "FusedMatMul"
        | "TransposeMatMul"
        | "BiasGelu"
        | "FastGelu"
        | "Gelu"
        | "QuickGelu"
        | "MatMulNBits"
        | "SkipLayerNormalization"
        | "SkipSimplifiedLayerNormalization" => of(0),
        "Loop" | "Scan" | "SequenceAt" | "Optional" => None,
        _ if node.domain.is_empty() || node.domain == "ai.onnx" => of(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, node, open_input};
    use prost::Message;
    use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, OperatorSetIdProto};

    #[test]
    fn types_behind_operators_of_extensions_and_branches() {
        let branch = GraphProto {
            node: vec![node("Relu", "r", &["m"], &["r"], Vec::new())],
            output: vec![open_input("r", 2)],
            ..Default::default()
        };
        let attribute =
            |name: &str| AttributeProto { name: name.into(), g: Some(branch.clone()), ..Default::default() };
        let mut product = node("FusedMatMul", "m", &["x", "x"], &["m"], Vec::new());
        product.domain = "com.microsoft".into();
        let choice = node("If", "c", &["truth"], &["y"], vec![attribute("then_branch"), attribute("else_branch")]);
        let looped = node("Loop", "l", &["x"], &["z"], Vec::new());
        let graph = GraphProto {
            node: vec![product, choice, looped],
            input: vec![open_input("x", 2), ValueInfoProto { name: "truth".into(), ..Default::default() }],
            output: vec![open_input("y", 2), open_input("z", 2)],
            ..Default::default()
        };
        let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
        let model = ModelProto { graph: Some(graph), opset_import, ..Default::default() };
        let types = of(&Network::parse(&model.encode_to_vec()).unwrap());
        for name in ["m", "y", "z"] {
            assert!(types.is_float(name), "{name}");
        }
    }
}
