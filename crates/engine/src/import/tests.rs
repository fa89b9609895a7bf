//! Models that are wrong in one place, made from parts, and what is said about them.

use super::hostile::integers;
use crate::{Model, Session};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use tract_onnx::prelude::Framework;

pub(super) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: values.to_vec(),
        ..Default::default()
    }
}

pub(super) fn bytes(name: &str, dims: &[i64], data_type: DataType, values: &[u8]) -> TensorProto {
    let (name, dims, raw_data) = (name.into(), dims.to_vec(), values.to_vec());
    TensorProto { name, dims, data_type: data_type as i32, raw_data, ..Default::default() }
}

pub(super) fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    }
}

pub(super) fn with_int(mut node: NodeProto, name: &str, value: i64) -> NodeProto {
    node.attribute.push(AttributeProto { name: name.into(), i: value, r#type: 2, ..Default::default() });
    node
}

pub(super) fn with_graph(mut node: NodeProto, name: &str, graph: GraphProto) -> NodeProto {
    node.attribute.push(AttributeProto { name: name.into(), g: Some(graph), r#type: 5, ..Default::default() });
    node
}

pub(super) fn input(name: &str, data_type: DataType, dims: &[i64]) -> ValueInfoProto {
    let dim = |&dim: &i64| Dimension { value: Some(dimension::Value::DimValue(dim)), ..Default::default() };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: data_type as i32, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() });
    ValueInfoProto { name: name.into(), r#type, ..Default::default() }
}

/// A quantized 1×1 convolution of two channels to one: `y = Q(Conv(DQ(x), DQ(w)))`.
pub(crate) fn model() -> ModelProto {
    let graph = GraphProto {
        node: vec![
            node("DequantizeLinear", &["x", "x_scale", "x_zero"], "xf"),
            node("DequantizeLinear", &["w", "w_scale", "w_zero"], "wf"),
            node("Conv", &["xf", "wf"], "yf"),
            node("QuantizeLinear", &["yf", "y_scale", "x_zero"], "y"),
        ],
        initializer: vec![
            floats("x_scale", &[], &[0.5]),
            bytes("x_zero", &[], DataType::Uint8, &[3]),
            bytes("w", &[1, 2, 1, 1], DataType::Int8, &[2, 255]),
            floats("w_scale", &[], &[0.25]),
            bytes("w_zero", &[], DataType::Int8, &[0]),
            floats("y_scale", &[], &[0.125]),
        ],
        input: vec![input("x", DataType::Uint8, &[1, 2, 2, 2])],
        output: vec![input("y", DataType::Uint8, &[1, 1, 2, 2])],
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
    ModelProto { graph: Some(graph), opset_import, ir_version: 8, ..Default::default() }
}

pub(super) fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

pub(super) fn constant<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut TensorProto {
    graph(model).initializer.iter_mut().find(|tensor| tensor.name == name).unwrap()
}

/// The error of planning, which must name every part.
pub(super) fn refused(model: ModelProto, parts: &[&str]) {
    let error = Model::from_proto(model).plan(&[]).err().expect("an error").to_string();
    for part in parts {
        assert!(error.contains(part), "\"{part}\" is not in: {error}");
    }
}

#[test]
fn the_sound_model_runs() {
    let plan = Model::from_proto(model()).plan(&[]).unwrap();
    assert_eq!((plan.integer_coverage(), plan.macs()), (1.0, 8));
    let mut session = Session::new(Arc::new(plan)).unwrap();
    session.input_mut::<u8>(0).unwrap().copy_from_slice(&[3, 4, 5, 255, 3, 3, 3, 0]);
    session.run().unwrap();
    // (2 (a - 3) - (b - 3)) * 0.5 * 0.25 / 0.125 + 3
    assert_eq!(session.output::<u8>(0).unwrap(), &[3, 5, 7, 255]);
}

#[test]
fn a_transposed_convolution_in_groups_has_its_zero_points_by_output_of_a_group() {
    let mut model = model();
    *graph(&mut model) = GraphProto {
        node: vec![
            node("DequantizeLinear", &["x", "x_scale", "x_zero"], "xf"),
            with_int(node("DequantizeLinear", &["w", "w_scale", "w_zero"], "wf"), "axis", 1),
            with_int(node("ConvTranspose", &["xf", "wf"], "yf"), "group", 2),
            node("QuantizeLinear", &["yf", "y_scale", "x_zero"], "y"),
        ],
        initializer: vec![
            floats("x_scale", &[], &[0.5]),
            bytes("x_zero", &[], DataType::Uint8, &[3]),
            bytes("w", &[2, 2, 1, 1], DataType::Int8, &[5, 7, 254, 9]),
            floats("w_scale", &[2], &[0.25, 0.5]),
            bytes("w_zero", &[2], DataType::Int8, &[1, 3]),
            floats("y_scale", &[], &[0.125]),
        ],
        input: vec![input("x", DataType::Uint8, &[1, 2, 1, 2])],
        output: vec![input("y", DataType::Uint8, &[1, 4, 1, 2])],
        ..Default::default()
    };
    for kernel in crate::kernel_names() {
        let plan = Model::from_proto(model.clone()).plan_with(&[], kernel).unwrap();
        let mut session = Session::new(Arc::new(plan)).unwrap();
        session.input_mut::<u8>(0).unwrap().copy_from_slice(&[4, 5, 2, 4]);
        session.run().unwrap();
        // (x - 3) * 0.5 * (w - zero) * scale / 0.125 + 3, with (w - zero) * scale of 4 * 0.25, 4 * 0.5, -3 * 0.25, 6 * 0.5.
        assert_eq!(session.output::<u8>(0).unwrap(), &[7, 11, 11, 19, 6, 0, 0, 15], "{kernel}");
    }
}

#[test]
fn half_way_between_two_pixels_is_half_way_whatever_the_division_by_the_scale_makes_of_it() {
    // What ONNX Runtime takes of 0, 1, 2 ...: of 13 pixels two, whose second one lies at 6.5, which is 6.4999995 in f32.
    let cases: [(i64, &[u8], &str, &str); 6] = [
        (13, &[0, 7], "asymmetric", "round_prefer_ceil"),
        (13, &[0, 6], "asymmetric", "round_prefer_floor"),
        (10, &[0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9], "asymmetric", "round_prefer_ceil"),
        (14, &[7], "half_pixel", "round_prefer_ceil"),
        (20, &[1, 5, 8, 11, 15, 18], "half_pixel", "round_prefer_ceil"),
        (21, &[0, 3, 7, 10, 14, 17], "asymmetric", "round_prefer_floor"),
    ];
    for (from, expected, place, rounding) in cases {
        let mut resize = node("Resize", &["x", "", "", "sizes"], "y");
        for (name, text) in [("mode", "nearest"), ("coordinate_transformation_mode", place), ("nearest_mode", rounding)]
        {
            let text = text.as_bytes().to_vec();
            resize.attribute.push(AttributeProto { name: name.into(), s: text, r#type: 3, ..Default::default() });
        }
        let sizes = vec![1, 1, 1, expected.len() as i64];
        let sizes = TensorProto { data_type: DataType::Int64 as i32, int64_data: sizes, ..floats("sizes", &[4], &[]) };
        let mut model = model();
        *graph(&mut model) = GraphProto {
            node: vec![resize],
            initializer: vec![sizes],
            input: vec![input("x", DataType::Uint8, &[1, 1, 1, from])],
            output: vec![input("y", DataType::Uint8, &[1, 1, 1, expected.len() as i64])],
            ..Default::default()
        };
        let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap();
        let pixels: Vec<u8> = (0..from as u8).collect();
        session.input_mut::<u8>(0).unwrap().copy_from_slice(&pixels);
        session.run().unwrap();
        assert_eq!(session.output::<u8>(0).unwrap(), expected, "{from} {place} {rounding}");
    }
}

#[test]
fn a_picture_is_mirrored_behind_a_pool() {
    // Channels last between the ops: a mirrored axis is as long as before, and is not the same memory for that.
    for (axis, expected) in [(3, [3, 2, 1, 6, 5, 4]), (2, [1, 2, 3, 4, 5, 6]), (1, [4, 5, 6, 1, 2, 3])] {
        let number = |name: &str, value: i64| TensorProto {
            data_type: DataType::Int64 as i32,
            int64_data: vec![value],
            ..floats(name, &[1], &[])
        };
        let mut pool = node("MaxPool", &["x"], "p");
        let sides = AttributeProto { name: "kernel_shape".into(), ints: vec![1, 1], r#type: 7, ..Default::default() };
        pool.attribute.push(sides);
        let mut model = model();
        *graph(&mut model) = GraphProto {
            node: vec![pool, node("Slice", &["p", "start", "end", "axis", "step"], "y")],
            initializer: vec![number("start", -1), number("end", -10), number("axis", axis), number("step", -1)],
            input: vec![input("x", DataType::Uint8, &[1, 2, 1, 3])],
            output: vec![input("y", DataType::Uint8, &[1, 2, 1, 3])],
            ..Default::default()
        };
        let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap();
        session.input_mut::<u8>(0).unwrap().copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        session.run().unwrap();
        assert_eq!(session.output::<u8>(0).unwrap(), expected, "axis {axis}");
    }
}

#[test]
fn a_softmax_in_small_steps_does_not_overflow() {
    // What ONNX Runtime makes of these.
    for (step, expected) in [(0.0007, [168, 214, 152, 146, 246, 251, 251]), (1.0 / 256.0, [30, 38, 27, 26, 44, 45, 45])]
    {
        let mut model = model();
        *graph(&mut model) = GraphProto {
            node: vec![
                node("DequantizeLinear", &["x", "x_scale", "x_zero"], "xf"),
                node("Softmax", &["xf"], "yf"),
                node("QuantizeLinear", &["yf", "y_scale", "y_zero"], "y"),
            ],
            initializer: vec![
                floats("x_scale", &[], &[0.02]),
                bytes("x_zero", &[], DataType::Uint8, &[255]),
                floats("y_scale", &[], &[step]),
                bytes("y_zero", &[], DataType::Uint8, &[0]),
            ],
            input: vec![input("x", DataType::Uint8, &[1, 7])],
            output: vec![input("y", DataType::Uint8, &[1, 7])],
            ..Default::default()
        };
        let plan = Model::from_proto(model).plan(&[]).unwrap();
        assert_eq!(plan.integer_coverage(), 1.0);
        let mut session = Session::new(Arc::new(plan)).unwrap();
        session.input_mut::<u8>(0).unwrap().copy_from_slice(&[235, 247, 230, 228, 254, 255, 255]);
        session.run().unwrap();
        assert_eq!(session.output::<u8>(0).unwrap(), expected, "{step}");
    }
}

#[test]
fn a_model_of_qlinear_ops_in_floats() {
    let mut model = model();
    let stored = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero", "y_scale", "x_zero", "bias"];
    graph(&mut model).node = vec![node("QLinearConv", &stored, "y")];
    let bias = TensorProto { data_type: DataType::Int32 as i32, int32_data: vec![8], ..floats("bias", &[1], &[]) };
    graph(&mut model).initializer.push(bias);
    let floats = Model::from_proto(model).in_floats().unwrap();
    let mut session = Session::new(Arc::new(floats.plan(&[]).unwrap())).unwrap();
    session.input_mut::<f32>(0).unwrap().copy_from_slice(&[0.0, 1.0, 2.0, 4.0, 0.0, 0.0, 4.0, 8.0]);
    session.run().unwrap();
    // 0.25 (2 a - b) + 8 * 0.5 * 0.25
    assert_eq!(session.output::<f32>(0).unwrap(), &[1.0, 1.5, 1.0, 1.0]);
}

#[test]
fn scales_that_are_no_scales() {
    for bad in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for name in ["x_scale", "w_scale", "y_scale"] {
            let mut model = model();
            constant(&mut model, name).float_data = vec![bad];
            refused(model, &["Linear of output", "a scale must be positive and finite", &bad.to_string()]);
        }
    }
}

#[test]
fn zero_points_and_scales_that_do_not_fit() {
    let mut two = model();
    *constant(&mut two, "x_zero") = bytes("x_zero", &[2], DataType::Uint8, &[3, 4]);
    refused(two, &["zero points are not as many as its scales"]);
    let mut float = model();
    *constant(&mut float, "w_zero") = floats("w_zero", &[], &[f32::NAN]);
    refused(float, &["Linear of output \"wf\"", "zero point \"w_zero\" is of type f32"]);
}

#[test]
fn shapes_that_overflow_or_do_not_fit() {
    let mut huge = model();
    graph(&mut huge).input = vec![input("x", DataType::Uint8, &[1, 2, i64::MAX / 2, 2])];
    refused(huge, &["too large"]);
    let mut channels = model();
    graph(&mut channels).input = vec![input("x", DataType::Uint8, &[1, 3, 2, 2])];
    refused(channels, &["node Conv of output \"yf\"", "do not fit 3 channels"]);
    let mut kernel = model();
    *constant(&mut kernel, "w") = bytes("w", &[1, 2, 3, 3], DataType::Int8, &[1; 18]);
    refused(kernel, &["node Conv of output \"yf\"", "a kernel that spans 3 does not fit an input of 2"]);
}

#[test]
fn a_cycle_and_a_dangling_edge() {
    let mut dangling = model();
    graph(&mut dangling).node[2].input[0] = "nowhere".into();
    refused(dangling, &["node Conv of output \"yf\"", "\"nowhere\" comes from nowhere, or from itself"]);
    let mut cycle = model();
    graph(&mut cycle).node[0].input[0] = "y".into();
    refused(cycle, &["comes from nowhere, or from itself"]);
    let mut output = model();
    graph(&mut output).output[0].name = "z".into();
    refused(output, &["output \"z\"", "comes from nowhere"]);
}

#[test]
fn more_weights_announced_than_there_are() {
    let mut tensor = bytes("w", &[1 << 31, 1], DataType::Int8, &[1, 2, 3]);
    let error = crate::tract::check_size(&tensor).unwrap_err();
    assert_eq!(error, "it announces 2147483648 bytes and holds 3");
    tensor.dims = vec![i64::MAX, 8];
    assert_eq!(crate::tract::check_size(&tensor).unwrap_err(), "its shape overflows");
    tensor.dims = vec![-1, 3];
    assert_eq!(crate::tract::check_size(&tensor).unwrap_err(), "its shape overflows");
    let mut model = model();
    constant(&mut model, "w").dims = vec![1, 2, 1 << 15, 1 << 15];
    refused(model, &["initializer \"w\"", "announces 2147483648 bytes and holds 2"]);
}

#[test]
fn an_op_that_nobody_knows_is_named() {
    let mut model = model();
    graph(&mut model).node[3].input[0] = "f".into();
    graph(&mut model).node.push(node("Frobnicate", &["yf"], "f"));
    refused(model, &["Frobnicate"]);
}

#[test]
fn an_op_without_an_integer_form_is_an_island_that_is_reported() {
    let mut model = model();
    graph(&mut model).node[3].input[0] = "f".into();
    graph(&mut model).node.push(with_int(node("Hardmax", &["yf"], "f"), "axis", 3));
    let plan = Model::from_proto(model).plan(&[]).unwrap();
    let island = plan.islands().next().unwrap();
    assert!(!island.in_integers && island.name == "f", "{island:?}");
    // tract counts what it multiplies in Hardmax; the convolution's eight stay in integers.
    assert_eq!(plan.ops().iter().filter(|op| op.in_integers).map(|op| op.macs).sum::<u64>(), 8);
    let mut session = Session::new(Arc::new(plan)).unwrap();
    session.run().unwrap();
}

/// A model of one node, from `x` to `y`.
pub(super) fn one_node(node: NodeProto, x: ValueInfoProto, constants: Vec<TensorProto>) -> ModelProto {
    let mut model = model();
    *graph(&mut model) = GraphProto {
        node: vec![node],
        initializer: constants,
        input: vec![x],
        output: vec![input("y", DataType::Undefined, &[])],
        ..Default::default()
    };
    model
}

#[test]
fn values_that_an_op_of_tract_cannot_take_are_an_error_of_the_run() {
    let scatter = node("ScatterElements", &["x", "places", "news"], "y");
    let constants = vec![integers("places", &[0, 7]), floats("news", &[2], &[1.0, 2.0])];
    let model = one_node(scatter, input("x", DataType::Float, &[3]), constants);
    let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap();
    let error = session.run().unwrap_err().to_string();
    assert!(error.contains("\"y\"") && error.contains("tract"), "{error}");
}

#[test]
fn unsigned_numbers_are_read_from_the_list_that_onnx_has_for_them() {
    let listed = |data_type: DataType, numbers: &[u64]| TensorProto {
        name: "n".into(),
        dims: vec![numbers.len() as i64],
        data_type: data_type as i32,
        uint64_data: numbers.to_vec(),
        ..Default::default()
    };
    for data_type in [DataType::Uint32, DataType::Uint64] {
        let numbers = [7, u32::MAX.into()];
        let add = node("Add", &["x", "n"], "y");
        let model = one_node(add, input("x", data_type, &[2]), vec![listed(data_type, &numbers)]);
        let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap();
        session.run().unwrap();
        let y = &session.outputs()[0];
        let found = y.values::<u64>().map(<[u64]>::to_vec);
        let found = found.unwrap_or_else(|| y.values::<u32>().unwrap().iter().map(|&n| n.into()).collect());
        assert_eq!(found, numbers);
    }
    let large = listed(DataType::Uint32, &[1 << 40]);
    let model = one_node(node("Add", &["x", "n"], "y"), input("x", DataType::Uint32, &[1]), vec![large]);
    refused(model, &["initializer \"n\"", "no number of 32 bits"]);
}

#[test]
fn a_sparse_constant_is_named() {
    use prost::Message;
    let mut model = model();
    let values = Some(floats("some", &[1], &[1.0]));
    graph(&mut model).sparse_initializer = vec![SparseTensorProto { values, indices: None, dims: vec![8] }];
    let error = Model::parse(&model.encode_to_vec()).err().unwrap().to_string();
    assert!(error.contains("\"some\" is sparse"), "{error}");
}

/// ONNX's own node tests whose expected outputs are not what ONNX Runtime computes: they wrap around where the operator
/// saturates (-236 is stored as 20), and one of them rounds in sixteen bits.
const WRAPPED: [&str; 4] = [
    "test_qlinearmatmul_2D_int8_float16",
    "test_qlinearmatmul_2D_int8_float32",
    "test_qlinearmatmul_3D_int8_float16",
    "test_qlinearmatmul_3D_int8_float32",
];

/// Node tests of ops in blocks along an axis, which no quantizer writes for networks of pictures.
const BLOCKED: [&str; 2] = ["test_dequantizelinear_blocked", "test_quantizelinear_blocked_asymmetric"];

/// The quantized node tests of ONNX 1.19.1: the first input is given at run time, the others are constants, as they are
/// in every model.
#[test]
fn node_tests_of_onnx() {
    use crate::{ElementKind, Tensor, npy};
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/networks/onnx-node");
    let array = |path: std::path::PathBuf| npy::read(&std::fs::read(path).unwrap()).unwrap();
    let mut passed = 0;
    let mut refused = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if !entry.path().is_dir() || WRAPPED.contains(&name.as_str()) || BLOCKED.contains(&name.as_str()) {
            continue;
        }
        let file = std::fs::read(entry.path().join("model.onnx")).unwrap();
        let mut proto = tract_onnx::onnx().proto_model_for_read(&mut &*file).unwrap();
        let given = std::mem::take(&mut graph(&mut proto).input);
        let mut first = None;
        for (i, input) in given.into_iter().enumerate() {
            let path = entry.path().join(format!("input_{i}.npy"));
            if i == 0 {
                first = Some(array(path));
                graph(&mut proto).input.push(input);
                continue;
            }
            let tensor = array(path);
            let dims: Vec<i64> = tensor.shape().iter().map(|&dim| dim as i64).collect();
            let constant = match tensor.kind() {
                ElementKind::U8 => bytes(&input.name, &dims, DataType::Uint8, tensor.values::<u8>().unwrap()),
                ElementKind::I8 => {
                    let values: Vec<u8> = tensor.values::<i8>().unwrap().iter().map(|&v| v as u8).collect();
                    bytes(&input.name, &dims, DataType::Int8, &values)
                }
                ElementKind::I32 => TensorProto {
                    name: input.name.clone(),
                    dims,
                    data_type: DataType::Int32 as i32,
                    int32_data: tensor.values::<i32>().unwrap().to_vec(),
                    ..Default::default()
                },
                // Scales in half precision.
                ElementKind::F16 => {
                    let values = tensor.values::<crate::f16>().unwrap().iter();
                    let halves: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
                    bytes(&input.name, &dims, DataType::Float16, &halves)
                }
                _ => floats(&input.name, &dims, tensor.values::<f32>().unwrap()),
            };
            graph(&mut proto).initializer.push(constant);
        }
        let first = first.unwrap();
        let plan = match Model::from_proto(proto).plan(&[first.shape().to_vec()]) {
            Ok(plan) => plan,
            Err(error) => {
                refused.push(format!("{name}: {error}"));
                continue;
            }
        };
        let mut session = Session::new(Arc::new(plan)).unwrap();
        session.set_input(0, first).unwrap();
        session.run().unwrap();
        for (i, output) in session.outputs().iter().enumerate() {
            let expected: Tensor = array(entry.path().join(format!("output_{i}.npy")));
            assert_eq!(output.largest_difference(&expected), Some(0.0), "{name} output {i}: {output:?} {expected:?}");
        }
        passed += 1;
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(passed, 18);
}

#[test]
fn a_network_without_products_is_in_integers_as_far_as_its_ops_are() {
    let share = |nodes: Vec<NodeProto>, data_type: DataType, output: &str| {
        let mut model = model();
        graph(&mut model).node = nodes;
        graph(&mut model).input = vec![input("x", data_type, &[1, 2, 2, 2])];
        graph(&mut model).output = vec![input(output, DataType::Undefined, &[])];
        let plan = Model::from_proto(model).plan(&[]).unwrap();
        assert_eq!(plan.macs(), 0);
        plan.integer_coverage()
    };
    let pool = with_int(node("GlobalMaxPool", &["x"], "y"), "unused", 0);
    assert_eq!(share(vec![pool.clone()], DataType::Uint8, "y"), 1.0);
    assert_eq!(
        share(vec![pool, node("DequantizeLinear", &["y", "x_scale", "x_zero"], "z")], DataType::Uint8, "z"),
        1.0
    );
    assert_eq!(share(vec![node("Exp", &["x"], "y")], DataType::Float, "y"), 0.0);
    assert_eq!(share(vec![node("Exp", &["x"], "y"), node("Transpose", &["y"], "z")], DataType::Float, "z"), 0.5);
}
