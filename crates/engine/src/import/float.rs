//! Float ops: what stands between quantized ops without an integer form, and whole networks in floats.
//!
//! Constant weights go into the op, quantized ones as floats; what is computed is an operand.

use super::expression::Expression;
use super::geometry::{average_window, product_shape, spatial};
use super::onnx::{Attributes, as_slice, floats, integers_32};
use super::transposed::{transposed_pads, transposed_size};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, FloatConv, FloatLinear, FloatOp, Movement, Op, ValueId, Window, broadcast};
use crate::unary::Unary;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

const FLOAT: ElementKind = ElementKind::F32;

/// Floats and their shape.
type FloatConstant = (Arc<[f32]>, Vec<usize>);

impl<'a> Importer<'a> {
    /// A node of floats that nothing before has taken.
    pub(super) fn float(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let floats = match self.input(node, 0)? {
            Some(held) => self.is_float(&held),
            None => false,
        };
        if !floats {
            return Ok(Handled::No);
        }
        match node.op_type.as_str() {
            "Conv" | "ConvTranspose" => self.float_convolution(node),
            "Gemm" => self.float_gemm(node),
            "MaxPool" | "GlobalMaxPool" | "AveragePool" | "GlobalAveragePool" => self.float_pool(node),
            "InstanceNormalization" | "GroupNormalization" => self.group_normalization(node),
            "RMSNormalization" | "SimplifiedLayerNormalization" => self.rms_normalization(node),
            "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => self.skip_normalization(node),
            "Softmax" | "LogSoftmax" => self.float_softmax(node),
            "Sum" | "Mean" | "Min" | "Max" => self.variadic(node),
            "BiasGelu" | "FastGelu" => self.bias_gelu(node),
            _ => Ok(Handled::No),
        }
    }

    /// Adds a float op and names its output.
    fn float_done(
        &mut self,
        node: &'a NodeProto,
        op: FloatOp,
        inputs: &[ValueId],
        shape: &[usize],
    ) -> Imported<Handled> {
        let y = self.push(&name_of(node), Op::Float(op), inputs, FLOAT, shape)?;
        self.done(node, Binding::Value(y))
    }

    /// The floats and the shape of what is known at load; quantized weights as the floats that they stand for.
    fn float_constant(&mut self, held: &Binding) -> Imported<Option<FloatConstant>> {
        match held {
            Binding::Constant(constant) if self.is_float(held) => {
                // A copy for each node that reads them.
                self.add_computed_bytes(4 * constant.len() as u64)?;
                let floats = match as_slice::<f32>(constant) {
                    Ok(floats) => floats.into(),
                    Err(_) => floats(constant)?.into(),
                };
                Ok(Some((floats, constant.shape().to_vec())))
            }
            Binding::Lazy(lazy) => {
                let Expression::Weights { stored, scale, zero_point, axis } = &lazy.expression else {
                    return Ok(None);
                };
                self.add_computed_bytes(4 * lazy.shape.iter().product::<usize>() as u64)?;
                let stored = integers_32(&*self.elements(stored)?)?;
                let inner: usize = lazy.shape.get(axis + 1..).unwrap_or_default().iter().product();
                let real = |(i, &number): (usize, &i32)| {
                    let along = |count: usize| if count == 1 { 0 } else { i / inner.max(1) % count };
                    number.wrapping_sub(zero_point[along(zero_point.len())]) as f32 * scale[along(scale.len())]
                };
                Ok(Some((stored.iter().enumerate().map(real).collect(), lazy.shape.clone())))
            }
            _ => Ok(None),
        }
    }

