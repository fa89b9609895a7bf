//! A small float network (`data/make.py`) through the quantizer, and what it refuses.

use lineside_engine::{Model, Session, Tensor};
use lineside_quantize::{
    Fallback, Form, MaxLoss, Method, Options, QuantizeError, Quantized, Samples, compare, layers, quantize,
};
use prost::Message;
use std::path::Path;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto};

fn small() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/small.onnx")).unwrap()
}

/// Pictures of stripes and spots, another one for each number.
fn samples(count: usize, first: u32) -> Vec<Vec<Tensor>> {
    let picture = |number: u32| {
        let mut state = number.wrapping_mul(2_654_435_761) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        let (period, level) = (2 + next() % 9, next() % 200);
        let values = (0..3 * 32 * 32u32).map(|at| {
            let wave = (at % 32 / period + at / 32 / (period + 1)) % 2 * 55;
            ((level + wave + next() % 30).min(255) as f32 - 127.0) / 128.0
        });
        vec![Tensor::new(vec![1, 3, 32, 32], values.collect::<Vec<f32>>()).unwrap()]
    };
    (first..first + count as u32).map(picture).collect()
}

fn run(options: &Options) -> Quantized {
    quantize(&small(), &mut samples(60, 1), options, &mut |_, _, _| Ok(())).unwrap()
}

/// Signal to noise of the logits on samples that nothing was taken from, and whether both gave the same class.
fn held_out(quantized: &Quantized) -> (f64, f64) {
    let found = compare([&small(), &quantized.bytes], &mut samples(60, 1000), None, 1, &mut |_, _| Ok(())).unwrap();
    (found.outputs[0].sqnr_db.unwrap(), found.top1_agreement.unwrap())
}

fn edited(edit: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(&*small()).unwrap();
    edit(&mut model);
    model.encode_to_vec()
}

fn nodes(bytes: &[u8]) -> Vec<NodeProto> {
    ModelProto::decode(bytes).unwrap().graph.unwrap().node
}

fn refused(bytes: &[u8], samples: &mut Vec<Vec<Tensor>>) -> String {
    quantize(bytes, samples, &Options::default(), &mut |_, _, _| Ok(())).unwrap_err().to_string()
}

#[test]
fn all_runs_in_integers_and_near_the_floats() {
    let mut options = Options::default();
    options.fix_shapes = true;
    let quantized = run(&options);
    let report = &quantized.report;
    assert_eq!((report.layers.len(), report.left.len()), (6, 0), "{report:?}");
    assert_eq!((report.calibrated, report.held_out), (54, 6));
    assert!(report.float_drift < 1e-5, "{}", report.float_drift);
    // The BatchNormalization and the opset before there was a scale for each channel.
    assert_eq!((report.simplified.folded_affine, report.simplified.raised_from_opset), (1, Some(12)));
    let plan = Model::parse(&quantized.bytes).unwrap().plan(&[vec![1, 3, 32, 32]]).unwrap();
    assert_eq!(plan.integer_coverage(), 1.0);
    let kinds: Vec<String> = nodes(&quantized.bytes).into_iter().map(|node| node.op_type).collect();
    for gone in ["BatchNormalization", "Relu", "Shape", "Slice"] {
        assert!(!kinds.iter().any(|kind| kind == gone), "{gone} is still there");
    }
    let (db, agreement) = held_out(&quantized);
    assert!(db > 25.0 && agreement > 0.9, "{db} dB, {agreement}");
}

