//! How large the outputs of nodes that tract runs become, as far as attributes and constants state it: tract allocates
//! what it is asked for, while it infers shapes already.

use super::elementwise::broadcast_shape;
use super::onnx::{Attributes, floats, integers};
use super::{Imported, Importer, MOST_ELEMENTS};
use tract_onnx::pb::NodeProto;

/// Attributes that hold sizes of windows and pads.
const SIZES: [&str; 6] = ["kernel_shape", "strides", "dilations", "pads", "output_padding", "output_shape"];

/// The product of numbers of elements or factors, as a float: it may be anything.
fn product(sizes: impl IntoIterator<Item = f64>) -> f64 {
    sizes.into_iter().product()
}

/// Elements of what a Resize to stated sizes makes of a tensor of these dimensions.
fn resized(node: &NodeProto, from: &[f64], sizes: &[f64]) -> f64 {
    let count = from.len() as i64;
    let axes: Vec<i64> = match node.ints("axes") {
        Some(axes) => axes.iter().map(|&axis| if axis < 0 { axis + count } else { axis }).collect(),
        None => (0..count).collect(),
    };
    let size_of = |axis: usize| axes.iter().position(|&at| at == axis as i64).and_then(|at| sizes.get(at).copied());
    let ratios = from.iter().enumerate().filter_map(|(axis, dim)| Some(size_of(axis)? / dim));
    let factor = match node.text("keep_aspect_ratio_policy", "stretch").as_str() {
        "not_larger" => Some(ratios.fold(f64::INFINITY, f64::min)),
        "not_smaller" => Some(ratios.fold(0.0, f64::max)),
        _ => None,
    };
    let to = |(axis, dim): (usize, &f64)| match (size_of(axis), factor) {
        (None, _) => *dim,
        (Some(size), None) => size,
        (Some(_), Some(factor)) => dim * factor,
    };
    product(from.iter().enumerate().map(to))
}

