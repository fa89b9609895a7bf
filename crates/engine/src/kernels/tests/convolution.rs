//! Convolutions, alone and with a sum, and matrix products.

use super::{CASES, bytes, check, number, requantized, tensor};
use crate::graph::{Conv, Finish, Graph, Op, Weights, ZeroPoint, stored_range};
use crate::kernels::available;
use crate::plan::Plan;
use crate::{ElementKind, Tensor};
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Debug, Clone)]
struct Case {
    n: usize,
    channels: [usize; 2],
    groups: usize,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    pads: [usize; 4],
    kinds: [ElementKind; 2],
    zero_points: [i32; 2],
    scale: f32,
    extremes: bool,
    seed: u64,
    epilogue: u8,
    transposed: bool,
    zero_weights: i32,
}

impl Case {
    fn output(&self) -> Option<[usize; 2]> {
        let mut out = [0; 2];
        for axis in 0..2 {
            let pads = self.pads[axis] + self.pads[axis + 2];
            out[axis] = if self.transposed {
                ((self.size[axis] - 1) * self.stride[axis] + self.kernel[axis]).checked_sub(pads)?
            } else {
                let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
                (self.size[axis] + pads).checked_sub(reach)? / self.stride[axis] + 1
            };
        }
        (!out.contains(&0)).then_some(out)
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let kinds = prop_oneof![Just(ElementKind::U8), Just(ElementKind::I8)];
    let shape = (1..3usize, 1..40usize, 1..72usize, 1..4usize, [1..14usize, 1..18usize], [1..6usize, 1..6usize]);
    let walk = ([1..4usize, 1..4usize], [1..3usize, 1..3usize], proptest::array::uniform4(0..3usize));
    let numbers = ([kinds.clone(), kinds], [0..256i32, 0..256i32], -7.0..1.0f32, any::<bool>(), any::<u64>());
    let modes = (0..8u8, 0..10u8, 0..4u8, 0..3u8);
    (shape, walk, numbers, modes).prop_map(|(shape, mut walk, numbers, (epilogue, mode, asymmetric, plain))| {
        let (n, inputs, outputs, groups, size, mut kernel) = shape;
        if plain == 0 {
            // The commonest convolution, for which there are ways of its own.
            (kernel, walk.0, walk.1) = ([3, 3], [1, 1], [1, 1]);
        }
        let depthwise = mode < 4;
        let (channels, groups) = if depthwise {
            ([inputs * 2, inputs * 2], inputs * 2)
        } else if mode < 6 {
            ([groups * (inputs % 9 + 1), groups * (outputs % 9 + 1)], groups)
        } else {
            ([inputs, outputs], 1)
        };
        let transposed = mode == 9;
        let kinds = numbers.0;
        let zero = |i: usize| if kinds[i] == ElementKind::I8 { numbers.1[i] - 128 } else { numbers.1[i] };
        Case {
            n,
            channels,
            groups,
            size,
            kernel,
            stride: walk.0,
            dilation: if transposed { [1, 1] } else { walk.1 },
            pads: walk.2.map(|pad| pad.min(kernel[0] - 1).min(kernel[1] - 1)),
            kinds,
            zero_points: [zero(0), zero(1)],
            scale: 10f32.powf(numbers.2),
            extremes: numbers.3,
            seed: numbers.4,
            epilogue,
            transposed,
            zero_weights: if asymmetric == 0 { [77, -127, 127, -60][numbers.4 as usize % 4] } else { 0 },
        }
    })
}

/// The accumulators by the definition.
fn defined(case: &Case, x: &[u8], weights: &[i32], bias: &[i32], out: [usize; 2]) -> Vec<i32> {
    let [inputs, outputs] = [case.channels[0] / case.groups, case.channels[1]];
    let mut y = vec![0i32; case.n * outputs * out[0] * out[1]];
    for n in 0..case.n {
        for o in 0..outputs {
            let group = o / (outputs / case.groups);
            for oy in 0..out[0] {
                for ox in 0..out[1] {
                    let mut acc = bias[o];
                    for ky in 0..case.kernel[0] {
                        for kx in 0..case.kernel[1] {
                            let from = |axis: usize, o: usize, k: usize| {
                                let pad = case.pads[axis] as isize;
                                if case.transposed {
                                    let position = o as isize + pad - k as isize;
                                    let stride = case.stride[axis] as isize;
                                    (position % stride == 0).then_some(position / stride)
                                } else {
                                    Some((o * case.stride[axis] + k * case.dilation[axis]) as isize - pad)
                                }
                            };
                            let (Some(iy), Some(ix)) = (from(0, oy, ky), from(1, ox, kx)) else { continue };
                            let inside = |i: isize, axis: usize| (0..case.size[axis] as isize).contains(&i);
                            if !inside(iy, 0) || !inside(ix, 1) {
                                continue;
                            }
                            for i in 0..inputs {
                                let channel = n * case.channels[0] + group * inputs + i;
                                let at = (channel * case.size[0] + iy as usize) * case.size[1] + ix as usize;
                                let value = number(case.kinds[0], x[at]) - case.zero_points[0];
                                let weight = weights[((o * case.kernel[0] + ky) * case.kernel[1] + kx) * inputs + i];
                                acc = acc.wrapping_add(value.wrapping_mul(weight));
                            }
                        }
                    }
                    y[((n * outputs + o) * out[0] + oy) * out[1] + ox] = acc;
                }
            }
        }
    }
    y
}

/// Runs a case on every set, against the definition.
fn check_convolution(case: &Case) {
    let Some(out) = case.output() else { return };
    let [inputs, outputs] = [case.channels[0] / case.groups, case.channels[1]];
    let x_shape = [case.n, case.channels[0], case.size[0], case.size[1]];
    let y_shape = [case.n, outputs, out[0], out[1]];
    let x = bytes(case.seed, x_shape.iter().product(), case.extremes);
    let count = outputs * case.kernel[0] * case.kernel[1] * inputs;
    let weights: Vec<i32> = bytes(case.seed ^ 0x5eed, count, case.extremes)
        .into_iter()
        .map(|b| i32::from(b as i8) - case.zero_weights)
        .collect();
    let bias: Vec<i32> = (0..outputs).map(|o| (o as i32 - 7) * if case.extremes { 40_000_000 } else { 900 }).collect();
    // Some of them negative, as a folded normalisation makes them.
    let sign = |o: usize| if o % 5 == 4 { -1.0 } else { 1.0 };
    let scale: Vec<f32> = (0..outputs).map(|o| sign(o) * case.scale * (1.0 + o as f32 * 0.37)).collect();
    let acc = defined(case, &x, &weights, &bias, out);
    let channel = |i: usize| i / (out[0] * out[1]) % outputs;
    let kind = case.kinds[1];
    let (finish, kind, expected) = match case.epilogue {
        0 => (Finish::Accumulators, ElementKind::I32, Tensor::new(y_shape.to_vec(), acc).unwrap()),
        1 => {
            let floats = acc.iter().enumerate().map(|(i, &a)| a as f32 * scale[channel(i)]).collect();
            (Finish::Floats { scale: scale.clone() }, ElementKind::F32, Tensor::new(y_shape.to_vec(), floats).unwrap())
        }
        mode => {
            let (mut low, mut high) = stored_range(kind);
            let zero_point = case.zero_points[1];
            match mode {
                2 => low = zero_point,
                3 => high = (zero_point + 50).min(high),
                _ => {}
            }
            let y = acc.iter().enumerate();
            let y = y.map(|(i, &a)| requantized(a, scale[channel(i)], zero_point, low, high)).collect();
            let finish = Finish::Bytes { multiplier: scale.clone(), zero_point, low, high };
            (finish, kind, tensor(kind, &y_shape, y))
        }
    };
    let mut left = weights.clone();
    let mut summands = Vec::new();
    while summands.is_empty() || left.iter().any(|&w| w != 0) {
        let part: Arc<[i8]> = left.iter().map(|w| *w.clamp(&-128, &127) as i8).collect();
        left.iter_mut().zip(&*part).for_each(|(left, &part)| *left -= i32::from(part));
        summands.push(part);
    }
    let first = summands.remove(0);
    let build = || {
        let mut graph = Graph::default();
        let input = graph.value("x", case.kinds[0], &x_shape);
        graph.inputs.push(input);
        let conv = Conv {
            weights: Weights { first: Arc::clone(&first), rest: summands.clone() },
            outputs,
            inputs,
            groups: case.groups,
            kernel: case.kernel,
            stride: case.stride,
            dilation: case.dilation,
            pads: case.pads,
            zero_point: ZeroPoint::Known(case.zero_points[0]),
            bias: bias.clone(),
            finish: finish.clone(),
        };
        let op = if case.transposed { Op::ConvTranspose(conv) } else { Op::Conv(conv) };
        let output = graph.push("conv", op, &[input], kind, &y_shape);
        graph.outputs.push(output);
        graph
    };
    check(build, &[tensor(case.kinds[0], &x_shape, x.clone())], &expected);
}

/// A sum right after a convolution is computed with it, tile by tile, over pictures large enough for every way.
#[test]
fn sums_in_convolutions_follow_their_definition() {
    use crate::step::Step;
    let kinds = [ElementKind::U8, ElementKind::I8];
    for (seed, (kernel, channels, size)) in [(3, 40, 21), (3, 24, 23), (1, 50, 9), (3, 17, 6)].into_iter().enumerate() {
        let case = Case {
            n: 2,
            channels: [channels, channels],
            groups: 1,
            size: [size, size + 1],
            kernel: [kernel, kernel],
            stride: [1, 1],
            dilation: [1, 1],
            pads: [kernel / 2; 4],
            kinds,
            zero_points: [131, -7],
            scale: 1.0,
            extremes: false,
            seed: seed as u64 + 77,
            epilogue: 0,
            transposed: false,
            zero_weights: 0,
        };
        let out = case.output().unwrap();
        let shape = [2, channels, out[0], out[1]];
        let x = bytes(case.seed, shape.iter().product(), false);
        let weights = bytes(!case.seed, channels * channels * kernel * kernel, false);
        let weights: Vec<i32> = weights.into_iter().map(|b| i32::from(b as i8)).collect();
        let bias: Vec<i32> = (0..channels as i32).map(|o| o * 500 - 3000).collect();
        let (multiplier, ratios, fixed) = (0.002, [0.7, 0.31], -11.25);
        let y = defined(&case, &x, &weights, &bias, out).into_iter().zip(&x).map(|(acc, &x)| {
            let a = number(kinds[1], requantized(acc, multiplier, case.zero_points[1], -128, 127)) as f32;
            let real = a.mul_add(ratios[0], f32::from(x).mul_add(ratios[1], fixed));
            (real.round_ties_even() as i32).clamp(0, 255) as u8
        });
        let expected = Tensor::new(shape.to_vec(), y.collect()).unwrap();
        let build = || {
            let mut graph = Graph::default();
            let input = graph.value("x", kinds[0], &shape);
            graph.inputs.push(input);
            let conv = Conv {
                weights: Weights { first: weights.iter().map(|&w| w as i8).collect(), rest: Vec::new() },
                outputs: channels,
                inputs: channels,
                groups: 1,
                kernel: case.kernel,
                stride: [1, 1],
                dilation: [1, 1],
                pads: case.pads,
                zero_point: ZeroPoint::Known(case.zero_points[0]),
                bias: bias.clone(),
                finish: Finish::Bytes {
                    multiplier: vec![multiplier; channels],
                    zero_point: case.zero_points[1],
                    low: -128,
                    high: 127,
                },
            };
            let output = graph.push("conv", Op::Conv(conv), &[input], kinds[1], &shape);
            let add = Op::Add { ratios, fixed, low: 0, high: 255 };
            let sum = graph.push("add", add, &[output, input], ElementKind::U8, &shape);
            graph.outputs.push(sum);
            graph
        };
        for set in available() {
            let plan = Plan::new(build(), set).unwrap();
            assert!(
                !plan.steps.iter().any(|step| matches!(step.step(), Step::Add(_))),
                "{} {kernel} {channels}",
                set.name()
            );
        }
        check(build, &[Tensor::new(shape.to_vec(), x.clone()).unwrap()], &expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else if cfg!(target_arch = "x86_64") { 24 } else { 12 }, ..ProptestConfig::default() })]

