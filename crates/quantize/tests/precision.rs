//! Layers in A16W8: what is written, that ONNX Runtime answers the same (`data/a16w8.py`), and what they give.

use lineside_engine::{Model, Session, Tensor, kernel_names, npy};
use lineside_quantize::{Fallback, Form, LayerCounts, MaxLoss, Options, Quantized, compare, quantize};
use prost::Message;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tract_onnx::pb::{ModelProto, NodeProto};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

/// Waves and noise.
fn samples(shape: &[usize], count: u32) -> Vec<Vec<Tensor>> {
    let sample = |number: u32| {
        let mut state = number.wrapping_mul(2_654_435_761) | 1;
        let values = (0..shape.iter().product::<usize>()).map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let phase = (at as u32 * (number % 7 + 1)) % 64;
            (phase.abs_diff(32) as f32 - 16.0) / 24.0 + (state >> 24) as f32 / 640.0 - 0.2
        });
        vec![Tensor::new(shape.to_vec(), values.collect::<Vec<f32>>()).unwrap()]
    };
    (1..=count).map(sample).collect()
}

const PICTURES: (&str, [usize; 4]) = ("small.onnx", [1, 3, 32, 32]);
const PRODUCTS: (&str, [usize; 3]) = ("products.onnx", [1, 12, 16]);

fn run(options: &Options, (name, shape): (&str, &[usize])) -> Quantized {
    quantize(&file(name), &mut samples(shape, 40), options, &mut |_, _, _| Ok(())).unwrap()
}

fn with_wide(names: &[&str]) -> Options {
    let mut options = Options::default();
    options.wide = names.iter().map(ToString::to_string).collect();
    options
}

fn nodes(bytes: &[u8]) -> Vec<NodeProto> {
    ModelProto::decode(bytes).unwrap().graph.unwrap().node
}

fn layer_counts(floats: &[u8], shape: &[usize], bytes: &[u8]) -> LayerCounts {
    compare([floats, bytes], &mut samples(shape, 2), None, 1, &mut |_, _| Ok(())).unwrap().b.layers
}

