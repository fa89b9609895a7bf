//! Pools, means and resizing.

use super::expression::Expression;
use super::geometry::average_window;
use super::onnx::{Attributes, floats, integers};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{FloatOp, Movement, Op, Reduction, Sampling};
use std::rc::Rc;
use tract_onnx::pb::NodeProto;

impl<'a> Importer<'a> {
    pub(super) fn window(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        match node.op_type.as_str() {
            "MaxPool" | "GlobalMaxPool" => self.max_pool(node),
            "AveragePool" | "GlobalAveragePool" => self.average_pool(node),
            "Resize" | "Upsample" => self.resize(node),
            _ => self.reduce(node),
        }
    }

    fn max_pool(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let shape = self.shape(&held);
        let Some((window, to)) = average_window(node, &shape)? else { return Ok(Handled::No) };
        if node.output.len() > 1 {
            return Ok(Handled::No);
        }
        let name = name_of(node);
        match &held {
            Binding::Lazy(lazy) => match self.dequantized(lazy)? {
                Some((x, q)) => {
                    let y = self.push(&name, Op::MaxPool(window), &[x], q.kind, &to)?;
                    self.expression(node, Expression::Dequantized(y, q), to)
                }
                None => Ok(Handled::No),
            },
            Binding::Value(id) if self.graph.values[*id].kind.size() == 1 => {
                let kind = self.graph.values[*id].kind;
                let y = self.push(&name, Op::MaxPool(window), &[*id], kind, &to)?;
                self.done(node, Binding::Value(y))
            }
            _ => Ok(Handled::No),
        }
    }

    fn average_pool(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let shape = self.shape(&held);
        let Some((window, to)) = average_window(node, &shape)? else { return Ok(Handled::No) };
        match &held {
            Binding::Lazy(lazy) => self.expression(node, Expression::AveragePool(Rc::clone(lazy), window), to),
            _ => Ok(Handled::No),
        }
    }

    fn reduce(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let shape = self.shape(&held);
        let rank = shape.len();
        let axes = match self.axes(node, 1, rank)? {
            Some(axes) if !axes.is_empty() => axes,
            _ if node.int("noop_with_empty_axes", 0) != 0 => return Ok(Handled::No),
            _ => (0..rank).collect(),
        };
        let keep = node.int("keepdims", 1) != 0;
        let kept: Vec<usize> = (0..rank).map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect();
        let to: Vec<usize> =
            if keep { kept.clone() } else { (0..rank).filter(|i| !axes.contains(i)).map(|i| shape[i]).collect() };
        if let Binding::Lazy(lazy) = &held
            && node.op_type == "ReduceMean"
            && rank == 4
            && axes == [2, 3]
            && let Some((window, pooled)) = average_window(node, &shape)?
        {
            let name = name_of(node);
            let mean = super::Lazy::new(&name, Expression::AveragePool(Rc::clone(lazy), window), pooled);
            let mean = self.moved(node, &Binding::Lazy(mean), Movement::Reshape, to)?;
            return self.done(node, mean);
        }
        if !self.is_float(&held) || rank > 8 {
            return Ok(Handled::No);
        }
        let kind = match node.op_type.as_str() {
            "ReduceMean" => Reduction::Mean,
            "ReduceSum" => Reduction::Sum,
            "ReduceMax" => Reduction::Max,
            "ReduceMin" => Reduction::Min,
            "ReduceProd" => Reduction::Prod,
            "ReduceL1" => Reduction::L1,
            "ReduceL2" => Reduction::L2,
            "ReduceSumSquare" => Reduction::SumSquare,
            "ReduceLogSum" => Reduction::LogSum,
            "ReduceLogSumExp" => Reduction::LogSumExp,
            _ => return Ok(Handled::No),
        };
        let x = self.compute(&held)?;
        let name = name_of(node);
        let y = self.push(&name, Op::Float(FloatOp::Reduce { kind, axes }), &[x], ElementKind::F32, &kept)?;
        let y = self.move_value(&name, y, Movement::Reshape, &to)?;
        self.done(node, Binding::Value(y))
    }

