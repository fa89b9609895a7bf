//! Convolutions and matrix products as steps: which input bytes each output reads, and weights in the kernel's order.

use super::{Lowering, halo};
use crate::ElementKind;
use crate::graph::{Conv, ValueId, ZeroPoint};
use crate::kernels::arena::View;
use crate::kernels::conv::{ConvStep, ConvWeights};
use crate::kernels::depthwise::{DepthwiseStep, DepthwiseWeights};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::portable::StoredZeroPoint;
use crate::kernels::winograd;
use crate::plan::transposed::phases;
use crate::step::Step;
use std::borrow::Cow;
use std::ops::Range;

impl Lowering {
    pub(super) fn linear(&mut self, x: ValueId, y: ValueId, conv: &Conv) {
        let rows = self.graph.values[x].len() / conv.inputs;
        let (epilogue, scale) = self.epilogue(self.kind(y), &conv.finish);
        let element = epilogue.bytes();
        let at = self.row_major_tensor(x).at;
        let input = View::dense(at, [1, 1, rows, conv.inputs], 1);
        let output = View::dense(self.row_major_tensor(y).at, [1, 1, rows, conv.outputs], element);
        let whole = ConvPart { origin: [0, 0], stride: [1, 1], rows: vec![0], columns: vec![0], group: 0 };
        let kind = self.kind(x);
        let sums = self.dense(&input, &output, conv, &whole, kind, epilogue, &scale);
        self.correct(&output, sums, kind, conv);
    }

    /// Takes a zero point that is computed from accumulators, which lie side by side.
    fn correct(&mut self, y: &View, sums: Vec<i32>, kind: ElementKind, conv: &Conv) {
        let zero = self.zero(kind, conv.zero_point);
        if let StoredZeroPoint::At(_) = zero {
            let rows = y.dims[0] * y.dims[1] * y.dims[2];
            self.steps.push(Step::Correct { at: y.at, rows, sums, zero });
        }
    }

    pub(super) fn conv(&mut self, x: ValueId, y: ValueId, conv: &Conv, transposed: bool) -> Result<(), String> {
        let (epilogue, scale) = self.epilogue(self.kind(y), &conv.finish);
        let input = self.layout.picture(&self.graph, x);
        let element = epilogue.bytes();
        let &[n, c, h, w] = self.shape(y) else { return Err("a picture without four dimensions".into()) };
        let output = if element == 1 {
            self.layout.picture(&self.graph, y)
        } else {
            View::dense(self.scratch(y)?, [n, h, w, c], element)
        };
        let kind = self.kind(x);
        if let ZeroPoint::Held(id) = conv.zero_point {
            let buffer = &self.layout.buffers[self.layout.slots[x].buffer];
            if buffer.halo != [0; 4] {
                let zero = StoredZeroPoint::At(self.row_major_tensor(id).at);
                self.steps.push(Step::Halo(halo(buffer, zero)));
            }
        }
        let depthwise = conv.inputs == 1 && conv.groups == conv.outputs && conv.groups > 1;
        if transposed {
            for row in phases(conv, 0, h) {
                for column in phases(conv, 1, w) {
                    let mut view = output;
                    view.at = output.pixel(0, row.start, column.start);
                    view.dims = [n, row.count, column.count, c];
                    view.strides[1] *= conv.stride[0];
                    view.strides[2] *= conv.stride[1];
                    let origin = [row.origin, column.origin];
                    let (rows, columns) = (row.taps.clone(), column.taps);
                    for group in 0..conv.groups {
                        let (rows, columns) = (rows.clone(), columns.clone());
                        let part = ConvPart { origin, stride: [1, 1], rows, columns, group };
                        self.dense(&input, &view, conv, &part, kind, epilogue, &scale);
                    }
                }
            }
        } else {
            let origin = [-(conv.pads[0] as isize), -(conv.pads[1] as isize)];
            let (rows, columns) = ((0..conv.kernel[0]).collect::<Vec<_>>(), (0..conv.kernel[1]).collect::<Vec<_>>());
            let mut sums = Vec::new();
            if depthwise {
                sums = self.depthwise(&input, &output, conv, kind, epilogue, &scale);
            } else {
                for group in 0..conv.groups {
                    let (rows, columns) = (rows.clone(), columns.clone());
                    let part = ConvPart { origin, stride: conv.stride, rows, columns, group };
                    sums.extend(self.dense(&input, &output, conv, &part, kind, epilogue, &scale));
                }
            }
            self.correct(&output, sums, kind, conv);
        }
        if element == 4 {
            let [image, row, pixel, one] = output.strides.map(|s| s as isize);
            let shape = self.shape(y).to_vec();
            let from = (output.at, vec![image, one, row, pixel]);
            self.copy(&shape, from, self.strides(y), 4, false);
        }
        Ok(())
    }

