//! The frames of a WebP, checked before its decoder reads them: it takes memory for a frame first and then compares its size with
//! that of the picture.

/// The most pixels of a frame. Wherever in the file a frame begins counts: a decoder may find it there.
///
/// RFC 9649, sections 2.5 and 2.6, and RFC 6386, section 9.1: sizes have 14 bits.
pub(super) fn largest_frame(file: &[u8]) -> usize {
    const SIDE: u32 = (1 << 14) - 1;
    let starts = file.windows(4).enumerate().filter(|(_, name)| name.starts_with(b"VP8"));
    let pixels = starts.filter_map(|(at, name)| {
        let (width, height) = match (name[3], file.get(at + 8..)?) {
            (b' ', [_, _, _, 0x9D, 0x01, 0x2A, a, b, c, d, ..]) => {
                (u32::from(u16::from_le_bytes([*a, *b])) & SIDE, u32::from(u16::from_le_bytes([*c, *d])) & SIDE)
            }
            (b'L', [0x2F, a, b, c, d, ..]) => {
                let bits = u32::from_le_bytes([*a, *b, *c, *d]);
                ((bits & SIDE) + 1, (bits >> 14 & SIDE) + 1)
            }
            _ => return None,
        };
        Some(width as usize * height as usize)
    });
    pixels.max().unwrap_or(0)
}

/// How many frames an animation has; 0 of a still picture. RFC 9649, sections 2.3 and 2.7: chunks of even length, `ANMF` for a frame.
pub(super) fn count(file: &[u8]) -> usize {
    let (mut rest, mut frames) = (file.get(12..).unwrap_or_default(), 0);
    while let Some((&[a, b, c, d, l0, l1, l2, l3], payload)) = rest.split_first_chunk::<8>() {
        frames += usize::from([a, b, c, d] == *b"ANMF");
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        rest = payload.get(length.saturating_add(length & 1)..).unwrap_or_default();
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Picture, PictureError, decode_file};

    /// Found by fuzzing: 402 MB were taken for 114 bytes.
    #[test]
    fn a_frame_larger_than_its_picture_is_refused_before_it_is_read() {
        let canvas = b"RIFF\x72\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0\x08\0\0\x06\0\0";
        let lossy = |width: u16, height: u16| {
            let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
            [canvas, &b"VP8 \x32\0\0\0\xF0\x01\0\x9D\x01\x2A"[..], &size, &[0; 40]].concat()
        };
        assert_eq!(largest_frame(&lossy(9, 7)), 63);
        let lossless = [canvas, &b"VP8L\x32\0\0\0\x2F\xFF\xFF\xFF\x0F"[..], &[0; 40]].concat();
        for (file, pixels) in [(lossy(0xFFFF, 0x7FFF), 0x3FFF * 0x3FFF), (lossless, 0x4000 * 0x4000)] {
            assert_eq!(largest_frame(&file), pixels);
            let error = decode_file(&file, 1 << 16, &mut Picture::default()).unwrap_err();
            assert!(matches!(&error, PictureError::Broken { reason, .. } if reason.contains("larger")), "{error}");
        }
        assert_eq!(largest_frame(b"VP8 VP8LVP8X"), 0);
    }

    #[test]
    fn frames_of_an_animation_are_counted() {
        let chunk = |name: &[u8; 4], length: u32| {
            [&name[..], &length.to_le_bytes(), &vec![0; (length + length % 2) as usize]].concat()
        };
        let file = |chunks: &[Vec<u8>]| [&b"RIFF\0\0\0\0WEBP"[..], &chunks.concat()].concat();
        assert_eq!(count(&file(&[chunk(b"VP8 ", 5)])), 0);
        assert_eq!(count(&file(&[chunk(b"VP8X", 10), chunk(b"ANMF", 7), chunk(b"EXIF", 3), chunk(b"ANMF", 4)])), 2);
        assert_eq!(count(b"RIFF"), 0);
        assert_eq!(count(&[&file(&[chunk(b"ANMF", 2)])[..], b"ANMF\xFF\xFF\xFF\xFF"].concat()), 2);
    }
}
