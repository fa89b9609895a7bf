//! Products of two computed matrices.

use super::{CASES, bytes, check, number, requantized, tensor};
use crate::graph::{Finish, Graph, Op, ZeroPoint, stored_range};
use crate::{ElementKind, Tensor};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn products_of_computed_matrices_follow_their_definition(
        batches in [1..3usize, 1..3usize], size in [1..12usize, 1..70usize, 1..150usize], signed in any::<[bool; 3]>(),
        zeros in proptest::array::uniform3(0..256i32), scale in -5.0..0.3f32, modes in (0..4u8, any::<bool>(), any::<bool>()),
        seed in any::<u64>(),
    ) {
        let (mode, extremes, shared) = modes;
        let [m, k, n] = size;
        let kinds = signed.map(|signed| if signed { ElementKind::I8 } else { ElementKind::U8 });
        let zero = |i: usize| if signed[i] { zeros[i] - 128 } else { zeros[i] };
        let count = batches[0] * batches[1];
        // The second operand may be the same for all, or for some, of the first's.
        let b_batches = if shared { [1, batches[1]] } else { batches };
        let (a_shape, b_shape) = ([batches[0], batches[1], m, k], [b_batches[0], b_batches[1], k, n]);
        let (a, b) = (bytes(seed, count * m * k, extremes), bytes(!seed, b_shape.iter().product(), extremes));
        let mut sums = Vec::new();
        for batch in 0..count {
            let b = &b[if shared { batch % batches[1] } else { batch } * k * n..][..k * n];
            for row in a[batch * m * k..][..m * k].chunks(k) {
                for column in 0..n {
                    let terms = row.iter().enumerate().map(|(i, &a)| {
                        (number(kinds[0], a) - zero(0)) * (number(kinds[1], b[i * n + column]) - zero(1))
                    });
                    sums.push(terms.sum::<i32>());
                }
            }
        }
        let y_shape = [batches[0], batches[1], m, n];
        let multiplier = 10f32.powf(scale);
        let (low, high) = stored_range(kinds[2]);
        let (finish, kind, expected) = match mode {
            0 => (Finish::Accumulators, ElementKind::I32, Tensor::new(y_shape.to_vec(), sums).unwrap()),
            1 => {
                let floats = sums.iter().map(|&sum| sum as f32 * multiplier).collect();
                let expected = Tensor::new(y_shape.to_vec(), floats).unwrap();
                (Finish::Floats { scale: vec![multiplier] }, ElementKind::F32, expected)
            }
            _ => {
                let low = if mode == 2 { low } else { zero(2) };
                let y = sums.iter().map(|&sum| requantized(sum, multiplier, zero(2), low, high)).collect();
                let finish = Finish::Bytes { multiplier: vec![multiplier], zero_point: zero(2), low, high };
                (finish, kinds[2], tensor(kinds[2], &y_shape, y))
            }
        };
        let build = || {
            let mut graph = Graph::default();
            let (a, b) = (graph.value("a", kinds[0], &a_shape), graph.value("b", kinds[1], &b_shape));
            graph.inputs = vec![a, b];
            let zeros = [ZeroPoint::Known(zero(0)), ZeroPoint::Known(zero(1))];
            let op = Op::MatMul { a: zeros[0], b: zeros[1], finish: finish.clone() };
            let y = graph.push("product", op, &[a, b], kind, &y_shape);
            graph.outputs.push(y);
            graph
        };
        check(build, &[tensor(kinds[0], &a_shape, a.clone()), tensor(kinds[1], &b_shape, b.clone())], &expected);
    }
}
