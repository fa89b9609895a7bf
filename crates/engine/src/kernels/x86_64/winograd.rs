//! Winograd's filtering over any [`Simd`] that multiplies pairs of 16-bit numbers.

use super::lanes::store_32bit_outputs;
use super::simd::{ByteEpilogue, Simd};
use crate::kernels::conv::{ConvWeights, PackedConv};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::winograd::{self, INVERSE_OF_9, Method, Pixels};
use std::mem::MaybeUninit;

/// What the method needs beyond [`Simd`]. Every function needs the CPU features of its set.
pub trait Pairs: Simd {
    /// 16-bit numbers, two for each lane.
    type Words: Copy;

    /// # Safety
    /// Needs the set's features; `p` must be valid for `2 * LANES` bytes.
    unsafe fn widen(p: *const u8) -> Self::Words;
    /// # Safety
    /// Needs the set's features; `p` must be valid for `2 * LANES` numbers.
    unsafe fn store_words(p: *mut i16, words: Self::Words);
    /// # Safety
    /// Needs the set's features.
    unsafe fn add_words(a: Self::Words, b: Self::Words) -> Self::Words;
    /// # Safety
    /// Needs the set's features.
    unsafe fn sub_words(a: Self::Words, b: Self::Words) -> Self::Words;
    /// # Safety
    /// Needs the set's features.
    unsafe fn shift_words<const BITS: u32>(a: Self::Words) -> Self::Words;
    /// `acc + pairs at weights · the pair at x`.
    ///
    /// # Safety
    /// Needs the set's features; `x` must be valid for two numbers, `weights` for `2 * LANES`.
    unsafe fn dot_pairs(acc: Self::I, x: *const i16, weights: Self::Words) -> Self::I;
    /// # Safety
    /// Needs the set's features; `p` must be valid for `2 * LANES` numbers.
    unsafe fn load_words(p: *const i16) -> Self::Words;
    /// # Safety
    /// Needs the set's features.
    unsafe fn sub(a: Self::I, b: Self::I) -> Self::I;
    /// # Safety
    /// Needs the set's features.
    unsafe fn shift_left<const BITS: u32>(a: Self::I) -> Self::I;
    /// # Safety
    /// Needs the set's features.
    unsafe fn shift_right<const BITS: u32>(a: Self::I) -> Self::I;
    /// # Safety
    /// Needs the set's features.
    unsafe fn multiply(a: Self::I, b: i32) -> Self::I;
}

/// Whether fewer multiplications outweigh the transforms and the greater weights: enough inputs and outputs to share them,
/// and enough pixels for each weight that is fetched.
fn pays(from: &ConvWeights) -> bool {
    let [rows, columns] = from.size;
    let whole = rows.next_multiple_of(4) * columns.next_multiple_of(4);
    let enough = from.column.unwrap_or(0) >= 24 && from.outputs >= 16 && rows * columns >= 400;
    enough && whole * 4 <= rows * columns * 5
}

/// Weights for the method of the width that leaves the fewest lanes empty.
pub fn pack(methods: &[Method], from: &ConvWeights) -> Option<PackedConv> {
    let lanes = |method: &&Method| (from.outputs.div_ceil(method.panel) * method.panel, usize::MAX - method.panel);
    methods.iter().min_by_key(lanes).filter(|_| pays(from)).and_then(|method| winograd::pack(method, from))
}

/// `Bᵀ d` of six vectors.
macro_rules! along {
    ($s:ty, $d:expr) => {{
        let [d0, d1, d2, d3, d4, d5] = $d;
        let a = <$s>::sub_words(d4, <$s>::shift_words::<2>(d2));
        let b = <$s>::sub_words(d3, <$s>::shift_words::<2>(d1));
        let c = <$s>::sub_words(d4, d2);
        let difference = <$s>::sub_words(d3, d1);
        let e = <$s>::shift_words::<1>(difference);
        // 4 d0 - 5 d2 + d4 and 4 d1 - 5 d3 + d5
        let first = <$s>::add_words(<$s>::sub_words(a, d2), <$s>::shift_words::<2>(d0));
        let last = <$s>::sub_words(<$s>::sub_words(d5, d3), <$s>::shift_words::<2>(difference));
        [first, <$s>::add_words(a, b), <$s>::sub_words(a, b), <$s>::add_words(c, e), <$s>::sub_words(c, e), last]
    }};
}

