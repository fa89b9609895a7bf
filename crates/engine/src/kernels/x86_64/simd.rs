//! The vector operations that the kernels are written in.
//!
//! A vector has `LANES` accumulators. Bytes are multiplied in quads: four consecutive activations by four weights of
//! one output make one 32-bit product. Everything is exact: no instruction that saturates is used on products.

use crate::kernels::epilogue::Epilogue;

/// Vector operations of one instruction set. Every method needs the CPU features of its set.
pub trait Simd: Copy {
    /// 32-bit lanes of a vector.
    const LANES: usize;
    /// Bytes in which four weights of one output are packed.
    const QUAD: usize;
    /// Pixels of a depthwise convolution that fit the registers.
    const MAX_PIXELS_AT_ONCE: usize;
    /// Vectors of half the size, or the same ones where there are none.
    type Half: Simd;
    /// `LANES` accumulators.
    type I: Copy;
    /// Quads of activations, ready to multiply.
    type X: Copy;
    /// Quads of weights.
    type W: Copy;

    /// # Safety
    /// Needs the set's features; `p` must be valid for `LANES` numbers.
    unsafe fn load(p: *const i32) -> Self::I;
    /// # Safety
    /// As [`Simd::load`].
    unsafe fn store(p: *mut i32, v: Self::I);
    /// # Safety
    /// Needs the set's features.
    unsafe fn add(a: Self::I, b: Self::I) -> Self::I;
    /// The same quad in every lane.
    ///
    /// # Safety
    /// Needs the set's features; `p` must be valid for four bytes.
    unsafe fn broadcast(p: *const u8) -> Self::X;
    /// # Safety
    /// Needs the set's features; `p` must be valid for `LANES * QUAD` bytes.
    unsafe fn weights(p: *const u8) -> Self::W;
    /// The same quad of weights in every lane.
    ///
    /// # Safety
    /// Needs the set's features.
    unsafe fn quad(bytes: u32) -> Self::W;
    /// `acc + x · w`, lane by lane, modulo 2^32.
    ///
    /// # Safety
    /// Needs the set's features.
    unsafe fn dot(acc: Self::I, x: Self::X, w: Self::W) -> Self::I;
    /// Four times `4 * LANES` bytes to quads of one byte from each: channel `16 l + 4 q + i` in lane `4 l + i` of quad `q`.
    ///
    /// # Safety
    /// Needs the set's features; each pointer must be valid for `4 * LANES` bytes.
    unsafe fn interleave(p: [*const u8; 4]) -> [Self::X; 4];
    /// `NV` vectors of accumulators as bytes, in the order of [`order`], `n` of them stored. `SATURATE_ONLY`: see [`ByteEpilogue::saturate_only`].
    ///
    /// # Safety
    /// Needs the set's features; `scale` must be valid for `NV * LANES` numbers, `y` for `n` bytes.
    unsafe fn finish<const NV: usize, const SATURATE_ONLY: bool>(
        acc: [Self::I; NV],
        scale: *const f32,
        epilogue: ByteEpilogue,
        y: *mut u8,
        n: usize,
    );
    /// `LANES` elements of a sum.
    ///
    /// # Safety
    /// Needs the set's features; pointers must be valid for `LANES` bytes.
    unsafe fn add_bytes(a: *const u8, b: *const u8, y: *mut u8, params: &AddParams);
}

/// [`Epilogue::Bytes`] with numbers of the width that vectors need.
#[derive(Clone, Copy)]
pub struct ByteEpilogue {
    pub zero_point: i16,
    pub low: u8,
    pub high: u8,
    /// See [`Epilogue::Bytes`].
    pub saturate_only: bool,
}

impl ByteEpilogue {
    pub fn of(epilogue: Epilogue) -> Option<ByteEpilogue> {
        match epilogue {
            Epilogue::Bytes { zero_point, low, high, saturate_only } => {
                Some(ByteEpilogue { zero_point: zero_point as i16, low: low as u8, high: high as u8, saturate_only })
            }
            _ => None,
        }
    }
}

/// The parameters of a sum of two quantized tensors; see `AddStep`.
pub struct AddParams {
    pub shifts: [i32; 3],
    pub ratios: [f32; 2],
    pub fixed: f32,
    pub low: i32,
    pub high: i32,
}

/// The output whose accumulator is at a position of a panel of `nv` vectors: what packing 32-bit lanes to bytes within
/// 128-bit parts makes consecutive. Position `v * lanes + 4 l + i` holds output `4 nv l + 4 v + i`.
pub fn output_index(nv: usize, lanes: usize, position: usize) -> usize {
    let (v, lane) = (position / lanes, position % lanes);
    4 * nv * (lane / 4) + 4 * v + lane % 4
}

/// [`output_index`] for each position of a panel.
pub fn order(nv: usize, lanes: usize) -> Vec<usize> {
    (0..nv * lanes).map(|position| output_index(nv, lanes, position)).collect()
}
