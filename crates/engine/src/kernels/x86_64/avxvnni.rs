//! AVX-VNNI: eight lanes, quads multiplied by `vpdpbusd` in its VEX form.

use super::avx2::eight_pairs;
use super::set::{Set, row_kernels, tile_table};
use super::simd::{AddParams, ByteEpilogue, Simd};
use super::winograd::{Pairs, winograd_methods};
use crate::kernels::float::Isa;
use std::arch::asm;
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// The kernel set.
pub static SET: Set<AvxVnni> = Set {
    name: "avxvnni",
    // Sixteen registers: accumulators, a panel's weights, one quad.
    tiles: tile_table!(
        AvxVnni, "avx2,fma,avxvnni",
        1: [1 2 3 4 5 6 7 8 9 10 11 12],
        2: [1 2 3 4 5 6],
        3: [1 2 3 4],
        4: [1 2]
    ),
    depthwise,
    narrow_output,
    add,
    mul,
    matmul,
    winograd: winograd_methods!(AvxVnni, "avx2,fma,avxvnni", 1: [1 2 3 4 5 6 7 8 9 10 11 12], 2: [1 2 3 4 5 6]),
    quantize,
    dequantize,
    // SAFETY: `available` hands the set out where the CPU has these features only.
    float: unsafe { Isa::avx2() },
    simd: PhantomData,
};

row_kernels!(AvxVnni, "avx2,fma,avxvnni");

/// Eight lanes with `vpdpbusd`, by the intrinsic that stands for one of its two encodings.
macro_rules! eight_lanes {
    ($name:ident, $dot:ident, $pixels:literal) => {
        #[derive(Clone, Copy)]
        pub struct $name;

        impl Simd for $name {
            const LANES: usize = 8;
            const QUAD: usize = 4;
            const MAX_PIXELS_AT_ONCE: usize = $pixels;
            type Half = $name;
            type I = __m256i;
            type X = __m256i;
            type W = __m256i;

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
            unsafe fn broadcast(p: *const u8) -> __m256i {
                // SAFETY: see `load`.
                unsafe { _mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
            }

            #[inline(always)]
            unsafe fn weights(p: *const u8) -> __m256i {
                // SAFETY: see `load`.
                unsafe { _mm256_loadu_si256(p.cast()) }
            }

            #[inline(always)]
            unsafe fn quad(bytes: u32) -> __m256i {
                // SAFETY: see `load`.
                unsafe { _mm256_set1_epi32(bytes as i32) }
            }

            #[inline(always)]
            unsafe fn dot(acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
                // SAFETY: see `load`.
                unsafe { $dot(acc, x, w) }
            }

            #[inline(always)]
            unsafe fn interleave(p: [*const u8; 4]) -> [__m256i; 4] {
                // SAFETY: see `load`.
                unsafe { $crate::kernels::x86_64::avx2::interleaved(p) }
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
                unsafe { $crate::kernels::x86_64::avx2::finish::<NV, SATURATE_ONLY>(acc, scale, epilogue, y, n) }
            }

            #[inline(always)]
            unsafe fn add_bytes(a: *const u8, b: *const u8, y: *mut u8, params: &AddParams) {
                // SAFETY: see `load`.
                unsafe { $crate::kernels::x86_64::avx2::add_eight(a, b, y, params) }
            }
        }
    };
}
pub(super) use eight_lanes;

eight_lanes!(AvxVnni, _mm256_dpbusd_avx_epi32, 2);

/// `vpdpwssd`. Not the intrinsic: LLVM takes that apart into a product and a sum.
#[target_feature(enable = "avx2,avxvnni")]
#[inline]
unsafe fn sum_of_pairs(acc: __m256i, x: __m256i, weights: __m256i) -> __m256i {
    let mut acc = acc;
    // SAFETY: registers only; the features are promised by the caller.
    unsafe {
        asm!(
            "{{vex}} vpdpwssd {acc}, {x}, {weights}",
            acc = inout(ymm_reg) acc, x = in(ymm_reg) x, weights = in(ymm_reg) weights,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    acc
}

eight_pairs!(AvxVnni, |acc, x, w| sum_of_pairs(acc, x, w));
