//! Unary functions, sums and products, normalisation, softmax, casts.

use super::expression::{Expression, Stored};
use super::onnx::{Attributes, floats, integers};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, FloatOp, Op, broadcast};
use crate::unary::Unary;
use std::rc::Rc;
use tract_onnx::pb::NodeProto;

/// The shape of two shapes broadcast, or an error that names both.
pub fn broadcast_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    broadcast(a, b).ok_or_else(|| format!("shapes {a:?} and {b:?} do not fit"))
}

/// The only number in a float constant.
pub fn number(held: &Binding) -> Option<f32> {
    match held {
        Binding::Constant(constant) if constant.len() == 1 && constant.datum_type().is_float() => {
            floats(constant).ok().map(|floats| floats[0])
        }
        Binding::Lazy(lazy) => match &lazy.expression {
            Expression::Weights { stored: Stored::Read(stored), scale, zero_point, .. } if stored.len() == 1 => {
                let stored = super::onnx::integers_32(stored).ok()?;
                Some(stored[0].wrapping_sub(zero_point[0]) as f32 * scale[0])
            }
            _ => None,
        },
        _ => None,
    }
}

impl<'a> Importer<'a> {
    pub(super) fn unary(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let limit = |this: &Self, index: usize, open: f32| -> Imported<Option<f32>> {
            match this.input(node, index)? {
                None => Ok(Some(open)),
                Some(held) => Ok(number(&held)),
            }
        };
        let function = match node.op_type.as_str() {
            "Relu" => Unary::Relu,
            "Clip" if self.opset < 11 => {
                Unary::Clip(node.float("min", f32::NEG_INFINITY), node.float("max", f32::INFINITY))
            }
            "Clip" => match (limit(self, 1, f32::NEG_INFINITY)?, limit(self, 2, f32::INFINITY)?) {
                (Some(low), Some(high)) => Unary::Clip(low, high),
                _ => return Ok(Handled::No),
            },
            "LeakyRelu" => Unary::LeakyRelu(node.float("alpha", 0.01)),
            "Sigmoid" => Unary::Sigmoid,
            "Tanh" => Unary::Tanh,
            "HardSigmoid" => Unary::HardSigmoid(node.float("alpha", 0.2), node.float("beta", 0.5)),
            "HardSwish" => Unary::HardSwish,
            "Elu" => Unary::Elu(node.float("alpha", 1.0)),
            "Erf" => Unary::Erf,
            "Exp" => Unary::Exp,
            "Log" => Unary::Log,
            "Sqrt" => Unary::Sqrt,
            "Abs" => Unary::Abs,
            "Neg" => Unary::Neg,
            "Reciprocal" => Unary::Reciprocal,
            "Floor" => Unary::Floor,
            "Ceil" => Unary::Ceil,
            "Round" => Unary::Round,
            "Softplus" => Unary::Softplus,
            "Mish" => Unary::Mish,
            "Selu" => Unary::Selu(node.float("alpha", 1.673_263_2), node.float("gamma", 1.050_701)),
            "Celu" => Unary::Celu(node.float("alpha", 1.0)),
            "ThresholdedRelu" => Unary::ThresholdedRelu(node.float("alpha", 1.0)),
            "Softsign" => Unary::Softsign,
            "Swish" => Unary::Silu(node.float("alpha", 1.0)),
            "QuickGelu" => Unary::Silu(node.float("alpha", 1.702)),
            "Sign" => Unary::Sign,
            "Sin" => Unary::Sin,
            "Cos" => Unary::Cos,
            "Tan" => Unary::Tan,
            "Asin" => Unary::Asin,
            "Acos" => Unary::Acos,
            "Atan" => Unary::Atan,
            "Sinh" => Unary::Sinh,
            "Cosh" => Unary::Cosh,
            "Asinh" => Unary::Asinh,
            "Acosh" => Unary::Acosh,
            "Atanh" => Unary::Atanh,
            "Shrink" => Unary::Shrink(node.float("lambd", 0.5), node.float("bias", 0.0)),
            "Gelu" if node.text("approximate", "none") == "tanh" => Unary::GeluTanh,
            "Gelu" => Unary::Gelu,
            _ => return Ok(Handled::No),
        };
        let held = self.needed(node, 0)?;
        self.apply(node, &held, function)
    }

