//! Values as steps see them: offsets, views, and numbers in the stored domain.

use super::Lowering;
use crate::ElementKind;
use crate::graph::{Quant, ValueId, ZeroPoint, stored_range};
use crate::kernels::arena::View;
use crate::kernels::live::Live;
use crate::kernels::portable::StoredZeroPoint;
use crate::plan::data_layout::DataLayout;
use crate::step::{ArenaTensor, is_sign_flipped};

impl Lowering {
    /// A number of a byte kind in the stored domain.
    pub(super) fn stored(&self, kind: ElementKind, number: i32) -> i32 {
        match (kind, self.signed) {
            (ElementKind::U8, true) => number - 128,
            (ElementKind::I8, false) => number + 128,
            _ => number,
        }
    }

    pub(super) fn stored_quant(&self, q: Quant) -> Quant {
        Quant { zero_point: self.stored(q.kind, q.zero_point), ..q }
    }

    pub(super) fn flipped(&self, id: ValueId) -> bool {
        is_sign_flipped(self.graph.values[id].kind, self.signed)
    }

    pub(super) fn kind(&self, id: ValueId) -> ElementKind {
        self.graph.values[id].kind
    }

    pub(super) fn shape(&self, id: ValueId) -> &[usize] {
        &self.graph.values[id].shape
    }

    /// A row-major value in the arena, or the copy of it that is row-major during the current node.
    pub(super) fn row_major_tensor(&self, id: ValueId) -> ArenaTensor {
        let value = &self.graph.values[id];
        let at = self.rearranged.get(&id).copied().unwrap_or_else(|| self.layout.strides(&self.graph, id).0);
        ArenaTensor { at, kind: value.kind, shape: value.shape.clone() }
    }

    /// What is in use of the axis of a value whose length is a bound.
    pub(super) fn live(&self, id: ValueId) -> Option<Live> {
        let value = &self.graph.values[id];
        let counted = value.counted?;
        let inner = value.shape[counted.axis + 1..].iter().product();
        Some(Live { at: self.row_major_tensor(counted.count).at, bound: value.shape[counted.axis], inner })
    }

    /// Offset of a value's first element, and its strides in bytes along its ONNX axes.
    pub(super) fn strides(&self, id: ValueId) -> (usize, Vec<usize>) {
        self.layout.strides(&self.graph, id)
    }

    pub(super) fn signed_strides(&self, id: ValueId) -> (usize, Vec<isize>) {
        let (at, strides) = self.strides(id);
        (at, strides.into_iter().map(|s| s as isize).collect())
    }

    /// An operand of an op over the elements of `y`: repeated where it is smaller.
    pub(super) fn operand(&self, id: ValueId, y: ValueId) -> Result<View, String> {
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
            // An output has real strides everywhere, so that whole rows are recognized as such.
            for axis in (0..4).rev().filter(|&axis| view.dims[axis] == 1) {
                view.strides[axis] = if axis == 3 { 1 } else { view.strides[axis + 1] * view.dims[axis + 1] };
            }
        }
        Ok(view)
    }

    /// A value as pictures for pooling and resizing: channels last, or planes of one channel.
    pub(super) fn planes(&self, id: ValueId) -> View {
        if self.layout.data_layouts[id] == DataLayout::ChannelsLast {
            return self.layout.picture(&self.graph, id);
        }
        let tensor = self.row_major_tensor(id);
        let rank = tensor.shape.len();
        let (h, w) = (tensor.shape[rank - 2], tensor.shape[rank - 1]);
        let size = tensor.kind.size();
        let planes: usize = tensor.shape[..rank - 2].iter().product();
        View { at: tensor.at, dims: [planes, h, w, 1], strides: [h * w * size, w * size, size, size] }
    }

    /// Input and output of an op that works element by element.
    pub(super) fn pair(&self, x: ValueId, y: ValueId) -> Result<(View, View), String> {
        if self.shape(y).len() <= 4 {
            return Ok((self.operand(x, y)?, self.operand(y, y)?));
        }
        // Element by element over row-major tensors: one long row.
        let view = |id: ValueId| View::dense(self.row_major_tensor(id).at, [1, 1, 1, self.graph.values[id].len()], 1);
        Ok((view(x), view(y)))
    }

    /// A value whose axis 1 counts channels: they are the last dimension of a picture, the rows of a row-major tensor.
    pub(super) fn by_channel(&self, id: ValueId) -> View {
        if self.layout.data_layouts[id] == DataLayout::ChannelsLast {
            return self.layout.picture(&self.graph, id);
        }
        let tensor = self.row_major_tensor(id);
        let inner = tensor.shape[2..].iter().product();
        View::dense(tensor.at, [tensor.shape[0], tensor.shape[1], inner, 1], 1)
    }

    pub(super) fn zero(&self, kind: ElementKind, zero: ZeroPoint) -> StoredZeroPoint {
        match zero {
            ZeroPoint::Known(number) => StoredZeroPoint::Known(self.stored(kind, number)),
            ZeroPoint::Held(id) => StoredZeroPoint::At(self.row_major_tensor(id).at),
        }
    }

    pub(super) fn range(&self, kind: ElementKind, low: i32, high: i32) -> (i32, i32) {
        (self.stored(kind, low), self.stored(kind, high))
    }

    pub(super) fn full_range(&self, kind: ElementKind) -> (i32, i32) {
        let (low, high) = stored_range(kind);
        self.range(kind, low, high)
    }
}
