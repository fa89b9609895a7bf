//! `exp`, `log`, `tanh`, `erf` and what is made of them, in `f32`: one implementation for every CPU, without tables or branches, so
//! that a compiler turns a loop over them into vectors.
//!
//! Measured against `f64` over every 97th float (`kernels/tests/float_math.rs`), in units of the last place of a result that is a normal
//! number; where a result is denormal, one unit is the smallest denormal:
//!
//! | function | error, ulp, at most |
//! |---|---|
//! | `exp` | 1.1 |
//! | `expm1` | 1.5 |
//! | `log` | 1.0 |
//! | `log1p_of_fraction`, x in 0..=1 | 1.3 |
//! | `softplus` | 2.0 |
//! | `tanh` | 1.5 |
//! | `sigmoid` | 2.5 |
//! | `erf` | 1.1 |
//!
//! NaN gives NaN; infinities give the limits.

/// Adding it to a float of less than 2^22 leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `r` and `n` with `x = r + n ln 2`, `|r| <= ln 2 / 2`: `n` as a float and as the bits of [`ROUND`] plus it. Two parts of ln 2 make the
/// difference exact to the last place (Cody and Waite, *Software Manual for the Elementary Functions*, 1980).
#[inline(always)]
fn reduced(x: f32) -> (f32, f32, i32) {
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_145_75, x);
    let r = n.mul_add(-1.428_606_8e-6, r);
    (r, n, (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32))
}

/// `exp(r) - 1` for `|r| <= ln 2 / 2`; coefficients of Cephes' `expf` (Moshier).
#[inline(always)]
fn expm1_reduced(r: f32) -> f32 {
    let p = 1.987_569_1e-4f32.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 0.166_666_66);
    let p = p.mul_add(r, 0.5);
    (p * r).mul_add(r, r)
}

/// `2^n` for `-126 <= n <= 127`.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Beyond these all is 0 or infinity.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let (r, _, n) = reduced(x);
    // Two factors: one alone has no float for denormal results and for the greatest.
    let half = n >> 1;
    (expm1_reduced(r) + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `exp(x) - 1` without loss near 0.
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -18.0 { -18.0 } else { x };
    let (r, _, n) = reduced(x);
    let half = n >> 1;
    let (small, large) = (power_of_two(half), power_of_two(n.wrapping_sub(half)));
    // `2^n (e + 1) - 1`, divided by `2^half` while it is added up: 2^128 is no float.
    expm1_reduced(r).mul_add(large, large - power_of_two(half.wrapping_neg())) * small
}

#[inline(always)]
pub fn log(x: f32) -> f32 {
    let denormal = x < f32::MIN_POSITIVE;
    let scaled = if denormal { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits();
    // The exponent by which the fraction lies in sqrt(1/2)..sqrt(2).
    let above = bits.wrapping_sub(0x3f35_04f3) as i32;
    let exponent = (above >> 23) as f32 - if denormal { 23.0 } else { 0.0 };
    let fraction = f32::from_bits(bits.wrapping_sub((above & -0x80_0000) as u32));
    let result = log_of(fraction - 1.0, exponent);
    let result = if x == f32::INFINITY { x } else { result };
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    if x < 0.0 || x.is_nan() { f32::NAN } else { result }
}

/// `log(1 + f) + e ln 2` for `1 + f` in sqrt(1/2)..sqrt(2); coefficients of Cephes' `logf`.
#[inline(always)]
fn log_of(f: f32, e: f32) -> f32 {
    let p = 7.037_683_6e-2f32.mul_add(f, -0.115_146_1);
    let p = p.mul_add(f, 0.116_769_98);
    let p = p.mul_add(f, -0.124_201_41);
    let p = p.mul_add(f, 0.142_493_23);
    let p = p.mul_add(f, -0.166_680_58);
    let p = p.mul_add(f, 0.200_007_15);
    let p = p.mul_add(f, -0.249_999_94);
    let p = p.mul_add(f, 0.333_333_3);
    let square = f * f;
    let tail = (p * f).mul_add(square, e * -2.121_944_4e-4);
    let sum = square.mul_add(-0.5, tail) + f;
    e.mul_add(0.693_359_4, sum)
}

/// `log(1 + x)` for `x` in 0..=1.
#[inline(always)]
pub fn log1p_of_fraction(x: f32) -> f32 {
    let sum = 1.0 + x;
    // What rounding the sum lost.
    log(sum) + (x - (sum - 1.0)) / sum
}

#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let size = x.abs();
    // Near 0 a polynomial (Cephes' `tanhf`), elsewhere 1 - 2 / (exp(2 |x|) + 1).
    let square = x * x;
    let p = (-5.704_988_7e-3f32).mul_add(square, 2.063_908_8e-2);
    let p = p.mul_add(square, -5.373_971_6e-2);
    let p = p.mul_add(square, 0.133_314_42);
    let p = p.mul_add(square, -0.333_332_8);
    let near = (p * square).mul_add(x, x);
    let far = (1.0 - 2.0 / (exp(size + size) + 1.0)).copysign(x);
    if size < 0.625 { near } else { far }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let above = if x < 0.0 { e } else { 1.0 };
    above / (1.0 + e)
}

/// Two polynomials fitted by N. Juffa (forum of NVIDIA's developers, 2017).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let size = x.abs();
    let square = x * x;
    let near = (-5.967_617e-4f32).mul_add(square, 4.991_194e-3);
    let near = near.mul_add(square, -2.676_813_5e-2);
    let near = near.mul_add(square, 0.112_819_925);
    let near = near.mul_add(square, -0.376_125_34);
    let near = near.mul_add(square, 0.128_379_17);
    let near = near.mul_add(x, x);
    // From 4 on it is 1; without the bound the polynomial turns around.
    let t = if size > 4.0 { 4.0 } else { size };
    let far = (-1.728_534_7e-5f32).mul_add(t, 3.831_971_3e-4);
    let u = (-3.883_964_4e-3f32).mul_add(t, 2.425_462_2e-2);
    let far = far.mul_add(t * t, u);
    let far = far.mul_add(t, -0.106_777_88);
    let far = far.mul_add(t, -0.634_846_7);
    let far = far.mul_add(t, -0.128_717_51);
    let far = far.mul_add(t, -t);
    let far = (1.0 - exp(far)).copysign(x);
    if size > 0.927_734_4 { far } else { near }
}

/// `x / 2 (1 + erf(x / sqrt 2))`.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Its approximation, `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x³)))`.
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    let inner = 0.797_884_6 * (0.044_715 * x * x).mul_add(x, x);
    0.5 * x * (1.0 + tanh(inner))
}

/// `log(1 + exp(x))`.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    let above = if x < 0.0 { 0.0 } else { x };
    above + log1p_of_fraction(exp(-x.abs()))
}

/// `x tanh(softplus(x))`: with `e = exp(x)`, the hyperbolic tangent is `n / (n + 2)` for `n = e (e + 2)`.
#[inline(always)]
pub fn mish(x: f32) -> f32 {
    let e = exp(if x > 20.0 { 20.0 } else { x });
    let n = e * (e + 2.0);
    x * (n / (n + 2.0))
}
