//! DequantizeLinear, the QLinear ops and dynamic quantization.

use super::expression::{Expression, Lazy};
use super::geometry::{average_window, is_byte, product_shape};
use super::lazy::dequantized_floats;
use super::onnx::{Attributes, floats, integers_32};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, Finish, FloatOp, Op, Quant, ZeroPoint};
use crate::tract::kind;
use crate::unary::Unary;
use std::rc::Rc;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

/// Scales must be positive and finite.
pub fn checked_scales(scales: Vec<f32>) -> Result<Vec<f32>, String> {
    match scales.iter().find(|scale| !(**scale > 0.0 && scale.is_finite())) {
        None if !scales.is_empty() => Ok(scales),
        None => Err("its scale is empty".into()),
        Some(bad) => Err(format!("a scale must be positive and finite, found {bad}")),
    }
}

impl<'a> Importer<'a> {
    pub(super) fn dequantize_linear(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let stored = self.stored(node, 0)?;
        let shape = match &stored {
            Some((_, shape)) => shape.clone(),
            None => self.shape(&self.needed(node, 0)?),
        };
        let of = match &stored {
            Some((stored, _)) => self.kind_of_stored(stored)?,
            None => self.kind_of(node, 0)?,
        };
        self.check_zero_point(node, 2, of)?;
        let Some(scale) = self.known(node, 1)? else { return self.dequantize_dynamic(node, shape) };
        if !matches!(scale.datum_type(), tract_onnx::prelude::DatumType::F32) {
            return Ok(Handled::No);
        }
        let scale = checked_scales(floats(&scale)?)?;
        let zero_point = match self.input(node, 2)? {
            Some(Binding::Constant(constant)) => integers_32(&constant)?,
            Some(_) => return self.dequantize_dynamic(node, shape),
            None => vec![0; scale.len()],
        };
        if zero_point.len() != scale.len() {
            return Err("its zero points are not as many as its scales".into());
        }
        let axis = if scale.len() == 1 { 0 } else { super::axis(node.int("axis", 1), shape.len())? };
        if scale.len() > 1 && (node.int("block_size", 0) != 0 || shape[axis] != scale.len()) {
            return Ok(Handled::No);
        }
        if let Some((stored, _)) = stored {
            if matches!(of, ElementKind::U16 | ElementKind::I16) {
                // What computes on more than eight bits computes in floats.
                let floats = dequantized_floats(&*self.elements(&stored)?, &scale, &zero_point, axis)?;
                return self.done(node, Binding::Constant(Arc::new(floats)));
            }
            return self.expression(node, Expression::Weights { stored, scale, zero_point, axis }, shape);
        }
        match self.needed(node, 0)? {
            Binding::Value(id) => {
                let kind = self.graph.values[id].kind;
                if scale.len() == 1 && is_byte(kind) {
                    let q = Quant { scale: scale[0], zero_point: zero_point[0], kind };
                    return self.expression(node, Expression::Dequantized(id, q), shape);
                }
                let op = Op::Dequantize { scale, zero_point, axis };
                let value = self.push(&name_of(node), op, &[id], ElementKind::F32, &shape)?;
                self.done(node, Binding::Value(value))
            }
            Binding::Constant(_) | Binding::Lazy(_) => Err("its input is not quantized".into()),
        }
    }

    /// With a scale that is computed: `(x - zero_point) * scale` in floats.
    fn dequantize_dynamic(&mut self, node: &'a NodeProto, shape: Vec<usize>) -> Imported<Handled> {
        let name = name_of(node);
        let held = self.needed(node, 0)?;
        let scale = self.needed(node, 1)?;
        if self.shape(&scale).iter().product::<usize>() != 1 {
            return Ok(Handled::No);
        }
        let float = ElementKind::F32;
        let x = self.compute(&held)?;
        let mut x = self.push(&name, Op::Cast, &[x], float, &shape)?;
        if let Some(zero_point) = self.input(node, 2)? {
            let zero_shape = self.shape(&zero_point);
            let zero_point = self.compute(&zero_point)?;
            let zero_point = self.push(&name, Op::Cast, &[zero_point], float, &zero_shape)?;
            x = self.push(&name, Op::Float(FloatOp::Binary(Binary::Sub)), &[x, zero_point], float, &shape)?;
        }
        let scale = self.compute(&scale)?;
        let y = self.push(&name, Op::Float(FloatOp::Binary(Binary::Mul)), &[x, scale], float, &shape)?;
        self.done(node, Binding::Value(y))
    }

