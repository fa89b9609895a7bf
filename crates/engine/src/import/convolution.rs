//! Conv, ConvTranspose, Gemm and MatMul over quantized operands; those of floats are in `float`.

use super::expression::{Accumulator, Expression, Lazy, Stored};
use super::geometry::{Spatial, is_byte, product_shape, spatial};
use super::onnx::{Attributes, as_slice, floats, integers_32};
use super::transposed::{transposed_pads, transposed_size};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Conv, Finish, Movement, Weights, ZeroPoint};
use crate::tract::kind;
use std::rc::Rc;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

/// Weights of eight bits less their zero points, reordered; `at(o, y, x, i)` gives the index in the stored tensor.
fn weights(
    importer: &mut Importer,
    stored: &Stored,
    zero_point: &[i32],
    shape: [usize; 4],
    at: impl Fn(usize, usize, usize, usize) -> usize,
) -> Imported<Weights> {
    // Each node that reads them has them in its own order.
    importer.add_computed_bytes(shape.iter().fold(1u64, |product, &dim| product.saturating_mul(dim as u64)))?;
    let signed = |byte: &u8| i32::from(*byte as i8);
    let unsigned = |byte: &u8| i32::from(*byte);
    // Large ones are not copied for this.
    if let Some((bytes, kind)) = importer.stored_bytes(stored) {
        return Ok(match kind {
            ElementKind::I8 => ordered(&bytes, signed, zero_point, shape, at),
            ElementKind::U8 => ordered(&bytes, unsigned, zero_point, shape, at),
            _ => return Err("its weights must have eight bits".into()),
        });
    }
    let stored = importer.elements(stored)?;
    match kind(stored.datum_type())? {
        ElementKind::I8 => Ok(ordered(as_slice::<i8>(&stored)?, |&byte| byte.into(), zero_point, shape, at)),
        ElementKind::U8 => Ok(ordered(as_slice::<u8>(&stored)?, |&byte| byte.into(), zero_point, shape, at)),
        _ => Err("its weights must have eight bits".into()),
    }
}

/// Outputs and inputs that are reordered together, so that both orders stay in the cache: side by side in the file may be outputs, inputs
/// or columns.
const BLOCK: usize = 64;

