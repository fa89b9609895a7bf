//! BatchNormalization: scale and shift by channel. In a convolution right before it, a table by channel between quantized
//! tensors, or floats.

use super::channel_affine::ChannelAffine;
use super::expression::{Expression, Lazy};
use super::onnx::Attributes;
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, FloatOp, Movement, Op, ValueId};
use crate::unary::Unary;
use std::rc::Rc;
use tract_onnx::pb::NodeProto;

impl<'a> Importer<'a> {
    pub(super) fn batch_normalization(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let training = node.int("training_mode", 0) != 0 || node.output.iter().skip(1).any(|name| !name.is_empty());
        if training || node.int("spatial", 1) == 0 {
            return Err("its form for training, or by element, is not supported".into());
        }
        let x = self.needed(node, 0)?;
        let shape = self.shape(&x);
        let channels = *shape.get(1).ok_or_else(|| format!("its input {shape:?} has no channels"))?;
        let epsilon = node.float("epsilon", 1e-5);
        let mut lists = Vec::new();
        for (index, what) in ["scale", "bias", "mean", "variance"].into_iter().enumerate() {
            let held = self.needed(node, index + 1)?;
            let given = self.shape(&held);
            if given != [channels] || !self.is_float(&held) {
                return Err(format!("its {what} {given:?} must be {channels} floats, one for each channel").into());
            }
            lists.extend(self.constant_floats(&held)?);
        }
        let [gamma, beta, mean, variance] = &lists[..] else { return self.computed_normalization(node, &x, epsilon) };
        // In this order, as ONNX Runtime has it.
        let scale: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| 1.0 / (v + epsilon).sqrt() * g).collect();
        let shift: Vec<f32> = (0..channels).map(|c| beta[c] - mean[c] * scale[c]).collect();
        if scale.iter().chain(&shift).any(|number| !number.is_finite()) {
            return Err("its scale, mean and variance do not give finite numbers".into());
        }
        let affine = ChannelAffine { scale: scale.into(), shift: shift.into() };
        match &x {
            Binding::Lazy(lazy) => {
                let of = |x: &Rc<Lazy>| {
                    Lazy::new(&name_of(node), Expression::Affine(Rc::clone(x), affine.clone()), x.shape.clone())
                };
                // A convolution of rank 3 is one of rank 4 whose row is taken away: channels stay where they are.
                let result = match &lazy.expression {
                    Expression::Moved(x, Movement::Reshape)
                        if x.shape == [shape[0], shape[1], 1, *shape.last().unwrap_or(&0)] =>
                    {
                        Lazy::new(&name_of(node), Expression::Moved(of(x), Movement::Reshape), shape)
                    }
                    _ => of(lazy),
                };
                self.done(node, Binding::Lazy(result))
            }
            _ => {
                let x = self.compute(&x)?;
                let y = self.affine_floats(&name_of(node), x, &affine)?;
                self.done(node, Binding::Value(y))
            }
        }
    }

    /// The same where parameters are computed: all of it in floats.
    fn computed_normalization(&mut self, node: &'a NodeProto, x: &Binding, epsilon: f32) -> Imported<Handled> {
        let (name, float) = (name_of(node), ElementKind::F32);
        let x = self.compute(x)?;
        let shape = self.graph.values[x].shape.clone();
        let by_channel = [shape[1]];
        let mut given = Vec::new();
        for index in 1..5 {
            let held = self.needed(node, index)?;
            given.push(self.compute(&held)?);
        }
        let [gamma, beta, mean, mut factor] = given[..] else { return Ok(Handled::No) };
        for function in [Unary::Plus(epsilon), Unary::Sqrt, Unary::Reciprocal] {
            factor = self.push(&name, Op::Unary(function), &[factor], float, &by_channel)?;
        }
        let mut of = |op: Binary, a: ValueId, b: ValueId| {
            self.push(&name, Op::Float(FloatOp::Binary(op)), &[a, b], float, &by_channel)
        };
        let scale = of(Binary::Mul, factor, gamma)?;
        let moved = of(Binary::Mul, mean, scale)?;
        let shift = of(Binary::Sub, beta, moved)?;
        let y = self.push(&name, Op::Float(FloatOp::ScaleShift), &[x, scale, shift], float, &shape)?;
        self.done(node, Binding::Value(y))
    }

    /// Scale and shift of floats.
    pub(super) fn affine_floats(&mut self, name: &str, x: ValueId, affine: &ChannelAffine) -> Imported<ValueId> {
        let shape = self.graph.values[x].shape.clone();
        let scale = self.float_operand(name, affine.scale.iter().copied())?;
        let shift = self.float_operand(name, affine.shift.iter().copied())?;
        self.push(name, Op::Float(FloatOp::ScaleShift), &[x, scale, shift], ElementKind::F32, &shape)
    }

    /// The floats of a constant, quantized or not.
    pub(super) fn constant_floats(&mut self, held: &Binding) -> Imported<Option<Vec<f32>>> {
        let lazy = match held {
            Binding::Constant(constant) if self.is_float(held) => {
                // A copy for each node that reads them.
                self.add_computed_bytes(4 * constant.len() as u64)?;
                return Ok(Some(super::onnx::floats(constant)?));
            }
            Binding::Lazy(lazy) => lazy,
            _ => return Ok(None),
        };
        let Expression::Weights { stored, scale, zero_point, axis } = &lazy.expression else { return Ok(None) };
        self.add_computed_bytes(4 * lazy.shape.iter().product::<usize>() as u64)?;
        let stored = super::onnx::integers_32(&*self.elements(stored)?)?;
        let inner: usize = lazy.shape.iter().skip(axis + 1).product();
        let place = |i: usize, count: usize| if count == 1 { 0 } else { i / inner.max(1) % count };
        let real = |(i, &stored): (usize, &i32)| {
            stored.wrapping_sub(zero_point[place(i, zero_point.len())]) as f32 * scale[place(i, scale.len())]
        };
        Ok(Some(stored.iter().enumerate().map(real).collect()))
    }
}