    // Sizes at which 3×3 layers go by Winograd's filtering on every set that has it.
    #[test]
    fn great_convolutions_follow_their_definition(case in cases(), inputs in 20..70usize, outputs in 14..70usize, size in [19..28usize, 19..28usize]) {
        let plain = Case {
            channels: [inputs, outputs],
            groups: 1,
            size,
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pads: case.pads.map(|pad| pad.min(2)),
            transposed: false,
            zero_weights: 0,
            ..case
        };
        check_convolution(&plain);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_follow_their_definition(case in cases()) {
        check_convolution(&case);
    }

    #[test]
    fn matrix_products_follow_their_definition(
        rows in 1..9usize, inputs in 1..130usize, outputs in 1..80usize, seed in any::<u64>(), extremes in any::<bool>(),
        zero_points in [0..256i32, 0..256i32], scale in -6.0..0.0f32,
    ) {
        let (x, weights) = (bytes(seed, rows * inputs, extremes), bytes(!seed, outputs * inputs, extremes));
        let multiplier = 10f32.powf(scale);
        let mut y = Vec::new();
        for row in x.chunks(inputs) {
            for weights in weights.chunks(inputs) {
                let products = row.iter().zip(weights).map(|(&x, &w)| (i32::from(x) - zero_points[0]) * i32::from(w as i8));
                y.push(requantized(products.sum(), multiplier, zero_points[1], 0, 255));
            }
        }
        let build = || {
            let mut graph = Graph::default();
            let input = graph.value("x", ElementKind::U8, &[rows, inputs]);
            graph.inputs.push(input);
            let finish =
                Finish::Bytes { multiplier: vec![multiplier; outputs], zero_point: zero_points[1], low: 0, high: 255 };
            let weights = Weights { first: weights.iter().map(|&w| w as i8).collect(), rest: Vec::new() };
            let conv = Conv::linear(weights, [outputs, inputs], zero_points[0], finish);
            let output = graph.push("linear", Op::Linear(conv), &[input], ElementKind::U8, &[rows, outputs]);
            graph.outputs.push(output);
            graph
        };
        let expected = Tensor::new(vec![rows, outputs], y).unwrap();
        check(build, &[Tensor::new(vec![rows, inputs], x.clone()).unwrap()], &expected);
    }
}
