//! Rows read at a stride.

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

/// Every `stride`-th element of `line` from position `first` on; 0 outside.
#[inline(always)]
pub fn copy_strided(line: &[f32], first: isize, stride: usize, to: &mut [f32]) {
    let before = if first < 0 { (first.unsigned_abs()).div_ceil(stride).min(to.len()) } else { 0 };
    let start = (first + (before * stride) as isize).max(0) as usize;
    let left = line.len().saturating_sub(start);
    let inside = if stride == 1 { left } else { left.div_ceil(stride) }.min(to.len() - before);
    to[..before].fill(0.0);
    to[before + inside..].fill(0.0);
    let (to, from) = (&mut to[before..before + inside], line.get(start..).unwrap_or_default());
    if stride == 1 {
        to.copy_from_slice(&from[..inside]);
    } else {
        zip_strided(to, from, stride, |to, from| *to = from);
    }
}
