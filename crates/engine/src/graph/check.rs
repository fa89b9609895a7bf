//! Whether an op's operands have the kinds and shapes that it is written for. Steps read the arena's bytes by what the op
//! expects: an operand of another kind would be read as something that it is not.

use super::check_float::check_float;
use super::{
    Arithmetic, Cell, Graph, Movement, Node, NumberOp, Op, RecurrenceWeights, Recurrent, Weights, ZeroPoint, broadcast,
};
use crate::ElementKind;

fn is_byte(kind: ElementKind) -> bool {
    matches!(kind, ElementKind::U8 | ElementKind::I8)
}

impl Graph {
    /// Checks a node against the kinds and shapes of what it reads and writes.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, node: &Node) -> Result<(), String> {
        use ElementKind::{Bool, F32, I16, I32, I64, U16};
        let kind = |i: usize| self.values.get(*node.inputs.get(i)?).map(|value| value.kind);
        let shape = |i: usize| node.inputs.get(i).map_or(&[][..], |&id| &self.values[id].shape);
        let output = node.outputs.first().ok_or("it has no output")?;
        let (y_kind, y_shape) = (self.values[*output].kind, &self.values[*output].shape[..]);
        let wrong_kind = |i: usize| match kind(i) {
            Some(kind) => Err(format!("its input {i} has elements of type {kind}, which it does not take")),
            None => Err(format!("its input {i} is missing")),
        };
        let needs =
            |i: usize, fits: fn(ElementKind) -> bool| if kind(i).is_some_and(fits) { Ok(()) } else { wrong_kind(i) };
        let bytes = |i: usize| needs(i, is_byte);
        let floats = |i: usize| needs(i, |kind| kind == F32);
        let same_shape = || match shape(0) == y_shape {
            true => Ok(()),
            false => Err(format!("its input {:?} and output {y_shape:?} differ in shape", shape(0))),
        };
        let fits_broadcast = || match broadcast(shape(0), shape(1)) {
            Some(both) if both == y_shape => Ok(()),
            _ => Err(format!("its inputs {:?} and {:?} do not make {y_shape:?}", shape(0), shape(1))),
        };
        let along = |count: usize, zero_points: usize, axis: usize| {
            let fits = count == zero_points && (count == 1 || shape(0).get(axis) == Some(&count));
            if fits { Ok(()) } else { Err(format!("{count} scales do not fit axis {axis} of {:?}", shape(0))) }
        };
        let within = |axis: usize| {
            if axis < shape(0).len() { Ok(()) } else { Err(format!("axis {axis} of {} dimensions", shape(0).len())) }
        };
        match &node.op {
            Op::Conv(conv) | Op::ConvTranspose(conv) | Op::Linear(conv) => {
                bytes(0)?;
                let count = conv.outputs * conv.inputs * conv.kernel[0] * conv.kernel[1];
                let whole = |weights: &Weights| {
                    weights.first.len() == count && weights.rest.iter().all(|rest| rest.len() == count)
                };
                if !whole(&conv.weights) || conv.bias.len() != conv.outputs {
                    return Err("its weights or its bias do not fit its outputs".into());
                }
                self.held_zero_point(conv.zero_point, kind(0))
            }
            Op::MatMul { a, b, .. } => {
                bytes(0)?;
                bytes(1)?;
                let (left, right) = (shape(0), shape(1));
                if left.len() < 2 || right.len() < 2 || left[left.len() - 1] != right[right.len() - 2] {
                    return Err(format!("shapes {left:?} and {right:?} cannot be multiplied"));
                }
                self.held_zero_point(*a, kind(0))?;
                self.held_zero_point(*b, kind(1))
            }
            Op::Lut(_) => bytes(0).and_then(|()| same_shape()),
            Op::ChannelLut(tables) => {
                bytes(0).and_then(|()| same_shape())?;
                let fits = y_shape.get(1) == Some(&tables.len());
                if fits { Ok(()) } else { Err(format!("{} tables for channels of {y_shape:?}", tables.len())) }
            }
            Op::Add { .. } | Op::Mul { .. } => {
                bytes(0)?;
                bytes(1)?;
                fits_broadcast()
            }
            Op::MaxPool(_) | Op::AveragePool { .. } | Op::Bilinear { .. } => bytes(0),
            Op::Softmax { axis, .. } => bytes(0).and_then(|()| within(*axis)).and_then(|()| same_shape()),
            Op::Quantize { scale, zero_point, axis } => {
                floats(0)?;
                same_shape()?;
                along(scale.len(), zero_point.len(), *axis)
            }
            Op::Dequantize { scale, zero_point, axis } => {
                needs(0, |kind| is_byte(kind) || matches!(kind, I32 | U16 | I16))?;
                same_shape()?;
                along(scale.len(), zero_point.len(), *axis)
            }
            Op::DynamicQuantize => floats(0).and_then(|()| same_shape()),
            Op::Unary(_) => floats(0).and_then(|()| same_shape()),
            Op::Cast => needs(0, |_| true).and_then(|()| same_shape()),
            Op::Number(op) => {
                let whole = |i: usize| needs(i, |kind| kind != Bool && !kind.is_float());
                let truth = |i: usize| needs(i, |kind| kind == Bool);
                let numbers = |i: usize| needs(i, |kind| kind != Bool);
                let gives = |fits: bool| match fits {
                    true => Ok(()),
                    false => Err(format!("its output has elements of type {y_kind}, which it does not give")),
                };
                let alike = |i: usize, j: usize| if kind(i) == kind(j) { Ok(()) } else { wrong_kind(j) };
                match op {
                    NumberOp::Arithmetic(op) => {
                        let floats = matches!(op, Arithmetic::Modulo | Arithmetic::Remainder);
                        if floats {
                            numbers(0)?
                        } else {
                            whole(0)?
                        }
                        alike(0, 1).and_then(|()| fits_broadcast())?;
                        gives(kind(0) == Some(y_kind))
                    }
                    NumberOp::Compare(_) => {
                        needs(0, |_| true).and_then(|()| alike(0, 1)).and_then(|()| fits_broadcast())?;
                        gives(y_kind == Bool)
                    }
                    NumberOp::Logic(_) => {
                        truth(0).and_then(|()| truth(1)).and_then(|()| fits_broadcast())?;
                        gives(y_kind == Bool)
                    }
                    NumberOp::Not => truth(0).and_then(|()| same_shape()).and_then(|()| gives(y_kind == Bool)),
                    NumberOp::IsNan | NumberOp::IsInfinite { .. } => {
                        floats(0).and_then(|()| same_shape()).and_then(|()| gives(y_kind == Bool))
                    }
                    NumberOp::Absolute | NumberOp::Negative | NumberOp::BitNot => {
                        whole(0).and_then(|()| same_shape()).and_then(|()| gives(kind(0) == Some(y_kind)))
                    }
                    NumberOp::Sign => {
                        numbers(0).and_then(|()| same_shape()).and_then(|()| gives(kind(0) == Some(y_kind)))
                    }
                    NumberOp::Where => {
                        truth(0)?;
                        alike(1, 2).and_then(|()| gives(kind(1) == Some(y_kind)))?;
                        let all = broadcast(shape(0), shape(1)).and_then(|both| broadcast(&both, shape(2)));
                        if all.as_deref() == Some(y_shape) {
                            return Ok(());
                        }
                        Err(format!(
                            "its inputs {:?}, {:?} and {:?} do not make {y_shape:?}",
                            shape(0),
                            shape(1),
                            shape(2)
                        ))
                    }
                    NumberOp::ArgReduce { axis, .. } => {
                        within(*axis).and_then(|()| gives(y_kind == I64))?;
                        self.check_reduced(node, &[*axis])
                    }
                    NumberOp::GatherElements { axis } => {
                        needs(1, |kind| matches!(kind, I32 | I64))?;
                        within(*axis).and_then(|()| gives(kind(0) == Some(y_kind)))?;
                        let (x, indices) = (shape(0), shape(1));
                        let inside = (0..x.len()).all(|i| i == *axis || indices.get(i).is_some_and(|dim| *dim <= x[i]));
                        let fits = indices == y_shape && x.len() == indices.len() && inside;
                        if fits { Ok(()) } else { Err(format!("{x:?} by {indices:?} does not make {y_shape:?}")) }
                    }
                    NumberOp::Reduce { axes, .. } => {
                        whole(0).and_then(|()| gives(kind(0) == Some(y_kind)))?;
                        self.check_reduced(node, axes)
                    }
                }
            }
            Op::Float(op) => {
                for i in 0..node.inputs.len() {
                    floats(i)?;
                }
                let shapes: Vec<&[usize]> = (0..node.inputs.len()).map(shape).collect();
                check_float(op, &shapes, y_shape)
            }
            Op::Movement(movement) => {
                if (0..node.inputs.len()).any(|i| kind(i) != Some(y_kind)) {
                    return Err("its inputs and its output have different types".into());
                }
                self.check_movement(node, movement, y_shape)
            }
            Op::Gather { axis } => {
                within(*axis)?;
                needs(1, |kind| matches!(kind, I32 | I64))?;
                let (x, places) = (shape(0), shape(1));
                let fits = kind(0) == Some(y_kind) && [&x[..*axis], places, &x[axis + 1..]].concat() == y_shape;
                if fits { Ok(()) } else { Err(format!("{x:?} by {places:?} does not make {y_shape:?}")) }
            }
            Op::GatherRows { table, rows } => {
                needs(0, |kind| matches!(kind, I32 | I64))?;
                let places = shape(0);
                let row = y_shape.strip_prefix(places).map(|row| row.iter().product::<usize>() * y_kind.size());
                let fits = row.and_then(|row| row.checked_mul(*rows)) == Some(table.len()) && *rows > 0;
                if fits { Ok(()) } else { Err(format!("{} bytes of a table do not make {y_shape:?}", table.len())) }
            }
            Op::GatherNd => {
                needs(1, |kind| kind == I64)?;
                let (x, places) = (shape(0), shape(1));
                let fits = kind(0) == Some(y_kind)
                    && places.split_last().is_some_and(|(&depth, places)| {
                        depth > 0 && x.get(depth..).is_some_and(|rest| [places, rest].concat() == y_shape)
                    });
                if fits { Ok(()) } else { Err(format!("{x:?} by {places:?} does not make {y_shape:?}")) }
            }
            Op::NonMaxSuppression { most, iou_threshold, score_threshold, .. } => {
                floats(0)?;
                floats(1)?;
                let given = [(*most, I64), (*iou_threshold, F32), (*score_threshold, F32)];
                let given = given.iter().filter(|(given, _)| *given).enumerate();
                let numbers = given
                    .clone()
                    .all(|(i, (_, of))| kind(i + 2) == Some(*of) && shape(i + 2).iter().product::<usize>() == 1);
                let fits = matches!((shape(0), shape(1)), (&[batches, count, 4], &[scored, _, scores])
                    if batches == scored && count == scores);
                if !numbers || node.inputs.len() != 2 + given.count() {
                    return Err("its parameters must be one number each".into());
                }
                let y = fits && y_kind == I64 && matches!(y_shape, [_, 3]) && self.has_count(node);
                if y { Ok(()) } else { Err(format!("boxes {:?} and scores {:?} do not fit", shape(0), shape(1))) }
            }
            Op::TopK { axis, .. } => {
                needs(0, |kind| kind != Bool).and_then(|()| within(*axis))?;
                let along = |i: usize| {
                    if i == *axis { y_shape.get(i) <= shape(0).get(i) } else { y_shape.get(i) == shape(0).get(i) }
                };
                let fits = kind(0) == Some(y_kind) && y_shape.len() == shape(0).len() && (0..y_shape.len()).all(along);
                let indices = node
                    .outputs
                    .get(1)
                    .is_some_and(|&id| self.values[id].kind == I64 && self.values[id].shape == y_shape);
                if fits && indices { Ok(()) } else { Err(format!("{:?} does not make {y_shape:?}", shape(0))) }
            }
            Op::NonZero => {
                needs(0, |_| true)?;
                let rank = shape(0).len();
                let fits = rank > 0 && y_kind == I64 && self.has_count(node);
                let room = matches!(y_shape, [axes, bound] if *axes == rank && *bound >= shape(0).iter().product());
                if fits && room { Ok(()) } else { Err(format!("{:?} does not make {y_shape:?}", shape(0))) }
            }
            Op::Recurrent(layer) => self.check_recurrent(node, layer),
            Op::Constant(bytes) => {
                let expected = y_kind.size() * y_shape.iter().product::<usize>();
                if bytes.len() == expected { Ok(()) } else { Err(format!("{} bytes for {expected}", bytes.len())) }
            }
            Op::Island(_) => Ok(()),
        }
    }

    /// Whether the second output is one whole number.
    fn has_count(&self, node: &Node) -> bool {
        let count = |&id: &usize| self.values[id].kind == ElementKind::I64 && self.values[id].len() == 1;
        node.outputs.len() == 2 && node.outputs.get(1).is_some_and(count)
    }

    /// A zero point that a value holds is one byte of the operand's kind.
    fn held_zero_point(&self, zero: ZeroPoint, operand: Option<ElementKind>) -> Result<(), String> {
        match zero {
            ZeroPoint::Held(id) if Some(self.values[id].kind) != operand || self.values[id].len() != 1 => {
                Err("its zero point must be one element of the type of its operand".into())
            }
            _ => Ok(()),
        }
    }

    /// The output has one element along `axes`, and the input's dimensions elsewhere.
    fn check_reduced(&self, node: &Node, axes: &[usize]) -> Result<(), String> {
        let (from, to) = (&self.values[node.inputs[0]].shape, &self.values[node.outputs[0]].shape);
        let fits = from.len() == to.len()
            && (0..from.len()).all(|axis| to[axis] == if axes.contains(&axis) { 1 } else { from[axis] });
        if fits { Ok(()) } else { Err(format!("{from:?} over axes {axes:?} does not make {to:?}")) }
    }

    /// Inputs and outputs have the shapes that the layer states; all are floats but the lengths.
    fn check_recurrent(&self, node: &Node, layer: &Recurrent) -> Result<(), String> {
        let (d, b, h, g) = (layer.directions(), layer.batch, layer.hidden, layer.gates());
        let value = |id: &usize| (self.values[*id].kind, &self.values[*id].shape[..]);
        let steps = value(&node.outputs[0]).1.first().copied().unwrap_or(0);
        let before = 1 + usize::from(matches!(layer.weights, RecurrenceWeights::Computed));
        let lengths = before + usize::from(layer.operands.bias);
        let inputs = layer.inputs(steps);
        let of = |i: usize| {
            if layer.operands.lengths && i == lengths { ElementKind::I32 } else { ElementKind::F32 }
        };
        let mut outputs = vec![vec![steps, d, b, h], vec![d, b, h]];
        if layer.cell == Cell::Lstm {
            outputs.push(vec![d, b, h]);
        }
        let whole = match &layer.weights {
            RecurrenceWeights::Computed => true,
            RecurrenceWeights::Floats(weights) => weights.len() == d * h * g,
            RecurrenceWeights::Bytes(q) => {
                let sizes = (q.weights.len(), q.scale.len());
                sizes == (d * h * g, d * g) && !layer.operands.lengths && layer.cell == Cell::Lstm
            }
        };
        let active = layer.activations.len() == d
            && layer.activations.iter().all(|list| list.len() == layer.cell.activations().len());
        let fits = inputs.len() == node.inputs.len()
            && inputs.iter().enumerate().all(|(i, shape)| value(&node.inputs[i]) == (of(i), shape))
            && outputs.len() == node.outputs.len()
            && outputs.iter().zip(&node.outputs).all(|(shape, id)| value(id) == (ElementKind::F32, shape));
        if fits && whole && active && steps > 0 {
            return Ok(());
        }
        let shapes: Vec<&[usize]> = node.inputs.iter().map(|id| value(id).1).collect();
        Err(format!("its operands {shapes:?} do not fit {h} hidden numbers in {d} directions and a batch of {b}"))
    }

    fn check_movement(&self, node: &Node, movement: &Movement, to: &[usize]) -> Result<(), String> {
        let from = &self.values[node.inputs[0]].shape[..];
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let fits = match movement {
            Movement::Reshape | Movement::DepthToSpace { .. } | Movement::SpaceToDepth { .. } => {
                elements(from) == elements(to)
            }
            Movement::Transpose(order) => {
                order.len() == from.len()
                    && to.len() == from.len()
                    && order.iter().zip(to).all(|(&axis, &dim)| from.get(axis) == Some(&dim))
            }
            Movement::Concat { axis } => {
                let parts = node.inputs.iter().map(|&id| self.values[id].shape.get(*axis).copied().unwrap_or(0));
                Some(&parts.sum::<usize>()) == to.get(*axis)
            }
            Movement::Slice { start, step } => {
                start.len() == from.len()
                    && step.len() == from.len()
                    && to.len() == from.len()
                    && (0..from.len()).all(|i| {
                        let steps = isize::try_from(to[i].saturating_sub(1)).ok();
                        let last = steps.and_then(|steps| steps.checked_mul(step[i]));
                        let last = last.and_then(|last| start[i].checked_add_signed(last));
                        start[i] < from[i] && last.is_some_and(|last| last < from[i])
                    })
            }
            Movement::Pad { before, value } => {
                value.len() == self.values[node.inputs[0]].kind.size()
                    && before.len() == from.len()
                    && to.len() == from.len()
                    && (0..from.len()).all(|i| before[i].saturating_add(from[i]) <= to[i])
            }
            Movement::Expand => broadcast(from, to).as_deref() == Some(to),
            Movement::Tile(repeats) => {
                repeats.len() == from.len()
                    && to.len() == from.len()
                    && (0..from.len()).all(|i| from[i].checked_mul(repeats[i]) == Some(to[i]))
            }
            Movement::Nearest { rows, columns } => {
                let inside = |list: &[u32], axis: usize| {
                    let back = from.len().checked_sub(axis);
                    back.is_some_and(|at| list.len() == to[at] && list.iter().all(|&i| (i as usize) < from[at]))
                };
                to.len() == from.len() && inside(rows, 2) && inside(columns, 1)
            }
        };
        if fits { Ok(()) } else { Err(format!("{from:?} cannot be moved to {to:?}")) }
    }
}
