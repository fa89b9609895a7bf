//! What the engine has no op for: one node in a model of its own, run by tract. Nodes whose inputs are all known are
//! run here, once.

use super::onnx::{Attributes, Constant, datum_type, kind};
use super::{Held, Imported, Importer, Refused, Taken, name_of};
use crate::ElementKind;
use crate::float::Island;
use crate::graph::{Node, Op};
use crate::model::{constant_bytes, cost, guarded};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{SimplePlan, TypedFact};

/// Whether a tensor holds as many bytes as it announces: a small file must not make the loader ask for gigabytes.
pub fn check_size(proto: &TensorProto) -> Result<(), String> {
    if proto.data_location == Some(1) {
        return Err("its data lies in another file; only models in one file are read".into());
    }
    let mut dims = proto.dims.iter().map(|&dim| usize::try_from(dim).ok());
    let count = dims.try_fold(1usize, |count, dim| count.checked_mul(dim?)).ok_or("its shape overflows")?;
    let size = match DataType::try_from(proto.data_type) {
        Ok(DataType::Float | DataType::Int32 | DataType::Uint32) => 4,
        Ok(DataType::Int64 | DataType::Uint64 | DataType::Double) => 8,
        Ok(DataType::Int16 | DataType::Uint16 | DataType::Float16) => 2,
        Ok(DataType::Int8 | DataType::Uint8 | DataType::Bool) => 1,
        Ok(DataType::String) => return Ok(()),
        _ => return Err(format!("its elements have type {} of ONNX, which is not supported", proto.data_type)),
    };
    let listed = proto.float_data.len()
        + proto.int32_data.len()
        + proto.int64_data.len()
        + proto.double_data.len()
        + proto.uint64_data.len();
    let held = if proto.raw_data.is_empty() { listed.checked_mul(size) } else { Some(proto.raw_data.len()) };
    match (count.checked_mul(size), held) {
        (Some(announced), Some(held)) if announced == held => Ok(()),
        (announced, held) => Err(format!(
            "it announces {} bytes and holds {}",
            announced.map_or("too many".into(), |bytes| bytes.to_string()),
            held.unwrap_or(0)
        )),
    }
}

/// A tensor of the file.
pub fn constant(proto: &TensorProto) -> Result<Tensor, String> {
    check_size(proto)?;
    let provider = tract_onnx::data_resolver::MmapDataResolver;
    guarded(|| {
        let tensor = tract_onnx::tensor::load_tensor(&provider, proto, None)?;
        Ok(tensor)
    })
}

impl<'a> Importer<'a> {
    pub(super) fn constant_node(&mut self, node: &'a NodeProto) -> Imported<Taken> {
        let tensor = match node.attribute("value").and_then(|a| a.t.as_ref()) {
            Some(proto) => constant(proto)?,
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
        self.done(node, Held::Constant(Arc::new(tensor)))
    }

    /// Runs a node through tract: now where its inputs are known, in the graph otherwise.
    pub(super) fn island(&mut self, node: &'a NodeProto) -> Imported<()> {
        let mut constants: Vec<(String, Constant)> = Vec::new();
        let mut inputs = Vec::new();
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            match self.get(name)? {
                Held::Constant(constant) => constants.push((name.clone(), constant)),
                held => {
                    let id = self.compute(&held)?;
                    if !inputs.iter().any(|(known, _)| known == name) {
                        inputs.push((name.clone(), id));
                    }
                }
            }
        }
        let facts: Vec<(String, ElementKind, Vec<usize>)> = inputs
            .iter()
            .map(|(name, id)| (name.clone(), self.graph.values[*id].kind, self.graph.values[*id].shape.clone()))
            .collect();
        let beyond = |message: String| Refused { message, tract_may: true };
        let typed = single(node, self.proto, &constants, &facts).map_err(beyond)?;
        if inputs.is_empty() {
            let results = guarded(|| SimplePlan::new(typed.into_optimized()?)?.run(tvec!())).map_err(beyond)?;
            for (index, value) in results.into_iter().enumerate() {
                self.give(node, index, Held::Constant(value.into_arc_tensor()));
            }
            return Ok(());
        }
        let island = island(typed).map_err(beyond)?;
        let outputs = island
            .outputs
            .iter()
            .map(|(kind, shape)| self.new_value(&name_of(node), *kind, shape))
            .collect::<Imported<Vec<_>>>()?;
        for (index, &id) in outputs.iter().enumerate() {
            self.give(node, index, Held::Value(id));
        }
        let inputs = inputs.into_iter().map(|(_, id)| id).collect();
        self.graph.nodes.push(Node { name: name_of(node), op: Op::Island(Box::new(island)), inputs, outputs });
        Ok(())
    }
}

