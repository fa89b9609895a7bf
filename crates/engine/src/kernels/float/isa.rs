//! The instruction sets that float loops are compiled for.
//!
//! A loop is written once, in plain Rust, as a [`Loop`]; [`Isa::run`] compiles it with the features of each instruction set. All give
//! the same bits: `f32::mul_add` is rounded once everywhere, nothing else is fused, and no sum is reordered by a compiler.

pub use super::arch::Isa;

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

    /// [`sums`], as a function of its own that is compiled with the set's features: its sums must have the
    /// registers for themselves.
    ///
    /// # Safety
    /// As [`sums`].
    unsafe fn tile<const R: usize, const V: usize>(tile: &ProductTile);
}

/// The lanes of plain Rust: four floats, which compilers turn into a vector where there is one.
#[derive(Clone, Copy)]
pub struct PlainLanes([f32; 4]);

impl Lanes for PlainLanes {
    const COUNT: usize = 4;
    const ROWS: usize = 4;
    const VECTORS: usize = 2;

    #[inline(always)]
    fn splat(x: f32) -> PlainLanes {
        PlainLanes([x; 4])
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> PlainLanes {
        // SAFETY: promised by the caller.
        PlainLanes(unsafe { p.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: promised by the caller.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn load_first(p: *const f32, count: usize) -> PlainLanes {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: promised by the caller.
            *lane = unsafe { *p.add(i) };
        }
        PlainLanes(lanes)
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: promised by the caller.
            unsafe { *p.add(i) = lane };
        }
    }

    unsafe fn tile<const R: usize, const V: usize>(tile: &ProductTile) {
        // SAFETY: promised by the caller.
        unsafe { sums::<PlainLanes, R, V>(tile) }
    }

    #[inline(always)]
    fn mul_add(self, b: PlainLanes, c: PlainLanes) -> PlainLanes {
        let mut sum = c.0;
        for i in 0..4 {
            sum[i] = self.0[i].mul_add(b.0[i], sum[i]);
        }
        PlainLanes(sum)
    }
}

/// What the sums of a tile begin with.
#[derive(Clone, Copy)]
pub enum Start {
    Zero,
    /// One number a row.
    Rows(*const f32),
    /// One number a column.
    Columns(*const f32),
}

/// `rows` by `columns` of a product; steps are in floats.
#[derive(Clone, Copy)]
pub struct ProductTile {
    pub a: *const f32,
    /// From one row of `a` to the next; its terms lie one after the other.
    pub a_row: usize,
    pub b: *const f32,
    /// From one row of `b` to the next.
    pub b_row: usize,
    pub k: usize,
    pub start: Start,
    pub y: *mut f32,
    pub y_row: usize,
    pub rows: usize,
    /// At most a panel's.
    pub columns: usize,
}

/// A tile of `R` rows and `V` vectors, `rows` and `columns` of them stored.
///
/// # Safety
/// Pointers must be valid for what the tile states.
#[inline(always)]
pub unsafe fn sums<L: Lanes, const R: usize, const V: usize>(tile: &ProductTile) {
    // More rows or vectors than a tile of this set has: never asked for, and not worth compiling.
    if R > L::ROWS || V > L::VECTORS {
        return;
    }
    let mut sum = [[L::splat(0.0); V]; R];
    // SAFETY: promised by the caller.
    unsafe {
        for (r, sum) in sum.iter_mut().enumerate() {
            for (v, sum) in sum.iter_mut().enumerate() {
                *sum = match tile.start {
                    Start::Zero => *sum,
                    Start::Rows(bias) => L::splat(*bias.add(r)),
                    Start::Columns(bias) => L::load(bias.add(v * L::COUNT)),
                };
            }
        }
        let mut b = tile.b;
        for k in 0..tile.k {
            let mut row = [L::splat(0.0); V];
            for (v, row) in row.iter_mut().enumerate() {
                *row = L::load(b.add(v * L::COUNT));
            }
            for (r, sum) in sum.iter_mut().enumerate() {
                let a = L::splat(*tile.a.add(r * tile.a_row + k));
                for (sum, &b) in sum.iter_mut().zip(&row) {
                    *sum = a.mul_add(b, *sum);
                }
            }
            b = b.wrapping_add(tile.b_row);
        }
        for (r, sum) in sum.iter().enumerate() {
            let y = tile.y.add(r * tile.y_row);
            for (v, &sum) in sum.iter().enumerate() {
                let first = v * L::COUNT;
                if first + L::COUNT <= tile.columns {
                    sum.store(y.add(first));
                } else if first < tile.columns {
                    sum.store_first(y.add(first), tile.columns - first);
                }
            }
        }
    }
}
