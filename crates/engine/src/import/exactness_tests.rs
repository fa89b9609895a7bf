//! What integers cannot hold goes to floats, and scales belong to the axis that the model states: against the numbers that the model
//! stands for.

use super::hostile::{between, with_ints};
use super::tests::{bytes, floats, graph, input, model, node, refused, with_int};
use crate::{Model, Session};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto, ValueInfoProto};

pub(super) fn network(
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    x: ValueInfoProto,
    output: Vec<ValueInfoProto>,
) -> ModelProto {
    let mut model = model();
    let graph = graph(&mut model);
    (graph.node, graph.input, graph.output) = (node, vec![x], output);
    graph.initializer.extend(initializer);
    model
}

/// The bytes that every kernel set gives of `x`.
pub(super) fn run(model: &ModelProto, x: &[u8]) -> Vec<u8> {
    let mut first: Option<Vec<u8>> = None;
    for kernel in crate::kernel_names() {
        let plan = Model::from_proto(model.clone()).plan_with(&[], kernel).unwrap();
        let mut session = Session::new(Arc::new(plan)).unwrap();
        session.input_mut::<u8>(0).unwrap().copy_from_slice(x);
        session.run().unwrap();
        let found = session.output::<u8>(0).unwrap().to_vec();
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{kernel}");
    }
    first.unwrap()
}

fn i32s(name: &str, dims: &[i64], values: &[i32]) -> TensorProto {
    let (name, dims, int32_data) = (name.into(), dims.to_vec(), values.to_vec());
    TensorProto { name, dims, data_type: DataType::Int32 as i32, int32_data, ..Default::default() }
}

/// Beside weights in steps of 1e-9 a bias of 10 has 2e10 units of the accumulator.
#[test]
fn a_bias_that_32_bits_do_not_hold_is_added_in_floats() {
    let step = || {
        vec![
            floats("tiny", &[], &[1e-9]),
            bytes("m", &[2, 2], DataType::Int8, &[1, 255, 2, 3]),
            floats("b", &[2], &[10.0, -0.25]),
            i32s("stored", &[2], &[1000, -25]),
            floats("b_scale", &[], &[0.01]),
            i32s("full", &[2], &[i32::MAX, 0]),
            // The accumulator's own scale: 0.5 * 1e-9.
            floats("own", &[], &[0.5e-9]),
        ]
    };
    let quantized = || node("QuantizeLinear", &["yf", "y_scale", "x_zero"], "y");
    let starts = || {
        vec![
            node("DequantizeLinear", &["x", "x_scale", "x_zero"], "xf"),
            node("DequantizeLinear", &["m", "tiny", "w_zero"], "mf"),
            node("DequantizeLinear", &["stored", "b_scale"], "sf"),
            node("DequantizeLinear", &["full", "own"], "ff"),
        ]
    };
    let (x, y) = (input("x", DataType::Uint8, &[1, 2]), || vec![input("y", DataType::Uint8, &[1, 2])]);
    // 10 / 0.125 + 3, and -0.25 / 0.125 + 3; i32::MAX * 0.5e-9 is 1.07.
    for (bias, expected) in [("b", [83, 1]), ("sf", [83, 1]), ("ff", [12, 3])] {
        let gemm = vec![node("Gemm", &["xf", "mf", bias], "yf"), quantized()];
        let sum = vec![node("MatMul", &["xf", "mf"], "p"), node("Add", &["p", bias], "yf"), quantized()];
        for nodes in [gemm, sum] {
            let network = network([starts(), nodes].concat(), step(), x.clone(), y());
            for values in [[3, 3], [255, 0]] {
                assert_eq!(run(&network, &values), expected, "{bias} {values:?}");
            }
        }
        let (a, b) = ([1, 2, 1, 1], [2, 2, 1, 1]);
        let shape = |name: &str, to: &[i64]| super::hostile::integers(name, to);
        let nodes = vec![
            node("DequantizeLinear", &["k", "tiny", "w_zero"], "kf"),
            node("Conv", &["xf", "kf", bias], "c"),
            node("Reshape", &["c", "flat"], "yf"),
            quantized(),
        ];
        let kernel = bytes("k", &b, DataType::Int8, &[1, 255, 2, 3]);
        let constants = [step(), vec![kernel, shape("flat", &[1, 2])]].concat();
        let convolution = network([starts(), nodes].concat(), constants, input("x", DataType::Uint8, &a), y());
        assert_eq!(run(&convolution, &[3, 3]), expected, "{bias}");
    }
}