/// An input with its type.
fn declared(name: &str, datum_type: DatumType, shape: &[usize]) -> Result<ValueInfoProto, String> {
    let elem_type = match datum_type {
        DatumType::F32 => DataType::Float,
        DatumType::U8 => DataType::Uint8,
        DatumType::I8 => DataType::Int8,
        DatumType::U16 => DataType::Uint16,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 => DataType::Int32,
        DatumType::I64 => DataType::Int64,
        DatumType::Bool => DataType::Bool,
        DatumType::F16 => DataType::Float16,
        DatumType::F64 => DataType::Double,
        other => return Err(format!("\"{name}\" has the type {other:?}")),
    };
    let dim = |&dim: &usize| Dimension { value: Some(dimension::Value::DimValue(dim as i64)), ..Default::default() };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: elem_type as i32, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() });
    Ok(ValueInfoProto { name: name.to_owned(), r#type, ..Default::default() })
}

/// A typed model of one node.
fn single(
    node: &NodeProto,
    model: &ModelProto,
    constants: &[(String, Constant)],
    inputs: &[(String, ElementKind, Vec<usize>)],
) -> Result<TypedModel, String> {
    let mut alone = node.clone();
    alone.name = "node".into();
    let mut given = Vec::new();
    for (name, kind, shape) in inputs {
        given.push(declared(name, datum_type(*kind), shape)?);
    }
    for (name, constant) in constants {
        given.push(declared(name, constant.datum_type(), constant.shape())?);
    }
    let untyped = |name: &String| ValueInfoProto { name: name.clone(), ..Default::default() };
    let graph = GraphProto {
        node: vec![alone],
        input: given,
        output: node.output.iter().filter(|name| !name.is_empty()).map(untyped).collect(),
        ..Default::default()
    };
    let proto = ModelProto {
        graph: Some(graph),
        opset_import: model.opset_import.clone(),
        ir_version: model.ir_version,
        ..Default::default()
    };
    guarded(|| {
        let mut graph = tract_onnx::onnx().model_for_proto_model(&proto)?;
        for (i, (_, kind, shape)) in inputs.iter().enumerate() {
            graph.set_input_fact(i, InferenceFact::dt_shape(datum_type(*kind), shape))?;
        }
        for (i, (_, constant)) in constants.iter().enumerate() {
            graph.set_input_fact(inputs.len() + i, InferenceFact::from(TypedFact::try_from(Arc::clone(constant))?))?;
        }
        // Inputs that are known become constants, so that shapes that depend on them can be inferred.
        for (i, (_, constant)) in constants.iter().enumerate() {
            let outlet = graph.input_outlets()?[inputs.len() + i];
            graph.node_mut(outlet.node).op =
                Box::new(tract_onnx::tract_core::ops::konst::Const::new(Arc::clone(constant))?);
        }
        let kept: Vec<OutletId> = graph.input_outlets()?[..inputs.len()].to_vec();
        graph.set_input_outlets(&kept)?;
        for output in graph.output_outlets()?.to_vec() {
            graph.set_outlet_fact(output, InferenceFact::any())?;
        }
        graph.into_typed()?.into_decluttered()
    })
}

/// A runnable island of a typed model.
pub fn island(typed: TypedModel) -> Result<Island, String> {
    let mut outputs = Vec::new();
    for outlet in typed.output_outlets().map_err(|e| e.to_string())? {
        let fact = typed.outlet_fact(*outlet).map_err(|e| e.to_string())?;
        let shape = fact.shape.as_concrete().ok_or("an output's shape depends on the input's values")?;
        outputs.push((kind(fact.datum_type)?, shape.to_vec()));
    }
    let weights_bytes = constant_bytes(&typed);
    let (model, macs, arena_bytes) = guarded(|| {
        let plan = SimplePlan::new(typed.into_optimized()?)?;
        let (macs, arena_bytes) = cost(&plan)?;
        Ok((plan, macs, arena_bytes))
    })?;
    Ok(Island { model, outputs, macs, weights_bytes, arena_bytes })
}