    /// The operand of a QLinear op at inputs `at`, `at + 1` (scale) and `at + 2` (zero point). `along`: the axis of a constant along
    /// which it may have scales, counted from the end where negative.
    fn operand(&mut self, node: &'a NodeProto, at: usize, along: Option<i64>) -> Imported<Rc<Lazy>> {
        let given = self.parameter(node, at + 1, "scale")?;
        let scale = checked_scales(floats(&given)?)?;
        let of = match self.stored(node, at)? {
            Some((stored, _)) => self.kind_of_stored(&stored)?,
            None => self.kind_of(node, at)?,
        };
        self.check_zero_point(node, at + 2, of)?;
        let zero_point = self.zero_points(node, at + 2, scale.len())?;
        if let Some((stored, shape)) = self.stored(node, at)? {
            let axis = match along {
                _ if scale.len() == 1 => 0,
                Some(axis) => super::axis(axis, shape.len())?,
                None => {
                    return Err(format!("its input {shape:?} has {} scales, where one is needed", scale.len()).into());
                }
            };
            // A list, or of as many dimensions as the constant, with all of its numbers along that axis.
            let fits = |scales: &[usize]| match scales {
                [_] => shape[axis] == scale.len(),
                _ => scales.len() == shape.len() && [scales[axis], shape[axis]] == [scale.len(); 2],
            };
            if scale.len() > 1 && !fits(given.shape()) {
                let scales = given.shape();
                return Err(format!("its scales {scales:?} do not fit {shape:?} along axis {axis}").into());
            }
            let weights = Expression::Weights { stored, scale, zero_point, axis };
            return Ok(Lazy::new(&name_of(node), weights, shape));
        }
        let held = self.needed(node, at)?;
        let shape = self.shape(&held);
        let expression = match held {
            Binding::Value(id) if scale.len() == 1 && is_byte(self.graph.values[id].kind) => {
                let kind = self.graph.values[id].kind;
                Expression::Dequantized(id, Quant { scale: scale[0], zero_point: zero_point[0], kind })
            }
            _ => return Err("its input is not quantized for the whole tensor".into()),
        };
        Ok(Lazy::new(&name_of(node), expression, shape))
    }

    fn zero_points(&self, node: &NodeProto, at: usize, count: usize) -> Imported<Vec<i32>> {
        let zero_points = match self.input(node, at)? {
            None => vec![0; count],
            Some(Binding::Constant(constant)) => integers_32(&constant)?,
            Some(_) => return Err("its zero point must be a constant".into()),
        };
        match zero_points.len() {
            n if n == count => Ok(zero_points),
            1 => Ok(vec![zero_points[0]; count]),
            _ => Err("its zero points are not as many as its scales".into()),
        }
    }

    /// The output's scale and zero point at inputs `at` and `at + 1`; without a zero point, of the kind of `like`.
    fn result(&self, node: &NodeProto, at: usize, like: ElementKind) -> Imported<Quant> {
        let scale = checked_scales(floats(&*self.parameter(node, at, "scale")?)?)?;
        if scale.len() != 1 {
            return Err(format!("its output has {} scales, where one is needed", scale.len()).into());
        }
        let kind = match self.known(node, at + 1)? {
            Some(constant) => kind(constant.datum_type())?,
            None => like,
        };
        Ok(Quant { scale: scale[0], zero_point: self.zero_points(node, at + 1, 1)?[0], kind })
    }

    /// The bias of a QLinear op, in units of the accumulator.
    fn quantized_bias(&self, node: &NodeProto, at: usize) -> Imported<Option<Vec<i32>>> {
        let Some(bias) = self.input(node, at)? else { return Ok(None) };
        match bias {
            Binding::Constant(bias) if kind(bias.datum_type())? == ElementKind::I32 => Ok(Some(integers_32(&bias)?)),
            _ => Err("its bias must be a constant of type i32".into()),
        }
    }

