//! Float ops as steps.

use super::Lowering;
use crate::graph::{FloatConv, FloatLinear, FloatOp, Reduction, ValueId, Window, broadcast_strides, for_each_pair};
use crate::kernels::float::binary::Broadcast;
use crate::kernels::float::conv::{Axis, ConvPhase, Im2colConv};
use crate::kernels::float::depthwise::Depthwise;
use crate::kernels::float::normalize::{Normalize, Softmax};
use crate::kernels::float::pool::{FloatPoolKind, Pool};
use crate::kernels::float::product::{MatMul, pack};
use crate::kernels::float::reduce::Reduce;
use crate::kernels::float::resize::Bilinear;
use crate::kernels::float::{FloatKernel, FloatStep, Operand, widths};
use crate::step::Step;
use std::sync::Arc;

impl Lowering {
    pub(super) fn float(&mut self, op: &FloatOp, inputs: &[ValueId], y: ValueId) {
        let (shape, first) = (self.shape(y).to_vec(), self.shape(inputs[0]).to_vec());
        let around = |axis: usize| [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()];
        let kernel = match op {
            FloatOp::Binary(op) => {
                let strides = |id: ValueId| broadcast_strides(self.shape(id), &shape);
                FloatKernel::Binary(*op, Broadcast::new(&shape, &strides(inputs[0]), &strides(inputs[1])))
            }
            FloatOp::MatMul => FloatKernel::MatMul(float_matmul(&first, self.shape(inputs[1]), &shape)),
            FloatOp::Linear(linear) => FloatKernel::MatMul(self.float_linear(linear, &first)),
            FloatOp::Conv(conv) => self.float_conv(conv, &first, &shape),
            FloatOp::Softmax { axis } => FloatKernel::Softmax(Softmax { size: around(*axis), log: false }),
            FloatOp::LogSoftmax { axis } => FloatKernel::Softmax(Softmax { size: around(*axis), log: true }),
            FloatOp::LayerNorm { axis, epsilon } | FloatOp::RmsNorm { axis, epsilon } => {
                let (rows, length) = (shape[..*axis].iter().product(), shape[*axis..].iter().product());
                let about_zero = matches!(op, FloatOp::RmsNorm { .. });
                let epsilon = f64::from(*epsilon);
                FloatKernel::Normalize(Normalize { rows, length, epsilon, about_zero, channels: 0, plane: length })
            }
            FloatOp::GroupNorm { groups, epsilon } => {
                let plane: usize = shape[2..].iter().product();
                let (rows, length) = (shape[0] * groups, shape[1] / groups * plane);
                let (epsilon, channels) = (f64::from(*epsilon), shape[1]);
                FloatKernel::Normalize(Normalize { rows, length, epsilon, about_zero: false, channels, plane })
            }
            FloatOp::ScaleShift => FloatKernel::ScaleShift(shape[2..].iter().product()),
            FloatOp::Reduce { kind, axes } => FloatKernel::Reduce(Reduce::new(*kind, &first, axes)),
            FloatOp::MaxPool(window) => pool(FloatPoolKind::Max, window, &first, &shape),
            FloatOp::AveragePool(window) => pool(FloatPoolKind::Average, window, &first, &shape),
            FloatOp::Bilinear(rows, columns) => {
                let [planes, height, width] = planes(&first);
                let (rows, columns) = (rows.clone(), columns.clone());
                FloatKernel::Bilinear(Bilinear { rows, columns, planes, input: [height, width] })
            }
        };
        self.float_step(kernel, inputs, y);
    }

    pub(super) fn float_step(&mut self, kernel: FloatKernel, inputs: &[ValueId], y: ValueId) {
        let operand = |id: ValueId| {
            let tensor = self.row_major_tensor(id);
            Operand { at: tensor.at, len: tensor.len() }
        };
        let (x, y) = (inputs.iter().map(|&id| operand(id)).collect(), operand(y));
        let scratch = self.layout.arena_bytes.next_multiple_of(64);
        let step = FloatStep::new(kernel, x, y, self.kernels.float_isa(), scratch);
        self.scratch_bytes = self.scratch_bytes.max(step.scratch_bytes);
        self.steps.push(Step::Float(step));
    }

    fn float_linear(&self, linear: &FloatLinear, x: &[usize]) -> MatMul {
        let panel = widths(self.kernels.float_isa()).panel;
        let (k, n) = (linear.inputs, linear.outputs);
        let m = x.iter().product::<usize>() / k;
        let packed = Some(pack(k, n, panel, |k, column| linear.weights[k * n + column]));
        MatMul { batches: vec![(0, 0)], m, k, n, packed, bias: whole_panels(&linear.bias, panel) }
    }