/// See [`winograd::Input`].
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn input<S: Pairs>(rows: &[*const u8; 6], columns: &[usize; 6], channels: usize, u: *mut i16, step: usize) {
    for channel in (0..channels).step_by(2 * S::LANES) {
        // SAFETY: promised by the caller, here and below.
        unsafe {
            let mut t = [[MaybeUninit::<S::Words>::uninit(); 6]; 6];
            macro_rules! columns {
                ($($column:literal)*) => {$(
                    let d = |row: usize| rows[row].add(columns[$column] + channel);
                    let d = [d(0), d(1), d(2), d(3), d(4), d(5)];
                    let d = [
                        S::widen(d[0]), S::widen(d[1]), S::widen(d[2]), S::widen(d[3]), S::widen(d[4]), S::widen(d[5]),
                    ];
                    let down = along!(S, d);
                    for row in 0..6 {
                        t[row][$column].write(down[row]);
                    }
                )*};
            }
            columns!(0 1 2 3 4 5);
            for row in 0..6 {
                let [a, b, c, d, e, f] = t[row];
                let across = along!(
                    S,
                    [
                        a.assume_init(),
                        b.assume_init(),
                        c.assume_init(),
                        d.assume_init(),
                        e.assume_init(),
                        f.assume_init()
                    ]
                );
                for column in 0..6 {
                    S::store_words(u.add((row * 6 + column) * step + channel), across[column]);
                }
            }
        }
    }
}

/// See [`winograd::Products`].
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn products<S: Pairs, const TILES: usize, const NV: usize>(
    u: *const i16,
    channels: usize,
    weights: *const i16,
    m: *mut i32,
) {
    // SAFETY: as in `input`.
    unsafe {
        let zeros = [0i32; 16];
        let mut acc = [[S::load(zeros.as_ptr()); NV]; TILES];
        let mut weights = weights;
        for channel in (0..channels).step_by(2) {
            let mut w = [S::load_words(weights); NV];
            for v in 1..NV {
                w[v] = S::load_words(weights.add(v * 2 * S::LANES));
            }
            for tile in 0..TILES {
                for v in 0..NV {
                    acc[tile][v] = S::dot_pairs(acc[tile][v], u.add(tile * channels + channel), w[v]);
                }
            }
            weights = weights.add(NV * 2 * S::LANES);
        }
        for tile in 0..TILES {
            for v in 0..NV {
                S::store(m.add((tile * NV + v) * S::LANES), acc[tile][v]);
            }
        }
    }
}

/// `Aᵀ m` of six vectors, with the columns of `A` as `winograd` has them.
macro_rules! back {
    ($s:ty, $m:expr) => {{
        let [m0, m1, m2, m3, m4, m5] = $m;
        let s = <$s>::shift_left::<2>(<$s>::add(m1, m2));
        let d = <$s>::shift_left::<2>(<$s>::sub(m1, m2));
        let (p, q) = (<$s>::add(m3, m4), <$s>::shift_left::<1>(<$s>::sub(m3, m4)));
        let six = <$s>::add(<$s>::shift_left::<2>(m0), <$s>::shift_left::<1>(m0));
        let twenty_four = <$s>::add(<$s>::shift_left::<4>(m5), <$s>::shift_left::<3>(m5));
        [
            <$s>::add(<$s>::add(s, p), six),
            <$s>::add(d, q),
            <$s>::add(s, <$s>::shift_left::<2>(p)),
            <$s>::add(<$s>::add(d, <$s>::shift_left::<2>(q)), twenty_four),
        ]
    }};
}

