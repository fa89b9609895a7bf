//! The picture of the newest defect as a JPEG that a broker and a display are glad to take.

use jpeg_encoder::{ColorType, Encoder};
use lineside_picture::{Filter, Layout, Picture, Resizer};

/// The longest side in pixels; larger pictures are scaled down.
const LONGEST_SIDE: usize = 640;
/// The most bytes of a picture.
pub(super) const MOST_BYTES: usize = 256 << 10;
/// JPEG quality, and that of pictures that would become too large.
const QUALITY: [u8; 3] = [80, 50, 20];

/// Encodes a picture; `None` where it has no pixels, or stays too large.
pub(super) fn encode(picture: &Picture) -> Option<Vec<u8>> {
    let size = (picture.width(), picture.height());
    let longest = size.0.max(size.1);
    let mut smaller = Picture::default();
    let picture = if longest > LONGEST_SIDE {
        let scaled = |side: usize| (side * LONGEST_SIDE / longest).max(1);
        let mut resizer = Resizer::new(Filter::Area, picture.layout(), size, (scaled(size.0), scaled(size.1))).ok()?;
        resizer.run(picture, &mut smaller).ok()?;
        &smaller
    } else {
        picture
    };
    let colours = match picture.layout() {
        Layout::Grey => ColorType::Luma,
        Layout::Rgb => ColorType::Rgb,
    };
    let (width, height) = (u16::try_from(picture.width()).ok()?, u16::try_from(picture.height()).ok()?);
    QUALITY.iter().find_map(|&quality| {
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, quality).encode(picture.data(), width, height, colours).ok()?;
        (jpeg.len() <= MOST_BYTES).then_some(jpeg)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_any_size_becomes_a_small_one() {
        for (layout, width, height, expected) in [
            (Layout::Rgb, 64, 48, (64, 48)),
            (Layout::Grey, 640, 480, (640, 480)),
            (Layout::Rgb, 1920, 1080, (640, 360)),
            (Layout::Rgb, 5000, 3, (640, 1)),
        ] {
            let mut picture = Picture::default();
            picture.reshape(layout, width, height);
            // Noise: nothing is harder to encode.
            let mut state = 1u32;
            for byte in picture.data_mut() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
            let jpeg = encode(&picture).unwrap();
            assert!(jpeg.len() <= MOST_BYTES && jpeg.starts_with(&[0xff, 0xd8]), "{}", jpeg.len());
            let mut decoded = Picture::default();
            lineside_picture::decode_file(&jpeg, 1 << 20, &mut decoded).unwrap();
            assert_eq!((decoded.width(), decoded.height()), expected);
        }
        assert!(encode(&Picture::default()).is_none());
    }
}
