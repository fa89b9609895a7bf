//! The steps of every op that has no file of its own.

use super::Lowering;
use crate::ElementKind;
use crate::graph::{
    Finish, Node, Op, Operands, RecurrenceWeights, Recurrent, ValueId, ZeroPoint, broadcast_strides, for_each_pair,
};
use crate::kernels::add::AddStep;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::float::FloatKernel;
use crate::kernels::gather::{GatherStep, Rows};
use crate::kernels::live::Live;
use crate::kernels::matmul::MatMulStep;
use crate::kernels::mul::MulStep;
use crate::kernels::portable::{BilinearStep, PoolKind, PoolingStep};
use crate::kernels::recurrent::RecurrentStep;
use crate::kernels::suppression::SuppressionStep;
use crate::step::Step;
use std::sync::Arc;

impl Lowering {
    /// Adds the steps of a node whose operands are in the layout that it needs.
    pub(super) fn op(&mut self, node: Node) -> Result<(), String> {
        let Node { name: _, op, inputs, outputs } = node;
        let (x, y) = (inputs.first().copied().unwrap_or(0), outputs[0]);
        match op {
            Op::Conv(conv) => self.conv(x, y, &conv, false)?,
            Op::ConvTranspose(conv) => self.conv(x, y, &conv, true)?,
            Op::Linear(conv) => self.linear(x, y, &conv),
            Op::MatMul { a, b, finish } => self.matmul([x, inputs[1]], y, a, b, &finish),
            Op::Lut(table) => {
                let table = Arc::new(self.stored_table(&table, x, y));
                let (x, y) = self.pair(x, y)?;
                self.steps.push(Step::Lut { table, x, y });
            }
            Op::ChannelLut(tables) => {
                let tables = tables.iter().map(|table| self.stored_table(table, x, y)).collect();
                let (x, y) = (self.by_channel(x), self.by_channel(y));
                self.steps.push(Step::ChannelLut { tables, x, y });
            }
            Op::Add { ratios, fixed, low, high } => {
                // The definition is in the operands' own numbers and rounds floats made of them: the shifts of storing are
                // undone on each side.
                let shift = |id: ValueId| self.stored(self.kind(id), 0);
                let shifts = [shift(x), shift(inputs[1]), shift(y)];
                let (a, b) = (self.operand(x, y)?, self.operand(inputs[1], y)?);
                self.steps.push(Step::Add(AddStep { a, b, y: self.operand(y, y)?, ratios, fixed, low, high, shifts }));
            }
            Op::Mul { zero_points, ratio, zero_point, low, high } => {
                let zero_points =
                    [self.stored(self.kind(x), zero_points[0]), self.stored(self.kind(inputs[1]), zero_points[1])];
                // As for sums.
                let shift = self.stored(self.kind(y), 0);
                let (a, b, y) = (self.operand(x, y)?, self.operand(inputs[1], y)?, self.operand(y, y)?);
                self.steps.push(Step::Mul(MulStep { a, b, y, zero_points, ratio, zero_point, low, high, shift }));
            }
            Op::MaxPool(window) => {
                let (x, y) = (self.planes(x), self.planes(y));
                self.steps.push(Step::Pool(PoolingStep { x, y, window, kind: PoolKind::Max }));
            }
            Op::AveragePool { window, x_zero_point, scale, zero_point } => {
                let x_zero_point = self.stored(self.kind(x), x_zero_point);
                let zero_point = self.stored(self.kind(y), zero_point);
                let kind = PoolKind::Average { x_zero_point, scale, zero_point };
                let (x, y) = (self.planes(x), self.planes(y));
                self.steps.push(Step::Pool(PoolingStep { x, y, window, kind }));
            }
            Op::Bilinear { rows, columns, x: xq, y: yq } => {
                let (x_quant, y_quant) = (self.stored_quant(xq), self.stored_quant(yq));
                let range = self.full_range(yq.kind);
                let (x, y) = (self.planes(x), self.planes(y));
                self.steps.push(Step::Bilinear(BilinearStep { x, y, rows, columns, x_quant, y_quant, range }));
            }
            Op::Softmax { axis, table, y: q } => {
                let shape = self.shape(y);
                let size = [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()];
                let (x, y, quant) = (self.row_major_tensor(x).at, self.row_major_tensor(y).at, self.stored_quant(q));
                self.steps.push(Step::Softmax { x, y, size, table, quant });
            }
            Op::Quantize { scale, zero_point, axis } => {
                let (zero_point, inner) = self.along(y, &zero_point, axis);
                let (x, y) = (self.row_major_tensor(x), self.row_major_tensor(y));
                self.steps.push(Step::Quantize { x, y, scale, zero_point, inner });
            }
            Op::Dequantize { scale, zero_point, axis } => {
                let (zero_point, inner) = self.along(x, &zero_point, axis);
                let (x, y) = (self.row_major_tensor(x), self.row_major_tensor(y).at);
                self.steps.push(Step::Dequantize { x, y, scale, zero_point, inner });
            }
            Op::DynamicQuantize => {
                let (scale, zero_point) = (self.row_major_tensor(outputs[1]).at, self.row_major_tensor(outputs[2]).at);
                let (x, y) = (self.row_major_tensor(x), self.row_major_tensor(y).at);
                self.steps.push(Step::DynamicQuantize { x, y, scale, zero_point });
            }
            Op::Movement(movement) => self.movement(&inputs, y, movement)?,
            Op::Gather { axis } => {
                let data = self.row_major_tensor(x);
                let row = data.shape[axis + 1..].iter().product::<usize>() * data.kind.size();
                let outer = data.shape[..axis].iter().product();
                let live_length = self.live(x).filter(|_| self.graph.values[x].counted.is_some_and(|c| c.axis == axis));
                let lengths = vec![data.shape[axis]];
                self.gather((Rows::At(data.at), lengths, live_length), [outer, row], inputs[1], y);
            }
            Op::GatherNd => {
                let data = self.row_major_tensor(x);
                let depth = self.shape(inputs[1]).last().copied().unwrap_or(0);
                let row = data.shape[depth..].iter().product::<usize>() * data.kind.size();
                self.gather((Rows::At(data.at), data.shape[..depth].to_vec(), None), [1, row], inputs[1], y);
            }
            Op::GatherRows { table, rows } => {
                let row = table.len() / rows;
                let flip = |table: &[u8]| Arc::new(table.iter().map(|byte| byte ^ 0x80).collect());
                let table = if self.flipped(y) { flip(&table) } else { table };
                self.gather((Rows::Table(table), vec![rows], None), [1, row], x, y);
            }
            Op::NonMaxSuppression { centered, most, iou_threshold, score_threshold } => {
                let (shape, classes) = (self.shape(x).to_vec(), self.shape(inputs[1])[1]);
                let mut rest = inputs[2..].iter().map(|&id| self.row_major_tensor(id).at);
                let mut next = |given: bool| if given { rest.next() } else { None };
                let (most, iou_threshold, score_threshold) = (next(most), next(iou_threshold), next(score_threshold));
                self.steps.push(Step::Suppression(SuppressionStep {
                    boxes: self.row_major_tensor(x).at,
                    scores: self.row_major_tensor(inputs[1]).at,
                    batches: shape[0],
                    classes,
                    count: shape[1],
                    live: self.live(x),
                    centered,
                    most,
                    iou_threshold,
                    score_threshold,
                    y: self.row_major_tensor(y).at,
                    bound: self.shape(y)[0],
                    y_count: self.row_major_tensor(outputs[1]).at,
                    scratch: self.scratch(y)?,
                }));
            }
            Op::NonZero => {
                let (live, count) = (self.live(x), self.row_major_tensor(outputs[1]).at);
                let (x, y) = (self.row_major_tensor(x), self.row_major_tensor(y));
                self.steps.push(Step::NonZero { x, live, y, count });
            }
            Op::TopK { axis, greatest } => {
                let indices = self.row_major_tensor(outputs[1]).at;
                let (x, y) = (self.row_major_tensor(x), self.row_major_tensor(y));
                self.steps.push(Step::TopK { x, y, indices, axis, greatest });
            }
            Op::Constant(_) => {}
            Op::Unary(function) => self.float_step(FloatKernel::Unary(function), &inputs, y),
            Op::Float(op) => self.float(&op, &inputs, y),
            Op::Cast => {
                let (x, y) = (self.row_major_tensor(x), self.row_major_tensor(y));
                self.steps.push(Step::Cast { x, y });
            }
            Op::Number(op) => {
                let x = inputs.iter().map(|&id| self.row_major_tensor(id)).collect();
                self.steps.push(Step::Number { op, x, y: self.row_major_tensor(y) });
            }
            Op::Recurrent(layer) => self.recurrent(layer, &inputs, &outputs)?,
            Op::Island(island) => {
                let x = inputs.iter().map(|&id| self.row_major_tensor(id)).collect();
                let y = outputs.iter().map(|&id| self.row_major_tensor(id)).collect();
                self.steps.push(Step::Island { island, x, y });
            }
        }
        Ok(())
    }