    fn float_convolution(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (x, weights) = (self.needed(node, 0)?, self.needed(node, 1)?);
        let Some((weights, w_shape)) = self.float_constant(&weights)? else { return Ok(Handled::No) };
        let bias = match self.input(node, 2)? {
            Some(bias) => match self.float_constant(&bias)? {
                Some((bias, _)) => bias,
                None => return Ok(Handled::No),
            },
            None => [].into(),
        };
        let x_shape = self.shape(&x);
        let (channels, size, one_row) = match x_shape[..] {
            [_, c, w] => (c, [1, w], true),
            [_, c, h, w] => (c, [h, w], false),
            _ => return Ok(Handled::No),
        };
        let (first, second, kernel) = match w_shape[..] {
            [first, second, kw] if one_row => (first, second, [1, kw]),
            [first, second, kh, kw] if !one_row => (first, second, [kh, kw]),
            _ => return Err(format!("input {x_shape:?} and weights {w_shape:?} do not fit").into()),
        };
        let groups = usize::try_from(node.int("group", 1)).ok().filter(|&g| g > 0).ok_or("group must be positive")?;
        let transposed = node.op_type == "ConvTranspose";
        let (outputs, inputs) =
            if transposed { (second.saturating_mul(groups), first / groups) } else { (first, second) };
        if inputs.checked_mul(groups) != Some(channels)
            || !outputs.is_multiple_of(groups)
            || outputs == 0
            || inputs == 0
        {
            return Err(format!("weights {w_shape:?} in {groups} groups do not fit {channels} channels").into());
        }
        if !bias.is_empty() && bias.len() != outputs {
            return Err(format!("its bias has {} numbers for {outputs} outputs", bias.len()).into());
        }
        let geometry = spatial(node, size, Some(kernel), one_row)?;
        let to =
            if transposed { transposed_size(node, &geometry, size, one_row)? } else { geometry.output(size, false)? };
        let pads = if transposed { transposed_pads(node, &geometry, size, to, one_row)? } else { geometry.pads };
        let (stride, dilation, pads) = (geometry.stride, geometry.dilation, [pads[0], pads[1]]);
        let conv = FloatConv { weights, bias, transposed, outputs, inputs, groups, kernel, stride, dilation, pads };
        let shape = if one_row { vec![x_shape[0], outputs, to[1]] } else { vec![x_shape[0], outputs, to[0], to[1]] };
        let x = self.compute(&x)?;
        self.float_done(node, FloatOp::Conv(conv), &[x], &shape)
    }

    /// `a [.., M, K] * b [.., K, N]`; with constant `b [K, N]` its weights are packed at load.
    pub(super) fn float_matmul(&mut self, node: &'a NodeProto, a: &Binding, b: &Binding) -> Imported<Handled> {
        let Some(shape) = product_shape(&self.shape(a), &self.shape(b)) else { return Ok(Handled::No) };
        if !self.is_float(a) || !self.is_float(b) {
            return Ok(Handled::No);
        }
        if let Some((weights, w_shape)) = self.float_constant(b)?
            && let &[inputs, outputs] = &w_shape[..]
        {
            let a = self.compute(a)?;
            let linear = FloatLinear { weights, inputs, outputs, bias: [].into() };
            return self.float_done(node, FloatOp::Linear(linear), &[a], &shape);
        }
        let (a, b) = (self.compute(a)?, self.compute(b)?);
        self.float_done(node, FloatOp::MatMul, &[a, b], &shape)
    }

    /// `alpha a b + beta c`.
    fn float_gemm(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (name, a, b) = (name_of(node), self.needed(node, 0)?, self.needed(node, 1)?);
        let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
        let c = self.input(node, 2)?.filter(|_| beta != 0.0);
        let floats = |held: &Binding| self.is_float(held);
        let (a_shape, b_shape) = (self.shape(&a), self.shape(&b));
        if a_shape.len() != 2 || b_shape.len() != 2 || !floats(&b) || c.as_ref().is_some_and(|c| !floats(c)) {
            return Ok(Handled::No);
        }
        let (turn_a, turn_b) = (node.int("transA", 0) != 0, node.int("transB", 0) != 0);
        let turned = |shape: &[usize], turn: bool| if turn { [shape[1], shape[0]] } else { [shape[0], shape[1]] };
        let ([m, k], [inner, n]) = (turned(&a_shape, turn_a), turned(&b_shape, turn_b));
        if k != inner {
            return Err(format!("shapes {a_shape:?} and {b_shape:?} cannot be multiplied").into());
        }
        let mut a = self.compute(&a)?;
        if turn_a {
            a = self.move_value(&name, a, Movement::Transpose(vec![1, 0]), &[m, k])?;
        }
        // A bias of one number a column, where nothing is scaled.
        let bias = match &c {
            Some(c) if alpha == 1.0 && beta == 1.0 && self.shape(c).last() == Some(&n) => {
                self.float_constant(c)?.filter(|(bias, _)| bias.len() == n).map(|(bias, _)| bias)
            }
            _ => None,
        };
        let (mut y, biased) = match self.float_constant(&b)? {
            Some((weights, _)) => {
                let weights =
                    if turn_b { (0..k * n).map(|place| weights[place % n * k + place / n]).collect() } else { weights };
                let biased = bias.is_some();
                let linear = FloatLinear { weights, inputs: k, outputs: n, bias: bias.unwrap_or_else(|| [].into()) };
                (self.push(&name, Op::Float(FloatOp::Linear(linear)), &[a], FLOAT, &[m, n])?, biased)
            }
            None => {
                let mut b = self.compute(&b)?;
                if turn_b {
                    b = self.move_value(&name, b, Movement::Transpose(vec![1, 0]), &[k, n])?;
                }
                (self.push(&name, Op::Float(FloatOp::MatMul), &[a, b], FLOAT, &[m, n])?, false)
            }
        };
        if alpha != 1.0 {
            y = self.push(&name, Op::Unary(Unary::Times(alpha)), &[y], FLOAT, &[m, n])?;
        }
        if let Some(c) = c.filter(|_| !biased) {
            let c_shape = self.shape(&c);
            if broadcast(&c_shape, &[m, n]).as_deref() != Some(&[m, n]) {
                return Err(format!("its sum {c_shape:?} does not fit {m} by {n}").into());
            }
            let mut c = self.compute(&c)?;
            if beta != 1.0 {
                c = self.push(&name, Op::Unary(Unary::Times(beta)), &[c], FLOAT, &c_shape)?;
            }
            y = self.push(&name, Op::Float(FloatOp::Binary(Binary::Add)), &[y, c], FLOAT, &[m, n])?;
        }
        self.done(node, Binding::Value(y))
    }

