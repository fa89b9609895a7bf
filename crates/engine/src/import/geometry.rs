//! Shapes, windows and kinds that several ops state in the same way.

use super::onnx::Attributes;
use crate::ElementKind;
use crate::graph::{Window, broadcast};
use tract_onnx::pb::NodeProto;

/// Whether a tensor of this kind is quantized.
pub fn is_byte(kind: ElementKind) -> bool {
    matches!(kind, ElementKind::U8 | ElementKind::I8)
}

/// Whether a tensor of this kind can be quantized: eight bits, or sixteen.
pub fn is_quantized(kind: ElementKind) -> bool {
    is_byte(kind) || matches!(kind, ElementKind::U16 | ElementKind::I16)
}

/// Shape of `a [.., M, K] * b [.., K, N]`, where they fit.
pub fn product_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    if a.len() < 2 || b.len() < 2 || a[a.len() - 1] != b[b.len() - 2] {
        return None;
    }
    let mut shape = broadcast(&a[..a.len() - 2], &b[..b.len() - 2])?;
    shape.extend([a[a.len() - 2], b[b.len() - 1]]);
    Some(shape)
}

/// Kernel, stride, dilation and pads of a node over two spatial dimensions.
pub struct Spatial {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
}

/// Reads them; `size` is height and width of the input, `kernel` from the weights where the attribute is absent. With
/// `one_row` the node is written for one dimension.
pub fn spatial(
    node: &NodeProto,
    size: [usize; 2],
    kernel: Option<[usize; 2]>,
    one_row: bool,
) -> Result<Spatial, String> {
    let pair = |name: &str, default: usize| -> Result<[usize; 2], String> {
        Ok(match node.sizes(name)?.as_deref() {
            Some([one]) if one_row => [default.min(1), *one],
            Some([a, b]) if !one_row => [*a, *b],
            None | Some([]) => [default; 2],
            Some(other) => return Err(format!("{name} {other:?} does not fit its input")),
        })
    };
    let kernel = match (kernel, node.ints("kernel_shape")) {
        (Some(kernel), _) => kernel,
        (None, Some(_)) => pair("kernel_shape", 1)?,
        (None, None) => return Err("kernel_shape is missing".into()),
    };
    let (stride, dilation) = (pair("strides", 1)?, pair("dilations", 1)?);
    if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
        return Err("kernel, strides and dilations must not be 0".into());
    }
    let pads = match node.text("auto_pad", "NOTSET").as_str() {
        "NOTSET" | "" => match node.sizes("pads")?.as_deref() {
            Some([left, right]) if one_row => [0, *left, 0, *right],
            Some(&[top, left, bottom, right]) if !one_row => [top, left, bottom, right],
            None | Some([]) => [0; 4],
            Some(other) => return Err(format!("pads {other:?} do not fit its input")),
        },
        "VALID" => [0; 4],
        mode @ ("SAME_UPPER" | "SAME_LOWER") => {
            let mut pads = [0; 4];
            for axis in 0..2 {
                let reach = dilation[axis] * (kernel[axis] - 1) + 1;
                let steps = size[axis].div_ceil(stride[axis]).max(1) - 1;
                let total = (steps * stride[axis] + reach).saturating_sub(size[axis]);
                let small = total / 2;
                let (before, after) =
                    if mode == "SAME_UPPER" { (small, total - small) } else { (total - small, small) };
                (pads[axis], pads[axis + 2]) = (before, after);
            }
            pads
        }
        other => return Err(format!("auto_pad {other}")),
    };
    Ok(Spatial { kernel, stride, dilation, pads })
}

impl Spatial {
    /// Height and width of the output.
    pub fn output(&self, size: [usize; 2], ceil: bool) -> Result<[usize; 2], String> {
        let mut out = [0; 2];
        for axis in 0..2 {
            let padded = size[axis] + self.pads[axis] + self.pads[axis + 2];
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            if ceil && padded < reach && reach - padded < self.stride[axis] && size[axis] > 0 {
                // The only window hangs over.
                out[axis] = 1;
                continue;
            }
            let room = padded.checked_sub(reach).ok_or_else(|| {
                format!("a kernel that spans {reach} does not fit an input of {padded} (padding included)")
            })?;
            out[axis] = room / self.stride[axis] + 1;
            // A last window that only hangs over, but starts inside the input or its leading padding.
            if ceil && room % self.stride[axis] != 0 && out[axis] * self.stride[axis] < size[axis] + self.pads[axis] {
                out[axis] += 1;
            }
        }
        Ok(out)
    }
}

/// The window of an average pool over `[N, C, H, W]` and its output's shape; `None` for other ranks.
pub fn average_window(node: &NodeProto, shape: &[usize]) -> Result<Option<(Window, Vec<usize>)>, String> {
    let &[n, c, h, w] = shape else { return Ok(None) };
    if node.op_type.contains("Global") || node.op_type == "ReduceMean" {
        let window = Window { kernel: [h, w], stride: [1, 1], dilation: [1, 1], pads: [0; 4], count_pads: false };
        return Ok(Some((window, vec![n, c, 1, 1])));
    }
    let geometry = spatial(node, [h, w], None, false)?;
    // A window that lies in the padding alone has no greatest element and no mean.
    for (side, pad) in geometry.pads.iter().enumerate() {
        let reach = geometry.dilation[side % 2] * (geometry.kernel[side % 2] - 1) + 1;
        if *pad >= reach {
            return Err(format!("a pad of {pad} must be smaller than the window, which spans {reach}"));
        }
    }
    let [rows, columns] = geometry.output([h, w], node.int("ceil_mode", 0) != 0)?;
    let window = Window {
        kernel: geometry.kernel,
        stride: geometry.stride,
        dilation: geometry.dilation,
        pads: geometry.pads,
        count_pads: node.int("count_include_pad", 0) != 0,
    };
    Ok(Some((window, vec![n, c, rows, columns])))
}
