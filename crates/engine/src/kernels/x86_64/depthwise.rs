//! Depthwise convolution over any [`Simd`].

use super::lanes::store_32bit_outputs;
use super::simd::{ByteEpilogue, Simd};
use crate::kernels::depthwise::DepthwiseStep;
use crate::kernels::epilogue::Epilogue;

/// Vectors as wide as fit the channels that are left: whole ones, or halves where those waste less.
pub fn is_whole<S: Simd>(left: usize) -> bool {
    left > 4 * S::Half::LANES || S::Half::LANES == S::LANES
}

/// Rows of outputs, a block of channels after the other.
///
/// Kernel rows are taken in quads of columns. Where neighbouring outputs read neighbouring inputs, one interleaved quad
/// serves several pixels, each with its weights shifted by a column.
///
/// # Safety
/// Needs the features of `S`; step and pointers must be those of a checked step.
#[inline(always)]
pub unsafe fn depthwise<S: Simd>(step: &DepthwiseStep, x: *const u8, y: *mut u8, rows: usize) {
    let mut block = Block { channel: 0, weights: step.packed.weights.as_ptr(), numbers: 0 };
    while block.channel < step.channels {
        // SAFETY: the weights are packed for the same blocks.
        unsafe {
            if is_whole::<S>(step.channels - block.channel) {
                block_of::<S>(step, x, y, rows, &mut block);
            } else {
                block_of::<S::Half>(step, x, y, rows, &mut block);
            }
        }
    }
}

/// Where a block of channels starts: its first channel, its weights, its index in bias and scale.
struct Block {
    channel: usize,
    weights: *const u8,
    numbers: usize,
}

/// A block of channels of some rows, on to the next block.
#[inline(always)]
unsafe fn block_of<S: Simd>(step: &DepthwiseStep, x: *const u8, y: *mut u8, rows: usize, block: &mut Block) {
    let pixels = step.packed.pixels;
    // SAFETY: passed on to the caller.
    unsafe {
        let (x, y) = (x.add(block.channel), y.add(block.channel * step.epilogue.bytes()));
        let done = match step.packed.summands {
            _ if S::MAX_PIXELS_AT_ONCE < 4 || rows != 2 => 0,
            1 => patches_of::<S, 1>(step, x, y, block),
            2 => patches_of::<S, 2>(step, x, y, block),
            _ => 0,
        };
        for row in 0..rows {
            let (x, y) = (x.add(row * step.x_steps[1]), y.add(row * step.y_steps[1]));
            let mut column = done;
            macro_rules! run {
                ($pixels:literal) => {{
                    let group: usize = $pixels;
                    while column + group <= step.dims[2] {
                        let (x, y) = (x.add(column * step.x_steps[2]), y.add(column * step.y_steps[2]));
                        pixels_of::<S, $pixels>(step, x, y, block);
                        column += group;
                    }
                }};
            }
            match pixels {
                4 => run!(4),
                3 => run!(3),
                2 => run!(2),
                _ => {}
            }
            run!(1);
        }
        let quads = step.kernel_rows * step.packed.columns[1].len() / 4;
        block.weights = block.weights.add(quads * step.packed.summands * pixels * 4 * S::LANES * S::QUAD);
    }
    block.channel += 4 * S::LANES;
    block.numbers += 4 * S::LANES;
}

/// Whether two rows of outputs at a time pay: 3×3 kernels with a stride of 1, the commonest.
pub fn uses_row_pairs(step: &DepthwiseStep) -> bool {
    step.kernel_rows == 3
        && step.x_steps[1] == step.kernel_row
        && step.packed.columns[1].len() == 4
        && step.packed.pixels == 2
        && matches!(step.epilogue, Epilogue::Bytes { .. })
}