    fn float_pool(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let x = self.needed(node, 0)?;
        let shape = self.shape(&x);
        if node.output.iter().skip(1).any(|name| !name.is_empty()) {
            return Ok(Handled::No);
        }
        let (window, to) = match shape[..] {
            [n, c, w] => {
                let picture = [n, c, 1, w];
                let Some((window, mut to)) = average_window_of_row(node, picture)? else { return Ok(Handled::No) };
                to.remove(2);
                (window, to)
            }
            _ => match average_window(node, &shape)? {
                Some(found) => found,
                None => return Ok(Handled::No),
            },
        };
        let max = node.op_type.ends_with("MaxPool");
        let x = self.compute(&x)?;
        self.float_done(node, if max { FloatOp::MaxPool(window) } else { FloatOp::AveragePool(window) }, &[x], &to)
    }

    /// A list of floats as an operand.
    pub(super) fn float_operand(
        &mut self,
        name: &str,
        values: impl ExactSizeIterator<Item = f32>,
    ) -> Imported<ValueId> {
        let count = values.len();
        let bytes: Vec<u8> = values.flat_map(f32::to_ne_bytes).collect();
        self.push(name, Op::Constant(bytes.into()), &[], FLOAT, &[count])
    }

    fn group_normalization(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (x, scale, bias) = (self.needed(node, 0)?, self.needed(node, 1)?, self.needed(node, 2)?);
        let shape = self.shape(&x);
        if shape.len() < 2 || !self.is_float(&scale) || !self.is_float(&bias) {
            return Ok(Handled::No);
        }
        let channels = shape[1];
        let count = |held: &Binding| self.shape(held).iter().product::<usize>();
        let groups = match node.op_type.as_str() {
            "InstanceNormalization" => channels,
            _ => usize::try_from(node.int("num_groups", 0)).unwrap_or(0),
        };
        // Up to opset 20 there is a scale for each group.
        if groups == 0 || !channels.is_multiple_of(groups) || count(&scale) != channels || count(&bias) != channels {
            return Ok(Handled::No);
        }
        let op = FloatOp::GroupNorm { groups, epsilon: node.float("epsilon", 1e-5) };
        let inputs = [self.compute(&x)?, self.compute(&scale)?, self.compute(&bias)?];
        self.float_done(node, op, &inputs, &shape)
    }

    fn rms_normalization(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (x, scale) = (self.needed(node, 0)?, self.needed(node, 1)?);
        let shape = self.shape(&x);
        let axis = super::axis(node.int("axis", -1), shape.len())?;
        let length: usize = shape[axis..].iter().product();
        let only = node.output.iter().skip(1).all(String::is_empty);
        if !only || self.shape(&scale).iter().product::<usize>() != length || !self.is_float(&scale) {
            return Ok(Handled::No);
        }
        let op = FloatOp::RmsNorm { axis, epsilon: node.float("epsilon", 1e-5) };
        let inputs = [self.compute(&x)?, self.compute(&scale)?];
        self.float_done(node, op, &inputs, &shape)
    }

    /// Of com.microsoft: a sum (with a bias), its normalization, and the sum itself as the fourth output.
    fn skip_normalization(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let simplified = node.op_type == "SkipSimplifiedLayerNormalization";
        let bias_at = if simplified { 3 } else { 4 };
        let (x, skip, gamma) = (self.needed(node, 0)?, self.needed(node, 1)?, self.needed(node, 2)?);
        let beta = if simplified { None } else { self.input(node, 3)? };
        let bias = self.input(node, bias_at)?;
        let shape = self.shape(&x);
        let Some(&length) = shape.last() else { return Ok(Handled::No) };
        let own = |held: &Binding| self.is_float(held) && self.shape(held) == [length];
        let fits =
            |held: &Binding| self.is_float(held) && broadcast(&self.shape(held), &shape).as_ref() == Some(&shape);
        let statistics = node.output.iter().skip(1).take(2).any(|name| !name.is_empty());
        let lists = [Some(&gamma), beta.as_ref(), bias.as_ref()];
        if statistics || !fits(&skip) || !lists.into_iter().flatten().all(own) {
            return Ok(Handled::No);
        }
        let name = name_of(node);
        let add = || Op::Float(FloatOp::Binary(Binary::Add));
        let (x, skip) = (self.compute(&x)?, self.compute(&skip)?);
        let mut sum = self.push(&name, add(), &[x, skip], FLOAT, &shape)?;
        if let Some(bias) = bias {
            let bias = self.compute(&bias)?;
            sum = self.push(&name, add(), &[sum, bias], FLOAT, &shape)?;
        }
        self.give(node, 3, Binding::Value(sum));
        let (axis, epsilon) = (shape.len() - 1, node.float("epsilon", 1e-12));
        let mut inputs = vec![sum, self.compute(&gamma)?];
        if let Some(beta) = beta {
            inputs.push(self.compute(&beta)?);
        }
        let op = if simplified { FloatOp::RmsNorm { axis, epsilon } } else { FloatOp::LayerNorm { axis, epsilon } };
        self.float_done(node, op, &inputs, &shape)
    }

