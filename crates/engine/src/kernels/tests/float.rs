//! Float ops on every kernel set of this CPU and for several thread counts: the same bits, and those of the definitions where an order
//! of summation is defined; otherwise within a stated distance of `f64`.

use super::super::available;
use crate::graph::{
    Binary, FloatConv, FloatLinear, FloatOp, Graph, Op, Reduction, Window, broadcast, broadcast_strides, for_each_pair,
};
use crate::plan::Plan;
use crate::session::Session;
use crate::unary::Unary;
use crate::{ElementKind, Tensor};
use std::sync::Arc;

/// Numbers from a small generator: `next(n)` lies below `n`.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % below
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next(1 << 16) as f32 - 32768.0) / 9973.0).collect()
    }

    fn sizes<const N: usize>(&mut self, greatest: [usize; N]) -> [usize; N] {
        greatest.map(|greatest| 1 + self.next(greatest))
    }
}

/// Miri and QEMU are slow.
const CASES: usize = match () {
    () if cfg!(miri) => 1,
    () if cfg!(target_arch = "x86_64") => 60,
    () => 15,
};

/// An op's output on every set with one, two and three threads; all must agree.
fn outputs(op: impl Fn() -> Op, inputs: &[(Vec<usize>, Vec<f32>)], shape: &[usize]) -> Vec<f32> {
    let build = || {
        let mut graph = Graph::default();
        let x: Vec<usize> = inputs.iter().map(|(shape, _)| graph.value("x", ElementKind::F32, shape)).collect();
        let y = graph.push("y", op(), &x, ElementKind::F32, shape);
        (graph.inputs, graph.outputs) = (x, vec![y]);
        graph.check(&graph.nodes[0]).unwrap();
        graph
    };
    let mut found: Option<Vec<f32>> = None;
    for set in available() {
        for threads in 1..=3 {
            let plan = Plan::new(build(), set).unwrap();
            let mut session = Session::with_threads(Arc::new(plan), threads).unwrap();
            for (i, (shape, values)) in inputs.iter().enumerate() {
                session.set_input(i, Tensor::new(shape.clone(), values.clone()).unwrap()).unwrap();
            }
            // Twice: a run must leave nothing behind that changes the next.
            for _ in 0..2 {
                session.run().unwrap();
                let y = session.output::<f32>(0).unwrap();
                match &found {
                    None => found = Some(y.to_vec()),
                    Some(found) => assert_same(y, found, &format!("{} with {threads} threads", set.name())),
                }
            }
        }
    }
    found.unwrap()
}

fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{what}: element {i} is {a:e}, not {b:e}");
    }
}

/// Bits of results, taken together (FNV-1a); the recorded value is the same on every architecture.
struct Checksum(u64);

