//! Where every value lies: rows of pixels with a halo or a plain list, which values share memory, and offsets in the
//! arena by lifetime.

use crate::graph::{Conv, Finish, Graph, Movement, Node, Op, ValueId, ZeroPoint};
use crate::kernels::arena::{SLACK, View};

/// How a value lies in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DataLayout {
    /// As ONNX has it, row-major.
    RowMajor,
    /// `[N, C, H, W]` with channels last: what convolutions read and write.
    ChannelsLast,
}

/// Arena for one value, or for several that share it.
#[derive(Debug, Clone)]
pub struct ArenaBuffer {
    pub data_layout: DataLayout,
    /// `[N, C, H, W]` for pictures.
    pub dims: [usize; 4],
    /// Top, left, bottom, right, in pixels.
    pub halo: [usize; 4],
    /// What the halo holds.
    pub fill: Option<ZeroPoint>,
    pub bytes: usize,
    /// Nodes during which it is in use.
    pub first: usize,
    pub last: usize,
    pub at: usize,
}

/// Where a value lies.
#[derive(Debug, Clone, Copy)]
pub struct BufferSlot {
    pub buffer: usize,
    /// First channel within the buffer.
    pub channel: usize,
}

/// The layout of all values.
pub struct ArenaLayout {
    pub data_layouts: Vec<DataLayout>,
    pub slots: Vec<BufferSlot>,
    pub buffers: Vec<ArenaBuffer>,
    pub arena_bytes: usize,
}

/// Arena that only one node uses: an intermediate arrangement of its input or output.
pub struct ScratchBuffer {
    pub node: usize,
    pub bytes: usize,
}

impl ArenaLayout {
    /// Lays out a graph. Time runs from 0 (inputs are written) over node `i` at `i + 1` to `nodes + 1` (outputs are read).
    pub fn new(graph: &Graph, scratch: &[ScratchBuffer]) -> Result<ArenaLayout, String> {
        let data_layouts = data_layouts(graph);
        let aliases = AliasMap::new(graph, &data_layouts);
        let mut layout = ArenaLayout { data_layouts, slots: Vec::new(), buffers: Vec::new(), arena_bytes: 0 };
        let mut buffer_of_root = vec![None; graph.values.len()];
        for id in 0..graph.values.len() {
            let (root, channel) = aliases.root(id);
            let buffer = *buffer_of_root[root].get_or_insert_with(|| {
                layout.buffers.push(buffer(graph, root, layout.data_layouts[root]));
                layout.buffers.len() - 1
            });
            layout.slots.push(BufferSlot { buffer, channel });
        }
        layout.halos(graph)?;
        layout.lifetimes(graph);
        for buffer in &mut layout.buffers {
            if buffer.data_layout == DataLayout::ChannelsLast {
                let [n, c, h, w] = buffer.dims;
                let [top, left, bottom, right] = buffer.halo;
                buffer.bytes = n * (h + top + bottom) * (w + left + right) * c;
            }
        }
        for scratch in scratch {
            let time = scratch.node;
            layout.buffers.push(ArenaBuffer {
                data_layout: DataLayout::RowMajor,
                dims: [1; 4],
                halo: [0; 4],
                fill: None,
                bytes: scratch.bytes,
                first: time,
                last: time,
                at: 0,
            });
        }
        layout.arena_bytes = offsets(&mut layout.buffers);
        Ok(layout)
    }

    /// Offset of a value's first element and the steps in bytes along its ONNX axes.
    pub fn strides(&self, graph: &Graph, id: ValueId) -> (usize, Vec<usize>) {
        let value = &graph.values[id];
        let size = value.kind.size();
        match self.data_layouts[id] {
            DataLayout::RowMajor => (self.buffers[self.slots[id].buffer].at, row_major(&value.shape, size)),
            DataLayout::ChannelsLast => {
                let view = self.picture(graph, id);
                let [n, h, w, c] = view.strides;
                (view.at, vec![n, c, h, w])
            }
        }
    }

