//! The numbers of a quantized tensor.

use crate::ElementKind;

/// Scale and zero point of a quantized tensor: `real = scale * (stored - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quant {
    pub scale: f32,
    pub zero_point: i32,
    /// `u8` or `i8`; `u16` or `i16` where floats are computed of it.
    pub kind: ElementKind,
}

impl Quant {
    /// The least and the greatest stored value.
    pub fn range(&self) -> (i32, i32) {
        stored_range(self.kind)
    }

    /// `clamp(round_half_even(real / scale) + zero_point)`: QuantizeLinear; the least for NaN.
    pub fn quantize(&self, real: f32) -> i32 {
        let (low, high) = self.range();
        let rounded = (real / self.scale).round_ties_even() + self.zero_point as f32;
        if rounded.is_nan() { low } else { (rounded as i32).clamp(low, high) }
    }

    /// `scale * (stored - zero_point)`: DequantizeLinear.
    pub fn dequantize(&self, stored: i32) -> f32 {
        (stored - self.zero_point) as f32 * self.scale
    }
}

/// The least and the greatest number that a quantized tensor of this kind stores.
pub fn stored_range(kind: ElementKind) -> (i32, i32) {
    match kind {
        ElementKind::I8 => (-128, 127),
        ElementKind::U16 => (0, 65535),
        ElementKind::I16 => (-32768, 32767),
        _ => (0, 255),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_becomes_the_least() {
        for (kind, least) in
            [(ElementKind::U8, 0), (ElementKind::I8, -128), (ElementKind::U16, 0), (ElementKind::I16, -32768)]
        {
            let quant = Quant { scale: 0.5, zero_point: 3, kind };
            assert_eq!(quant.quantize(f32::NAN), least);
            assert_eq!((quant.quantize(1.0), quant.quantize(f32::NEG_INFINITY)), (5, least));
        }
    }
}
