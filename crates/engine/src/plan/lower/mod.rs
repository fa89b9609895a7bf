//! Each op of the graph as steps: convolutions in `convolution`, ops that only move elements in `movement`, sums that go
//! into a convolution in `sum`, all else here.

mod convolution;
mod fuse_add;
mod movement;

use super::layout::{ArenaLayout, DataLayout, ScratchBuffer, accumulator_scratch_bytes, data_layouts, row_major};
use crate::ElementKind;
use crate::float::{FloatOp, broadcast_strides};
use crate::graph::{Finish, Graph, Movement, Node, Op, Quant, ValueId, ZeroPoint, byte_range};
use crate::kernels::Kernels;
use crate::kernels::add::AddStep;
use crate::kernels::arena::View;
use crate::kernels::copy::CopyStep;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::portable::{BilinearStep, HaloStep, MatMulStep, MulStep, PoolKind, PoolingStep};
use crate::step::{ArenaTensor, Step, StoredZeroPoint, is_sign_flipped};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A graph as steps.
pub struct LoweredGraph {
    pub steps: Vec<Step>,
    /// The steps of the inputs, of each node that is no constant, of the outputs.
    pub groups: Vec<Range<usize>>,
    pub constants: Vec<(usize, Vec<u8>)>,
    pub inputs: Vec<ArenaTensor>,
    pub outputs: Vec<ArenaTensor>,
    pub arena_bytes: usize,
    /// What each thread needs behind the arena's values.
    pub scratch_bytes: usize,
}

pub fn lower(mut graph: Graph, kernels: &'static dyn Kernels) -> Result<LoweredGraph, String> {
    let scratch = scratch(&graph);
    let layout = ArenaLayout::new(&graph, &scratch)?;
    let nodes = std::mem::take(&mut graph.nodes);
    let first_scratch = layout.buffers.len() - scratch.len();
    let scratch_at = (0..scratch.len()).map(|i| layout.buffers[first_scratch + i].at).collect();
    let signed = kernels.signed();
    let mut lowering = Lowering {
        graph,
        layout,
        kernels,
        signed,
        scratch_at,
        next_scratch: 0,
        scratch_bytes: 0,
        steps: Vec::new(),
        rearranged: HashMap::new(),
        after_conv: None,
    };
    let mut lowered = LoweredGraph {
        steps: Vec::new(),
        groups: Vec::new(),
        constants: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        arena_bytes: lowering.layout.arena_bytes.next_multiple_of(64),
        scratch_bytes: 0,
    };
    lowering.halos(0);
    for id in lowering.graph.inputs.clone() {
        lowered.inputs.push(lowering.input(id));
    }
    lowered.groups.push(0..lowering.steps.len());
    for (i, node) in nodes.into_iter().enumerate() {
        if let Op::Constant(bytes) = &node.op {
            lowered.constants.push(lowering.constant(node.outputs[0], bytes));
            continue;
        }
        let start = lowering.steps.len();
        lowering.halos(i + 1);
        let x = if let Op::Conv(_) = node.op { node.inputs.first().copied() } else { None };
        lowering.node(node)?;
        let end = lowering.steps.len();
        if lowering.fuse_add() {
            // It takes its time with the convolution.
            let end = end - 1;
            if let Some(group) = lowered.groups.last_mut() {
                group.end = end;
            }
            lowered.groups.push(end..end);
        } else {
            lowered.groups.push(start..end);
        }
        // Halos may come before it.
        let steps = &lowering.steps[start.min(end)..];
        let halos = steps.iter().take_while(|step| matches!(step, Step::Halo(_))).count();
        lowering.after_conv = x.map(|x| (x, start + halos));
    }
    let start = lowering.steps.len();
    for id in lowering.graph.outputs.clone() {
        lowered.outputs.push(lowering.output(id));
    }
    lowered.groups.push(start..lowering.steps.len());
    lowered.steps = lowering.steps;
    lowered.scratch_bytes = lowering.scratch_bytes.next_multiple_of(64);
    Ok(lowered)
}