impl Importer<'_> {
    /// Refuses a node whose output would have more elements than any value may have.
    pub(super) fn check_size_in_tract(&self, node: &NodeProto) -> Imported<()> {
        for name in SIZES {
            if let Some(bad) = node.ints(name).unwrap_or_default().iter().find(|size| size.unsigned_abs() > 1 << 16) {
                return Err(format!("{name} holds {bad}").into());
            }
        }
        // An input that is not known counts as one element: whoever needs it finds that out.
        let mut shapes = Vec::with_capacity(node.input.len());
        for index in 0..node.input.len() {
            shapes.push(match self.stored(node, index) {
                Ok(Some((_, shape))) => shape,
                _ => self.input(node, index).ok().flatten().map_or_else(Vec::new, |held| self.shape(&held)),
            });
        }
        let dims = |index: usize| shapes.get(index).into_iter().flatten().map(|&dim| dim as f64);
        let list = |index: usize| -> Imported<Option<Vec<f64>>> {
            let constant = self.known(node, index).ok().flatten();
            let list = constant.map(|constant| {
                if constant.datum_type().is_float() {
                    floats(&constant).map(|list| list.into_iter().map(f64::from).collect())
                } else {
                    integers(&constant).map(|list| list.into_iter().map(|i| i as f64).collect())
                }
            });
            Ok(list.transpose()?)
        };
        let elements = match node.op_type.as_str() {
            "ConstantOfShape" => list(0)?.map(product),
            "RandomNormal" | "RandomUniform" => {
                node.ints("shape").map(|shape| product(shape.iter().map(|&dim| dim as f64)))
            }
            "Expand" => list(1)?.map(|to| {
                // Either side may have the larger dimension; a shape of ones does not enlarge.
                let from: Vec<f64> = dims(0).collect();
                let rank = from.len().max(to.len());
                let dim = |list: &[f64], axis: usize| {
                    if axis + list.len() < rank { 1.0 } else { list[axis + list.len() - rank] }
                };
                product((0..rank).map(|axis| dim(&from, axis).max(dim(&to, axis))))
            }),
            "Tile" => list(1)?.map(|repeats| product(dims(0).chain(repeats))),
            "Pad" => {
                let pads = match node.ints("pads") {
                    Some(pads) => Some(pads.iter().map(|&pad| pad as f64).collect()),
                    None => list(1)?,
                };
                // Without axes; with them each pad belongs to another axis, and the largest pad bounds all.
                pads.map(|pads| {
                    let most = pads.iter().copied().fold(0.0, f64::max);
                    let rank = shapes.first().map_or(0, Vec::len);
                    let pad = |axis: usize| {
                        if pads.len() == 2 * rank {
                            pads[axis].max(0.0) + pads[rank + axis].max(0.0)
                        } else {
                            2.0 * most
                        }
                    };
                    product(dims(0).enumerate().map(|(axis, dim)| dim + pad(axis)))
                })
            }
            "Range" => match (list(0)?, list(1)?, list(2)?) {
                (Some(start), Some(limit), Some(step)) if [start.len(), limit.len(), step.len()] == [1; 3] => {
                    let count = ((limit[0] - start[0]) / step[0]).ceil();
                    if count.is_nan() {
                        return Err(format!("a range from {} to {} in steps of {}", start[0], limit[0], step[0]).into());
                    }
                    Some(count.max(0.0))
                }
                _ => None,
            },
            "Resize" | "Upsample" => {
                let scales = match node.attribute("scales") {
                    Some(scales) => Some(scales.floats.iter().copied().map(f64::from).collect()),
                    None => list(if node.op_type == "Upsample" || self.opset < 11 { 1 } else { 2 })?,
                };
                let sizes = list(3)?.filter(|sizes| !sizes.is_empty());
                match scales.filter(|scales: &Vec<f64>| !scales.is_empty()) {
                    Some(scales) => {
                        if let Some(bad) = scales.iter().find(|scale| !(**scale > 0.0 && scale.is_finite())) {
                            return Err(format!("a scale must be positive and finite, found {bad}").into());
                        }
                        Some(product(dims(0).chain(scales)))
                    }
                    None => sizes.map(|sizes| resized(node, &dims(0).collect::<Vec<_>>(), &sizes)),
                }
            }
            "Conv" | "MaxPool" | "AveragePool" | "LpPool" => {
                // Pads enlarge, strides do not; channels are those of the input or of the weights.
                let pads = node.ints("pads").unwrap_or_default();
                let channels = dims(1).next().unwrap_or(1.0).max(dims(0).nth(1).unwrap_or(1.0));
                let space = dims(0).skip(2).enumerate().map(|(axis, dim)| {
                    let pad = |at: usize| pads.get(at).map_or(0.0, |&pad| pad.max(0) as f64);
                    dim + pad(axis) + pad(axis + pads.len() / 2)
                });
                Some(product(dims(0).take(1).chain([channels]).chain(space)))
            }
            "ConvTranspose" => {
                let of = |name: &str, axis: usize| {
                    node.ints(name).and_then(|list| list.get(axis).copied()).unwrap_or(1).max(1) as f64
                };
                let channels = dims(1).nth(1).unwrap_or(1.0) * node.int("group", 1).max(1) as f64;
                let space = dims(0).skip(2).enumerate().map(|(axis, dim)| {
                    let window = dims(1).nth(axis + 2).unwrap_or(1.0).max(of("kernel_shape", axis));
                    let size = dim * of("strides", axis) + window * of("dilations", axis) + of("output_padding", axis);
                    size.max(of("output_shape", axis))
                });
                Some(product(dims(0).take(1).chain([channels]).chain(space)))
            }
            "MatMul" | "Gemm" => {
                let last = shapes.get(1).and_then(|shape| shape.last()).map_or(1.0, |&dim| dim as f64);
                let rows = product(dims(0)) / dims(0).next_back().unwrap_or(1.0).max(1.0);
                let batch = product(dims(1))
                    / product(dims(1).skip(shapes.get(1).map_or(0, |s| s.len().saturating_sub(2)))).max(1.0);
                // A product over batches that broadcast has at most the rows of one times the batches of the other.
                Some(if node.op_type == "MatMul" { rows * last * batch.max(1.0) } else { 0.0 })
            }
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Equal" | "Greater" | "Less" | "GreaterOrEqual"
            | "LessOrEqual" | "And" | "Or" | "Xor" | "Mod" | "Where" | "PRelu" | "Sum" | "Mean" => {
                // Shapes that do not fit, or fit by a rule of early opsets, are tract's to judge.
                let both = shapes.iter().try_fold(Vec::new(), |shape, next| broadcast_shape(&shape, next).ok());
                both.map(|shape| product(shape.into_iter().map(|dim| dim as f64)))
            }
            _ => None,
        };
        // An element has at least one byte.
        let most = (MOST_ELEMENTS as u64).min(self.limit);
        match elements {
            Some(count) if count.is_nan() || count.abs() > most as f64 => {
                Err(format!("its output would have {count} elements, more than the {most} that a tensor may have")
                    .into())
            }
            _ => Ok(()),
        }
    }
}
