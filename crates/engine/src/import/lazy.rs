//! Float expressions that wait for what follows them: their integer form, or their floats.

use super::expression::{Accumulator, Expression, Lazy};
use super::pointwise::{applied, chain, channels, clipped, evaluate, number, only_source, table_of};
use super::{Imported, Importer};
use crate::ElementKind;
use crate::graph::{Conv, Finish, Movement, Op, Quant, ValueId, ZeroPoint};
use std::rc::Rc;
use std::sync::Arc;

/// The most dimensions of a sum or product of bytes; of more, floats are added and multiplied.
const MOST_DIMENSIONS: usize = 4;

impl Importer<'_> {
    /// The expression quantized by `q`.
    pub fn quantized(&mut self, lazy: &Rc<Lazy>, q: Quant) -> Imported<ValueId> {
        if let Some(value) = self.in_integers(lazy, q)? {
            return Ok(value);
        }
        let floats = self.floats_of(lazy)?;
        self.quantize_floats(&lazy.name, floats, q)
    }

    /// Floats of the graph, quantized.
    pub fn quantize_floats(&mut self, name: &str, floats: ValueId, q: Quant) -> Imported<ValueId> {
        let shape = self.graph.values[floats].shape.clone();
        let op = Op::Quantize { scale: vec![q.scale], zero_point: vec![q.zero_point], axis: 0 };
        self.push(name, op, &[floats], q.kind, &shape)
    }

    fn in_integers(&mut self, lazy: &Rc<Lazy>, q: Quant) -> Imported<Option<ValueId>> {
        // A chain of unary functions over a quantized value is a table; over accumulators, where it only clips, it
        // narrows the range.
        let (base, functions) = chain(lazy);
        if matches!(base.expression, Expression::Weights { .. })
            && let Some((value, from)) = self.dequantized(&base)?
        {
            let operand = Lazy::new(&base.name, Expression::Dequantized(value, from), base.shape.clone());
            return self.in_integers(&applied(&operand, &functions), q);
        }
        let shape = &base.shape;
        let name = &lazy.name;
        let (low, high) = clipped(&functions, q);
        let clips = low.is_some();
        let (low, high) = (low.unwrap_or(0), high);
        if let Expression::Dequantized(value, from) = &lazy.expression
            && *from == q
        {
            return Ok(Some(*value));
        }
        if let Some((value, kind)) = only_source(lazy) {
            let table = |channel: usize| table_of(kind, |stored| q.quantize(evaluate(lazy, stored, channel)));
            let Some(channels) = channels(lazy) else {
                return self.look_up(name, value, table(0), q.kind).map(Some);
            };
            // Its parameters may be shared with other nodes, its tables are not.
            self.add_computed_bytes(256 * channels as u64)?;
            let tables: Arc<[[u8; 256]]> = (0..channels).map(table).collect();
            return self.push(name, Op::ChannelLut(tables), &[value], q.kind, &lazy.shape).map(Some);
        }
        match &base.expression {
            Expression::Moved(inner, movement) => {
                let inner = applied(inner, &functions);
                let value = self.quantized(&inner, q)?;
                self.move_value(name, value, movement.clone(), shape).map(Some)
            }
            Expression::Accumulated { kind, conv, input, scale } if clips => {
                let multiplier = scale.iter().map(|scale| scale / q.scale).collect();
                let finish = Finish::Bytes { multiplier, zero_point: q.zero_point, low, high };
                let op = kind.op(Conv { finish, ..(**conv).clone() });
                self.push(name, op, &[*input], q.kind, shape).map(Some)
            }
            Expression::Affine(x, affine) if clips => {
                let Expression::Accumulated { kind, conv, input, scale } = &x.expression else { return Ok(None) };
                let folded = affine.in_convolution(conv, scale, q.scale).filter(|_| x.shape == base.shape);
                let Some((conv, scale)) = folded.filter(|_| *kind != Accumulator::Linear || x.shape.len() == 2) else {
                    return Ok(None);
                };
                let multiplier = scale.iter().map(|scale| scale / q.scale).collect();
                let finish = Finish::Bytes { multiplier, zero_point: q.zero_point, low, high };
                self.push(name, kind.op(Conv { finish, ..conv }), &[*input], q.kind, shape).map(Some)
            }
            Expression::Add(a, b) if clips => {
                let (Some((a, qa)), Some((b, qb))) = (self.dequantized(a)?, self.dequantized(b)?) else {
                    return Ok(None);
                };
                let ratios = [qa.scale / q.scale, qb.scale / q.scale];
                // The order and the one fused step are those of ONNX Runtime on x86-64.
                let zeros = ratios[0].mul_add(qa.zero_point as f32, ratios[1] * qb.zero_point as f32);
                let fixed = q.zero_point as f32 - zeros;
                if let Some((source, table)) = self.table_of_pair((a, qa.kind), (b, qb.kind), |a, b| {
                    let real = (a as f32).mul_add(ratios[0], (b as f32).mul_add(ratios[1], fixed));
                    (real.round_ties_even() as i32).clamp(low, high)
                }) {
                    return self.look_up(name, source, table, q.kind).map(Some);
                }
                if shape.len() > MOST_DIMENSIONS {
                    return Ok(None);
                }
                self.push(name, Op::Add { ratios, fixed, low, high }, &[a, b], q.kind, shape).map(Some)
            }
            Expression::Mul(a, b) if clips => {
                let (Some((a, qa)), Some((b, qb))) = (self.dequantized(a)?, self.dequantized(b)?) else {
                    return Ok(None);
                };
                let ratio = qa.scale * qb.scale / q.scale;
                if let Some((source, table)) = self.table_of_pair((a, qa.kind), (b, qb.kind), |a, b| {
                    let product = (a - qa.zero_point) * (b - qb.zero_point);
                    let real = product as f32 * ratio + q.zero_point as f32;
                    (real.round_ties_even() as i32).clamp(low, high)
                }) {
                    return self.look_up(name, source, table, q.kind).map(Some);
                }
                if shape.len() > MOST_DIMENSIONS {
                    return Ok(None);
                }
                let zero_points = [qa.zero_point, qb.zero_point];
                let op = Op::Mul { zero_points, ratio, zero_point: q.zero_point, low, high };
                self.push(name, op, &[a, b], q.kind, shape).map(Some)
            }
            Expression::MatMul(a, b) if clips => {
                let (Some((a, qa)), Some((b, qb))) = (self.dequantized(a)?, self.dequantized(b)?) else {
                    return Ok(None);
                };
                let multiplier = vec![qa.scale * qb.scale / q.scale];
                let finish = Finish::Bytes { multiplier, zero_point: q.zero_point, low, high };
                let (za, zb) = (ZeroPoint::Known(qa.zero_point), ZeroPoint::Known(qb.zero_point));
                self.push(name, Op::MatMul { a: za, b: zb, finish }, &[a, b], q.kind, shape).map(Some)
            }
            Expression::AveragePool(x, window) if functions.is_empty() => {
                let Some((x, qx)) = self.dequantized(x)? else { return Ok(None) };
                let scale = qx.scale / q.scale;
                let (window, x_zero_point) = (window.clone(), qx.zero_point);
                let op = Op::AveragePool { window, x_zero_point, scale, zero_point: q.zero_point };
                self.push(name, op, &[x], q.kind, shape).map(Some)
            }
            Expression::Bilinear(x, rows, columns) if functions.is_empty() => {
                let Some((x, qx)) = self.dequantized(x)? else { return Ok(None) };
                let op = Op::Bilinear { rows: rows.clone(), columns: columns.clone(), x: qx, y: q };
                self.push(name, op, &[x], q.kind, shape).map(Some)
            }
            Expression::Concat(parts, axis) => {
                // Each part is requantized on its own, so functions of one number apply to each part.
                let mut values = Vec::with_capacity(parts.len());
                for part in parts {
                    values.push(self.quantized(&applied(part, &functions), q)?);
                }
                let op = Op::Movement(Movement::Concat { axis: *axis });
                self.push(name, op, &values, q.kind, shape).map(Some)
            }
            Expression::Softmax(x, axis) if functions.is_empty() => {
                let Some((x, qx)) = self.dequantized(x)? else { return Ok(None) };
                // Shifted so that the greatest sum stays well below the largest float, as ONNX Runtime has it.
                let room = libm::log(f64::from(f32::MAX) / shape[*axis] as f64) - 5.0;
                let scale = f64::from(qx.scale);
                let exponent = |i: usize| (i as f64 - 255.0) * scale + room.max(0.0);
                // And so much lower, by a power of two, that a number of steps times the greatest is one, too: no bit of a result
                // depends on that.
                let steps = (1.0 / q.scale).floor().clamp(1.0, 1e36);
                let lower = f32::from_bits((253 - (steps.to_bits() >> 23)) << 23);
                let table = Arc::new(std::array::from_fn(|i| libm::exp(exponent(i)) as f32 * lower));
                self.push(name, Op::Softmax { axis: *axis, table, y: q }, &[x], q.kind, shape).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The stored value behind an expression that is nothing but a dequantized tensor.
    pub fn dequantized(&mut self, lazy: &Rc<Lazy>) -> Imported<Option<(ValueId, Quant)>> {
        match &lazy.expression {
            Expression::Dequantized(value, q) => Ok(Some((*value, *q))),
            Expression::Weights { stored, scale, zero_point, .. } if scale.len() == 1 => {
                let stored = self.elements(stored)?;
                let kind = crate::tract::kind(stored.datum_type())?;
                if !matches!(kind, ElementKind::U8 | ElementKind::I8) {
                    return Ok(None);
                }
                let bytes = super::onnx::raw_bytes(&stored)?;
                let value = self.constant_value(&lazy.name, bytes, kind, stored.shape())?;
                Ok(Some((value, Quant { scale: scale[0], zero_point: zero_point[0], kind })))
            }
            _ => Ok(None),
        }
    }

    /// A function of two values as a table of one, where both are functions of the same value, or one is a constant
    /// number.
    fn table_of_pair(
        &self,
        (a, a_kind): (ValueId, ElementKind),
        (b, b_kind): (ValueId, ElementKind),
        of: impl Fn(i32, i32) -> i32,
    ) -> Option<(ValueId, [u8; 256])> {
        let constant = |id: ValueId| {
            let node = self.graph.nodes.iter().rev().find(|node| node.outputs[0] == id)?;
            match &node.op {
                Op::Constant(bytes) if bytes.len() == 1 => Some(bytes[0]),
                _ => None,
            }
        };
        let identity = |id: ValueId| (id, Arc::new(std::array::from_fn(|i| i as u8)));
        let table = |id: ValueId| self.tables.get(&id).cloned().unwrap_or_else(|| identity(id));
        let ((s, a_table), (t, b_table)) = (table(a), table(b));
        let (a_byte, b_byte) = (constant(a), constant(b));
        let source = match (a_byte, b_byte) {
            (None, Some(_)) if self.graph.values[b].shape.len() <= self.graph.values[a].shape.len() => s,
            (Some(_), None) if self.graph.values[a].shape.len() <= self.graph.values[b].shape.len() => t,
            (None, None) if s == t => s,
            _ => return None,
        };
        let kind = self.graph.values[source].kind;
        let of_stored = |stored: i32| {
            let from_table = |table: &[u8; 256]| table[usize::from(stored as u8)];
            let a = a_byte.unwrap_or_else(|| from_table(&a_table));
            let b = b_byte.unwrap_or_else(|| from_table(&b_table));
            of(number(a, a_kind), number(b, b_kind))
        };
        Some((source, table_of(kind, of_stored)))
    }

    /// `table[value]`; a table of a table becomes one.
    fn look_up(&mut self, name: &str, value: ValueId, table: [u8; 256], kind: ElementKind) -> Imported<ValueId> {
        let (source, table) = match self.tables.get(&value) {
            Some((source, inner)) => (*source, inner.map(|byte| table[usize::from(byte)])),
            None => (value, table),
        };
        let same = self
            .tables
            .iter()
            .find(|(id, (s, t))| *s == source && **t == table && self.graph.values[**id].kind == kind);
        if let Some((&id, _)) = same {
            return Ok(id);
        }
        let table = Arc::new(table);
        let shape = self.graph.values[source].shape.clone();
        let output = self.push(name, Op::Lut(Arc::clone(&table)), &[source], kind, &shape)?;
        self.tables.insert(output, (source, table));
        Ok(output)
    }

    /// The expression's floats.
    pub fn floats_of(&mut self, lazy: &Rc<Lazy>) -> Imported<ValueId> {
        if let Some(value) = lazy.computed.get() {
            return Ok(value);
        }
        let value = self.compute_floats(lazy)?;
        lazy.computed.set(Some(value));
        Ok(value)
    }

    fn compute_floats(&mut self, lazy: &Rc<Lazy>) -> Imported<ValueId> {
        use crate::graph::{Binary, FloatOp};
        let (name, shape) = (&lazy.name, &lazy.shape);
        let float = ElementKind::F32;
        match &lazy.expression {
            Expression::Dequantized(value, q) => {
                let op = Op::Dequantize { scale: vec![q.scale], zero_point: vec![q.zero_point], axis: 0 };
                self.push(name, op, &[*value], float, shape)
            }
            Expression::Weights { stored, scale, zero_point, axis } => {
                // Once, here: in each run it would take as long as what reads it.
                let floats = dequantized_floats(&*self.elements(stored)?, scale, zero_point, *axis)?;
                self.constant_value(name, super::onnx::raw_bytes(&floats)?, float, shape)
            }
            Expression::Accumulated { kind, conv, input, scale } => {
                let finish = Finish::Floats { scale: scale.clone() };
                self.push(name, kind.op(Conv { finish, ..(**conv).clone() }), &[*input], float, shape)
            }
            Expression::Unary(x, function) => {
                let x = self.floats_of(x)?;
                self.push(name, Op::Unary(*function), &[x], float, shape)
            }
            Expression::Affine(x, affine) => {
                let x = self.floats_of(x)?;
                self.affine_floats(name, x, affine)
            }
            Expression::Add(a, b) | Expression::Mul(a, b) => {
                let (a, b) = (self.floats_of(a)?, self.floats_of(b)?);
                let add = matches!(lazy.expression, Expression::Add(..));
                let op = FloatOp::Binary(if add { Binary::Add } else { Binary::Mul });
                self.push(name, Op::Float(op), &[a, b], float, shape)
            }
            Expression::MatMul(a, b) => {
                if let (Some((a, qa)), Some((b, qb))) = (self.dequantized(a)?, self.dequantized(b)?) {
                    let finish = Finish::Floats { scale: vec![qa.scale * qb.scale] };
                    let (za, zb) = (ZeroPoint::Known(qa.zero_point), ZeroPoint::Known(qb.zero_point));
                    return self.push(name, Op::MatMul { a: za, b: zb, finish }, &[a, b], float, shape);
                }
                let (a, b) = (self.floats_of(a)?, self.floats_of(b)?);
                self.push(name, Op::Float(FloatOp::MatMul), &[a, b], float, shape)
            }
            Expression::Concat(parts, axis) => {
                let parts = parts.iter().map(|part| self.floats_of(part)).collect::<Result<Vec<_>, _>>()?;
                self.push(name, Op::Movement(Movement::Concat { axis: *axis }), &parts, float, shape)
            }
            Expression::Moved(x, movement) => {
                let x = self.floats_of(x)?;
                self.move_value(name, x, movement.clone(), shape)
            }
            Expression::Softmax(x, axis) => {
                let x = self.floats_of(x)?;
                self.push(name, Op::Float(FloatOp::Softmax { axis: *axis }), &[x], float, shape)
            }
            Expression::AveragePool(x, window) => {
                let x = self.floats_of(x)?;
                self.push(name, Op::Float(FloatOp::AveragePool(window.clone())), &[x], float, shape)
            }
            Expression::Bilinear(x, rows, columns) => {
                let x = self.floats_of(x)?;
                let op = FloatOp::Bilinear(rows.clone(), columns.clone());
                self.push(name, Op::Float(op), &[x], float, shape)
            }
        }
    }
}

/// `scale * (stored - zero_point)` of a constant, with a scale and a zero point for each place along `axis`, or for all.
pub fn dequantized_floats(
    stored: &tract_onnx::prelude::Tensor,
    scale: &[f32],
    zero_point: &[i32],
    axis: usize,
) -> Result<tract_onnx::prelude::Tensor, String> {
    let inner: usize = if scale.len() == 1 { 1 } else { stored.shape()[axis + 1..].iter().product() };
    let real = |(i, number): (usize, i32)| {
        let place = i / inner.max(1) % scale.len();
        number.wrapping_sub(zero_point[place]) as f32 * scale[place]
    };
    let floats: Vec<f32> = super::onnx::integers_32(stored)?.into_iter().enumerate().map(real).collect();
    tract_onnx::prelude::Tensor::from_shape(stored.shape(), &floats).map_err(|error| error.to_string())
}
