//! Products.

use super::{CASES, bytes, check, number, tensor};
use crate::ElementKind;
use crate::graph::{Graph, Op, stored_range};
use proptest::prelude::*;

/// ONNX Runtime's rule, in the output's own numbers: two roundings to `f32`, then one to a whole number.
fn product(a: i32, b: i32, ratio: f32, zero_point: i32, (low, high): (i32, i32)) -> u8 {
    let scaled = (f64::from(a * b) * f64::from(ratio)) as f32;
    let shifted = (f64::from(scaled) + f64::from(zero_point)) as f32;
    f64::from(shifted).round_ties_even().clamp(f64::from(low), f64::from(high)) as i32 as u8
}

/// A graph of one product; with `picture` its first operand and its result lie channels last.
fn graph(op: Op, kinds: [ElementKind; 3], a: &[usize], b: &[usize], picture: bool) -> Graph {
    let mut graph = Graph::default();
    let (mut x, y) = (graph.value("a", kinds[0], a), graph.value("b", kinds[1], b));
    graph.inputs = vec![x, y];
    if picture {
        let window =
            crate::graph::Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pads: [0; 4], count_pads: false };
        x = graph.push("pool", Op::MaxPool(window), &[x], kinds[0], a);
    }
    let z = graph.push("mul", op, &[x, y], kinds[2], a);
    graph.outputs.push(z);
    graph
}

/// Every pair of bytes.
#[test]
fn all_pairs_follow_the_definition() {
    let (a, b): (Vec<u8>, Vec<u8>) = (0..65536u32).map(|i| ((i >> 8) as u8, i as u8)).unzip();
    let scales =
        [(0.05f32, 0.037, 0.02, [128, 100, 77]), (0.011, 0.0073, 0.0139, [3, 250, 128]), (1.0, 0.5, 1.0, [0, 0, 77])];
    let mut differ = 0;
    for (sa, sb, sy, zeros) in scales {
        let ratio = sa * sb / sy;
        let of = |i: usize| {
            product(
                i32::from(a[i]) - zeros[0],
                i32::from(b[i]) - zeros[1],
                ratio,
                zeros[2],
                stored_range(ElementKind::U8),
            )
        };
        let expected: Vec<u8> = (0..65536).map(of).collect();
        // Rounding before the zero point is added gives others, at least where there are ties.
        let early = (0..65536).filter(|&i| {
            let scaled = ((i32::from(a[i]) - zeros[0]) * (i32::from(b[i]) - zeros[1])) as f32 * ratio;
            (scaled.round_ties_even() as i32 + zeros[2]).clamp(0, 255) as u8 != expected[i]
        });
        differ += early.count();
        let op = || Op::Mul { zero_points: [zeros[0], zeros[1]], ratio, zero_point: zeros[2], low: 0, high: 255 };
        let inputs = [&a, &b].map(|list| tensor(ElementKind::U8, &[256, 256], list.clone()));
        check(
            || graph(op(), [ElementKind::U8; 3], &[256, 256], &[256, 256], false),
            &inputs,
            &tensor(ElementKind::U8, &[256, 256], expected),
        );
    }
    assert!(differ > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn products_follow_their_definition(
        shape in [1..4usize, 1..40usize, 1..9usize, 1..60usize], repeated in 0..5u8, seed in any::<u64>(),
        zeros in proptest::array::uniform3(0..256i32), ratio in 0.0..0.1f32, signed in any::<[bool; 3]>(),
        picture in any::<bool>(),
    ) {
        let kinds = signed.map(|signed| if signed { ElementKind::I8 } else { ElementKind::U8 });
        let zero = |i: usize| if signed[i] { zeros[i] - 128 } else { zeros[i] };
        let b_shape = match repeated {
            0 => shape,
            1 => [shape[0], shape[1], 1, 1],
            2 => [1, 1, shape[2], shape[3]],
            3 => [shape[0], 1, 1, shape[3]],
            _ => [1, 1, 1, 1],
        };
        let (a, b) = (bytes(seed, shape.iter().product(), false), bytes(!seed, b_shape.iter().product(), false));
        let range = stored_range(kinds[2]);
        let y = a.iter().enumerate().map(|(i, &a)| {
            let index = [i / (shape[1] * shape[2] * shape[3]), i / (shape[2] * shape[3]) % shape[1], i / shape[3] % shape[2], i % shape[3]];
            let at = (0..4).fold(0, |at, axis| at * b_shape[axis] + if b_shape[axis] == 1 { 0 } else { index[axis] });
            product(number(kinds[0], a) - zero(0), number(kinds[1], b[at]) - zero(1), ratio, zero(2), range)
        });
        let expected = tensor(kinds[2], &shape, y.collect());
        let op = || Op::Mul { zero_points: [zero(0), zero(1)], ratio, zero_point: zero(2), low: range.0, high: range.1 };
        let inputs = [tensor(kinds[0], &shape, a.clone()), tensor(kinds[1], &b_shape, b.clone())];
        check(|| graph(op(), kinds, &shape, &b_shape, picture), &inputs, &expected);
    }
}