/// A square matrix: its shape does not say whether two scales are of its rows or of its columns.
#[test]
fn the_scales_of_a_square_matrix_belong_to_their_axis() {
    for (axis, transposed) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let nodes = vec![
            node("DequantizeLinear", &["x", "x_scale", "x_zero"], "xf"),
            with_int(node("DequantizeLinear", &["m", "each", "none"], "mf"), "axis", axis),
            with_int(node("Gemm", &["xf", "mf"], "yf"), "transB", transposed),
            node("QuantizeLinear", &["yf", "y_scale", "x_zero"], "y"),
        ];
        let stored = [[1i8, 2], [3, 4]];
        let constants = vec![
            bytes("m", &[2, 2], DataType::Int8, &[1, 2, 3, 4]),
            floats("each", &[2], &[0.25, 1.0]),
            bytes("none", &[2], DataType::Int8, &[0, 0]),
        ];
        let y = vec![input("y", DataType::Uint8, &[1, 2])];
        let network = network(nodes, constants, input("x", DataType::Uint8, &[1, 2]), y);
        let x = [5u8, 4];
        let weight = |k: usize, n: usize| {
            let (row, column) = if transposed == 1 { (n, k) } else { (k, n) };
            f32::from(stored[row][column]) * [0.25, 1.0][if axis == 0 { row } else { column }]
        };
        let real = |n: usize| (0..2).map(|k| (f32::from(x[k]) - 3.0) * 0.5 * weight(k, n)).sum::<f32>();
        let expected: Vec<u8> = (0..2).map(|n| (real(n) / 0.125 + 3.0).round_ties_even() as u8).collect();
        assert_eq!(run(&network, &x), expected, "axis {axis}, transB {transposed}");
    }
}

/// `QLinearMatMul` of a stack of matrices `[2, 2, 2]`, with scales of these dimensions.
fn stacked(operand: &str, scales: &[i64], values: &[f32]) -> ModelProto {
    let mut inputs = ["x", "x_scale", "x_zero", "m", "w_scale", "w_zero", "y_scale", "x_zero"];
    match operand {
        "a" => {
            (inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], inputs[5]) =
                ("m", "each", "none", "x", "x_scale", "x_zero")
        }
        _ => (inputs[4], inputs[5]) = ("each", "none"),
    }
    let constants = vec![
        bytes("m", &[2, 2, 2], DataType::Int8, &[1, 2, 3, 4, 5, 6, 7, 8]),
        floats("each", scales, values),
        bytes("none", &[], DataType::Int8, &[0]),
    ];
    let nodes = vec![node("QLinearMatMul", &inputs, "y")];
    let y = vec![input("y", DataType::Uint8, &[2, 1, 2])];
    network(nodes, constants, input("x", DataType::Uint8, &[2, 1, 2]), y)
}

