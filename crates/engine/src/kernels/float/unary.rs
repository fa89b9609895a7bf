//! Functions of one number over float tensors.

use super::isa::{Lanes, Loop};
use super::math;
use crate::unary::{Unary, power};

/// `y[i] = function(x[i])`.
pub struct Map<'a> {
    pub function: Unary,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

impl Loop for Map<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Map { function, x, y } = self;
        // Each arm is a loop by itself, so that a compiler makes vectors of it.
        macro_rules! each {
            ($x:ident => $value:expr) => {
                for (y, &$x) in y.iter_mut().zip(x) {
                    *y = $value;
                }
            };
        }
        match function {
            // NaN stays NaN in all of them; formulas as in the ONNX operator specification.
            Unary::Relu => each!(x => if x < 0.0 { 0.0 } else { x }),
            Unary::Clip(low, high) => each!(x => clip(x, low, high)),
            Unary::LeakyRelu(slope) => each!(x => if x < 0.0 { x * slope } else { x }),
            Unary::ThresholdedRelu(alpha) => each!(x => if x <= alpha { 0.0 } else { x }),
            Unary::Sigmoid => each!(x => math::sigmoid(x)),
            Unary::Silu(alpha) => each!(x => x * math::sigmoid(alpha * x)),
            Unary::Tanh => each!(x => math::tanh(x)),
            Unary::HardSigmoid(alpha, beta) => each!(x => clip(alpha.mul_add(x, beta), 0.0, 1.0)),
            Unary::HardSwish => each!(x => x * clip(x.mul_add(1.0 / 6.0, 0.5), 0.0, 1.0)),
            Unary::Mish => each!(x => math::mish(x)),
            Unary::Elu(alpha) => each!(x => { let e = alpha * math::expm1(x); if x < 0.0 { e } else { x } }),
            Unary::Celu(alpha) => each!(x => { let e = alpha * math::expm1(x / alpha); if x < 0.0 { e } else { x } }),
            Unary::Selu(alpha, gamma) => {
                each!(x => { let e = alpha * math::expm1(x); gamma * if x < 0.0 { e } else { x } })
            }
            Unary::Softplus => each!(x => math::softplus(x)),
            Unary::Softsign => each!(x => x / (1.0 + x.abs())),
            Unary::Erf => each!(x => math::erf(x)),
            Unary::Gelu => each!(x => math::gelu(x)),
            Unary::GeluTanh => each!(x => math::gelu_tanh(x)),
            Unary::Exp => each!(x => math::exp(x)),
            Unary::Log => each!(x => math::log(x)),
            Unary::Sqrt => each!(x => x.sqrt()),
            Unary::Abs => each!(x => x.abs()),
            Unary::Neg => each!(x => -x),
            Unary::Reciprocal => each!(x => 1.0 / x),
            Unary::Floor => each!(x => x.floor()),
            Unary::Ceil => each!(x => x.ceil()),
            Unary::Round => each!(x => x.round_ties_even()),
            Unary::Plus(c) => each!(x => x + c),
            Unary::From(c) => each!(x => c - x),
            Unary::Times(c) => each!(x => x * c),
            Unary::Over(c) => each!(x => x / c),
            Unary::Divided(c) => each!(x => c / x),
            Unary::Power(2.0) => each!(x => x * x),
            Unary::Power(3.0) => each!(x => x * x * x),
            Unary::Power(0.5) => each!(x => x.sqrt()),
            Unary::Power(c) => each!(x => power(x, c)),
            // Rare ones, by `libm`.
            _ => each!(x => function.apply(x)),
        }
    }
}

/// `x` held within bounds; NaN stays.
#[inline(always)]
fn clip(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}
