//! Raw frames, decoded to a picture.

use super::PictureError;
use super::colour::{Inverse, Range, expand_luma};
use super::jpeg::decode_jpeg;
use super::picture::{Layout, Picture, check_size};
use super::planes::{ChromaShape, Rows};
use super::raw::{PixelFormat, RawFrame};

/// Decodes a frame into `out`, which is allocated only when it is too small: grey of any depth to
/// [`Layout::Grey`], a JPEG of luma alone also, everything else to [`Layout::Rgb`]. Chroma is taken from the nearest
/// sample, YCbCr is BT.601; grey of more than 8 bits is scaled and rounded.
///
/// # Errors
/// - [`PictureError::Empty`] or [`PictureError::TooLarge`] when the size makes no sense.
/// - [`PictureError::BufferLength`] when there are fewer bytes than the size calls for.
/// - [`PictureError::ShortStride`] when rows would overlap.
/// - For JPEG those of [`decode_file`](super::decode_file), and [`PictureError::SizeMismatch`] when the JPEG has not the
///   size of the frame.
pub fn decode_into(raw: &RawFrame, out: &mut Picture) -> Result<(), PictureError> {
    let RawFrame { range, width, height, .. } = *raw;
    check_size(width, height, usize::MAX)?;
    match raw.format {
        PixelFormat::Grey => {
            let rows = Rows::of(raw, "grey frame", width, height)?;
            out.reshape(Layout::Grey, width, height);
            for y in 0..height {
                for (out, &luma) in out.row_mut(y).iter_mut().zip(rows.row(y)) {
                    *out = expand_luma(range, luma);
                }
            }
        }
        PixelFormat::Grey10 => deep_grey(raw, 10, out)?,
        PixelFormat::Grey12 => deep_grey(raw, 12, out)?,
        PixelFormat::Grey16 => deep_grey(raw, 16, out)?,
        PixelFormat::Bgr24 => {
            let rows = Rows::of(raw, "BGR frame", width.saturating_mul(3), height)?;
            out.reshape(Layout::Rgb, width, height);
            for y in 0..height {
                for (out, bgr) in out.row_mut(y).chunks_exact_mut(3).zip(rows.row(y).chunks_exact(3)) {
                    out.copy_from_slice(&[bgr[2], bgr[1], bgr[0]]);
                }
            }
        }
        PixelFormat::Rgb24 => {
            let rows = Rows::of(raw, "RGB frame", width.saturating_mul(3), height)?;
            out.reshape(Layout::Rgb, width, height);
            for y in 0..height {
                out.row_mut(y).copy_from_slice(rows.row(y));
            }
        }
        PixelFormat::Yuyv => {
            let rows = Rows::of(raw, "YUYV frame", width.div_ceil(2).saturating_mul(4), height)?;
            out.reshape(Layout::Rgb, width, height);
            for y in 0..height {
                let quads = rows.row(y).chunks_exact(4);
                write_pairs(out.row_mut(y), range, quads.map(|q| ([q[0], q[2]], q[1], q[3])));
            }
        }
        PixelFormat::Uyvy => {
            let rows = Rows::of(raw, "UYVY frame", width.div_ceil(2).saturating_mul(4), height)?;
            out.reshape(Layout::Rgb, width, height);
            for y in 0..height {
                let quads = rows.row(y).chunks_exact(4);
                write_pairs(out.row_mut(y), range, quads.map(|q| ([q[1], q[3]], q[0], q[2])));
            }
        }
        PixelFormat::Nv12 | PixelFormat::Nv12m => semi_planar(raw, "NV12 frame", 2, |c| (c[0], c[1]), out)?,
        PixelFormat::Nv21 | PixelFormat::Nv21m => semi_planar(raw, "NV21 frame", 2, |c| (c[1], c[0]), out)?,
        PixelFormat::Nv16 | PixelFormat::Nv16m => semi_planar(raw, "NV16 frame", 1, |c| (c[0], c[1]), out)?,
        PixelFormat::Yuv420 | PixelFormat::Yuv420m => planar(raw, |first, second| (first, second), out)?,
        PixelFormat::Yvu420 | PixelFormat::Yvu420m => planar(raw, |first, second| (second, first), out)?,
        PixelFormat::Mjpeg => {
            let other_size = |actual_width, actual_height| {
                let what = "JPEG of the camera";
                PictureError::SizeMismatch { what, width, height, actual_width, actual_height }
            };
            decode_jpeg(raw.bytes, range, width.saturating_mul(height), out).map_err(|error| match error {
                PictureError::TooLarge { width, height, .. } => other_size(width, height),
                error => error,
            })?;
            if (out.width(), out.height()) != (width, height) {
                return Err(other_size(out.width(), out.height()));
            }
        }
    }
    Ok(())
}