    /// One group, or one phase of one group, of a convolution. Returns the sum of each output's weights.
    #[allow(clippy::too_many_arguments)] // one call's worth of geometry
    fn dense(
        &mut self,
        x: &View,
        y: &View,
        conv: &Conv,
        part: &ConvPart,
        kind: ElementKind,
        epilogue: Epilogue,
        scale: &[f32],
    ) -> Vec<i32> {
        let (inputs, outputs) = (conv.inputs, conv.outputs / conv.groups);
        let [image, row, pixel, _] = x.strides;
        let channel = part.group * inputs;
        // A kernel row over a dense picture is one run.
        let joined = pixel == inputs && conv.dilation[1] == 1;
        let offset = |r: usize, c: usize| (r * conv.dilation[0] * row + c * conv.dilation[1] * pixel) as u32;
        let mut taps = Vec::new();
        for r in 0..part.rows.len() {
            let of_row = if joined { part.columns.len().min(1) } else { part.columns.len() };
            taps.extend((0..of_row).map(|c| offset(r, c)));
        }
        let once = taps.len();
        for _ in 1..conv.weights.summands() {
            taps.extend_from_within(..once);
        }
        let run = inputs * if joined { part.columns.len() } else { 1 };
        let first_output = part.group * outputs;
        let weights = weights_of(conv, first_output..first_output + outputs, part);
        let of_output = taps.len() * run;
        let sum = |weights: &[i8]| weights.iter().fold(0i32, |sum, &weight| sum.wrapping_add(weight.into()));
        let sums: Vec<i32> = (0..outputs).map(|o| sum(&weights[o * of_output..(o + 1) * of_output])).collect();
        let zero = self.zero(kind, conv.zero_point);
        let known = if let StoredZeroPoint::Known(zero) = zero { zero } else { 0 };
        let bias: Vec<i32> = conv.bias[first_output..first_output + outputs]
            .iter()
            .zip(&sums)
            .map(|(bias, sum)| bias.wrapping_sub(known.wrapping_mul(*sum)))
            .collect();
        let scale =
            if scale.is_empty() { vec![1.0; outputs] } else { scale[first_output..first_output + outputs].to_vec() };
        let element = y.strides[3];
        let at = y.at + first_output * element;
        let split = self.kernels.split_outputs(outputs);
        for part_of in [0..split, split..outputs].into_iter().filter(|part| !part.is_empty()) {
            let weights = ConvWeights {
                outputs: part_of.len(),
                taps: taps.len(),
                run,
                column: (joined && part.stride[1] == 1).then_some(inputs),
                size: [y.dims[0] * y.dims[1], y.dims[2]],
                rows_adjacent: joined && part.stride[0] == 1 && conv.dilation[0] == 1 && conv.weights.rest.is_empty(),
                weights: &weights[part_of.start * of_output..part_of.end * of_output],
                bias: &bias[part_of.clone()],
                scale: &scale[part_of.clone()],
            };
            let packed = self.kernels.pack(&weights);
            self.scratch_bytes = self.scratch_bytes.max(winograd::scratch_bytes(&packed));
            self.steps.push(Step::Conv(ConvStep {
                x: (x.at as isize + part.origin[0] * row as isize + part.origin[1] * pixel as isize) as usize + channel,
                x_steps: [image, row * part.stride[0], pixel * part.stride[1]],
                taps: taps.clone(),
                run,
                y: at + part_of.start * element,
                y_steps: [y.strides[0], y.strides[1], y.strides[2]],
                dims: [y.dims[0], y.dims[1], y.dims[2]],
                outputs: part_of.len(),
                epilogue,
                packed,
                scratch: self.layout.arena_bytes.next_multiple_of(64),
                fused_add: None,
            }));
        }
        sums
    }