impl Checksum {
    fn add(&mut self, values: &[f32]) {
        for value in values {
            // The payload of a NaN is not defined.
            let bits = if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
            self.0 = (self.0 ^ u64::from(bits)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

fn assert_near(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(a) - b).abs() / b.abs().max(1.0);
        assert!(error <= tolerance, "{what}: element {i} is {a:e}, not {b:e}");
    }
}

#[test]
fn products_sum_over_k_in_order() {
    let mut random = Random(17);
    for case in 0..CASES {
        let [m, k, n] = random.sizes(if case % 4 == 0 { [70, 40, 150] } else { [14, 9, 40] });
        let [p, q] = random.sizes([3, 3]);
        let (a_batch, b_batch) = match case % 4 {
            0 => (vec![], vec![]),
            1 => (vec![p, q], vec![1, q]),
            2 => (vec![1], vec![p, q]),
            _ => (vec![p, q], vec![p, 1]),
        };
        let batch = broadcast(&a_batch, &b_batch).unwrap();
        let (a_shape, b_shape, shape) =
            ([&a_batch[..], &[m, k]].concat(), [&b_batch[..], &[k, n]].concat(), [&batch[..], &[m, n]].concat());
        let (a, b) = (random.floats(a_shape.iter().product()), random.floats(b_shape.iter().product()));
        let mut expected = Vec::new();
        let steps = (broadcast_strides(&a_batch, &batch), broadcast_strides(&b_batch, &batch));
        for_each_pair(&batch, &steps.0, &steps.1, |_, a_at, b_at| {
            for row in 0..m {
                for column in 0..n {
                    let term =
                        |sum: f32, i: usize| a[(a_at * m + row) * k + i].mul_add(b[(b_at * k + i) * n + column], sum);
                    expected.push((0..k).fold(0.0, term));
                }
            }
        });
        let found = outputs(|| Op::Float(FloatOp::MatMul), &[(a_shape, a), (b_shape, b)], &shape);
        assert_same(&found, &expected, &format!("{m} x {k} x {n} of {batch:?}"));
    }
}

#[test]
fn products_with_constant_weights_begin_with_the_bias() {
    let mut random = Random(5);
    for case in 0..CASES {
        let [m, k, n] = random.sizes([40, 30, 100]);
        let (x, weights) = (random.floats(m * k), random.floats(k * n));
        let bias = if case % 3 == 0 { Vec::new() } else { random.floats(n) };
        let mut expected = Vec::new();
        for row in 0..m {
            for column in 0..n {
                let term = |sum: f32, i: usize| x[row * k + i].mul_add(weights[i * n + column], sum);
                expected.push((0..k).fold(bias.get(column).copied().unwrap_or(0.0), term));
            }
        }
        let linear = FloatLinear { weights: weights.into(), inputs: k, outputs: n, bias: bias.into() };
        let found = outputs(|| Op::Float(FloatOp::Linear(linear.clone())), &[(vec![m, k], x)], &[m, n]);
        assert_same(&found, &expected, &format!("{m} x {k} x {n}"));
    }
}

/// The definition of a convolution: taps in the order channel, row, column; those outside the picture add nothing.
fn convolved(conv: &FloatConv, x: &[f32], [n, h, w]: [usize; 3], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let (inputs, outputs) = (conv.inputs, conv.outputs / conv.groups);
    let [kh, kw] = conv.kernel;
    let mut y = Vec::new();
    for image in 0..n {
        for o in 0..conv.outputs {
            let group = o / outputs;
            for oy in 0..rows {
                for ox in 0..columns {
                    let mut sum = conv.bias.get(o).copied().unwrap_or(0.0);
                    for i in 0..inputs {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let place = |out: usize, k: usize, axis: usize| -> Option<usize> {
                                    let (stride, pad) = (conv.stride[axis] as isize, conv.pads[axis] as isize);
                                    let k = (k * conv.dilation[axis]) as isize;
                                    if !conv.transposed {
                                        return usize::try_from(out as isize * stride + k - pad).ok();
                                    }
                                    let scaled = out as isize + pad - k;
                                    (scaled % stride == 0).then(|| usize::try_from(scaled / stride).ok())?
                                };
                                let (Some(iy), Some(ix)) = (place(oy, ky, 0), place(ox, kx, 1)) else { continue };
                                if iy >= h || ix >= w {
                                    continue;
                                }
                                let channel = group * inputs + i;
                                let weight = if conv.transposed {
                                    ((channel * outputs + o % outputs) * kh + ky) * kw + kx
                                } else {
                                    ((o * inputs + i) * kh + ky) * kw + kx
                                };
                                let x = x[((image * conv.groups * inputs + channel) * h + iy) * w + ix];
                                sum = conv.weights[weight].mul_add(x, sum);
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

#[test]
fn convolutions_follow_their_definition() {
    let mut random = Random(29);
    for case in 0..4 * CASES {
        let transposed = case % 3 == 0;
        let groups = [1, 1, 2, 5][random.next(4)];
        let [inputs, outputs, n, h, w] = random.sizes([if case % 5 == 0 { 1 } else { 5 }, 14, 2, 12, 40]);
        let [kh, kw, sy, sx, dy, dx] = random.sizes([4, 4, 3, 3, 2, 2]);
        let (kernel, stride, dilation) = ([kh, kw], [sy, sx], [dy, dx]);
        let pads = [random.next(kh), random.next(kw)];
        let outputs = outputs * groups;
        let one_row = !transposed && case % 7 == 1;
        let (h, kernel, stride, pads) =
            if one_row { (1, [1, kw], [1, sx], [0, pads[1]]) } else { (h, kernel, stride, pads) };
        let reach = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        let size = [h, w];
        let out = |axis: usize| -> Option<usize> {
            if transposed {
                let whole = (size[axis] - 1) * stride[axis] + reach(axis);
                whole.checked_sub(2 * pads[axis]).filter(|&out| out > 0)
            } else {
                Some((size[axis] + 2 * pads[axis]).checked_sub(reach(axis))? / stride[axis] + 1)
            }
        };
        let (Some(rows), Some(columns)) = (out(0), out(1)) else { continue };
        let weights = random.floats(outputs * inputs * kernel[0] * kernel[1]);
        let bias = if case % 2 == 0 { random.floats(outputs) } else { Vec::new() };
        let (weights, bias) = (weights.into(), bias.into());
        let conv = FloatConv { weights, bias, transposed, outputs, inputs, groups, kernel, stride, dilation, pads };
        let x = random.floats(n * groups * inputs * h * w);
        let expected = convolved(&conv, &x, [n, h, w], [rows, columns]);
        let shape = |channels: usize, rows: usize, columns: usize| {
            if one_row { vec![n, channels, columns] } else { vec![n, channels, rows, columns] }
        };
        let input = (shape(groups * inputs, h, w), x);
        let found = outputs_of(&conv, input, &shape(outputs, rows, columns));
        assert_same(&found, &expected, &format!("{conv:?}"));
    }
}

fn outputs_of(conv: &FloatConv, input: (Vec<usize>, Vec<f32>), shape: &[usize]) -> Vec<f32> {
    outputs(|| Op::Float(FloatOp::Conv(conv.clone())), &[input], shape)
}

#[test]
fn a_window_of_the_whole_picture_is_a_product() {
    let mut random = Random(3);
    let (weights, bias): (Arc<[f32]>, Arc<[f32]>) = (random.floats(37 * 5 * 6).into(), random.floats(37).into());
    let (transposed, groups, stride, dilation, pads) = (false, 1, [1, 1], [1, 1], [0, 0]);
    let conv =
        FloatConv { weights, bias, transposed, outputs: 37, inputs: 5, groups, kernel: [2, 3], stride, dilation, pads };
    let x = random.floats(3 * 5 * 6);
    let expected = convolved(&conv, &x, [3, 2, 3], [1, 1]);
    assert_same(&outputs_of(&conv, (vec![3, 5, 2, 3], x), &[3, 37, 1, 1]), &expected, "a whole window");
}

#[test]
fn pairs_are_broadcast() {
    let mut random = Random(11);
    let cases: [(&[usize], &[usize]); 10] = [
        (&[3, 5], &[3, 5]),
        (&[1], &[2, 37]),
        (&[2, 3, 7, 9], &[1]),
        (&[2, 8, 5, 33], &[2, 8, 1, 1]),
        (&[2, 8, 5, 33], &[8, 1, 1]),
        (&[4, 1, 19], &[1, 6, 19]),
        (&[70], &[3, 70]),
        (&[1, 5, 1, 4], &[6, 1, 3, 1]),
        (&[], &[]),
        (&[2, 1, 2, 1, 2, 1, 2, 3], &[1, 3, 1, 2, 1, 2, 1, 3]),
    ];
    type Definition = fn(f32, f32) -> f32;
    let ops: [(Binary, Definition); 8] = [
        (Binary::Add, |a, b| a + b),
        (Binary::Sub, |a, b| a - b),
        (Binary::Mul, |a, b| a * b),
        (Binary::Div, |a, b| a / b),
        (Binary::Min, |a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.min(b) }),
        (Binary::Max, |a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }),
        (Binary::PRelu, |a, b| if a < 0.0 { a * b } else { a }),
        (Binary::Pow, libm::powf),
    ];
    for (a_shape, b_shape) in cases {
        let shape = broadcast(a_shape, b_shape).unwrap();
        let mut a = random.floats(a_shape.iter().product());
        let b = random.floats(b_shape.iter().product());
        if a.len() > 3 {
            (a[0], a[1], a[2]) = (f32::NAN, f32::INFINITY, 0.0);
        }
        for (op, apply) in ops {
            // Powers of exact halves: `libm` gives squares and roots by other means.
            let mut expected = Vec::new();
            let (steps_a, steps_b) = (broadcast_strides(a_shape, &shape), broadcast_strides(b_shape, &shape));
            for_each_pair(&shape, &steps_a, &steps_b, |_, i, j| expected.push(apply(a[i], b[j])));
            let inputs = [(a_shape.to_vec(), a.clone()), (b_shape.to_vec(), b.clone())];
            let found = outputs(|| Op::Float(FloatOp::Binary(op)), &inputs, &shape);
            assert_same(&found, &expected, &format!("{op:?} of {a_shape:?} and {b_shape:?}"));
        }
    }
}

/// Every function: the same bits on every set, and near what `libm` gives.
#[test]
fn functions_of_one_number() {
    let special = [
        0.0,
        -0.0,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e-40,
        -1e-40,
        f32::MAX,
        f32::MIN,
        0.5,
        -2.5,
        88.9,
        -104.5,
    ];
    let mut random = Random(7);
    let x: Vec<f32> = random.floats(700).into_iter().chain(special).collect();
    let functions = [
        Unary::Relu,
        Unary::Clip(-0.5, 1.5),
        Unary::LeakyRelu(0.1),
        Unary::ThresholdedRelu(0.7),
        Unary::Sigmoid,
        Unary::Silu(1.0),
        Unary::Silu(1.702),
        Unary::Tanh,
        Unary::HardSigmoid(0.2, 0.5),
        Unary::HardSwish,
        Unary::Mish,
        Unary::Elu(1.3),
        Unary::Celu(0.8),
        Unary::Selu(1.67, 1.05),
        Unary::Softplus,
        Unary::Softsign,
        Unary::Erf,
        Unary::Gelu,
        Unary::GeluTanh,
        Unary::Exp,
        Unary::Log,
        Unary::Sqrt,
        Unary::Abs,
        Unary::Neg,
        Unary::Reciprocal,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
        Unary::Plus(0.3),
        Unary::From(0.3),
        Unary::Times(3.0),
        Unary::Over(3.0),
        Unary::Divided(3.0),
        Unary::Power(2.0),
        Unary::Power(3.0),
        Unary::Power(0.5),
        Unary::Power(1.7),
        Unary::Sign,
        Unary::Sin,
        Unary::Cos,
    ];
    let mut checksum = Checksum(0);
    for function in functions {
        let found = outputs(|| Op::Unary(function), &[(vec![x.len()], x.clone())], &[x.len()]);
        checksum.add(&found);
        for (&x, &y) in x.iter().zip(&found) {
            let expected = function.apply(x);
            if !x.is_finite() || x.abs() > 1e30 {
                // Tables never see those; NaN stays NaN here.
                assert!(!x.is_nan() || y.is_nan(), "{function:?} of {x}: {y}");
                continue;
            }
            let near = (f64::from(y) - f64::from(expected)).abs() <= 1e-6 * f64::from(expected.abs().max(1.0));
            assert!(
                near || y == expected || (y.is_nan() && expected.is_nan()),
                "{function:?} of {x:e}: {y:e}, not {expected:e}"
            );
        }
    }
    assert_eq!(checksum.0, 0x8fe0_3c6b_21f0_455b, "other bits than on other CPUs");
}

#[test]
fn reductions_are_as_exact_as_their_result() {
    let kinds = [
        Reduction::Mean,
        Reduction::Sum,
        Reduction::Max,
        Reduction::Min,
        Reduction::Prod,
        Reduction::L1,
        Reduction::L2,
        Reduction::SumSquare,
        Reduction::LogSum,
        Reduction::LogSumExp,
    ];
    let cases: [(&[usize], &[usize]); 9] = [
        (&[3, 700], &[1]),
        (&[2, 5, 6, 7], &[2, 3]),
        (&[2, 5, 6, 7], &[0, 2]),
        (&[2, 5, 6, 7], &[1]),
        (&[37, 41], &[0]),
        (&[5], &[0]),
        (&[2, 1, 3, 20], &[1, 3]),
        (&[2, 3, 4], &[]),
        (&[2, 3, 2, 3, 2], &[1, 3]),
    ];
    let mut random = Random(23);
    let mut checksum = Checksum(0);
    for (shape, axes) in cases {
        let count: usize = shape.iter().product();
        let to: Vec<usize> = (0..shape.len()).map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect();
        let strides = broadcast_strides(&to, shape);
        for kind in kinds {
            // Logarithms are of sums above 0, and products of numbers near 1.
            let offset = if matches!(kind, Reduction::LogSum | Reduction::Prod) { 1.0 } else { 0.0 };
            let x: Vec<f32> = random
                .floats(count)
                .into_iter()
                .map(|x| if offset > 0.0 { offset + x.abs() / 100.0 } else { x })
                .collect();
            let mut lists = vec![Vec::new(); to.iter().product()];
            for_each_pair(shape, &strides, &strides, |place, at, _| {
                lists[at].push(f64::from(x[place]));
            });
            let sum = |list: &Vec<f64>| list.iter().sum::<f64>();
            let squares = |list: &Vec<f64>| list.iter().map(|x| x * x).sum::<f64>();
            let expected: Vec<f64> = lists
                .iter()
                .map(|list| match kind {
                    Reduction::Mean => sum(list) / list.len() as f64,
                    Reduction::Sum => sum(list),
                    Reduction::Max => list.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    Reduction::Min => list.iter().copied().fold(f64::INFINITY, f64::min),
                    Reduction::Prod => list.iter().product(),
                    Reduction::L1 => list.iter().map(|x| x.abs()).sum(),
                    Reduction::L2 => squares(list).sqrt(),
                    Reduction::SumSquare => squares(list),
                    Reduction::LogSum => sum(list).ln(),
                    Reduction::LogSumExp => list.iter().map(|x| x.exp()).sum::<f64>().ln(),
                })
                .collect();
            let op = || Op::Float(FloatOp::Reduce { kind, axes: axes.to_vec() });
            let found = outputs(op, &[(shape.to_vec(), x)], &to);
            checksum.add(&found);
            // Half a unit in the last place, and what the exponentials add.
            let tolerance = if kind == Reduction::LogSumExp { 2e-7 } else { 6.1e-8 };
            assert_near(&found, &expected, tolerance, &format!("{kind:?} of {shape:?} over {axes:?}"));
        }
    }
    assert_eq!(checksum.0, 0x7dea_41f9_0416_d7cc, "other bits than on other CPUs");
}

#[test]
fn normalisations_and_softmax() {
    let mut random = Random(41);
    let mut checksum = Checksum(0);
    for [n, c, h, w] in [[2, 6, 3, 17], [1, 4, 1, 1], [3, 12, 5, 40]] {
        let shape = vec![n, c, h, w];
        let count = n * c * h * w;
        // Far from 0: what a sum in `f32` would lose.
        let x: Vec<f32> = random.floats(count).into_iter().map(|x| x + 100.0).collect();
        let input = (shape.clone(), x.clone());
        let normalized = |length: usize, about_zero: bool, of: &dyn Fn(usize) -> (f32, f32)| -> Vec<f64> {
            let row = |(r, row): (usize, &[f32])| -> Vec<f64> {
                let mean =
                    if about_zero { 0.0 } else { row.iter().map(|&x| f64::from(x)).sum::<f64>() / length as f64 };
                let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / length as f64;
                let factor = 1.0 / (variance + f64::from(1e-5f32)).sqrt();
                let scaled = |(i, &x): (usize, &f32)| {
                    let (scale, bias) = of(r * length + i);
                    (f64::from(x) - mean) * factor * f64::from(scale) + f64::from(bias)
                };
                row.iter().enumerate().map(scaled).collect()
            };
            x.chunks_exact(length).enumerate().flat_map(row).collect()
        };
        let (per_element, per_channel) =
            ((random.floats(h * w), random.floats(h * w)), (random.floats(c), random.floats(c)));
        let plane = h * w;
        let element = |i: usize| (per_element.0[i % plane], per_element.1[i % plane]);
        let unbiased = |i: usize| (per_element.0[i % plane], 0.0);
        let channel = |i: usize| (per_channel.0[i / plane % c], per_channel.1[i / plane % c]);
        let own = [(vec![h, w], per_element.0.clone()), (vec![h, w], per_element.1.clone())];
        let of_channels = [(vec![c], per_channel.0.clone()), (vec![c], per_channel.1.clone())];
        let epsilon = 1e-5;

        let inputs = [&[input.clone()][..], &own].concat();
        let found = outputs(|| Op::Float(FloatOp::LayerNorm { axis: 2, epsilon }), &inputs, &shape);
        checksum.add(&found);
        assert_near(&found, &normalized(plane, false, &element), 3e-7, "LayerNorm");
        let found = outputs(|| Op::Float(FloatOp::RmsNorm { axis: 2, epsilon }), &inputs[..2], &shape);
        checksum.add(&found);
        assert_near(&found, &normalized(plane, true, &unbiased), 3e-7, "RmsNorm");
        let inputs = [&[input.clone()][..], &of_channels].concat();
        for groups in [2, c] {
            let found = outputs(|| Op::Float(FloatOp::GroupNorm { groups, epsilon }), &inputs, &shape);
            checksum.add(&found);
            assert_near(&found, &normalized(c / groups * plane, false, &channel), 3e-7, "GroupNorm");
        }
        let found = outputs(|| Op::Float(FloatOp::ScaleShift), &inputs, &shape);
        let expected: Vec<f32> = x.iter().enumerate().map(|(i, x)| x.mul_add(channel(i).0, channel(i).1)).collect();
        assert_same(&found, &expected, "ScaleShift");

        for (axis, log) in [(0, false), (1, true), (3, false), (3, true)] {
            let (length, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
            let expected: Vec<f64> = (0..count)
                .map(|i| {
                    let first = i / (length * inner) * length * inner + i % inner;
                    let x = |l: usize| f64::from(x[first + l * inner]);
                    let top = (0..length).map(x).fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = (0..length).map(|l| (x(l) - top).exp()).sum();
                    let own = x(i / inner % length) - top;
                    if log { own - sum.ln() } else { own.exp() / sum }
                })
                .collect();
            let op = || Op::Float(if log { FloatOp::LogSoftmax { axis } } else { FloatOp::Softmax { axis } });
            let found = outputs(op, std::slice::from_ref(&input), &shape);
            checksum.add(&found);
            assert_near(&found, &expected, 3e-7, &format!("softmax {axis} {log}"));
        }
    }
    assert_eq!(checksum.0, 0x6d0f_acaf_dab7_d3eb, "other bits than on other CPUs");
}

#[test]
fn pools_cut_their_windows_at_the_border() {
    let mut random = Random(53);
    for case in 0..2 * CASES {
        let [n, c, h, w] = random.sizes([2, 3, 9, 30]);
        let [kh, kw, sy, sx, dy, dx] = random.sizes([3, 3, 3, 3, 2, 2]);
        let (kernel, stride, dilation, size) = ([kh, kw], [sy, sx], [dy, dx], [h, w]);
        let pads = [random.next(kh), random.next(kw), random.next(kh), random.next(kw)];
        let count_pads = case % 3 == 0;
        let mut window = Window { kernel, stride, dilation, pads, count_pads };
        let mut to = [0; 2];
        for axis in 0..2 {
            if case % 11 == 0 {
                (window.kernel[axis], window.stride[axis], window.dilation[axis]) = (size[axis], 1, 1);
                (window.pads[axis], window.pads[axis + 2]) = (0, 0);
            }
            let reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
            let room = (size[axis] + window.pads[axis] + window.pads[axis + 2]).checked_sub(reach);
            to[axis] = room.map_or(0, |room| room / window.stride[axis] + 1);
        }
        let x = random.floats(n * c * h * w);
        let places = |axis: usize, out: usize, end: usize, start: isize| -> Vec<usize> {
            (0..window.kernel[axis])
                .map(|k| (out * window.stride[axis] + k * window.dilation[axis]) as isize - window.pads[axis] as isize)
                .filter(|&place| place >= start && place < end as isize)
                .map(|place| place.max(0) as usize)
                .collect()
        };
        let inside = |axis: usize, out: usize| places(axis, out, size[axis], 0);
        if to.contains(&0) || (0..2).any(|axis| (0..to[axis]).any(|out| inside(axis, out).is_empty())) {
            continue;
        }
        let (mut max, mut mean) = (Vec::new(), Vec::new());
        for plane in x.chunks_exact(h * w) {
            for oy in 0..to[0] {
                for ox in 0..to[1] {
                    let (rows, columns) = (inside(0, oy), inside(1, ox));
                    let all = || rows.iter().flat_map(|&r| columns.iter().map(move |&c| plane[r * w + c]));
                    max.push(all().fold(f32::NEG_INFINITY, f32::max));
                    let counted = |axis: usize, out: usize| {
                        let all = places(axis, out, size[axis] + window.pads[axis + 2], -(window.pads[axis] as isize));
                        all.len()
                    };
                    let count = if count_pads { counted(0, oy) * counted(1, ox) } else { rows.len() * columns.len() };
                    mean.push(all().map(f64::from).sum::<f64>() / count as f64);
                }
            }
        }
        let (input, shape) = ((vec![n, c, h, w], x), [n, c, to[0], to[1]]);
        let found = outputs(|| Op::Float(FloatOp::MaxPool(window.clone())), std::slice::from_ref(&input), &shape);
        assert_same(&found, &max, &format!("{window:?}"));
        let found = outputs(|| Op::Float(FloatOp::AveragePool(window.clone())), &[input], &shape);
        // Nine numbers at most, one after the other in `f32`.
        assert_near(&found, &mean, 1e-6, &format!("{window:?}"));
    }
}