/// Arena for intermediate arrangements, in the order in which [`Lowering`] asks for it.
fn scratch(graph: &Graph) -> Vec<ScratchBuffer> {
    let data_layouts = data_layouts(graph);
    let nodes = &graph.nodes;
    let bytes = |id: ValueId| graph.values[id].len() * graph.values[id].kind.size();
    let mut scratch: Vec<ScratchBuffer> =
        graph.inputs.iter().map(|&id| ScratchBuffer { node: 0, bytes: bytes(id) }).collect();
    for (i, node) in nodes.iter().enumerate() {
        if needs_row_major(&node.op) {
            let pictures =
                node.inputs.iter().chain(&node.outputs).filter(|id| data_layouts[**id] == DataLayout::ChannelsLast);
            scratch.extend(pictures.map(|&id| ScratchBuffer { node: i + 1, bytes: bytes(id) }));
        }
        if let Some(bytes) = accumulator_scratch_bytes(graph, node) {
            scratch.push(ScratchBuffer { node: i + 1, bytes });
        }
        if let Op::Movement(Movement::Reshape) = &node.op {
            scratch.push(ScratchBuffer { node: i + 1, bytes: bytes(node.outputs[0]) });
        }
    }
    scratch.extend(graph.outputs.iter().map(|&id| ScratchBuffer { node: nodes.len() + 1, bytes: bytes(id) }));
    scratch
}

/// Ops that work on plain tensors: pictures are rearranged for them.
fn needs_row_major(op: &Op) -> bool {
    matches!(
        op,
        Op::Quantize { .. }
            | Op::Dequantize { .. }
            | Op::DynamicQuantize
            | Op::Softmax { .. }
            | Op::MatMul { .. }
            | Op::Linear(_)
            | Op::Float(_)
            | Op::Island(_)
    )
}

struct Lowering {
    /// Where pictures lie in plain order for the current node.
    rearranged: HashMap<ValueId, usize>,
    /// The input and the first step but for halos of the node before, if that is a convolution.
    after_conv: Option<(ValueId, usize)>,
    graph: Graph,
    layout: ArenaLayout,
    kernels: &'static dyn Kernels,
    signed: bool,
    scratch_at: Vec<usize>,
    next_scratch: usize,
    /// The most that a step needs for each thread while it runs.
    scratch_bytes: usize,
    steps: Vec<Step>,
}

impl Lowering {
    /// A number of a byte kind in the stored domain.
    fn stored(&self, kind: ElementKind, number: i32) -> i32 {
        match (kind, self.signed) {
            (ElementKind::U8, true) => number - 128,
            (ElementKind::I8, false) => number + 128,
            _ => number,
        }
    }

    fn stored_quant(&self, q: Quant) -> Quant {
        Quant { zero_point: self.stored(q.kind, q.zero_point), ..q }
    }

    fn flipped(&self, id: ValueId) -> bool {
        is_sign_flipped(self.graph.values[id].kind, self.signed)
    }

    fn kind(&self, id: ValueId) -> ElementKind {
        self.graph.values[id].kind
    }

    fn shape(&self, id: ValueId) -> &[usize] {
        &self.graph.values[id].shape
    }

    fn plain(&self, id: ValueId) -> ArenaTensor {
        let value = &self.graph.values[id];
        let at = self.rearranged.get(&id).copied().unwrap_or_else(|| self.layout.strides(&self.graph, id).0);
        ArenaTensor { at, kind: value.kind, shape: value.shape.clone() }
    }

    fn scratch(&mut self) -> usize {
        self.next_scratch += 1;
        self.scratch_at[self.next_scratch - 1]
    }

    /// Fills the halos of pictures whose first use is at `time`.
    fn halos(&mut self, time: usize) {
        for (index, buffer) in self.layout.buffers.iter().enumerate() {
            // A zero point that is computed is filled in right before the convolution.
            let Some(ZeroPoint::Known(zero)) = buffer.fill else { continue };
            if buffer.first == time && buffer.last >= time && buffer.halo != [0; 4] {
                // Every value of a buffer has the same kind.
                let id = self.layout.slots.iter().position(|place| place.buffer == index);
                let zero = self.stored(id.map_or(ElementKind::U8, |id| self.kind(id)), zero);
                self.steps.push(Step::Halo(halo(buffer, Ok(zero as u8))));
            }
        }
    }

    /// Elements of a value from or to another arrangement, along its ONNX axes.
    fn copy(&mut self, shape: &[usize], x: (usize, Vec<isize>), y: (usize, Vec<usize>), size: usize, flip: bool) {
        let axes = (0..shape.len()).map(|i| (shape[i], x.1[i], y.1[i])).collect();
        self.steps.push(Step::Copy(CopyStep { x: x.0, y: y.0, axes, size, flip }.joined()));
    }

    fn strides(&self, id: ValueId) -> (usize, Vec<usize>) {
        self.layout.strides(&self.graph, id)
    }

    fn signed_strides(&self, id: ValueId) -> (usize, Vec<isize>) {
        let (at, strides) = self.strides(id);
        (at, strides.into_iter().map(|s| s as isize).collect())
    }

