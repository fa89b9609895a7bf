//! Networks as exporters leave them: branches, old opsets, outputs that are left out, numbers of any kind, NaN.

mod parts;

use lineside_engine::Tensor;
use lineside_quantize::{Comparison, MaxLoss, Options, QuantizeError, Verdict, compare, quantize, quantize_dynamic};
use parts::{constant, graph, network, node, numbers, samples, value, weights};
use prost::Message;
use std::collections::HashSet;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

const SHAPE: [usize; 4] = [1, 3, 6, 6];
const Y: [(&str, DataType); 1] = [("y", DataType::Float)];

fn truth(name: &str) -> TensorProto {
    TensorProto { name: name.into(), data_type: DataType::Bool as i32, raw_data: vec![1], ..Default::default() }
}

fn with(mut node: NodeProto, name: &str, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(AttributeProto { name: name.into(), ..attribute });
    node
}

fn int(i: i64) -> AttributeProto {
    AttributeProto { r#type: 2, i, ..Default::default() }
}

fn float(f: f32) -> AttributeProto {
    AttributeProto { r#type: 1, f, ..Default::default() }
}

fn ints(ints: &[i64]) -> AttributeProto {
    AttributeProto { r#type: 7, ints: ints.to_vec(), ..Default::default() }
}

/// A branch that gives its last node's first output.
fn branch(nodes: Vec<NodeProto>) -> AttributeProto {
    let output = vec![value(&nodes.last().unwrap().output[0], DataType::Float, None)];
    let g = Some(GraphProto { name: "branch".into(), node: nodes, output, ..Default::default() });
    AttributeProto { r#type: 5, g, ..Default::default() }
}

fn compared(
    a: &[u8],
    b: &[u8],
    mut on: Vec<Vec<Tensor>>,
    labels: Option<&[usize]>,
) -> Result<Comparison, QuantizeError> {
    compare([a, b], &mut on, labels, 1, &mut |_, _| Ok(()))
}

/// Writes a network both ways, and holds both files against the floats. Returns them.
fn both_ways(model: &[u8], shape: &[usize], what: &str) -> [Vec<u8>; 2] {
    let mut options = Options::default();
    options.improve = false;
    let from_samples = quantize(model, &mut samples(shape, 20), &options, &mut |_, _, _| Ok(()));
    let from_samples = from_samples.unwrap_or_else(|error| panic!("{what}: {error}")).bytes;
    let dynamic = quantize_dynamic(model, &HashSet::new()).unwrap_or_else(|error| panic!("{what}: {error}")).bytes;
    for file in [&from_samples, &dynamic] {
        let found = compared(model, file, samples(shape, 30).split_off(20), None);
        let output = &found.unwrap_or_else(|error| panic!("{what}: {error}")).outputs[0];
        assert!(output.sqnr_db.is_some_and(|db| db > 25.0), "{what}: {output:?}");
        let nodes = graph(file).node;
        let names: HashSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names.len(), nodes.len(), "{what}: two nodes of one name");
    }
    [from_samples, dynamic]
}

/// A convolution, and what is stated behind it.
fn behind_a_convolution(opset: i64, mut nodes: Vec<NodeProto>, mut constants: Vec<TensorProto>) -> Vec<u8> {
    nodes.insert(0, node("Conv", &["x", "w"], &["c"]));
    constants.push(weights("w", &[4, 3, 3, 3], 1));
    network(opset, 4, nodes, constants, &Y)
}

fn choice(output: &str, then: Vec<NodeProto>, other: Vec<NodeProto>) -> NodeProto {
    let node = with(node("If", &["truth"], &[output]), "then_branch", branch(then));
    with(node, "else_branch", branch(other))
}

/// All nodes, those of branches too.
fn all_nodes(graph: &GraphProto) -> Vec<&NodeProto> {
    let mut all = Vec::new();
    for node in &graph.node {
        all.push(node);
        all.extend(node.attribute.iter().flat_map(|attribute| &attribute.g).flat_map(all_nodes));
    }
    all
}

#[test]
fn constants_that_branches_alone_take_are_written() {
    let inner = choice("t", vec![node("Mul", &["c", "gain"], &["u"])], vec![node("Neg", &["c"], &["u"])]);
    for then in [vec![node("Mul", &["c", "gain"], &["t"])], vec![inner]] {
        let nodes = vec![choice("y", then, vec![node("Neg", &["c"], &["e"])])];
        let model = behind_a_convolution(13, nodes, vec![truth("truth"), weights("gain", &[4, 1, 1], 2)]);
        for file in both_ways(&model, &SHAPE, "captured") {
            assert!(graph(&file).initializer.iter().any(|constant| constant.name == "gain"));
        }
    }
}

#[test]
fn two_branches_may_have_the_same_names_inside() {
    let part = |from: &str, to: &str| {
        let then = vec![node("Relu", &[from], &["k"]), node("Neg", &["k"], &["t"])];
        choice(to, then, vec![node("Neg", &[from], &["k"])])
    };
    let nodes = vec![part("c", "a"), part("a", "b"), node("Sub", &["b", "c"], &["y"])];
    both_ways(&behind_a_convolution(13, nodes, vec![truth("truth")]), &SHAPE, "names inside");
}

#[test]
fn branches_of_old_opsets_are_rewritten_too() {
    let pooled = || with(node("MaxPool", &["c"], &["g"]), "kernel_shape", ints(&[4, 4]));
    let clip = with(with(node("Clip", &["g"], &["t"]), "min", float(-0.5)), "max", float(2.5));
    let squeeze = with(node("Squeeze", &["g"], &["t"]), "axes", ints(&[2]));
    let softmax = with(node("Softmax", &["g"], &["t"]), "axis", int(1));
    for (opset, changed) in [(9, clip), (11, squeeze.clone()), (12, squeeze), (11, softmax)] {
        let what = format!("{} of opset {opset}", changed.op_type);
        let nodes = vec![pooled(), choice("y", vec![changed], vec![node("Identity", &["g"], &["e"])])];
        let model = behind_a_convolution(opset, nodes, vec![truth("truth")]);
        for file in both_ways(&model, &SHAPE, &what) {
            let graph = graph(&file);
            let old = ["min", "max", "axes"];
            for node in all_nodes(&graph) {
                let left = node.attribute.iter().find(|attribute| old.contains(&attribute.name.as_str()));
                assert_eq!(left, None, "{what}: {node:?}");
            }
        }
    }
}

#[test]
fn a_softmax_over_all_that_follows_becomes_nodes_of_different_names() {
    for (opset, axis) in [(9, 1), (11, 1), (12, 2)] {
        let softmax = with(node("Softmax", &["c"], &["y"]), "axis", int(axis));
        both_ways(&behind_a_convolution(opset, vec![softmax], Vec::new()), &SHAPE, &format!("opset {opset}"));
    }
}

#[test]
fn a_first_output_may_be_left_out() {
    let nodes = vec![
        with(node("LSTM", &["x", "w", "r"], &["", "h"]), "hidden_size", int(5)),
        node("Squeeze", &["h", "first"], &["s"]),
        node("MatMul", &["s", "m"], &["y"]),
    ];
    let first = TensorProto {
        name: "first".into(),
        dims: vec![1],
        data_type: DataType::Int64 as i32,
        int64_data: vec![0],
        ..Default::default()
    };
    let constants = vec![weights("w", &[1, 20, 3], 1), weights("r", &[1, 20, 5], 2), weights("m", &[5, 4], 3), first];
    let mut model = ModelProto::decode(&*network(17, 3, nodes, constants, &Y)).unwrap();
    model.graph.as_mut().unwrap().input[0] = value("x", DataType::Float, Some(3));
    both_ways(&model.encode_to_vec(), &[4, 16, 3], "LSTM");
    model.graph.as_mut().unwrap().node[0].output = vec![String::new(), String::new()];
    let refused = quantize_dynamic(&model.encode_to_vec(), &HashSet::new()).unwrap_err().to_string();
    assert!(refused.contains("LSTM") && refused.contains("has no output"), "{refused}");
}

/// 0, 1 and 2 in a row, forwards and backwards, as numbers of a kind.
fn counting(kind: DataType, backwards: bool) -> Vec<u8> {
    let cast = with(node("Cast", &["n"], &["y"]), "to", int(kind as i64));
    let numbers = if backwards { node("Sub", &["two", "x"], &["n"]) } else { node("Sub", &["x", "zero"], &["n"]) };
    let constants = vec![constant("two", &[], &[2.0]), constant("zero", &[], &[0.0])];
    network(17, 2, vec![numbers, cast], constants, &[("y", kind)])
}

#[test]
fn outputs_of_every_kind_are_compared() {
    use DataType::{Bool, Double, Float, Float16, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64};
    let sample = || vec![vec![Tensor::new(vec![1, 3], vec![0f32, 1.0, 2.0]).unwrap()]; 4];
    for kind in [Bool, Double, Float, Float16, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64] {
        let [one, other] = [counting(kind, false), counting(kind, true)];
        let same = compared(&one, &one, sample(), None).unwrap();
        assert!(same.outputs[0].is_same && same.outputs[0].sqnr_db.is_none(), "{kind:?}: {same:?}");
        let apart = compared(&one, &other, sample(), None).unwrap();
        let output = &apart.outputs[0];
        assert!(!output.is_same && output.largest_difference >= 1.0, "{kind:?}: {output:?}");
        assert!(output.sqnr_db.is_some_and(|db| db < 10.0), "{kind:?}: {output:?}");
        assert_eq!((apart.top1_agreement, apart.verdict().0), (Some(0.0), Verdict::Improve), "{kind:?}");
    }
}

#[test]
fn nan_and_infinity_are_counted_and_no_reason_to_ship() {
    let scaled = |factor: f32| {
        let nodes = vec![node("Mul", &["x", "factor"], &["y"])];
        network(17, 2, nodes, vec![constant("factor", &[1, 3], &[1.0, factor, 1.0])], &Y)
    };
    let on = || vec![vec![Tensor::new(vec![1, 3], vec![1f32, 2.0, 3.0]).unwrap()]; 4];
    for (a, b, counts) in [
        (1.0, f32::NAN, [0, 4]),
        (f32::NAN, 1.0, [4, 0]),
        (f32::NAN, f32::NAN, [4, 4]),
        (1.0, f32::INFINITY, [0, 4]),
        (f32::INFINITY, f32::NEG_INFINITY, [4, 4]),
    ] {
        let found = compared(&scaled(a), &scaled(b), on(), None).unwrap();
        let output = &found.outputs[0];
        assert_eq!((output.not_finite, output.not_finite_apart, output.is_same), (counts, 4, false), "{a} {b}");
        let (verdict, reasons) = found.verdict();
        assert_eq!(verdict, Verdict::Improve, "{a} {b}");
        assert!(reasons.iter().any(|reason| reason.contains("\"y\"") && reason.contains("NaN")), "{reasons:?}");
    }
    // One number that is 0 for all samples, and is not in the second: there is no spread to measure that by.
    let sum = |factor: f32| {
        let nodes = vec![node("MatMul", &["x", "column"], &["y"])];
        network(17, 2, nodes, vec![constant("column", &[3, 1], &[factor; 3])], &Y)
    };
    let found = compared(&sum(0.0), &sum(1.0), on(), None).unwrap();
    assert_eq!((found.outputs[0].is_same, found.outputs[0].sqnr_db), (false, None));
    assert_eq!(found.verdict().0, Verdict::Improve, "{found:?}");
}

/// Two inputs, `a` and `b`, and the outputs `sum` and `product` of them by `gain`, in the stated orders and under the stated names.
fn two_by_two(inputs: [&str; 2], outputs: [&str; 2], swapped: bool, gain: f32) -> Vec<u8> {
    let mut made = vec![node("Add", &inputs, &[outputs[0]]), node("Mul", &["product_of", "gain"], &[outputs[1]])];
    made.insert(1, node("Sub", &inputs, &["product_of"]));
    let mut model = ModelProto::decode(&*network(17, 2, made, vec![constant("gain", &[], &[gain])], &[])).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.input = inputs.iter().map(|name| value(name, DataType::Float, Some(2))).collect();
    graph.output = outputs.iter().map(|name| value(name, DataType::Float, None)).collect();
    if swapped {
        graph.input.reverse();
        graph.output.reverse();
    }
    model.encode_to_vec()
}

/// Samples of both inputs.
fn for_two() -> Vec<Vec<Tensor>> {
    let tensor = |seed| Tensor::new(vec![1, 8], numbers(8, seed)).unwrap();
    (1..5).map(|seed| vec![tensor(seed), tensor(seed + 9)]).collect()
}

#[test]
fn inputs_and_outputs_are_paired_by_their_names() {
    let plain = two_by_two(["a", "b"], ["sum", "difference"], false, 1.0);
    let found = compared(&plain, &two_by_two(["a", "b"], ["sum", "difference"], true, 1.0), for_two(), None).unwrap();
    assert!(found.outputs.iter().all(|output| output.is_same) && found.paired_in_order.is_empty(), "{found:?}");
    assert_eq!(found.outputs[1].name, "difference");
    // Other names are paired in their order, and that is said.
    let named = two_by_two(["p", "q"], ["sum", "other"], false, 1.0);
    let found = compared(&plain, &named, for_two(), None).unwrap();
    assert!(found.outputs.iter().all(|output| output.is_same), "{found:?}");
    let pairs = [("a", "p"), ("b", "q"), ("sum", "sum"), ("difference", "other")];
    assert_eq!(found.paired_in_order, pairs.map(|(a, b)| (a.to_string(), b.to_string())));
}

#[test]
fn the_verdict_is_about_all_outputs() {
    let plain = two_by_two(["a", "b"], ["sum", "difference"], false, 1.0);
    let with = |gain: f32| {
        let other = two_by_two(["a", "b"], ["sum", "difference"], false, gain);
        compared(&plain, &other, for_two(), None).unwrap().verdict()
    };
    assert_ne!(with(1.01).0, Verdict::Improve);
    let (verdict, reasons) = with(-1.0);
    assert_eq!(verdict, Verdict::Improve);
    assert!(
        reasons.iter().any(|reason| reason.contains("\"difference\" has a signal to noise of -6.0 dB")),
        "{reasons:?}"
    );
}

#[test]
fn a_name_that_would_be_given_may_be_taken() {
    // A convolution makes `c`, and its weights are called as those in integers would be.
    let nodes = vec![
        node("Conv", &["x", "c_weight"], &["c"]),
        node("Mul", &["c", "c_scale"], &["c_quantized"]),
        node("Add", &["c_quantized", "x_scale"], &["y"]),
    ];
    let constants = || {
        vec![weights("c_weight", &[4, 3, 3, 3], 1), weights("c_scale", &[4, 1, 1], 2), constant("x_scale", &[], &[3.0])]
    };
    both_ways(&network(13, 4, nodes, constants(), &Y), &SHAPE, "names that are taken");
}

#[test]
fn labels_need_an_output_that_has_their_places() {
    let model = network(17, 2, vec![node("MatMul", &["x", "m"], &["y"])], vec![weights("m", &[3, 1], 1)], &Y);
    let on = || (0..2).map(|seed| vec![Tensor::new(vec![1, 3], numbers(3, seed)).unwrap()]).collect::<Vec<_>>();
    let refused = compared(&model, &model, on(), Some(&[0, 0])).unwrap_err().to_string();
    assert!(refused.contains("\"y\" has 1 number"), "{refused}");
    let model = network(17, 2, vec![node("MatMul", &["x", "m"], &["y"])], vec![weights("m", &[3, 4], 1)], &Y);
    let refused = compared(&model, &model, on(), Some(&[3, 4])).unwrap_err().to_string();
    assert!(refused.contains("label is 4") && refused.contains("0 to 3"), "{refused}");
    assert!(compared(&model, &model, on(), Some(&[3, 0])).unwrap().accuracy.is_some());
}

/// A detector that ends in what it has found: the boxes and their places, 36 boxes of two classes; `gain` of the scores.
fn detector(gain: f32) -> Vec<u8> {
    let whole = |name: &str, values: &[i64]| TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..Default::default()
    };
    let made = vec![
        node("Conv", &["x", "w"], &["c"]),
        node("Relu", &["c"], &["r"]),
        node("Conv", &["r", "of_boxes"], &["b"]),
        node("Reshape", &["b", "as_boxes"], &["flat"]),
        with(node("Transpose", &["flat"], &["boxes"]), "perm", ints(&[0, 2, 1])),
        node("Conv", &["r", "of_scores"], &["s"]),
        node("Mul", &["s", "gain"], &["t"]),
        node("Reshape", &["t", "as_scores"], &["u"]),
        node("Sigmoid", &["u"], &["scores"]),
        node("NonMaxSuppression", &["boxes", "scores", "most", "overlap", "limit"], &["found"]),
        with(node("Gather", &["found", "third"], &["place"]), "axis", int(1)),
        node("Squeeze", &["boxes", "first"], &["list"]),
        node("Gather", &["list", "place"], &["chosen"]),
    ];
    let constants = vec![
        weights("w", &[8, 3, 1, 1], 1),
        weights("of_boxes", &[4, 8, 1, 1], 2),
        weights("of_scores", &[2, 8, 1, 1], 3),
        constant("gain", &[], &[gain]),
        whole("as_boxes", &[1, 4, 36]),
        whole("as_scores", &[1, 2, 36]),
        whole("most", &[20]),
        constant("overlap", &[1], &[0.5]),
        constant("limit", &[1], &[0.6]),
        TensorProto { dims: Vec::new(), ..whole("third", &[2]) },
        whole("first", &[0]),
    ];
    network(13, 4, made, constants, &[("chosen", DataType::Float), ("found", DataType::Int64)])
}

#[test]
fn what_is_found_in_a_run_is_compared_where_as_much_was_found() {
    let model = detector(1.0);
    let same = compared(&model, &model, samples(&SHAPE, 8), None).unwrap();
    assert!(same.outputs.iter().all(|output| output.is_same && output.sizes_apart == 0), "{same:?}");
    assert_eq!((same.top1_agreement, same.score_shift.median), (None, None));
    // With all scores at a half nothing is found.
    let none = compared(&model, &detector(0.0), samples(&SHAPE, 8), None).unwrap();
    assert!(none.outputs.iter().all(|output| output.sizes_apart == 8 && !output.is_same), "{none:?}");
    let (verdict, reasons) = none.verdict();
    assert_eq!(verdict, Verdict::Improve);
    assert!(reasons.iter().any(|reason| reason.contains("another number of elements in 100.0 %")), "{reasons:?}");
    let labelled = compared(&model, &model, samples(&SHAPE, 2), Some(&[0, 0])).unwrap_err().to_string();
    assert!(labelled.contains("compare without labels"), "{labelled}");

    // Both ways of quantizing, and the search for layers that lose too much, which measures what boxes are found in.
    let mut options = Options::default();
    options.improve = false;
    for most in [None, Some(MaxLoss::Decibels(30.0))] {
        options.max_loss = most;
        let quantized = quantize(&model, &mut samples(&SHAPE, 12), &options, &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(quantized.report.outputs.len(), 2);
        compared(&model, &quantized.bytes, samples(&SHAPE, 20).split_off(12), None).unwrap();
    }
}
