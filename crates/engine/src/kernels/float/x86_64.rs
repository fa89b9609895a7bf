//! Float loops with AVX2 and FMA, and with AVX-512.

use super::isa::{Lanes, Loop, Plain};
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
            Level::Plain => work.run::<Plain>(),
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
    fn mul_add(self, b: Eight, c: Eight) -> Eight {
        // SAFETY: see `splat`.
        Eight(unsafe { _mm256_fmadd_ps(self.0, b.0, c.0) })
    }
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
    fn mul_add(self, b: Sixteen, c: Sixteen) -> Sixteen {
        // SAFETY: see `splat`.
        Sixteen(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
    }
}
