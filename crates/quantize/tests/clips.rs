//! A Relu or Clip behind a layer goes into the range of its bytes where these cannot stand for what it cuts off, and stays a node elsewhere.
//! What is written is run by the engine and held against the floats.

mod parts;

use lineside_engine::{Model, Session, Tensor};
use lineside_quantize::{Form, Options, compare, quantize};
use parts::{constant, graph, network, node, samples, weights};
use std::sync::Arc;
use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

const SHAPE: [usize; 4] = [1, 3, 8, 8];
const OPEN: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// What a convolution makes of the samples lies between -6 and 6.
const CLIPS: [(f32, f32); 9] = [
    (0.0, f32::INFINITY),
    (0.0, 1.5),
    (-1.0, 1.0),
    (-0.5, f32::INFINITY),
    (f32::NEG_INFINITY, 1.0),
    (0.5, 2.0),
    (-2.0, -0.5),
    (0.5, 0.7),
    OPEN,
];

/// A convolution, the clip, and a convolution or product that takes what it leaves, which may be an output, too.
fn clipped(opset: i64, (low, high): (f32, f32), first: &str, is_output: bool) -> Vec<u8> {
    let mut constants = vec![weights("w", &[6, 3, 3, 3], 1), weights("b", &[6], 2), weights("v", &[4, 6, 1, 1], 3)];
    if first == "ConvTranspose" {
        constants[0] = weights("w", &[3, 6, 3, 3], 1);
    }
    let clip = if (low, high) == (0.0, f32::INFINITY) {
        node("Relu", &["c"], &["r"])
    } else {
        let mut names = ["c", "", ""];
        for (name, limit, place) in [("low", low, 1), ("high", high, 2)] {
            if limit.is_finite() {
                constants.push(constant(name, &[], &[limit]));
                names[place] = name;
            }
        }
        node("Clip", &names, &["r"])
    };
    let nodes = vec![node(first, &["x", "w", "b"], &["c"]), clip, node("Conv", &["r", "v"], &["y"])];
    let outputs = [("y", DataType::Float), ("r", DataType::Float)];
    network(opset, 4, nodes, constants, &outputs[..1 + usize::from(is_output)])
}

/// Ways to write a network.
fn ways() -> Vec<(&'static str, Options)> {
    let of = |edit: fn(&mut Options)| {
        let mut options = Options::default();
        options.improve = false;
        edit(&mut options);
        options
    };
    let wide = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let mut ways = vec![
        ("bytes", of(|_| {})),
        ("one scale for all channels", of(|options| options.per_channel = false)),
        ("operators of their own", of(|options| options.form = Form::QOperator)),
        ("A16W8", of(|_| {})),
        ("A16W8 before bytes", of(|_| {})),
        ("the first in floats", of(|_| {})),
    ];
    ways[3].1.wide = wide(&["c", "y"]);
    ways[4].1.wide = wide(&["c"]);
    ways[5].1.keep = wide(&["c"]);
    ways
}

fn clips(nodes: &[NodeProto]) -> usize {
    nodes.iter().filter(|node| matches!(node.op_type.as_str(), "Relu" | "Clip")).count()
}

fn outputs(file: &[u8], sample: &[Tensor]) -> Vec<Tensor> {
    let plan = Model::parse(file).unwrap().plan(&[SHAPE.to_vec()]).unwrap();
    let mut session = Session::new(Arc::new(plan)).unwrap();
    session.set_input(0, sample[0].clone()).unwrap();
    session.run().unwrap();
    session.outputs().to_vec()
}

/// Quantizes, and holds what is written against the floats. Returns it.
fn written(model: &[u8], (low, high): (f32, f32), options: &Options, what: &str) -> Vec<u8> {
    let mut all = samples(&SHAPE, 20);
    let file = quantize(model, &mut all, options, &mut |_, _, _| Ok(())).unwrap().bytes;
    let mut others = samples(&SHAPE, 30).split_off(20);
    let found = compare([model, &file], &mut others, None, 1, &mut |_, _| Ok(())).unwrap();
    for output in found.outputs.iter().filter(|output| !output.is_same) {
        let db = output.sqnr_db.unwrap_or_else(|| panic!("{what}: {output:?}"));
        assert!(db > 25.0, "{what}, {}: {db:.1} dB", output.name);
    }
    if found.outputs.len() == 2 {
        // A step of the widest range that there is.
        let step = 12.0 / 255.0;
        for sample in &others {
            let made = outputs(&file, sample);
            let beyond = |value: &&f32| **value < low - step || **value > high + step;
            let strange = made[1].values::<f32>().unwrap().iter().find(beyond);
            assert_eq!(strange, None, "{what}: beyond {low} to {high}");
        }
    }
    file
}

