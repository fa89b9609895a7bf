//! JPEG, and the motion JPEG of cameras.
//!
//! What cameras send is decoded by zune-jpeg, compiled without SIMD: entropy decoding, inverse DCT and chroma upsampling in
//! integers. What it does not decode rightly (several scans, rare sampling factors, the edges where the last blocks of chroma are not
//! full) our own decoder reads, with the same
//! arithmetic, so that a picture has the same bytes however it is coded. Conversion to RGB is ours (`colour.rs`).

mod component;
mod decoder;
mod huffman;
mod idct;
mod scan;
#[cfg(test)]
mod several_scans;
mod standard_tables;
mod stream;
mod tables;

use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::PictureError;
use super::colour::{Inverse, Range, expand_luma};
use super::guard::guarded;
use super::picture::{Layout, Picture, check_size};
pub(super) use stream::plain_stream;
use stream::{PlainStream, broken};

/// The largest side a JPEG can have in practice; the limit on pixels is the caller's.
const LONGEST_SIDE: usize = 65_500;

/// Decodes a whole JPEG of at most `limit` pixels: to grey when it holds luma only, otherwise to RGB. EXIF orientation
/// is not applied. A picture that is cut short is an error, never a picture with a grey rest.
pub(super) fn decode_jpeg(jpeg: &[u8], range: Range, limit: usize, out: &mut Picture) -> Result<(), PictureError> {
    decode_stream(plain_stream(jpeg)?, range, limit, out)
}

/// The same from a stream that was made plain: the file itself need not be there any more.
pub(super) fn decode_stream(
    stream: PlainStream,
    range: Range,
    limit: usize,
    out: &mut Picture,
) -> Result<(), PictureError> {
    check_size(stream.width, stream.height, limit)?;
    let layout = match stream.components {
        1 => Layout::Grey,
        3 => Layout::Rgb,
        4 => {
            return Err(PictureError::Unsupported("CMYK JPEG: save it as RGB or grey"));
        }
        _ => {
            return Err(PictureError::Unsupported("JPEG with 2 or more than 4 components: save it as RGB or grey"));
        }
    };
    let (size, is_rgb) = ((stream.width, stream.height), stream.is_rgb);
    // Seen: an assertion on sampling factors that don't fit.
    let decoded = guarded(|| {
        if stream.is_simple {
            out.reshape(layout, size.0, size.1);
            return zune_planes(stream, out.data_mut());
        }
        let components = decoder::decode_components(&stream)?;
        // Memory for the picture is taken when that for the file and its coefficients is given back.
        drop(stream);
        out.reshape(layout, size.0, size.1);
        decoder::interleave(&components, size.0, out.data_mut());
        Ok(())
    });
    decoded.ok_or_else(|| broken("its data contradicts its header"))??;
    match layout {
        Layout::Grey => {
            for y in out.data_mut() {
                *y = expand_luma(range, *y);
            }
        }
        Layout::Rgb if !is_rgb => {
            let inverse = Inverse::of(range);
            for pixel in out.data_mut().chunks_exact_mut(3) {
                let chroma = inverse.chroma(pixel[1], pixel[2]);
                pixel.copy_from_slice(&inverse.rgb(pixel[0], chroma));
            }
        }
        Layout::Rgb => {}
    }
    Ok(())
}

