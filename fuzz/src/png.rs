//! PNG, as it is and with its check sums repaired: a decoder that stops at a wrong sum is tested no further.

use super::Target;
use super::picture::{LIMIT, compare_rows};
use flate2::Crc;
use lineside_picture::{Picture, decode_file, write_png};

/// This target.
pub const TARGET: Target = Target {
    name: "png",
    run: target,
    max_len: 4096,
    max_memory: 32 << 20,
    iterations: 5000,
    words: &[
        b"\x89PNG\r\n\x1A\n",
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"IEND",
        b"tRNS",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"iCCP",
        b"iTXt",
        b"zTXt",
        b"gAMA",
        b"eXIf",
        b"sBIT",
        b"\x10\x06\0\0\0",
        b"\x01\0\0\0\x01",
    ],
};

/// Decodes a PNG whole and row by row; what was decoded is written and decoded again.
pub fn target(data: &[u8]) {
    if !data.starts_with(b"\x89PNG\r\n\x1A\n") {
        return;
    }
    compare_rows(data);
    let repaired = with_sums(data);
    if repaired != data {
        compare_rows(&repaired);
    }
    let (mut picture, mut again) = (Picture::default(), Picture::default());
    if decode_file(&repaired, LIMIT, &mut picture).is_ok() {
        let mut file = Vec::new();
        write_png(&mut file, &picture).expect("a vector takes everything");
        decode_file(&file, LIMIT, &mut again).expect("a PNG that was written can be decoded");
        assert!(picture == again, "a PNG that was written has other pixels");
    }
}

/// The same chunks, each with the right sum.
fn with_sums(png: &[u8]) -> Vec<u8> {
    let mut repaired = png.to_vec();
    let mut at = 8;
    while let Some(length) = png.get(at..at + 4).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes) {
        let end = at + 8 + length as usize;
        if png.len() < end + 4 {
            break;
        }
        let mut crc = Crc::new();
        crc.update(&png[at + 4..end]);
        repaired[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
    repaired
}
