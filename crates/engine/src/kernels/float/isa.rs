//! The instruction sets that float loops are compiled for.
//!
//! A loop is written once, in plain Rust, as a [`Loop`]; [`Isa::run`] compiles it with the features of each instruction set. All give
//! the same bits: `f32::mul_add` is rounded once everywhere, nothing else is fused, and no sum is reordered by a compiler.

pub use super::arch::Isa;
use super::product::{Tile, sums};

/// Work that is compiled for every instruction set. Implementations mark `run`, and what it calls, `#[inline(always)]`: a function that
/// is not inlined is compiled without the set's features.
pub trait Loop {
    fn run<L: Lanes>(self);
}

/// A vector of floats, each lane an output of its own.
pub trait Lanes: Copy {
    const COUNT: usize;
    /// Rows of a tile of a matrix product, and vectors of its columns: as many sums as registers hold.
    const ROWS: usize;
    const VECTORS: usize;

    fn splat(x: f32) -> Self;

    /// # Safety
    /// `p` must be valid for `COUNT` floats.
    unsafe fn load(p: *const f32) -> Self;

    /// # Safety
    /// `p` must be valid for `COUNT` floats.
    unsafe fn store(self, p: *mut f32);

    /// The first `count` lanes; the others are 0.
    ///
    /// # Safety
    /// `p` must be valid for `count` floats, at most `COUNT`.
    unsafe fn load_first(p: *const f32, count: usize) -> Self;

    /// Stores the first `count` lanes.
    ///
    /// # Safety
    /// `p` must be valid for `count` floats, at most `COUNT`.
    unsafe fn store_first(self, p: *mut f32, count: usize);

    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;

    /// [`sums`](super::product::sums), as a function of its own that is compiled with the set's features: its sums must have the
    /// registers for themselves.
    ///
    /// # Safety
    /// As [`sums`](super::product::sums).
    unsafe fn tile<const R: usize, const V: usize>(tile: &Tile);
}

/// The lanes of plain Rust: four floats, which compilers turn into a vector where there is one.
#[derive(Clone, Copy)]
pub struct Plain([f32; 4]);

impl Lanes for Plain {
    const COUNT: usize = 4;
    const ROWS: usize = 4;
    const VECTORS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> Plain {
        Plain([x; 4])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Plain {
        // SAFETY: promised by the caller.
        Plain(unsafe { p.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: promised by the caller.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, count: usize) -> Plain {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: promised by the caller.
            *lane = unsafe { *p.add(i) };
        }
        Plain(lanes)
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: promised by the caller.
            unsafe { *p.add(i) = lane };
        }
    }

    unsafe fn tile<const R: usize, const V: usize>(tile: &Tile) {
        // SAFETY: promised by the caller.
        unsafe { sums::<Plain, R, V>(tile) }
    }

    #[inline(always)]
    fn mul_add(self, b: Plain, c: Plain) -> Plain {
        let mut sum = c.0;
        for i in 0..4 {
            sum[i] = self.0[i].mul_add(b.0[i], sum[i]);
        }
        Plain(sum)
    }
}