    pub(super) fn apply(&mut self, node: &'a NodeProto, held: &Binding, function: Unary) -> Imported<Handled> {
        let shape = self.shape(held);
        match held {
            Binding::Lazy(lazy) => self.expression(node, Expression::Unary(Rc::clone(lazy), function), shape),
            _ if self.is_float(held) => {
                let x = self.compute(held)?;
                let y = self.push(&name_of(node), Op::Unary(function), &[x], ElementKind::F32, &shape)?;
                self.done(node, Binding::Value(y))
            }
            _ => Ok(Handled::No),
        }
    }

    pub(super) fn binary(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        if node.input.len() != 2 {
            return Ok(Handled::No);
        }
        let (a, b) = (self.needed(node, 0)?, self.needed(node, 1)?);
        let (a_shape, b_shape) = (self.shape(&a), self.shape(&b));
        let shape = broadcast_shape(&a_shape, &b_shape)?;
        let name = node.op_type.as_str();
        // A constant that is quantized itself follows the rule of quantized sums and products.
        let plain =
            |held: &Binding| if name == "Add" || name == "Mul" { matches!(held, Binding::Constant(_)) } else { true };
        if let Some(c) = number(&b).filter(|_| plain(&b) && shape == a_shape && number(&a).is_none()) {
            let function = match name {
                "Add" => Unary::Plus(c),
                "Sub" => Unary::Plus(-c),
                "Mul" => Unary::Times(c),
                "Div" => Unary::Over(c),
                "Pow" => Unary::Power(c),
                "Min" => Unary::Clip(f32::NEG_INFINITY, c),
                _ => Unary::Clip(c, f32::INFINITY),
            };
            return self.apply(node, &a, function);
        }
        if let Some(c) = number(&a).filter(|_| plain(&a) && shape == b_shape && name != "Pow") {
            let function = match name {
                "Add" => Unary::Plus(c),
                "Sub" => Unary::From(c),
                "Mul" => Unary::Times(c),
                "Div" => Unary::Divided(c),
                "Min" => Unary::Clip(f32::NEG_INFINITY, c),
                _ => Unary::Clip(c, f32::INFINITY),
            };
            return self.apply(node, &b, function);
        }
        if name == "Add" {
            for (x, bias) in [(&a, &b), (&b, &a)] {
                if let Binding::Lazy(lazy) = x
                    && let Some(biased) = self.biased(lazy, bias)?
                {
                    return self.done(node, Binding::Lazy(biased));
                }
            }
        }
        if let (Binding::Lazy(a), Binding::Lazy(b)) = (&a, &b)
            && matches!(name, "Add" | "Mul")
        {
            let (a, b) = (Rc::clone(a), Rc::clone(b));
            let expression = if name == "Add" { Expression::Add(a, b) } else { Expression::Mul(a, b) };
            return self.expression(node, expression, shape);
        }
        let op = match name {
            "Add" => Binary::Add,
            "Sub" => Binary::Sub,
            "Mul" => Binary::Mul,
            "Div" => Binary::Div,
            "Pow" => Binary::Pow,
            "Min" => Binary::Min,
            _ => Binary::Max,
        };
        if !self.is_float(&a) || !self.is_float(&b) || shape.len() > 8 {
            return Ok(Handled::No);
        }
        let (a, b) = (self.compute(&a)?, self.compute(&b)?);
        let y = self.push(&name_of(node), Op::Float(FloatOp::Binary(op)), &[a, b], ElementKind::F32, &shape)?;
        self.done(node, Binding::Value(y))
    }

