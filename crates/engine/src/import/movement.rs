//! Ops that move elements and change none.

use super::expression::{Expression, Lazy};
use super::onnx::{Attributes, integers};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::graph::{Counted, Movement, Op, ValueId};
use std::rc::Rc;
use tract_onnx::pb::NodeProto;

/// The shape of parts laid side by side along `axis`.
pub fn concatenated(parts: &[Vec<usize>], axis: usize) -> Result<Vec<usize>, String> {
    let mut shape = parts.first().cloned().ok_or("it has no inputs")?;
    for part in &parts[1..] {
        let fits = part.len() == shape.len() && (0..shape.len()).all(|i| i == axis || part[i] == shape[i]);
        if !fits {
            return Err(format!("shapes {shape:?} and {part:?} cannot be concatenated along axis {axis}"));
        }
        shape[axis] += part[axis];
    }
    Ok(shape)
}

impl<'a> Importer<'a> {
    pub(super) fn movement(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        if node.op_type == "Concat" {
            return self.concat(node);
        }
        let held = self.needed(node, 0)?;
        let held = if node.op_type == "Reshape" { self.settled(held)? } else { held };
        let shape = self.shape(&held);
        let rank = shape.len();
        let (movement, to) = match node.op_type.as_str() {
            "Reshape" => (Movement::Reshape, self.reshaped_shape(node, &shape, self.counted(&held))?),
            "Flatten" => {
                let axis = node.int("axis", 1);
                let axis = if axis == rank as i64 { rank } else { super::axis(axis, rank)? };
                (Movement::Reshape, vec![shape[..axis].iter().product(), shape[axis..].iter().product()])
            }
            "Squeeze" => {
                let axes = self.axes(node, 1, rank)?;
                if axes.is_none() {
                    self.refuse_counted(&held, "whether it is dropped depends on it: state the axes")?;
                }
                let drop = |axis: usize| axes.as_ref().map_or(shape[axis] == 1, |axes| axes.contains(&axis));
                if let Some(axis) = (0..rank).find(|&axis| drop(axis) && shape[axis] != 1) {
                    return Err(format!("axis {axis} of {shape:?} cannot be dropped").into());
                }
                (Movement::Reshape, (0..rank).filter(|&axis| !drop(axis)).map(|axis| shape[axis]).collect())
            }
            "Unsqueeze" => {
                let count = match (node.ints("axes"), self.known(node, 1)?) {
                    (Some(axes), _) => axes.len(),
                    (None, Some(axes)) => axes.len(),
                    _ => return Err("its axes must be constants".into()),
                };
                let axes = self.axes(node, 1, rank + count)?.unwrap_or_default();
                let mut old = shape.iter();
                let to = (0..rank + count).map(|axis| if axes.contains(&axis) { 1 } else { *old.next().unwrap_or(&1) });
                (Movement::Reshape, to.collect())
            }
            "Transpose" => {
                let order: Vec<usize> = match node.ints("perm") {
                    Some(order) => order.iter().map(|&a| super::axis(a, rank)).collect::<Result<_, _>>()?,
                    None => (0..rank).rev().collect(),
                };
                let mut seen = order.clone();
                seen.sort_unstable();
                if seen != (0..rank).collect::<Vec<_>>() {
                    return Err(format!("perm {order:?} is no order of {rank} axes").into());
                }
                let to = order.iter().map(|&axis| shape[axis]).collect();
                (Movement::Transpose(order), to)
            }
            "Split" => return self.split(node, &held, &shape),
            "Slice" => match self.slice(node, &shape)? {
                Some(slice) => slice,
                None => return Ok(Handled::No),
            },
            "Pad" => return self.pad(node, &held),
            name => {
                let block = usize::try_from(node.int("blocksize", 0))
                    .ok()
                    .filter(|b| (1..=1 << 16).contains(b))
                    .ok_or("bad blocksize")?;
                let &[n, c, h, w] = &shape[..] else { return Err("its input must have four dimensions".into()) };
                let to_space = name == "DepthToSpace";
                if if to_space { c % (block * block) != 0 } else { h % block != 0 || w % block != 0 } {
                    return Err(format!("blocks of {block} do not fit {shape:?}").into());
                }
                let column_row_depth = node.text("mode", "DCR") == "CRD";
                if to_space {
                    let to = vec![n, c / (block * block), h * block, w * block];
                    (Movement::DepthToSpace { block, column_row_depth }, to)
                } else {
                    (
                        Movement::SpaceToDepth { block, column_row_depth },
                        vec![n, c * block * block, h / block, w / block],
                    )
                }
            }
        };
        let moved = self.moved(node, &held, movement, to)?;
        self.done(node, moved)
    }

