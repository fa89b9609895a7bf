//! Gather and GatherND: of a constant table, row by row; of quantized tensors, as bytes; of anything else, as it is.

use super::expression::{Expression, Lazy, Stored};
use super::onnx::{integers, raw_bytes};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, FloatOp, Movement, Op, ValueId};
use crate::tract::kind;
use std::rc::Rc;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

/// Which elements a node takes.
struct Choice {
    name: String,
    axis: usize,
    indices: ValueId,
    /// Shape of the indices, which takes the place of the axis.
    shape: Vec<usize>,
}

impl Choice {
    /// The shape of what is gathered from `data`.
    fn output(&self, data: &[usize]) -> Vec<usize> {
        [&data[..self.axis], &self.shape, &data[self.axis + 1..]].concat()
    }
}

impl<'a> Importer<'a> {
    pub(super) fn gather(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        use super::onnx::Attributes;
        let stored = self.stored(node, 0)?;
        let shape = match &stored {
            Some((_, shape)) => shape.clone(),
            None => self.shape(&self.needed(node, 0)?),
        };
        let axis = super::axis(node.int("axis", 0), shape.len())?;
        let held = self.needed(node, 1)?;
        if let Binding::Constant(indices) = &held {
            let length = shape[axis] as i64;
            if let Some(index) = integers(indices)?.iter().find(|index| !(-length..length).contains(*index)) {
                return Err(format!("index {index} is out of range of axis {axis} of {shape:?}").into());
            }
        }
        let indices = match &held {
            Binding::Lazy(_) => return Err("its indices are floats".into()),
            held => self.compute(held)?,
        };
        let choice = Choice { name: name_of(node), axis, indices, shape: self.shape(&held) };
        if let (Some((stored, _)), 0) = (&stored, axis) {
            let value = self.gather_rows(&choice, stored, &shape)?;
            return self.done(node, Binding::Value(value));
        }
        let gathered = match self.get(&node.input[0])? {
            Binding::Constant(table) => {
                let data = self.compute(&Binding::Constant(table))?;
                Binding::Value(self.gather_value(&choice, data)?)
            }
            Binding::Value(data) => Binding::Value(self.gather_value(&choice, data)?),
            Binding::Lazy(lazy) => self.gather_lazy(&choice, &lazy)?,
        };
        self.done(node, gathered)
    }

    /// `GatherND` with indices into the first axes; with axes of batches it is left to tract.
    pub(super) fn gather_nd(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        use super::onnx::Attributes;
        let (data, indices) = (self.needed(node, 0)?, self.needed(node, 1)?);
        let (shape, places) = (self.shape(&data), self.shape(&indices));
        if node.int("batch_dims", 0) != 0 {
            return Ok(Handled::No);
        }
        let Some((&depth, places)) = places.split_last() else { return Err("its indices are one number".into()) };
        let Some(rest) = shape.get(depth..) else {
            return Err(format!("indices of {depth} axes do not fit {shape:?}").into());
        };
        let to = [places, rest].concat();
        let (data, indices) = (self.compute(&data)?, self.compute(&indices)?);
        let y = self.push(&name_of(node), Op::GatherNd, &[data, indices], self.graph.values[data].kind, &to)?;
        self.done(node, Binding::Value(y))
    }

    fn gather_value(&mut self, choice: &Choice, data: ValueId) -> Imported<ValueId> {
        let (kind, shape) = (self.graph.values[data].kind, choice.output(&self.graph.values[data].shape));
        self.push(&choice.name, Op::Gather { axis: choice.axis }, &[data, choice.indices], kind, &shape)
    }

    /// Rows of a table lie outside of the arena, once for all sessions.
    fn gather_rows(&mut self, choice: &Choice, table: &Stored, shape: &[usize]) -> Imported<ValueId> {
        let (table, kind) = match self.stored_bytes(table) {
            Some(stored) => stored,
            None => {
                let table = self.elements(table)?;
                (self.table(&raw_bytes(&table)?)?, kind(table.datum_type())?)
            }
        };
        let op = Op::GatherRows { table, rows: shape[0] };
        self.push(&choice.name, op, &[choice.indices], kind, &choice.output(shape))
    }

    fn gather_lazy(&mut self, choice: &Choice, lazy: &Rc<Lazy>) -> Imported<Binding> {
        let shape = choice.output(&lazy.shape);
        let expression = match &lazy.expression {
            Expression::Dequantized(value, q) => Expression::Dequantized(self.gather_value(choice, *value)?, *q),
            Expression::Unary(x, function) => {
                let Binding::Lazy(x) = self.gather_lazy(choice, x)? else {
                    let floats = self.floats_of(lazy)?;
                    return Ok(Binding::Value(self.gather_value(choice, floats)?));
                };
                Expression::Unary(x, *function)
            }
            Expression::Weights { stored, scale, zero_point, axis } => {
                let bytes = self.kind_of_stored(stored)?;
                let value = if choice.axis == 0 {
                    self.gather_rows(choice, stored, &lazy.shape)?
                } else {
                    let data = self.elements(stored)?;
                    let data = self.compute(&Binding::Constant(data))?;
                    self.gather_value(choice, data)?
                };
                if let (&[scale], &[zero_point]) = (&scale[..], &zero_point[..]) {
                    if super::geometry::is_byte(bytes) {
                        let q = crate::graph::Quant { scale, zero_point, kind: bytes };
                        return Ok(Binding::Lazy(Lazy::new(&choice.name, Expression::Dequantized(value, q), shape)));
                    }
                } else if *axis == choice.axis {
                    return self.with_gathered_scales(choice, value, scale, zero_point).map(Binding::Value);
                }
                // Scales of another axis stay with it.
                let axis = if *axis < choice.axis { *axis } else { axis + choice.shape.len() - 1 };
                let op = Op::Dequantize { scale: scale.clone(), zero_point: zero_point.clone(), axis };
                return Ok(Binding::Value(self.push(&choice.name, op, &[value], ElementKind::F32, &shape)?));
            }
            _ => {
                let floats = self.floats_of(lazy)?;
                return Ok(Binding::Value(self.gather_value(choice, floats)?));
            }
        };
        Ok(Binding::Lazy(Lazy::new(&choice.name, expression, shape)))
    }

    /// `(value - zero_point) * scale` where both are gathered along the same axis.
    fn with_gathered_scales(
        &mut self,
        choice: &Choice,
        value: ValueId,
        scale: &[f32],
        zero_point: &[i32],
    ) -> Imported<ValueId> {
        let (name, float) = (&choice.name, ElementKind::F32);
        let shape = self.graph.values[value].shape.clone();
        let mut y = self.push(name, Op::Cast, &[value], float, &shape)?;
        let zero_point: Vec<f32> = zero_point.iter().map(|&zero| zero as f32).collect();
        for (list, op) in [(&zero_point[..], Binary::Sub), (scale, Binary::Mul)] {
            if op == Binary::Sub && list.iter().all(|&zero| zero == 0.0) {
                continue;
            }
            let table = Arc::new(list.iter().flat_map(|number| number.to_ne_bytes()).collect());
            let rows = Op::GatherRows { table, rows: list.len() };
            let list = self.push(name, rows, &[choice.indices], float, &choice.shape)?;
            let behind = shape.len() - choice.axis - choice.shape.len();
            let spread = [&choice.shape[..], &vec![1; behind]].concat();
            let list = self.move_value(name, list, Movement::Reshape, &spread)?;
            y = self.push(name, Op::Float(FloatOp::Binary(op)), &[y, list], float, &shape)?;
        }
        Ok(y)
    }
}
