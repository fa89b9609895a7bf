//! What is found in an unknown number: NonMaxSuppression, NonZero, and what follows them.

use super::hostile::{integers, with_ints};
use super::tests::{floats, graph, input, model, node, with_int};
use crate::{Model, Session, Tensor, npy};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Six boxes `[y1, x1, y2, x2]` of ONNX's own node tests: three near to each other, two near to each other, one alone.
const BOXES: [f32; 24] = [
    0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, -0.1, 1.0, 0.9, 0.0, 10.0, 1.0, 11.0, 0.0, 10.1, 1.0, 11.1, 0.0,
    100.0, 1.0, 101.0,
];
const SCORES: [f32; 6] = [0.9, 0.75, 0.6, 0.95, 0.5, 0.3];

/// A model of `boxes [1, 6, 4]` and `scores [1, classes, 6]` that ends in `y`.
fn detector(classes: i64, nodes: Vec<NodeProto>, mut constants: Vec<TensorProto>) -> ModelProto {
    let mut model = model();
    constants.extend([integers("most", &[3]), floats("iou", &[1], &[0.5]), floats("least", &[1], &[0.0])]);
    *graph(&mut model) = GraphProto {
        node: nodes,
        initializer: constants,
        input: vec![input("boxes", DataType::Float, &[1, 6, 4]), input("scores", DataType::Float, &[1, classes, 6])],
        output: vec![input("y", DataType::Undefined, &[])],
        ..Default::default()
    };
    model
}

fn suppression(output: &str) -> NodeProto {
    node("NonMaxSuppression", &["boxes", "scores", "most", "iou", "least"], output)
}

fn session(model: ModelProto) -> Session {
    Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap()
}

fn run<'a>(session: &'a mut Session, boxes: &[f32], scores: &[f32]) -> &'a Tensor {
    session.input_mut::<f32>(0).unwrap().copy_from_slice(boxes);
    session.input_mut::<f32>(1).unwrap().copy_from_slice(scores);
    session.run().unwrap();
    &session.outputs()[0]
}

fn tensor<T: crate::Element>(shape: &[usize], values: &[T]) -> Tensor {
    Tensor::new(shape.to_vec(), values.to_vec()).unwrap()
}

#[test]
fn the_best_of_boxes_that_overlap_is_chosen() {
    let mut session = session(detector(1, vec![suppression("y")], vec![]));
    assert_eq!(session.plan().outputs()[0].to_string(), "i64 [at most 3, 3]");
    let expected = tensor(&[3, 3], &[0i64, 0, 3, 0, 0, 0, 0, 0, 5]);
    assert_eq!(*run(&mut session, &BOXES, &SCORES), expected);
    // The corners of a box in another order.
    let mut turned = BOXES;
    turned.as_chunks_mut::<4>().0.iter_mut().for_each(|corners| corners.rotate_left(2));
    assert_eq!(*run(&mut session, &turned, &SCORES), expected);
    // Of one box ten times and of equal scores the first.
    let same = std::array::from_fn::<f32, 24, _>(|i| BOXES[i % 4]);
    assert_eq!(*run(&mut session, &same, &[0.5; 6]), tensor(&[1, 3], &[0i64, 0, 0]));
    // A score of the threshold is not above it: nothing is found, and then as before.
    let nothing = tensor::<i64>(&[0, 3], &[]);
    assert_eq!(*run(&mut session, &BOXES, &[0.0, -0.0, -1.0, 0.0, f32::NAN, 0.0]), nothing);
    let mut file = Vec::new();
    npy::write(&mut file, &session.outputs()[0]).unwrap();
    assert_eq!(npy::read(&file).unwrap(), nothing);
    assert_eq!(session.output::<i64>(0).unwrap(), &[] as &[i64]);
    assert_eq!(*run(&mut session, &BOXES, &SCORES), expected);
}

