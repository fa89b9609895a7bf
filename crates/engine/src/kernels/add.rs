//! The sum of two quantized tensors.

use super::arena::{SIGNED, View};
use super::epilogue::{round_and_clamp, stored_value};

/// A sum of two quantized tensors, in their own numbers: `clamp(round_half_even(fma(a, ratio_a, fma(b, ratio_b, fixed))), low, high)`.
#[derive(Debug, Clone, Copy)]
pub struct AddStep {
    pub a: View,
    pub b: View,
    pub y: View,
    pub ratios: [f32; 2],
    pub fixed: f32,
    /// In the output's own numbers.
    pub low: i32,
    pub high: i32,
    /// What storing adds to the numbers of `a`, `b` and `y`: 0, 128 or -128.
    pub shifts: [i32; 3],
}

impl AddStep {
    /// One element of the sum, from stored bytes to a stored byte: the definition that every kernel set follows.
    pub fn element(&self, a: u8, b: u8) -> u8 {
        let (a, b) = (stored_value(a, SIGNED) - self.shifts[0], stored_value(b, SIGNED) - self.shifts[1]);
        let real = (a as f32).mul_add(self.ratios[0], (b as f32).mul_add(self.ratios[1], self.fixed));
        (round_and_clamp(real, 0, self.low, self.high) + self.shifts[2]) as u8
    }
}
