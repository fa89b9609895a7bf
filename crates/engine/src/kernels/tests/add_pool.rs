//! Sums and pooling.

use super::{CASES, bytes, check, number, requantized, tensor};
use crate::ElementKind;
use crate::graph::{Graph, Op, Window, stored_range};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn sums_follow_their_definition(
        shape in [1..4usize, 1..9usize, 1..9usize, 1..70usize], repeated in 0..4u8, seed in any::<u64>(),
        ratios in [0.0..4.0f32, 0.0..4.0f32], fixed in -300.0..300.0f32, signed in any::<[bool; 3]>(),
        picture in any::<bool>(),
    ) {
        let kinds = signed.map(|signed| if signed { ElementKind::I8 } else { ElementKind::U8 });
        let b_shape = match repeated {
            0 => shape,
            1 => [shape[0], shape[1], 1, 1],
            2 => [1, 1, shape[2], 1],
            _ => [1, 1, 1, 1],
        };
        let (a, b) = (bytes(seed, shape.iter().product(), false), bytes(!seed, b_shape.iter().product(), false));
        let (low, high) = stored_range(kinds[2]);
        let mut y = Vec::new();
        for (i, &a) in a.iter().enumerate() {
            let j = match repeated {
                0 => i,
                1 => i / (shape[2] * shape[3]),
                2 => i / shape[3] % shape[2],
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
            let pooled = if picture { graph.push("pool", Op::MaxPool(window), &[a], kinds[0], &shape) } else { a };
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
        let (low, high) = stored_range(kind);
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
