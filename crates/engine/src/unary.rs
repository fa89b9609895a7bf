//! Functions of one number. [`Unary::apply`] computes them by the `libm` crate, the same on every CPU, for 256-entry tables; float
//! tensors go through the vectors of `kernels/float/`, whose `exp`, `tanh` and `erf` are others and as exact.

/// A function of one `f32`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    Relu,
    Clip(f32, f32),
    LeakyRelu(f32),
    Sigmoid,
    Tanh,
    HardSigmoid(f32, f32),
    HardSwish,
    Elu(f32),
    Erf,
    Exp,
    Log,
    Sqrt,
    Abs,
    Neg,
    Reciprocal,
    Floor,
    Ceil,
    Round,
    Softplus,
    /// With the exact `erf`.
    Gelu,
    /// With the approximation by `tanh`.
    GeluTanh,
    /// `x sigmoid(alpha x)`
    Silu(f32),
    Mish,
    /// With `alpha` and `gamma`.
    Selu(f32, f32),
    Celu(f32),
    ThresholdedRelu(f32),
    Softsign,
    Sign,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    /// `x - bias` above `lambda`, `x + bias` below `-lambda`, else 0.
    Shrink(f32, f32),
    /// `x + c`
    Plus(f32),
    /// `c - x`
    From(f32),
    /// `x * c`
    Times(f32),
    /// `x / c`
    Over(f32),
    /// `c / x`
    Divided(f32),
    /// `x ^ c`
    Power(f32),
}

impl Unary {
    /// The function's value; formulas as in the ONNX operator specification.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Unary::Relu => x.max(0.0),
            Unary::Clip(low, high) => x.max(low).min(high),
            Unary::LeakyRelu(slope) => {
                if x >= 0.0 {
                    x
                } else {
                    x * slope
                }
            }
            Unary::Sigmoid => sigmoid(x),
            Unary::Tanh => libm::tanhf(x),
            Unary::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
            Unary::HardSwish => x * (x * (1.0 / 6.0) + 0.5).clamp(0.0, 1.0),
            Unary::Elu(alpha) => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * libm::expm1f(x)
                }
            }
            Unary::Erf => libm::erff(x),
            Unary::Exp => libm::expf(x),
            Unary::Log => libm::logf(x),
            Unary::Sqrt => x.sqrt(),
            Unary::Abs => x.abs(),
            Unary::Neg => -x,
            Unary::Reciprocal => 1.0 / x,
            Unary::Floor => x.floor(),
            Unary::Ceil => x.ceil(),
            Unary::Round => x.round_ties_even(),
            Unary::Softplus => {
                if x > 20.0 {
                    x
                } else {
                    libm::log1pf(libm::expf(x))
                }
            }
            Unary::Gelu => 0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)),
            Unary::GeluTanh => {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanhf(inner))
            }
            Unary::Silu(alpha) => x * sigmoid(alpha * x),
            Unary::Mish => x * libm::tanhf(Unary::Softplus.apply(x)),
            Unary::Selu(alpha, gamma) => gamma * Unary::Elu(alpha).apply(x),
            Unary::Celu(alpha) => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * libm::expm1f(x / alpha)
                }
            }
            Unary::ThresholdedRelu(alpha) => {
                if x > alpha {
                    x
                } else {
                    0.0
                }
            }
            Unary::Softsign => x / (1.0 + x.abs()),
            Unary::Sign => {
                if x == 0.0 || x.is_nan() {
                    x
                } else {
                    1f32.copysign(x)
                }
            }
            Unary::Sin => libm::sinf(x),
            Unary::Cos => libm::cosf(x),
            Unary::Tan => libm::tanf(x),
            Unary::Asin => libm::asinf(x),
            Unary::Acos => libm::acosf(x),
            Unary::Atan => libm::atanf(x),
            Unary::Sinh => libm::sinhf(x),
            Unary::Cosh => libm::coshf(x),
            Unary::Asinh => libm::asinhf(x),
            Unary::Acosh => libm::acoshf(x),
            Unary::Atanh => libm::atanhf(x),
            Unary::Shrink(lambda, bias) => {
                if x < -lambda {
                    x + bias
                } else if x > lambda {
                    x - bias
                } else {
                    0.0
                }
            }
            Unary::Plus(c) => x + c,
            Unary::From(c) => c - x,
            Unary::Times(c) => x * c,
            Unary::Over(c) => x / c,
            Unary::Divided(c) => c / x,
            Unary::Power(c) => power(x, c),
        }
    }
}

/// `1 / (1 + exp(-x))`, without overflow for large negative `x`.
pub fn sigmoid(x: f32) -> f32 {
    if x >= 0.0 {
        1.0 / (1.0 + libm::expf(-x))
    } else {
        let e = libm::expf(x);
        e / (1.0 + e)
    }
}

/// `x ^ y`; squares and cubes by multiplication, as runtimes do.
pub fn power(x: f32, y: f32) -> f32 {
    if y == 2.0 {
        x * x
    } else if y == 3.0 {
        x * x * x
    } else if y == 0.5 {
        x.sqrt()
    } else {
        libm::powf(x, y)
    }
}