    fn float_conv(&self, conv: &FloatConv, x: &[usize], y: &[usize]) -> FloatKernel {
        let size = |shape: &[usize]| match *shape {
            [_, _, h, w] => [h, w],
            _ => [1, shape[2]],
        };
        let (images, input, output) = (x[0], size(x), size(y));
        let FloatConv { kernel, stride, dilation, pads, groups, inputs, .. } = *conv;
        let outputs = conv.outputs / groups;
        // A window of the whole picture is a row of its inputs.
        let whole = kernel == input && pads == [0, 0] && output == [1, 1] && dilation == [1, 1];
        if whole && groups == 1 && !conv.transposed {
            let panel = widths(self.kernels.float_isa()).panel;
            let (k, n) = (inputs * kernel[0] * kernel[1], outputs);
            let packed = Some(pack(k, n, panel, |k_at, column| conv.weights[column * k + k_at]));
            let bias = whole_panels(&conv.bias, panel);
            return FloatKernel::MatMul(MatMul { batches: vec![(0, 0)], m: images, k, n, packed, bias });
        }
        let bias = conv.bias.to_vec();
        if inputs == 1 && groups > 1 && !conv.transposed {
            let weights = Arc::clone(&conv.weights);
            let channels = groups;
            let taps = Vec::new();
            let mut op = Depthwise {
                images,
                channels,
                outputs,
                input,
                output,
                kernel,
                stride,
                dilation,
                pads,
                weights,
                bias,
                taps,
            };
            op.taps = op.tap_offsets();
            return FloatKernel::Depthwise(op);
        }
        let phases = if conv.transposed {
            transposed_phases(conv, output)
        } else {
            let axis = |i: usize| Axis::plain(output[i], kernel[i], stride[i], dilation[i], pads[i]);
            vec![ConvPhase { weights: Arc::clone(&conv.weights), rows: axis(0), columns: axis(1) }]
        };
        FloatKernel::Conv(Im2colConv { images, groups, inputs, outputs, input, output, bias, phases })
    }
}

/// The phases of a transposed convolution, each with the weights of its taps.
fn transposed_phases(conv: &FloatConv, output: [usize; 2]) -> Vec<ConvPhase> {
    let FloatConv { kernel: [height, width], stride, dilation, pads, groups, inputs, .. } = *conv;
    let outputs = conv.outputs / groups;
    let axes = |i: usize| Axis::transposed(output[i], conv.kernel[i], stride[i], dilation[i], pads[i]);
    let columns = axes(1);
    let mut phases = Vec::new();
    for (rows, down) in axes(0) {
        for (columns, right) in &columns {
            let mut weights = Vec::with_capacity(conv.outputs * inputs * down.len() * right.len());
            for output in 0..conv.outputs {
                for input in 0..inputs {
                    let channel = (output / outputs * inputs + input) * outputs + output % outputs;
                    let at = |ky: usize, kx: usize| conv.weights[(channel * height + ky) * width + kx];
                    weights.extend(down.iter().flat_map(|&ky| right.iter().map(move |&kx| at(ky, kx))));
                }
            }
            phases.push(ConvPhase { weights: weights.into(), rows: rows.clone(), columns: columns.clone() });
        }
    }
    phases
}

/// `a [.., M, K]` by `b [.., K, N]`.
fn float_matmul(a: &[usize], b: &[usize], y: &[usize]) -> MatMul {
    let rank = y.len();
    let (m, k, n) = (y[rank - 2], a[a.len() - 1], y[rank - 1]);
    let (batch, a_batch, b_batch) = (&y[..rank - 2], &a[..a.len() - 2], &b[..b.len() - 2]);
    let (packed, bias) = (None, Vec::new());
    // One matrix for all batches: their rows follow one another.
    if a_batch == batch && b_batch.iter().all(|&dim| dim == 1) {
        let m = m * batch.iter().product::<usize>();
        return MatMul { batches: vec![(0, 0)], m, k, n, packed, bias };
    }
    let (a_steps, b_steps) = (broadcast_strides(a_batch, batch), broadcast_strides(b_batch, batch));
    let mut batches = Vec::new();
    for_each_pair(batch, &a_steps, &b_steps, |_, a, b| batches.push((a * m * k, b * k * n)));
    MatMul { batches, m, k, n, packed, bias }
}

/// A bias filled up with zeros, or none.
fn whole_panels(bias: &[f32], panel: usize) -> Vec<f32> {
    let mut whole = bias.to_vec();
    whole.resize(bias.len().next_multiple_of(panel), 0.0);
    whole
}

/// A pool; the mean of a whole plane is a reduction.
fn pool(kind: FloatPoolKind, window: &Window, x: &[usize], y: &[usize]) -> FloatKernel {
    let ([count, height, width], [_, rows, columns]) = (planes(x), planes(y));
    if window.kernel == [height, width] && [rows, columns] == [1, 1] && window.pads == [0; 4] {
        let kind = if kind == FloatPoolKind::Max { Reduction::Max } else { Reduction::Mean };
        return FloatKernel::Reduce(Reduce::new(kind, &[count, height * width], &[1]));
    }
    FloatKernel::Pool(Pool::new(kind, window, count, [height, width], [rows, columns]))
}

/// `[planes, H, W]` of a tensor `[.., H, W]`.
fn planes(shape: &[usize]) -> [usize; 3] {
    let rank = shape.len();
    [shape[..rank - 2].iter().product(), shape[rank - 2], shape[rank - 1]]
}