#[test]
fn parameters_of_a_suppression() {
    // Centre, width and height; shares of one half and of a third exactly.
    let centred: Vec<f32> =
        BOXES.as_chunks().0.iter().flat_map(|[a, b, c, d]| [(a + c) / 2.0, (b + d) / 2.0, c - a, d - b]).collect();
    let mut whole = session(detector(1, vec![with_int(suppression("y"), "center_point_box", 1)], vec![]));
    assert_eq!(run(&mut whole, &centred, &SCORES).values::<i64>().unwrap(), &[0, 0, 3, 0, 0, 0, 0, 0, 5]);
    // Without the number of boxes none is chosen, without a threshold of scores any may be, and boxes that share nothing are kept.
    let given = |names: &[&str]| session(detector(2, vec![node("NonMaxSuppression", names, "y")], vec![]));
    let both = [SCORES, [-1.0, -2.0, -3.0, -9.0, -8.0, -9.0]].concat();
    let mut none = given(&["boxes", "scores"]);
    assert_eq!(run(&mut none, &BOXES, &both).shape(), [0, 3]);
    let mut all = given(&["boxes", "scores", "most"]);
    let expected = [0, 0, 3, 0, 0, 0, 0, 0, 5, 0, 1, 0, 0, 1, 4, 0, 1, 5];
    assert_eq!(run(&mut all, &BOXES, &both).values::<i64>().unwrap(), &expected);
    let third = [0.0, 0.0, 1.0, 2.0, 0.0, 1.0, 1.0, 3.0];
    let boxes = [&third[..], &[9.0; 16]].concat();
    for (threshold, chosen) in [(1.0 / 3.0, 2), (0.333, 1)] {
        let mut model = detector(1, vec![suppression("y")], vec![]);
        super::tests::constant(&mut model, "iou").float_data = vec![threshold];
        assert_eq!(run(&mut session(model), &boxes, &[0.9, 0.8, 0.0, 0.0, 0.0, 0.0]).shape(), [chosen, 3]);
    }
}

#[test]
fn the_most_boxes_may_be_computed() {
    let mut model = detector(1, vec![suppression("y")], vec![]);
    graph(&mut model).initializer.retain(|tensor| tensor.name != "most");
    graph(&mut model).input.push(input("most", DataType::Int64, &[1]));
    let mut session = session(model);
    assert_eq!(session.plan().outputs()[0].shape, [6, 3]);
    for (most, expected) in [(2, 2), (0, 0), (-1, 0), (i64::MAX, 3)] {
        session.input_mut::<i64>(2).unwrap()[0] = most;
        assert_eq!(run(&mut session, &BOXES, &SCORES).shape(), [expected, 3], "{most}");
    }
}

/// What exporters put behind it: the chosen boxes, their scores and classes, side by side.
fn detections() -> (Vec<NodeProto>, Vec<TensorProto>) {
    let nodes = vec![
        suppression("chosen"),
        with_int(node("Gather", &["chosen", "two"], "index"), "axis", 1),
        node("Squeeze", &["index", "one"], "rows"),
        with_int(node("Gather", &["boxes", "rows"], "batched"), "axis", 1),
        node("Squeeze", &["batched", "zero"], "corners"),
        node("GatherND", &["scores", "chosen"], "score"),
        node("Unsqueeze", &["score", "one"], "column"),
        node("Slice", &["chosen", "one", "two", "one"], "class"),
        with_int(node("Cast", &["class"], "number"), "to", 1),
        with_int(node("Concat", &["corners", "column", "number"], "all"), "axis", 1),
        node("Reshape", &["all", "shape"], "y"),
    ];
    let constants =
        vec![integers("zero", &[0]), integers("one", &[1]), integers("two", &[2]), integers("shape", &[1, -1, 6])];
    (nodes, constants)
}

#[test]
fn what_follows_has_the_count_of_what_was_found() {
    let (nodes, constants) = detections();
    let model = Model::from_proto(detector(2, nodes, constants));
    let scores = [SCORES, [0.0, 0.0, 0.25, 0.0, 0.0, 0.0]].concat();
    let row = |index: usize, score: f32, class: f32| [&BOXES[index * 4..][..4], &[score, class]].concat();
    let found = [row(3, 0.95, 0.0), row(0, 0.9, 0.0), row(5, 0.3, 0.0), row(2, 0.25, 1.0)].concat();
    for threads in [1, 3] {
        for kernel in crate::kernel_names() {
            let plan = Arc::new(model.clone().plan_with(&[], kernel).unwrap());
            assert_eq!(plan.outputs()[0].to_string(), "f32 [1, at most 6, 6]");
            let mut session = Session::with_threads(plan, threads).unwrap();
            assert_eq!(*run(&mut session, &BOXES, &scores), tensor(&[1, 4, 6], &found));
            assert_eq!(*run(&mut session, &BOXES, &[-1.0; 12]), tensor::<f32>(&[1, 0, 6], &[]));
            assert_eq!(*run(&mut session, &BOXES, &scores), tensor(&[1, 4, 6], &found));
        }
    }
}

