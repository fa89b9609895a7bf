//! Quads of bytes: brought together from four rows, and multiplied by `sdot`.

use std::arch::aarch64::*;

/// `acc + quads of w · quads of x`.
macro_rules! sdot {
    ($acc:expr, $w:expr, $x:expr) => {{
        let mut acc: int32x4_t = $acc;
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {x:v}.16b",
            acc = inout(vreg) acc, w = in(vreg) $w, x = in(vreg) $x,
            options(pure, nomem, nostack, preserves_flags)
        );
        acc
    }};
}
pub(super) use sdot;

/// Sixteen channels of four columns, the bytes of each channel side by side.
///
/// # Safety
/// The columns must be valid for sixteen bytes each.
#[target_feature(enable = "dotprod")]
#[inline]
pub unsafe fn quads(x: *const u8, columns: &[u32; 4]) -> [int8x16_t; 4] {
    // SAFETY: promised by the caller.
    unsafe {
        let (a, b) = (vld1q_s8(x.add(columns[0] as usize).cast()), vld1q_s8(x.add(columns[1] as usize).cast()));
        let (c, d) = (vld1q_s8(x.add(columns[2] as usize).cast()), vld1q_s8(x.add(columns[3] as usize).cast()));
        let (ab0, cd0) = (vreinterpretq_s16_s8(vzip1q_s8(a, b)), vreinterpretq_s16_s8(vzip1q_s8(c, d)));
        let (ab1, cd1) = (vreinterpretq_s16_s8(vzip2q_s8(a, b)), vreinterpretq_s16_s8(vzip2q_s8(c, d)));
        [
            vreinterpretq_s8_s16(vzip1q_s16(ab0, cd0)),
            vreinterpretq_s8_s16(vzip2q_s16(ab0, cd0)),
            vreinterpretq_s8_s16(vzip1q_s16(ab1, cd1)),
            vreinterpretq_s8_s16(vzip2q_s16(ab1, cd1)),
        ]
    }
}
