//! The computations themselves. All `unsafe` of the engine is below this module.
//!
//! | file | holds |
//! |---|---|
//! | `memory` | the arena and views into it |
//! | `conv` | what every convolution kernel shares: packing, cutting into tiles |
//! | `scalar` | the oracle: every kernel, in plain Rust |
//! | `winograd` | 3×3 convolutions with fewer multiplications, for sets without dot products |
//! | `copy` | elements moved from one arrangement to another |
//! | `scaling` | between floats and bytes |
//! | `portable` | ops whose time does not matter enough for kernels of their own |
//! | `x86_64/`, `aarch64/` | kernels by instruction set |
//!
//! A kernel set is chosen once, when a model is planned; `LINESIDE_KERNEL` forces one. Each set says whether it stores
//! activations as `u8` or as `i8` (the same bytes with the top bit flipped), because x86-64 multiplies unsigned by
//! signed bytes and aarch64 signed by signed.

// Tiles of accumulators are walked by pixel and vector, which index several arrays at once.
#![allow(clippy::needless_range_loop)]

pub mod conv;
pub mod copy;
pub mod memory;
pub mod portable;
mod scalar;
pub mod scaling;
#[cfg(test)]
mod tests;
pub mod winograd;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

use conv::{ConvStep, DepthwiseStep, Packed, PackedDepthwise, Unpacked, UnpackedDepthwise};
use memory::{Memory, View};
use scaling::Scaling;

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

/// One instruction set's kernels.
pub trait Kernels: Sync {
    /// The name that `LINESIDE_KERNEL` takes and `bench` prints.
    fn name(&self) -> &'static str;

    /// Whether activations are stored as `i8`.
    fn signed(&self) -> bool;

    /// How many outputs to compute in one width of panels; the rest are better off in another.
    fn split(&self, outputs: usize) -> usize {
        outputs
    }

    /// Puts weights into this kernel's order.
    fn pack(&self, weights: &Unpacked) -> Packed;

    /// Runs a thread's share of a convolution.
    fn conv(&self, step: &ConvStep, memory: Memory, part: (usize, usize));

    /// Puts depthwise weights into this kernel's order.
    fn pack_depthwise(&self, weights: &UnpackedDepthwise) -> PackedDepthwise;

    /// Runs a thread's share of a depthwise convolution.
    fn depthwise(&self, step: &DepthwiseStep, memory: Memory, part: (usize, usize));

    /// `count` elements of a sum that lie side by side; `y` may be one of the operands.
    ///
    /// # Safety
    /// The pointers must be valid for as many bytes.
    unsafe fn sum(&self, step: &AddStep, x: [*const u8; 2], y: *mut u8, count: usize);

    /// Runs a thread's share of a sum.
    fn add(&self, step: &AddStep, memory: Memory, part: (usize, usize)) {
        if step.a.strides[3] != 1 || step.b.strides[3] != 1 {
            return scalar::add(step, memory, part);
        }
        scalar::for_each_row(&step.y, &[step.a, step.b], part, |y, [a, b], count| {
            // SAFETY: the offsets are rows of checked views.
            unsafe { self.sum(step, [memory.at(a), memory.at(b)], memory.at(y), count) }
        });
    }

    /// Floats to bytes.
    fn quantize(&self, x: &[f32], y: &mut [u8], by: Scaling) {
        scaling::quantize(x, y, by);
    }

    /// Bytes to floats.
    fn dequantize(&self, x: &[u8], y: &mut [f32], by: Scaling) {
        scaling::dequantize(x, y, by);
    }
}

/// The kernel sets that this CPU can run, the best first; the last one is the oracle.
pub fn available() -> Vec<&'static dyn Kernels> {
    let mut sets = arch::available();
    sets.push(&scalar::Scalar);
    sets
}

/// What this CPU has of what the sets ask for, by name.
pub fn features() -> Vec<&'static str> {
    arch::features()
}

/// The best set, or the one that `LINESIDE_KERNEL` names.
///
/// # Errors
/// A line that names the sets there are, where the variable names none of them.
pub fn chosen() -> Result<&'static dyn Kernels, String> {
    let sets = available();
    let Ok(asked) = std::env::var("LINESIDE_KERNEL") else { return Ok(sets[0]) };
    let names: Vec<&str> = sets.iter().map(|set| set.name()).collect();
    let found = sets.iter().find(|set| set.name() == asked);
    found.copied().ok_or_else(|| format!("LINESIDE_KERNEL={asked}: this CPU has {}", names.join(", ")))
}
