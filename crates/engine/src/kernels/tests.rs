//! Every kernel set of this CPU against the definition of each op, over shapes, strides, zero points, extreme scales and
//! saturating values: by equality.
//!
//! The definitions below read plain `[N, C, H, W]` numbers and know nothing of packing, halos or tiles; one-op graphs go
//! through the planner, so that places and lowering are tested with the kernels.

use super::available;
use crate::graph::{Conv, Finish, Graph, Op, Weights, Window, ZeroPoint, byte_range};
use crate::plan::Plan;
use crate::session::Session;
use crate::{ElementKind, Tensor};
use proptest::prelude::*;
use std::sync::Arc;

/// Runs a graph on every set, which must agree with `expected`.
fn check(build: impl Fn() -> Graph, inputs: &[Tensor], expected: &Tensor) {
    for set in available() {
        let plan = Plan::new(build(), set).unwrap();
        // Miri finds threads that meet at the same bytes.
        let threads = if cfg!(miri) { 2 } else { 1 };
        let mut session = Session::with_threads(Arc::new(plan), threads).unwrap();
        for (i, input) in inputs.iter().enumerate() {
            session.set_input(i, input.clone()).unwrap();
        }
        // Twice: a run must leave nothing behind that changes the next.
        for _ in 0..2 {
            session.run().unwrap();
            assert_eq!(session.outputs()[0], *expected, "{}", set.name());
        }
    }
}

/// Bytes from a small generator: mostly anything, sometimes only the extremes.
fn bytes(seed: u64, count: usize, extremes: bool) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..count).map(|_| if extremes { [0, 127, 128, 255][usize::from(next() % 4)] } else { next() }).collect()
}

fn tensor(kind: ElementKind, shape: &[usize], bytes: Vec<u8>) -> Tensor {
    if kind == ElementKind::I8 {
        Tensor::new(shape.to_vec(), bytes.into_iter().map(|b| b as i8).collect()).unwrap()
    } else {
        Tensor::new(shape.to_vec(), bytes).unwrap()
    }
}

fn number(kind: ElementKind, byte: u8) -> i32 {
    if kind == ElementKind::I8 { i32::from(byte as i8) } else { i32::from(byte) }
}

