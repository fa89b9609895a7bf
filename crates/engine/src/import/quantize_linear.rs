//! QuantizeLinear: of expressions, of floats, and of constants, which are quantized at load.

use super::geometry::{is_byte, is_quantized};
use super::onnx::{Attributes, floats, integers_32};
use super::quantized::checked_scales;
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, FloatOp, Op, Quant};
use crate::tract::{Constant, kind, type_name};
use crate::unary::Unary;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{DatumType, Tensor};

/// One scale and zero point, or one for each place along an axis.
struct Scales {
    scale: Vec<f32>,
    zero_point: Vec<i32>,
}

impl<'a> Importer<'a> {
    pub(super) fn quantize_linear(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let zero_point = self.input(node, 2)?;
        let kind_out = self.quantized_kind(node, zero_point.as_ref())?;
        let Some(scale) = self.known(node, 1)? else { return self.quantize_dynamic(node, &held, kind_out) };
        let scale = checked_scales(floats(&scale)?)?;
        let zero_point = match zero_point {
            Some(Binding::Constant(constant)) => integers_32(&constant)?,
            Some(_) => return Ok(Handled::No),
            None => vec![0; scale.len()],
        };
        if zero_point.len() != scale.len() {
            return Err("its zero points are not as many as its scales".into());
        }
        if let Binding::Constant(constant) = &held {
            return self.quantize_constant(node, constant, &Scales { scale, zero_point }, kind_out);
        }
        let name = name_of(node);
        let value = if scale.len() == 1 {
            let q = Quant { scale: scale[0], zero_point: zero_point[0], kind: kind_out };
            match &held {
                Binding::Lazy(lazy) if is_byte(kind_out) => self.quantized(lazy, q)?,
                _ => {
                    let floats = self.compute(&held)?;
                    self.quantize_floats(&name, floats, q)?
                }
            }
        } else {
            let shape = self.shape(&held);
            let axis = super::axis(node.int("axis", 1), shape.len())?;
            if node.int("block_size", 0) != 0 || shape[axis] != scale.len() {
                return Ok(Handled::No);
            }
            let floats = self.compute(&held)?;
            self.push(&name, Op::Quantize { scale, zero_point, axis }, &[floats], kind_out, &shape)?
        };
        self.done(node, Binding::Value(value))
    }

    /// The kind that a QuantizeLinear makes: that of its zero point, or the one that it states.
    fn quantized_kind(&self, node: &NodeProto, zero_point: Option<&Binding>) -> Imported<ElementKind> {
        // Read as bytes, they would clamp where bytes do.
        if node.input.get(2).is_some_and(|name| self.four_bits.contains(name.as_str())) {
            return Err("quantization to 4 bits is not supported, only to 8 and 16".into());
        }
        let stated = match node.int("output_dtype", 0) {
            0 => None,
            2 => Some(ElementKind::U8),
            3 => Some(ElementKind::I8),
            4 => Some(ElementKind::U16),
            5 => Some(ElementKind::I16),
            other => {
                let name = i32::try_from(other).map_or(other.to_string(), type_name);
                return Err(
                    format!("quantization to {name} is not supported, only to integers of 8 and 16 bits").into()
                );
            }
        };
        let of_zero_point = match zero_point {
            Some(Binding::Constant(constant)) => Some(kind(constant.datum_type())?),
            Some(Binding::Value(id)) => Some(self.graph.values[*id].kind),
            Some(Binding::Lazy(_)) => return Err("its zero point is a float".into()),
            None => None,
        };
        match (of_zero_point, stated) {
            (Some(zero_point), Some(stated)) if zero_point != stated => {
                Err(format!("its zero point is of type {zero_point}, but output_dtype states {stated}").into())
            }
            (Some(kind), _) if !is_quantized(kind) => Err(format!("quantization to {kind}").into()),
            (of_zero_point, stated) => Ok(of_zero_point.or(stated).unwrap_or(ElementKind::U8)),
        }
    }

    /// Of a constant: here, as a run would, and not in tract, which multiplies by a rounded reciprocal and knows no `output_dtype`.
    fn quantize_constant(
        &mut self,
        node: &'a NodeProto,
        constant: &Constant,
        scales: &Scales,
        to: ElementKind,
    ) -> Imported<Handled> {
        if constant.datum_type() != DatumType::F32 {
            let found = kind(constant.datum_type())?;
            return Err(format!("its input has elements of type {found}, which it does not take").into());
        }
        let shape = constant.shape();
        let count = scales.scale.len();
        let inner: usize = if count == 1 {
            1
        } else {
            let axis = super::axis(node.int("axis", 1), shape.len())?;
            if node.int("block_size", 0) != 0 || shape[axis] != count {
                return Ok(Handled::No);
            }
            shape[axis + 1..].iter().product()
        };
        let numbers: Vec<i32> = floats(constant)?
            .into_iter()
            .enumerate()
            .map(|(i, real)| {
                let place = i / inner.max(1) % count;
                Quant { scale: scales.scale[place], zero_point: scales.zero_point[place], kind: to }.quantize(real)
            })
            .collect();
        // In the range of the kind: nothing is cut off.
        let quantized = match to {
            ElementKind::I8 => Tensor::from_shape(shape, &numbers.iter().map(|&n| n as i8).collect::<Vec<_>>()),
            ElementKind::U16 => Tensor::from_shape(shape, &numbers.iter().map(|&n| n as u16).collect::<Vec<_>>()),
            ElementKind::I16 => Tensor::from_shape(shape, &numbers.iter().map(|&n| n as i16).collect::<Vec<_>>()),
            _ => Tensor::from_shape(shape, &numbers.iter().map(|&n| n as u8).collect::<Vec<_>>()),
        };
        let quantized = quantized.map_err(|error| error.to_string())?;
        self.add_computed(&quantized)?;
        self.done(node, Binding::Constant(Arc::new(quantized)))
    }

    /// With a scale that is computed: `clamp(round_half_even(x / scale) + zero_point)` in floats.
    fn quantize_dynamic(&mut self, node: &'a NodeProto, held: &Binding, kind: ElementKind) -> Imported<Handled> {
        let (name, float) = (name_of(node), ElementKind::F32);
        let scale = self.needed(node, 1)?;
        if self.shape(&scale).iter().product::<usize>() != 1 {
            return Ok(Handled::No);
        }
        let shape = self.shape(held);
        let (x, scale) = (self.compute(held)?, self.compute(&scale)?);
        let y = self.push(&name, Op::Float(FloatOp::Binary(Binary::Div)), &[x, scale], float, &shape)?;
        let mut y = self.push(&name, Op::Unary(Unary::Round), &[y], float, &shape)?;
        if let Some(zero_point) = self.input(node, 2)? {
            let zero_shape = self.shape(&zero_point);
            let zero_point = self.compute(&zero_point)?;
            let zero_point = self.push(&name, Op::Cast, &[zero_point], float, &zero_shape)?;
            y = self.push(&name, Op::Float(FloatOp::Binary(Binary::Add)), &[y, zero_point], float, &shape)?;
        }
        let y = self.quantize_floats(&name, y, Quant { scale: 1.0, zero_point: 0, kind })?;
        self.done(node, Binding::Value(y))
    }
}
