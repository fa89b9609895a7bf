//! Models whose types, shapes or ranges contradict an operator, or that ask for more memory than any network takes: each is
//! refused with a line that names the node.

use super::tests::{bytes, constant, floats, graph, input, model, node, refused, with_int};
use crate::{Model, Session};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

pub(super) fn with_ints(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    node.attribute.push(AttributeProto { name: name.into(), ints: ints.to_vec(), r#type: 7, ..Default::default() });
    node
}

pub(super) fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

/// The sound model with a node between the convolution and its quantization.
pub(super) fn between(node: NodeProto, constants: Vec<TensorProto>) -> ModelProto {
    let mut model = model();
    graph(&mut model).node[3].input[0].clone_from(&node.output[0]);
    graph(&mut model).node.push(node);
    graph(&mut model).initializer.extend(constants);
    model
}

#[test]
fn quantizing_what_is_no_float() {
    for data_type in [DataType::Uint8, DataType::Int8, DataType::Int32, DataType::Int64] {
        let mut model = model();
        graph(&mut model).node = vec![node("QuantizeLinear", &["x", "y_scale", "x_zero"], "y")];
        graph(&mut model).input = vec![input("x", data_type, &[1, 2, 2, 2])];
        refused(model, &["node QuantizeLinear of output \"y\"", "which it does not take"]);
    }
}

#[test]
fn dequantizing_what_is_not_quantized() {
    for data_type in [DataType::Int64, DataType::Float] {
        let mut model = model();
        graph(&mut model).node = vec![node("DequantizeLinear", &["x", "x_scale"], "y")];
        graph(&mut model).input = vec![input("x", data_type, &[1, 2, 2, 2])];
        refused(model, &["node DequantizeLinear of output \"y\""]);
    }
}

#[test]
fn zero_points_of_another_type() {
    for name in ["x_zero", "w_zero"] {
        let mut other = model();
        let data_type = if name == "x_zero" { DataType::Int8 } else { DataType::Uint8 };
        *constant(&mut other, name) = bytes(name, &[], data_type, &[3]);
        refused(other, &["DequantizeLinear", &format!("zero point \"{name}\" is of type")]);
    }
}

#[test]
fn operands_of_qlinear_ops() {
    let inputs = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "x_zero", "bias"];
    let with = |name: &str, tensor: TensorProto| {
        let mut model = model();
        graph(&mut model).node = vec![node("QLinearConv", &inputs, "y")];
        graph(&mut model).initializer.push(bytes("bias", &[1], DataType::Int32, &[1, 0, 0, 0]));
        *constant(&mut model, name) = tensor;
        model
    };
    assert!(Model::from_proto(with("w_zero", bytes("w_zero", &[1], DataType::Int8, &[0]))).plan(&[]).is_ok());
    let cases = [
        ("bias", floats("bias", &[1], &[1.0]), "its bias must be a constant of type i32"),
        ("bias", bytes("bias", &[2], DataType::Int32, &[0; 8]), "its bias has 2 numbers for 1 outputs"),
        ("y_scale", floats("y_scale", &[2], &[0.5, 0.5]), "2 scales"),
        ("w_zero", bytes("w_zero", &[2], DataType::Int8, &[0, 0]), "zero points are not as many"),
        ("w_zero", floats("w_zero", &[], &[0.0]), "is of type f32"),
        ("x_zero", bytes("x_zero", &[2], DataType::Uint8, &[0, 0]), "zero points are not as many"),
        ("x_scale", floats("x_scale", &[2], &[0.5, 0.5]), "not quantized for the whole tensor"),
    ];
    for (name, tensor, part) in cases {
        refused(with(name, tensor), &["node QLinearConv of output \"y\"", part]);
    }
}

#[test]
fn attributes_out_of_range() {
    let conv = |name: &str, ints: &[i64]| {
        let mut model = model();
        let conv = graph(&mut model).node[2].clone();
        graph(&mut model).node[2] = with_ints(conv, name, ints);
        model
    };
    for (name, ints) in [
        ("strides", vec![0, 1]),
        ("strides", vec![-1, 1]),
        ("dilations", vec![0, 0]),
        ("dilations", vec![1, 1 << 40]),
        ("pads", vec![1 << 31, 0, 0, 0]),
        ("pads", vec![-1, 0, 0, 0]),
        ("pads", vec![1, 1]),
    ] {
        refused(conv(name, &ints), &["node Conv of output \"yf\""]);
    }
    for group in [0, -1, 3, i64::MAX] {
        let mut model = model();
        let conv = graph(&mut model).node[2].clone();
        graph(&mut model).node[2] = with_int(conv, "group", group);
        refused(model, &["node Conv of output \"yf\"", "group"]);
    }
    for (op, name, value) in [
        ("DepthToSpace", "blocksize", 1 << 32),
        ("DepthToSpace", "blocksize", -2),
        ("SpaceToDepth", "blocksize", 0),
        ("Softmax", "axis", 4),
        ("Flatten", "axis", -9),
    ] {
        refused(between(with_int(node(op, &["yf"], "z"), name, value), vec![]), &[op]);
    }
    for perm in [vec![0, 0, 1, 2], vec![0, 1, 2], vec![0, 1, 2, 7]] {
        refused(between(with_ints(node("Transpose", &["yf"], "z"), "perm", &perm), vec![]), &["Transpose"]);
    }
    let pool = with_ints(with_ints(node("MaxPool", &["yf"], "z"), "kernel_shape", &[1, 1]), "pads", &[1, 1, 1, 1]);
    refused(between(pool, vec![]), &["node MaxPool", "must be smaller than the window"]);
}

#[test]
fn outputs_that_no_memory_holds() {
    let huge = 1i64 << 40;
    let cases = [
        (node("Pad", &["yf", "n"], "z"), integers("n", &[0, 0, 1 << 31, 0, 0, 0, 0, 0])),
        (node("Expand", &["yf", "n"], "z"), integers("n", &[1, huge, 2, 2])),
        (node("Tile", &["yf", "n"], "z"), integers("n", &[1, huge, 1, 1])),
        (node("Reshape", &["yf", "n"], "z"), integers("n", &[1, huge, 2, 2])),
        (node("ConstantOfShape", &["n"], "z"), integers("n", &[huge, huge])),
        (node("Resize", &["yf", "", "n"], "z"), floats("n", &[4], &[1.0, 1.0, f32::NAN, 1.0])),
        (node("Resize", &["yf", "", "n"], "z"), floats("n", &[4], &[1.0, 1e20, 1.0, 1.0])),
    ];
    for (node, constant) in cases {
        let op = node.op_type.clone();
        refused(between(node, vec![constant]), &[&format!("node {op} of output \"z\"")]);
    }
}

/// Found by fuzzing: tract read behind the shorter side, other bytes in each run.
#[test]
fn a_product_of_sides_that_do_not_fit() {
    let product = |shape: &[i64]| {
        let mut model = model();
        model.opset_import.push(OperatorSetIdProto { domain: "com.microsoft".into(), version: 1 });
        let mut node = node("MatMulNBits", &["x", "w", "scales"], "y");
        node.domain = "com.microsoft".into();
        for (name, value) in [("K", 32), ("N", 8), ("bits", 4), ("block_size", 16)] {
            node = with_int(node, name, value);
        }
        let graph = graph(&mut model);
        graph.node = vec![node];
        graph.input = vec![input("x", DataType::Float, shape)];
        graph.initializer =
            vec![bytes("w", &[8, 2, 8], DataType::Uint8, &[0x5A; 128]), floats("scales", &[16], &[0.5; 16])];
        model
    };
    Model::from_proto(product(&[1, 8, 32])).plan(&[]).unwrap();
    for depth in [1, 31, 33, 40] {
        refused(product(&[1, 8, depth]), &["a product sums over dimensions"]);
    }
    // Of a scalar tract counted the dimensions from -1 on, and took memory until none was left.
    refused(product(&[]), &["an input of rank 0, at least 1 is needed"]);
}

#[test]
fn a_name_that_stands_twice() {
    let mut model = model();
    let again = node("Relu", &["xf"], "yf");
    graph(&mut model).node.push(again);
    refused(model, &["\"yf\" is the name of another tensor, too"]);
}

/// Every number that a model states is changed in turn: loading and running end with a result or an error. A panic of the
/// engine's own kernels would fail this test.
#[test]
fn any_one_number_changed() {
    let values = [0, 1, 2, 3, 7, 255, -1, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
    let sound = model();
    let run = |model: ModelProto| {
        let Ok(plan) = Model::from_proto(model).plan(&[]) else { return };
        if let Ok(mut session) = Session::new(Arc::new(plan)) {
            let _ = session.run();
        }
    };
    for &value in &values {
        for tensor in 0..sound.graph.as_ref().map_or(0, |graph| graph.initializer.len()) {
            let mut typed = sound.clone();
            graph(&mut typed).initializer[tensor].data_type = value as i32;
            run(typed);
            let mut shaped = sound.clone();
            graph(&mut shaped).initializer[tensor].dims = vec![value; 1 + (value.unsigned_abs() % 3) as usize];
            run(shaped);
        }
        for at in 0..4 {
            for (name, len) in [("strides", 2), ("dilations", 2), ("pads", 4), ("kernel_shape", 2)] {
                let mut model = sound.clone();
                let mut ints = vec![1; len];
                ints[at % len] = value;
                let conv = graph(&mut model).node[2].clone();
                graph(&mut model).node[2] = with_ints(conv, name, &ints);
                run(model);
            }
            let mut model = sound.clone();
            let axis = graph(&mut model).node[at].clone();
            graph(&mut model).node[at] = with_int(with_int(axis, "axis", value), "group", value);
            run(model);
        }
    }
}

/// A model without anything quantized.
fn float_only(nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
    let mut model = model();
    graph(&mut model).node = vec![node("Relu", &["x"], "yf")];
    graph(&mut model).node.extend(nodes);
    graph(&mut model).initializer = constants;
    graph(&mut model).input = vec![input("x", DataType::Float, &[1, 2, 2, 2])];
    graph(&mut model).output = vec![input("z", DataType::Float, &[])];
    model
}

#[test]
fn float_models_that_ask_for_more_than_memory_holds() {
    let huge = 1i64 << 40;
    let pads = [0, 0, 1 << 31, 0, 0, 0, 0, 0];
    let range = || vec![floats("a", &[], &[0.0]), floats("b", &[], &[1e15]), floats("c", &[], &[1.0])];
    let cases = [
        (vec![node("ConstantOfShape", &["n"], "z")], vec![integers("n", &[huge, huge])]),
        (vec![node("ConstantOfShape", &["n"], "z")], vec![integers("n", &[1 << 30])]),
        (vec![node("Expand", &["yf", "n"], "z")], vec![integers("n", &[huge, 2, 2, 2])]),
        (vec![node("Tile", &["yf", "n"], "z")], vec![integers("n", &[1, huge, 1, 1])]),
        (vec![node("Range", &["a", "b", "c"], "z")], range()),
        (vec![node("Pad", &["yf", "n"], "z")], vec![integers("n", &pads)]),
        (vec![node("Resize", &["yf", "", "n"], "z")], vec![floats("n", &[4], &[1.0, 1e20, 1.0, 1.0])]),
        // The size comes from other constants.
        (
            vec![node("Mul", &["m", "m"], "n"), node("ConstantOfShape", &["n"], "z")],
            vec![integers("m", &[1 << 20, 1 << 20])],
        ),
        // A node that is not imported stands before it.
        (
            vec![
                node("Greater", &["yf", "yf"], "g"),
                node("Where", &["g", "yf", "yf"], "w"),
                node("ConstantOfShape", &["n"], "c"),
                node("Add", &["w", "c"], "z"),
            ],
            vec![integers("n", &[huge])],
        ),
    ];
    for (nodes, constants) in cases {
        let op = nodes.iter().map(|node| node.op_type.as_str()).find(|op| !["Mul", "Greater", "Where"].contains(op));
        refused(float_only(nodes.clone(), constants), &[&format!("node {} of output", op.unwrap()), "tensor"]);
    }
    // Many that are not too large by themselves.
    let many: Vec<NodeProto> = (0..64).map(|i| node("ConstantOfShape", &["n"], &format!("c{i}"))).collect();
    let model = float_only([many, vec![node("Add", &["yf", "c0"], "z")]].concat(), vec![integers("n", &[1 << 20])]);
    let error = Model::from_proto(model.clone()).within(32 << 20, "the budget").plan(&[]).err().unwrap().to_string();
    assert!(error.contains("constants computed up to here take") && error.contains("33554432 are allowed"), "{error}");
    // A sound one is run.
    let sound = float_only(vec![node("Expand", &["yf", "n"], "z")], vec![integers("n", &[3, 2, 2, 2])]);
    assert_eq!(Model::from_proto(sound).plan(&[]).unwrap().outputs()[0].shape, [3, 2, 2, 2]);
}

#[test]
fn a_plan_beyond_the_limit_is_refused_before_its_arena_is_made() {
    let mut large = model();
    graph(&mut large).input = vec![input("x", DataType::Uint8, &[1, 2, 4096, 4096])];
    graph(&mut large).output = vec![input("y", DataType::Uint8, &[1, 1, 4096, 4096])];
    let plan = |bytes: u64| Model::from_proto(large.clone()).within(bytes, "the budget").plan(&[]);
    let error = plan(32 << 20).err().unwrap().to_string();
    assert!(error.contains("the budget is 32.0 MiB, but it takes"), "{error}");
    assert!(!error.contains('\n'));
    assert!(plan(256 << 20).is_ok());
}