/// The contract's rule, in the output's own numbers.
fn requantized(acc: i32, multiplier: f32, zero_point: i32, low: i32, high: i32) -> u8 {
    let rounded = f64::from(acc as f32 * multiplier).round_ties_even();
    (rounded + f64::from(zero_point)).clamp(f64::from(low), f64::from(high)) as i32 as u8
}

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
            zero_weights: if asymmetric == 0 && !depthwise { 77 } else { 0 },
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
                                    let place = o as isize + pad - k as isize;
                                    let stride = case.stride[axis] as isize;
                                    (place % stride == 0).then_some(place / stride)
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
    let scale: Vec<f32> = (0..outputs).map(|o| case.scale * (1.0 + o as f32 * 0.37)).collect();
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
            let (mut low, mut high) = byte_range(kind);
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
    let byte = |w: i32| w.clamp(-128, 127);
    let first: Arc<[i8]> = weights.iter().map(|&w| byte(w) as i8).collect();
    let second: Arc<[i8]> = weights.iter().map(|&w| (w - byte(w)) as i8).collect();
    let second = second.iter().any(|&w| w != 0).then_some(second);
    let build = || {
        let mut graph = Graph::default();
        let input = graph.value("x", case.kinds[0], &x_shape);
        graph.inputs.push(input);
        let conv = Conv {
            weights: Weights { first: Arc::clone(&first), second: second.clone() },
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
                weights: Weights { first: weights.iter().map(|&w| w as i8).collect(), second: None },
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
            assert!(!plan.steps.iter().any(|step| matches!(step, Step::Add(_))), "{} {kernel} {channels}", set.name());
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

/// Miri and QEMU are slow.
const CASES: u32 = match () {
    () if cfg!(miri) => 3,
    () if cfg!(target_arch = "x86_64") => 2000,
    () => 200,
};

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
            let weights = Weights { first: weights.iter().map(|&w| w as i8).collect(), second: None };
            let conv = Conv::linear(weights, [outputs, inputs], zero_points[0], finish);
            let output = graph.push("linear", Op::Linear(conv), &[input], ElementKind::U8, &[rows, outputs]);
            graph.outputs.push(output);
            graph
        };
        let expected = Tensor::new(vec![rows, outputs], y).unwrap();
        check(build, &[Tensor::new(vec![rows, inputs], x.clone()).unwrap()], &expected);
    }

    #[test]
    fn sums_follow_their_definition(
        shape in proptest::array::uniform4(1..9usize), repeated in 0..3u8, seed in any::<u64>(),
        ratios in [0.0..4.0f32, 0.0..4.0f32], fixed in -300.0..300.0f32, signed in any::<[bool; 3]>(),
    ) {
        let kinds = signed.map(|signed| if signed { ElementKind::I8 } else { ElementKind::U8 });
        let b_shape = match repeated {
            0 => shape,
            1 => [shape[0], shape[1], 1, 1],
            _ => [1, 1, 1, 1],
        };
        let (a, b) = (bytes(seed, shape.iter().product(), false), bytes(!seed, b_shape.iter().product(), false));
        let (low, high) = byte_range(kinds[2]);
        let mut y = Vec::new();
        for (i, &a) in a.iter().enumerate() {
            let j = match repeated {
                0 => i,
                1 => i / (shape[2] * shape[3]),
                _ => 0,
            };
            let (a, b) = (number(kinds[0], a) as f32, number(kinds[1], b[j]) as f32);
            let real = a.mul_add(ratios[0], b.mul_add(ratios[1], fixed));
            y.push((real.round_ties_even() as i32).clamp(low, high) as u8);
        }
        let build = || {
            let mut graph = Graph::default();
            let (a, b) = (graph.value("a", kinds[0], &shape), graph.value("b", kinds[1], &b_shape));
            graph.inputs = vec![a, b];
            // A pool of one pixel makes it a picture, channels last.
            let window =
                Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4], count_pads: false };
            let pooled = graph.push("pool", Op::MaxPool(window), &[a], kinds[0], &shape);
            let sum = graph.push("add", Op::Add { ratios, fixed, low, high }, &[pooled, b], kinds[2], &shape);
            graph.outputs.push(sum);
            graph
        };
        let inputs = [tensor(kinds[0], &shape, a.clone()), tensor(kinds[1], &b_shape, b.clone())];
        check(build, &inputs, &tensor(kinds[2], &shape, y));
    }

    #[test]
    fn pools_follow_their_definition(
        shape in [1..3usize, 1..70usize, 1..9usize, 1..9usize], kernel in [1..4usize, 1..4usize],
        stride in [1..3usize, 1..3usize], dilation in [1..3usize, 1..3usize], pads in proptest::array::uniform4(0..2usize),
        modes in any::<[bool; 3]>(), seed in any::<u64>(), zero_points in [0..256i32, 0..256i32], scale in 0.1..3.0f32,
    ) {
        let [average, count_pads, signed] = modes;
        let pads = [pads[0].min(kernel[0] - 1), pads[1].min(kernel[1] - 1), pads[2].min(kernel[0] - 1), pads[3].min(kernel[1] - 1)];
        let size = [shape[2], shape[3]];
        let mut out = [0; 2];
        for axis in 0..2 {
            let reach = dilation[axis] * (kernel[axis] - 1) + 1;
            let Some(room) = (size[axis] + pads[axis] + pads[axis + 2]).checked_sub(reach) else { return Ok(()) };
            out[axis] = room / stride[axis] + 1;
        }
        let kind = if signed { ElementKind::I8 } else { ElementKind::U8 };
        let zero_points = zero_points.map(|zero| if signed { zero - 128 } else { zero });
        let x = bytes(seed, shape.iter().product(), false);
        let y_shape = [shape[0], shape[1], out[0], out[1]];
        let (low, high) = byte_range(kind);
        let mut y = Vec::new();
        for plane in x.chunks(size[0] * size[1]) {
            for oy in 0..out[0] {
                for ox in 0..out[1] {
                    let mut inside = Vec::new();
                    for ky in 0..kernel[0] {
                        for kx in 0..kernel[1] {
                            let iy = (oy * stride[0] + ky * dilation[0]).wrapping_sub(pads[0]);
                            let ix = (ox * stride[1] + kx * dilation[1]).wrapping_sub(pads[1]);
                            if iy < size[0] && ix < size[1] {
                                inside.push(number(kind, plane[iy * size[1] + ix]));
                            }
                        }
                    }
                    if inside.is_empty() {
                        return Ok(());
                    }
                    y.push(if average {
                        let count = if count_pads { kernel[0] * kernel[1] } else { inside.len() };
                        let acc = inside.iter().map(|v| v - zero_points[0]).sum();
                        requantized(acc, scale / count as f32, zero_points[1], low, high)
                    } else {
                        inside.into_iter().max().unwrap() as u8
                    });
                }
            }
        }
        let build = || {
            let mut graph = Graph::default();
            let input = graph.value("x", kind, &shape);
            graph.inputs.push(input);
            let window = Window { kernel, stride, dilation, pads, count_pads };
            let op = if average {
                Op::AveragePool { window, x_zero_point: zero_points[0], scale, zero_point: zero_points[1] }
            } else {
                Op::MaxPool(window)
            };
            let output = graph.push("pool", op, &[input], kind, &y_shape);
            graph.outputs.push(output);
            graph
        };
        check(build, &[tensor(kind, &shape, x.clone())], &tensor(kind, &y_shape, y));
    }
}

