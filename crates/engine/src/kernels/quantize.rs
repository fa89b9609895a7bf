//! Between floats and bytes: QuantizeLinear, DequantizeLinear and the range of DynamicQuantizeLinear.
//!
//! Bytes are in the stored domain: where `signed`, a byte stands for -128 to 127, otherwise for 0 to 255.

use super::epilogue::round_and_clamp;

/// What turns numbers into bytes: `clamp(round_half_even(x / scale) + zero_point)` in the stored domain.
#[derive(Debug, Clone, Copy)]
pub struct QuantParams {
    pub scale: f32,
    pub zero_point: i32,
    pub signed: bool,
}

impl QuantParams {
    fn range(&self) -> (i32, i32) {
        if self.signed { (-128, 127) } else { (0, 255) }
    }
}

/// `f32` to bytes by division.
pub fn quantize(x: &[f32], y: &mut [u8], params: QuantParams) {
    let (low, high) = params.range();
    for (x, y) in x.iter().zip(y) {
        *y = round_and_clamp(x / params.scale, params.zero_point, low, high) as u8;
    }
}

/// The same bytes as [`quantize`] without dividing; worth it where fused multiplication is one instruction.
///
/// With `r` the rounded reciprocal and `q` the rounded `x * r`, the remainder `x - q * scale` is exact, and
/// `q + remainder * r` is the rounded quotient (Markstein, *Computation of elementary functions on the IBM RISC
/// System/6000*, 1990, theorem 7), unless the divisor's fraction is all ones or something leaves the normal range. `x` is
/// clamped beforehand to just beyond what all saturates alike.
#[inline(always)]
pub fn quantize_by_reciprocal(x: &[f32], y: &mut [u8], params: QuantParams) {
    let QuantParams { scale, zero_point, .. } = params;
    if !(1e-18..1e18).contains(&scale) || scale.to_bits() & 0x7f_ffff == 0x7f_ffff {
        return quantize(x, y, params);
    }
    let (low, high) = params.range();
    let (min, max) = ((low - zero_point - 2) as f32 * scale, (high - zero_point + 2) as f32 * scale);
    let reciprocal = 1.0 / scale;
    for (&x, y) in x.iter().zip(y) {
        // NaN becomes the minimum, as in `round_and_clamp`.
        let x = if x > min { x } else { min };
        let x = if x < max { x } else { max };
        let near = x * reciprocal;
        let quotient = (-near).mul_add(scale, x).mul_add(reciprocal, near);
        *y = round_and_clamp(quotient, zero_point, low, high) as u8;
    }
}

/// Bytes to `f32`.
#[inline(always)]
pub fn dequantize(x: &[u8], y: &mut [f32], params: QuantParams) {
    let flip = if params.signed { 0x80 } else { 0 };
    let zero_point = params.zero_point + if params.signed { 128 } else { 0 };
    for (&x, y) in x.iter().zip(y) {
        *y = (i32::from(x ^ flip) - zero_point) as f32 * params.scale;
    }
}

/// DynamicQuantizeLinear: scale and zero point (as `u8`) of a tensor from its range, which is widened to hold 0.
pub fn dynamic_range(x: &[f32]) -> (f32, u8) {
    let (low, high) = x.iter().fold((0f32, 0f32), |(low, high), &x| (low.min(x), high.max(x)));
    let scale = (high - low) / 255.0;
    if !(scale > 0.0 && scale.is_finite()) {
        return (1.0, 0);
    }
    let zero_point = (-low / scale).round_ties_even().clamp(0.0, 255.0);
    (scale, zero_point as u8)
}
