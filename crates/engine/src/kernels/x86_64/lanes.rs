//! Between the order of outputs and the order of a set's vectors: weights and numbers on the way in, accumulators on the
//! way out.

use super::simd::output_index;
use crate::kernels::epilogue::{Epilogue, store_accumulator};

/// Stores a pixel's accumulators, or floats made of them, in the order of the outputs.
///
/// # Safety
/// `acc` and `scale` must be valid for `nv * lanes` numbers, `y` for `n` elements of four bytes.
pub unsafe fn store_32bit_outputs(
    acc: *const i32,
    nv: usize,
    lanes: usize,
    scale: *const f32,
    epilogue: Epilogue,
    y: *mut u8,
    n: usize,
) {
    for position in 0..nv * lanes {
        let output = output_index(nv, lanes, position);
        if output < n {
            // SAFETY: promised by the caller.
            unsafe { store_accumulator(*acc.add(position), *scale.add(position), epilogue, y.add(output * 4)) };
        }
    }
}

/// Numbers of outputs in the order of a panel's lanes (see `simd::order`), padded with `padding`.
pub fn in_lane_order<T: Copy>(values: &[T], padding: T, panel: usize, order: &[usize]) -> Vec<T> {
    let panels = values.len().div_ceil(panel);
    let value = |index: usize, position: usize| values.get(index * panel + order[position]).copied().unwrap_or(padding);
    (0..panels).flat_map(|index| (0..panel).map(move |position| value(index, position))).collect()
}

/// Writes the four weights that one `dot` of a lane multiplies: as they are (`size` 4), or widened to 16 bits with even
/// and odd bytes apart (`size` 8).
#[inline(always)]
pub fn write_dot4_group(to: &mut [u8], lanes: usize, lane: usize, quad: [i16; 4], size: usize) {
    if size == 4 {
        to[lane * 4..lane * 4 + 4].copy_from_slice(&quad.map(|w| w as i8 as u8));
        return;
    }
    let (even, odd) = to.split_at_mut(lanes * 4);
    for (half, pair) in [(even, [quad[0], quad[2]]), (odd, [quad[1], quad[3]])] {
        for (i, w) in pair.into_iter().enumerate() {
            half[lane * 4 + i * 2..lane * 4 + i * 2 + 2].copy_from_slice(&w.to_le_bytes());
        }
    }
}
