//! What the engine has no op for: one node in a model of its own, run by tract. Nodes whose inputs are all known are
//! run here, once.

use super::onnx::Attributes;
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{ForeignOp, Node, Op};
use crate::tract::{Constant, Island, constant, run_constants, single_node};
use std::sync::Arc;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{IntoArcTensor, tensor0, tensor1};

/// The ops that are left to tract: those for which it gives what ONNX's own node tests expect (docs/operators.md). Of others it
/// has given wrong numbers without a word, so that no op runs there which nobody has compared.
const ISLANDS: [&str; 27] = [
    "AveragePool",
    "Clip",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "DFT",
    "Einsum",
    "EyeLike",
    "GatherND",
    "GridSample",
    "Hardmax",
    "LRN",
    "LayerNormalization",
    "LpNormalization",
    "MaxPool",
    "MeanVarianceNormalization",
    "Pow",
    "ReduceSum",
    "Resize",
    "RotaryEmbedding",
    "STFT",
    "Scatter",
    "ScatterElements",
    "ScatterND",
    "Trilu",
    "Upsample",
    "DequantizeLinear",
];

/// As [`ISLANDS`], in the domain `com.microsoft`: compared with ONNX Runtime.
const CONTRIBUTED: [&str; 2] = ["FastGelu", "MatMulNBits"];

/// What tract computes at load, where all inputs are known.
const FOLDED: [&str; 36] = [
    "Add",
    "And",
    "Cast",
    "Clip",
    "Concat",
    "ConstantOfShape",
    "DequantizeLinear",
    "Div",
    "Equal",
    "Expand",
    "Flatten",
    "Gather",
    "Greater",
    "Less",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "NonZero",
    "Not",
    "Or",
    "Pad",
    "Pow",
    "Range",
    "ReduceSum",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Sub",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
    "Identity",
];

/// Ops of which nobody knows how many elements they give before they have run.
const OF_ANY_SIZE: [&str; 6] = ["Unique", "Compress", "Range", "ConstantOfShape", "Loop", "Scan"];

/// Whether tract may run the op; `constant`: once, at load.
fn is_proven(node: &NodeProto, constant: bool) -> bool {
    let op = node.op_type.as_str();
    match node.domain.as_str() {
        "" | "ai.onnx" => ISLANDS.contains(&op) || (constant && FOLDED.contains(&op)),
        "com.microsoft" => CONTRIBUTED.contains(&op) || (constant && FOLDED.contains(&op)),
        _ => false,
    }
}

impl<'a> Importer<'a> {
    pub(super) fn constant_node(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let tensor = match node.attribute("value").and_then(|a| a.t.as_ref()) {
            Some(proto) => {
                self.note_bits(node.output.first().map_or("", String::as_str), proto);
                constant(proto)?
            }
            None => match (node.attribute("value_float"), node.attribute("value_int"), node.attribute("value_ints")) {
                (Some(a), _, _) => tensor0(a.f),
                (_, Some(a), _) => tensor0(a.i),
                (_, _, Some(a)) => tensor1(&a.ints),
                _ => match node.attribute("value_floats") {
                    Some(a) => tensor1(&a.floats),
                    None => return Err("a constant of an unusual type".into()),
                },
            },
        };
        self.done(node, Binding::Constant(Arc::new(tensor)))
    }

    /// Runs a node through tract: now where its inputs are known, in the graph otherwise.
    pub(super) fn island(&mut self, node: &'a NodeProto) -> Imported<()> {
        let mut constants: Vec<(String, Constant)> = Vec::new();
        let mut inputs = Vec::new();
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            match self.get(name)? {
                Binding::Constant(constant) => constants.push((name.clone(), constant)),
                held => {
                    let id = self.compute(&held)?;
                    if !inputs.iter().any(|(known, _)| known == name) {
                        inputs.push((name.clone(), id));
                    }
                }
            }
        }
        if !is_proven(node, inputs.is_empty()) {
            if OF_ANY_SIZE.contains(&node.op_type.as_str()) {
                return Err("its output's shape depends on the values of its input, and plans have fixed shapes: end the model \
                            before it"
                    .into());
            }
            let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
            return Err(format!(
                "this op of {domain} is not among those that can be run in this form (docs/operators.md)"
            )
            .into());
        }
        // tract knows no Upsample, and takes the nearest pixel by the rule of later opsets.
        let nearest = node.text("mode", "nearest") == "nearest";
        if node.op_type == "Upsample" || (node.op_type == "Resize" && self.opset < 11 && nearest) {
            return Err("before opset 11 only pictures [N, C, H, W] are resized, by constant factors of height and width, to the \
                        nearest pixel or linearly: export the model with opset 11 or later"
                .into());
        }
        let facts: Vec<(String, ElementKind, Vec<usize>)> = inputs
            .iter()
            .map(|(name, id)| (name.clone(), self.graph.values[*id].kind, self.graph.values[*id].shape.clone()))
            .collect();
        let typed = single_node(node, self.proto, &constants, &facts)?;
        if inputs.is_empty() {
            for (index, value) in run_constants(typed)?.into_iter().enumerate() {
                self.add_computed(&value)?;
                self.give(node, index, Binding::Constant(value.into_arc_tensor()));
            }
            return Ok(());
        }
        let island = Island::new(typed)?;
        let outputs = island
            .outputs()
            .iter()
            .map(|(kind, shape)| self.new_value(&name_of(node), *kind, shape))
            .collect::<Imported<Vec<_>>>()?;
        for (index, &id) in outputs.iter().enumerate() {
            self.give(node, index, Binding::Value(id));
        }
        let inputs = inputs.into_iter().map(|(_, id)| id).collect();
        self.graph.nodes.push(Node { name: name_of(node), op: Op::Island(Box::new(island)), inputs, outputs });
        Ok(())
    }
}