#[test]
fn nothing_that_a_clip_cuts_off_comes_back() {
    for limits in CLIPS {
        for (way, options) in ways() {
            // 16 bits are ONNX's own from opset 21 on.
            let opsets: &[i64] = if options.wide.is_empty() { &[13] } else { &[13, 21] };
            for &opset in opsets {
                for (symmetric, is_output) in [(false, false), (false, true), (true, false), (true, true)] {
                    let mut options = options.clone();
                    options.symmetric = symmetric;
                    let what = format!("{limits:?}, {way}, symmetric: {symmetric}, output: {is_output}, opset {opset}");
                    let file = written(&clipped(opset, limits, "Conv", is_output), limits, &options, &what);
                    check_nodes(&file, limits, &options, &what);
                }
            }
        }
    }
}

/// The clip is gone where the range does the same, and all else runs in integers as before.
fn check_nodes(file: &[u8], limits @ (low, high): (f32, f32), options: &Options, what: &str) {
    let nodes = graph(file).node;
    let (found, is_kept) = (clips(&nodes), !options.keep.is_empty());
    // The lower end of a range is 0 or below, the upper one 0 or above.
    let expected = match limits {
        _ if is_kept => Some(1),
        // OpenVINO takes away what rounds to 16 bits: the clip is written.
        _ if !options.wide.is_empty() => Some(1),
        OPEN => Some(0),
        _ if low > 0.0 || high < 0.0 => Some(1),
        _ if options.symmetric => (low == 0.0).then_some(1),
        // Of two ends with 0 between them, one may be half a step off.
        _ if low < 0.0 && high.is_finite() => None,
        _ => Some(0),
    };
    assert!(expected.is_none_or(|expected| found == expected) && found < 2, "{what}: {found} clips");
    let count = |op: &str| nodes.iter().filter(|node| node.op_type == op).count();
    if options.form == Form::QOperator {
        assert_eq!((count("QLinearConv"), count("Conv")), (2, 0), "{what}");
    }
    if options.wide.is_empty() && !is_kept {
        let plan = Model::parse(file).unwrap().plan(&[SHAPE.to_vec()]).unwrap();
        assert_eq!(plan.integer_coverage(), 1.0, "{what}");
    }
}

#[test]
fn other_layers_and_improved_roundings_keep_what_a_clip_does() {
    for first in ["Conv", "ConvTranspose"] {
        for limits in [CLIPS[0], CLIPS[1], CLIPS[5]] {
            let model = clipped(17, limits, first, true);
            let mut options = Options::default();
            options.symmetric = true;
            let file = written(&model, limits, &options, &format!("{first}, {limits:?}"));
            assert_eq!(clips(&graph(&file).node), 1, "{first}, {limits:?}");
        }
    }
}

#[test]
fn a_clip_behind_a_product_stays_where_it_is_needed() {
    for (limits, symmetric) in [(CLIPS[0], false), (CLIPS[0], true), (CLIPS[5], false)] {
        let mut nodes = graph(&clipped(17, limits, "Conv", false)).node;
        nodes[0] = node("MatMul", &["x", "m"], &["c"]);
        let mut constants = graph(&clipped(17, limits, "Conv", false)).initializer;
        constants[2] = weights("v", &[4, 3, 1, 1], 3);
        constants.push(weights("m", &[8, 8], 4));
        let model = network(17, 4, nodes, constants, &[("y", DataType::Float), ("r", DataType::Float)]);
        let mut options = Options::default();
        (options.improve, options.symmetric) = (false, symmetric);
        written(&model, limits, &options, &format!("{limits:?}, symmetric: {symmetric}"));
    }
}

#[test]
fn limits_that_cross_are_no_range() {
    // ONNX: all becomes the upper limit.
    let mut model = clipped(17, (1.0, 2.0), "Conv", false);
    let (nodes, mut constants) = (graph(&model).node, graph(&model).initializer);
    constants.iter_mut().filter(|constant| constant.name == "low").for_each(|low| *low = constant("low", &[], &[3.0]));
    model = network(17, 4, nodes, constants, &[("y", DataType::Float)]);
    for wide in [false, true] {
        let mut options = Options::default();
        options.improve = false;
        if wide {
            options.wide.extend(["c".to_string(), "y".to_string()]);
        }
        written(&model, (2.0, 2.0), &options, &format!("wide: {wide}"));
    }
}