    fn input(&mut self, id: ValueId) -> ArenaTensor {
        let scratch = self.scratch();
        let mut plain = self.plain(id);
        let image = self.layout.data_layouts[id] == DataLayout::ChannelsLast;
        if image {
            plain.at = scratch;
        }
        if image || self.flipped(id) {
            let shape = plain.shape.clone();
            let size = plain.kind.size();
            let from = row_major(&shape, size).into_iter().map(|s| s as isize).collect();
            self.copy(&shape, (plain.at, from), self.strides(id), size, self.flipped(id));
        }
        plain
    }

    fn output(&mut self, id: ValueId) -> ArenaTensor {
        let scratch = self.scratch();
        let mut plain = self.plain(id);
        let (shape, size) = (plain.shape.clone(), plain.kind.size());
        // A picture of one channel or one pixel lies as a plain tensor does.
        let (at, strides) = self.strides(id);
        let plain_already = (0..shape.len()).all(|i| shape[i] == 1 || strides[i] == row_major(&shape, size)[i]);
        if plain_already && !self.flipped(id) {
            plain.at = at;
        } else {
            self.copy(&shape, self.signed_strides(id), (scratch, row_major(&shape, size)), size, self.flipped(id));
            plain.at = scratch;
        }
        plain
    }

    /// A constant in the order and domain in which steps read it.
    fn constant(&self, id: ValueId, bytes: &Arc<[u8]>) -> (usize, Vec<u8>) {
        let shape = self.shape(id);
        let flip = if self.flipped(id) { 0x80 } else { 0 };
        let own: Vec<u8> = bytes.iter().map(|byte| byte ^ flip).collect();
        if self.layout.data_layouts[id] == DataLayout::RowMajor {
            return (self.plain(id).at, own);
        }
        let view = self.layout.picture(&self.graph, id);
        let mut turned = vec![0; view.end() - view.at];
        let &[n, c, h, w] = shape else { return (view.at, own) };
        for (i, byte) in own.into_iter().enumerate() {
            let (in_, ic, iy, ix) = (i / (c * h * w) % n, i / (h * w) % c, i / w % h, i % w);
            turned[view.pixel(in_, iy, ix) - view.at + ic] = byte;
        }
        (view.at, turned)
    }

    /// An operand of an op over the elements of `y`: repeated where it is smaller.
    fn operand(&self, id: ValueId, y: ValueId) -> Result<View, String> {
        let (at, strides) = self.strides(id);
        let (shape, to) = (self.shape(id), self.shape(y));
        if to.len() > 4 {
            return Err(format!("{}: more than four dimensions", self.graph.values[y].name));
        }
        let lead = 4 - shape.len();
        let mut onnx = [0; 4];
        let mut dims = [1; 4];
        for axis in 0..4usize {
            let from_y = axis.checked_sub(4 - to.len()).map_or(1, |axis| to[axis]);
            dims[axis] = from_y;
            if let Some(own) = axis.checked_sub(lead)
                && shape[own] != 1
            {
                onnx[axis] = strides[own];
            }
        }
        let order = if self.layout.data_layouts[y] == DataLayout::ChannelsLast { [0, 2, 3, 1] } else { [0, 1, 2, 3] };
        let mut view = View { at, dims: order.map(|axis| dims[axis]), strides: order.map(|axis| onnx[axis]) };
        if id == y {
            // An output has real steps everywhere, so that whole rows are seen as such.
            for axis in (0..4).rev().filter(|&axis| view.dims[axis] == 1) {
                view.strides[axis] = if axis == 3 { 1 } else { view.strides[axis + 1] * view.dims[axis + 1] };
            }
        }
        Ok(view)
    }

    /// A value as pictures for pools and resizing: channels last, or planes of one channel.
    fn planes(&self, id: ValueId) -> View {
        if self.layout.data_layouts[id] == DataLayout::ChannelsLast {
            return self.layout.picture(&self.graph, id);
        }
        let plain = self.plain(id);
        let rank = plain.shape.len();
        let (h, w) = (plain.shape[rank - 2], plain.shape[rank - 1]);
        let size = plain.kind.size();
        let planes: usize = plain.shape[..rank - 2].iter().product();
        View { at: plain.at, dims: [planes, h, w, 1], strides: [h * w * size, w * size, size, size] }
    }

    fn zero(&self, kind: ElementKind, zero: ZeroPoint) -> StoredZeroPoint {
        match zero {
            ZeroPoint::Known(number) => StoredZeroPoint::Known(self.stored(kind, number)),
            ZeroPoint::Held(id) => StoredZeroPoint::At(self.plain(id).at),
        }
    }