    /// A convolution of one channel a group. Returns the sum of each output's weights.
    fn depthwise(
        &mut self,
        x: &View,
        y: &View,
        conv: &Conv,
        kind: ElementKind,
        epilogue: Epilogue,
        scale: &[f32],
    ) -> Vec<i32> {
        let [image, row, pixel, _] = x.strides;
        let [height, width] = conv.kernel;
        let taps: Vec<u32> = (0..height)
            .flat_map(|r| (0..width).map(move |c| (r * conv.dilation[0] * row + c * conv.dilation[1] * pixel) as u32))
            .collect();
        let count = height * width;
        let summands = conv.weights.summands();
        let weight = |c: usize, tap: usize, summand: usize| conv.weights.summand(summand, c * count + tap);
        let known = if let StoredZeroPoint::Known(zero) = self.zero(kind, conv.zero_point) { zero } else { 0 };
        let all = || (0..count).flat_map(|tap| (0..summands).map(move |summand| (tap, summand)));
        let sums: Vec<i32> =
            (0..conv.outputs).map(|c| all().map(|(tap, summand)| i32::from(weight(c, tap, summand))).sum()).collect();
        let bias: Vec<i32> =
            conv.bias.iter().zip(&sums).map(|(bias, sum)| bias.wrapping_sub(known.wrapping_mul(*sum))).collect();
        let scale = if scale.is_empty() { vec![1.0; conv.outputs] } else { scale.to_vec() };
        let adjacent_pixel = (conv.stride[1] == 1 && conv.dilation[1] == 1).then_some(pixel);
        // Where pixels share no columns, rows need not be kept apart: all taps are one row, and its last quad alone is padded.
        let kernel = if adjacent_pixel.is_some() { conv.kernel } else { [1, count] };
        let weights = DepthwiseWeights {
            channels: conv.outputs,
            taps: count,
            summands,
            kernel,
            offsets: &taps,
            adjacent_pixel,
            weight: &weight,
            bias: &bias,
            scale: &scale,
        };
        let packed = self.kernels.pack_depthwise(&weights);
        let [top, left, ..] = conv.pads;
        self.steps.push(Step::Depthwise(DepthwiseStep {
            x: x.at - top * row - left * pixel,
            x_steps: [image, row * conv.stride[0], pixel * conv.stride[1]],
            kernel_row: row * conv.dilation[0],
            kernel_rows: kernel[0],
            taps,
            y: y.at,
            y_steps: [y.strides[0], y.strides[1], y.strides[2]],
            dims: [y.dims[0], y.dims[1], y.dims[2]],
            channels: conv.outputs,
            epilogue,
            packed,
        }));
        sums
    }
}

/// Weights of some outputs in the order of a part's taps, `[outputs, taps, run]`; all taps once for each summand.
fn weights_of<'a>(conv: &'a Conv, outputs: Range<usize>, part: &ConvPart) -> Cow<'a, [i8]> {
    let ([height, width], inputs) = (conv.kernel, conv.inputs);
    let of_output = height * width * inputs;
    let whole = part.rows.iter().copied().eq(0..height) && part.columns.iter().copied().eq(0..width);
    if whole && conv.weights.rest.is_empty() {
        return Cow::Borrowed(&conv.weights.first[outputs.start * of_output..outputs.end * of_output]);
    }
    let of_part = part.rows.len() * part.columns.len() * inputs * conv.weights.summands();
    let mut weights = Vec::with_capacity(outputs.len() * of_part);
    for output in outputs {
        for summand in std::iter::once(&conv.weights.first).chain(&conv.weights.rest) {
            for (y, x) in part.rows.iter().flat_map(|&y| part.columns.iter().map(move |&x| (y, x))) {
                let at = ((output * height + y) * width + x) * inputs;
                weights.extend_from_slice(&summand[at..at + inputs]);
            }
        }
    }
    Cow::Owned(weights)
}

/// Which part of a convolution a step computes.
struct ConvPart {
    /// Row and column of the input that the first tap of output 0 reads.
    origin: [isize; 2],
    stride: [usize; 2],
    /// Kernel rows and columns in the order of the inputs that they are multiplied with.
    rows: Vec<usize>,
    columns: Vec<usize>,
    group: usize,
}
