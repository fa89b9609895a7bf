//! Each op of the graph as steps.
//!
//! | file | holds |
//! |---|---|
//! | `values` | values as steps see them |
//! | `convolution` | convolutions and matrix products with constant weights |
//! | `movement` | ops that only move elements |
//! | `float` | float ops |
//! | `ops` | all other ops |
//! | `fuse_add` | sums that are computed with the convolution before them |

mod convolution;
mod float;
mod fuse_add;
mod movement;
mod ops;
mod values;

use super::data_layout::{DataLayout, needs_row_major, row_major};
use super::layout::{ArenaBuffer, ArenaLayout};
use crate::ElementKind;
use crate::graph::{Graph, Node, Op, ValueId, ZeroPoint};
use crate::kernels::Kernels;
use crate::kernels::copy::CopyStep;
use crate::kernels::live::Live;
use crate::kernels::portable::{HaloStep, StoredZeroPoint};
use crate::step::{ArenaTensor, CheckedStep, Step};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A graph as steps.
pub struct LoweredGraph {
    pub steps: Vec<CheckedStep>,
    /// The steps of the inputs, of each node that is no constant, of the outputs.
    pub op_steps: Vec<Range<usize>>,
    pub constants: Vec<(usize, Vec<u8>)>,
    pub inputs: Vec<ArenaTensor>,
    pub outputs: Vec<ArenaTensor>,
    /// What is in use of each output, where that is computed.
    pub live: Vec<Option<Live>>,
    pub arena_bytes: usize,
    /// What each thread needs behind the arena's values.
    pub scratch_bytes: usize,
}

/// Lays out a graph and lowers it to steps.
pub fn lower(mut graph: Graph, kernels: &'static dyn Kernels) -> Result<LoweredGraph, String> {
    let layout = ArenaLayout::new(&graph)?;
    let nodes = std::mem::take(&mut graph.nodes);
    let signed = kernels.signed();
    let mut lowering = Lowering {
        graph,
        layout,
        kernels,
        signed,
        time: 0,
        scratch_bytes: 0,
        steps: Vec::new(),
        rearranged: HashMap::new(),
        after_conv: None,
    };
    let mut lowered = LoweredGraph {
        steps: Vec::new(),
        op_steps: Vec::new(),
        constants: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        live: Vec::new(),
        arena_bytes: lowering.layout.arena_bytes.next_multiple_of(64),
        scratch_bytes: 0,
    };
    lowering.fill_halos();
    for id in lowering.graph.inputs.clone() {
        lowered.inputs.push(lowering.input(id)?);
    }
    lowered.op_steps.push(0..lowering.steps.len());
    for node in nodes {
        lowering.time += 1;
        if let Op::Constant(bytes) = &node.op {
            lowered.constants.push(lowering.constant(node.outputs[0], bytes));
            continue;
        }
        let start = lowering.steps.len();
        lowering.fill_halos();
        let x = if let Op::Conv(_) = node.op { node.inputs.first().copied() } else { None };
        lowering.node(node)?;
        let end = lowering.steps.len();
        if lowering.fuse_add() {
            // Its time is counted with the convolution.
            let end = end - 1;
            if let Some(group) = lowered.op_steps.last_mut() {
                group.end = end;
            }
            lowered.op_steps.push(end..end);
        } else {
            lowered.op_steps.push(start..end);
        }
        // Halos may come before it.
        let steps = &lowering.steps[start.min(end)..];
        let halos = steps.iter().take_while(|step| matches!(step, Step::Halo(_))).count();
        lowering.after_conv = x.map(|x| (x, start + halos));
    }
    lowering.time += 1;
    let start = lowering.steps.len();
    for id in lowering.graph.outputs.clone() {
        lowered.outputs.push(lowering.output(id)?);
        lowered.live.push(lowering.live(id));
    }
    lowered.op_steps.push(start..lowering.steps.len());
    lowered.scratch_bytes = lowering.scratch_bytes.next_multiple_of(64);
    let check = |step| CheckedStep::new(step, lowering.layout.arena_bytes, lowered.scratch_bytes);
    lowered.steps = lowering.steps.into_iter().map(check).collect::<Result<_, _>>()?;
    Ok(lowered)
}

struct Lowering {
    /// Offsets of the row-major copies of channels-last values, for the current node.
    rearranged: HashMap<ValueId, usize>,
    /// The input and the first step (halos aside) of the node before, if that is a convolution.
    after_conv: Option<(ValueId, usize)>,
    graph: Graph,
    layout: ArenaLayout,
    kernels: &'static dyn Kernels,
    signed: bool,
    /// See [`super::layout`].
    time: usize,
    /// The maximum of what a step needs for each thread while it runs.
    scratch_bytes: usize,
    steps: Vec<Step>,
}

