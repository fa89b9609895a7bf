//! Networks put together from nodes, and samples for them.

use lineside_engine::Tensor;
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    type_proto,
};

/// Numbers from -1 to 1, others for each seed.
pub fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn samples(shape: &[usize], count: u32) -> Vec<Vec<Tensor>> {
    let sample = |seed| vec![Tensor::new(shape.to_vec(), numbers(shape.iter().product(), seed)).unwrap()];
    (1..=count).map(sample).collect()
}

pub fn constant(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data,
        ..Default::default()
    }
}

/// A constant of numbers around 0.
pub fn weights(name: &str, dims: &[i64], seed: u32) -> TensorProto {
    constant(name, dims, &numbers(dims.iter().product::<i64>() as usize, seed))
}

pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |list: &[&str]| list.iter().map(|&name| name.into()).collect();
    NodeProto { op_type: op.into(), input: names(inputs), output: names(outputs), ..Default::default() }
}

pub fn value(name: &str, kind: DataType, rank: Option<usize>) -> ValueInfoProto {
    let shape = rank.map(|rank| TensorShapeProto { dim: vec![Default::default(); rank] });
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() });
    ValueInfoProto { name: name.into(), r#type, ..Default::default() }
}

/// A network of the input `x`, of so many dimensions, and the outputs `outputs`.
pub fn network(
    opset: i64,
    rank: usize,
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    outputs: &[(&str, DataType)],
) -> Vec<u8> {
    let graph = GraphProto {
        name: "network".into(),
        node,
        initializer,
        input: vec![value("x", DataType::Float, Some(rank))],
        output: outputs.iter().map(|(name, kind)| value(name, *kind, None)).collect(),
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: opset }];
    ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..Default::default() }.encode_to_vec()
}

pub fn graph(bytes: &[u8]) -> GraphProto {
    ModelProto::decode(bytes).unwrap().graph.unwrap()
}