    fn range(&self, kind: ElementKind, low: i32, high: i32) -> (i32, i32) {
        (self.stored(kind, low), self.stored(kind, high))
    }

    fn full_range(&self, kind: ElementKind) -> (i32, i32) {
        let (low, high) = byte_range(kind);
        self.range(kind, low, high)
    }

    fn node(&mut self, node: Node) -> Result<(), String> {
        if !needs_row_major(&node.op) {
            return self.op(node);
        }
        let pictures = |ids: &[ValueId]| -> Vec<ValueId> {
            ids.iter().copied().filter(|&id| self.layout.data_layouts[id] == DataLayout::ChannelsLast).collect()
        };
        let (inputs, outputs) = (pictures(&node.inputs), pictures(&node.outputs));
        for id in inputs {
            let at = self.scratch();
            let shape = self.shape(id).to_vec();
            self.copy(&shape, self.signed_strides(id), (at, row_major(&shape, 1)), 1, false);
            self.rearranged.insert(id, at);
        }
        for &id in &outputs {
            let at = self.scratch();
            self.rearranged.insert(id, at);
        }
        self.op(node)?;
        let places = std::mem::take(&mut self.rearranged);
        for id in outputs {
            let shape = self.shape(id).to_vec();
            let from = row_major(&shape, 1).into_iter().map(|s| s as isize).collect();
            self.copy(&shape, (places[&id], from), self.strides(id), 1, false);
        }
        Ok(())
    }

    fn op(&mut self, node: Node) -> Result<(), String> {
        let Node { name: _, op, inputs, outputs } = node;
        let (x, y) = (inputs.first().copied().unwrap_or(0), outputs[0]);
        match op {
            Op::Conv(conv) => self.conv(x, y, &conv, false)?,
            Op::ConvTranspose(conv) => self.conv(x, y, &conv, true)?,
            Op::Linear(conv) => self.linear(x, y, &conv),
            Op::MatMul { a, b, finish } => self.matmul([x, inputs[1]], y, a, b, &finish),
            Op::Lut(table) => {
                let (from, to) = (self.flipped(x), self.flipped(y));
                let flip = |yes: bool| if yes { 0x80 } else { 0 };
                let stored: [u8; 256] = std::array::from_fn(|i| table[i ^ flip(from)] ^ flip(to) as u8);
                let (x, y) = self.pair(x, y)?;
                self.steps.push(Step::Lut { table: Arc::new(stored), x, y });
            }
            Op::Add { ratios, fixed, low, high } => {
                // The rule is stated for the operands' own numbers, and rounds in their floats: what storing shifts is
                // undone on each side.
                let shift = |id: ValueId| self.stored(self.kind(id), 0);
                let shifts = [shift(x), shift(inputs[1]), shift(y)];
                let (a, b) = (self.operand(x, y)?, self.operand(inputs[1], y)?);
                self.steps.push(Step::Add(AddStep { a, b, y: self.operand(y, y)?, ratios, fixed, low, high, shifts }));
            }
            Op::Mul { zero_points, ratio, zero_point, low, high } => {
                let zero_points =
                    [self.stored(self.kind(x), zero_points[0]), self.stored(self.kind(inputs[1]), zero_points[1])];
                let kind = self.kind(y);
                let (low, high) = self.range(kind, low, high);
                let zero_point = self.stored(kind, zero_point);
                let (a, b, y) = (self.operand(x, y)?, self.operand(inputs[1], y)?, self.operand(y, y)?);
                self.steps.push(Step::Mul(MulStep { a, b, y, zero_points, ratio, zero_point, low, high }));
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
                let (x, y, quant) = (self.plain(x).at, self.plain(y).at, self.stored_quant(q));
                self.steps.push(Step::Softmax { x, y, size, table, quant });
            }
            Op::Quantize { scale, zero_point, axis } => {
                let (zero_point, inner) = self.along(y, &zero_point, axis);
                let (x, y) = (self.plain(x), self.plain(y).at);
                self.steps.push(Step::Quantize { x, y, scale, zero_point, inner });
            }
            Op::Dequantize { scale, zero_point, axis } => {
                let (zero_point, inner) = self.along(x, &zero_point, axis);
                let (x, y) = (self.plain(x), self.plain(y).at);
                self.steps.push(Step::Dequantize { x, y, scale, zero_point, inner });
            }
            Op::DynamicQuantize => {
                let (scale, zero_point) = (self.plain(outputs[1]).at, self.plain(outputs[2]).at);
                let (x, y) = (self.plain(x), self.plain(y).at);
                self.steps.push(Step::DynamicQuantize { x, y, scale, zero_point });
            }
            Op::Movement(movement) => self.movement(&inputs, y, movement)?,
            Op::Constant(_) => {}
            Op::Unary(function) => {
                let (x, y) = (self.plain(x), self.plain(y).at);
                self.steps.push(Step::Unary { function, x, y });
            }
            Op::Float(op) => self.float(op, &inputs, y),
            Op::Island(island) => {
                let x = inputs.iter().map(|&id| self.plain(id)).collect();
                let y = outputs.iter().map(|&id| self.plain(id)).collect();
                self.steps.push(Step::Island { island, x, y });
            }
        }
        Ok(())
    }

