//! AVX-512 with VNNI: sixteen lanes, quads multiplied by `vpdpbusd`.

use super::avxvnni::eight_lanes;
use super::set::{Set, row_kernels, tile_table};
use super::simd::{AddParams, ByteEpilogue, Simd};
use super::winograd::{Pairs, winograd_methods};
use crate::kernels::float::Isa;
use std::arch::asm;
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// The kernel set.
pub static SET: Set<Avx512> = Set {
    name: "avx512vnni",
    // Thirty-two registers: accumulators, a panel's weights, one quad.
    tiles: tile_table!(
        Avx512, "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni",
        1: [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
        2: [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
        3: [1 2 3 4 5 6 7 8 9],
        4: [1 2 3 4 5 6]
    ),
    depthwise,
    narrow_output,
    add,
    mul,
    matmul,
    winograd: winograd_methods!(Avx512, "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni", 1: [1 2 3 4 5 6 7 8 9 10 11 12 13 14], 2: [1 2 3 4 5 6 7 8 9 10 11 12], 3: [1 2 3 4 5 6 7 8], 4: [1 2 3 4 5 6]),
    quantize,
    dequantize,
    // SAFETY: `available` hands the set out where the CPU has these features only.
    float: unsafe { Isa::avx512() },
    simd: PhantomData,
};

row_kernels!(Avx512, "avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni");

#[derive(Clone, Copy)]
pub struct Avx512;

impl Simd for Avx512 {
    const LANES: usize = 16;
    const QUAD: usize = 4;
    const MAX_PIXELS_AT_ONCE: usize = 4;
    type Half = Avx512Half;
    type I = __m512i;
    type X = __m512i;
    type W = __m512i;

    #[inline(always)]
    unsafe fn load(p: *const i32) -> __m512i {
        // SAFETY: promised by the caller, here and in all methods below.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }

    #[inline(always)]
    unsafe fn store(p: *mut i32, v: __m512i) {
        // SAFETY: see `load`.
        unsafe { _mm512_storeu_si512(p.cast(), v) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `load`.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn broadcast(p: *const u8) -> __m512i {
        // SAFETY: see `load`.
        unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn weights(p: *const u8) -> __m512i {
        // SAFETY: see `load`.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }

    #[inline(always)]
    unsafe fn quad(bytes: u32) -> __m512i {
        // SAFETY: see `load`.
        unsafe { _mm512_set1_epi32(bytes as i32) }
    }

    #[inline(always)]
    unsafe fn dot(acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: see `load`.
        unsafe { _mm512_dpbusd_epi32(acc, x, w) }
    }

    #[inline(always)]
    unsafe fn interleave(p: [*const u8; 4]) -> [__m512i; 4] {
        // SAFETY: see `load`.
        unsafe {
            let (a, b) = (_mm512_loadu_si512(p[0].cast()), _mm512_loadu_si512(p[1].cast()));
            let (c, d) = (_mm512_loadu_si512(p[2].cast()), _mm512_loadu_si512(p[3].cast()));
            let (ab0, ab1) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (cd0, cd1) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(ab0, cd0),
                _mm512_unpackhi_epi16(ab0, cd0),
                _mm512_unpacklo_epi16(ab1, cd1),
                _mm512_unpackhi_epi16(ab1, cd1),
            ]
        }
    }

    #[inline(always)]
    unsafe fn finish<const NV: usize, const SATURATE_ONLY: bool>(
        acc: [__m512i; NV],
        scale: *const f32,
        epilogue: ByteEpilogue,
        y: *mut u8,
        n: usize,
    ) {
        // SAFETY: see `load`.
        unsafe {
            // Beyond 2^15 everything saturates alike; the limit keeps the conversion from overflowing.
            let limit = _mm512_set1_ps(32767.0);
            let mut rounded = acc;
            for v in 0..NV {
                let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[v]), _mm512_loadu_ps(scale.add(v * 16)));
                rounded[v] = _mm512_cvtps_epi32(if SATURATE_ONLY { scaled } else { _mm512_min_ps(scaled, limit) });
            }
            let zero_point = _mm512_set1_epi16(epilogue.zero_point);
            let last = NV - 1;
            let low = _mm512_adds_epi16(_mm512_packs_epi32(rounded[0], rounded[last.min(1)]), zero_point);
            let high = if NV > 2 {
                _mm512_adds_epi16(_mm512_packs_epi32(rounded[last.min(2)], rounded[last]), zero_point)
            } else {
                low
            };
            let mut bytes = _mm512_packus_epi16(low, high);
            if !SATURATE_ONLY {
                bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(epilogue.low as i8));
                bytes = _mm512_min_epu8(bytes, _mm512_set1_epi8(epilogue.high as i8));
            }
            let bytes = match NV {
                1 => {
                    _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), bytes)
                }
                2 => {
                    _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0), bytes)
                }
                3 => _mm512_permutexvar_epi32(
                    _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0),
                    bytes,
                ),
                _ => bytes,
            };
            if n < NV * 16 {
                _mm512_mask_storeu_epi8(y.cast(), (1u64 << n) - 1, bytes);
                return;
            }
            match NV {
                1 => _mm_storeu_si128(y.cast(), _mm512_castsi512_si128(bytes)),
                2 => _mm256_storeu_si256(y.cast(), _mm512_castsi512_si256(bytes)),
                3 => {
                    _mm256_storeu_si256(y.cast(), _mm512_castsi512_si256(bytes));
                    _mm_storeu_si128(y.add(32).cast(), _mm512_extracti32x4_epi32::<2>(bytes));
                }
                _ => _mm512_storeu_si512(y.cast(), bytes),
            }
        }
    }

    #[inline(always)]
    unsafe fn add_bytes(a: *const u8, b: *const u8, y: *mut u8, params: &AddParams) {
        // SAFETY: see `load`.
        unsafe {
            let b = _mm512_fmadd_ps(
                number(b, params.shifts[1]),
                _mm512_set1_ps(params.ratios[1]),
                _mm512_set1_ps(params.fixed),
            );
            let real = _mm512_fmadd_ps(number(a, params.shifts[0]), _mm512_set1_ps(params.ratios[0]), b);
            let number = _mm512_cvtps_epi32(_mm512_min_ps(real, _mm512_set1_ps(32767.0)));
            let number = _mm512_max_epi32(number, _mm512_set1_epi32(params.low));
            let number = _mm512_min_epi32(number, _mm512_set1_epi32(params.high));
            let number = _mm512_add_epi32(number, _mm512_set1_epi32(params.shifts[2]));
            _mm_storeu_si128(y.cast(), _mm512_cvtepi32_epi8(number));
        }
    }
}

