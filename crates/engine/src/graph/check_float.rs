//! Whether the operands of a float op have the shapes that it is written for.

use super::{FloatConv, FloatOp, Window, broadcast};

/// Checks a float op with inputs and an output of these shapes.
///
/// # Errors
/// What is wrong.
pub fn check_float(op: &FloatOp, x: &[&[usize]], y: &[usize]) -> Result<(), String> {
    let shape = |i: usize| x.get(i).copied().unwrap_or_default();
    let first = shape(0);
    let count = |shape: &[usize]| shape.iter().product::<usize>();
    let operands = |least: usize, most: usize| match x.len() {
        n if (least..=most).contains(&n) => Ok(()),
        n => Err(format!("it has {n} inputs")),
    };
    let fits = |yes: bool| if yes { Ok(()) } else { Err(format!("its inputs {x:?} do not make {y:?}")) };
    let has_axis = |axis: usize| match first.len() {
        rank if axis < rank => Ok(()),
        rank => Err(format!("axis {axis} of {rank} dimensions")),
    };
    let each = |i: usize, length: usize| x.len() <= i || count(shape(i)) == length;
    match op {
        FloatOp::Binary(_) => {
            operands(2, 2)?;
            fits(broadcast(first, shape(1)).as_deref() == Some(y) && y.len() <= 8)
        }
        FloatOp::MatMul => {
            operands(2, 2)?;
            let (a, b) = (first, shape(1));
            let [a_batch @ .., m, k] = a else { return fits(false) };
            let [b_batch @ .., inner, n] = b else { return fits(false) };
            let batch = broadcast(a_batch, b_batch);
            fits(k == inner && batch.is_some_and(|batch| [&batch[..], &[*m, *n]].concat() == y))
        }
        FloatOp::Linear(linear) => {
            operands(1, 1)?;
            let (Some((inputs, rows)), Some((outputs, to))) = (first.split_last(), y.split_last()) else {
                return fits(false);
            };
            let whole = linear.inputs.checked_mul(linear.outputs) == Some(linear.weights.len())
                && (linear.bias.is_empty() || linear.bias.len() == linear.outputs);
            fits(whole && *inputs == linear.inputs && *outputs == linear.outputs && rows == to)
        }
        FloatOp::Conv(conv) => {
            operands(1, 1)?;
            check_conv(conv, first, y)
        }
        FloatOp::Softmax { axis } | FloatOp::LogSoftmax { axis } => {
            operands(1, 1)?;
            has_axis(*axis)?;
            fits(first == y)
        }
        FloatOp::LayerNorm { axis, .. } | FloatOp::RmsNorm { axis, .. } => {
            operands(2, 3)?;
            has_axis(*axis)?;
            let length = count(&first[*axis..]);
            fits(first == y && each(1, length) && each(2, length))
        }
        FloatOp::GroupNorm { groups, .. } => {
            operands(2, 3)?;
            has_axis(1)?;
            let channels = first[1];
            fits(
                first == y && *groups > 0 && channels.is_multiple_of(*groups) && each(1, channels) && each(2, channels),
            )
        }
        FloatOp::ScaleShift => {
            operands(3, 3)?;
            has_axis(1)?;
            fits(first == y && each(1, first[1]) && each(2, first[1]))
        }
        FloatOp::Reduce { axes, .. } => {
            operands(1, 1)?;
            axes.iter().try_for_each(|&axis| has_axis(axis))?;
            let kept = |(axis, &dim): (usize, &usize)| if axes.contains(&axis) { 1 } else { dim };
            fits(first.iter().enumerate().map(kept).eq(y.iter().copied()))
        }
        FloatOp::MaxPool(window) | FloatOp::AveragePool(window) => {
            operands(1, 1)?;
            check_window(window, first, y)
        }
        FloatOp::Bilinear(rows, columns) => {
            operands(1, 1)?;
            let (&[ref from @ .., _, _], &[ref to @ .., h, w]) = (first, y) else { return fits(false) };
            fits(from == to && rows.weight.len() == h && columns.weight.len() == w)
        }
    }
}

fn check_conv(conv: &FloatConv, x: &[usize], y: &[usize]) -> Result<(), String> {
    let wrong = || Err(format!("input {x:?}, output {y:?} and {} weights do not fit", conv.weights.len()));
    let ([n, c, from @ ..], [images, outputs, to @ ..]) = (x, y) else { return wrong() };
    let sizes = [conv.outputs, conv.inputs, conv.kernel[0], conv.kernel[1]];
    let weights = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
    let whole = weights == Some(conv.weights.len())
        && (conv.bias.is_empty() || conv.bias.len() == conv.outputs)
        && conv.groups > 0
        && conv.outputs.is_multiple_of(conv.groups)
        && conv.inputs.checked_mul(conv.groups) == Some(*c)
        && !conv.stride.contains(&0)
        && !conv.dilation.contains(&0)
        && matches!(from.len(), 1 | 2)
        && from.len() == to.len()
        && (from.len() == 2 || (conv.kernel[0], conv.stride[0], conv.pads[0]) == (1, 1, 0));
    if whole && n == images && *outputs == conv.outputs { Ok(()) } else { wrong() }
}

/// Every window of a pool must cover a part of the input.
fn check_window(window: &Window, x: &[usize], y: &[usize]) -> Result<(), String> {
    let (&[ref from @ .., h, w], &[ref to @ .., rows, columns]) = (x, y) else {
        return Err(format!("its input {x:?} is no picture"));
    };
    let covers = |axis: usize, size: usize, out: usize| {
        let (pad, stride) = (window.pads[axis], window.stride[axis]);
        let inside = |o: usize| {
            let place = |k: usize| (o * stride + k * window.dilation[axis]).checked_sub(pad);
            (0..window.kernel[axis]).any(|k| place(k).is_some_and(|place| place < size))
        };
        stride > 0 && (0..out).all(inside)
    };
    if from == to && covers(0, h, rows) && covers(1, w, columns) {
        Ok(())
    } else {
        Err(format!("a window of its pool from {x:?} to {y:?} covers nothing of its input"))
    }
}