#[test]
fn onnx_runtime_answers_the_same_within_steps() {
    for (name, steps) in [("small", 4.0), ("products", 0.0)] {
        let folder = data("a16w8").join(name);
        let read = |file: String| npy::read(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        let input = read("input.npy".into());
        for kernel in kernel_names() {
            let model = Model::load(&folder.join("model.onnx")).unwrap();
            let mut session =
                Session::new(Arc::new(model.plan_with(&[input.shape().to_vec()], kernel).unwrap())).unwrap();
            session.set_input(0, input.clone()).unwrap();
            session.run().unwrap();
            let mut wide = 0;
            for (index, output) in session.outputs().iter().enumerate() {
                let expected = read(format!("output_{index}.npy"));
                let difference = output.largest_difference(&expected).unwrap();
                // Floats are summed in another order before they are rounded to 16 bits: a convolution is a step off in one number of a
                // thousand, and a hard swish behind it, whose range is smaller, up to four.
                let allowed = if output.values::<u16>().is_none() { 1e-3 } else { steps };
                wide += usize::from(output.values::<u16>().is_some());
                assert!(difference <= allowed, "{name} {kernel}, output {index}: {difference}");
            }
            assert!(wide >= 6, "{name}: {wide}");
        }
    }
}

#[test]
fn sixteen_bits_lose_less_than_eight() {
    let both = |(name, shape): (&str, &[usize]), operators: &[&str]| {
        let options = with_wide(operators);
        let quantized = run(&options, (name, shape));
        let mixed = quantized.report.mixed.clone().unwrap();
        assert!(mixed.reached.noise < 0.7 * mixed.before.noise, "{name}: {mixed:?}");
        // What is written is what was measured.
        assert!((quantized.report.outputs[0].sqnr_db.unwrap() - mixed.reached.sqnr_db).abs() < 1e-9);
        let layers = &quantized.report.layers;
        assert!(layers.iter().all(|layer| layer.is_a16w8 && layer.input.is_none()), "{layers:?}");
        assert_eq!((mixed.a16w8.len(), mixed.taken.len()), (layers.len(), 0));
        let counts = layer_counts(&file(name), shape, &quantized.bytes);
        assert_eq!((counts.a8w8, counts.a16w8, counts.floats), (0, layers.len(), 0), "{name}");
        quantized
    };
    let pictures = both((PICTURES.0, &PICTURES.1), &["Conv", "Gemm"]);
    let products = both((PRODUCTS.0, &PRODUCTS.1), &["MatMul"]);
    // Before opset 21 there are 16 bits in the operators of ONNX Runtime alone.
    for (bytes, extension) in [(&pictures.bytes, true), (&products.bytes, false)] {
        let model = ModelProto::decode(&**bytes).unwrap();
        let of_extension = |node: &&NodeProto| node.domain == "com.microsoft";
        assert_eq!(nodes(bytes).iter().find(of_extension).is_some(), extension);
        assert_eq!(model.opset_import.iter().any(|set| set.domain == "com.microsoft"), extension);
    }
    // The same file each time.
    assert!(run(&with_wide(&["MatMul"]), (PRODUCTS.0, &PRODUCTS.1)).bytes == products.bytes);
}

#[test]
fn bytes_stay_beside_sixteen_bits() {
    let quantized = run(&with_wide(&["stem", "nothing"]), (PICTURES.0, &PICTURES.1));
    let report = &quantized.report;
    assert_eq!(report.unknown_wide, ["nothing"]);
    let wide: Vec<&str> =
        report.layers.iter().filter(|layer| layer.is_a16w8).map(|layer| layer.name.as_str()).collect();
    assert_eq!((wide, report.layers.len()), (vec!["stem"], 6));
    let counts = layer_counts(&file(PICTURES.0), &PICTURES.1, &quantized.bytes);
    assert_eq!((counts.a8w8, counts.a16w8, counts.floats), (5, 1, 0));
    let plan = Model::parse(&quantized.bytes).unwrap().plan(&[PICTURES.1.to_vec()]).unwrap();
    let coverage = plan.integer_coverage();
    assert!(coverage > 0.3 && coverage < 1.0, "{coverage}");
    // Its ReLU stays, as OpenVINO takes away what rounds to 16 bits, and with it what that leaves out.
    assert!(nodes(&quantized.bytes).iter().any(|node| node.op_type == "Relu"));
    // What nobody takes is not written: the picture in bytes.
    assert!(!nodes(&quantized.bytes).iter().any(|node| node.name == "image_quantized"));
    // No operator in integers takes 16 bits.
    let mut options = with_wide(&["stem"]);
    options.form = Form::QOperator;
    let operators = run(&options, (PICTURES.0, &PICTURES.1));
    let made = nodes(&operators.bytes);
    let stem = made.iter().find(|node| node.name == "stem").unwrap();
    assert_eq!(stem.op_type, "Conv");
    assert!(made.iter().any(|node| node.op_type == "QLinearConv"));
    let outputs = |bytes: &[u8]| {
        let plan = Model::parse(bytes).unwrap().plan(&[PICTURES.1.to_vec()]).unwrap();
        let mut session = Session::new(Arc::new(plan)).unwrap();
        session.set_input(0, samples(&PICTURES.1, 1)[0][0].clone()).unwrap();
        session.run().unwrap();
        session.outputs().to_vec()
    };
    assert!(outputs(&operators.bytes) == outputs(&quantized.bytes));
}

#[test]
fn a_stated_loss_is_met_in_sixteen_bits() {
    let with = |limit: f64| {
        let mut options = Options::default();
        (options.max_loss, options.fallback) = (Some(MaxLoss::Decibels(limit)), Fallback::A16W8);
        quantize(&file(PRODUCTS.0), &mut samples(&PRODUCTS.1, 40), &options, &mut |_, _, _| Ok(()))
    };
    let before = with(10.0).unwrap().report.mixed.unwrap().before.sqnr_db;
    let quantized = with(before + 2.0).unwrap();
    let mixed = quantized.report.mixed.as_ref().unwrap();
    assert!(
        mixed.reached.sqnr_db >= before + 2.0 && !mixed.taken.is_empty() && mixed.taken == mixed.a16w8,
        "{mixed:?}"
    );
    // Nothing is in floats for it.
    assert!(quantized.report.left.is_empty() && mixed.price > 0.0, "{:?}", quantized.report.left);
    let refused = with(150.0).unwrap_err().to_string();
    assert!(refused.contains("a loss of 150 dB is not met: with ") && refused.contains("layers in A16W8"), "{refused}");
}

/// ONNX Runtime rounds the weights of a convolution in floats between bytes, unless its bias is no initializer.
#[test]
fn layers_in_floats_have_biases_that_onnx_runtime_leaves_alone() {
    let mut options = Options::default();
    options.keep = ["depthwise".to_string()].into();
    let quantized = run(&options, (PICTURES.0, &PICTURES.1));
    let made = nodes(&quantized.bytes);
    let float = made.iter().find(|node| node.name == "depthwise").unwrap();
    assert!(made.iter().any(|node| node.op_type == "DequantizeLinear" && node.output == [float.input[2].as_str()]));
    let weights = ModelProto::decode(&*quantized.bytes).unwrap().graph.unwrap().initializer;
    assert!(weights.iter().any(|weight| weight.name == float.input[1] && weight.data_type == 1));
}
