//! Rows read at a stride, and copies of short rows.

use super::isa::Lanes;

/// Calls `visit` for every `y` with every `stride`-th `x` from the first on, as far as both reach. Strides of 1 and 2 become vectors.
#[inline(always)]
pub fn zip_strided(y: &mut [f32], x: &[f32], stride: usize, visit: impl Fn(&mut f32, f32) + Copy) {
    match stride {
        1 => y.iter_mut().zip(x).for_each(|(y, &x)| visit(y, x)),
        2 => {
            let (pairs, last) = x.as_chunks::<2>();
            for (y, &[x, _]) in y.iter_mut().zip(pairs) {
                visit(y, x);
            }
            if let ([x], Some(y)) = (last, y.get_mut(pairs.len())) {
                visit(y, *x);
            }
        }
        _ => y.iter_mut().zip(x.iter().step_by(stride)).for_each(|(y, &x)| visit(y, x)),
    }
}

/// As `copy_from_slice`, for rows too short to be worth a call.
#[inline(always)]
pub fn copy<L: Lanes>(from: &[f32], to: &mut [f32]) {
    let count = from.len().min(to.len());
    let whole = count / L::COUNT * L::COUNT;
    // SAFETY: within both slices.
    unsafe {
        for at in (0..whole).step_by(L::COUNT) {
            L::load(from.as_ptr().add(at)).store(to.as_mut_ptr().add(at));
        }
        if whole < count {
            let rest = count - whole;
            L::load_first(from.as_ptr().add(whole), rest).store_first(to.as_mut_ptr().add(whole), rest);
        }
    }
}

/// As `fill(0.0)`.
#[inline(always)]
pub fn zero<L: Lanes>(to: &mut [f32]) {
    let (count, zero) = (to.len(), L::splat(0.0));
    let whole = count / L::COUNT * L::COUNT;
    // SAFETY: within the slice.
    unsafe {
        for at in (0..whole).step_by(L::COUNT) {
            zero.store(to.as_mut_ptr().add(at));
        }
        if whole < count {
            zero.store_first(to.as_mut_ptr().add(whole), count - whole);
        }
    }
}
