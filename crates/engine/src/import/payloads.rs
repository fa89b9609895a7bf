//! Large initializers: read when a node needs them, freed behind the last one.

use super::tests::{bytes, floats, graph, input, model, node, with_graph};
use super::{import, take_payload};
use crate::{ElementKind, Model, Session, Tensor};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

const SIDE: usize = 64;

/// Weights that are read by two nodes, by one of a branch, and as a table: more bytes than are read at once.
fn network() -> ModelProto {
    let side = SIDE as i64;
    let mut model = model();
    let weights = |seed: usize| (0..SIDE * SIDE).map(|i| (i * 31 % 251 + seed) as u8).collect::<Vec<u8>>();
    let branch = |name: &str| GraphProto {
        node: vec![
            node("DequantizeLinear", &["inner", "w_scale", "w_zero"], "inner_f"),
            node("MatMul", &["tf", "inner_f"], "chosen"),
        ],
        output: vec![input("chosen", DataType::Float, &[1, side])],
        name: name.into(),
        ..Default::default()
    };
    let choice =
        with_graph(with_graph(node("If", &["truth"], "zf"), "then_branch", branch("a")), "else_branch", branch("b"));
    *graph(&mut model) = GraphProto {
        node: vec![
            node("DequantizeLinear", &["w", "w_scale", "w_zero"], "wf"),
            node("DequantizeLinear", &["x", "x_scale", "x_zero"], "xf"),
            node("MatMul", &["xf", "wf"], "yf"),
            node("QuantizeLinear", &["yf", "y_scale", "x_zero"], "y"),
            node("DequantizeLinear", &["y", "y_scale", "x_zero"], "yd"),
            node("MatMul", &["yd", "wf"], "sf"),
            node("QuantizeLinear", &["sf", "s_scale", "x_zero"], "s"),
            node("DequantizeLinear", &["s", "s_scale", "x_zero"], "tf"),
            choice,
            node("QuantizeLinear", &["zf", "s_scale", "x_zero"], "z"),
            node("Gather", &["table", "places"], "rows"),
        ],
        initializer: vec![
            bytes("w", &[side, side], DataType::Int8, &weights(0)),
            bytes("inner", &[side, side], DataType::Int8, &weights(3)),
            bytes("table", &[side, side], DataType::Uint8, &weights(5)),
            bytes("nobody", &[side, side], DataType::Uint8, &weights(7)),
            bytes("truth", &[], DataType::Bool, &[1]),
            floats("x_scale", &[], &[0.5]),
            bytes("x_zero", &[], DataType::Uint8, &[3]),
            floats("w_scale", &[], &[0.25]),
            bytes("w_zero", &[], DataType::Int8, &[0]),
            floats("y_scale", &[], &[40.0]),
            floats("s_scale", &[], &[2000.0]),
        ],
        input: vec![input("x", DataType::Uint8, &[1, side]), input("places", DataType::Int64, &[2])],
        output: vec![
            input("z", DataType::Uint8, &[1, side]),
            input("rows", DataType::Uint8, &[2, side]),
            input("y", DataType::Uint8, &[1, side]),
        ],
        ..Default::default()
    };
    model
}

fn outputs(model: Model) -> Vec<Tensor> {
    let mut session = Session::new(Arc::new(model.plan(&[]).unwrap())).unwrap();
    session.input_mut::<u8>(0).unwrap().iter_mut().enumerate().for_each(|(i, x)| *x = (i * 7) as u8);
    session.input_mut::<i64>(1).unwrap().copy_from_slice(&[5, 63]);
    session.run().unwrap();
    session.outputs().to_vec()
}

/// The same, with all elements in lists: these are read at once, whatever their size.
fn in_lists(mut model: ModelProto) -> ModelProto {
    for tensor in &mut graph(&mut model).initializer {
        let signed = tensor.data_type == DataType::Int8 as i32;
        let number = |byte: &u8| if signed { i32::from(*byte as i8) } else { i32::from(*byte) };
        tensor.int32_data = std::mem::take(&mut tensor.raw_data).iter().map(number).collect();
    }
    model
}

#[test]
fn large_initializers_are_read_as_small_ones_are() {
    let large = Model::from_proto(network());
    let expected = outputs(Model::from_proto(in_lists(network())));
    // A clone can still be planned when the first plan has freed what it read.
    assert_eq!(outputs(large.clone()), expected);
    assert_eq!(outputs(large), expected);
    let different =
        |values: &Tensor| values.values::<u8>().is_some_and(|values| values.windows(2).any(|two| two[0] != two[1]));
    assert!(expected.iter().all(different), "{expected:?}");
}

#[test]
fn what_was_read_is_freed() {
    let mut model = network();
    let initializers =
        |model: &mut ModelProto| -> Vec<_> { graph(model).initializer.iter_mut().map(take_payload).collect() };
    let payloads = initializers(&mut model);
    let left = graph(&mut model).initializer.iter().filter(|tensor: &&TensorProto| tensor.raw_data.len() > 1024);
    assert_eq!(left.count(), 0);
    let seen: Vec<_> = payloads.iter().flatten().map(Arc::downgrade).collect();
    assert_eq!(seen.len(), 4);
    let inputs = [("x".into(), ElementKind::U8, vec![1, SIDE]), ("places".into(), ElementKind::I64, vec![2])];
    let graph = import(&model, payloads, &inputs, 1 << 30).unwrap_or_else(|refused| panic!("{}", refused.message));
    let counts: Vec<usize> = seen.iter().map(std::sync::Weak::strong_count).collect();
    // The table is in the graph itself, not a copy of it.
    assert_eq!(counts, [0, 0, 1, 0]);
    drop(graph);
    assert!(seen.iter().all(|payload| payload.strong_count() == 0));
}
