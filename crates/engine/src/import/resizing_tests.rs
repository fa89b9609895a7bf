//! Resizing by the rules of early opsets, and to sizes that keep the ratio of the sides: what ONNX Runtime 1.32 gives.

use super::tests::{floats, graph, input, model, node, refused};
use crate::{Model, Session};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

fn with_text(mut node: NodeProto, name: &str, text: &str) -> NodeProto {
    let s = text.as_bytes().to_vec();
    node.attribute.push(AttributeProto { name: name.into(), s, r#type: 3, ..Default::default() });
    node
}

fn sizes(values: &[i64]) -> TensorProto {
    let (int64_data, data_type) = (values.to_vec(), DataType::Int64 as i32);
    TensorProto { data_type, int64_data, ..floats("n", &[values.len() as i64], &[]) }
}

/// One node of floats of a shape in an opset.
fn of(opset: i64, node: NodeProto, shape: &[i64], constants: Vec<TensorProto>) -> ModelProto {
    let mut model = model();
    model.opset_import[0].version = opset;
    let outputs = node.output.iter().map(|name| input(name, DataType::Undefined, &[])).collect();
    *graph(&mut model) = GraphProto {
        node: vec![node],
        initializer: constants,
        input: vec![input("x", DataType::Float, shape)],
        output: outputs,
        ..Default::default()
    };
    model
}

/// The shape and the numbers of the first output for 0, 1, 2 …
fn run(model: ModelProto) -> (Vec<usize>, Vec<f32>) {
    let mut session = Session::new(Arc::new(Model::from_proto(model).plan(&[]).unwrap())).unwrap();
    session.input_mut::<f32>(0).unwrap().iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
    session.run().unwrap();
    (session.plan().outputs()[0].shape.clone(), session.output::<f32>(0).unwrap().to_vec())
}

#[test]
fn the_nearest_pixel_of_opset_10_lies_above_where_an_axis_becomes_smaller() {
    let cases: [(f32, &[u8]); 5] = [
        (0.3, &[0, 4, 7]),
        (0.55, &[0, 2, 4, 6, 8]),
        (0.9, &[0, 2, 3, 4, 5, 6, 7, 8, 9]),
        (1.0, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (1.5, &[0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9]),
    ];
    let resize = || node("Resize", &["x", "s"], "y");
    for (scale, expected) in cases {
        let scales = || vec![floats("s", &[4], &[1.0, 1.0, 1.0, scale])];
        let expected: Vec<f32> = expected.iter().map(|&place| f32::from(place)).collect();
        assert_eq!(run(of(10, resize(), &[1, 1, 1, 10], scales())).1, expected, "{scale}");
    }
    let both = vec![floats("s", &[4], &[1.0, 1.0, 1.5, 0.6])];
    assert_eq!(run(of(10, resize(), &[1, 1, 2, 4], both)), (vec![1, 1, 3, 2], vec![0.0, 2.0, 0.0, 2.0, 4.0, 6.0]));
    // What tract would compute by another rule.
    let row = of(10, resize(), &[1, 1, 10], vec![floats("s", &[3], &[1.0, 1.0, 3.0])]);
    refused(row, &["node Resize of output \"y\"", "export the model with opset 11 or later"]);
}

#[test]
fn sizes_that_keep_the_ratio_of_the_sides() {
    type Case<'a> = (&'a str, [i64; 4], [usize; 4], &'a [u8]);
    let cases: [Case<'_>; 4] = [
        ("not_larger", [1, 1, 2, 12], [1, 1, 2, 3], &[0, 2, 4, 12, 14, 16]),
        ("not_larger", [1, 1, 8, 5], [1, 1, 3, 5], &[0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17]),
        ("not_smaller", [1, 1, 2, 2], [1, 1, 4, 6], &[0, 1, 2, 3, 4, 5, 6, 7]),
        // Without axes the factor is that of all of them.
        ("not_smaller", [1, 1, 2, 12], [2, 2, 8, 12], &[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 0, 0, 1]),
    ];
    for (policy, wanted, shape, first) in cases {
        let resize = with_text(node("Resize", &["x", "", "", "n"], "y"), "keep_aspect_ratio_policy", policy);
        let found = run(of(18, resize, &[1, 1, 4, 6], vec![sizes(&wanted)]));
        let first: Vec<f32> = first.iter().map(|&place| f32::from(place)).collect();
        assert_eq!((&found.0[..], &found.1[..first.len()]), (&shape[..], &first[..]), "{policy} {wanted:?}");
    }
    let resize = with_text(node("Resize", &["x", "", "", "n"], "y"), "keep_aspect_ratio_policy", "not_smaller");
    let huge = of(18, resize, &[1, 1, 4000, 1], vec![sizes(&[1, 1, 1, 60000])]);
    refused(huge, &["node Resize of output \"y\"", "more than"]);
}

#[test]
fn upsample_between_pixels() {
    let expected = [0.0, 0.6666667, 1.0, 1.0, 1.6666667, 2.0, 2.0, 2.6666667, 3.0, 2.0, 2.6666667, 3.0];
    let upsample = || with_text(node("Upsample", &["x", "s"], "y"), "mode", "linear");
    let scales = |s: &[f32]| vec![floats("s", &[s.len() as i64], s)];
    let near = |found: (Vec<usize>, Vec<f32>)| {
        assert_eq!(found.0, [1, 1, 4, 3]);
        assert!(found.1.iter().zip(&expected).all(|(a, b): (&f32, &f32)| (a - b).abs() < 1e-6), "{:?}", found.1);
    };
    near(run(of(9, upsample(), &[1, 1, 2, 2], scales(&[1.0, 1.0, 2.0, 1.5]))));
    let mut attribute = upsample();
    attribute.input.truncate(1);
    let floats = vec![1.0, 1.0, 2.0, 1.5];
    attribute.attribute.push(AttributeProto { name: "scales".into(), floats, r#type: 6, ..Default::default() });
    near(run(of(7, attribute, &[1, 1, 2, 2], Vec::new())));
    let row = of(9, upsample(), &[1, 1, 4], scales(&[1.0, 1.0, 2.0]));
    refused(row, &["node Upsample of output \"y\"", "export the model with opset 11 or later"]);
    let smaller = of(9, upsample(), &[1, 1, 4, 4], scales(&[1.0, 1.0, 0.5, 0.5]));
    refused(smaller, &["node Upsample of output \"y\"", "does not make smaller"]);
}
