//! Convolutions with few outputs: the kernel's columns lie side by side in the lanes.
//!
//! Nine outputs fill nine of sixteen lanes, three fill three. With the products of every kernel column in lanes of their
//! own, one quad of an input pixel serves all columns at once: twenty-seven lanes of thirty-two, nine of sixteen. An
//! output is then the sum of its neighbours' lanes, one column from each.

use super::lanes::{store_32bit_outputs, write_dot4_group};
use super::simd::{ByteEpilogue, Simd};
use crate::kernels::arena::{AlignedBytes, Arena};
use crate::kernels::conv::{Algorithm, ConvStep, ConvWeights, PackedConv};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::tiles::{MAX_TILE_PIXELS, Tile, TileKernel, for_each_output_row};

/// Kernel columns and vectors, where columns in separate lanes are faster.
fn columns_and_vectors<S: Simd>(tiles: &[&[TileKernel]], from: &ConvWeights) -> Option<(usize, usize)> {
    let columns = from.run / from.column?;
    let vectors = (from.outputs * columns).div_ceil(S::LANES);
    if columns < 2 || from.outputs > S::LANES || vectors > 2 {
        return None;
    }
    let pixels = tiles[vectors - 1].len();
    // Of a tile's pixels the last ones only complete sums of those before.
    let useful = pixels.checked_sub(columns - 1).filter(|&useful| useful > 0)?;
    (vectors * pixels * 5 < columns * useful * 4).then_some((columns, vectors))
}

/// Weights with columns side by side, or `None` where that is not faster.
pub fn pack<S: Simd>(tiles: &[&[TileKernel]], from: &ConvWeights) -> Option<PackedConv> {
    let (columns, vectors) = columns_and_vectors::<S>(tiles, from)?;
    let inputs = from.run / columns;
    let panel = vectors * S::LANES;
    let groups = inputs.div_ceil(4);
    let vector = S::LANES * S::QUAD;
    let mut weights = AlignedBytes::zeroed(from.taps * groups * vectors * vector);
    for lane in 0..from.outputs * columns {
        let (column, output) = (lane / from.outputs, lane % from.outputs);
        for tap in 0..from.taps {
            for group in 0..groups {
                let weight = |i: usize| match group * 4 + i {
                    byte if byte < inputs => from.weight(output, tap, column * inputs + byte),
                    _ => 0,
                };
                let at = ((tap * groups + group) * vectors + lane / S::LANES) * vector;
                let quad = std::array::from_fn(weight);
                let to = &mut weights.bytes_mut()[at..at + vector];
                write_dot4_group(to, S::LANES, lane % S::LANES, quad.map(i16::from), S::QUAD);
            }
        }
    }
    let panel_bytes = weights.len();
    // Lanes start from zero; the bias is added to the finished sum.
    let (bias, scale) = from.padded(S::LANES);
    Some(PackedConv {
        weights,
        bias,
        scale,
        panel,
        groups,
        panel_bytes,
        algorithm: Algorithm::Columns(columns),
        widen_each_product: false,
    })
}

/// Accumulators of a tile, with room for a vector behind the last.
#[repr(C, align(64))]
struct ColumnBuffer([i32; MAX_TILE_PIXELS * 32 + 16]);

/// [`sum_columns`], compiled with the features of a set.
pub type SumColumns = unsafe fn(&ConvStep, *const i32, *mut u8, usize);

/// Runs a thread's share, with the tiles of the set's panel width.
pub fn run(
    tiles: &[TileKernel],
    sum_columns: SumColumns,
    step: &ConvStep,
    kernel_columns: usize,
    arena: Arena,
    part: (usize, usize),
) {
    let packed = &step.packed;
    let each = tiles.len() + 1 - kernel_columns;
    let zeros = [0i32; 32];
    let mut lanes = ColumnBuffer([0; MAX_TILE_PIXELS * 32 + 16]);
    let at = lanes.0.as_mut_ptr();
    let mut tile = Tile {
        x: [std::ptr::null(); MAX_TILE_PIXELS],
        y: std::array::from_fn(|p| at.wrapping_add(p * packed.panel).cast()),
        pixels: 0,
        taps: step.taps.as_ptr(),
        tap_count: step.taps.len(),
        groups: packed.groups,
        weights: packed.weights.as_ptr(),
        bias: zeros.as_ptr(),
        scale: packed.scale.as_ptr(),
        panels: 1,
        outputs: packed.panel,
        epilogue: Epilogue::Lanes,
    };
    for_each_output_row(step, arena, part, |x, y| {
        let columns = step.dims[2];
        for first in (0..columns).step_by(each) {
            let count = each.min(columns - first);
            tile.pixels = count + kernel_columns - 1;
            for p in 0..tile.pixels {
                tile.x[p] = x.wrapping_add((first + p) * step.x_steps[2]);
            }
            let y = y.wrapping_add(first * step.y_steps[2]);
            // SAFETY: a set is offered only where the CPU has its features; the tile reads the columns of `count`
            // outputs of a checked step and writes its lanes to `lanes`.
            unsafe {
                tiles[tile.pixels - 1](&tile);
                sum_columns(step, at, y, count);
            }
        }
    });
}

/// Sums the lanes of neighbouring columns and stores `count` outputs.
///
/// # Safety
/// Needs the features of `S`; `lanes` must hold the accumulators of `count + columns - 1` pixels and a vector more, and
/// `y` be the first of `count` output pixels of a checked step.
#[inline(always)]
pub unsafe fn sum_columns<S: Simd>(step: &ConvStep, lanes: *const i32, y: *mut u8, count: usize) {
    let packed = &step.packed;
    let Algorithm::Columns(columns) = packed.algorithm else { return };
    let bytes = ByteEpilogue::of(step.epilogue);
    for p in 0..count {
        // SAFETY: promised by the caller.
        unsafe {
            let mut acc = S::load(packed.bias.as_ptr());
            for column in 0..columns {
                acc = S::add(acc, S::load(lanes.add((p + column) * packed.panel + column * step.outputs)));
            }
            let y = y.add(p * step.y_steps[2]);
            match bytes {
                Some(bytes) => S::finish::<1, false>([acc], packed.scale.as_ptr(), bytes, y, step.outputs),
                None => {
                    let mut sums = [0i32; 16];
                    S::store(sums.as_mut_ptr(), acc);
                    store_32bit_outputs(
                        sums.as_ptr(),
                        1,
                        S::LANES,
                        packed.scale.as_ptr(),
                        step.epilogue,
                        y,
                        step.outputs,
                    );
                }
            }
        }
    }
}