#[test]
fn operators_of_their_own_give_the_same_bytes() {
    let spelled = |form: Form| {
        let mut options = Options::default();
        (options.fix_shapes, options.improve, options.form) = (true, false, form);
        run(&options).bytes
    };
    let (around, own) = (spelled(Form::Qdq), spelled(Form::QOperator));
    let count = |bytes: &[u8], kind: &str| nodes(bytes).iter().filter(|node| node.op_type == kind).count();
    let convolutions = count(&around, "Conv");
    assert!(convolutions > 2, "{convolutions}");
    assert_eq!((count(&own, "QLinearConv"), count(&own, "Conv")), (convolutions, 0));
    // Its weights and biases are taken as they are, and elements are moved as bytes.
    assert!(count(&own, "DequantizeLinear") + 3 * convolutions <= count(&around, "DequantizeLinear"), "{own:?}");
    let outputs = |bytes: &[u8]| {
        let plan = Model::parse(bytes).unwrap().plan(&[vec![1, 3, 32, 32]]).unwrap();
        assert_eq!(plan.integer_coverage(), 1.0);
        let mut session = Session::new(std::sync::Arc::new(plan)).unwrap();
        let mut all = Vec::new();
        for sample in samples(10, 500) {
            session.set_input(0, sample[0].clone()).unwrap();
            session.run().unwrap();
            all.extend(session.outputs().iter().flat_map(|output| output.values::<f32>().unwrap().to_vec()));
        }
        all.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
    };
    assert_eq!(outputs(&around), outputs(&own));
}

#[test]
fn what_a_stated_time_leaves_undone_is_reported() {
    let mut options = Options::default();
    options.time_limit = Some(std::time::Duration::ZERO);
    let none = run(&options);
    let unfinished = none.report.unfinished.unwrap();
    assert_eq!((unfinished.compared, unfinished.rounded, unfinished.layers), (0, 0, 6));
    assert!(unfinished.tensors > 0);
    // What is left are the first choices: ranges by layer, weights to the nearest.
    let (db, _) = held_out(&none);
    assert!(db > 20.0, "{db} dB");
    options.time_limit = Some(std::time::Duration::from_secs(100_000));
    let all = run(&options);
    assert_eq!(all.report.unfinished, None);
    options.time_limit = None;
    assert!(all.bytes == run(&options).bytes, "time that is enough changes nothing");
}

