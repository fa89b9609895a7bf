//! Quantizing and copies, which are called without a plan.

use super::bytes;
use crate::kernels::{arena, available, copy, quantize};

/// Bytes made without dividing are those of the division, at and beside every boundary between two of them too.
#[test]
fn quantizing_follows_its_definition() {
    use quantize::{QuantParams, quantize};
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
    use arena::AlignedBytes;
    use copy::CopyStep;
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
                let mut arena = AlignedBytes::zeroed(2 * count * size + arena::SLACK);
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
