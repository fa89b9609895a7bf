//! The sum of two quantized tensors, and the walk over rows that element-wise ops share.

use super::arena::{Arena, SIGNED, View};
use super::epilogue::{round_and_clamp, stored_value};
use super::grid::thread_share;

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

    /// A thread's share, element by element; for operands that repeat along a pixel's channels.
    pub fn run_strided(&self, arena: Arena, part: (usize, usize)) {
        for_each_contiguous_run(&self.y, &[self.a, self.b], part, |y, [a, b], count| {
            let (a_step, b_step) = (self.a.strides[3], self.b.strides[3]);
            for i in 0..count {
                // SAFETY: within rows of checked views.
                unsafe { *arena.at(y + i) = self.element(*arena.at(a + i * a_step), *arena.at(b + i * b_step)) };
            }
        });
    }
}

/// Calls `run` with the offsets of the longest stretches of `y` and its operands that can be walked element by element:
/// whole images, rows or pixels.
pub fn for_each_contiguous_run(
    y: &View,
    operands: &[View; 2],
    (part, parts): (usize, usize),
    mut run: impl FnMut(usize, [usize; 2], usize),
) {
    let [images, rows, columns, channels] = y.dims;
    let steady = |view: &View| view.strides[2] == channels * view.strides[3] || columns == 1;
    let whole = steady(y) && operands.iter().all(steady);
    for row in thread_share(images * rows, part, parts) {
        let (n, r) = (row / rows, row % rows);
        let at = |x: usize| (y.pixel(n, r, x), [operands[0].pixel(n, r, x), operands[1].pixel(n, r, x)]);
        if whole {
            let (y, x) = at(0);
            run(y, x, columns * channels);
        } else {
            for column in 0..columns {
                let (y, x) = at(column);
                run(y, x, channels);
            }
        }
    }
}
