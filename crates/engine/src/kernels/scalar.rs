//! The oracle: every kernel in plain Rust, one operation after the other.

use super::arch::SIGNED;
use super::conv::{
    ConvStep, DepthwiseStep, Ending, Packed, PackedDepthwise, Unpacked, UnpackedDepthwise, for_each_pixel,
    for_each_tile,
};
use super::memory::{Aligned, Memory, View, share};
use super::{AddStep, Kernels};

/// Plain Rust; activations are stored as the other sets of this architecture have them.
pub struct Scalar;

/// `clamp(round_half_even(f32(acc) * scale) + zero_point, low, high)`: one multiply in `f32`, no fused step.
#[inline(always)]
pub fn requantize(acc: i32, scale: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    round(acc as f32 * scale, zero_point, low, high)
}

/// `clamp(round_half_even(real) + zero_point, low, high)` for bounds of bytes; what is no number counts as `low`.
///
/// Clamped first, which is the same because the bounds are whole: then adding `1.5 * 2^23` leaves the rounded number in
/// the lowest bits. Compilers turn that into vectors, which they do not do with a call to `roundeven`.
#[inline(always)]
pub fn round(real: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    let (least, most) = ((low - zero_point) as f32, (high - zero_point) as f32);
    let real = if real > least { real } else { least };
    let real = if real < most { real } else { most };
    ((real + SHIFT).to_bits() as i32) - (SHIFT.to_bits() as i32) + zero_point
}

/// A stored byte's number.
pub fn stored(byte: u8, signed: bool) -> i32 {
    if signed { i32::from(byte as i8) } else { i32::from(byte) }
}

/// Stores what becomes of an accumulator at `y`.
///
/// # Safety
/// `y` must be valid for a write of one element (four bytes unless `ending` gives bytes).
pub unsafe fn end(acc: i32, scale: f32, ending: Ending, y: *mut u8) {
    // SAFETY: promised by the caller.
    unsafe {
        match ending {
            Ending::Bytes { zero_point, low, high, .. } => *y = requantize(acc, scale, zero_point, low, high) as u8,
            Ending::Accumulators | Ending::Lanes => y.cast::<i32>().write_unaligned(acc),
            Ending::Floats => y.cast::<f32>().write_unaligned(acc as f32 * scale),
        }
    }
}

impl Kernels for Scalar {
    fn name(&self) -> &'static str {
        "scalar"
    }

    fn signed(&self) -> bool {
        SIGNED
    }

    fn pack(&self, weights: &Unpacked) -> Packed {
        weights.pack(4, 4)
    }

    fn conv(&self, step: &ConvStep, memory: Memory, part: (usize, usize)) {
        let element = step.ending.bytes();
        for_each_tile(self, step, memory, part, 4, |tile| {
            for pixel in 0..tile.pixels {
                for o in 0..tile.outputs {
                    // SAFETY: the tile's pointers and counts come from a checked step; runs may read up to three bytes
                    // beyond their end, which the arena's slack allows.
                    unsafe {
                        let mut acc = *tile.bias.add(o);
                        let (panel, o_within) = (o / step.packed.panel, o % step.packed.panel);
                        let mut weights = tile.weights.add(panel * step.packed.panel_bytes);
                        for tap in 0..tile.tap_count {
                            let mut x = tile.x[pixel].add(*tile.taps.add(tap) as usize);
                            for _ in 0..tile.groups {
                                for byte in 0..4 {
                                    let weight = i32::from(*weights.add(o_within * 4 + byte) as i8);
                                    acc = acc.wrapping_add(stored(*x.add(byte), SIGNED) * weight);
                                }
                                x = x.add(4);
                                weights = weights.add(step.packed.panel * 4);
                            }
                        }
                        end(acc, *tile.scale.add(o), tile.ending, tile.y[pixel].add(o * element));
                    }
                }
            }
        });
    }

    fn pack_depthwise(&self, weights: &UnpackedDepthwise) -> PackedDepthwise {
        let mut packed = Aligned::zeroed(weights.channels * weights.taps);
        for c in 0..weights.channels {
            for tap in 0..weights.taps {
                packed.bytes_mut()[c * weights.taps + tap] = (weights.weight)(c, tap) as u8;
            }
        }
        PackedDepthwise {
            weights: packed,
            bias: weights.bias.to_vec(),
            scale: weights.scale.to_vec(),
            pixels: 1,
            columns: Default::default(),
            widen_at_once: false,
        }
    }

    fn depthwise(&self, step: &DepthwiseStep, memory: Memory, part: (usize, usize)) {
        let element = step.ending.bytes();
        let weights = step.packed.weights.bytes();
        for_each_pixel(step, memory, part, |x, y| {
            for c in 0..step.channels {
                let mut acc = step.packed.bias[c];
                for (tap, &offset) in step.taps.iter().enumerate() {
                    let weight = i32::from(weights[c * step.taps.len() + tap] as i8);
                    // SAFETY: taps of a checked step lie within the input and its halo.
                    let byte = unsafe { *x.add(offset as usize + c) };
                    acc = acc.wrapping_add(stored(byte, SIGNED) * weight);
                }
                // SAFETY: channel `c` of an output pixel of a checked step.
                unsafe { end(acc, step.packed.scale[c], step.ending, y.add(c * element)) };
            }
        });
    }

    unsafe fn sum(&self, step: &AddStep, [a, b]: [*const u8; 2], y: *mut u8, count: usize) {
        for i in 0..count {
            // SAFETY: promised by the caller.
            unsafe { *y.add(i) = element(*a.add(i), *b.add(i), step) };
        }
    }
}

/// A thread's share of a sum whose operands may repeat along a pixel's channels.
pub fn add(step: &AddStep, memory: Memory, part: (usize, usize)) {
    for_each_row(&step.y, &[step.a, step.b], part, |y, [a, b], count| {
        let (a_step, b_step) = (step.a.strides[3], step.b.strides[3]);
        for i in 0..count {
            // SAFETY: within rows of checked views.
            unsafe { *memory.at(y + i) = element(*memory.at(a + i * a_step), *memory.at(b + i * b_step), step) };
        }
    });
}

/// One element of a sum, as it is stored.
fn element(a: u8, b: u8, step: &AddStep) -> u8 {
    let (a, b) = (stored(a, SIGNED) - step.shifts[0], stored(b, SIGNED) - step.shifts[1]);
    let real = (a as f32).mul_add(step.ratios[0], (b as f32).mul_add(step.ratios[1], step.fixed));
    (round(real, 0, step.low, step.high) + step.shifts[2]) as u8
}

/// Calls `run` with the offsets of the longest stretches of `y` and its operands that can be walked element by element:
/// whole images, rows or pixels.
pub fn for_each_row(
    y: &View,
    operands: &[View; 2],
    (part, parts): (usize, usize),
    mut run: impl FnMut(usize, [usize; 2], usize),
) {
    let [images, rows, columns, channels] = y.dims;
    let steady = |view: &View| view.strides[2] == channels * view.strides[3] || columns == 1;
    let whole = steady(y) && operands.iter().all(steady);
    for row in share(images * rows, part, parts) {
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