    /// Up to opset 12 over all axes from `axis` on, as one.
    fn float_softmax(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let x = self.needed(node, 0)?;
        let (name, shape) = (name_of(node), self.shape(&x));
        let axis = super::axis(node.int("axis", if self.opset < 13 { 1 } else { -1 }), shape.len())?;
        let log = node.op_type == "LogSoftmax";
        let op = |axis: usize| if log { FloatOp::LogSoftmax { axis } } else { FloatOp::Softmax { axis } };
        let x = self.compute(&x)?;
        if self.opset >= 13 {
            return self.float_done(node, op(axis), &[x], &shape);
        }
        let flat = [shape[..axis].iter().product(), shape[axis..].iter().product()];
        let x = self.move_value(&name, x, Movement::Reshape, &flat)?;
        let y = self.push(&name, Op::Float(op(1)), &[x], FLOAT, &flat)?;
        let y = self.move_value(&name, y, Movement::Reshape, &shape)?;
        self.done(node, Binding::Value(y))
    }

    /// Of any number of operands, from the first to the last.
    fn variadic(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let name = name_of(node);
        let op = match node.op_type.as_str() {
            "Min" => Binary::Min,
            "Max" => Binary::Max,
            _ => Binary::Add,
        };
        let held: Vec<Binding> = (0..node.input.len()).map(|i| self.needed(node, i)).collect::<Imported<_>>()?;
        if !held.iter().all(|held| self.is_float(held)) {
            return Ok(Handled::No);
        }
        let mut shape = self.shape(&held[0]);
        let mut y = self.compute(&held[0])?;
        for next in &held[1..] {
            shape = super::elementwise::broadcast_shape(&shape, &self.shape(next))?;
            let next = self.compute(next)?;
            y = self.push(&name, Op::Float(FloatOp::Binary(op)), &[y, next], FLOAT, &shape)?;
        }
        if node.op_type == "Mean" {
            y = self.push(&name, Op::Unary(Unary::Over(held.len() as f32)), &[y], FLOAT, &shape)?;
        }
        self.done(node, Binding::Value(y))
    }

    /// Of com.microsoft, with a bias along the last axis.
    fn bias_gelu(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (x, bias) = (self.needed(node, 0)?, self.input(node, 1)?);
        let (name, shape) = (name_of(node), self.shape(&x));
        let mut x = self.compute(&x)?;
        if let Some(bias) = bias {
            if !self.is_float(&bias) || broadcast(&self.shape(&bias), &shape).as_ref() != Some(&shape) {
                return Ok(Handled::No);
            }
            let bias = self.compute(&bias)?;
            x = self.push(&name, Op::Float(FloatOp::Binary(Binary::Add)), &[x, bias], FLOAT, &shape)?;
        }
        let function = if node.op_type == "FastGelu" { Unary::GeluTanh } else { Unary::Gelu };
        let y = self.push(&name, Op::Unary(function), &[x], FLOAT, &shape)?;
        self.done(node, Binding::Value(y))
    }
}

/// A pool's window over one dimension, as over pictures of one row.
fn average_window_of_row(node: &NodeProto, [n, c, h, w]: [usize; 4]) -> Result<Option<(Window, Vec<usize>)>, String> {
    if node.op_type.starts_with("Global") {
        return average_window(node, &[n, c, h, w]);
    }
    let geometry = spatial(node, [h, w], None, true)?;
    let [_, columns] = geometry.output([h, w], node.int("ceil_mode", 0) != 0)?;
    let count_pads = node.int("count_include_pad", 0) != 0;
    let (kernel, stride, dilation, pads) = (geometry.kernel, geometry.stride, geometry.dilation, geometry.pads);
    Ok(Some((Window { kernel, stride, dilation, pads, count_pads }, vec![n, c, 1, columns])))
}