    fn pair(&self, x: ValueId, y: ValueId) -> Result<(View, View), String> {
        if self.shape(y).len() <= 4 {
            return Ok((self.operand(x, y)?, self.operand(y, y)?));
        }
        // Element by element over plain tensors: one long row.
        let view = |id: ValueId| View::dense(self.plain(id).at, [1, 1, 1, self.graph.values[id].len()], 1);
        Ok((view(x), view(y)))
    }

    /// Stored zero points, and elements inside one place along `axis`.
    fn along(&self, id: ValueId, zero_point: &[i32], axis: usize) -> (Vec<i32>, usize) {
        let kind = self.kind(id);
        let stored = zero_point.iter().map(|&zero| self.stored(kind, zero)).collect();
        let shape = self.shape(id);
        let inner = if zero_point.len() == 1 { shape.iter().product() } else { shape[axis + 1..].iter().product() };
        (stored, inner)
    }

    fn float(&mut self, op: FloatOp, inputs: &[ValueId], y: ValueId) {
        let shape = self.shape(y);
        let strides = match &op {
            FloatOp::Binary(_) => {
                [broadcast_strides(self.shape(inputs[0]), shape), broadcast_strides(self.shape(inputs[1]), shape)]
            }
            FloatOp::MatMul => {
                let batch = &shape[..shape.len() - 2];
                let of = |id: ValueId| broadcast_strides(&self.shape(id)[..self.shape(id).len() - 2], batch);
                [of(inputs[0]), of(inputs[1])]
            }
            FloatOp::Reduce { .. } => [broadcast_strides(shape, self.shape(inputs[0])), Vec::new()],
            _ => [Vec::new(), Vec::new()],
        };
        let x = inputs.iter().map(|&id| self.plain(id)).collect();
        let y = self.plain(y);
        self.steps.push(Step::Float { op, x, y, strides });
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
        crate::float::for_each_pair(batch, &a_steps, &b_steps, |_, a, b| {
            batches.push((a * size[0] * k, b * k * size[2]));
        });
        let (epilogue, scale) = self.epilogue(self.kind(y), finish);
        let scale = scale.first().copied().unwrap_or(1.0);
        let (za, zb) = (self.zero(self.kind(a_id), a), self.zero(self.kind(b_id), b));
        let (a, b, y) = (self.plain(a_id).at, self.plain(b_id).at, self.plain(y).at);
        self.steps.push(Step::MatMul { step: MatMulStep { a, b, y, batches, size, epilogue, scale }, a: za, b: zb });
    }

    /// The last step of an accumulator in the stored domain, and its factors.
    fn epilogue(&self, kind: ElementKind, finish: &Finish) -> (Epilogue, Vec<f32>) {
        match finish {
            Finish::Bytes { multiplier, zero_point, low, high } => {
                let (low, high) = self.range(kind, *low, *high);
                let saturate_only = (low, high) == self.full_range(kind) && multiplier.iter().all(|&scale| scale < 1.0);
                let zero_point = self.stored(kind, *zero_point);
                (Epilogue::Bytes { zero_point, low, high, saturate_only }, multiplier.clone())
            }
            Finish::Accumulators => (Epilogue::Accumulators, Vec::new()),
            Finish::Floats { scale } => (Epilogue::Floats, scale.clone()),
        }
    }
}

fn halo(buffer: &crate::plan::layout::ArenaBuffer, byte: Result<u8, usize>) -> HaloStep {
    let [n, channels, h, w] = buffer.dims;
    let [top, left, bottom, right] = buffer.halo;
    let row_bytes = (w + left + right) * channels;
    let rows = h + top + bottom;
    HaloStep {
        at: buffer.at,
        images: n,
        image_bytes: rows * row_bytes,
        row_bytes,
        pixel_bytes: channels,
        rows,
        halo: buffer.halo,
        byte,
    }
}