/// Luma, then a plane of chroma pairs, one row of it for `height_of_chroma` rows of luma; `order` makes (Cb, Cr) of a pair.
#[inline(always)]
fn semi_planar(
    raw: &RawFrame,
    what: &'static str,
    height_of_chroma: usize,
    order: impl Fn(&[u8; 2]) -> (u8, u8),
    out: &mut Picture,
) -> Result<(), PictureError> {
    let row = raw.width.div_ceil(2).saturating_mul(2);
    let shape = ChromaShape { row, stride: raw.stride.unwrap_or(row), rows: raw.height.div_ceil(height_of_chroma) };
    let (luma, [chroma]) = Rows::of_planes(raw, what, raw.width, shape)?;
    out.reshape(Layout::Rgb, raw.width, raw.height);
    for y in 0..raw.height {
        let (whole, odd) = luma.row(y).as_chunks::<2>();
        let luma = whole.iter().copied().chain(odd.first().map(|luma| [*luma, *luma]));
        let chroma = chroma.row(y / height_of_chroma).as_chunks::<2>().0;
        let pairs = luma.zip(chroma).map(|(luma, pair)| {
            let (cb, cr) = order(pair);
            (luma, cb, cr)
        });
        write_pairs(out.row_mut(y), raw.range, pairs);
    }
    Ok(())
}

/// Three planes, 4:2:0; `order` makes (Cb, Cr) of a sample of the second plane and one of the third.
#[inline(always)]
fn planar(raw: &RawFrame, order: impl Fn(u8, u8) -> (u8, u8), out: &mut Picture) -> Result<(), PictureError> {
    let row = raw.width.div_ceil(2);
    let stride = raw.stride.unwrap_or(raw.width).div_ceil(2);
    let shape = ChromaShape { row, stride, rows: raw.height.div_ceil(2) };
    let (luma, [second, third]) = Rows::of_planes(raw, "YUV 4:2:0 frame", raw.width, shape)?;
    out.reshape(Layout::Rgb, raw.width, raw.height);
    for y in 0..raw.height {
        let chroma = second.row(y / 2).iter().zip(third.row(y / 2));
        // Of the last pair of an odd row only the first luma counts.
        let pairs = luma.row(y).chunks(2).zip(chroma).map(|(luma, (second, third))| {
            let (cb, cr) = order(*second, *third);
            ([luma[0], luma[luma.len() - 1]], cb, cr)
        });
        write_pairs(out.row_mut(y), raw.range, pairs);
    }
    Ok(())
}

/// Grey of `bits` bits in two bytes each. What lies above them counts as white.
fn deep_grey(raw: &RawFrame, bits: u32, out: &mut Picture) -> Result<(), PictureError> {
    let rows = Rows::of(raw, "deep grey frame", raw.width.saturating_mul(2), raw.height)?;
    let white = (1 << bits) - 1;
    out.reshape(Layout::Grey, raw.width, raw.height);
    for y in 0..raw.height {
        for (out, word) in out.row_mut(y).iter_mut().zip(rows.row(y).as_chunks::<2>().0) {
            let luma = u32::from(u16::from_le_bytes(*word)).min(white);
            *out = expand_luma(raw.range, ((luma * 255 + white / 2) / white) as u8);
        }
    }
    Ok(())
}

