//! Float loops on aarch64, where every CPU has vectors of four floats and fused multiply-add.

use super::isa::{Lanes, Loop, PlainLanes, ProductTile, sums};
use std::arch::aarch64::*;

/// An instruction set that this CPU has.
#[derive(Debug, Clone, Copy)]
pub struct Isa {
    neon: bool,
}

impl Isa {
    /// Plain Rust.
    pub const PLAIN: Isa = Isa { neon: false };
    /// Vectors of four.
    pub const NEON: Isa = Isa { neon: true };

    /// Runs a loop that was compiled for this instruction set.
    pub fn run(self, work: impl Loop) {
        if self.neon { work.run::<Four>() } else { work.run::<PlainLanes>() }
    }
}

#[derive(Clone, Copy)]
struct Four(float32x4_t);

impl Lanes for Four {
    const COUNT: usize = 4;
    const ROWS: usize = 6;
    const VECTORS: usize = 4;

    #[inline(always)]
    fn splat(x: f32) -> Four {
        // SAFETY: every aarch64 CPU has NEON.
        Four(unsafe { vdupq_n_f32(x) })
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Four {
        // SAFETY: promised by the caller.
        Four(unsafe { vld1q_f32(p) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: promised by the caller.
        unsafe { vst1q_f32(p, self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, count: usize) -> Four {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: promised by the caller.
            *lane = unsafe { *p.add(i) };
        }
        // SAFETY: four floats.
        unsafe { Four::load(lanes.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, count: usize) {
        let mut lanes = [0.0; 4];
        // SAFETY: four floats; the rest is promised by the caller.
        unsafe { self.store(lanes.as_mut_ptr()) };
        for (i, lane) in lanes.into_iter().enumerate().take(count) {
            // SAFETY: promised by the caller.
            unsafe { *p.add(i) = lane };
        }
    }

    #[inline(never)]
    unsafe fn tile<const R: usize, const V: usize>(tile: &ProductTile) {
        // SAFETY: promised by the caller.
        unsafe { sums::<Four, R, V>(tile) }
    }

    #[inline(always)]
    fn mul_add(self, b: Four, c: Four) -> Four {
        // SAFETY: see `splat`.
        Four(unsafe { vfmaq_f32(c.0, self.0, b.0) })
    }
}