impl Lowering {
    /// Scratch memory of the current node for a value in another arrangement.
    fn scratch(&self, id: ValueId) -> Result<usize, String> {
        self.layout.scratch((self.time, id))
    }

    /// Fills the halos of pictures that are first used now.
    fn fill_halos(&mut self) {
        for (index, buffer) in self.layout.buffers.iter().enumerate() {
            // A zero point that is computed is filled in right before the convolution.
            let Some(ZeroPoint::Known(zero)) = buffer.fill else { continue };
            if buffer.first == self.time && buffer.last >= self.time && buffer.halo != [0; 4] {
                // Every value of a buffer has the same kind.
                let id = self.layout.slots.iter().position(|slot| slot.buffer == index);
                let zero = self.stored(id.map_or(ElementKind::U8, |id| self.kind(id)), zero);
                self.steps.push(Step::Halo(halo(buffer, StoredZeroPoint::Known(zero))));
            }
        }
    }

    /// Copies the elements of a value from one arrangement to another, along its ONNX axes.
    fn copy(&mut self, shape: &[usize], x: (usize, Vec<isize>), y: (usize, Vec<usize>), size: usize, flip: bool) {
        let axes = (0..shape.len()).map(|i| (shape[i], x.1[i], y.1[i])).collect();
        self.steps.push(Step::Copy(CopyStep { x: x.0, y: y.0, axes, size, flip }.joined()));
    }

    /// Where the session writes an input, and the step that brings it into its layout and domain.
    fn input(&mut self, id: ValueId) -> Result<ArenaTensor, String> {
        let mut tensor = self.row_major_tensor(id);
        let channels_last = self.layout.data_layouts[id] == DataLayout::ChannelsLast;
        if channels_last {
            tensor.at = self.scratch(id)?;
        }
        if channels_last || self.flipped(id) {
            let shape = tensor.shape.clone();
            let size = tensor.kind.size();
            let from = row_major(&shape, size).into_iter().map(|s| s as isize).collect();
            self.copy(&shape, (tensor.at, from), self.strides(id), size, self.flipped(id));
        }
        Ok(tensor)
    }

    /// Where the session reads an output, and the step that brings it there.
    fn output(&mut self, id: ValueId) -> Result<ArenaTensor, String> {
        let mut tensor = self.row_major_tensor(id);
        let (shape, size) = (tensor.shape.clone(), tensor.kind.size());
        // With one channel or one pixel, channels last is row-major.
        let (at, strides) = self.strides(id);
        let already_row_major = (0..shape.len()).all(|i| shape[i] == 1 || strides[i] == row_major(&shape, size)[i]);
        if already_row_major && !self.flipped(id) {
            tensor.at = at;
        } else {
            let scratch = self.scratch(id)?;
            self.copy(&shape, self.signed_strides(id), (scratch, row_major(&shape, size)), size, self.flipped(id));
            tensor.at = scratch;
        }
        Ok(tensor)
    }

    /// A constant in the order and domain in which steps read it.
    fn constant(&self, id: ValueId, bytes: &Arc<[u8]>) -> (usize, Vec<u8>) {
        let shape = self.shape(id);
        let flip = if self.flipped(id) { 0x80 } else { 0 };
        let own: Vec<u8> = bytes.iter().map(|byte| byte ^ flip).collect();
        if self.layout.data_layouts[id] == DataLayout::RowMajor {
            return (self.row_major_tensor(id).at, own);
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

    /// Adds the steps of a node, with copies of channels-last values where it needs row-major ones.
    fn node(&mut self, node: Node) -> Result<(), String> {
        if !needs_row_major(&node.op) {
            return self.op(node);
        }
        let channels_last = |ids: &[ValueId]| -> Vec<ValueId> {
            ids.iter().copied().filter(|&id| self.layout.data_layouts[id] == DataLayout::ChannelsLast).collect()
        };
        let (inputs, outputs) = (channels_last(&node.inputs), channels_last(&node.outputs));
        for id in inputs {
            let at = self.scratch(id)?;
            let shape = self.shape(id).to_vec();
            self.copy(&shape, self.signed_strides(id), (at, row_major(&shape, 1)), 1, false);
            self.rearranged.insert(id, at);
        }
        for &id in &outputs {
            let at = self.scratch(id)?;
            self.rearranged.insert(id, at);
        }
        self.op(node)?;
        let offsets = std::mem::take(&mut self.rearranged);
        for id in outputs {
            let shape = self.shape(id).to_vec();
            let from = row_major(&shape, 1).into_iter().map(|s| s as isize).collect();
            self.copy(&shape, (offsets[&id], from), self.strides(id), 1, false);
        }
        Ok(())
    }
}

/// The step that fills a buffer's halo.
fn halo(buffer: &ArenaBuffer, zero: StoredZeroPoint) -> HaloStep {
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
        zero,
    }
}
