//! From accumulators to bytes, and sums, for every set.

use crate::kernels::add::AddStep;
use crate::kernels::epilogue::{Epilogue, store_accumulator};
use std::arch::aarch64::*;

/// [`Epilogue::Bytes`] with numbers of the width that vectors need.
#[derive(Clone, Copy)]
pub struct ByteEpilogue {
    pub zero_point: i16,
    pub low: i8,
    pub high: i8,
    /// See [`Epilogue::Bytes`].
    pub saturate_only: bool,
}

impl ByteEpilogue {
    pub fn of(epilogue: Epilogue) -> Option<ByteEpilogue> {
        match epilogue {
            Epilogue::Bytes { zero_point, low, high, saturate_only } => {
                Some(ByteEpilogue { zero_point: zero_point as i16, low: low as i8, high: high as i8, saturate_only })
            }
            _ => None,
        }
    }
}

/// Four accumulators scaled and rounded to even, as 32-bit numbers; the conversion saturates.
///
/// # Safety
/// `scale` must be valid for four numbers.
#[inline(always)]
unsafe fn scaled(acc: int32x4_t, scale: *const f32) -> int32x4_t {
    // SAFETY: NEON is part of every aarch64 CPU; the rest is promised by the caller.
    unsafe { vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(scale))) }
}

/// `NV` vectors of accumulators as bytes, `n` of them stored. `SATURATE_ONLY`: see [`ByteEpilogue::saturate_only`].
///
/// # Safety
/// `scale` must be valid for `NV * 4` numbers, `y` for `n` bytes.
#[inline(always)]
pub unsafe fn store<const NV: usize, const SATURATE_ONLY: bool>(
    acc: [int32x4_t; NV],
    scale: *const f32,
    bytes: ByteEpilogue,
    y: *mut u8,
    n: usize,
) {
    // SAFETY: as in `scaled`; `NV` is at most four.
    unsafe {
        let zero_point = vdupq_n_s16(bytes.zero_point);
        let narrowed = |v: usize| vqmovn_s32(scaled(acc[v.min(NV - 1)], scale.add(v.min(NV - 1) * 4)));
        let low = vqaddq_s16(vcombine_s16(narrowed(0), narrowed(1)), zero_point);
        if NV <= 2 {
            let mut all = vqmovn_s16(low);
            if !SATURATE_ONLY {
                all = vmin_s8(vmax_s8(all, vdup_n_s8(bytes.low)), vdup_n_s8(bytes.high));
            }
            return if NV == 1 {
                store_four(vget_lane_s32::<0>(vreinterpret_s32_s8(all)), y, n)
            } else {
                store_eight(all, y, n)
            };
        }
        let high = vqaddq_s16(vcombine_s16(narrowed(2), narrowed(3)), zero_point);
        let mut all = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
        if !SATURATE_ONLY {
            all = vminq_s8(vmaxq_s8(all, vdupq_n_s8(bytes.low)), vdupq_n_s8(bytes.high));
        }
        store_sixteen(all, y, n);
    }
}

/// Four accumulators of the same outputs for each of four pixels as bytes.
///
/// # Safety
/// `scale` must be valid for four numbers.
#[inline(always)]
pub unsafe fn four(acc: [int32x4_t; 4], scale: *const f32, bytes: ByteEpilogue) -> int8x16_t {
    // SAFETY: as in `scaled`.
    unsafe {
        let zero_point = vdupq_n_s16(bytes.zero_point);
        let low = vqmovn_high_s32(vqmovn_s32(scaled(acc[0], scale)), scaled(acc[1], scale));
        let high = vqmovn_high_s32(vqmovn_s32(scaled(acc[2], scale)), scaled(acc[3], scale));
        let all = vqmovn_high_s16(vqmovn_s16(vqaddq_s16(low, zero_point)), vqaddq_s16(high, zero_point));
        vminq_s8(vmaxq_s8(all, vdupq_n_s8(bytes.low)), vdupq_n_s8(bytes.high))
    }
}

/// Stores `n` of four bytes.
///
/// # Safety
/// `y` must be valid for `n` bytes.
#[inline(always)]
pub unsafe fn store_four(bytes: i32, y: *mut u8, n: usize) {
    // SAFETY: promised by the caller.
    unsafe {
        if n >= 4 {
            return y.cast::<i32>().write_unaligned(bytes);
        }
        std::ptr::copy_nonoverlapping(bytes.to_le_bytes().as_ptr(), y, n);
    }
}

