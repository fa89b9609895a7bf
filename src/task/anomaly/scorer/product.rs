//! Dot products that give the same bits on every CPU.

use multiversion::multiversion;

/// The integer dot product, written so that compilers emit pairwise multiply-add (`pmaddwd`).
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
pub fn dot_i16(a: &[i16], b: &[i16]) -> i32 {
    let (blocks_a, rest_a) = a.as_chunks::<32>();
    let (blocks_b, rest_b) = b.as_chunks::<32>();
    let mut sums = [0i32; 16];
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let (even, odd) = (2 * i, 2 * i + 1);
            let pair = (i32::from(a[even]) * i32::from(b[even])).wrapping_add(i32::from(a[odd]) * i32::from(b[odd]));
            *sum = sum.wrapping_add(pair);
        }
    }
    let rest = rest_a.iter().zip(rest_b).fold(0i32, |sum, (&a, &b)| sum.wrapping_add(i32::from(a) * i32::from(b)));
    sums.iter().fold(rest, |sum, part| sum.wrapping_add(*part))
}

/// The dot product in eight parallel sums: a fixed order of addition, so that every CPU gives the same bits.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
pub fn dot_f32(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0f32; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().map(|&sum| f64::from(sum)).sum()
}