    /// A picture's view, channels last, without its halo.
    pub fn picture(&self, graph: &Graph, id: ValueId) -> View {
        let place = self.slots[id];
        let buffer = &self.buffers[place.buffer];
        let shape = &graph.values[id].shape;
        let [_, channels, h, w] = buffer.dims;
        let [top, left, bottom, right] = buffer.halo;
        let row = (w + left + right) * channels;
        let image = (h + top + bottom) * row;
        let at = buffer.at + top * row + left * channels + place.channel;
        View { at, dims: [shape[0], shape[2], shape[3], shape[1]], strides: [image, row, channels, 1] }
    }

    /// What a buffer needs around the pictures that convolutions read.
    fn halos(&mut self, graph: &Graph) -> Result<(), String> {
        for node in &graph.nodes {
            let (Op::Conv(conv) | Op::ConvTranspose(conv)) = &node.op else { continue };
            let halo = halo(graph, node, conv);
            if halo == [0; 4] {
                continue;
            }
            let buffer = &mut self.buffers[self.slots[node.inputs[0]].buffer];
            for (have, need) in buffer.halo.iter_mut().zip(halo) {
                *have = (*have).max(need);
            }
            if buffer.fill.is_some_and(|fill| fill != conv.zero_point) {
                return Err(format!("{}: its input is padded with different zero points elsewhere", node.name));
            }
            buffer.fill = Some(conv.zero_point);
        }
        Ok(())
    }

    fn lifetimes(&mut self, graph: &Graph) {
        let end = graph.nodes.len() + 1;
        let mut touch = |slots: &[BufferSlot], id: ValueId, time: usize| {
            let buffer = &mut self.buffers[slots[id].buffer];
            buffer.first = buffer.first.min(time);
            buffer.last = buffer.last.max(time);
        };
        for &id in &graph.inputs {
            touch(&self.slots, id, 0);
        }
        for (i, node) in graph.nodes.iter().enumerate() {
            for &id in node.inputs.iter().chain(&node.outputs) {
                touch(&self.slots, id, i + 1);
            }
            for id in zero_point_inputs(node) {
                touch(&self.slots, id, i + 1);
            }
            if matches!(node.op, Op::Constant(_)) {
                touch(&self.slots, node.outputs[0], 0);
                touch(&self.slots, node.outputs[0], end);
            }
        }
        for &id in &graph.outputs {
            touch(&self.slots, id, end);
        }
    }
}

/// Values that hold zero points of a node.
pub fn zero_point_inputs(node: &Node) -> Vec<ValueId> {
    let zero_points = match &node.op {
        Op::Conv(conv) | Op::ConvTranspose(conv) | Op::Linear(conv) => vec![conv.zero_point],
        Op::MatMul { a, b, .. } => vec![*a, *b],
        _ => Vec::new(),
    };
    zero_points.into_iter().filter_map(|z| if let ZeroPoint::Held(id) = z { Some(id) } else { None }).collect()
}

/// Steps in bytes along the axes of a row-major tensor.
pub fn row_major(shape: &[usize], size: usize) -> Vec<usize> {
    let mut step = size;
    let mut strides = vec![0; shape.len()];
    for (stride, &dim) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step *= dim;
    }
    strides
}

fn buffer(graph: &Graph, id: ValueId, data_layout: DataLayout) -> ArenaBuffer {
    let value = &graph.values[id];
    let dims = if data_layout == DataLayout::ChannelsLast { std::array::from_fn(|i| value.shape[i]) } else { [1; 4] };
    let bytes = value.len() * value.kind.size();
    ArenaBuffer { data_layout, dims, halo: [0; 4], fill: None, bytes, first: usize::MAX, last: 0, at: 0 }
}

