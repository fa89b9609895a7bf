//! The loops of the float ops that dynamically quantized networks need: one scalar path with a fixed order of summation.

use super::graph::{Binary, Reduction, Sampling, Window};
use super::unary::power;

/// Row-major strides in elements of `shape` broadcast to `to`: 0 along what is repeated.
pub fn broadcast_strides(shape: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    let lead = to.len() - shape.len();
    for (axis, &dim) in shape.iter().enumerate().rev() {
        strides[lead + axis] = if dim == 1 { 0 } else { stride };
        stride *= dim;
    }
    strides
}

/// Calls `visit(out, a, b)` for every element of `shape` with the offsets of both operands.
pub fn for_each_pair(shape: &[usize], a: &[usize], b: &[usize], mut visit: impl FnMut(usize, usize, usize)) {
    // Offsets advance like an odometer; eight axes are more than any model here has, and need no allocation.
    let mut index = [0usize; 8];
    let count: usize = shape.iter().product();
    let (mut at_a, mut at_b) = (0, 0);
    for out in 0..count {
        visit(out, at_a, at_b);
        for axis in (0..shape.len().min(8)).rev() {
            index[axis] += 1;
            at_a += a[axis];
            at_b += b[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at_a -= a[axis] * shape[axis];
            at_b -= b[axis] * shape[axis];
            index[axis] = 0;
        }
    }
}

/// Element by element, broadcast.
pub fn binary(op: Binary, shape: &[usize], a: (&[f32], &[usize]), b: (&[f32], &[usize]), y: &mut [f32]) {
    let apply = match op {
        Binary::Add => |a: f32, b: f32| a + b,
        Binary::Sub => |a: f32, b: f32| a - b,
        Binary::Mul => |a: f32, b: f32| a * b,
        Binary::Div => |a: f32, b: f32| a / b,
        Binary::Pow => power,
        Binary::Min => f32::min,
        Binary::Max => f32::max,
    };
    for_each_pair(shape, a.1, b.1, |i, j, k| y[i] = apply(a.0[j], b.0[k]));
}

/// `y [m, n] = a [m, k] * b [k, n]`, each sum from the first `k` to the last.
pub fn matmul(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], y: &mut [f32]) {
    for row in 0..m {
        let y = &mut y[row * n..][..n];
        y.fill(0.0);
        for (inner, &a) in a[row * k..][..k].iter().enumerate() {
            for (y, &b) in y.iter_mut().zip(&b[inner * n..][..n]) {
                *y += a * b;
            }
        }
    }
}

/// Over the middle of `[outer, length, inner]`.
pub fn softmax(outer: usize, length: usize, inner: usize, x: &[f32], y: &mut [f32]) {
    for o in 0..outer {
        for i in 0..inner {
            let at = |l: usize| (o * length + l) * inner + i;
            let greatest = (0..length).map(|l| x[at(l)]).fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for l in 0..length {
                let e = libm::expf(x[at(l)] - greatest);
                y[at(l)] = e;
                sum += e;
            }
            for l in 0..length {
                y[at(l)] /= sum;
            }
        }
    }
}

/// Rows of `length`; `bias` may be empty.
pub fn layer_norm(length: usize, epsilon: f32, x: &[f32], scale: &[f32], bias: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks_exact(length).zip(y.chunks_exact_mut(length)) {
        let mean = x.iter().sum::<f32>() / length as f32;
        let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / length as f32;
        let factor = 1.0 / (variance + epsilon).sqrt();
        for (i, (x, y)) in x.iter().zip(y.iter_mut()).enumerate() {
            *y = (x - mean) * factor * scale[i] + bias.get(i).copied().unwrap_or(0.0);
        }
    }
}

/// Over the axes whose stride in `y` is 0: `strides` are those of the output broadcast to the input's shape.
pub fn reduce(kind: Reduction, shape: &[usize], strides: &[usize], x: &[f32], y: &mut [f32]) {
    y.fill(if kind == Reduction::Max { f32::NEG_INFINITY } else { 0.0 });
    for_each_pair(shape, strides, strides, |i, j, _| match kind {
        Reduction::Max => y[j] = y[j].max(x[i]),
        _ => y[j] += x[i],
    });
    if kind == Reduction::Mean {
        let count = x.len() as f32 / y.len() as f32;
        y.iter_mut().for_each(|y| *y /= count);
    }
}

/// Average pool over `[planes, H, W]`, windows cut off at the border.
pub fn average_pool(
    window: &Window,
    [planes, h, w]: [usize; 3],
    [rows, columns]: [usize; 2],
    x: &[f32],
    y: &mut [f32],
) {
    let reach = |axis: usize, out: usize, size: usize| {
        let start = (out * window.stride[axis]) as isize - window.pads[axis] as isize;
        let inside = move |k: usize| {
            usize::try_from(start + (k * window.dilation[axis]) as isize).ok().filter(|&place| place < size)
        };
        (0..window.kernel[axis]).filter_map(inside)
    };
    for plane in 0..planes {
        for oy in 0..rows {
            for ox in 0..columns {
                let (mut sum, mut count) = (0.0, 0);
                for iy in reach(0, oy, h) {
                    for ix in reach(1, ox, w) {
                        sum += x[(plane * h + iy) * w + ix];
                        count += 1;
                    }
                }
                let count = if window.count_pads { window.kernel[0] * window.kernel[1] } else { count };
                y[(plane * rows + oy) * columns + ox] = sum / count as f32;
            }
        }
    }
}

/// Bilinear resizing of `[planes, H, W]`.
pub fn bilinear(rows: &Sampling, columns: &Sampling, [planes, h, w]: [usize; 3], x: &[f32], y: &mut [f32]) {
    let mut out = y.iter_mut();
    for plane in 0..planes {
        let at = |r: u32, c: u32| x[(plane * h + r as usize) * w + c as usize];
        for (oy, &b) in rows.weight.iter().enumerate() {
            for (ox, &a) in columns.weight.iter().enumerate() {
                let (r0, r1, c0, c1) = (rows.first[oy], rows.second[oy], columns.first[ox], columns.second[ox]);
                let top = (1.0 - a) * (1.0 - b) * at(r0, c0) + a * (1.0 - b) * at(r0, c1);
                let value = top + (1.0 - a) * b * at(r1, c0) + a * b * at(r1, c1);
                if let Some(y) = out.next() {
                    *y = value;
                }
            }
        }
    }
}
