//! BatchNormalization, factors and terms of each channel go into the weights before them (Jacob et al. 2018, section 3.2).

use crate::array;
use crate::network::{Attributes, Edges, Network, int_attribute, node};
use crate::types::Types;
use tract_onnx::pb::NodeProto;

/// What is done to each channel: `gain[c] * x + shift[c]`; one value stands for all channels.
struct Affine {
    gain: Vec<f32>,
    shift: Vec<f32>,
}

/// Folds what can be folded. Returns how many nodes went into the one before them, and how many BatchNormalizations became a
/// convolution of their own.
pub fn fold(network: &mut Network, types: &Types) -> (usize, usize) {
    let mut folded = 0;
    while let Some((maker, at, affine)) = next(network) {
        if !apply(network, maker, at, &affine) {
            break;
        }
        folded += 1;
    }
    (folded, own_convolutions(network, types))
}

/// A convolution, the node after it, and what that node does.
fn next(network: &Network) -> Option<(usize, usize, Affine)> {
    let edges = network.edges();
    (0..network.nodes().len()).find_map(|maker| {
        let node = &network.nodes()[maker];
        let channels = channels(network, node)?;
        let at = edges.only_taker(node.output.first()?)?;
        let affine = affine(network, &network.nodes()[at], &node.output[0], channels)?;
        Some((maker, at, affine))
    })
}

/// Output channels of a convolution whose weights may be changed.
fn channels(network: &Network, node: &NodeProto) -> Option<usize> {
    let weight = network.constant(node.input.get(1)?).filter(|weight| array::is_float(weight))?;
    let bias_known = node.input.get(2).is_none_or(|bias| network.is_fixed(bias));
    let shape = array::shape(weight);
    match node.op_type.as_str() {
        "Conv" if bias_known && shape.len() >= 3 => Some(shape[0]),
        "ConvTranspose" if bias_known && shape.len() >= 3 && node.int("group", 1) == 1 => Some(shape[1]),
        _ => None,
    }
}

fn affine(network: &Network, node: &NodeProto, input: &str, channels: usize) -> Option<Affine> {
    let spread = |values: Vec<f32>| match values.len() {
        1 => Some(vec![values[0]; channels]),
        n if n == channels => Some(values),
        _ => None,
    };
    if node.op_type == "BatchNormalization" {
        return batch_normalization(network, node).filter(|affine| affine.gain.len() == channels);
    }
    let [left, right] = node.input.as_slice() else { return None };
    let (other, is_left) = if left == input { (right, true) } else { (left, false) };
    let constant = network.constant(other).filter(|constant| array::is_float(constant))?;
    if !each_channel(&array::shape(constant), channels) {
        return None;
    }
    let values = spread(array::floats(constant).ok()?)?;
    let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
    match (node.op_type.as_str(), is_left) {
        ("Add", _) => Some(Affine { gain: ones, shift: values }),
        ("Sub", true) => Some(Affine { gain: ones, shift: values.iter().map(|v| -v).collect() }),
        ("Mul", _) => Some(Affine { gain: values, shift: zeros }),
        ("Div", true) if values.iter().all(|&v| v != 0.0) => {
            Some(Affine { gain: values.iter().map(|v| 1.0 / v).collect(), shift: zeros })
        }
        _ => None,
    }
}

/// Whether a constant of this shape is broadcast over all but the channels of `[n, c, h, w]`, or has one element.
fn each_channel(shape: &[usize], channels: usize) -> bool {
    if shape.iter().product::<usize>() == 1 {
        return shape.len() <= 4;
    }
    match shape {
        [c, 1, 1] | [1, c, 1, 1] => *c == channels,
        _ => false,
    }
}

fn batch_normalization(network: &Network, node: &NodeProto) -> Option<Affine> {
    let of = |index: usize| network.floats(node.input.get(index)?);
    let (scale, shift, mean, variance) = (of(1)?, of(2)?, of(3)?, of(4)?);
    let epsilon = node.float("epsilon", 1e-5);
    if node.int("training_mode", 0) != 0 || [&shift, &mean, &variance].iter().any(|list| list.len() != scale.len()) {
        return None;
    }
    let gain: Vec<f32> = scale
        .iter()
        .zip(&variance)
        .map(|(&scale, &variance)| (f64::from(scale) / (f64::from(variance) + f64::from(epsilon)).sqrt()) as f32)
        .collect();
    let shift = gain.iter().zip(&shift).zip(&mean).map(|((gain, shift), mean)| shift - gain * mean).collect();
    Some(Affine { gain, shift })
}