/// Floats of a constant in a file.
fn floats(constant: &TensorProto) -> Vec<f32> {
    constant.raw_data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[test]
fn every_kind_of_layer_has_a_step_for_each_of_its_outputs() {
    // Outputs whose weights differ a hundredfold in size; input and output channels differ in number, taps are several.
    let kinds: [(&str, &[i64], usize, Vec<AttributeProto>); 7] = [
        ("Conv", &[5, 3, 3, 2], 0, vec![]),
        ("Conv", &[6, 1, 3, 3], 0, vec![int_attribute("group", 3)]),
        ("ConvTranspose", &[3, 5, 2, 2], 1, vec![ints_attribute("strides", &[2, 2])]),
        ("ConvTranspose", &[3, 4, 3, 4], 1, vec![ints_attribute("strides", &[1, 2])]),
        ("Gemm", &[5, 12], 0, vec![int_attribute("transB", 1)]),
        ("Gemm", &[12, 5], 1, vec![]),
        ("MatMul", &[12, 5], 1, vec![]),
    ];
    for (op, shape, axis, attribute) in kinds {
        let count: i64 = shape.iter().product();
        let inner: i64 = shape[axis + 1..].iter().product();
        let channel = |at: usize| at / inner as usize % shape[axis] as usize;
        let weights: Vec<f32> = (0..count as usize)
            .map(|at| ((at * 7919 % 1009) as f32 / 504.5 - 1.0) * 10f32.powi(channel(at) as i32 % 3))
            .collect();
        let input: &[usize] = if shape.len() == 4 { &[1, 3, 6, 6] } else { &[4, 12] };
        let model = one_node(
            op,
            attribute,
            input.len(),
            TensorProto {
                name: "w".into(),
                dims: shape.to_vec(),
                data_type: 1,
                raw_data: weights.iter().flat_map(|w| w.to_le_bytes()).collect(),
                ..TensorProto::default()
            },
        );
        for improve in [false, true] {
            let mut options = Options::default();
            options.improve = improve;
            let values =
                |first: usize| (0..input.iter().product()).map(move |at| ((at * 31 + first * 17) % 97) as f32 / 97.0);
            let mut samples: Vec<Vec<Tensor>> = (0..40)
                .map(|first| vec![Tensor::new(input.to_vec(), values(first).collect::<Vec<f32>>()).unwrap()])
                .collect();
            let quantized = quantize(&model, &mut samples, &options, &mut |_, _, _| Ok(())).unwrap();
            let constants = ModelProto::decode(&*quantized.bytes).unwrap().graph.unwrap().initializer;
            let of = |end: &str| constants.iter().find(|constant| constant.name.ends_with(end)).unwrap();
            let scales = floats(of("weight_scale"));
            assert_eq!(scales.len(), shape[axis] as usize, "{op} {shape:?}");
            let bytes = &of("weight_quantized").raw_data;
            for (at, (&byte, &weight)) in bytes.iter().zip(&weights).enumerate() {
                let (scale, kept) = (scales[channel(at)], f32::from(byte as i8));
                // Rounded for the output, a weight may be off by more than half a step, but not by the size of another channel.
                let most = if improve { 30.0 } else { 0.51 };
                assert!(
                    (kept * scale - weight).abs() <= most * scale,
                    "{op} {shape:?} {improve}: {kept} x {scale}, {weight}"
                );
            }
            let db = quantized.report.outputs[0].sqnr_db.unwrap();
            assert!(db > 35.0, "{op} {shape:?} {improve}: {db} dB");
        }
    }
}

#[test]
fn channels_of_very_different_range_share_a_step_after_they_are_brought_together() {
    // Eight channels from 1 to 128, which the second convolution makes equal again: without factors the small ones are two steps wide.
    let size = |channel: usize| 2f32.powi(channel as i32);
    let first: Vec<f32> = (0..8 * 3).map(|at| size(at / 3) * ((at * 7 % 11) as f32 / 5.5 - 0.8)).collect();
    let second: Vec<f32> = (0..8 * 9).map(|at| ((at * 5 % 13) as f32 / 6.5 - 0.9) / size(at / 9)).collect();
    let constant = |name: &str, dims: &[i64], values: &[f32]| TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        raw_data: values.iter().flat_map(|w| w.to_le_bytes()).collect(),
        ..TensorProto::default()
    };
    let node = |op: &str, inputs: &[&str], output: &str, attribute| NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        attribute,
        ..NodeProto::default()
    };
    let model = edited(|model| {
        let graph = model.graph.as_mut().unwrap();
        graph.output[0].name = "y".into();
        if let Some(Value::TensorType(tensor)) = graph.output[0].r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
            tensor.shape = None;
        }
        graph.initializer = vec![constant("v", &[8, 3, 1, 1], &first), constant("w", &[8, 1, 3, 3], &second)];
        graph.node = vec![
            node("Conv", &["image", "v"], "wide", vec![]),
            node("Relu", &["wide"], "cut", vec![]),
            node("Conv", &["cut", "w"], "y", vec![int_attribute("group", 8)]),
        ];
    });
    let quality = |keep: &[&str]| {
        let mut options = Options::default();
        options.keep = keep.iter().map(|name| name.to_string()).collect();
        let quantized = quantize(&model, &mut samples(60, 1), &options, &mut |_, _, _| Ok(())).unwrap();
        assert!(quantized.report.float_drift < 1e-5);
        let found = compare([&model, &quantized.bytes], &mut samples(60, 1000), None, 1, &mut |_, _| Ok(())).unwrap();
        (quantized.report.simplified.equalized, found.outputs[0].sqnr_db.unwrap())
    };
    let ((equalized, with), (kept, without)) = (quality(&[]), quality(&["cut"]));
    assert_eq!((equalized, kept), (1, 0));
    assert!(with > without + 6.0, "{with} dB, without {without} dB");
}

