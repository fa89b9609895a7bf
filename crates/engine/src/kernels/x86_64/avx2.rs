//! AVX2 without VNNI: eight lanes. Products are exact: bytes are widened to 16 bits, even and odd ones apart, and
//! multiplied in pairs by `vpmaddwd`; `vpmaddubsw` would saturate.

use super::set::{Set, row_kernels, tile_table};
use super::simd::{AddParams, ByteEpilogue, Simd};
use super::winograd::{Pairs, winograd_methods};
use crate::kernels::float::Isa;
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// The kernel set.
pub static SET: Set<Avx2> = Set {
    name: "avx2",
    // Sixteen registers: accumulators, two halves of a quad, two of the weights.
    tiles: tile_table!(Avx2, "avx2,fma", 1: [1 2 3 4 5 6], 2: [1 2 3 4], 3: [1 2 3], 4: [1 2]),
    depthwise,
    narrow_output,
    add,
    mul,
    matmul,
    winograd: winograd_methods!(Avx2, "avx2,fma", 1: [1 2 3 4 5 6 7 8 9 10 11 12], 2: [1 2 3 4 5 6]),
    quantize,
    dequantize,
    // SAFETY: `available` hands the set out where the CPU has these features only.
    float: unsafe { Isa::avx2() },
    simd: PhantomData,
};

row_kernels!(Avx2, "avx2,fma");

#[derive(Clone, Copy)]
pub struct Avx2;

/// Even and odd bytes of each quad, as 16-bit numbers.
#[inline(always)]
unsafe fn halves(bytes: __m256i) -> [__m256i; 2] {
    // SAFETY: needs AVX2, promised by the caller.
    unsafe { [_mm256_and_si256(bytes, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(bytes)] }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const QUAD: usize = 8;
    const MAX_PIXELS_AT_ONCE: usize = 1;
    type Half = Avx2;
    type I = __m256i;
    type X = [__m256i; 2];
    type W = [__m256i; 2];

    #[inline(always)]
    unsafe fn load(p: *const i32) -> __m256i {
        // SAFETY: promised by the caller, here and in all methods below.
        unsafe { _mm256_loadu_si256(p.cast()) }
    }

    #[inline(always)]
    unsafe fn store(p: *mut i32, v: __m256i) {
        // SAFETY: see `load`.
        unsafe { _mm256_storeu_si256(p.cast(), v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: see `load`.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn broadcast(p: *const u8) -> [__m256i; 2] {
        // SAFETY: see `load`.
        unsafe { halves(_mm256_set1_epi32(p.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    unsafe fn weights(p: *const u8) -> [__m256i; 2] {
        // SAFETY: see `load`.
        unsafe { [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn quad(bytes: u32) -> [__m256i; 2] {
        // SAFETY: see `load`.
        unsafe {
            let both = _mm256_set1_epi32(bytes as i32);
            // The even bytes come to the top of their halves first; shifting back extends their signs.
            [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(both)), _mm256_srai_epi16::<8>(both)]
        }
    }

    #[inline(always)]
    unsafe fn dot(acc: __m256i, x: [__m256i; 2], w: [__m256i; 2]) -> __m256i {
        // SAFETY: see `load`.
        unsafe {
            let pairs = _mm256_add_epi32(_mm256_madd_epi16(x[0], w[0]), _mm256_madd_epi16(x[1], w[1]));
            _mm256_add_epi32(acc, pairs)
        }
    }

    #[inline(always)]
    unsafe fn interleave(p: [*const u8; 4]) -> [[__m256i; 2]; 4] {
        // SAFETY: see `load`.
        unsafe {
            let [a, b, c, d] = interleaved(p);
            [halves(a), halves(b), halves(c), halves(d)]
        }
    }

    #[inline(always)]
    unsafe fn finish<const NV: usize, const SATURATE_ONLY: bool>(
        acc: [__m256i; NV],
        scale: *const f32,
        epilogue: ByteEpilogue,
        y: *mut u8,
        n: usize,
    ) {
        // SAFETY: see `load`.
        unsafe { finish::<NV, SATURATE_ONLY>(acc, scale, epilogue, y, n) }
    }

    #[inline(always)]
    unsafe fn add_bytes(a: *const u8, b: *const u8, y: *mut u8, params: &AddParams) {
        // SAFETY: see `load`.
        unsafe { add_eight(a, b, y, params) }
    }
}

/// 256-bit vectors of 16-bit numbers; sums of products by the expression that the set has for them.
macro_rules! eight_pairs {
    ($name:ident, |$acc:ident, $x:ident, $w:ident| $dot:expr) => {
        impl Pairs for $name {
            type Words = __m256i;

            #[inline(always)]
            unsafe fn widen(p: *const u8) -> __m256i {
                // SAFETY: promised by the caller, here and in all methods below.
                unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(p.cast())) }
            }

            #[inline(always)]
            unsafe fn store_words(p: *mut i16, words: __m256i) {
                // SAFETY: see `widen`.
                unsafe { _mm256_storeu_si256(p.cast(), words) }
            }

            #[inline(always)]
            unsafe fn add_words(a: __m256i, b: __m256i) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_add_epi16(a, b) }
            }

            #[inline(always)]
            unsafe fn sub_words(a: __m256i, b: __m256i) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_sub_epi16(a, b) }
            }

            #[inline(always)]
            unsafe fn shift_words<const BITS: u32>(a: __m256i) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_sll_epi16(a, _mm_cvtsi32_si128(BITS as i32)) }
            }

            #[inline(always)]
            unsafe fn dot_pairs($acc: __m256i, x: *const i16, $w: __m256i) -> __m256i {
                // SAFETY: see `widen`.
                unsafe {
                    let $x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
                    $dot
                }
            }

            #[inline(always)]
            unsafe fn load_words(p: *const i16) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_loadu_si256(p.cast()) }
            }

            #[inline(always)]
            unsafe fn sub(a: __m256i, b: __m256i) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_sub_epi32(a, b) }
            }

            #[inline(always)]
            unsafe fn shift_left<const BITS: u32>(a: __m256i) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(BITS as i32)) }
            }

            #[inline(always)]
            unsafe fn shift_right<const BITS: u32>(a: __m256i) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_sra_epi32(a, _mm_cvtsi32_si128(BITS as i32)) }
            }

            #[inline(always)]
            unsafe fn multiply(a: __m256i, b: i32) -> __m256i {
                // SAFETY: see `widen`.
                unsafe { _mm256_mullo_epi32(a, _mm256_set1_epi32(b)) }
            }
        }
    };
}
pub(super) use eight_pairs;