/// Stores `n` of the bytes.
///
/// # Safety
/// `y` must be valid for `n` bytes.
#[inline(always)]
pub unsafe fn store_eight(bytes: int8x8_t, y: *mut u8, n: usize) {
    // SAFETY: promised by the caller.
    unsafe {
        if n >= 8 {
            return vst1_s8(y.cast(), bytes);
        }
        let mut all = [0i8; 8];
        vst1_s8(all.as_mut_ptr(), bytes);
        std::ptr::copy_nonoverlapping(all.as_ptr().cast(), y, n);
    }
}

/// Stores `n` of the bytes.
///
/// # Safety
/// `y` must be valid for `n` bytes.
#[inline(always)]
pub unsafe fn store_sixteen(bytes: int8x16_t, y: *mut u8, n: usize) {
    // SAFETY: promised by the caller.
    unsafe {
        if n >= 16 {
            return vst1q_s8(y.cast(), bytes);
        }
        let mut all = [0i8; 16];
        vst1q_s8(all.as_mut_ptr(), bytes);
        std::ptr::copy_nonoverlapping(all.as_ptr().cast(), y, n);
    }
}

/// Accumulators or floats of `n` outputs that lie in order.
///
/// # Safety
/// `scale` must be valid for `n` numbers, `y` for `n` elements.
#[inline(never)]
pub unsafe fn store_32bit_outputs(acc: &[i32], scale: *const f32, epilogue: Epilogue, y: *mut u8, n: usize) {
    for (i, &acc) in acc[..n].iter().enumerate() {
        // SAFETY: promised by the caller.
        unsafe { store_accumulator(acc, *scale.add(i), epilogue, y.add(i * 4)) };
    }
}

/// Contiguous elements of a sum.
///
/// # Safety
/// The pointers must be valid for `count` bytes.
pub unsafe fn add_contiguous(step: &AddStep, [a, b]: [*const u8; 2], y: *mut u8, count: usize) {
    // SAFETY: promised by the caller; the rest of a row goes through buffers of eight bytes.
    unsafe {
        let mut i = 0;
        while i + 8 <= count {
            vst1_s8(y.add(i).cast(), add_eight(step, vld1_s8(a.add(i).cast()), vld1_s8(b.add(i).cast())));
            i += 8;
        }
        if i < count {
            let (mut ta, mut tb) = ([0u8; 8], [0u8; 8]);
            std::ptr::copy_nonoverlapping(a.add(i), ta.as_mut_ptr(), count - i);
            std::ptr::copy_nonoverlapping(b.add(i), tb.as_mut_ptr(), count - i);
            let bytes = add_eight(step, vld1_s8(ta.as_ptr().cast()), vld1_s8(tb.as_ptr().cast()));
            store_eight(bytes, y.add(i), count - i);
        }
    }
}

/// Eight elements: `fma(a, ratio_a, fma(b, ratio_b, fixed))` in the operands' own numbers.
#[inline(always)]
unsafe fn add_eight(step: &AddStep, a: int8x8_t, b: int8x8_t) -> int8x8_t {
    // SAFETY: NEON is part of every aarch64 CPU.
    unsafe {
        let own = |v: int8x8_t, shift: i32| vsubq_s16(vmovl_s8(v), vdupq_n_s16(shift as i16));
        let (a, b) = (own(a, step.shifts[0]), own(b, step.shifts[1]));
        let number = |a: int16x4_t, b: int16x4_t| {
            let float = |v: int16x4_t| vcvtq_f32_s32(vmovl_s16(v));
            let inner = vfmaq_f32(vdupq_n_f32(step.fixed), float(b), vdupq_n_f32(step.ratios[1]));
            let real = vfmaq_f32(inner, float(a), vdupq_n_f32(step.ratios[0]));
            let clamped = vmaxq_s32(vcvtnq_s32_f32(real), vdupq_n_s32(step.low));
            vqmovn_s32(vminq_s32(clamped, vdupq_n_s32(step.high)))
        };
        let low = number(vget_low_s16(a), vget_low_s16(b));
        let high = number(vget_high_s16(a), vget_high_s16(b));
        vqmovn_s16(vaddq_s16(vcombine_s16(low, high), vdupq_n_s16(step.shifts[2] as i16)))
    }
}