/// Writes a row of pixels from pairs that share their chroma: two luma values, Cb, Cr. Of the last pair of an odd row
/// only the first luma counts.
#[inline(always)]
fn write_pairs(row: &mut [u8], range: Range, mut pairs: impl Iterator<Item = ([u8; 2], u8, u8)>) {
    let inverse = Inverse::of(range);
    let mut whole = row.chunks_exact_mut(6);
    for (pixels, (luma, cb, cr)) in whole.by_ref().zip(pairs.by_ref()) {
        let chroma = inverse.chroma(cb, cr);
        pixels[..3].copy_from_slice(&inverse.rgb(luma[0], chroma));
        pixels[3..].copy_from_slice(&inverse.rgb(luma[1], chroma));
    }
    let odd = whole.into_remainder();
    if let (false, Some((luma, cb, cr))) = (odd.is_empty(), pairs.next()) {
        odd.copy_from_slice(&inverse.rgb(luma[0], inverse.chroma(cb, cr)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::ycbcr_to_rgb;
    use crate::raw::RawPlane;
    use proptest::prelude::*;

    fn frame(format: PixelFormat, width: usize, height: usize, bytes: &[u8]) -> RawFrame<'_> {
        RawFrame { format, range: Range::Full, width, height, stride: None, bytes, apart: &[] }
    }

    fn decode(raw: &RawFrame) -> Picture {
        let mut out = Picture::default();
        decode_into(raw, &mut out).unwrap();
        out
    }

    fn rgb(range: Range, pixels: &[[u8; 3]]) -> Vec<u8> {
        pixels.iter().flat_map(|&[y, cb, cr]| ycbcr_to_rgb(range, y, cb, cr)).collect()
    }

    #[test]
    fn grey_with_stride_and_range() {
        let mut raw = frame(PixelFormat::Grey, 2, 2, &[16, 235, 99, 126, 0]);
        raw.stride = Some(3);
        assert_eq!(decode(&raw).data(), [16, 235, 126, 0]);
        raw.range = Range::Limited;
        assert_eq!(decode(&raw).data(), [0, 255, 128, 0]);
        assert_eq!(decode(&raw).layout(), Layout::Grey);
    }

    #[test]
    fn yuyv_of_odd_width() {
        let bytes = [10, 100, 20, 150, 30, 110, 99, 140];
        for range in [Range::Full, Range::Limited] {
            let raw = RawFrame { range, ..frame(PixelFormat::Yuyv, 3, 1, &bytes) };
            assert_eq!(decode(&raw).data(), rgb(range, &[[10, 100, 150], [20, 100, 150], [30, 110, 140]]));
        }
    }

    #[test]
    fn nv12_of_odd_size() {
        // As ffmpeg writes it: rows of 3 bytes of luma, then of 4 of chroma.
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 101, 102, 103, 104, 105, 106, 107];
        let (a, b, c, d) = ([100, 101], [102, 103], [104, 105], [106, 107]);
        let at = |y, [cb, cr]: [u8; 2]| [y, cb, cr];
        let expected = [at(1, a), at(2, a), at(3, b), at(4, a), at(5, a), at(6, b), at(7, c), at(8, c), at(9, d)];
        assert_eq!(decode(&frame(PixelFormat::Nv12, 3, 3, &bytes)).data(), rgb(Range::Full, &expected));
        // As drivers do, who state how long rows are.
        let bytes = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 100, 101, 102, 103, 104, 105, 106, 107];
        let raw = RawFrame { stride: Some(4), ..frame(PixelFormat::Nv12, 3, 3, &bytes) };
        assert_eq!(decode(&raw).data(), rgb(Range::Full, &expected));
    }

    #[test]
    fn yuv420_of_odd_size() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 102, 104, 106, 101, 103, 105, 107, 99];
        let (a, b, c, d) = ([100, 101], [102, 103], [104, 105], [106, 107]);
        let at = |y, [cb, cr]: [u8; 2]| [y, cb, cr];
        let expected = [at(1, a), at(2, a), at(3, b), at(4, a), at(5, a), at(6, b), at(7, c), at(8, c), at(9, d)];
        let raw = frame(PixelFormat::Yuv420, 3, 3, &bytes);
        assert_eq!(decode(&raw).data(), rgb(Range::Full, &expected));
        // Rows of 6 bytes, those of chroma of 3.
        let bytes = [
            [1, 2, 3, 0, 0, 0],
            [4, 5, 6, 0, 0, 0],
            [7, 8, 9, 0, 0, 0],
            [100, 102, 0, 104, 106, 0],
            [101, 103, 0, 105, 107, 0],
        ];
        let raw = RawFrame { stride: Some(6), bytes: &bytes.as_flattened()[..29], ..raw };
        assert_eq!(decode(&raw).data(), rgb(Range::Full, &expected));
    }

    #[test]
    fn other_orders_of_the_same_samples_are_the_same_picture() {
        let swap = |bytes: &[u8]| bytes.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect::<Vec<u8>>();
        let yuyv = [10, 100, 20, 150, 30, 110, 99, 140];
        let expected = decode(&frame(PixelFormat::Yuyv, 3, 1, &yuyv));
        assert_eq!(decode(&frame(PixelFormat::Uyvy, 3, 1, &swap(&yuyv))), expected);
        let yuv420 = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 102, 104, 106, 101, 103, 105, 107];
        let yvu420 = [&yuv420[..9], &yuv420[13..], &yuv420[9..13]].concat();
        let expected = decode(&frame(PixelFormat::Yuv420, 3, 3, &yuv420));
        assert_eq!(decode(&frame(PixelFormat::Yvu420, 3, 3, &yvu420)), expected);
        let nv12 = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 101, 102, 103, 104, 105, 106, 107];
        assert_eq!(decode(&frame(PixelFormat::Nv12, 3, 3, &nv12)), expected);
        let nv21 = [&nv12[..9], &swap(&nv12[9..])].concat();
        assert_eq!(decode(&frame(PixelFormat::Nv21, 3, 3, &nv21)), expected);
        // Each row of chroma twice.
        let nv16 = [&nv12[..9], &nv12[9..13], &nv12[9..13], &nv12[13..]].concat();
        assert_eq!(decode(&frame(PixelFormat::Nv16, 3, 3, &nv16)), expected);
        let bgr = [3, 2, 1, 6, 5, 4];
        assert_eq!(decode(&frame(PixelFormat::Bgr24, 2, 1, &bgr)).data(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn planes_that_lie_apart_are_the_same_picture() {
        let yuv420 = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 102, 104, 106, 101, 103, 105, 107];
        let expected = decode(&frame(PixelFormat::Yuv420, 3, 3, &yuv420));
        fn plane(stride: Option<usize>, bytes: &[u8]) -> RawPlane<'_> {
            RawPlane { stride, bytes }
        }
        let luma = [1, 2, 3, 0, 0, 4, 5, 6, 0, 0, 7, 8, 9, 0];
        // Each plane has a stride of its own.
        let pairs = [100, 101, 102, 103, 0, 0, 104, 105, 106, 107];
        let pair_plane = [plane(Some(6), &pairs)];
        let cb = [100, 102, 0, 104, 106];
        let cr = [101, 103, 105, 107];
        let (cb_cr, cr_cb) = ([plane(Some(3), &cb), plane(None, &cr)], [plane(None, &cr), plane(Some(3), &cb)]);
        fn of<'a>(format: PixelFormat, luma: &'a [u8], apart: &'a [RawPlane<'a>]) -> RawFrame<'a> {
            RawFrame { stride: Some(5), apart, ..frame(format, 3, 3, luma) }
        }
        let error = |raw: &RawFrame| decode_into(raw, &mut Picture::default()).unwrap_err();
        for (format, apart) in [
            (PixelFormat::Nv12m, &pair_plane[..]),
            (PixelFormat::Yuv420m, &cb_cr[..]),
            (PixelFormat::Yvu420m, &cr_cb[..]),
        ] {
            assert_eq!(decode(&of(format, &luma, apart)), expected, "{format:?}");
            // A plane that is missing, one that is too short, and one whose rows overlap.
            assert!(matches!(error(&of(format, &luma, &apart[1..])), PictureError::BufferLength { .. }), "{format:?}");
            let short = [&[plane(apart[0].stride, &[0; 3])], &apart[1..]].concat();
            assert!(error(&of(format, &luma, &short)).to_string().contains("got 3"), "{format:?}");
            let overlapping = [&[plane(Some(1), &[0; 99])], &apart[1..]].concat();
            let error = error(&of(format, &luma, &overlapping));
            assert!(matches!(error, PictureError::ShortStride { .. }), "{format:?}: {error}");
        }
    }

    #[test]
    fn deep_grey_is_scaled_and_rounded() {
        let cases: [(PixelFormat, [u16; 4], [u8; 4]); 3] = [
            (PixelFormat::Grey10, [0, 2, 3, 1023], [0, 0, 1, 255]),
            (PixelFormat::Grey12, [8, 9, 4095, 65535], [0, 1, 255, 255]),
            (PixelFormat::Grey16, [128, 129, 32768, 65535], [0, 1, 128, 255]),
        ];
        for (format, words, expected) in cases {
            let bytes: Vec<u8> = words.into_iter().flat_map(u16::to_le_bytes).collect();
            let picture = decode(&frame(format, 4, 1, &bytes));
            assert_eq!((picture.layout(), picture.data()), (Layout::Grey, expected.as_slice()), "{format:?}");
        }
    }

    #[test]
    fn rgb_is_copied() {
        let bytes: Vec<u8> = (0..12).collect();
        assert_eq!(decode(&frame(PixelFormat::Rgb24, 2, 2, &bytes)).data(), bytes);
    }

    #[test]
    fn short_buffers_say_how_short() {
        let message = |format, width, height, length: usize| {
            let bytes = vec![0; length];
            decode_into(&frame(format, width, height, &bytes), &mut Picture::default()).unwrap_err().to_string()
        };
        assert!(message(PixelFormat::Grey, 4, 4, 15).starts_with("grey frame needs 16 bytes, got 15"));
        assert!(message(PixelFormat::Yuyv, 4, 4, 31).starts_with("YUYV frame needs 32 bytes, got 31"));
        assert!(message(PixelFormat::Nv12, 4, 4, 23).starts_with("NV12 frame needs 24 bytes, got 23"));
        assert!(message(PixelFormat::Yuv420, 4, 4, 23).starts_with("YUV 4:2:0 frame needs 24 bytes, got 23"));
        assert!(message(PixelFormat::Yuv420, usize::MAX / 2, 2, 9).starts_with("YUV 4:2:0 frame needs "));
        assert!(message(PixelFormat::Rgb24, usize::MAX / 2, 2, 9).starts_with("RGB frame needs "));
        assert!(message(PixelFormat::Grey, 0, 4, 15).starts_with("picture is 0x4"));
        let raw = RawFrame { stride: Some(3), ..frame(PixelFormat::Grey, 4, 1, &[0; 4]) };
        assert!(matches!(decode_into(&raw, &mut Picture::default()), Err(PictureError::ShortStride { .. })));
    }

    #[test]
    fn buffers_are_used_again() {
        let mut out = Picture::new(Layout::Rgb, 4, 4);
        let before = out.data().as_ptr();
        let raw = [PixelFormat::Grey, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Yuv420, PixelFormat::Rgb24];
        for format in raw {
            decode_into(&frame(format, 4, 4, &[128; 48]), &mut out).unwrap();
            assert_eq!(out.data().as_ptr(), before, "{format:?}");
        }
    }

    #[test]
    fn a_jpeg_of_another_size_is_named_with_both() {
        let file = include_bytes!("testdata/grey.jpg");
        let mut out = Picture::default();
        crate::decode_file(file, 1 << 20, &mut out).unwrap();
        let (width, height) = (out.width(), out.height());
        for wanted in [(width / 2, height / 2), (width * 2, height * 2)] {
            let mut raw = frame(PixelFormat::Mjpeg, wanted.0, wanted.1, file);
            raw.range = Range::Full;
            let refused = decode_into(&raw, &mut out).unwrap_err().to_string();
            let expected = format!("JPEG of the camera is {width}x{height}, expected {}x{}", wanted.0, wanted.1);
            assert_eq!(refused, expected);
        }
    }

    proptest! {
        #[test]
        fn any_frame_decodes_or_is_refused(
            format in prop::sample::select(vec![
                PixelFormat::Grey, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Yuv420, PixelFormat::Rgb24,
                PixelFormat::Mjpeg, PixelFormat::Uyvy, PixelFormat::Yvu420, PixelFormat::Bgr24, PixelFormat::Grey12,
                PixelFormat::Nv16, PixelFormat::Nv12m, PixelFormat::Nv16m, PixelFormat::Yuv420m,
            ]),
            limited in any::<bool>(),
            (width, height) in (0..40_usize, 0..40_usize),
            stride in prop::option::of(0..200_usize),
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
            cuts in (0..3000_usize, 0..3000_usize, 0..3_usize),
        ) {
            let range = if limited { Range::Limited } else { Range::Full };
            let mut out = Picture::default();
            // Planes anywhere in the bytes.
            let plane = |at: usize| RawPlane { stride, bytes: &bytes[at.min(bytes.len())..] };
            let planes = [plane(cuts.0), plane(cuts.1)];
            let raw = RawFrame { format, range, width, height, stride, bytes: &bytes, apart: &planes[..cuts.2] };
            if decode_into(&raw, &mut out).is_ok() {
                prop_assert_eq!((out.width(), out.height()), (width, height));
            }
        }
    }
}