    /// Whether what is held has elements of type `f32`.
    pub(super) fn is_float(&self, held: &Binding) -> bool {
        match held {
            Binding::Constant(constant) => constant.datum_type() == tract_onnx::prelude::DatumType::F32,
            Binding::Value(id) => self.graph.values[*id].kind == ElementKind::F32,
            Binding::Lazy(_) => true,
        }
    }

    pub(super) fn prelu(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (x, slope) = (self.needed(node, 0)?, self.needed(node, 1)?);
        match number(&slope) {
            Some(slope) => self.apply(node, &x, Unary::LeakyRelu(slope)),
            None => self.prelu_by_channel(node, &x, &slope),
        }
    }

    /// `x`, or `slope * x` where it is negative.
    fn prelu_by_channel(&mut self, node: &'a NodeProto, x: &Binding, slope: &Binding) -> Imported<Handled> {
        let shape = self.shape(x);
        if broadcast(&shape, &self.shape(slope)).as_ref() != Some(&shape) || !self.is_float(slope) || !self.is_float(x)
        {
            return Ok(Handled::No);
        }
        let (x, slope) = (self.compute(x)?, self.compute(slope)?);
        let op = Op::Float(FloatOp::Binary(Binary::PRelu));
        let y = self.push(&name_of(node), op, &[x, slope], ElementKind::F32, &shape)?;
        self.done(node, Binding::Value(y))
    }

    pub(super) fn softmax(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let x = self.needed(node, 0)?;
        let shape = self.shape(&x);
        let axis = super::axis(node.int("axis", if self.opset < 13 { 1 } else { -1 }), shape.len())?;
        if !self.is_float(&x) || (self.opset < 13 && shape[axis + 1..].iter().any(|&dim| dim != 1)) {
            return Ok(Handled::No);
        }
        match &x {
            Binding::Lazy(lazy) => self.expression(node, Expression::Softmax(Rc::clone(lazy), axis), shape),
            _ => {
                let x = self.compute(&x)?;
                let y =
                    self.push(&name_of(node), Op::Float(FloatOp::Softmax { axis }), &[x], ElementKind::F32, &shape)?;
                self.done(node, Binding::Value(y))
            }
        }
    }

    pub(super) fn layer_normalization(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let x = self.needed(node, 0)?;
        let shape = self.shape(&x);
        let axis = super::axis(node.int("axis", -1), shape.len())?;
        let length: usize = shape[axis..].iter().product();
        let only_output = node.output.iter().skip(1).all(String::is_empty);
        let scale = self.needed(node, 1)?;
        let fits = |held: &Binding| self.shape(held).iter().product::<usize>() == length && self.is_float(held);
        let bias = self.input(node, 2)?;
        if !only_output || !self.is_float(&x) || !fits(&scale) || bias.as_ref().is_some_and(|bias| !fits(bias)) {
            return Ok(Handled::No);
        }
        let mut inputs = vec![self.compute(&x)?, self.compute(&scale)?];
        if let Some(bias) = bias {
            inputs.push(self.compute(&bias)?);
        }
        let op = FloatOp::LayerNorm { axis, epsilon: node.float("epsilon", 1e-5) };
        let y = self.push(&name_of(node), Op::Float(op), &inputs, ElementKind::F32, &shape)?;
        self.done(node, Binding::Value(y))
    }

    /// Axes from the attribute, or from input `index` in later opsets; `None` where they are absent.
    pub(super) fn axes(&self, node: &NodeProto, index: usize, rank: usize) -> Imported<Option<Vec<usize>>> {
        let list: Option<Vec<i64>> = match (node.ints("axes"), self.input(node, index)?) {
            (Some(axes), _) => Some(axes.to_vec()),
            (None, Some(Binding::Constant(axes))) => Some(integers(&axes)?),
            (None, Some(_)) => return Err("its axes must be constants".into()),
            (None, None) => None,
        };
        let Some(list) = list else { return Ok(None) };
        let mut axes = list.iter().map(|&a| super::axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(Some(axes))
    }
}
