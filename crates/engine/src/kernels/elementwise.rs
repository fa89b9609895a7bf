//! The walk over rows that element-wise ops share.

use super::arena::{Arena, View};
use super::grid::thread_share;

/// Bytes of an operand that are put side by side at a time, where it repeats or has gaps.
const GATHERED: usize = 256;

/// Calls `run` with the offsets of the longest stretches of `y` and its operands that can be walked element by element:
/// whole images, rows or pixels.
pub fn for_each_contiguous_run(
    y: &View,
    operands: &[View; 2],
    (part, parts): (usize, usize),
    mut run: impl FnMut(usize, [usize; 2], usize),
) {
    let [images, rows, columns, channels] = y.dims;
    let steady = |view: &View| view.strides[2] == channels * view.strides[3] || columns == 1;
    let whole = steady(y) && operands.iter().all(steady);
    for row in thread_share(images * rows, part, parts) {
        let (n, r) = (row / rows, row % rows);
        let at = |x: usize| (y.pixel(n, r, x), [operands[0].pixel(n, r, x), operands[1].pixel(n, r, x)]);
        if whole {
            let (y, x) = at(0);
            run(y, x, columns * channels);
        } else {
            for column in 0..columns {
                let (y, x) = at(column);
                run(y, x, channels);
            }
        }
    }
}

/// Calls `run` with pointers to stretches of both operands and of `y`, and their bytes, for a thread's share. An operand that
/// repeats along a stretch, or has gaps in it, is put side by side first, so that kernels see contiguous bytes only.
pub fn for_each_contiguous_pair(
    y: &View,
    operands: &[View; 2],
    arena: Arena,
    part: (usize, usize),
    mut run: impl FnMut([*const u8; 2], *mut u8, usize),
) {
    let steps = operands.map(|view| view.strides[3]);
    for_each_contiguous_run(y, operands, part, |y, x, count| {
        if steps == [1, 1] {
            return run(x.map(|x| arena.at(x).cast_const()), arena.at(y), count);
        }
        let mut gathered = [[0u8; GATHERED]; 2];
        for start in (0..count).step_by(GATHERED) {
            let here = (count - start).min(GATHERED);
            let mut pointers = x.map(|x| arena.at(x + start).cast_const());
            for i in 0..2 {
                if steps[i] == 1 {
                    continue;
                }
                // One byte that repeats stays from one stretch to the next.
                if steps[i] > 0 || start == 0 {
                    for (k, to) in gathered[i][..here].iter_mut().enumerate() {
                        // SAFETY: within rows of checked views.
                        *to = unsafe { *arena.at(x[i] + (start + k) * steps[i]) };
                    }
                }
                pointers[i] = gathered[i].as_ptr();
            }
            run(pointers, arena.at(y + start), here);
        }
    });
}
