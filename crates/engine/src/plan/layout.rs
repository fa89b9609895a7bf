//! The arena: a buffer for every value, with a halo around pictures that convolutions read, and its offset, by lifetime.
//!
//! Time runs from 0 (inputs are written) over `i + 1` (node `i` runs) to the number of nodes + 1 (outputs are read). Buffers
//! that are never in use at the same time may overlap.

use super::alias::{AliasMap, zero_point_inputs};
use super::data_layout::{DataLayout, data_layouts, row_major};
use super::scratch::{ScratchKey, scratch_bytes};
use crate::graph::{Conv, Graph, Node, Op, ValueId, ZeroPoint};
use crate::kernels::arena::{SLACK, View};
use std::collections::BTreeMap;

/// A part of the arena: memory for one value, or for several that share it.
#[derive(Debug, Clone)]
pub struct ArenaBuffer {
    pub data_layout: DataLayout,
    /// `[N, C, H, W]` for pictures.
    pub dims: [usize; 4],
    /// Top, left, bottom, right, in pixels.
    pub halo: [usize; 4],
    /// The value of the halo's bytes.
    pub fill: Option<ZeroPoint>,
    pub bytes: usize,
    /// The first and the last time at which it is in use.
    pub first: usize,
    pub last: usize,
    pub at: usize,
}

/// The part of a buffer that holds a value.
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
    scratch: BTreeMap<ScratchKey, usize>,
    pub arena_bytes: usize,
}

impl ArenaLayout {
    /// Lays out a graph.
    pub fn new(graph: &Graph) -> Result<ArenaLayout, String> {
        let data_layouts = data_layouts(graph);
        let scratch = scratch_bytes(graph, &data_layouts);
        let aliases = AliasMap::new(graph, &data_layouts);
        let (slots, buffers) = (Vec::new(), Vec::new());
        let mut layout = ArenaLayout { data_layouts, slots, buffers, scratch: BTreeMap::new(), arena_bytes: 0 };
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
        let values = layout.buffers.len();
        layout.buffers.extend(scratch.iter().map(|(&(time, _), &bytes)| ArenaBuffer {
            data_layout: DataLayout::RowMajor,
            dims: [1; 4],
            halo: [0; 4],
            fill: None,
            bytes,
            first: time,
            last: time,
            at: 0,
        }));
        layout.arena_bytes = offsets(&mut layout.buffers);
        let offsets = layout.buffers[values..].iter().map(|buffer| buffer.at);
        layout.scratch = scratch.into_keys().zip(offsets).collect();
        Ok(layout)
    }

    /// Offset of a scratch buffer.
    ///
    /// # Errors
    /// Where none was reserved: an error of the planner.
    pub fn scratch(&self, key: ScratchKey) -> Result<usize, String> {
        let missing = || format!("no scratch memory is planned for value {} at time {}", key.1, key.0);
        self.scratch.get(&key).copied().ok_or_else(missing)
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
        let slot = self.slots[id];
        let buffer = &self.buffers[slot.buffer];
        let shape = &graph.values[id].shape;
        let [_, channels, h, w] = buffer.dims;
        let [top, left, bottom, right] = buffer.halo;
        let row = (w + left + right) * channels;
        let image = (h + top + bottom) * row;
        let at = buffer.at + top * row + left * channels + slot.channel;
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
            // A count is needed as long as what it counts.
            for id in [Some(id), graph.values[id].counted.map(|counted| counted.count)].into_iter().flatten() {
                let buffer = &mut self.buffers[slots[id].buffer];
                buffer.first = buffer.first.min(time);
                buffer.last = buffer.last.max(time);
            }
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

/// Assigns every buffer its offset: the largest first, each at the lowest offset that is free during its lifetime. Behind each
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