fn ordered<T>(
    stored: &[T],
    number: impl Fn(&T) -> i32,
    zero_point: &[i32],
    [outputs, height, width, inputs]: [usize; 4],
    at: impl Fn(usize, usize, usize, usize) -> usize,
) -> Weights {
    // In place: a list that grows and is then copied would take three times the room.
    let zeroed = || std::iter::repeat_n(0i8, stored.len()).collect::<Arc<[i8]>>();
    let mut first = zeroed();
    let mut rest: Vec<Arc<[i8]>> = Vec::new();
    let bytes = Arc::make_mut(&mut first);
    let block = |first: usize, end: usize| first..end.min(first + BLOCK);
    let kernel = || (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    for (first_output, first_input) in
        (0..outputs).step_by(BLOCK).flat_map(|o| (0..inputs).step_by(BLOCK).map(move |i| (o, i)))
    {
        for (o, (y, x)) in block(first_output, outputs).flat_map(|o| kernel().map(move |at| (o, at))) {
            // One for all, for each output, or, of a transposed convolution in groups, for each output of a group.
            let zero = zero_point[o % zero_point.len()];
            let first_place = ((o * height + y) * width + x) * inputs;
            for i in block(first_input, inputs) {
                let weight = number(&stored[at(o, y, x, i)]) - zero;
                let place = first_place + i;
                if let Ok(byte) = i8::try_from(weight) {
                    bytes[place] = byte;
                    continue;
                }
                let mut left = weight - weight.clamp(-128, 127);
                bytes[place] = (weight - left) as i8;
                // From -255 to 255: two more summands at most.
                for summand in 0.. {
                    if left == 0 {
                        break;
                    }
                    if summand == rest.len() {
                        rest.push(zeroed());
                    }
                    let byte = left.clamp(-128, 127);
                    Arc::make_mut(&mut rest[summand])[place] = byte as i8;
                    left -= byte;
                }
            }
        }
    }
    Weights { first, rest }
}

/// One scale for every output.
fn spread(scale: &[f32], x: f32, outputs: usize) -> Vec<f32> {
    (0..outputs).map(|o| x * scale[if scale.len() == 1 { 0 } else { o }]).collect()
}

impl<'a> Importer<'a> {
    pub(super) fn convolution(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (Binding::Lazy(x), Binding::Lazy(w)) = (self.needed(node, 0)?, self.needed(node, 1)?) else {
            return Ok(Handled::No);
        };
        let quantized = matches!(w.expression, Expression::Weights { .. }) && self.dequantized(&x)?.is_some();
        if !quantized || !matches!(x.shape.len(), 3 | 4) {
            return Ok(Handled::No);
        }
        let Some(mut expression) = self.with_bias(node, &x, &w)? else { return Ok(Handled::No) };
        let shape = std::mem::take(&mut expression.1);
        let lazy = self.to_rank(&x, expression.0, shape, &name_of(node));
        self.done(node, Binding::Lazy(lazy))
    }

    fn with_bias(
        &mut self,
        node: &'a NodeProto,
        x: &Rc<Lazy>,
        w: &Rc<Lazy>,
    ) -> Imported<Option<(Expression, Vec<usize>)>> {
        let (mut expression, shape) = self.accumulated(node, x, w, None)?;
        if let Expression::Accumulated { conv, scale, .. } = &mut expression
            && let Some(bias) = self.input(node, 2)?
        {
            let Some(bias) = self.bias(&bias, scale)? else { return Ok(None) };
            conv.bias = bias;
        }
        Ok(Some((expression, shape)))
    }

    /// A bias in units of the accumulator, where it is known and leaves room for the products: beside tiny weights it may be larger
    /// than what 32 bits hold, and then only floats have both.
    fn bias(&self, held: &Binding, scale: &[f32]) -> Imported<Option<Vec<i32>>> {
        // As one more addend, below half of the range.
        let whole = |units: f64| (units.abs() < f64::from(1 << 30)).then_some(units as i32);
        let of = |real: f32, scale: f32| whole((f64::from(real) / f64::from(scale)).round_ties_even());
        let bias: Option<Vec<i32>> = match held {
            Binding::Constant(constant) => {
                let floats = floats(constant)?;
                if floats.len() != 1 && floats.len() != scale.len() {
                    return Ok(None);
                }
                scale.iter().enumerate().map(|(i, &s)| of(floats[if floats.len() == 1 { 0 } else { i }], s)).collect()
            }
            Binding::Lazy(lazy) => {
                let Expression::Weights { stored, scale: own, zero_point, .. } = &lazy.expression else {
                    return Ok(None);
                };
                if self.kind_of_stored(stored)? == ElementKind::F32 {
                    return Err("its quantized bias must be of integers".into());
                }
                let stored = integers_32(&*self.elements(stored)?)?;
                if (stored.len() != 1 && stored.len() != scale.len()) || (own.len() != 1 && own.len() != scale.len()) {
                    return Ok(None);
                }
                let pick = |list: &[i32], i: usize| list[if list.len() == 1 { 0 } else { i }];
                let number = |(i, &s): (usize, &f32)| {
                    let own = own[if own.len() == 1 { 0 } else { i }];
                    let value = pick(&stored, i).wrapping_sub(pick(zero_point, i));
                    // Quantizers write the bias in the accumulator's own scale, up to rounding of that scale.
                    if (own - s).abs() <= 1e-3 * s { whole(value.into()) } else { of(value as f32 * own, s) }
                };
                scale.iter().enumerate().map(number).collect()
            }
            Binding::Value(_) => return Ok(None),
        };
        Ok(bias)
    }

    /// A convolution's accumulators; a picture of rank 3 gets one row.
    pub(super) fn accumulated(
        &mut self,
        node: &NodeProto,
        x: &Rc<Lazy>,
        w: &Rc<Lazy>,
        bias: Option<Vec<i32>>,
    ) -> Imported<(Expression, Vec<usize>)> {
        let Some((mut input, q)) = self.dequantized(x)? else { return Err("its input is not quantized".into()) };
        let Expression::Weights { stored, scale, zero_point, axis } = &w.expression else {
            return Err("its weights must be constants".into());
        };
        if !is_byte(self.kind_of_stored(stored)?) {
            return Err("its weights must have eight bits".into());
        }
        let one_row = x.shape.len() == 3;
        let mut x_shape = x.shape.clone();
        let mut w_shape = w.shape.clone();
        if one_row && w_shape.len() == 3 {
            x_shape.insert(2, 1);
            w_shape.insert(2, 1);
            input = self.move_value(&w.name, input, Movement::Reshape, &x_shape)?;
        }
        let (&[n, channels, h, width], &[w0, w1, kh, kw]) = (&x_shape[..], &w_shape[..]) else {
            return Err(format!("input {:?} and weights {:?} must have four dimensions", x.shape, w.shape).into());
        };
        let groups = usize::try_from(node.int("group", 1)).ok().filter(|&g| g > 0).ok_or("group must be positive")?;
        let transposed = node.op_type == "ConvTranspose";
        let (outputs, inputs) = if transposed { (w1.saturating_mul(groups), w0 / groups) } else { (w0, w1) };
        if inputs.checked_mul(groups) != Some(channels) || outputs % groups != 0 || outputs == 0 || inputs == 0 {
            return Err(format!("weights {w_shape:?} in {groups} groups do not fit {channels} channels").into());
        }
        let along = usize::from(transposed);
        if scale.len() > 1 && (*axis != along || scale.len() != outputs / if transposed { groups } else { 1 }) {
            return Err("its weights are quantized along another axis than the outputs".into());
        }
        let per_group = outputs / groups;
        let weights = if transposed {
            weights(self, stored, zero_point, [outputs, kh, kw, inputs], |o, y, x, i| {
                ((o / per_group * inputs + i) * per_group + o % per_group) * kh * kw + y * kw + x
            })?
        } else {
            weights(self, stored, zero_point, [outputs, kh, kw, inputs], |o, y, x, i| {
                ((o * inputs + i) * kh + y) * kw + x
            })?
        };
        let geometry = spatial(node, [h, width], Some([kh, kw]), one_row)?;
        let size = if transposed {
            transposed_size(node, &geometry, [h, width], one_row)?
        } else {
            geometry.output([h, width], false)?
        };
        let pads =
            if transposed { transposed_pads(node, &geometry, [h, width], size, one_row)? } else { geometry.pads };
        let scale = if scale.len() > 1 && transposed && groups > 1 {
            (0..outputs).map(|o| q.scale * scale[o % per_group]).collect()
        } else {
            spread(scale, q.scale, outputs)
        };
        let bias = bias.unwrap_or_else(|| vec![0; outputs]);
        if bias.len() != outputs {
            return Err(format!("its bias has {} numbers for {outputs} outputs", bias.len()).into());
        }
        let Spatial { kernel, stride, dilation, .. } = geometry;
        let zero_point = ZeroPoint::Known(q.zero_point);
        let finish = Finish::Accumulators;
        let conv = Conv { weights, outputs, inputs, groups, kernel, stride, dilation, pads, zero_point, bias, finish };
        let kind = if transposed { Accumulator::ConvTranspose } else { Accumulator::Conv };
        Ok((Expression::Accumulated { kind, conv: Box::new(conv), input, scale }, vec![n, outputs, size[0], size[1]]))
    }

    /// `a [.., K] * b [K, N]`, or of two computed operands.
    pub(super) fn product(&mut self, name: &str, a: &Rc<Lazy>, b: &Rc<Lazy>) -> Imported<Rc<Lazy>> {
        if let Expression::Weights { stored, scale, zero_point, axis } = &b.expression
            && is_byte(self.kind_of_stored(stored)?)
            && b.shape.len() == 2
            && a.shape.last() == Some(&b.shape[0])
            && (scale.len() == 1 || (*axis == 1 && scale.len() == b.shape[1]))
            && let Some((input, q)) = self.dequantized(a)?
        {
            let (inputs, outputs) = (b.shape[0], b.shape[1]);
            let weights = weights(self, stored, zero_point, [outputs, 1, 1, inputs], |o, _, _, i| i * outputs + o)?;
            let mut shape = a.shape.clone();
            shape.pop();
            shape.push(outputs);
            let scale = spread(scale, q.scale, outputs);
            return Ok(Lazy::new(name, linear(weights, inputs, outputs, q.zero_point, input, scale), shape));
        }
        let shape = product_shape(&a.shape, &b.shape)
            .ok_or_else(|| format!("shapes {:?} and {:?} cannot be multiplied", a.shape, b.shape))?;
        Ok(Lazy::new(name, Expression::MatMul(Rc::clone(a), Rc::clone(b)), shape))
    }

    /// `a * b + c` with constant `b`, as far as Gemm and QGemm are used: no scaling, `a` not transposed.
    pub(super) fn general_product(
        &mut self,
        node: &NodeProto,
        a: &Rc<Lazy>,
        b: &Rc<Lazy>,
        bias: Option<Vec<i32>>,
    ) -> Imported<Option<Rc<Lazy>>> {
        let plain = node.float("alpha", 1.0) == 1.0 && node.int("transA", 0) == 0;
        let Expression::Weights { stored, scale, zero_point, axis } = &b.expression else { return Ok(None) };
        if !plain || a.shape.len() != 2 || b.shape.len() != 2 {
            return Ok(None);
        }
        let transposed = node.int("transB", 0) != 0;
        let (outputs, inputs) = if transposed { (b.shape[0], b.shape[1]) } else { (b.shape[1], b.shape[0]) };
        if a.shape[1] != inputs {
            return Err(format!("shapes {:?} and {:?} cannot be multiplied", a.shape, b.shape).into());
        }
        let along = usize::from(!transposed);
        // Of a square matrix only the axis says whose scales they are.
        let fits = scale.len() == 1 || (scale.len() == outputs && *axis == along);
        let Some((input, q)) = self.dequantized(a)? else { return Ok(None) };
        if !fits || !is_byte(self.kind_of_stored(stored)?) {
            return Ok(None);
        }
        let at = |o: usize, _: usize, _: usize, i: usize| if transposed { o * inputs + i } else { i * outputs + o };
        let weights = weights(self, stored, zero_point, [outputs, 1, 1, inputs], at)?;
        let scale = spread(scale, q.scale, outputs);
        let mut expression = linear(weights, inputs, outputs, q.zero_point, input, scale);
        if let Expression::Accumulated { conv, .. } = &mut expression
            && let Some(bias) = bias
        {
            if bias.len() != outputs {
                return Ok(None);
            }
            conv.bias = bias;
        }
        Ok(Some(Lazy::new(&name_of(node), expression, vec![a.shape[0], outputs])))
    }

    pub(super) fn gemm(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (Binding::Lazy(a), Binding::Lazy(b)) = (self.needed(node, 0)?, self.needed(node, 1)?) else {
            return Ok(Handled::No);
        };
        let Some(product) = self.general_product(node, &a, &b, None)? else { return Ok(Handled::No) };
        let Some(bias) = self.input(node, 2)? else { return self.done(node, Binding::Lazy(product)) };
        if node.float("beta", 1.0) != 1.0 {
            return Ok(Handled::No);
        }
        match self.biased(&product, &bias)? {
            Some(product) => self.done(node, Binding::Lazy(product)),
            None => Ok(Handled::No),
        }
    }

    /// A matrix product with a known bias, one for each output, that it did not have.
    pub(super) fn biased(&self, lazy: &Rc<Lazy>, bias: &Binding) -> Imported<Option<Rc<Lazy>>> {
        let Expression::Accumulated { kind: Accumulator::Linear, conv, input, scale } = &lazy.expression else {
            return Ok(None);
        };
        let shape = self.shape(bias);
        // One of more dimensions gives these to the sum.
        let along_outputs = shape.last() == Some(&conv.outputs)
            && shape.iter().product::<usize>() == conv.outputs
            && shape.len() <= lazy.shape.len();
        if !along_outputs || conv.bias.iter().any(|&b| b != 0) {
            return Ok(None);
        }
        let Some(bias) = self.bias(bias, scale)? else { return Ok(None) };
        let conv = Box::new(Conv { bias, ..(**conv).clone() });
        let expression =
            Expression::Accumulated { kind: Accumulator::Linear, conv, input: *input, scale: scale.clone() };
        Ok(Some(Lazy::new(&lazy.name, expression, lazy.shape.clone())))
    }

    pub(super) fn matmul(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (mut a, mut b) = (self.needed(node, 0)?, self.needed(node, 1)?);
        let (left, right) = (self.shape(&a), self.shape(&b));
        // A list is a row on the left and a column on the right, of which the product has no dimension.
        if let [inner] = left[..] {
            a = self.moved(node, &a, Movement::Reshape, vec![1, inner])?;
        }
        if let [inner] = right[..] {
            b = self.moved(node, &b, Movement::Reshape, vec![inner, 1])?;
        }
        if let Handled::No = self.product_of(node, &a, &b)? {
            return Ok(Handled::No);
        }
        if left.len() == 1 || right.len() == 1 {
            let held = self.get(node.output.first().map_or("", String::as_str))?;
            let mut shape = self.shape(&held);
            let last = shape.len() - 1;
            if right.len() == 1 {
                shape.remove(last);
            }
            if left.len() == 1 {
                shape.remove(last - 1);
            }
            let held = self.moved(node, &held, Movement::Reshape, shape)?;
            return self.done(node, held);
        }
        Ok(Handled::Yes)
    }

    pub(super) fn product_of(&mut self, node: &'a NodeProto, a: &Binding, b: &Binding) -> Imported<Handled> {
        if let (Binding::Lazy(a), Binding::Lazy(b)) = (a, b) {
            if product_shape(&a.shape, &b.shape).is_none() {
                return Err(format!("shapes {:?} and {:?} cannot be multiplied", a.shape, b.shape).into());
            }
            let product = self.product(&name_of(node), a, b)?;
            return self.done(node, Binding::Lazy(product));
        }
        self.float_matmul(node, a, b)
    }
}

fn linear(
    weights: Weights,
    inputs: usize,
    outputs: usize,
    zero_point: i32,
    input: usize,
    scale: Vec<f32>,
) -> Expression {
    let conv = Conv::linear(weights, [outputs, inputs], zero_point, Finish::Accumulators);
    Expression::Accumulated { kind: Accumulator::Linear, conv: Box::new(conv), input, scale }
}