/// `vpdpwssd`. Not the intrinsic: LLVM takes that apart into a product and a sum.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
unsafe fn sum_of_pairs(acc: __m512i, x: __m512i, weights: __m512i) -> __m512i {
    let mut acc = acc;
    // SAFETY: registers only; the features are promised by the caller.
    unsafe {
        asm!(
            "vpdpwssd {acc}, {x}, {weights}",
            acc = inout(zmm_reg) acc, x = in(zmm_reg) x, weights = in(zmm_reg) weights,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    acc
}

impl Pairs for Avx512 {
    type Words = __m512i;

    #[inline(always)]
    unsafe fn widen(p: *const u8) -> __m512i {
        // SAFETY: promised by the caller, here and in all methods below.
        unsafe { _mm512_cvtepu8_epi16(_mm256_loadu_si256(p.cast())) }
    }

    #[inline(always)]
    unsafe fn store_words(p: *mut i16, words: __m512i) {
        // SAFETY: see `widen`.
        unsafe { _mm512_storeu_si512(p.cast(), words) }
    }

    #[inline(always)]
    unsafe fn add_words(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_add_epi16(a, b) }
    }

    #[inline(always)]
    unsafe fn sub_words(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_sub_epi16(a, b) }
    }

    #[inline(always)]
    unsafe fn shift_words<const BITS: u32>(a: __m512i) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_slli_epi16::<BITS>(a) }
    }

    #[inline(always)]
    unsafe fn dot_pairs(acc: __m512i, x: *const i16, weights: __m512i) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { sum_of_pairs(acc, _mm512_set1_epi32(x.cast::<i32>().read_unaligned()), weights) }
    }

    #[inline(always)]
    unsafe fn load_words(p: *const i16) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_sub_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn shift_left<const BITS: u32>(a: __m512i) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_slli_epi32::<BITS>(a) }
    }

    #[inline(always)]
    unsafe fn shift_right<const BITS: u32>(a: __m512i) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_srai_epi32::<BITS>(a) }
    }

    #[inline(always)]
    unsafe fn multiply(a: __m512i, b: i32) -> __m512i {
        // SAFETY: see `widen`.
        unsafe { _mm512_mullo_epi32(a, _mm512_set1_epi32(b)) }
    }
}

/// Sixteen bytes as numbers.
#[inline(always)]
unsafe fn number(p: *const u8, shift: i32) -> __m512 {
    // SAFETY: promised by the caller.
    unsafe {
        let bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()));
        _mm512_cvtepi32_ps(_mm512_sub_epi32(bytes, _mm512_set1_epi32(shift)))
    }
}

// Half of the lanes, with the thirty-two registers of AVX-512.
eight_lanes!(Avx512Half, _mm256_dpbusd_epi32, 4);
