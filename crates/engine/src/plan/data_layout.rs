//! Which values are stored channels last and which row-major.

use crate::ElementKind;
use crate::graph::{Graph, Movement, Op, ValueId};

/// The order of a value's elements in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DataLayout {
    /// Row-major, as ONNX defines it.
    RowMajor,
    /// `[N, C, H, W]` with channels last: what convolutions read and write.
    ChannelsLast,
}

/// Ops that work on row-major tensors only: values that are stored channels last are rearranged for them.
pub fn needs_row_major(op: &Op) -> bool {
    matches!(
        op,
        Op::Quantize { .. }
            | Op::Dequantize { .. }
            | Op::DynamicQuantize
            | Op::Softmax { .. }
            | Op::MatMul { .. }
            | Op::Linear(_)
            | Op::Float(_)
            | Op::Cast
            | Op::Number(_)
            | Op::Gather { .. }
            | Op::GatherRows { .. }
            | Op::GatherNd
            | Op::NonMaxSuppression { .. }
            | Op::NonZero
            | Op::TopK { .. }
            | Op::Recurrent(_)
            | Op::Island(_)
    )
}

/// Strides in bytes along the axes of a row-major tensor.
pub fn row_major(shape: &[usize], size: usize) -> Vec<usize> {
    let mut step = size;
    let mut strides = vec![0; shape.len()];
    for (stride, &dim) in strides.iter_mut().zip(shape).rev() {
        *stride = step;
        step *= dim;
    }
    strides
}

/// The layout of every value: channels last for pictures of bytes that convolutions, pooling and resizing read or write,
/// and for what is computed from them element by element; row-major for all else.
pub fn data_layouts(graph: &Graph) -> Vec<DataLayout> {
    let picture = |id: &ValueId| {
        graph.values[*id].shape.len() == 4 && matches!(graph.values[*id].kind, ElementKind::U8 | ElementKind::I8)
    };
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
                | Op::ChannelLut(_)
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