#[test]
fn boxes_above_a_score_are_suppressed() {
    // Two counts, one after the other: indices into what was found first are compared with its count.
    let nodes = vec![
        node("Greater", &["scores", "half"], "above"),
        node("NonZero", &["above"], "places"),
        node("Gather", &["places", "last"], "kept"),
        with_int(node("Gather", &["boxes", "kept"], "kept_boxes"), "axis", 1),
        with_int(node("Gather", &["scores", "kept"], "kept_scores"), "axis", 2),
        node("NonMaxSuppression", &["kept_boxes", "kept_scores", "most", "iou"], "chosen"),
        with_int(node("Gather", &["chosen", "last"], "rows"), "axis", 1),
        node("Gather", &["kept", "rows"], "y"),
    ];
    let last = TensorProto { dims: vec![], ..integers("last", &[2]) };
    let mut session = session(detector(1, nodes, vec![last, floats("half", &[1], &[0.55])]));
    assert_eq!(*run(&mut session, &BOXES, &SCORES), tensor(&[2], &[3i64, 0]));
    assert_eq!(*run(&mut session, &BOXES, &[0.1, 0.2, 0.8, 0.1, 0.7, 0.6]), tensor(&[3], &[2i64, 4, 5]));
    assert_eq!(*run(&mut session, &BOXES, &[0.1; 6]), tensor::<i64>(&[0], &[]));
}

#[test]
fn places_of_what_is_not_zero() {
    fn places<T: crate::Element>(data_type: DataType, values: &[T]) -> Tensor {
        let mut model = model();
        *graph(&mut model) = GraphProto {
            node: vec![node("NonZero", &["x"], "y")],
            input: vec![input("x", data_type, &[2, 3])],
            output: vec![input("y", DataType::Int64, &[])],
            ..Default::default()
        };
        let mut session = session(model);
        assert_eq!(session.plan().outputs()[0].to_string(), "i64 [2, at most 6]");
        session.input_mut::<T>(0).unwrap().copy_from_slice(values);
        session.run().unwrap();
        session.outputs()[0].clone()
    }
    let expected = tensor(&[2, 3], &[0i64, 0, 1, 0, 2, 1]);
    assert_eq!(places(DataType::Bool, &[true, false, true, false, true, false]), expected);
    assert_eq!(places(DataType::Uint8, &[1u8, 0, 128, 0, 255, 0]), expected);
    assert_eq!(places(DataType::Int8, &[-128i8, 0, 1, 0, -1, 0]), expected);
    assert_eq!(places(DataType::Int64, &[i64::MIN, 0, 1, 0, 1 << 32, 0]), expected);
    assert_eq!(places(DataType::Float, &[0.25f32, 0.0, f32::NAN, -0.0, f32::MIN_POSITIVE, 0.0]), expected);
    assert_eq!(places(DataType::Float, &[0.0f32; 6]), tensor::<i64>(&[2, 0], &[]));
    assert_eq!(places(DataType::Int32, &[7i32; 6]), tensor(&[2, 6], &[0i64, 0, 0, 1, 1, 1, 0, 1, 2, 0, 1, 2]));
}

#[test]
fn what_lies_behind_the_count_is_no_error() {
    // 3 is taken from each index: what is found has 3 or more, what lies behind has 0, which would count from the end of two rows.
    let nodes = vec![
        suppression("chosen"),
        with_int(node("Gather", &["chosen", "last"], "rows"), "axis", 1),
        node("Sub", &["rows", "three"], "less"),
        with_int(node("Gather", &["table", "less"], "y"), "axis", 0),
    ];
    let last = TensorProto { dims: vec![], ..integers("last", &[2]) };
    let constants = vec![last, integers("three", &[3]), integers("table", &[70, 80])];
    let mut session = session(detector(1, nodes, constants));
    assert_eq!(*run(&mut session, &BOXES, &[0.0, 0.0, 0.0, 0.9, 0.0, 0.0]), tensor(&[1], &[70i64]));
    session.input_mut::<f32>(1).unwrap()[5] = 0.5;
    let error = session.run().unwrap_err().to_string();
    assert!(error.contains("index 2 is out of range of 2 places"), "{error}");
}

