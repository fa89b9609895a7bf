//! The numbers of a quantized tensor.

use crate::ElementKind;

/// Scale and zero point of a quantized tensor: `real = scale * (stored - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quant {
    pub scale: f32,
    pub zero_point: i32,
    /// `u8` or `i8`.
    pub kind: ElementKind,
}

impl Quant {
    /// The least and the greatest stored value.
    pub fn range(&self) -> (i32, i32) {
        byte_range(self.kind)
    }

    /// `clamp(round_half_even(real / scale) + zero_point)`: QuantizeLinear.
    pub fn quantize(&self, real: f32) -> i32 {
        let (low, high) = self.range();
        let rounded = (real / self.scale).round_ties_even() + self.zero_point as f32;
        if rounded.is_nan() { low.max(0) } else { (rounded as i32).clamp(low, high) }
    }

    /// `scale * (stored - zero_point)`: DequantizeLinear.
    pub fn dequantize(&self, stored: i32) -> f32 {
        (stored - self.zero_point) as f32 * self.scale
    }
}

/// The least and the greatest value of a byte of this kind.
pub fn byte_range(kind: ElementKind) -> (i32, i32) {
    if kind == ElementKind::I8 { (-128, 127) } else { (0, 255) }
}