    /// What is held, moved.
    pub(super) fn moved(
        &mut self,
        node: &'a NodeProto,
        held: &Binding,
        movement: Movement,
        to: Vec<usize>,
    ) -> Imported<Binding> {
        let name = name_of(node);
        Ok(match held {
            Binding::Value(id) => Binding::Value(self.move_value(&name, *id, movement, &to)?),
            Binding::Lazy(lazy) => Binding::Lazy(self.move_lazy(&name, lazy, movement, to)?),
            Binding::Constant(_) => {
                let value = self.compute(held)?;
                Binding::Value(self.move_value(&name, value, movement, &to)?)
            }
        })
    }

    fn move_lazy(&mut self, name: &str, lazy: &Rc<Lazy>, movement: Movement, to: Vec<usize>) -> Imported<Rc<Lazy>> {
        let expression = match &lazy.expression {
            Expression::Dequantized(value, q) => {
                Expression::Dequantized(self.move_value(name, *value, movement, &to)?, *q)
            }
            Expression::Unary(inner, function) => {
                Expression::Unary(self.move_lazy(name, inner, movement, to.clone())?, *function)
            }
            _ => Expression::Moved(Rc::clone(lazy), movement),
        };
        Ok(Lazy::new(name, expression, to))
    }

    /// A value moved; reshaping twice, or back, leaves no trace.
    pub(super) fn move_value(
        &mut self,
        name: &str,
        value: ValueId,
        movement: Movement,
        to: &[usize],
    ) -> Imported<ValueId> {
        let mut value = value;
        if movement == Movement::Reshape {
            if self.graph.values[value].shape == to {
                return Ok(value);
            }
            if let Some(&origin) = self.reshaped.get(&value) {
                value = origin;
            }
            if self.graph.values[value].shape == to {
                return Ok(value);
            }
            if self.graph.values[value].len() != to.iter().product::<usize>() {
                return Err(format!("{:?} cannot be reshaped to {to:?}", self.graph.values[value].shape).into());
            }
        }
        let reshape = movement == Movement::Reshape;
        let kind = self.graph.values[value].kind;
        let moved = self.push(name, Op::Movement(movement), &[value], kind, to)?;
        if reshape {
            self.reshaped.insert(moved, value);
        }
        Ok(moved)
    }

    fn reshaped_shape(&self, node: &NodeProto, from: &[usize], counted: Option<Counted>) -> Imported<Vec<usize>> {
        let asked = match node.ints("shape") {
            Some(shape) => shape.to_vec(),
            None => integers(&*self.parameter(node, 1, "shape")?)?,
        };
        let keep_zero = node.int("allowzero", 0) != 0;
        let mut to = Vec::with_capacity(asked.len());
        let mut open = None;
        for (i, &dim) in asked.iter().enumerate() {
            to.push(match dim {
                -1 if open.is_none() => {
                    open = Some(i);
                    1
                }
                0 if !keep_zero => *from.get(i).ok_or("its shape copies a dimension that is not there")?,
                dim => usize::try_from(dim).map_err(|_| format!("shape {asked:?}"))?,
            });
        }
        let all: usize = from.iter().product();
        let known = to.iter().try_fold(1usize, |p, &dim| p.checked_mul(dim)).unwrap_or(0);
        if let Some(open) = open {
            to[open] = all.checked_div(known).unwrap_or(0);
        }
        if to.iter().try_fold(1usize, |p, &dim| p.checked_mul(dim)) != Some(all) {
            return Err(format!("{from:?} cannot be reshaped to {asked:?}").into());
        }
        if let Some(Counted { axis, .. }) = counted {
            // A number in its place would be that of elements, which is not known: it must be copied, or left open.
            let copied = (!keep_zero && asked.get(axis) == Some(&0)).then_some(axis);
            let before = |shape: &[usize], axis: usize| shape[..axis].iter().product::<usize>();
            let whole = |to_axis: usize| to[to_axis] == from[axis] && before(&to, to_axis) == before(from, axis);
            if !copied.or(open).is_some_and(whole) {
                return Err(format!(
                    "only a bound of axis {axis} of its input is known before a run, and shape {asked:?} does not keep it an axis of its own, with -1 in its place"
                )
                .into());
            }
        }
        Ok(to)
    }