#[test]
fn what_needs_all_of_a_counted_axis_is_refused() {
    let number = |name: &str, values: &[i64]| integers(name, values);
    let all = |name: &str| node(name, &["f"], "y");
    let mut largest = with_int(node("TopK", &["f", "one"], "y"), "axis", 0);
    largest.output.push("places".into());
    let cases: Vec<(NodeProto, &str)> = vec![
        (node("Shape", &["f"], "y"), "what it gives would be known only then"),
        (all("Size"), "what it gives would be known only then"),
        (with_ints(all("ReduceMax"), "axes", &[0]), "it computes across it"),
        (all("ReduceMean"), "it computes across it"),
        (with_int(all("ArgMax"), "axis", 0), "it computes across it"),
        (with_int(all("Softmax"), "axis", 0), "it computes across it"),
        (largest, "this op needs all of its input"),
        (node("CumSum", &["f", "axis"], "y"), "tract needs all of its input"),
        (all("DynamicQuantizeLinear"), "this op needs all of its input"),
        (node("Reshape", &["f", "flat"], "y"), "does not keep it an axis of its own"),
        (node("Reshape", &["f", "six"], "y"), "does not keep it an axis of its own"),
        (with_int(all("Flatten"), "axis", 0), "it does not stay an axis of its own"),
        (all("Squeeze"), "state the axes"),
        (with_int(node("Concat", &["f", "f"], "y"), "axis", 0), "others are put behind its end"),
        (with_int(node("Concat", &["f", "rows"], "y"), "axis", 1), "have the same count"),
        (node("Slice", &["f", "one", "two", "first"], "y"), "a part of it is taken"),
        (node("Slice", &["f", "last", "end", "first", "back"], "y"), "a part of it is taken"),
        (node("Pad", &["f", "pads"], "y"), "its end is padded"),
        (node("Tile", &["f", "twice"], "y"), "where 1 would keep it"),
        (node("Expand", &["f", "six"], "y"), "where 1 would keep it"),
        (node("Add", &["f", "rows"], "y"), "its input 1 has [3, 3] elements"),
        (node("MatMul", &["turned", "f"], "y"), "it sums over it"),
        (node("MatMul", &["columns", "f"], "y"), "it sums over it"),
        (node("Div", &["whole", "chosen"], "y"), "whole numbers cannot be divided"),
        (node("Sub", &["f", "others"], "y"), "axes of different counts"),
    ];
    for (last, reason) in cases {
        let name = last.op_type.clone();
        let nodes = vec![
            suppression("chosen"),
            with_int(node("Cast", &["chosen"], "f"), "to", 1),
            node("Transpose", &["f"], "turned"),
            node("NonMaxSuppression", &["boxes", "scores", "most"], "others_chosen"),
            with_int(node("Cast", &["others_chosen"], "others"), "to", 1),
            last,
        ];
        let constants = vec![
            number("first", &[0]),
            TensorProto { dims: vec![], ..number("axis", &[0]) },
            number("one", &[1]),
            number("two", &[2]),
            number("last", &[-1]),
            number("end", &[i64::MIN]),
            number("back", &[-1]),
            number("flat", &[-1]),
            number("six", &[3, 3]),
            number("pads", &[0, 0, 1, 0]),
            number("twice", &[2, 1]),
            number("whole", &[6]),
            floats("rows", &[3, 3], &[1.0; 9]),
            floats("columns", &[2, 3], &[1.0; 6]),
        ];
        let error = Model::from_proto(detector(1, nodes, constants)).plan(&[]).err();
        let error = error.unwrap_or_else(|| panic!("{name} is taken")).to_string();
        let found = error.contains(reason) && error.contains(&format!("node {name} of output \"y\""));
        assert!(found && !error.contains('\n'), "{name}: {error}");
    }
}

#[test]
fn suppressions_that_cannot_be() {
    let refused = |model: ModelProto, reason: &str| {
        let error = Model::from_proto(model).plan(&[]).err().unwrap().to_string();
        assert!(error.contains("NonMaxSuppression") && error.contains(reason), "{error}");
    };
    let own = |inputs: &[&str], constants| detector(1, vec![node("NonMaxSuppression", inputs, "y")], constants);
    refused(own(&["boxes", "boxes"], vec![]), "do not fit");
    refused(own(&["scores", "scores"], vec![]), "boxes must be [batches, boxes, 4]");
    refused(own(&["boxes", "scores", "many"], vec![integers("many", &[1, 2])]), "one number each");
    refused(own(&["boxes", "scores", "iou"], vec![]), "one number each");
    refused(own(&["boxes", "scores", "most", "two"], vec![floats("two", &[1], &[2.0])]), "must lie in 0..1, found 2");
    refused(detector(1, vec![with_int(suppression("y"), "center_point_box", 2)], vec![]), "must be 0 or 1, found 2");
}
