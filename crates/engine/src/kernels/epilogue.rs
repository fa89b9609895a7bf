//! From an accumulator to what is stored: rounding, clamping, and the choice of the output's type.

/// What happens to a convolution's or matrix product's `i32` accumulator before it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Epilogue {
    /// `clamp(round_half_even(f32(acc) * scale) + zero_point, low, high)` in the stored domain.
    ///
    /// `saturate_only`: every byte may be the result and every scale lies between -1 and 1, so that a scaled accumulator fits 32
    /// bits and saturating at each narrowing is all the clamping there is.
    Bytes { zero_point: i32, low: i32, high: i32, saturate_only: bool },
    /// `i32`
    Accumulators,
    /// `f32(acc) * scale`
    Floats,
    /// Accumulators in the order of a kernel's vectors, for the kernel's own use.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Lanes,
}

impl Epilogue {
    /// Bytes of an output element.
    pub fn bytes(self) -> usize {
        if matches!(self, Epilogue::Bytes { .. }) { 1 } else { 4 }
    }
}

/// `clamp(round_half_even(f32(acc) * scale) + zero_point, low, high)`: one multiplication in `f32`, not fused.
#[inline(always)]
pub fn requantize(acc: i32, scale: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    round_and_clamp(acc as f32 * scale, zero_point, low, high)
}

/// `clamp(round_half_even(real) + zero_point, low, high)` for bounds of 8 or 16 bits; NaN becomes `low`.
///
/// Clamped first, which is the same because the bounds are whole: then adding `1.5 * 2^23` leaves the rounded number in
/// the lowest bits. Compilers vectorize that, which they do not do with a call to `roundeven`.
#[inline(always)]
pub fn round_and_clamp(real: f32, zero_point: i32, low: i32, high: i32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    let (min, max) = ((low - zero_point) as f32, (high - zero_point) as f32);
    let real = if real > min { real } else { min };
    let real = if real < max { real } else { max };
    ((real + SHIFT).to_bits() as i32) - (SHIFT.to_bits() as i32) + zero_point
}

/// The number that a stored byte stands for: `signed` as `i8`, otherwise as `u8`.
pub fn stored_value(byte: u8, signed: bool) -> i32 {
    if signed { i32::from(byte as i8) } else { i32::from(byte) }
}

/// Applies an epilogue to an accumulator and stores the result at `y`.
///
/// # Safety
/// `y` must be valid for a write of one element: [`Epilogue::bytes`] bytes.
pub unsafe fn store_accumulator(acc: i32, scale: f32, epilogue: Epilogue, y: *mut u8) {
    // SAFETY: promised by the caller.
    unsafe {
        match epilogue {
            Epilogue::Bytes { zero_point, low, high, .. } => *y = requantize(acc, scale, zero_point, low, high) as u8,
            Epilogue::Accumulators | Epilogue::Lanes => y.cast::<i32>().write_unaligned(acc),
            Epilogue::Floats => y.cast::<f32>().write_unaligned(acc as f32 * scale),
        }
    }
}