/// A network of one node with constant weights.
fn one_node(op: &str, attribute: Vec<AttributeProto>, rank: usize, weight: TensorProto) -> Vec<u8> {
    edited(|model| {
        let graph = model.graph.as_mut().unwrap();
        let value = |name: &str| {
            let mut value = graph.input[0].clone();
            value.name = name.into();
            if let Some(Value::TensorType(tensor)) = value.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
                tensor.shape.as_mut().unwrap().dim = vec![Default::default(); rank];
            }
            value
        };
        let (x, y) = (value("x"), value("y"));
        (graph.input, graph.output) = (vec![x], vec![y]);
        graph.value_info.clear();
        graph.initializer = vec![weight];
        graph.node = vec![NodeProto {
            op_type: op.into(),
            name: op.into(),
            input: vec!["x".into(), "w".into()],
            output: vec!["y".into()],
            attribute,
            ..NodeProto::default()
        }];
    })
}

fn ints_attribute(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 7, ints: values.to_vec(), ..AttributeProto::default() }
}

#[test]
fn the_bias_of_a_channel_with_next_to_no_weights_survives() {
    // Beside weights of 1e-12 the bias is more than 32 bits in steps of the sums; without any weight there is no step at all.
    for weight in [1e-12f32, 0.0] {
        let model = edited(|model| {
            let constants = &mut model.graph.as_mut().unwrap().initializer;
            for constant in constants {
                match constant.name.as_str() {
                    "expand.weight" => constant.raw_data.as_chunks_mut::<4>().0[..16].fill(weight.to_le_bytes()),
                    "expand.bias" => constant.raw_data[..4].copy_from_slice(&50f32.to_le_bytes()),
                    _ => {}
                }
            }
        });
        for per_channel in [true, false] {
            let mut options = Options::default();
            (options.improve, options.per_channel) = (false, per_channel);
            let quantized = quantize(&model, &mut samples(20, 1), &options, &mut |_, _, _| Ok(())).unwrap();
            let parts = layers([&model, &quantized.bytes], &mut samples(8, 99), 1).unwrap();
            let db = parts.iter().find(|part| part.name == "expand.swish").unwrap().sqnr_db.unwrap();
            assert!(db > 30.0, "weights of {weight}, by channel {per_channel}: {db} dB");
        }
    }
}

#[test]
fn shapes_that_are_cast_on_the_way_become_constants() {
    // As Paddle writes them: the parts of a shape are cast before they are put together.
    let model = edited(|model| {
        let graph = model.graph.as_mut().unwrap();
        let at = graph.node.iter().position(|node| node.name == "flat.shape").unwrap();
        for (place, to) in [(0, 7), (1, 7)] {
            let from = graph.node[at + place].input[place].clone();
            let to = int_attribute("to", to);
            let cast = format!("cast.{place}");
            let (op_type, input, output) = ("Cast".into(), vec![from], vec![cast.clone()]);
            graph.node[at + place].input[place] = cast.clone();
            let node = NodeProto { op_type, name: cast, input, output, attribute: vec![to], ..NodeProto::default() };
            graph.node.insert(at, node);
        }
    });
    let mut options = Options::default();
    options.fix_shapes = true;
    let quantized = quantize(&model, &mut samples(12, 1), &options, &mut |_, _, _| Ok(())).unwrap();
    let left = nodes(&quantized.bytes).into_iter().map(|node| node.op_type);
    assert_eq!(left.filter(|kind| ["Cast", "Shape", "Slice", "Concat"].contains(&kind.as_str())).count(), 0);
}

fn int_attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 2, i: value, ..AttributeProto::default() }
}

#[test]
fn rounding_for_the_output_beats_rounding_to_the_nearest() {
    let mut options = Options::default();
    let (best, _) = held_out(&run(&options));
    options.improve = false;
    let (nearest, _) = held_out(&run(&options));
    assert!(best > nearest + 0.5, "{best} dB against {nearest}");
}

#[test]
fn what_a_function_makes_flat_takes_no_bytes() {
    // Below -3 a hard swish gives 0: "expand", which it takes, reaches much further down.
    let quantized = run(&Options::default());
    let constants = ModelProto::decode(&*quantized.bytes).unwrap().graph.unwrap().initializer;
    let raw = |name: &str| constants.iter().find(|constant| constant.name == name).unwrap().raw_data.clone();
    let scale = f32::from_le_bytes(raw("expand_scale").try_into().unwrap());
    let low = -scale * f32::from(raw("expand_zero_point")[0]);
    let outlier = quantized.report.outliers.iter().find(|outlier| outlier.tensor == "expand").unwrap();
    assert!(low > -12.0 && outlier.reaches.0 < -30.0, "from {low}, reaches {:?}", outlier.reaches);
}