/// See [`winograd::Output`].
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn output<S: Pairs, const NV: usize>(
    m: *const i32,
    step: usize,
    (bias, scale): (*const i32, *const f32),
    epilogue: Epilogue,
    y: &Pixels,
) {
    // SAFETY: as in `input`.
    unsafe {
        let mut sums = [[S::load(bias); NV]; 16];
        for v in 0..NV {
            let m = m.add(v * S::LANES);
            let mut t = [[S::load(m); 6]; 4];
            for column in 0..6 {
                let at = |row: usize| m.add((row * 6 + column) * step);
                let all =
                    [S::load(at(0)), S::load(at(1)), S::load(at(2)), S::load(at(3)), S::load(at(4)), S::load(at(5))];
                let down = back!(S, all);
                for row in 0..4 {
                    t[row][column] = down[row];
                }
            }
            let bias = S::load(bias.add(v * S::LANES));
            for row in 0..4 {
                let across = back!(S, t[row]);
                for column in 0..4 {
                    let sum = S::shift_right::<6>(S::multiply(across[column], INVERSE_OF_9));
                    sums[row * 4 + column][v] = S::add(bias, sum);
                }
            }
        }
        let bytes = ByteEpilogue::of(epilogue);
        for row in 0..y.counts[0] {
            for column in 0..y.counts[1] {
                let sums = sums[row * 4 + column];
                let (to, n) = (y.first.add(row * y.steps[0] + column * y.steps[1]), y.outputs);
                match bytes {
                    Some(bytes) if bytes.saturate_only => S::finish::<NV, true>(sums, scale, bytes, to, n),
                    Some(bytes) => S::finish::<NV, false>(sums, scale, bytes, to, n),
                    None => {
                        let mut lanes = [0i32; 64];
                        for v in 0..NV {
                            S::store(lanes.as_mut_ptr().add(v * S::LANES), sums[v]);
                        }
                        store_32bit_outputs(lanes.as_ptr(), NV, S::LANES, scale, epilogue, to, n);
                    }
                }
            }
        }
    }
}

/// The methods of a set: for each width of panels, the numbers of tiles.
macro_rules! winograd_methods {
    ($simd:ty, $features:literal, $($nv:literal: [$($tiles:literal)*]),*) => {{
        use $crate::kernels::winograd::{Method, Output, Pixels, Products};
        use $crate::kernels::x86_64::winograd;

        #[target_feature(enable = $features)]
        unsafe fn input(rows: &[*const u8; 6], columns: &[usize; 6], channels: usize, u: *mut i16, step: usize) {
            // SAFETY: passed on to the caller.
            unsafe { winograd::input::<$simd>(rows, columns, channels, u, step) }
        }

        #[target_feature(enable = $features)]
        unsafe fn products<const TILES: usize, const NV: usize>(
            u: *const i16,
            channels: usize,
            weights: *const i16,
            m: *mut i32,
        ) {
            // SAFETY: passed on to the caller.
            unsafe { winograd::products::<$simd, TILES, NV>(u, channels, weights, m) }
        }

        #[target_feature(enable = $features)]
        unsafe fn output<const NV: usize>(
            m: *const i32,
            step: usize,
            numbers: (*const i32, *const f32),
            epilogue: $crate::kernels::epilogue::Epilogue,
            y: &Pixels,
        ) {
            // SAFETY: passed on to the caller.
            unsafe { winograd::output::<$simd, NV>(m, step, numbers, epilogue, y) }
        }

        &[$(Method {
            panel: $nv * <$simd as Simd>::LANES,
            channels: 2 * <$simd as Simd>::LANES,
            depth: 2,
            position: |output| {
                // The inverse of `simd::order`.
                let (l, rest) = (output / (4 * $nv), output % (4 * $nv));
                rest / 4 * <$simd as Simd>::LANES + 4 * l + rest % 4
            },
            input,
            products: &[$(products::<$tiles, $nv> as Products),*],
            output: output::<$nv> as Output,
        }),*]
    }};
}
pub(super) use winograd_methods;