    /// Zero points have the type of what they belong to; a constant of another type would be cut or rounded.
    pub(super) fn check_zero_point(&self, node: &NodeProto, at: usize, of: ElementKind) -> Imported<()> {
        let found = match self.input(node, at)? {
            None => return Ok(()),
            Some(Binding::Constant(constant)) => kind(constant.datum_type())?,
            Some(Binding::Value(id)) => self.graph.values[id].kind,
            Some(Binding::Lazy(_)) => ElementKind::F32,
        };
        if found == of {
            return Ok(());
        }
        Err(format!("its zero point \"{}\" is of type {found}, but what it belongs to of type {of}", node.input[at])
            .into())
    }

    pub(super) fn kind_of(&self, node: &NodeProto, at: usize) -> Imported<ElementKind> {
        if let Some((stored, _)) = self.stored(node, at)? {
            return self.kind_of_stored(&stored);
        }
        Ok(match self.needed(node, at)? {
            Binding::Constant(constant) => kind(constant.datum_type())?,
            Binding::Value(id) => self.graph.values[id].kind,
            Binding::Lazy(_) => return Err("its input is not quantized".into()),
        })
    }

    pub(super) fn qlinear(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let name = name_of(node);
        let lazy = |expression, shape: Vec<usize>| Lazy::new(&name, expression, shape);
        let (expression, q) = match node.op_type.as_str() {
            "QLinearConv" => {
                let (x, w) = (self.operand(node, 0, None)?, self.operand(node, 3, Some(0))?);
                let bias = self.quantized_bias(node, 8)?;
                let (expression, shape) = self.accumulated(node, &x, &w, bias)?;
                (self.to_rank(&x, expression, shape, &name), self.result(node, 6, self.kind_of(node, 0)?)?)
            }
            "QLinearMatMul" => {
                // Rows of the first operand may have scales, and columns of the second.
                let (a, b) = (self.operand(node, 0, Some(-2))?, self.operand(node, 3, Some(-1))?);
                let q = self.result(node, 6, self.kind_of(node, 0)?)?;
                (self.product(&name, &a, &b)?, q)
            }
            "QGemm" => {
                let columns = i64::from(node.int("transB", 0) == 0);
                let (a, b) = (self.operand(node, 0, None)?, self.operand(node, 3, Some(columns))?);
                let bias = self.quantized_bias(node, 6)?;
                let Some(expression) = self.general_product(node, &a, &b, bias)? else { return Ok(Handled::No) };
                if self.input(node, 7)?.is_none() {
                    return self.done(node, Binding::Lazy(expression));
                }
                (expression, self.result(node, 7, self.kind_of(node, 0)?)?)
            }
            "QLinearAdd" | "QLinearMul" => {
                let (a, b) = (self.operand(node, 0, None)?, self.operand(node, 3, None)?);
                let q = self.result(node, 6, self.kind_of(node, 0)?)?;
                let shape = super::elementwise::broadcast_shape(&a.shape, &b.shape)?;
                let add = node.op_type == "QLinearAdd";
                (lazy(if add { Expression::Add(a, b) } else { Expression::Mul(a, b) }, shape), q)
            }
            "QLinearSigmoid" | "QLinearLeakyRelu" => {
                let x = self.operand(node, 0, None)?;
                let shape = x.shape.clone();
                let leaky = Unary::LeakyRelu(node.float("alpha", 0.01));
                let function = if node.op_type == "QLinearSigmoid" { Unary::Sigmoid } else { leaky };
                (lazy(Expression::Unary(x, function), shape), self.result(node, 3, self.kind_of(node, 0)?)?)
            }
            "QLinearConcat" => {
                let parts = (2..node.input.len())
                    .step_by(3)
                    .map(|at| self.operand(node, at, None))
                    .collect::<Result<Vec<_>, _>>()?;
                let q = self.result(node, 0, self.kind_of(node, 2)?)?;
                let axis = super::axis(node.int("axis", 0), parts.first().map_or(0, |part| part.shape.len()))?;
                let shape =
                    super::movement::concatenated(&parts.iter().map(|p| p.shape.clone()).collect::<Vec<_>>(), axis)?;
                (lazy(Expression::Concat(parts, axis), shape), q)
            }
            "QLinearAveragePool" | "QLinearGlobalAveragePool" if node.int("channels_last", 0) == 0 => {
                let x = self.operand(node, 0, None)?;
                let q = self.result(node, 3, self.kind_of(node, 0)?)?;
                let Some((window, shape)) = average_window(node, &x.shape)? else {
                    return Ok(Handled::No);
                };
                (lazy(Expression::AveragePool(x, window), shape), q)
            }
            "QLinearSoftmax" => {
                let x = self.operand(node, 0, None)?;
                let q = self.result(node, 3, self.kind_of(node, 0)?)?;
                let shape = x.shape.clone();
                let axis = super::axis(node.int("axis", -1), shape.len())?;
                if node.int("opset", 13) < 13 && shape[axis + 1..].iter().any(|&dim| dim != 1) {
                    return Ok(Handled::No);
                }
                (lazy(Expression::Softmax(x, axis), shape), q)
            }
            _ => return Ok(Handled::No),
        };
        if !is_byte(q.kind) {
            return Ok(Handled::No);
        }
        let value = self.quantized(&expression, q)?;
        self.done(node, Binding::Value(value))
    }