/// Patches of two by two pixels of a 3×3 kernel, whose weights have `N` summands: an input row serves two rows of outputs.
/// Returns how many columns are done.
#[inline(always)]
unsafe fn patches_of<S: Simd, const N: usize>(step: &DepthwiseStep, x: *const u8, y: *mut u8, block: &Block) -> usize {
    let packed = &step.packed;
    let (Some(bytes), &[a, b, c, d]) = (ByteEpilogue::of(step.epilogue), &packed.columns[0][..]) else { return 0 };
    let vector = S::LANES * S::QUAD;
    let n = (4 * S::LANES).min(step.channels - block.channel);
    let done = step.dims[2] & !1;
    // SAFETY: as in `pixels_of`.
    unsafe {
        let bias = packed.bias.as_ptr().add(block.numbers);
        let scale = packed.scale.as_ptr().add(block.numbers);
        let mut start = [S::load(bias); 4];
        for q in 1..4 {
            start[q] = S::load(bias.add(q * S::LANES));
        }
        for column in (0..done).step_by(2) {
            let (x, y) = (x.add(column * step.x_steps[2]), y.add(column * step.y_steps[2]));
            let mut acc = [[start; 2]; 2];
            // Written out, as in `tile`: an input row, and the output rows with the kernel row that it is for each.
            macro_rules! rows {
                ($($row:literal: $($r:literal $kernel_row:literal),*;)*) => {$(
                    let row = x.add($row * step.kernel_row);
                    let quads =
                        S::interleave([row.add(a as usize), row.add(b as usize), row.add(c as usize), row.add(d as usize)]);
                    $(
                        for s in 0..N {
                            for p in 0..2 {
                                for q in 0..4 {
                                    let at = ((($kernel_row * N + s) * 2 + p) * 4 + q) * vector;
                                    acc[$r][p][q] = S::dot(acc[$r][p][q], quads[q], S::weights(block.weights.add(at)));
                                }
                            }
                        }
                    )*
                )*};
            }
            rows!(0: 0 0; 1: 0 1, 1 0; 2: 0 2, 1 1; 3: 1 2;);
            macro_rules! store {
                ($saturate_only:literal: $($r:literal $p:literal),*) => {$(
                    let pixel = y.add($r * step.y_steps[1] + $p * step.y_steps[2]);
                    S::finish::<4, $saturate_only>(acc[$r][$p], scale, bytes, pixel, n);
                )*};
            }
            if bytes.saturate_only {
                store!(true: 0 0, 0 1, 1 0, 1 1);
            } else {
                store!(false: 0 0, 0 1, 1 0, 1 1);
            }
        }
    }
    done
}

/// `P` pixels of a block.
#[inline(always)]
unsafe fn pixels_of<S: Simd, const P: usize>(step: &DepthwiseStep, x: *const u8, y: *mut u8, block: &Block) {
    let (columns, _) = step.packed.columns[usize::from(P == 1)].as_chunks::<4>();
    let vector = S::LANES * S::QUAD;
    // SAFETY: columns up to the last pixel's last tap lie within the input and its halo; a block may read beyond the
    // last channel, which the buffer's slack allows; existing channels only are stored.
    unsafe {
        let bias = step.packed.bias.as_ptr().add(block.numbers);
        let mut start = [S::load(bias); 4];
        for q in 1..4 {
            start[q] = S::load(bias.add(q * S::LANES));
        }
        let mut acc = [start; P];
        let mut weights = block.weights;
        let next = step.packed.pixels * 4 * vector;
        for row in 0..step.kernel_rows {
            let x = x.add(row * step.kernel_row);
            for &[a, b, c, d] in columns {
                let bytes = S::interleave([x.add(a as usize), x.add(b as usize), x.add(c as usize), x.add(d as usize)]);
                for _ in 0..step.packed.summands {
                    for p in 0..P {
                        for q in 0..4 {
                            acc[p][q] = S::dot(acc[p][q], bytes[q], S::weights(weights.add((p * 4 + q) * vector)));
                        }
                    }
                    weights = weights.add(next);
                }
            }
        }
        let n = (4 * S::LANES).min(step.channels - block.channel);
        let scale = step.packed.scale.as_ptr().add(block.numbers);
        if let Some(bytes) = ByteEpilogue::of(step.epilogue) {
            // Written out, as in `tile`.
            macro_rules! pixels {
                ($saturate_only:literal $($p:literal)*) => {$(
                    if $p < P {
                        let y = y.add($p * step.y_steps[2]);
                        S::finish::<4, $saturate_only>(*acc.get_unchecked($p), scale, bytes, y, n);
                    }
                )*};
            }
            if bytes.saturate_only {
                pixels!(true 0 1 2 3);
            } else {
                pixels!(false 0 1 2 3);
            }
            return;
        }
        let mut lanes = [0i32; 4 * 64];
        for p in 0..P {
            for q in 0..4 {
                S::store(lanes.as_mut_ptr().add((p * 4 + q) * S::LANES), acc[p][q]);
            }
        }
        for p in 0..P {
            let lanes = lanes.as_ptr().add(p * 4 * S::LANES);
            store_32bit_outputs(lanes, 4, S::LANES, scale, step.epilogue, y.add(p * step.y_steps[2]), n);
        }
    }
}
