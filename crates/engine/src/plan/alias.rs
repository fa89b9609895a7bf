//! Which values share memory: parts of a concatenation or a slice, reshaped values, and ops that work in place.

use super::data_layout::DataLayout;
use crate::graph::{Graph, Movement, Node, Op, ValueId, ZeroPoint};

/// The values that a node reads its zero points from, where they are computed.
pub fn zero_point_inputs(node: &Node) -> Vec<ValueId> {
    let zero_points = match &node.op {
        Op::Conv(conv) | Op::ConvTranspose(conv) | Op::Linear(conv) => vec![conv.zero_point],
        Op::MatMul { a, b, .. } => vec![*a, *b],
        _ => Vec::new(),
    };
    zero_points.into_iter().filter_map(|z| if let ZeroPoint::Held(id) = z { Some(id) } else { None }).collect()
}

/// Which values share another's memory.
pub struct AliasMap {
    /// The value whose memory is used, and the first channel in it.
    parent: Vec<Option<(ValueId, usize)>>,
}

impl AliasMap {
    /// The value whose memory is used for `id`, and the first channel of `id` in it.
    pub fn root(&self, mut id: ValueId) -> (ValueId, usize) {
        let mut channel = 0;
        while let Some((parent, offset)) = self.parent[id] {
            (id, channel) = (parent, channel + offset);
        }
        (id, channel)
    }

    pub fn new(graph: &Graph, data_layouts: &[DataLayout]) -> AliasMap {
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
            // A sum is written over its second operand where the first is needed elsewhere.
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
                    // The same rows, columns and pictures in the same order: a mirrored axis has its length, too.
                    let is_whole = |i: usize| graph.values[x].shape[i] == graph.values[y].shape[i] && step[i] == 1;
                    ((0..4).all(|i| i == 1 || is_whole(i)) && step[1] == 1).then(|| start[1])
                }
                Op::Movement(Movement::Reshape) if same_layout && data_layouts[x] == DataLayout::RowMajor => Some(0),
                Op::Lut(_) | Op::ChannelLut(_) if same_layout && alone => Some(0),
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
