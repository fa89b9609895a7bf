//! The product of two quantized tensors.

use super::arena::View;
use super::epilogue::{round_and_clamp, stored_value};

/// `clamp(round_half_even(f32(f32((a - za) * (b - zb)) * ratio) + zero_point), low, high)`: the zero point is added before the
/// number is rounded, as ONNX Runtime does, so everything but the operands is in the output's own numbers.
#[derive(Debug, Clone, Copy)]
pub struct MulStep {
    pub a: View,
    pub b: View,
    pub y: View,
    /// Of the operands, in the stored domain.
    pub zero_points: [i32; 2],
    pub ratio: f32,
    pub zero_point: i32,
    pub low: i32,
    pub high: i32,
    /// What storing adds to the numbers of `y`: 0, 128 or -128.
    pub shift: i32,
}

/// `count` contiguous elements, from stored bytes to stored bytes: one implementation for every kernel set.
///
/// # Safety
/// The pointers must be valid for as many bytes; `y` may be one of the operands.
#[inline(always)]
pub unsafe fn mul_contiguous(step: &MulStep, signed: bool, x: [*const u8; 2], y: *mut u8, count: usize) {
    let MulStep { zero_points, ratio, zero_point, low, high, shift, .. } = *step;
    let zero_point = zero_point as f32;
    for i in 0..count {
        // SAFETY: promised by the caller; an element is read before it is written.
        unsafe {
            let a = (stored_value(*x[0].add(i), signed) - zero_points[0]) as f32;
            let b = (stored_value(*x[1].add(i), signed) - zero_points[1]) as f32;
            // The product of two such numbers is exact in `f32`.
            let real = a * b * ratio + zero_point;
            *y.add(i) = (round_and_clamp(real, 0, low, high) + shift) as u8;
        }
    }
}
