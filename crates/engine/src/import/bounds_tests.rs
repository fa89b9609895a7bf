//! What a small file must not take: copies of constants for each node that reads them, and expressions that are walked without end;
//! and sums, products and resizing of unusual size.

use super::exactness_tests::{network, run};
use super::hostile::with_ints;
use super::import;
use super::tests::{bytes, floats, graph, input, node, refused};
use crate::graph::Op;
use crate::{ElementKind, Model};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto};

const X: [i64; 2] = [1, 4];

/// From the floats `xf` of four bytes to the bytes of `yf`.
fn chained(mut nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
    nodes.insert(0, node("DequantizeLinear", &["x", "x_scale", "x_zero"], "xf"));
    nodes.push(node("QuantizeLinear", &["yf", "x_scale", "x_zero"], "y"));
    network(nodes, constants, input("x", DataType::Uint8, &X), vec![input("y", DataType::Uint8, &X)])
}

/// `op` sixty times or more, each of what the one before gave.
fn repeated(count: usize, of: impl Fn(&str, &str) -> NodeProto) -> Vec<NodeProto> {
    let name = |i: usize| {
        if i == 0 {
            "xf".into()
        } else if i == count {
            "yf".into()
        } else {
            format!("t{i}")
        }
    };
    (0..count).map(|i| of(&name(i), &name(i + 1))).collect()
}

#[test]
fn sums_of_a_tensor_with_itself_end() {
    // Behind a function they are one of a single source, which is walked for its table.
    let doubled = |count: usize| {
        let of = |x: &str, y: &str| if x == "xf" { node("Relu", &[x], y) } else { node("Add", &[x, x], y) };
        chained(repeated(count, of), Vec::new())
    };
    // (x - 3) * 2^60 + 3, where x is greater than 3.
    assert_eq!(run(&doubled(61), &[3, 4, 2, 255]), [3, 255, 3, 255]);
    // A few of them are still a table.
    assert_eq!(run(&doubled(5), &[3, 4, 2, 9]), [3, 19, 3, 99]);
    assert_eq!(Model::from_proto(doubled(5)).plan(&[]).unwrap().integer_coverage(), 1.0);
    let plain = chained(repeated(60, |x, y| node("Add", &[x, x], y)), Vec::new());
    assert_eq!(run(&plain, &[3, 4, 2, 255]), [3, 255, 0, 255]);
}

#[test]
fn long_chains_take_no_more_stack_than_short_ones() {
    let unary = chained(repeated(6000, |x, y| node("Relu", &[x], y)), Vec::new());
    assert_eq!(run(&unary, &[3, 4, 2, 255]), [3, 4, 3, 255]);
    let mut nodes = repeated(3001, |x, y| {
        if x == "xf" { node("Add", &[x, "k"], y) } else { with_ints(node("Transpose", &[x], y), "perm", &[1, 0]) }
    });
    // The first of them adds two tensors, so that what follows moves an expression.
    nodes.insert(0, node("DequantizeLinear", &["c", "x_scale", "x_zero"], "k"));
    let moved = chained(nodes, vec![bytes("c", &X, DataType::Uint8, &[4, 5, 3, 2])]);
    assert_eq!(run(&moved, &[3, 4, 2, 255]), [4, 6, 2, 254]);
    let parts = repeated(2000, |x, y| node("Split", &[x], y));
    let split = chained([vec![node("Softmax", &["xf"], "s")], renamed(parts, "xf", "s")].concat(), Vec::new());
    assert!(Model::from_proto(split).plan(&[]).is_ok());
}

fn renamed(mut nodes: Vec<NodeProto>, from: &str, to: &str) -> Vec<NodeProto> {
    nodes.iter_mut().flat_map(|node| &mut node.input).filter(|name| *name == from).for_each(|name| *name = to.into());
    nodes
}

/// Nodes that all read the constant `c` of 2^18 floats.
fn readers(op: impl Fn(usize) -> NodeProto, constant: NodeProto) -> ModelProto {
    let mut nodes = vec![constant];
    nodes.extend((0..40).map(op));
    let outputs = (0..40).map(|i| input(&format!("y{i}"), DataType::Float, &[1, 1 << 18])).collect();
    network(nodes, Vec::new(), input("x", DataType::Float, &[1, 1 << 18]), outputs)
}

