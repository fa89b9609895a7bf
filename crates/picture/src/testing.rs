//! For tests, here and in crates that build on this one: a picture that is the same everywhere, and a checksum to compare.

use super::picture::{Layout, Picture};

/// Gradients, hard edges and noise: what fixed-point code can get wrong.
pub fn synthetic(layout: Layout, width: usize, height: usize) -> Picture {
    let mut picture = Picture::new(layout, width, height);
    let channels = layout.channels();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for y in 0..height {
        for (i, byte) in picture.row_mut(y).iter_mut().enumerate() {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (x, channel) = (i / channels, i % channels);
            let gradient = (x * 255 / width + y * 91 / height + channel * 67) as u8;
            let noise = (state >> 40) as u8;
            *byte = match (x / 8 + y / 8) % 4 {
                0 => gradient,
                1 => noise,
                2 => gradient.wrapping_add(noise & 15),
                _ => 255 * ((x + y) & 1) as u8,
            };
        }
    }
    picture
}

/// FNV-1a, 64 bits, of all bytes.
pub fn checksum(picture: &Picture) -> u64 {
    picture
        .data()
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