eight_pairs!(Avx2, |acc, x, w| _mm256_add_epi32(acc, _mm256_madd_epi16(x, w)));

/// Four times 32 bytes to quads; see [`Simd::interleave`].
///
/// # Safety
/// Needs AVX2; each pointer must be valid for 32 bytes.
#[inline(always)]
pub unsafe fn interleaved(p: [*const u8; 4]) -> [__m256i; 4] {
    // SAFETY: promised by the caller.
    unsafe {
        let (a, b) = (_mm256_loadu_si256(p[0].cast()), _mm256_loadu_si256(p[1].cast()));
        let (c, d) = (_mm256_loadu_si256(p[2].cast()), _mm256_loadu_si256(p[3].cast()));
        let (ab0, ab1) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
        let (cd0, cd1) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
        [
            _mm256_unpacklo_epi16(ab0, cd0),
            _mm256_unpackhi_epi16(ab0, cd0),
            _mm256_unpacklo_epi16(ab1, cd1),
            _mm256_unpackhi_epi16(ab1, cd1),
        ]
    }
}

/// See [`Simd::finish`].
///
/// # Safety
/// As there, with AVX2.
#[inline(always)]
pub unsafe fn finish<const NV: usize, const SATURATE_ONLY: bool>(
    acc: [__m256i; NV],
    scale: *const f32,
    epilogue: ByteEpilogue,
    y: *mut u8,
    n: usize,
) {
    // SAFETY: promised by the caller.
    unsafe {
        // Beyond 2^15 everything saturates alike; the limit keeps the conversion from overflowing.
        let limit = _mm256_set1_ps(32767.0);
        let mut rounded = acc;
        for v in 0..NV {
            let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[v]), _mm256_loadu_ps(scale.add(v * 8)));
            rounded[v] = _mm256_cvtps_epi32(if SATURATE_ONLY { scaled } else { _mm256_min_ps(scaled, limit) });
        }
        let zero_point = _mm256_set1_epi16(epilogue.zero_point);
        let last = NV - 1;
        let low = _mm256_adds_epi16(_mm256_packs_epi32(rounded[0], rounded[last.min(1)]), zero_point);
        let high = if NV > 2 {
            _mm256_adds_epi16(_mm256_packs_epi32(rounded[last.min(2)], rounded[last]), zero_point)
        } else {
            low
        };
        let mut bytes = _mm256_packus_epi16(low, high);
        if !SATURATE_ONLY {
            bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8(epilogue.low as i8));
            bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8(epilogue.high as i8));
        }
        let bytes = match NV {
            1 => _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0)),
            2 => _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 4, 5, 0, 0, 0, 0)),
            3 => _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 0, 0)),
            _ => bytes,
        };
        if n < NV * 8 || NV == 3 {
            let mut whole = [0u8; 32];
            _mm256_storeu_si256(whole.as_mut_ptr().cast(), bytes);
            std::ptr::copy_nonoverlapping(whole.as_ptr(), y, n.min(NV * 8));
            return;
        }
        match NV {
            1 => _mm_storel_epi64(y.cast(), _mm256_castsi256_si128(bytes)),
            2 => _mm_storeu_si128(y.cast(), _mm256_castsi256_si128(bytes)),
            _ => _mm256_storeu_si256(y.cast(), bytes),
        }
    }
}

/// See [`Simd::add_bytes`].
///
/// # Safety
/// As there, with AVX2 and FMA.
#[inline(always)]
pub unsafe fn add_eight(a: *const u8, b: *const u8, y: *mut u8, params: &AddParams) {
    // SAFETY: promised by the caller.
    unsafe {
        let b = _mm256_fmadd_ps(
            number(b, params.shifts[1]),
            _mm256_set1_ps(params.ratios[1]),
            _mm256_set1_ps(params.fixed),
        );
        let real = _mm256_fmadd_ps(number(a, params.shifts[0]), _mm256_set1_ps(params.ratios[0]), b);
        let number = _mm256_cvtps_epi32(_mm256_min_ps(real, _mm256_set1_ps(32767.0)));
        let number = _mm256_max_epi32(number, _mm256_set1_epi32(params.low));
        let number = _mm256_min_epi32(number, _mm256_set1_epi32(params.high));
        let number = _mm256_add_epi32(number, _mm256_set1_epi32(params.shifts[2]));
        let words = _mm256_packs_epi32(number, number);
        let bytes = _mm256_packus_epi16(words, words);
        let bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0));
        _mm_storel_epi64(y.cast(), _mm256_castsi256_si128(bytes));
    }
}

/// Eight bytes as numbers.
#[inline(always)]
unsafe fn number(p: *const u8, shift: i32) -> __m256 {
    // SAFETY: promised by the caller.
    unsafe {
        let bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast()));
        _mm256_cvtepi32_ps(_mm256_sub_epi32(bytes, _mm256_set1_epi32(shift)))
    }
}