/// A node that gives 2^18 floats, so that they are read as they are.
fn constant(dims: &[i64]) -> NodeProto {
    let raw = (0..1u32 << 18).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let (dims, data_type) = (dims.to_vec(), DataType::Float as i32);
    let tensor = TensorProto { dims, data_type, raw_data: raw, ..Default::default() };
    let mut made = node("Constant", &[], "c");
    made.attribute.push(AttributeProto { name: "value".into(), r#type: 4, t: Some(tensor), ..Default::default() });
    made
}

fn imported(model: &ModelProto, kind: ElementKind, shape: &[usize], limit: u64) -> Result<crate::graph::Graph, String> {
    import(model, Vec::new(), &[("x".into(), kind, shape.to_vec())], limit).map_err(|error| error.message)
}

#[test]
fn a_constant_is_one_copy_for_all_that_read_it() {
    let whole = [1usize, 1 << 18];
    let sums = readers(|i| node("Mul", &["x", "c"], &format!("y{i}")), constant(&[1, 1 << 18]));
    let graph = imported(&sums, ElementKind::F32, &whole, 3 << 20).unwrap();
    assert_eq!(graph.nodes.iter().filter(|node| matches!(node.op, Op::Constant(_))).count(), 1);
    assert!(imported(&sums, ElementKind::F32, &whole, 1 << 19).is_err());

    let mut rows = readers(|i| node("Gather", &["c", "x"], &format!("y{i}")), constant(&[1 << 10, 1 << 8]));
    self::graph(&mut rows).input = vec![input("x", DataType::Int64, &[2])];
    let graph = imported(&rows, ElementKind::I64, &[2], 3 << 20).unwrap();
    let tables = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::GatherRows { table, .. } => Some(std::sync::Arc::as_ptr(table)),
        _ => None,
    });
    assert_eq!(tables.collect::<std::collections::HashSet<_>>().len(), 1);

    // Weights are packed for each node, which is counted.
    let products = readers(|i| node("MatMul", &["x", "c"], &format!("y{i}")), constant(&[1 << 9, 1 << 9]));
    let found = imported(&products, ElementKind::F32, &[1, 1 << 9], 20 << 20).err().unwrap();
    assert!(found.contains("constants computed up to here take") && found.contains("are allowed"), "{found}");
    assert!(imported(&products, ElementKind::F32, &[1, 1 << 9], 100 << 20).is_ok());
}

/// Between bytes: `op` of `x` and a constant of these dimensions, both of scale 0.5 and zero point 3.
fn planes(op: &str, by_operator: bool, dims: &[i64], values: &[u8]) -> ModelProto {
    let shape = [1, 2, 1, 2, 2];
    let quant = ["x_scale", "x_zero"];
    let nodes = if by_operator {
        let inputs = [&["x"][..], &quant, &["c"], &quant, &quant].concat();
        vec![NodeProto { domain: "com.microsoft".into(), ..node(&format!("QLinear{op}"), &inputs, "y") }]
    } else {
        vec![
            node("DequantizeLinear", &[&["x"][..], &quant].concat(), "xf"),
            node("DequantizeLinear", &[&["c"][..], &quant].concat(), "cf"),
            node(op, &["xf", "cf"], "yf"),
            node("QuantizeLinear", &[&["yf"][..], &quant].concat(), "y"),
        ]
    };
    let constants = vec![bytes("c", dims, DataType::Uint8, values)];
    network(nodes, constants, input("x", DataType::Uint8, &shape), vec![input("y", DataType::Uint8, &shape)])
}

#[test]
fn sums_and_products_of_five_dimensions() {
    let x = [3u8, 5, 7, 1, 13, 255, 0, 23];
    for by_operator in [false, true] {
        for (dims, values) in
            [(&[1i64, 2, 1, 1, 1][..], &[5u8, 7][..]), (&[2], &[5, 7]), (&[1, 2, 1, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8])]
        {
            let c = |i: usize| {
                f32::from(
                    values[match values.len() {
                        8 => i,
                        _ if dims.len() == 1 => i % 2,
                        _ => i / 4,
                    }],
                ) - 3.0
            };
            let quantized = |real: f32| (real / 0.5 + 3.0).round_ties_even().clamp(0.0, 255.0) as u8;
            let of = |f: fn(f32, f32) -> f32| -> Vec<u8> {
                (0..8).map(|i| quantized(f((f32::from(x[i]) - 3.0) * 0.5, c(i) * 0.5))).collect()
            };
            let what = format!("{by_operator} {dims:?}");
            assert_eq!(run(&planes("Add", by_operator, dims, values), &x), of(|a, b| a + b), "{what}");
            // Halves are rounded to even before the zero point is added in floats, as QuantizeLinear has it.
            let rounded = |real: f32| ((real / 0.5).round_ties_even() + 3.0).clamp(0.0, 255.0) as u8;
            let product: Vec<u8> = (0..8).map(|i| rounded((f32::from(x[i]) - 3.0) * 0.5 * (c(i) * 0.5))).collect();
            assert_eq!(run(&planes("Mul", by_operator, dims, values), &x), product, "{what}");
        }
    }
}

fn resized(scales: &[f32]) -> ModelProto {
    let nodes = vec![node("Resize", &["x", "", "scales"], "y")];
    let constants = vec![floats("scales", &[4], scales)];
    network(
        nodes,
        constants,
        input("x", DataType::Uint8, &[1, 1, 1, 2]),
        vec![input("y", DataType::Uint8, &[1, 1, 100, 2])],
    )
}

#[test]
fn resizing_by_large_factors() {
    let found = run(&resized(&[1.0, 1.0, 100.0, 1.0]), &[7, 9]);
    assert!(found.len() == 200 && found.chunks(2).all(|row| row == [7, 9]), "{found:?}");
    let of = "node Resize of output \"y\"";
    refused(resized(&[1.0, 1.0, 7e4, 1.0]), &[of, "make more than 65536 rows or columns of [1, 1, 1, 2]"]);
    for bad in [0.0, -2.0, f32::NAN, f32::INFINITY] {
        refused(resized(&[1.0, 1.0, bad, 1.0]), &[of, "its scales must be positive and finite"]);
    }
}