fn apply(network: &mut Network, maker: usize, at: usize, affine: &Affine) -> bool {
    let convolution = network.nodes()[maker].clone();
    let Some(weight) = network.constant(&convolution.input[1]).cloned() else { return false };
    let Ok(mut values) = array::floats(&weight) else { return false };
    let shape = array::shape(&weight);
    // Output channels are the first dimension, of a transposed convolution the second.
    let (outer, channels) = if convolution.op_type == "Conv" { (1, shape[0]) } else { (shape[0], shape[1]) };
    let inner = values.len() / (outer * channels).max(1);
    for (at, value) in values.iter_mut().enumerate() {
        *value *= affine.gain[at / inner % channels];
    }
    let bias = convolution.input.get(2).filter(|name| !name.is_empty());
    let bias = match bias {
        Some(name) => match network.floats(name) {
            Some(bias) => bias,
            None => return false,
        },
        None => vec![0.0; channels],
    };
    let bias: Vec<f32> =
        bias.iter().zip(&affine.gain).zip(&affine.shift).map(|((bias, gain), shift)| bias * gain + shift).collect();
    // Names of their own: other nodes may share the constants.
    let base = convolution.output[0].clone();
    let (weight_name, bias_name) = (network.fresh(&format!("{base}.weight")), network.fresh(&format!("{base}.bias")));
    network.set_constant(array::of_floats(&weight_name, &shape, &values));
    network.set_constant(array::of_floats(&bias_name, &[channels], &bias));
    let output = network.nodes()[at].output[0].clone();
    let graph = network.graph_mut();
    let node = &mut graph.node[maker];
    node.input = vec![node.input[0].clone(), weight_name, bias_name];
    node.output[0] = output;
    graph.node.remove(at);
    true
}

/// A BatchNormalization after anything else becomes a convolution of one tap for each channel: that has an integer form.
fn own_convolutions(network: &mut Network, types: &Types) -> usize {
    let mut made = 0;
    for at in 0..network.nodes().len() {
        let old = network.nodes()[at].clone();
        if old.op_type != "BatchNormalization" || !types.is_float(&old.input[0]) {
            continue;
        }
        let Some(Affine { gain, shift }) = batch_normalization(network, &old) else { continue };
        // A batch of pictures: behind a Conv, a pool, or anything of four dimensions; others are left alone.
        if !follows_picture(network, &network.edges(), &old.input[0], 0) {
            continue;
        }
        let (channels, base) = (gain.len(), old.output[0].clone());
        let (weight, bias) = (network.fresh(&format!("{base}.gain")), network.fresh(&format!("{base}.shift")));
        network.set_constant(array::of_floats(&weight, &[channels, 1, 1, 1], &gain));
        network.set_constant(array::of_floats(&bias, &[channels], &shift));
        let group = int_attribute("group", channels as i64);
        let new = node("Conv", &old.name, &[&old.input[0], &weight, &bias], &[&base], vec![group]);
        network.graph_mut().node[at] = new;
        made += 1;
    }
    made
}

/// Whether a tensor comes from a convolution or pool in two dimensions by way of ops that keep the number of dimensions.
fn follows_picture(network: &Network, edges: &Edges, name: &str, depth: usize) -> bool {
    let Some(&at) = edges.producer.get(name) else {
        let input = network.graph().input.iter().find(|input| input.name == name);
        return input.is_some_and(|input| crate::network::rank(input) == Some(4));
    };
    let node = &network.nodes()[at];
    match node.op_type.as_str() {
        "Conv" | "ConvTranspose" => {
            node.input.get(1).and_then(|weight| network.constant(weight)).is_some_and(|weight| weight.dims.len() == 4)
        }
        "MaxPool" | "AveragePool" => node.ints("kernel_shape").is_some_and(|kernel| kernel.len() == 2),
        "Relu" | "Clip" | "LeakyRelu" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "PRelu" | "Concat" | "Resize"
        | "Add" | "Mul" | "BatchNormalization" => {
            depth < 64 && follows_picture(network, edges, &node.input[0], depth + 1)
        }
        _ => false,
    }
}
