//! The inverse cosine transform of zune-jpeg in the same 12-bit fixed point (that of `stb_image`), so that both decoders give the
//! same bytes: at most 1 LSB from libjpeg's.

/// Coefficients, or samples, of 8 by 8 pixels, row by row.
pub(super) type Block = [i32; 64];

/// Halves of the last of 10 bits, then of 17 bits with the middle of the range, 128.
const FIRST_BIAS: i32 = 512;
const SECOND_BIAS: i32 = 512 + 65_536 + (128 << 17);

/// Four even and four odd parts of eight values; damaged files may overflow.
#[inline(always)]
fn parts(s: [i32; 8], bias: i32) -> ([i32; 4], [i32; 4]) {
    let sum = |a: i32, b: i32| a.wrapping_add(b);
    let times = |a: i32, factor: i32| a.wrapping_mul(factor);
    let p1 = times(sum(s[2], s[6]), 2217);
    let (t2, t3) = (sum(p1, times(s[6], -7567)), sum(p1, times(s[2], 3135)));
    let (t0, t1) = (sum(s[0], s[4]) << 12, s[0].wrapping_sub(s[4]) << 12);
    let even = [
        sum(sum(t0, t3), bias),
        sum(sum(t1, t2), bias),
        sum(t1.wrapping_sub(t2), bias),
        sum(t0.wrapping_sub(t3), bias),
    ];
    let (p3, p4, p1, p2) = (sum(s[7], s[3]), sum(s[5], s[1]), sum(s[7], s[1]), sum(s[5], s[3]));
    let p5 = times(sum(p3, p4), 4816);
    let (p1, p2) = (sum(p5, times(p1, -3685)), sum(p5, times(p2, -10_497)));
    let (p3, p4) = (times(p3, -8034), times(p4, -1597));
    let odd = [
        sum(times(s[1], 6149), sum(p1, p4)),
        sum(times(s[3], 12_586), sum(p2, p3)),
        sum(times(s[5], 8410), sum(p2, p4)),
        sum(times(s[7], 1223), sum(p1, p3)),
    ];
    (even, odd)
}

/// Dequantized coefficients to samples, 0..=255, into eight rows of `out` that lie `stride` bytes apart.
pub(super) fn idct(block: &mut Block, out: &mut [u8], stride: usize) {
    if block[1..].iter().all(|&coefficient| coefficient == 0) {
        let flat = (block[0].wrapping_add(4 + 1024) >> 3).clamp(0, 255) as u8;
        out.chunks_mut(stride).take(8).for_each(|row| row[..8].fill(flat));
        return;
    }
    for x in 0..8 {
        let column = [0, 1, 2, 3, 4, 5, 6, 7].map(|y| block[8 * y + x]);
        let (even, odd) = parts(column, FIRST_BIAS);
        for i in 0..4 {
            block[8 * i + x] = even[i].wrapping_add(odd[i]) >> 10;
            block[8 * (7 - i) + x] = even[i].wrapping_sub(odd[i]) >> 10;
        }
    }
    for (values, row) in block.as_chunks::<8>().0.iter().zip(out.chunks_mut(stride)) {
        let (even, odd) = parts(*values, SECOND_BIAS);
        for i in 0..4 {
            row[i] = (even[i].wrapping_add(odd[i]) >> 17).clamp(0, 255) as u8;
            row[7 - i] = (even[i].wrapping_sub(odd[i]) >> 17).clamp(0, 255) as u8;
        }
    }
}