#[test]
fn a_stack_of_matrices_has_its_scales_by_column() {
    let x = [5u8, 4, 3, 6];
    for dims in [&[2][..], &[1, 1, 2]] {
        let m = |stack: usize, k: usize, n: usize| (4 * stack + 2 * k + n + 1) as f32 * [0.25, 0.5][n];
        let real =
            |stack: usize, n: usize| (0..2).map(|k| (f32::from(x[2 * stack + k]) - 3.0) * 0.5 * m(stack, k, n)).sum();
        let places = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let expected: Vec<u8> = places
            .map(|(stack, n)| {
                let real: f32 = real(stack, n);
                (real / 0.125 + 3.0).round_ties_even() as u8
            })
            .to_vec();
        assert_eq!(run(&stacked("b", dims, &[0.25, 0.5]), &x), expected, "{dims:?}");
    }
    let of = "node QLinearMatMul of output \"y\"";
    refused(stacked("b", &[3], &[0.25; 3]), &[of, "its scales [3] do not fit [2, 2, 2] along axis 2"]);
    refused(stacked("b", &[2, 1, 2], &[0.25; 4]), &[of, "its scales [2, 1, 2] do not fit"]);
    // One for each matrix is none for each column, though they are as many.
    refused(stacked("b", &[2, 1, 1], &[0.25; 2]), &[of, "its scales [2, 1, 1] do not fit"]);
    refused(stacked("a", &[3], &[0.25; 3]), &[of, "its scales [3] do not fit [2, 2, 2] along axis 1"]);
}

#[test]
fn what_is_quantized_to_other_types_is_refused() {
    let of = "node QuantizeLinear of output \"f\"";
    let constant = || floats("c", &[2], &[-1.0, 1.0]);
    let with = |inputs: &[&str], dtype: i64, zero: DataType| {
        let quantize = with_int(node("QuantizeLinear", inputs, "f"), "output_dtype", dtype);
        between(quantize, vec![constant(), bytes("z", &[], zero, &[0])])
    };
    for x in ["c", "yf"] {
        refused(with(&[x, "x_scale"], 17, DataType::Int8), &[of, "quantization to FLOAT8E4M3FN is not supported"]);
        refused(with(&[x, "x_scale"], 22, DataType::Int8), &[of, "quantization to INT4 is not supported"]);
        refused(with(&[x, "x_scale", "z"], 0, DataType::Int4), &[of, "quantization to 4 bits is not supported"]);
        refused(
            with(&[x, "x_scale", "z"], 2, DataType::Int8),
            &[of, "zero point is of type i8, but output_dtype states u8"],
        );
    }
    // By way of a node.
    let mut renamed = with(&["c", "x_scale", "same"], 0, DataType::Uint4);
    graph(&mut renamed).node.insert(0, node("Identity", &["z"], "same"));
    refused(renamed, &[of, "quantization to 4 bits is not supported"]);
    let blocks = with_int(with_int(node("QuantizeLinear", &["c", "each"], "f"), "axis", 0), "block_size", 2);
    refused(
        between(blocks, vec![floats("c", &[4], &[1.0; 4]), floats("each", &[2], &[1.0; 2])]),
        &[of, "docs/operators.md"],
    );
    let whole = node("QuantizeLinear", &["c", "x_scale"], "f");
    refused(between(whole, vec![i32s("c", &[1], &[1])]), &[of, "elements of type i32, which it does not take"]);
}

#[test]
fn attributes_of_transposed_convolutions_that_do_not_fit() {
    let weights = || bytes("t", &[1, 1, 2, 2], DataType::Int8, &[1; 4]);
    let of = "node ConvTranspose of output \"f\"";
    for quantized in [true, false] {
        let more = node("DequantizeLinear", &["t", "w_scale", "w_zero"], "tf");
        let mut nodes = vec![node("QuantizeLinear", &["yf", "y_scale", "x_zero"], "q")];
        nodes.push(node("DequantizeLinear", &["q", "y_scale", "x_zero"], "d"));
        for (name, ints) in [("output_padding", &[1][..]), ("output_shape", &[4]), ("output_shape", &[1, 4, 4])] {
            let x = if quantized { "d" } else { "yf" };
            let mut network = between(with_ints(node("ConvTranspose", &[x, "tf"], "f"), name, ints), vec![weights()]);
            graph(&mut network).node.extend(nodes.clone());
            graph(&mut network).node.push(more.clone());
            refused(network, &[of, &format!("{name} {ints:?} does not fit its input")]);
        }
    }
}