#[test]
fn every_method_gives_a_network_and_threads_change_nothing() {
    for method in [Method::MinMax, Method::Percentile, Method::Mse, Method::Entropy, Method::Auto] {
        let mut options = Options::default();
        options.method = method;
        let one = run(&options);
        assert!(held_out(&one).0 > 15.0, "{method:?}: {:?}", held_out(&one));
        options.threads = 3;
        assert!(run(&options).bytes == one.bytes, "{method:?}");
    }
}

#[test]
fn one_scale_for_all_channels_costs_accuracy_and_needs_no_axis() {
    let mut options = Options::default();
    options.per_channel = false;
    let coarse = run(&options);
    let has_axis = |node: &NodeProto| node.op_type == "DequantizeLinear" && !node.attribute.is_empty();
    assert!(!nodes(&coarse.bytes).iter().any(has_axis));
    assert!(held_out(&coarse).0 < held_out(&run(&Options::default())).0);
}

#[test]
fn a_clip_stays_where_bytes_reach_beyond_it() {
    let clips = |bytes: &[u8]| nodes(bytes).iter().filter(|node| ["Relu", "Clip"].contains(&&*node.op_type)).count();
    let mut options = Options::default();
    assert_eq!(clips(&run(&options).bytes), 1, "but for that of the hard swish");
    // Half of the bytes stand for what is below 0, which ReLU takes away.
    options.symmetric = true;
    let symmetric = run(&options);
    assert_eq!(clips(&symmetric.bytes), 3);
    assert!(held_out(&symmetric).0 > 20.0, "{:?}", held_out(&symmetric));
    let plan = Model::parse(&symmetric.bytes).unwrap().plan(&[vec![1, 3, 32, 32]]).unwrap();
    assert_eq!(plan.integer_coverage(), 1.0);
}

#[test]
fn what_is_kept_stays_in_floats_and_is_named() {
    let mut options = Options::default();
    options.keep = ["project".to_string()].into();
    let quantized = run(&options);
    assert_eq!(quantized.report.left, [("project".to_string(), "kept by request".to_string())]);
    let project = nodes(&quantized.bytes).into_iter().find(|node| node.name == "project").unwrap();
    assert_eq!(project.input[1], "project.weight");
    assert!(held_out(&quantized).0 > 20.0);
}

#[test]
fn the_layers_where_two_networks_part_are_found() {
    let quantized = run(&Options::default());
    let parts = layers([&small(), &quantized.bytes], &mut samples(8, 500), 1).unwrap();
    let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
    assert!(names.contains(&"sum") && names.contains(&"gated"), "{names:?}");
    // What only functions take is seen behind them.
    assert!(!names.contains(&"expand") && names.contains(&"expand.swish"), "{names:?}");
    assert!(parts.iter().all(|part| part.sqnr_db.is_none_or(|db| db > 10.0)), "{parts:?}");
}