/// Bytes made without dividing are those of the division, at and beside every boundary between two of them too.
#[test]
fn quantizing_follows_its_definition() {
    use super::quantize::{QuantParams, quantize};
    let scales = [1.0, 1.0 / 255.0, 0.1, 3e-5, 7.77e4, 1e-30, f32::from_bits(0x3fff_ffff), f32::from_bits(0x3dcc_ccce)];
    let random = bytes(11, 4 * 500, false);
    let random = random.chunks(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], 0x3c + (b[3] & 1)]));
    for scale in scales.into_iter().chain(random) {
        let mut x = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE, -0.0];
        for step in -600..600 {
            let middle = step as f32 * 0.5 * scale;
            x.extend([-2i32, -1, 0, 1, 2].map(|ulps| f32::from_bits(middle.to_bits().wrapping_add_signed(ulps))));
        }
        for (signed, zero_point) in [(false, 0), (false, 128), (true, -3)] {
            let scaling = QuantParams { scale, zero_point, signed };
            let mut expected = vec![0; x.len()];
            quantize(&x, &mut expected, scaling);
            for set in available() {
                let mut y = vec![0; x.len()];
                set.quantize(&x, &mut y, scaling);
                assert!(y == expected, "{} {scaling:?}", set.name());
            }
        }
    }
}

/// Copies between every two arrangements of a small tensor, split over threads, against the definition.
#[test]
fn copies_follow_their_definition() {
    for shape in [[3usize, 5, 2, 3], [2, 11, 9, 19], [1, 3, 17, 8], [1, 16, 1, 40]] {
        copies_of(shape);
    }
}

fn copies_of(shape: [usize; 4]) {
    use super::arena::AlignedBytes;
    use super::copy::CopyStep;
    let orders = [[0, 1, 2, 3], [0, 2, 3, 1], [3, 1, 0, 2], [1, 0, 3, 2], [2, 3, 0, 1]];
    let steps = |order: [usize; 4], gap: usize| {
        let mut steps = [0; 4];
        let mut step = gap;
        for &axis in order.iter().rev() {
            steps[axis] = step;
            step *= shape[axis];
        }
        steps
    };
    let count: usize = shape.iter().product();
    for (x_order, y_order) in orders.iter().flat_map(|x| orders.iter().map(move |y| (*x, *y))) {
        for (size, flip) in [(1, false), (1, true), (4, false), (8, false)] {
            for parts in 1..=3 {
                let (x_steps, y_steps) = (steps(x_order, size), steps(y_order, size));
                let mut arena = AlignedBytes::zeroed(2 * count * size + super::arena::SLACK);
                let source = bytes(7, count * size, false);
                arena.bytes_mut()[..count * size].copy_from_slice(&source);
                let axes = (0..4).map(|i| (shape[i], x_steps[i] as isize, y_steps[i])).collect();
                let copy = CopyStep { x: 0, y: count * size, axes, size, flip }.joined();
                let shared = arena.arena();
                for part in 0..parts {
                    copy.run(shared, (part, parts));
                }
                let mut expected = vec![0; count * size];
                for i in 0..count {
                    let [_, b, c, d] = shape;
                    let index = [i / (b * c * d), i / (c * d) % b, i / d % c, i % d];
                    let at = |steps: [usize; 4]| (0..4).map(|axis| index[axis] * steps[axis]).sum::<usize>();
                    for byte in 0..size {
                        let flipped = if flip { 0x80 } else { 0 };
                        expected[at(y_steps) + byte] = source[at(x_steps) + byte] ^ flipped;
                    }
                }
                let found = &arena.bytes()[count * size..2 * count * size];
                assert!(found == expected, "{x_order:?} {y_order:?} {size} {flip} {parts}");
            }
        }
    }
}