    fn concat(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let parts = (0..node.input.len()).map(|i| self.needed(node, i)).collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<Vec<usize>> = parts.iter().map(|part| self.shape(part)).collect();
        let axis = super::axis(node.int("axis", 1), shapes.first().map_or(0, Vec::len))?;
        let shape = concatenated(&shapes, axis)?;
        let lazies: Option<Vec<Rc<Lazy>>> = parts
            .iter()
            .map(|part| if let Binding::Lazy(lazy) = part { Some(Rc::clone(lazy)) } else { None })
            .collect();
        let movement = Movement::Concat { axis };
        if let Some(lazies) = lazies {
            let mut values = Vec::new();
            let mut quant = None;
            for lazy in &lazies {
                if let Some((value, q)) = self.dequantized(lazy)?
                    && quant.is_none_or(|quant| quant == q)
                {
                    quant = Some(q);
                    values.push(value);
                }
            }
            if let Some(q) = quant.filter(|_| values.len() == lazies.len()) {
                let y = self.push(&name_of(node), Op::Movement(movement), &values, q.kind, &shape)?;
                return self.expression(node, Expression::Dequantized(y, q), shape);
            }
            return self.expression(node, Expression::Concat(lazies, axis), shape);
        }
        let values = parts.iter().map(|part| self.compute(part)).collect::<Result<Vec<_>, _>>()?;
        let kind = self.graph.values[values[0]].kind;
        if values.iter().any(|&id| self.graph.values[id].kind != kind) {
            return Err("its inputs have different types".into());
        }
        let y = self.push(&name_of(node), Op::Movement(movement), &values, kind, &shape)?;
        self.done(node, Binding::Value(y))
    }

    fn split(&mut self, node: &'a NodeProto, held: &Binding, shape: &[usize]) -> Imported<Handled> {
        let axis = super::axis(node.int("axis", 0), shape.len())?;
        let sizes: Vec<usize> = match (node.sizes("split")?, self.known(node, 1)?) {
            (Some(sizes), _) => sizes,
            (None, Some(sizes)) => {
                let size = |&s: &i64| usize::try_from(s).map_err(|_| format!("a part of {s}"));
                integers(&sizes)?.iter().map(size).collect::<Result<_, _>>()?
            }
            (None, None) if self.input(node, 1)?.is_some() => return Err("its parts must be constants".into()),
            (None, None) => {
                let count = node.output.len().max(1);
                let each = shape[axis].div_ceil(count);
                (0..count).map(|i| each.min(shape[axis].saturating_sub(i * each))).collect()
            }
        };
        if sizes.iter().sum::<usize>() != shape[axis] || sizes.len() != node.output.len() {
            return Err(format!("parts {sizes:?} do not make up axis {axis} of {shape:?}").into());
        }
        let mut at = 0;
        for (index, size) in sizes.into_iter().enumerate() {
            let mut to = shape.to_vec();
            to[axis] = size;
            let mut start = vec![0; shape.len()];
            start[axis] = at;
            at += size;
            let movement = Movement::Slice { start, step: vec![1; shape.len()] };
            let part = self.moved(node, held, movement, to)?;
            let part = self.bounded(part)?;
            self.give(node, index, part);
        }
        Ok(Handled::Yes)
    }

    fn slice(&self, node: &NodeProto, shape: &[usize]) -> Imported<Option<(Movement, Vec<usize>)>> {
        let list = |name: &str, index: usize| -> Imported<Option<Vec<i64>>> {
            match (node.ints(name), self.input(node, index)?) {
                (Some(list), _) => Ok(Some(list.to_vec())),
                (None, Some(Binding::Constant(list))) => Ok(Some(integers(&list)?)),
                (None, Some(_)) => Err(format!("its {name} must be constants").into()),
                (None, None) => Ok(None),
            }
        };
        let (Some(starts), Some(ends)) = (list("starts", 1)?, list("ends", 2)?) else { return Ok(None) };
        let axes = list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
            return Err("starts, ends, axes and steps differ in length".into());
        }
        let mut to = shape.to_vec();
        let mut start = vec![0; shape.len()];
        let mut step = vec![1isize; shape.len()];
        for i in 0..starts.len() {
            let axis = super::axis(axes[i], shape.len())?;
            let size = shape[axis] as i64;
            let from_end = |place: i64| if place < 0 { place.saturating_add(size) } else { place };
            let (low, high) = if steps[i] > 0 { (0, size) } else { (-1, size - 1) };
            let first = from_end(starts[i]).clamp(low.max(0), high);
            let last = if steps[i] < 0 && ends[i] < -size { -1 } else { from_end(ends[i]).clamp(low, high) };
            let span = if steps[i] > 0 { last - first } else { first - last };
            if steps[i] == 0 || span <= 0 {
                return Err(format!("it leaves nothing of axis {axis} of {shape:?}").into());
            }
            to[axis] = (span as usize).div_ceil(steps[i].unsigned_abs() as usize);
            start[axis] = first as usize;
            step[axis] = isize::try_from(steps[i]).unwrap_or(1);
        }
        Ok(Some((Movement::Slice { start, step }, to)))
    }
}