/// Pixels that a convolution reads beyond each side of its input.
fn halo(graph: &Graph, node: &Node, conv: &Conv) -> [usize; 4] {
    let size = &graph.values[node.inputs[0]].shape[2..];
    let out = &graph.values[node.outputs[0]].shape[2..];
    let mut halo = [0; 4];
    for axis in 0..2 {
        let (before, after) = if matches!(node.op, Op::Conv(_)) {
            let reach = (out[axis] - 1) * conv.stride[axis] + conv.dilation[axis] * (conv.kernel[axis] - 1) + 1;
            (conv.pads[axis], reach.saturating_sub(conv.pads[axis] + size[axis]))
        } else {
            super::transposed::phases(conv, axis, out[axis])
                .iter()
                .map(|phase| phase.reach(size[axis]))
                .fold((0, 0), |(b, a), (before, after)| (b.max(before), a.max(after)))
        };
        (halo[axis], halo[axis + 2]) = (before, after);
    }
    halo
}

/// Pictures of bytes that convolutions, pools and resizing touch lie channels last, and so does what is computed from
/// them element by element; all else is plain.
pub fn data_layouts(graph: &Graph) -> Vec<DataLayout> {
    let picture = |id: &ValueId| graph.values[*id].shape.len() == 4 && graph.values[*id].kind.size() == 1;
    let mut data_layouts = vec![DataLayout::RowMajor; graph.values.len()];
    let spatial = |op: &Op| {
        matches!(
            op,
            Op::Conv(_)
                | Op::ConvTranspose(_)
                | Op::MaxPool(_)
                | Op::AveragePool { .. }
                | Op::Bilinear { .. }
                | Op::Movement(
                    Movement::Nearest { .. } | Movement::DepthToSpace { .. } | Movement::SpaceToDepth { .. }
                )
        )
    };
    let elementwise = |op: &Op| {
        matches!(
            op,
            Op::Lut(_)
                | Op::Add { .. }
                | Op::Mul { .. }
                | Op::Movement(Movement::Concat { .. } | Movement::Slice { .. } | Movement::Pad { .. })
        )
    };
    for node in graph.nodes.iter().filter(|node| spatial(&node.op)) {
        for id in node.inputs.iter().chain(&node.outputs).filter(|id| picture(id)) {
            data_layouts[*id] = DataLayout::ChannelsLast;
        }
    }
    loop {
        let mut changed = false;
        for node in graph.nodes.iter().filter(|node| elementwise(&node.op)) {
            let all = || node.inputs.iter().chain(&node.outputs).filter(|id| picture(id));
            if all().any(|id| data_layouts[*id] == DataLayout::ChannelsLast)
                && all().any(|id| data_layouts[*id] == DataLayout::RowMajor)
            {
                all().for_each(|id| data_layouts[*id] = DataLayout::ChannelsLast);
                changed = true;
            }
        }
        if !changed {
            return data_layouts;
        }
    }
}

/// Which values share another's memory.
struct AliasMap {
    /// The value whose memory is used, and the first channel in it.
    parent: Vec<Option<(ValueId, usize)>>,
}

impl AliasMap {
    fn root(&self, mut id: ValueId) -> (ValueId, usize) {
        let mut channel = 0;
        while let Some((parent, offset)) = self.parent[id] {
            (id, channel) = (parent, channel + offset);
        }
        (id, channel)
    }