#[test]
fn what_cannot_be_quantized_is_refused_in_one_line() {
    let again = refused(&run(&Options::default()).bytes, &mut samples(3, 1));
    assert!(again.contains("quantized already"), "{again}");
    assert!(refused(&small(), &mut Vec::new()).contains("no samples"));
    assert!(refused(b"no model", &mut samples(3, 1)).contains("not a readable ONNX model"));
    let strange = edited(|model| {
        let weights = &mut model.graph.as_mut().unwrap().initializer;
        let weight = weights.iter_mut().find(|weight| weight.name == "project.weight").unwrap();
        weight.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let message = refused(&strange, &mut samples(3, 1));
    assert!(message.contains("\"project\"") && message.contains("NaN"), "{message}");
    let mut broken = samples(3, 1);
    broken[1][0].values_mut::<f32>().unwrap()[7] = f32::INFINITY;
    let message = refused(&small(), &mut broken);
    assert!(message.contains("input \"image\": sample 1"), "{message}");
    let nothing = edited(|model| model.graph.as_mut().unwrap().node.retain(|node| node.op_type == "Never"));
    assert!(!refused(&nothing, &mut samples(3, 1)).is_empty());
    let bare = edited(|model| model.graph.as_mut().unwrap().node[0].input.clear());
    assert!(refused(&bare, &mut samples(3, 1)).contains("\"stem\" (Conv) has no first input"));
    // A name that stands for another operator in another domain.
    let foreign = edited(|model| model.graph.as_mut().unwrap().node[0].domain = "com.microsoft.nchwc".into());
    let message = refused(&foreign, &mut samples(3, 1));
    assert!(message.contains("node \"stem\": operator Conv of domain com.microsoft.nchwc"), "{message}");
    let message = lineside_quantize::quantize_dynamic(&foreign, &Default::default()).unwrap_err().to_string();
    assert!(message.contains("operator Conv of domain com.microsoft.nchwc"), "{message}");
    let old = edited(|model| model.opset_import[0].version = 7);
    assert!(refused(&old, &mut samples(3, 1)).contains("opset 7 is older"));
    let mut other_size = vec![vec![Tensor::new(vec![1, 1, 8, 8], vec![0f32; 64]).unwrap()]];
    assert!(refused(&small(), &mut other_size).contains("image"));
}

#[test]
fn a_network_that_gives_the_place_of_the_greatest_is_judged_by_what_it_compares() {
    let places = edited(|model| {
        let graph = model.graph.as_mut().unwrap();
        let logits = graph.output[0].name.clone();
        graph.node.push(NodeProto {
            op_type: "ArgMax".into(),
            input: vec![logits],
            output: vec!["place".into()],
            attribute: vec![AttributeProto { name: "axis".into(), r#type: 2, i: 1, ..Default::default() }],
            ..Default::default()
        });
        let output = &mut graph.output[0];
        output.name = "place".into();
        if let Some(Value::TensorType(tensor)) = output.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
            (tensor.elem_type, tensor.shape) = (tract_onnx::pb::tensor_proto::DataType::Int64 as i32, None);
        }
    });
    let mut options = Options::default();
    options.max_loss = Some("1dB".parse().unwrap());
    let quantized = quantize(&places, &mut samples(20, 1), &options, &mut |_, _, _| Ok(())).unwrap();
    assert!(quantized.report.mixed.unwrap().before.sqnr_db > 1.0);
}

#[test]
fn layers_stay_in_floats_until_the_stated_loss_is_met() {
    let run = |limit: &str| {
        let mut options = Options::default();
        options.max_loss = Some(limit.parse().unwrap());
        // Which of the two is faster here is left to other CPUs.
        options.fallback = Fallback::Float;
        quantize(&small(), &mut samples(60, 1), &options, &mut |_, _, _| Ok(()))
    };
    let whole = run("10dB").unwrap();
    let mixed = whole.report.mixed.as_ref().unwrap();
    assert!(mixed.layers.is_empty() && mixed.price == 0.0, "{mixed:?}");
    let before = mixed.before.sqnr_db;
    assert_eq!(mixed.samples, 6);
    // A little more than all in integers give.
    let better = run(&format!("{:.2}dB", before + 1.0)).unwrap();
    let mixed = better.report.mixed.as_ref().unwrap();
    assert!(mixed.reached.sqnr_db >= before + 1.0 && mixed.price <= 0.5, "{mixed:?}");
    let kept: Vec<&str> = mixed.taken.iter().map(String::as_str).collect();
    let tried: Vec<&String> = mixed.layers.iter().filter(|layer| layer.kept).flat_map(|layer| &layer.names).collect();
    assert!(!kept.is_empty() && kept.iter().all(|name| tried.iter().any(|tried| tried == name)), "{mixed:?}");
    // Singly, and with those behind them.
    assert!(mixed.layers.iter().any(|layer| layer.names.len() > 1), "{mixed:?}");
    let left: Vec<&str> = better.report.left.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(left.len(), kept.len());
    assert!(left.iter().all(|name| kept.contains(name)), "{left:?} {kept:?}");
    assert!(better.report.left.iter().all(|(_, reason)| reason == "kept for the stated loss"), "{left:?}");
    assert_eq!(better.report.layers.len() + left.len(), 6);
    // What is written is what was measured.
    assert!((better.report.outputs[0].sqnr_db.unwrap() - mixed.reached.sqnr_db).abs() < 1e-9);
    let refused = run("120dB").unwrap_err().to_string();
    assert!(refused.contains("a loss of 120 dB is not met: with ") && refused.contains(" of 6 layers"), "{refused}");
    assert!(run("100%").is_ok());
    for wrong in ["", "5", "x%", "-1dB", "101%", "nan%", "NaNdB"] {
        assert!(wrong.parse::<MaxLoss>().is_err(), "{wrong}");
    }
}

#[test]
fn layers_without_names_have_their_price() {
    let nameless = edited(|model| model.graph.as_mut().unwrap().node.iter_mut().for_each(|node| node.name.clear()));
    let mut options = Options::default();
    options.max_loss = Some(MaxLoss::Decibels(100.0));
    (options.improve, options.fallback) = (false, Fallback::Float);
    let refused = quantize(&nameless, &mut samples(20, 1), &options, &mut |_, _, _| Ok(())).unwrap_err().to_string();
    // Not all of them: they are not free.
    assert!(refused.contains("a loss of 100 dB is not met") && !refused.contains("with 6 of 6"), "{refused}");
}

/// Samples of which some cannot be read.
struct Broken(Vec<Vec<Tensor>>, Vec<usize>);

impl Samples for Broken {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&mut self, index: usize) -> Result<Vec<Tensor>, QuantizeError> {
        if self.1.contains(&index) {
            return Err(QuantizeError::Data(format!("no. {index} is broken")));
        }
        Samples::get(&mut self.0, index)
    }
}

#[test]
fn samples_that_cannot_be_read_are_left_out() {
    let mut options = Options::default();
    (options.fix_shapes, options.improve) = (true, false);
    let mut broken = Broken(samples(20, 1), vec![0, 5, 9]);
    let quantized = quantize(&small(), &mut broken, &options, &mut |_, _, _| Ok(())).unwrap();
    let report = &quantized.report;
    assert_eq!((report.calibrated, report.held_out), (16, 1));
    let unread: Vec<usize> = report.unread.iter().map(|sample| sample.index).collect();
    assert_eq!(unread, [0, 5, 9]);
    let mut all_broken = Broken(samples(4, 1), vec![0, 1, 2, 3]);
    let refused = quantize(&small(), &mut all_broken, &options, &mut |_, _, _| Ok(())).unwrap_err().to_string();
    assert!(refused.contains("none of the 4 samples can be read") && refused.contains("no. 0 is broken"), "{refused}");
    let compared = compare([&small(), &quantized.bytes], &mut broken, None, 1, &mut |_, _| Ok(())).unwrap();
    assert_eq!((compared.samples, compared.unread.len()), (17, 3));
}

#[test]
fn black_pictures_are_told() {
    // As bytes of zero are, through a mean of 0 and of 127.
    for value in [0f32, -127.0 / 128.0] {
        let mut black = vec![vec![Tensor::new(vec![1, 3, 32, 32], vec![value; 3072]).unwrap()]; 3];
        let quantized = quantize(&small(), &mut black, &Options::default(), &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(quantized.report.constant_tensors[0], "image");
    }
}

#[test]
fn the_caller_can_stop_it() {
    let stopped =
        quantize(&small(), &mut samples(3, 1), &Options::default(), &mut |_, _, _| Err(QuantizeError::Stopped));
    assert!(matches!(stopped, Err(QuantizeError::Stopped)));
}
