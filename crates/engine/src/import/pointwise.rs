//! Functions of one quantized number: expressions of a single source, chains of functions, and tables of them.
//!
//! These walk an expression as often as it is an operand: how large one becomes is bounded ([`super::expression::Lazy::is_large`]).

use super::expression::{Expression, Lazy};
use crate::ElementKind;
use crate::graph::{Quant, ValueId, stored_range};
use crate::unary::Unary;
use std::rc::Rc;

/// The quantized value that an expression is a function of, element by element, where it is of one alone.
pub fn only_source(lazy: &Lazy) -> Option<(ValueId, ElementKind)> {
    match &lazy.expression {
        Expression::Dequantized(value, q) => Some((*value, q.kind)),
        Expression::Unary(x, _) | Expression::Affine(x, _) => only_source(x),
        // Sums and products of two quantized tensors have a rule of their own.
        Expression::Add(a, b) | Expression::Mul(a, b) => {
            let plain = |x: &Lazy| matches!(x.expression, Expression::Dequantized(..));
            let (a, b) = if plain(a) && plain(b) { return None } else { (only_source(a)?, only_source(b)?) };
            (a == b).then_some(a)
        }
        _ => None,
    }
}

/// The channels by which an expression of one source tells its elements apart, where it does.
pub fn channels(lazy: &Lazy) -> Option<usize> {
    match &lazy.expression {
        Expression::Affine(_, affine) => Some(affine.scale.len()),
        Expression::Unary(x, _) => channels(x),
        Expression::Add(a, b) | Expression::Mul(a, b) => channels(a).or(channels(b)),
        _ => None,
    }
}

/// An expression of one source, at one stored number of a channel.
pub fn evaluate(lazy: &Lazy, stored: i32, channel: usize) -> f32 {
    match &lazy.expression {
        Expression::Dequantized(_, q) => q.dequantize(stored),
        Expression::Unary(x, function) => function.apply(evaluate(x, stored, channel)),
        Expression::Affine(x, affine) => affine.apply(evaluate(x, stored, channel), channel),
        Expression::Add(a, b) => evaluate(a, stored, channel) + evaluate(b, stored, channel),
        Expression::Mul(a, b) => evaluate(a, stored, channel) * evaluate(b, stored, channel),
        _ => 0.0,
    }
}

/// Functions over an expression.
pub fn applied(lazy: &Rc<Lazy>, functions: &[Unary]) -> Rc<Lazy> {
    functions.iter().fold(Rc::clone(lazy), |x, function| {
        let (name, shape) = (x.name.clone(), x.shape.clone());
        Lazy::new(&name, Expression::Unary(x, *function), shape)
    })
}

/// The first expression that is no unary function, and the functions over it, innermost first.
pub fn chain(lazy: &Rc<Lazy>) -> (Rc<Lazy>, Vec<Unary>) {
    let mut base = Rc::clone(lazy);
    let mut functions = Vec::new();
    while let Expression::Unary(inner, function) = &base.expression {
        functions.push(*function);
        let inner = Rc::clone(inner);
        base = inner;
    }
    functions.reverse();
    (base, functions)
}

/// The range of stored values that functions leave, where all of them only clip: quantization is monotonic, so clipping
/// before it and after it is the same.
pub fn clipped(functions: &[Unary], q: Quant) -> (Option<i32>, i32) {
    let (mut low, mut high) = q.range();
    for function in functions {
        let (least, greatest) = match function {
            Unary::Relu => (0.0, f32::INFINITY),
            Unary::Clip(least, greatest) => (*least, *greatest),
            _ => return (None, 0),
        };
        let (least, greatest) = (q.quantize(least), q.quantize(greatest));
        low = low.max(least).min(greatest);
        high = high.min(greatest).max(least);
    }
    (Some(low), high)
}

/// A table over the bytes of `kind`; `of` maps stored numbers to stored numbers.
pub fn table_of(kind: ElementKind, of: impl Fn(i32) -> i32) -> [u8; 256] {
    std::array::from_fn(|byte| of(number(byte as u8, kind)) as u8)
}

/// The number that a byte stores.
pub fn number(byte: u8, kind: ElementKind) -> i32 {
    debug_assert!(stored_range(kind).1 <= 255);
    if kind == ElementKind::I8 { i32::from(byte as i8) } else { i32::from(byte) }
}
