//! Float loops with AVX2 and FMA, and with AVX-512.

use super::isa::{Lanes, Loop, PlainLanes, ProductTile, sums};
use std::arch::x86_64::*;

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy)]
pub struct Isa(Level);

#[derive(Debug, Clone, Copy)]
enum Level {
    Plain,
    Avx2,
    Avx512,
}

impl Isa {
    /// What every CPU of this architecture has.
    pub const PLAIN: Isa = Isa(Level::Plain);

    /// # Safety
    /// The CPU must have AVX2 and FMA wherever the value is used.
    pub const unsafe fn avx2() -> Isa {
        Isa(Level::Avx2)
    }

    /// # Safety
    /// The CPU must have AVX2, FMA and AVX-512 F, BW and VL wherever the value is used.
    pub const unsafe fn avx512() -> Isa {
        Isa(Level::Avx512)
    }

    /// Runs a loop that was compiled for this instruction set.
    pub fn run(self, work: impl Loop) {
        match self.0 {
            Level::Plain => work.run::<PlainLanes>(),
            // SAFETY: who made the value promised that the CPU has the features.
            Level::Avx2 => unsafe { avx2(work) },
            // SAFETY: as above.
            Level::Avx512 => unsafe { avx512(work) },
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn avx2(work: impl Loop) {
    work.run::<Eight>();
}

#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
fn avx512(work: impl Loop) {
    work.run::<Sixteen>();
}

/// Only loops compiled by [`avx2`] see it.
#[derive(Clone, Copy)]
struct Eight(__m256);

impl Lanes for Eight {
    const COUNT: usize = 8;
    const ROWS: usize = 6;
    const VECTORS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> Eight {
        // SAFETY: the type is used where the CPU has AVX2 and FMA only.
        Eight(unsafe { _mm256_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Eight {
        // SAFETY: promised by the caller; see `splat`.
        Eight(unsafe { _mm256_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: promised by the caller; see `splat`.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, count: usize) -> Eight {
        // SAFETY: lanes beyond `count` are not accessed; see `splat`.
        Eight(unsafe { _mm256_maskload_ps(p, first(count)) })
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, count: usize) {
        // SAFETY: lanes beyond `count` are not accessed; see `splat`.
        unsafe { _mm256_maskstore_ps(p, first(count), self.0) }
    }

    #[inline(always)]
    unsafe fn tile<const R: usize, const V: usize>(tile: &ProductTile) {
        #[target_feature(enable = "avx2,fma")]
        #[inline(never)]
        unsafe fn eights<const R: usize, const V: usize>(tile: &ProductTile) {
            // SAFETY: promised by the caller.
            unsafe { sums::<Eight, R, V>(tile) }
        }
        // SAFETY: promised by the caller; see `splat`.
        unsafe { eights::<R, V>(tile) }
    }

    #[inline(always)]
    fn mul_add(self, b: Eight, c: Eight) -> Eight {
        // SAFETY: see `splat`.
        Eight(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }
}

/// A mask of the first `count` lanes of eight.
#[inline(always)]
fn first(count: usize) -> __m256i {
    // SAFETY: the callers' CPU has AVX2.
    unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
}

/// A mask of the first `count` lanes of sixteen.
#[inline(always)]
fn first_of_sixteen(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

/// Only loops compiled by [`avx512`] see it.
#[derive(Clone, Copy)]
struct Sixteen(__m512);

impl Lanes for Sixteen {
    const COUNT: usize = 16;
    const ROWS: usize = 12;
    const VECTORS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> Sixteen {
        // SAFETY: the type is used where the CPU has AVX-512 only.
        Sixteen(unsafe { _mm512_set1_ps(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Sixteen {
        // SAFETY: promised by the caller; see `splat`.
        Sixteen(unsafe { _mm512_loadu_ps(p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: promised by the caller; see `splat`.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, count: usize) -> Sixteen {
        // SAFETY: lanes beyond `count` are not accessed; see `splat`.
        Sixteen(unsafe { _mm512_maskz_loadu_ps(first_of_sixteen(count), p) })
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, count: usize) {
        // SAFETY: lanes beyond `count` are not accessed; see `splat`.
        unsafe { _mm512_mask_storeu_ps(p, first_of_sixteen(count), self.0) }
    }

    #[inline(always)]
    unsafe fn tile<const R: usize, const V: usize>(tile: &ProductTile) {
        #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl")]
        #[inline(never)]
        unsafe fn sixteens<const R: usize, const V: usize>(tile: &ProductTile) {
            // SAFETY: promised by the caller.
            unsafe { sums::<Sixteen, R, V>(tile) }
        }
        // SAFETY: promised by the caller; see `splat`.
        unsafe { sixteens::<R, V>(tile) }
    }

    #[inline(always)]
    fn mul_add(self, b: Sixteen, c: Sixteen) -> Sixteen {
        // SAFETY: see `splat`.
        Sixteen(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
}