    /// A table from bytes of `x` to bytes of `y`, both in the stored domain.
    fn stored_table(&self, table: &[u8; 256], x: ValueId, y: ValueId) -> [u8; 256] {
        let (from, to) = (self.flipped(x), self.flipped(y));
        let flip = |yes: bool| if yes { 0x80 } else { 0 };
        std::array::from_fn(|i| table[i ^ flip(from)] ^ flip(to) as u8)
    }

    /// Zero points in the stored domain, and the elements of one index along `axis`.
    fn along(&self, id: ValueId, zero_point: &[i32], axis: usize) -> (Vec<i32>, usize) {
        let kind = self.kind(id);
        let stored = zero_point.iter().map(|&zero| self.stored(kind, zero)).collect();
        let shape = self.shape(id);
        let inner = if zero_point.len() == 1 { shape.iter().product() } else { shape[axis + 1..].iter().product() };
        (stored, inner)
    }

    fn recurrent(&mut self, layer: Recurrent, inputs: &[ValueId], outputs: &[ValueId]) -> Result<(), String> {
        let mut rest = inputs.iter().map(|&id| self.row_major_tensor(id).at);
        let mut next = |there: bool| if there { rest.next() } else { None };
        let products = next(true).ok_or("a recurrent layer without inputs")?;
        let weights = next(matches!(layer.weights, RecurrenceWeights::Computed));
        let Operands { bias, lengths, hidden, cell, peepholes } = layer.operands;
        let (bias, lengths) = (next(bias), next(lengths));
        let (hidden, cell, peepholes) = (next(hidden), next(cell), next(peepholes));
        let y = std::array::from_fn(|i| outputs.get(i).map(|&id| self.row_major_tensor(id).at));
        let (steps, scratch) = (self.shape(outputs[0])[0], self.scratch(outputs[0])?);
        self.steps.push(Step::Recurrent(Box::new(RecurrentStep {
            layer,
            steps,
            products,
            weights,
            bias,
            lengths,
            hidden,
            cell,
            peepholes,
            y,
            scratch,
        })));
        Ok(())
    }