    /// Ops of dynamic quantization: zero points are values.
    pub(super) fn dynamic(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let name = name_of(node);
        if node.op_type == "DynamicQuantizeLinear" {
            let held = self.needed(node, 0)?;
            let shape = self.shape(&held);
            let x = self.compute(&held)?;
            let y = self.push(&name, Op::DynamicQuantize, &[x], ElementKind::U8, &shape)?;
            let scale = self.new_value(&name, ElementKind::F32, &[])?;
            let zero_point = self.new_value(&name, ElementKind::U8, &[])?;
            if let Some(op) = self.graph.nodes.last_mut() {
                op.outputs.extend([scale, zero_point]);
            }
            for (index, value) in [y, scale, zero_point].into_iter().enumerate() {
                self.give(node, index, Binding::Value(value));
            }
            return Ok(Handled::Yes);
        }
        let Binding::Value(x) = self.needed(node, 0)? else { return Ok(Handled::No) };
        let Some(zero_point) = self.zero_point(node, 2)? else { return Ok(Handled::No) };
        let x_shape = self.graph.values[x].shape.clone();
        // A stand-in scale: the accumulators are asked for, not what they mean.
        let kind = self.graph.values[x].kind;
        self.check_zero_point(node, 2, kind)?;
        self.check_zero_point(node, 3, self.kind_of(node, 1)?)?;
        let x = Lazy::new(&name, Expression::Dequantized(x, Quant { scale: 1.0, zero_point: 0, kind }), x_shape);
        if node.op_type == "MatMulInteger" {
            let y = self.integer_product(node, &x, zero_point, [1, 3])?;
            return y.map_or(Ok(Handled::No), |y| self.done(node, Binding::Value(y)));
        }
        let Some((stored, shape)) = self.stored(node, 1)? else { return Ok(Handled::No) };
        let Some(zero) = self.known_zero_points(node, 3)? else { return Ok(Handled::No) };
        let scale = vec![1.0; zero.len()];
        let w = Lazy::new(&name, Expression::Weights { stored, scale, zero_point: zero, axis: 0 }, shape);
        let (expression, shape) = self.accumulated(node, &x, &w, None)?;
        let expression = self.to_rank(&x, expression, shape, &name);
        match self.accumulators(&name, &expression, zero_point)? {
            Some(y) => self.done(node, Binding::Value(y)),
            None => Ok(Handled::No),
        }
    }

