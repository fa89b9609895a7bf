//! AVX-VNNI: eight lanes, quads multiplied by `vpdpbusd` in its VEX form.

use super::avx2::{finish, interleaved, sum_of};
use super::simd::{Bytes, Simd, Sum};
use super::thin;
use super::tile::{self, Set, tile_table};
use crate::engine::kernels::conv::{ConvStep, DepthwiseStep};
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
    gather,
    sum,
    simd: PhantomData,
};

#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn depthwise(step: &DepthwiseStep, x: *const u8, y: *mut u8) {
    // SAFETY: passed on to the caller.
    unsafe { tile::depthwise::<AvxVnni>(step, x, y) }
}

#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn gather(step: &ConvStep, lanes: *const i32, y: *mut u8, count: usize) {
    // SAFETY: passed on to the caller.
    unsafe { thin::gather::<AvxVnni>(step, lanes, y, count) }
}

#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn sum(x: [*const u8; 2], y: *mut u8, count: usize, numbers: &Sum) {
    // SAFETY: passed on to the caller.
    unsafe { tile::sum::<AvxVnni>(x, y, count, numbers) }
}

#[derive(Clone, Copy)]
pub struct AvxVnni;

impl Simd for AvxVnni {
    const LANES: usize = 8;
    const QUAD: usize = 4;
    const MOST_SIDE_BY_SIDE: usize = 2;
    type Half = AvxVnni;
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
    unsafe fn dot(acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
        // SAFETY: see `load`.
        unsafe { _mm256_dpbusd_avx_epi32(acc, x, w) }
    }

    #[inline(always)]
    unsafe fn interleave(p: [*const u8; 4]) -> [__m256i; 4] {
        // SAFETY: see `load`.
        unsafe { interleaved(p) }
    }

    #[inline(always)]
    unsafe fn finish<const NV: usize>(acc: [__m256i; NV], scale: *const f32, ending: Bytes, y: *mut u8, n: usize) {
        // SAFETY: see `load`.
        unsafe { finish(acc, scale, ending, y, n) }
    }

    #[inline(always)]
    unsafe fn sum(a: *const u8, b: *const u8, y: *mut u8, numbers: &Sum) {
        // SAFETY: see `load`.
        unsafe { sum_of(a, b, y, numbers) }
    }
}
