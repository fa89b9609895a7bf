//! Products of the domain com.microsoft, which ONNX Runtime's own optimizer and quantizer write.

use super::expression::{Expression, Lazy};
use super::onnx::Attributes;
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, FloatOp, Movement, Op, Quant, ValueId, ZeroPoint};
use crate::unary::Unary;
use std::rc::Rc;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

/// A product in integers that becomes floats.
struct Scaled {
    sums: ValueId,
    /// The scale of each operand: one number, or, of the second, one for each column.
    scales: [ValueId; 2],
    bias: Option<Binding>,
}

impl<'a> Importer<'a> {
    /// `alpha * a * b`, each transposed in its last two axes where asked.
    pub(super) fn fused_matmul(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        if node.int("transBatchA", 0) != 0 || node.int("transBatchB", 0) != 0 {
            return Err("exchanged batches (transBatchA, transBatchB) are not supported".into());
        }
        let mut operands = Vec::new();
        for (index, attribute) in ["transA", "transB"].into_iter().enumerate() {
            let held = self.needed(node, index)?;
            let held = if node.int(attribute, 0) != 0 { self.transposed(node, &held)? } else { held };
            operands.push(held);
        }
        let shapes = [self.shape(&operands[0]), self.shape(&operands[1])];
        if super::geometry::product_shape(&shapes[0], &shapes[1]).is_none() {
            return Err(format!("shapes {:?} and {:?} cannot be multiplied", shapes[0], shapes[1]).into());
        }
        if let Handled::No = self.product_of(node, &operands[0], &operands[1])? {
            return Ok(Handled::No);
        }
        let alpha = node.float("alpha", 1.0);
        if alpha == 1.0 {
            return Ok(Handled::Yes);
        }
        let product = self.get(node.output.first().map_or("", String::as_str))?;
        self.apply(node, &product, Unary::Times(alpha))
    }

    /// With its last two axes exchanged.
    fn transposed(&mut self, node: &'a NodeProto, held: &Binding) -> Imported<Binding> {
        let mut to = self.shape(held);
        let rank = to.len();
        if rank < 2 {
            return Err(format!("{to:?} has no two axes to exchange").into());
        }
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        to.swap(rank - 2, rank - 1);
        match held {
            Binding::Constant(constant) => {
                let turned = (**constant).clone().permute_axes(&order).map_err(|error| error.to_string())?;
                Ok(Binding::Constant(Arc::new(turned)))
            }
            held => self.moved(node, held, Movement::Transpose(order), to),
        }
    }

    /// `a`, quantized as DynamicQuantizeLinear does, by a quantized matrix.
    pub(super) fn dynamic_quantize_matmul(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (name, a) = (name_of(node), self.needed(node, 0)?);
        let shape = self.shape(&a);
        if !self.is_float(&a) {
            return Err("its first operand must be of type f32".into());
        }
        let a = self.compute(&a)?;
        let quantized = self.push(&name, Op::DynamicQuantize, &[a], ElementKind::U8, &shape)?;
        let scale = self.new_value(&name, ElementKind::F32, &[])?;
        let zero = self.new_value(&name, ElementKind::U8, &[])?;
        if let Some(op) = self.graph.nodes.last_mut() {
            op.outputs.extend([scale, zero]);
        }
        self.check_zero_point(node, 3, self.kind_of(node, 1)?)?;
        let x = accumulated_operand(&name, quantized, ElementKind::U8, shape);
        let Some(sums) = self.integer_product(node, &x, ZeroPoint::Held(zero), [1, 3])? else {
            return Err("its zero point must be one number, or one for each column of a constant matrix".into());
        };
        let b_scale = self.needed(node, 2)?;
        let scales = [scale, self.scales(&b_scale, sums)?];
        let bias = self.input(node, 4)?;
        self.scaled(node, Scaled { sums, scales, bias })
    }

    /// Two quantized operands, each with a scale and a zero point.
    pub(super) fn matmul_integer_to_float(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let (name, a) = (name_of(node), self.needed(node, 0)?);
        let (shape, kind) = (self.shape(&a), self.kind_of(node, 0)?);
        self.check_zero_point(node, 4, kind)?;
        self.check_zero_point(node, 5, self.kind_of(node, 1)?)?;
        let zero = self.zero_point(node, 4)?.ok_or("the zero point of its first operand must be one number")?;
        let a = self.compute(&a)?;
        let x = accumulated_operand(&name, a, kind, shape);
        let Some(sums) = self.integer_product(node, &x, zero, [1, 5])? else {
            return Err("its zero point must be one number, or one for each column of a constant matrix".into());
        };
        let (a_scale, b_scale) = (self.needed(node, 2)?, self.needed(node, 3)?);
        if self.shape(&a_scale).iter().product::<usize>() != 1 {
            return Err("the scale of its first operand must be one number".into());
        }
        let scales = [self.scales(&a_scale, sums)?, self.scales(&b_scale, sums)?];
        let bias = self.input(node, 6)?;
        self.scaled(node, Scaled { sums, scales, bias })
    }

    /// Scales as an operand: one, or one for each column of the product.
    fn scales(&mut self, held: &Binding, sums: ValueId) -> Imported<ValueId> {
        let (shape, columns) = (self.shape(held), self.graph.values[sums].shape.last().copied().unwrap_or(1));
        let count: usize = shape.iter().product();
        if !self.is_float(held) || shape.len() > 1 || (count != 1 && count != columns) {
            return Err(format!("scales {shape:?} do not fit {columns} columns").into());
        }
        self.compute(held)
    }

    /// `f32(sum) * (scale of a * scale of b) + bias`, as ONNX Runtime has it.
    fn scaled(&mut self, node: &'a NodeProto, product: Scaled) -> Imported<Handled> {
        let (name, float) = (name_of(node), ElementKind::F32);
        let shape = self.graph.values[product.sums].shape.clone();
        let of = |this: &mut Self, op: Binary, operands: [ValueId; 2], shape: &[usize]| {
            this.push(&name, Op::Float(FloatOp::Binary(op)), &operands, float, shape)
        };
        let sizes = product.scales.map(|scale| self.graph.values[scale].shape.clone());
        let both = super::elementwise::broadcast_shape(&sizes[0], &sizes[1])?;
        let factor = of(self, Binary::Mul, product.scales, &both)?;
        let sums = self.push(&name_of(node), Op::Cast, &[product.sums], float, &shape)?;
        let mut y = of(self, Binary::Mul, [sums, factor], &shape)?;
        if let Some(bias) = product.bias {
            let given = self.shape(&bias);
            if given != shape[shape.len() - 1..] || !self.is_float(&bias) {
                return Err(format!("its bias {given:?} must be floats, one for each column of {shape:?}").into());
            }
            let bias = self.compute(&bias)?;
            y = of(self, Binary::Add, [y, bias], &shape)?;
        }
        self.done(node, Binding::Value(y))
    }
}

/// What [`Importer::integer_product`] multiplies: the accumulators are asked for, so its scale means nothing.
fn accumulated_operand(name: &str, value: ValueId, kind: ElementKind, shape: Vec<usize>) -> Rc<Lazy> {
    Lazy::new(name, Expression::Dequantized(value, Quant { scale: 1.0, zero_point: 0, kind }), shape)
}
