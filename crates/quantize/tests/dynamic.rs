//! Weights as bytes without samples: what is written, that the engine runs it, and how near it is to the floats.

use lineside_engine::Tensor;
use lineside_quantize::{DynamicallyQuantized, compare, quantize_dynamic};
use prost::Message;
use std::collections::HashSet;
use std::path::Path;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

const WIDTH: usize = 32;
const ROWS: usize = 200;

fn small() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/small.onnx")).unwrap()
}

/// Numbers around zero, another row for each seed.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn constant(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (name, data_type) = (name.into(), DataType::Float as i32);
    TensorProto { name, dims: dims.to_vec(), data_type, raw_data, ..TensorProto::default() }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    let input = inputs.iter().map(|&name| name.into()).collect();
    NodeProto { op_type: op.into(), name: output.into(), input, output: vec![output.into()], ..NodeProto::default() }
}

fn value(name: &str, kind: DataType, rank: usize) -> ValueInfoProto {
    let shape = Some(TensorShapeProto { dim: vec![Default::default(); rank] });
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.into(), r#type, ..ValueInfoProto::default() }
}

/// Words by their numbers, looked up, and two products of what was found, of which one has a bias and its weights turned.
fn text() -> ModelProto {
    // Rows of very different size: one scale for all would lose the small ones.
    let table: Vec<f32> = numbers(ROWS * WIDTH, 1)
        .iter()
        .enumerate()
        .map(|(at, v)| v * 0.1 * 1.01f32.powi((at / WIDTH) as i32))
        .collect();
    let mut turned = node("Gemm", &["hidden", "last.weight", "last.bias"], "last");
    turned.attribute.push(AttributeProto { name: "transB".into(), r#type: 2, i: 1, ..AttributeProto::default() });
    let width = WIDTH as i64;
    let graph = GraphProto {
        name: "text".into(),
        node: vec![
            node("Gather", &["table", "words"], "found"),
            node("MatMul", &["found", "first.weight"], "first"),
            node("Tanh", &["first"], "hidden"),
            turned,
        ],
        initializer: vec![
            constant("table", &[ROWS as i64, width], &table),
            constant("first.weight", &[width, width], &numbers(WIDTH * WIDTH, 2)),
            constant("last.weight", &[10, width], &numbers(10 * WIDTH, 3)),
            constant("last.bias", &[10], &numbers(10, 4)),
        ],
        input: vec![value("words", DataType::Int64, 1)],
        output: vec![value("last", DataType::Float, 2)],
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
    ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
}

fn quantized(bytes: &[u8], keep: &[&str]) -> DynamicallyQuantized {
    quantize_dynamic(bytes, &keep.iter().map(|name| (*name).to_string()).collect()).unwrap()
}

fn operators(bytes: &[u8]) -> Vec<String> {
    ModelProto::decode(bytes).unwrap().graph.unwrap().node.into_iter().map(|node| node.op_type).collect()
}

fn db(a: &[u8], b: &[u8], mut samples: Vec<Vec<Tensor>>) -> f64 {
    compare([a, b], &mut samples, None, 1, &mut |_, _| Ok(())).unwrap().outputs[0].sqnr_db.unwrap()
}

#[test]
fn tables_and_products_are_bytes_and_near_the_floats() {
    let model = text().encode_to_vec();
    let done = quantized(&model, &[]);
    assert_eq!(done.report.layers, ["first", "last"]);
    assert_eq!(done.report.tables, ["table"]);
    assert!(done.report.left.is_empty(), "{:?}", done.report.left);
    assert!(done.bytes.len() * 5 < model.len() * 2, "{} of {}", done.bytes.len(), model.len());
    let found = operators(&done.bytes);
    assert_eq!(found.iter().filter(|op| *op == "MatMulInteger").count(), 2, "{found:?}");
    let words = |first: usize| {
        let numbers: Vec<i64> = (0..12).map(|at| ((first + at * 17) % ROWS) as i64).collect();
        vec![Tensor::new(vec![12], numbers).unwrap()]
    };
    let db = db(&model, &done.bytes, (0..20).map(words).collect());
    assert!(db > 30.0, "{db} dB");
}

#[test]
fn convolutions_of_any_groups_are_bytes_and_near_the_floats() {
    let done = quantized(&small(), &[]);
    assert_eq!((done.report.layers.len(), done.report.left.len()), (6, 0), "{:?}", done.report);
    assert!(operators(&done.bytes).iter().any(|op| op == "ConvInteger"));
    let sample = |seed| vec![Tensor::new(vec![1, 3, 32, 32], numbers(3 * 32 * 32, seed)).unwrap()];
    let db = db(&small(), &done.bytes, (1..9).map(sample).collect());
    assert!(db > 30.0, "{db} dB");
}

#[test]
fn what_is_kept_or_cannot_be_bytes_is_named() {
    let done = quantized(&text().encode_to_vec(), &["first", "Gather", "nothing"]);
    assert_eq!(done.report.left, [("first".to_string(), "kept by request".to_string())]);
    assert_eq!((done.report.layers, done.report.tables.len()), (vec!["last".to_string()], 0));
    assert_eq!(done.report.unknown_keep, ["nothing"]);
    let mut product = text();
    let graph = product.graph.as_mut().unwrap();
    graph.node.insert(2, node("MatMul", &["first", "first"], "both"));
    graph.node[3].input[0] = "both".into();
    let left = quantized(&product.encode_to_vec(), &[]).report.left;
    assert_eq!(left, [("both".to_string(), "both its operands come from the network".to_string())]);
}

#[test]
fn a_table_that_something_else_takes_stays() {
    let mut shared = text();
    shared.graph.as_mut().unwrap().output.push(value("table", DataType::Float, 2));
    assert!(quantized(&shared.encode_to_vec(), &[]).report.tables.is_empty());
}

#[test]
fn what_cannot_be_quantized_is_refused_in_one_line() {
    let refused = |bytes: &[u8]| quantize_dynamic(bytes, &HashSet::new()).unwrap_err().to_string();
    assert!(refused(&quantized(&text().encode_to_vec(), &[]).bytes).contains("quantized already"));
    for (constant, message) in [(0, "the table \"table\" holds NaN"), (1, "node \"first\" hold NaN")] {
        let mut strange = text();
        let raw = &mut strange.graph.as_mut().unwrap().initializer[constant].raw_data;
        raw[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        let found = refused(&strange.encode_to_vec());
        assert!(found.contains(message), "{found}");
    }
    let mut nothing = text();
    let graph = nothing.graph.as_mut().unwrap();
    (graph.node, graph.input) = (vec![node("Relu", &["words"], "last")], vec![value("words", DataType::Float, 1)]);
    assert!(refused(&nothing.encode_to_vec()).contains("has constant weights"));
}