/// Decodes to the components as they are stored, interleaved.
fn zune_planes(stream: PlainStream, out: &mut [u8]) -> Result<(), PictureError> {
    let failed = |error: DecodeErrors| broken(error.to_string().trim_matches('"'));
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(LONGEST_SIDE).set_max_height(LONGEST_SIDE);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(stream.bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    decoder.set_options(options.jpeg_set_out_colorspace(stored));
    decoder.decode_into(out).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::checksum;
    use proptest::prelude::*;

    const P444: &[u8] = include_bytes!("../testdata/444.jpg");
    const P422: &[u8] = include_bytes!("../testdata/422.jpg");
    const P420: &[u8] = include_bytes!("../testdata/420.jpg");
    const OPTIMIZED: &[u8] = include_bytes!("../testdata/optimized.jpg");
    const RESTART: &[u8] = include_bytes!("../testdata/restart.jpg");
    const PROGRESSIVE: &[u8] = include_bytes!("../testdata/progressive.jpg");
    const GREY: &[u8] = include_bytes!("../testdata/grey.jpg");
    const RGB: &[u8] = include_bytes!("../testdata/rgb.jpg");
    const CMYK: &[u8] = include_bytes!("../testdata/cmyk.jpg");

    /// Baseline files of one scan, as cameras send them.
    const OF_CAMERAS: [&[u8]; 6] = [P444, P422, P420, OPTIMIZED, RESTART, GREY];

    fn decode(jpeg: &[u8]) -> Result<Picture, PictureError> {
        let mut out = Picture::default();
        decode_jpeg(jpeg, Range::Full, 1 << 16, &mut out).map(|()| out)
    }

    fn message(jpeg: &[u8]) -> String {
        decode(jpeg).unwrap_err().to_string()
    }

    /// Byte offset behind the header of the first scan.
    fn scan_of(jpeg: &[u8]) -> usize {
        let sos = jpeg.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
        sos + 2 + usize::from(jpeg[sos + 3])
    }

    fn without_tables(jpeg: &[u8]) -> Vec<u8> {
        let mut bytes = jpeg.to_vec();
        while let Some(at) = bytes.windows(2).position(|pair| pair == [0xFF, 0xC4]) {
            let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            bytes.drain(at..at + 2 + length);
        }
        bytes
    }

    #[test]
    fn a_missing_restart_marker_is_damage() {
        assert!(decode(RESTART).is_ok());
        let markers: Vec<usize> = (scan_of(RESTART)..RESTART.len() - 1)
            .filter(|&at| RESTART[at] == 0xFF && (0xD0..=0xD7).contains(&RESTART[at + 1]))
            .collect();
        assert!(markers.len() > 2);
        for at in &markers[..markers.len() - 1] {
            let without = [&RESTART[..*at], &RESTART[at + 2..]].concat();
            assert!(message(&without).contains("a restart marker is missing"), "{at}: {}", message(&without));
        }
    }

    #[test]
    fn colours_are_those_that_were_saved() {
        // Quality 90 and chroma at half resolution: worst and mean error in LSB, with libjpeg-turbo 13 and 1.2.
        for (jpeg, worst_allowed, mean_allowed) in [
            (P444, 6, 1.0),
            (P422, 14, 1.4),
            (P420, 14, 1.4),
            (OPTIMIZED, 14, 1.4),
            (RESTART, 14, 1.4),
            (PROGRESSIVE, 14, 1.4),
            (RGB, 6, 1.0),
        ] {
            let picture = decode(jpeg).unwrap();
            assert_eq!((picture.layout(), picture.width(), picture.height()), (Layout::Rgb, 45, 35));
            let saved = (0..35).flat_map(|y| (0..45).flat_map(move |x| [5 * x, 7 * y, 250 - 3 * x - 3 * y]));
            let errors: Vec<i32> = saved.zip(picture.data()).map(|(a, &b)| (a - i32::from(b)).abs()).collect();
            let (worst, mean) =
                (errors.iter().max().copied().unwrap(), f64::from(errors.iter().sum::<i32>()) / errors.len() as f64);
            assert!(worst <= worst_allowed && mean <= mean_allowed, "worst {worst}, mean {mean}");
        }
        let grey = decode(GREY).unwrap();
        assert_eq!((grey.layout(), grey.width(), grey.height()), (Layout::Grey, 45, 35));
    }

    #[test]
    fn rgb_is_known_by_the_adobe_segment_alone() {
        let mut jpeg = RGB.to_vec();
        let marker = |code| RGB.windows(2).position(|pair| pair == [0xFF, code]).unwrap();
        let (frame, scan) = (marker(0xC0), marker(0xDA));
        for component in 0..3 {
            jpeg[frame + 10 + 3 * component] = component as u8 + 1;
            jpeg[scan + 5 + 2 * component] = component as u8 + 1;
        }
        assert_ne!(jpeg, RGB);
        assert_eq!(decode(&jpeg).unwrap(), decode(RGB).unwrap());
    }

    #[test]
    fn missing_huffman_tables_are_the_standard_ones() {
        for jpeg in [P444, P422, P420, RESTART, GREY] {
            let bare = without_tables(jpeg);
            assert!(bare.len() < jpeg.len());
            assert_eq!(decode(&bare).unwrap(), decode(jpeg).unwrap());
        }
    }

    #[test]
    fn what_lies_behind_the_end_is_ignored() {
        let padded = [P420, &[0; 100]].concat();
        assert_eq!(decode(&padded).unwrap(), decode(P420).unwrap());
    }

    #[test]
    fn cut_files_are_errors() {
        for jpeg in OF_CAMERAS.into_iter().chain([PROGRESSIVE, RGB]) {
            // Without its end-of-image marker it is whole, and its last byte may be no more than padding.
            for length in 0..jpeg.len() - 3 {
                assert!(decode(&jpeg[..length]).is_err(), "{length} of {} bytes", jpeg.len());
            }
        }
        assert_eq!(message(&P420[..500]), "broken JPEG: it is cut short, its end-of-image marker is missing");
    }

    #[test]
    fn a_scan_that_ends_too_early_is_an_error() {
        for jpeg in OF_CAMERAS {
            // The last byte of a scan may be no more than padding.
            for length in scan_of(jpeg)..jpeg.len() - 3 {
                let cut = [&jpeg[..length], &[0xFF, 0xD9]].concat();
                assert!(decode(&cut).is_err(), "{length} of {} bytes", jpeg.len());
            }
        }
    }

    #[test]
    fn a_lost_packet_is_an_error() {
        for jpeg in OF_CAMERAS {
            let from = scan_of(jpeg) + 20;
            let gap = [&jpeg[..from], &jpeg[from + 40..]].concat();
            assert!(decode(&gap).is_err());
        }
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        assert_eq!(message(CMYK), "CMYK JPEG: save it as RGB or grey");
        let frame = P420.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
        let mut other = P420.to_vec();
        other[frame + 1] = 0xC9;
        assert!(message(&other).contains("arithmetic coding"));
        other[frame + 1] = 0xC0;
        other[frame + 4] = 12;
        assert!(message(&other).contains("12 bits"));
    }

    #[test]
    fn limited_range_is_expanded() {
        let (full, mut limited) = (decode(GREY).unwrap(), Picture::default());
        decode_jpeg(GREY, Range::Limited, 1 << 16, &mut limited).unwrap();
        assert!(full.data().iter().zip(limited.data()).all(|(&f, &l)| l == expand_luma(Range::Limited, f)));
    }

    #[test]
    fn same_bytes_on_every_cpu() {
        let actual =
            [P444, P422, P420, OPTIMIZED, RESTART, PROGRESSIVE, GREY, RGB].map(|jpeg| checksum(&decode(jpeg).unwrap()));
        let recorded = [
            0x86abc15b503ae9f4,
            0xe04ff4ebc02ac64b,
            0x1227227a5c7d7f08, // 4:2:0 four times: the coding differs, the pixels don't
            0x1227227a5c7d7f08,
            0x1227227a5c7d7f08,
            0x1227227a5c7d7f08,
            0xfb0fe306795a474d,
            0xaf7490f6c723b0d6,
        ];
        assert_eq!(actual, recorded, "{actual:#x?}");
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(
            which in 0..OF_CAMERAS.len() + 1,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut jpeg = OF_CAMERAS.get(which).unwrap_or(&PROGRESSIVE).to_vec();
            for (at, byte) in damage {
                let at = at.index(jpeg.len());
                jpeg[at] = byte;
            }
            let _ = decode(&jpeg);
        }
    }
}
