//! Memory that a single node needs for a value in another arrangement.

use super::data_layout::{DataLayout, needs_row_major};
use crate::graph::{Finish, Graph, Movement, Op, ValueId};
use std::collections::BTreeMap;

/// What a scratch buffer is for: the time at which it is used (see [`super::layout`]) and the value that it holds.
pub type ScratchKey = (usize, ValueId);

/// The bytes of every scratch buffer that lowering a graph needs.
pub fn scratch_bytes(graph: &Graph, data_layouts: &[DataLayout]) -> BTreeMap<ScratchKey, usize> {
    let bytes = |id: ValueId| graph.values[id].len() * graph.values[id].kind.size();
    let mut scratch: BTreeMap<ScratchKey, usize> = graph.inputs.iter().map(|&id| ((0, id), bytes(id))).collect();
    for (i, node) in graph.nodes.iter().enumerate() {
        let time = i + 1;
        if needs_row_major(&node.op) {
            let channels_last = |id: &&ValueId| data_layouts[**id] == DataLayout::ChannelsLast;
            let rearranged = node.inputs.iter().chain(&node.outputs).filter(channels_last);
            scratch.extend(rearranged.map(|&id| ((time, id), bytes(id))));
        }
        let y = node.outputs[0];
        match &node.op {
            // `i32` and `f32` results are computed channels last and then copied to a row-major tensor.
            Op::Conv(conv) | Op::ConvTranspose(conv) if !matches!(conv.finish, Finish::Bytes { .. }) => {
                scratch.insert((time, y), graph.values[y].len() * 4);
            }
            Op::Recurrent(layer) => {
                scratch.insert((time, y), layer.directions() * layer.batch * layer.scratch() * 4);
            }
            Op::NonMaxSuppression { .. } => {
                // The order of one class' boxes.
                scratch.insert((time, y), graph.values[node.inputs[0]].shape[1] * 8);
            }
            Op::Movement(Movement::Reshape) => {
                scratch.insert((time, y), bytes(y));
            }
            _ => {}
        }
    }
    let end = graph.nodes.len() + 1;
    scratch.extend(graph.outputs.iter().map(|&id| ((end, id), bytes(id))));
    scratch
}