    fn new(graph: &Graph, data_layouts: &[DataLayout]) -> AliasMap {
        let count = graph.values.len();
        let mut readers = vec![0usize; count];
        let mut constant = vec![false; count];
        for node in &graph.nodes {
            for id in node.inputs.iter().copied().chain(zero_point_inputs(node)) {
                readers[id] += 1;
            }
            if matches!(node.op, Op::Constant(_)) {
                constant[node.outputs[0]] = true;
            }
        }
        for &id in graph.outputs.iter().chain(&graph.inputs) {
            // Kept apart: the caller reads or writes them.
            readers[id] += 2;
        }
        let mut aliases = AliasMap { parent: vec![None; count] };
        let mut shared = vec![false; count];
        // Parts of a concatenation are computed where they belong.
        for node in &graph.nodes {
            let (Op::Movement(Movement::Concat { axis: 1 }), [y]) = (&node.op, &node.outputs[..]) else { continue };
            if data_layouts[*y] != DataLayout::ChannelsLast {
                continue;
            }
            let mut channel = 0;
            for &x in &node.inputs {
                if aliases.parent[x].is_none() && !constant[x] && !graph.inputs.contains(&x) && x != *y {
                    aliases.parent[x] = Some((*y, channel));
                    (shared[x], shared[*y]) = (true, true);
                }
                channel += graph.values[x].shape[1];
            }
        }
        for node in &graph.nodes {
            let ([x, ..], [y, ..]) = (&node.inputs[..], &node.outputs[..]) else { continue };
            let (mut x, y) = (*x, *y);
            // A sum takes the place of its second operand where the first is needed elsewhere.
            if let (Op::Add { .. }, [a, b]) = (&node.op, &node.inputs[..])
                && (readers[*a] > 1 || shared[*a])
            {
                x = if a == b { x } else { *b };
            }
            if shared[y] || constant[x] {
                continue;
            }
            let same_layout = data_layouts[x] == data_layouts[y];
            let alone = !shared[x] && readers[x] == 1;
            let alias = match &node.op {
                Op::Movement(Movement::Slice { start, step })
                    if same_layout && data_layouts[x] == DataLayout::ChannelsLast =>
                {
                    let others = (0..4).all(|i| i == 1 || graph.values[x].shape[i] == graph.values[y].shape[i]);
                    (others && step[1] == 1).then(|| start[1])
                }
                Op::Movement(Movement::Reshape) if same_layout && data_layouts[x] == DataLayout::RowMajor => Some(0),
                Op::Lut(_) if same_layout && alone => Some(0),
                Op::Add { .. } if same_layout && alone && graph.values[x].shape == graph.values[y].shape => {
                    // Not where both operands are the same value.
                    (node.inputs[0] != node.inputs[1]).then_some(0)
                }
                _ => None,
            };
            if let Some(channel) = alias {
                aliases.parent[y] = Some((x, channel));
                (shared[x], shared[y]) = (true, true);
            }
        }
        aliases
    }
}

/// Assigns every buffer its offset: the largest first, each at the lowest place that is free during its lifetime. Behind each
/// lies [`SLACK`] of its own, since kernels read beyond the end of what they work on, and another thread may be writing the
/// buffer that follows. Returns the bytes needed.
fn offsets(buffers: &mut [ArenaBuffer]) -> usize {
    let mut order: Vec<usize> = (0..buffers.len()).filter(|&i| buffers[i].first <= buffers[i].last).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].bytes), i));
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for i in order {
        let mut at = 0;
        let meets = |j: &&usize| buffers[**j].first <= buffers[i].last && buffers[i].first <= buffers[**j].last;
        // `placed` is kept in order of offset.
        for &j in placed.iter().filter(meets) {
            if buffers[j].at >= at + buffers[i].bytes + SLACK {
                break;
            }
            at = at.max((buffers[j].at + buffers[j].bytes + SLACK).next_multiple_of(64));
        }
        buffers[i].at = at;
        end = end.max(at + buffers[i].bytes + SLACK);
        let before = placed.partition_point(|&j| buffers[j].at <= at);
        placed.insert(before, i);
    }
    end
}

/// Whether a node's result is `i32` or `f32` in channels-last order that has to be turned into a plain tensor.
pub fn accumulator_scratch_bytes(graph: &Graph, node: &Node) -> Option<usize> {
    let (Op::Conv(conv) | Op::ConvTranspose(conv)) = &node.op else { return None };
    (!matches!(conv.finish, Finish::Bytes { .. })).then(|| graph.values[node.outputs[0]].len() * 4)
}
