//! Sizes and pads of transposed convolutions, over pictures and over one dimension.

use super::geometry::Spatial;
use super::onnx::Attributes;
use tract_onnx::pb::NodeProto;

/// Height and width of a transposed convolution's output. With `one_row` the node is written for one dimension.
pub fn transposed_size(
    node: &NodeProto,
    geometry: &Spatial,
    size: [usize; 2],
    one_row: bool,
) -> Result<[usize; 2], String> {
    if let Some(stated) = stated_output(node, one_row)? {
        return Ok(stated);
    }
    if is_same(node) {
        return Ok([0, 1].map(|axis| size[axis] * geometry.stride[axis]));
    }
    let full = unpadded(node, geometry, size, one_row)?;
    let mut out = [0; 2];
    for axis in 0..2 {
        let pads = geometry.pads[axis] + geometry.pads[axis + 2];
        out[axis] = full[axis].checked_sub(pads).ok_or("its pads exceed its output")?;
    }
    Ok(out)
}

/// The pads of a transposed convolution: given, or whatever its stated output leaves.
pub fn transposed_pads(
    node: &NodeProto,
    geometry: &Spatial,
    size: [usize; 2],
    output: [usize; 2],
    one_row: bool,
) -> Result<[usize; 4], String> {
    if !is_same(node) && stated_output(node, one_row)?.is_none() {
        return Ok(geometry.pads);
    }
    let full = unpadded(node, geometry, size, one_row)?;
    let mut pads = [0; 4];
    for axis in 0..2 {
        let total = full[axis].saturating_sub(output[axis]);
        let before = if node.text("auto_pad", "NOTSET") == "SAME_UPPER" { total / 2 } else { total - total / 2 };
        (pads[axis], pads[axis + 2]) = (before, total - before);
    }
    Ok(pads)
}

/// Height and width before pads are cut off, with what `output_padding` adds.
fn unpadded(node: &NodeProto, geometry: &Spatial, size: [usize; 2], one_row: bool) -> Result<[usize; 2], String> {
    let extra = match node.sizes("output_padding")?.as_deref() {
        None | Some([]) => [0; 2],
        Some(&[columns]) if one_row => [0, columns],
        Some(&[rows, columns]) if !one_row => [rows, columns],
        Some(other) => return Err(format!("output_padding {other:?} does not fit its input")),
    };
    let reach = |axis: usize| geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1;
    Ok([0, 1].map(|axis| (size[axis] - 1) * geometry.stride[axis] + reach(axis) + extra[axis]))
}

/// The output that a node states, with or without the dimensions of the batch and the channels.
fn stated_output(node: &NodeProto, one_row: bool) -> Result<Option<[usize; 2]>, String> {
    Ok(match node.sizes("output_shape")?.as_deref() {
        None | Some([]) => None,
        Some(&[columns] | &[_, _, columns]) if one_row => Some([1, columns]),
        Some(&[rows, columns] | &[_, _, rows, columns]) if !one_row => Some([rows, columns]),
        Some(other) => return Err(format!("output_shape {other:?} does not fit its input")),
    })
}

fn is_same(node: &NodeProto) -> bool {
    node.text("auto_pad", "NOTSET").starts_with("SAME")
}