    /// The accumulators of `x`, less its zero point, by the matrix at input `at[0]`, less that at `at[1]`.
    pub(super) fn integer_product(
        &mut self,
        node: &'a NodeProto,
        x: &Rc<Lazy>,
        zero_point: ZeroPoint,
        at: [usize; 2],
    ) -> Imported<Option<usize>> {
        let (name, stored) = (name_of(node), self.stored(node, at[0])?);
        let shape = match &stored {
            Some((_, shape)) => shape.clone(),
            None => self.shape(&self.needed(node, at[0])?),
        };
        let Some(to) = product_shape(&x.shape, &shape) else {
            return Err(format!("shapes {:?} and {shape:?} cannot be multiplied", x.shape).into());
        };
        if let Some((stored, _)) = stored {
            let Some(zero) = self.known_zero_points(node, at[1])? else { return Ok(None) };
            let (axis, scale) = (shape.len() - 1, vec![1.0; zero.len()]);
            let w = Lazy::new(&name, Expression::Weights { stored, scale, zero_point: zero, axis }, shape);
            let product = self.product(&name, x, &w)?;
            return self.accumulators(&name, &product, zero_point);
        }
        match self.needed(node, at[0])? {
            Binding::Value(b_id) => {
                let Expression::Dequantized(a_id, _) = x.expression else { return Ok(None) };
                let Some(b) = self.zero_point(node, at[1])? else { return Ok(None) };
                let op = Op::MatMul { a: zero_point, b, finish: Finish::Accumulators };
                self.push(&name, op, &[a_id, b_id], ElementKind::I32, &to).map(Some)
            }
            _ => Err("its second operand is not quantized".into()),
        }
    }

    /// An accumulating expression as its accumulators, with another zero point for its input.
    fn accumulators(&mut self, name: &str, lazy: &Rc<Lazy>, zero: ZeroPoint) -> Imported<Option<usize>> {
        match &lazy.expression {
            Expression::Accumulated { kind, conv, input, .. } => {
                let mut conv = (**conv).clone();
                conv.zero_point = zero;
                conv.finish = Finish::Accumulators;
                self.push(name, kind.op(conv), &[*input], ElementKind::I32, &lazy.shape).map(Some)
            }
            Expression::Moved(inner, movement) => {
                let Some(value) = self.accumulators(name, inner, zero)? else { return Ok(None) };
                self.move_value(name, value, movement.clone(), &lazy.shape).map(Some)
            }
            Expression::MatMul(a, b) => {
                let (Some((a, _)), Some((b, qb))) = (self.dequantized(a)?, self.dequantized(b)?) else {
                    return Ok(None);
                };
                let b_zero = ZeroPoint::Known(qb.zero_point);
                let op = Op::MatMul { a: zero, b: b_zero, finish: Finish::Accumulators };
                self.push(name, op, &[a, b], ElementKind::I32, &lazy.shape).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A zero point for a whole tensor, known or computed.
    pub(super) fn zero_point(&self, node: &NodeProto, at: usize) -> Imported<Option<ZeroPoint>> {
        Ok(match self.input(node, at)? {
            None => Some(ZeroPoint::Known(0)),
            Some(Binding::Constant(c)) if c.len() == 1 => Some(ZeroPoint::Known(integers_32(&c)?[0])),
            Some(Binding::Value(id)) if self.graph.values[id].len() == 1 => Some(ZeroPoint::Held(id)),
            Some(_) => None,
        })
    }

    fn known_zero_points(&self, node: &NodeProto, at: usize) -> Imported<Option<Vec<i32>>> {
        Ok(match self.input(node, at)? {
            None => Some(vec![0]),
            Some(Binding::Constant(c)) if c.len() > 0 => Some(integers_32(&c)?),
            Some(_) => None,
        })
    }

    /// A convolution over a picture of rank 3 is one of rank 4 with one row; this takes the row away again.
    pub(super) fn to_rank(&self, x: &Lazy, expression: Expression, shape: Vec<usize>, name: &str) -> Rc<Lazy> {
        let lazy = Lazy::new(name, expression, shape);
        if x.shape.len() != 3 {
            return lazy;
        }
        let shape = vec![lazy.shape[0], lazy.shape[1], lazy.shape[3]];
        Lazy::new(name, Expression::Moved(lazy, crate::graph::Movement::Reshape), shape)
    }
}