    fn gather(
        &mut self,
        (x, lengths, live_length): (Rows, Vec<usize>, Option<Live>),
        [outer, row_bytes]: [usize; 2],
        indices: ValueId,
        y: ValueId,
    ) {
        let live = self.live(indices);
        let (indices, y) = (self.row_major_tensor(indices), self.row_major_tensor(y).at);
        // An index of several numbers is one element of what is counted.
        let several = lengths.len();
        let live = live.map(|live| Live { inner: live.inner / several, ..live });
        let (count, kind, indices) = (indices.len() / several, indices.kind, indices.at);
        let step = GatherStep { x, lengths, live_length, outer, row_bytes, indices, count, kind, live, y };
        self.steps.push(Step::Gather(step));
    }

    fn matmul(&mut self, [a_id, b_id]: [ValueId; 2], y: ValueId, a: ZeroPoint, b: ZeroPoint, finish: &Finish) {
        let (a_shape, b_shape, shape) = (self.shape(a_id), self.shape(b_id), self.shape(y));
        let rank = shape.len();
        let k = a_shape[a_shape.len() - 1];
        let size = [shape[rank - 2], k, shape[rank - 1]];
        let batch = &shape[..rank - 2];
        let a_steps = broadcast_strides(&a_shape[..a_shape.len() - 2], batch);
        let b_steps = broadcast_strides(&b_shape[..b_shape.len() - 2], batch);
        let mut batches = Vec::new();
        for_each_pair(batch, &a_steps, &b_steps, |_, a, b| {
            batches.push((a * size[0] * k, b * k * size[2]));
        });
        let (epilogue, scale) = self.epilogue(self.kind(y), finish);
        let scale = scale.first().copied().unwrap_or(1.0);
        let (za, zb) = (self.zero(self.kind(a_id), a), self.zero(self.kind(b_id), b));
        let (a, b, y) = (self.row_major_tensor(a_id).at, self.row_major_tensor(b_id).at, self.row_major_tensor(y).at);
        self.steps.push(Step::MatMul { step: MatMulStep { a, b, y, batches, size, epilogue, scale }, a: za, b: zb });
    }

    /// The epilogue in the stored domain, and its scales.
    pub(super) fn epilogue(&self, kind: ElementKind, finish: &Finish) -> (Epilogue, Vec<f32>) {
        match finish {
            Finish::Bytes { multiplier, zero_point, low, high } => {
                let (low, high) = self.range(kind, *low, *high);
                let saturate_only =
                    (low, high) == self.full_range(kind) && multiplier.iter().all(|scale| scale.abs() < 1.0);
                let zero_point = self.stored(kind, *zero_point);
                (Epilogue::Bytes { zero_point, low, high, saturate_only }, multiplier.clone())
            }
            Finish::Accumulators => (Epilogue::Accumulators, Vec::new()),
            Finish::Floats { scale } => (Epilogue::Floats, scale.clone()),
        }
    }
}