    fn resize(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let shape = self.shape(&held);
        let &[n, c, h, w] = &shape[..] else { return Ok(Handled::No) };
        let upsample = node.op_type == "Upsample" || self.opset < 11;
        let scales_at = if upsample { 1 } else { 2 };
        let scales = match (node.attribute("scales"), self.known(node, scales_at)?) {
            (Some(scales), _) => scales.floats.clone(),
            (None, Some(scales)) => floats(&scales)?,
            (None, None) => Vec::new(),
        };
        let sizes = if upsample { None } else { self.known(node, 3)? };
        let (to, scale) = match sizes.map(|sizes| integers(&sizes)).transpose()?.filter(|sizes| !sizes.is_empty()) {
            Some(sizes) => {
                let &[sn, sc, rows, columns] = &sizes[..] else { return Ok(Handled::No) };
                if [sn, sc, rows, columns].iter().any(|size| !(1..=1 << 16).contains(size)) {
                    return Ok(Handled::No);
                }
                let ratios =
                    [sn as f32 / n as f32, sc as f32 / c as f32, rows as f32 / h as f32, columns as f32 / w as f32];
                // One factor for all axes, which keeps the ratio of the sides: the smallest that the sizes hold, or the largest.
                let factor = match node.text("keep_aspect_ratio_policy", "stretch").as_str() {
                    "stretch" => None,
                    "not_larger" => Some(ratios.into_iter().fold(f32::INFINITY, f32::min)),
                    "not_smaller" => Some(ratios.into_iter().fold(0.0, f32::max)),
                    other => return Err(format!("keep_aspect_ratio_policy {other}").into()),
                };
                let [sn, sc, rows, columns] = match factor {
                    None => [sn, sc, rows, columns].map(|size| size as usize),
                    Some(factor) => [n, c, h, w].map(|size| (factor * size as f32 + 0.5).floor() as usize),
                };
                if [sn, sc] != [n, c] || rows.max(columns) > 1 << 16 {
                    return Ok(Handled::No);
                }
                (
                    [rows, columns],
                    factor.map_or([rows as f32 / h as f32, columns as f32 / w as f32], |factor| [factor; 2]),
                )
            }
            None => {
                let &[1.0, 1.0, y, x] = &scales[..] else { return Ok(Handled::No) };
                let positive = |scale: f32| scale > 0.0 && scale.is_finite();
                if !(positive(y) && positive(x)) {
                    return Err(format!("its scales must be positive and finite, found {scales:?}").into());
                }
                if h as f32 * y > LARGEST_SIDE || w as f32 * x > LARGEST_SIDE {
                    return Err(format!(
                        "scales {scales:?} make more than {LARGEST_SIDE} rows or columns of {shape:?}"
                    )
                    .into());
                }
                if node.op_type == "Upsample" && y.min(x) < 1.0 {
                    return Err(format!("scales {scales:?}: an Upsample does not make smaller").into());
                }
                ([(h as f32 * y).floor() as usize, (w as f32 * x).floor() as usize], [y, x])
            }
        };
        let default = if upsample { "asymmetric" } else { "half_pixel" };
        let place = node.text("coordinate_transformation_mode", default);
        let mode = node.text("mode", "nearest");
        let known_place =
            matches!(place.as_str(), "half_pixel" | "asymmetric" | "align_corners" | "pytorch_half_pixel");
        if !known_place || node.int("antialias", 0) != 0 || node.ints("axes").is_some() || to.contains(&0) {
            return Ok(Handled::No);
        }
        let to_shape = vec![n, c, to[0], to[1]];
        let coordinates = |axis: usize, size: usize| -> Vec<f32> {
            let (out, scale) = (to[axis], scale[axis]);
            (0..out)
                .map(|o| match place.as_str() {
                    "asymmetric" => o as f32 / scale,
                    "align_corners" if out > 1 => o as f32 * (size - 1) as f32 / (out - 1) as f32,
                    "align_corners" => 0.0,
                    "pytorch_half_pixel" if out == 1 => 0.0,
                    _ => (o as f32 + 0.5) / scale - 0.5,
                })
                .collect()
        };
        let (rows, columns) = (coordinates(0, h), coordinates(1, w));
        match mode.as_str() {
            "nearest" => {
                let pick = |places: &[f32], size: usize, scale: f32| -> Vec<u32> {
                    // Before there was a choice: up where an axis becomes smaller, down otherwise, as ONNX Runtime has it.
                    let default = match upsample {
                        false => "round_prefer_floor",
                        true if scale < 1.0 => "ceil",
                        true => "floor",
                    };
                    let rounding = node.text("nearest_mode", default);
                    let near = |x: f64| match rounding.as_str() {
                        "floor" => x.floor(),
                        "ceil" => x.ceil(),
                        "round_prefer_ceil" => (x + 0.5 + HALF_WAY).floor(),
                        _ => (x - 0.5 - HALF_WAY).ceil(),
                    };
                    places.iter().map(|&x| near(x.into()).clamp(0.0, (size - 1) as f64) as u32).collect()
                };
                let (rows, columns) = (pick(&rows, h, scale[0]), pick(&columns, w, scale[1]));
                let movement = Movement::Nearest { rows, columns };
                let moved = self.moved(node, &held, movement, to_shape)?;
                self.done(node, moved)
            }
            "linear" => match &held {
                Binding::Lazy(lazy) => {
                    let expression = Expression::Bilinear(Rc::clone(lazy), between(&rows, h), between(&columns, w));
                    self.expression(node, expression, to_shape)
                }
                _ if node.op_type == "Upsample" && self.is_float(&held) => {
                    let x = self.compute(&held)?;
                    let op = Op::Float(FloatOp::Bilinear(between(&rows, h), between(&columns, w)));
                    let y = self.push(&name_of(node), op, &[x], ElementKind::F32, &to_shape)?;
                    self.done(node, Binding::Value(y))
                }
                _ => Ok(Handled::No),
            },
            _ => Ok(Handled::No),
        }
    }
}

/// The most rows or columns of a picture; more are taken for a damaged file.
const LARGEST_SIDE: f32 = 65536.0;

/// As near as this to half way counts as half way, as in ONNX Runtime: the division by a scale makes 6.4999995 of 6.5.
const HALF_WAY: f64 = 1e-6;

/// The two neighbours of each place and the weight of the second.
fn between(places: &[f32], size: usize) -> Sampling {
    let last = (size - 1) as f32;
    let mut sampling = Sampling { first: Vec::new(), second: Vec::new(), weight: Vec::new() };
    for &place in places {
        let place = place.clamp(0.0, last);
        let first = place.floor();
        sampling.first.push(first as u32);
        sampling.second.push((first + 1.0).min(last) as u32);
        // The last pixel is both neighbours: half of each, which rounds as ONNX Runtime does.
        sampling.weight.push(if first == last { 0.5 } else { place - first });
    }
    sampling
}
